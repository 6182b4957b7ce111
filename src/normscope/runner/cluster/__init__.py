"""Runs cells on a Ray cluster, started here or joined.

How a cell travels: :mod:`~normscope.runner.cluster.ray`, in the driver, submits it as a Ray task, a JSON-like request
together with the plan's :class:`~normscope.runner.cluster.node.Job`. On the node,
:mod:`~normscope.runner.cluster.node` passes the request to a worker process like the local engine's, which stays for
the next task of the same Ray worker. So the rows are the same bits, a time-out counts from the cell's own start, and
the error of a cell that kills its process is known.

With Ray started here, the workers write to the store themselves. A node of a cluster that was joined returns the
finished cell's file, and the driver writes it to the store. Such a node gets the data sets and the user's own modules
through Ray's object store (:mod:`~normscope.runner.cluster.transfer`), once each.
"""
