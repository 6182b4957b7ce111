"""Figures of what instruments measured by depth, drawn from their tables: a layer a row, in the order of the table.

:mod:`~normscope.report.depth.tables` reads a table and makes its figure. :mod:`~normscope.report.depth.spectra` and
:mod:`~normscope.report.depth.moments` draw the panels, which a sweep's figure has too.
:mod:`~normscope.report.depth.layers` is the axis of layers that all panels share.
"""
