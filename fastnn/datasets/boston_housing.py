"""Boston Housing: prices of homes around Boston in the 1970s, 506 rows of 13 features.

From the StatLib library of Carnegie Mellon University. One feature, "B", rests on the assumption
that people wish to live apart by the colour of their skin; `california_housing` (its small
version) can take the place of this data set.
"""

from fastnn.datasets.fetch import File, Source, kept_as
from fastnn.datasets.npz import Split, load_table

SOURCE = Source(
    name="boston_housing",
    files=(
        File(
            "boston_housing.npz",
            checksum="sha256:f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
        ),
    ),
)


def load_data(
    path: str = "boston_housing.npz", test_split: float = 0.2, seed: int | None = 113
) -> tuple[Split, Split]:
    """Return the data set, downloading it the first time.

    The file comes from the first of these that has it: the folder ``boston_housing`` in the
    folder that the environment variable ``FASTNN_DATA`` names, the user's cache, and Keras's
    public copy. It is always verified by checksum.

    Parameters
    ----------
    path : str
        The file's name in the folder and in the cache.
    test_split : float, default 0.2
        The part of the rows to test on, in [0, 1).
    seed : int or None, default 113
        Of the shuffle.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Fresh float64 arrays of shape (n, 13) and, the median price in thousands of dollars,
        (n,): 404 rows to train and 102 to test on.

    Raises
    ------
    FileNotFoundError, ValueError
        If ``FASTNN_DATA`` has a folder ``boston_housing`` in which the file is missing or wrong.
    ImportError
        If pooch is needed and not installed.
    OSError
        If no source has the file.
    ValueError
        If `path` has a folder in it, or `test_split` is outside its range.
    """
    return load_table(kept_as(path, SOURCE), test_split, seed)
