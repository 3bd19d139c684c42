"""IMDB: 50,000 film reviews as sequences of word indices, half of them positive.

Collected by Andrew L. Maas and others (https://ai.stanford.edu/~amaas/data/sentiment/), encoded
by Keras.
"""

import numpy as np

from fastnn.datasets.fetch import File, Source, kept_as
from fastnn.datasets.npz import open_npz
from fastnn.datasets.words import Split, encode, load_word_index

SOURCE = Source(
    name="imdb",
    files=(
        File(
            "imdb.npz",
            checksum="sha256:69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
        ),
    ),
)
WORD_INDEX = Source(
    name="imdb",
    files=(File("imdb_word_index.json", checksum="md5:bfafd718b763782e994055a2d397834f"),),
)


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int | None = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> tuple[Split, Split]:
    """Return the reviews, downloading them the first time.

    The file comes from the first of these that has it: the folder ``imdb`` in the folder that
    the environment variable ``FASTNN_DATA`` names, the user's cache, and Keras's public copy. It
    is always verified by checksum.

    Parameters
    ----------
    path : str
        The file's name in the folder and in the cache.
    num_words : int, optional
        Codes from this on count as rare words and become `oov_char`. By default only the
        largest code does, as in Keras.
    skip_top : int, default 0
        Codes below this count as too frequent and become `oov_char`.
    maxlen : int, optional
        Leave out the reviews that have so many codes or more.
    seed : int or None, default 113
        Of the shuffles.
    start_char : int or None, default 1
        The code that every review starts with.
    oov_char : int or None, default 2
        The code in place of words that are not shown; None leaves them out.
    index_from : int, default 3
        Added to the words' numbers of `get_word_index`. Code 0 is free for padding.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Fresh arrays: lists of int in arrays of objects, and int64 labels, 1 for a positive
        review; all of shape (25000,).

    Raises
    ------
    FileNotFoundError, ValueError
        If ``FASTNN_DATA`` has a folder ``imdb`` in which the file is missing or wrong.
    ImportError
        If pooch is needed and not installed.
    OSError
        If no source has the file.
    ValueError
        If `path` has a folder in it, or `maxlen` leaves no review.
    """
    generator = np.random.RandomState(seed)
    splits = []
    with open_npz(kept_as(path, SOURCE), allow_pickle=True) as archive:
        for part in ("train", "test"):
            labels = archive[f"y_{part}"]
            order = generator.permutation(len(labels))
            splits.append((archive[f"x_{part}"][order], labels[order]))
    train, test = encode(splits, num_words, skip_top, maxlen, start_char, oov_char, index_from)
    return train, test


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Return the number of every word, from 1 for the most frequent.

    In the reviews the numbers are larger by ``index_from``.

    Parameters
    ----------
    path : str
        The file's name in the folder ``imdb`` of ``FASTNN_DATA`` and in the cache.
    """
    return load_word_index(kept_as(path, WORD_INDEX))
