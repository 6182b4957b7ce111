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
        "bjorck2018.fig3",
        "mean and variance of the convolutions' channels by depth at initialisation",
        BJORCK2018,
        "Fig. 3",
    ),
    Entry(
        "bjorck2018.fig4",
        "gradient of each image's loss with respect to each logit at initialisation",
        BJORCK2018,
        "Fig. 4",
    ),
    Entry(
        "bjorck2018.fig5",
        "loss along the update that makes an unnormalized network diverge",
        BJORCK2018,
        "Fig. 5",
    ),
    Entry(
        "bjorck2018.fig6",
        "channel means and variances by layer along the update that makes an unnormalized network diverge",
        BJORCK2018,
        "Fig. 6",
    ),
    Entry(
        "bjorck2018.fig7",
        "size of the gradients between each input and output channel of a convolution at initialisation",
        BJORCK2018,
        "Fig. 7",
    ),
    Entry(
        "bjorck2018.fig8",
        "singular values of products of random matrices: their tails by number of factors",
        BJORCK2018,
        "Fig. 8",
    ),
    Entry(
        "bjorck2018.fig9",
        "squared singular values of products of random matrices against the angle of their law",
        BJORCK2018,
        "Fig. 9, App. D",
    ),
    Entry(
        "bjorck2018.fig10",
        "squared singular values of products of random matrices against their law, for five kinds of entries",
        BJORCK2018,
        "Theorem 1, Fig. 10",
    ),
    Entry(
        "bjorck2018.fig11",
        "condition number of products of random matrices, by number of factors",
        BJORCK2018,
        "Fig. 11, App. E",
    ),
    Entry(
        "bjorck2018.fig12",
        "largest singular value of products of random matrices, by number of factors",
        BJORCK2018,
        "Fig. 12, App. E",
    ),
    Entry(
        "bjorck2018.fig13",
        "histograms of activations at initialisation without norms; channels that are always on or off",
        BJORCK2018,
        "Fig. 13, App. F",
    ),
    Entry(
        "bjorck2018.fig14",
        "histograms of activations at initialisation with BN; means of channels in units of their spread",
        BJORCK2018,
        "Fig. 14, App. F",
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
        "bjorck2018.fig20",
        "gradients of all weights of a kernel through one class at a time",
        BJORCK2018,
        "Fig. 20, App. L",
    ),
    Entry(
        "bjorck2018.fig21",
        "mean gradient of a kernel through one class at a time",
        BJORCK2018,
        "Fig. 21, App. L",
    ),
    Entry(
        "bjorck2018.fig22",
        "terms of the gradient of one weight: their distribution at initialisation",
        BJORCK2018,
        "App. M, Fig. 22",
    ),
    Entry(
        "bjorck2018.fig23",
        "size of each weight's gradient against the sum of its terms' sizes, with and without BN",
        BJORCK2018,
        "App. M, Fig. 23",
    ),
    Entry(
        "bjorck2018.fig24",
        "loss of the first and the fifth batch along its own gradient, with and without BN",
        BJORCK2018,
        "App. N, Fig. 24",
    ),
    Entry(
        "bjorck2018.table1",
        "how far the terms of a weight's gradient cancel over images and positions, beside the published table",
        BJORCK2018,
        "Tables 1 and 4",
        aliases=("bjorck2018.table4",),
    ),
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
    Entry(
        "bjorck2018.eq2",
        "noise of stochastic gradient steps by batch size and learning rate, against its law",
        BJORCK2018,
        "§2, eq. 2",
    ),
    Entry(
        "bjorck2018.linear_network",
        "one layer of a deep linear network against least squares: trajectories, stable rate, steps to converge",
        BJORCK2018,
        "§4, App. C",
    ),
)
