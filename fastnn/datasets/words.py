"""Texts as sequences of word indices, encoded as Keras's loaders do."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastnn.datasets.fetch import Source, fetch

Sequences = NDArray[np.object_]  # of shape (n,), each a list of int
Labels = NDArray[np.int64]
Split = tuple[Sequences, Labels]


def encode(
    splits: Sequence[Split],
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    start_char: int | None,
    oov_char: int | None,
    index_from: int | None,
) -> list[Split]:
    """Replace the words, which are numbered by frequency from 1, by their codes, in place.

    A word's code is its number plus `index_from`. A text starts with `start_char`; texts as
    long as `maxlen` or longer are left out; codes below `skip_top` and from `num_words` on (by
    default the largest) are replaced by `oov_char`, or left out if that is None.

    Raises
    ------
    ValueError
        If a split loses all of its texts.
    """
    shift = index_from or 0
    start = [] if start_char is None else [start_char]
    if maxlen:
        splits = [_shorter(x, y, maxlen - len(start)) for x, y in splits]
    largest = max((max(words, default=0) for x, _ in splits for words in x), default=0)
    limit = num_words or max([largest + shift, *start])

    def shown(code: int) -> int | None:
        return code if skip_top <= code < limit else oov_char

    # One table for all texts: its numbers are shared, so a word costs a reference and no more.
    codes = [shown(word + shift) for word in range(largest + 1)]
    head = [code for code in map(shown, start) if code is not None]
    for x, _ in splits:
        for i, words in enumerate(x):
            x[i] = head + [code for word in words if (code := codes[word]) is not None]
    return list(splits)


def _shorter(x: Sequences, y: Labels, length: int) -> Split:
    kept = np.array([len(words) < length for words in x], np.bool_)
    if not kept.any():
        raise ValueError(f"maxlen leaves none of {len(x)} texts, which are all longer; increase it")
    return x[kept], y[kept]


def load_word_index(source: Source) -> dict[str, int]:
    """The numbers of the words, from a data set's only file."""
    (content,) = fetch(source).values()
    index: dict[str, int] = json.loads(content)
    return index
