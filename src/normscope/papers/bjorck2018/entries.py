"""The experiments of Bjorck et al. 2018, by name."""

from normscope.papers.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
