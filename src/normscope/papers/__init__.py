"""The papers, one package each: ``cells/`` holds what is trained and measured, ``readings/`` what is read from the
table, and every figure has a file with its claims. :mod:`normscope.papers.shared` holds what all papers use, and
:mod:`normscope.papers.catalogue` lists the experiments without importing anything heavy.
"""
