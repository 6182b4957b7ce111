"""The experiments of Bjorck et al. 2018, by name."""

from normscope.papers.entry import Entry
from normscope.papers.sources import BJORCK2018

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "bjorck2018.fig1",
        "training and test error by epoch: BN at three learning rates, the unnormalized network at the lowest",
        BJORCK2018,
        "Fig. 1",
    ),
    Entry(
        "bjorck2018.fig2",
        "histogram of the gradients of a convolution's weights at initialisation, with and without BN",
        BJORCK2018,
        "Fig. 2",
    ),
    Entry(
        "bjorck2018.fig7",
        "size of the gradients between each input and output channel of a convolution at initialisation",
        BJORCK2018,
        "Fig. 7",
    ),
    Entry(
        "bjorck2018.fig15",
        "one norm at the top: gradients by layer, training and test error, highest stable learning rate",
        BJORCK2018,
        "Figs. 15 and 16",
        aliases=("bjorck2018.fig16",),
    ),
    Entry(
        "bjorck2018.fig18",
        "means of channels before the ReLU against their outgoing gradients, and what each channel adds above",
        BJORCK2018,
        "Fig. 18, App. K",
    ),
    Entry("bjorck2018.fig19", "gradients of the channels by depth at initialisation", BJORCK2018, "Fig. 19"),
    Entry(
        "bjorck2018.table2",
        "highest stable learning rate and training loss with parts of batch normalization",
        BJORCK2018,
        "Table 2, Fig. 17",
        aliases=("bjorck2018.fig17",),
    ),
    Entry(
        "bjorck2018.table3",
        "highest stable learning rate by depth, after a warm start, and with alternating moments",
        BJORCK2018,
        "Table 3",
    ),
)
