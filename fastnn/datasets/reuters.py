"""Reuters: 11,228 newswires of 1987 as sequences of word indices, in 46 topics.

Made by Keras from the collection Reuters-21578.
"""

import numpy as np

from fastnn.datasets.fetch import File, Source, kept_as
from fastnn.datasets.npz import check_test_split, open_npz
from fastnn.datasets.words import Split, encode, load_word_index

SOURCE = Source(
    name="reuters",
    files=(
        File(
            "reuters.npz",
            checksum="sha256:d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
        ),
    ),
)
WORD_INDEX = Source(
    name="reuters",
    files=(File("reuters_word_index.json", checksum="md5:4d44cc38712099c9e383dc6e5f11a921"),),
)

_TOPICS = """
    cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves
    ship cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin
    strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem
    dlr gas silver wpi hog lead
"""


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int | None = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> tuple[Split, Split]:
    """Return the newswires, downloading them the first time.

    The file comes from the first of these that has it: the folder ``reuters`` in the folder that
    the environment variable ``FASTNN_DATA`` names, the user's cache, and Keras's public copy. It
    is always verified by checksum.

    Parameters
    ----------
    path, num_words, skip_top, maxlen, seed, start_char, oov_char, index_from
        As in `fastnn.datasets.imdb.load_data`.
    test_split : float, default 0.2
        The part of the newswires to test on, in [0, 1).

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Fresh arrays: lists of int in arrays of objects, and int64 labels from 0 to 45, whose
        names `get_label_names` has; 8,982 to train and 2,246 to test on.

    Raises
    ------
    FileNotFoundError, ValueError
        If ``FASTNN_DATA`` has a folder ``reuters`` in which the file is missing or wrong.
    ImportError
        If pooch is needed and not installed.
    OSError
        If no source has the file.
    ValueError
        If `path` has a folder in it, `test_split` is outside its range, or `maxlen` leaves no
        newswire.
    """
    check_test_split(test_split)
    with open_npz(kept_as(path, SOURCE), allow_pickle=True) as archive:
        labels = archive["y"]
        order = np.random.RandomState(seed).permutation(len(labels))
        split = (archive["x"][order], labels[order])
    ((x, y),) = encode([split], num_words, skip_top, maxlen, start_char, oov_char, index_from)
    size = int(len(x) * (1 - test_split))
    return (x[:size], y[:size]), (x[size:], y[size:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Return the number of every word, from 1 for the most frequent.

    In the newswires the numbers are larger by ``index_from``.

    Parameters
    ----------
    path : str
        The file's name in the folder ``reuters`` of ``FASTNN_DATA`` and in the cache.
    """
    return load_word_index(kept_as(path, WORD_INDEX))


def get_label_names() -> tuple[str, ...]:
    """Return the names of the 46 topics, in the order of the labels.

    Examples
    --------
    >>> from fastnn.datasets import reuters
    >>> reuters.get_label_names()[:4]
    ('cocoa', 'grain', 'veg-oil', 'earn')
    """
    return tuple(_TOPICS.split())
