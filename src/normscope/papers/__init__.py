"""The papers: one package each, with one file per experiment that holds its cells, claims and figure.

:mod:`normscope.papers.catalogue` lists the experiments without importing anything heavy.
"""
