"""Data sets that are published as one NumPy archive."""

import io

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from fastnn.datasets.fetch import Source, fetch

Split = tuple[NDArray[np.float64], NDArray[np.float64]]


def open_npz(source: Source, allow_pickle: bool = False) -> NpzFile:
    """Open the archive that is a data set's only file.

    Parameters
    ----------
    source : Source
    allow_pickle : bool, default False
        Accept arrays of Python objects. A pickle can run code as it is read; this one is trusted
        because the bytes in memory, which nobody can exchange any more, have the published
        SHA-256 checksum.
    """
    (content,) = fetch(source).values()
    archive: NpzFile = np.load(io.BytesIO(content), allow_pickle=allow_pickle)
    return archive


def load_table(
    source: Source, test_split: float, seed: int | None, rows: int | None = None
) -> tuple[Split, Split]:
    """Load the arrays ``x`` and ``y``, shuffle their rows together, and cut off the test data.

    Parameters
    ----------
    source : Source
    test_split : float
        The part of the rows to test on, in [0, 1).
    seed : int or None
        Of the shuffle.
    rows : int, optional
        Take only so many rows, the first.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
    """
    check_test_split(test_split)
    with open_npz(source) as archive:
        x, y = archive["x"][:rows], archive["y"][:rows]
    # The legacy generator, as in Keras: its shuffles are the same with every NumPy.
    order = np.random.RandomState(seed).permutation(len(x))
    train, test = np.split(order, [int(len(x) * (1 - test_split))])
    return (x[train], y[train]), (x[test], y[test])


def check_test_split(test_split: float) -> None:
    """Raise ValueError unless the part of the data to test on is in [0, 1)."""
    if not 0 <= test_split < 1:
        raise ValueError(
            f"test_split is {test_split}; it must be the part of the data to test on, in [0, 1)"
        )
