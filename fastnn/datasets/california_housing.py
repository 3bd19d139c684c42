"""California Housing: prices of homes in the census of 1990, 20,640 rows of 8 features.

From the StatLib library of Carnegie Mellon University. The features of a block of homes are: its
median income, median age of the houses, rooms and bedrooms per household, population, persons
per household, latitude and longitude.
"""

from fastnn.datasets.fetch import File, Source, kept_as
from fastnn.datasets.npz import Split, load_table

SOURCE = Source(
    name="california_housing",
    files=(
        File(
            "california_housing.npz",
            checksum="sha256:1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
        ),
    ),
)

_ROWS = {"large": None, "small": 600}


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int | None = 113,
) -> tuple[Split, Split]:
    """Return the data set, downloading it the first time.

    The file comes from the first of these that has it: the folder ``california_housing`` in the
    folder that the environment variable ``FASTNN_DATA`` names, the user's cache, and Keras's
    public copy. It is always verified by checksum.

    Parameters
    ----------
    version : {"large", "small"}
        All rows, or the first 600.
    path : str
        The file's name in the folder and in the cache.
    test_split : float, default 0.2
        The part of the rows to test on, in [0, 1).
    seed : int or None, default 113
        Of the shuffle.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Fresh arrays of shape (n, 8) and, the median price in dollars, (n,).

    Raises
    ------
    FileNotFoundError, ValueError
        If ``FASTNN_DATA`` has a folder ``california_housing`` in which the file is missing or
        wrong.
    ImportError
        If pooch is needed and not installed.
    OSError
        If no source has the file.
    ValueError
        If `version` is unknown, `path` has a folder in it, or `test_split` is outside its range.
    """
    if version not in _ROWS:
        raise ValueError(f"version is {version!r}; it must be 'large' or 'small'")
    return load_table(kept_as(path, SOURCE), test_split, seed, _ROWS[version])
