"""Fashion-MNIST: 28x28 grey-scale images of clothes, 60,000 to train and 10,000 to test on.

By Zalando SE, under the MIT licence. The labels mean, from 0: T-shirt/top, trouser, pullover,
dress, coat, sandal, shirt, sneaker, bag, ankle boot.
"""

from fastnn.datasets.fetch import KERAS_MIRROR, File, Source, fetch
from fastnn.datasets.idx import read_idx
from fastnn.datasets.mnist import Split

SOURCE = Source(
    name="fashion_mnist",
    files=(
        File(
            "train-images-idx3-ubyte.gz",
            checksum="sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            gz_checksum="sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            size=47_040_016,
        ),
        File(
            "train-labels-idx1-ubyte.gz",
            checksum="sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            gz_checksum="sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            size=60_008,
        ),
        File(
            "t10k-images-idx3-ubyte.gz",
            checksum="sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            gz_checksum="sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            size=7_840_016,
        ),
        File(
            "t10k-labels-idx1-ubyte.gz",
            checksum="sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            gz_checksum="sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            size=10_008,
        ),
    ),
    mirrors=(
        KERAS_MIRROR,
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    installed="/usr/share/datasets/fashion-mnist",
    offline="install the Debian package dataset-fashion-mnist",
)


def load_data() -> tuple[Split, Split]:
    """Return the whole of Fashion-MNIST, downloading it the first time.

    The files come from the first of these that has them: the folder ``fashion_mnist`` in the
    folder that the environment variable ``FASTNN_DATA`` names, the Debian package
    dataset-fashion-mnist, the user's cache, and the public mirrors. They are always verified by
    checksum.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Fresh uint8 arrays: images of shape (n, 28, 28), whose pixels go from 0 for the background
        to 255, and labels of shape (n,), from 0 to 9.

    Raises
    ------
    FileNotFoundError, ValueError
        If ``FASTNN_DATA`` has a folder ``fashion_mnist`` in which a file is missing or wrong.
    ImportError
        If pooch is needed and not installed.
    OSError
        If no source has the files.
    """
    arrays = (read_idx(content, name) for name, content in fetch(SOURCE).items())
    x_train, y_train, x_test, y_test = arrays
    return (x_train, y_train), (x_test, y_test)
