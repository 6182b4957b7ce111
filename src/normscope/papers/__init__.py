"""The papers: one package each, one file an experiment family, with the cells, claims and figure of each.

:mod:`normscope.papers.catalogue` lists them without importing anything heavy.
"""
