"""Sequences of different lengths as one array."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

Side = Literal["pre", "post"]


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: DTypeLike = "int32",
    padding: Side = "pre",
    truncating: Side = "pre",
    value: float | str = 0.0,
) -> NDArray[Any]:
    """Sequences cut and filled to one length, as the rows of an array.

    Parameters
    ----------
    sequences : sequence of sequences
        Their elements are numbers, strings or arrays of one shape.
    maxlen : int, optional
        The length; by default that of the longest sequence.
    dtype : default int32
        For strings, object or a type of strings.
    padding : {"pre", "post"}
        Fill before the sequence or after it.
    truncating : {"pre", "post"}
        Cut off the sequence's beginning or its end.
    value : number or str, default 0
        What to fill with.

    Returns
    -------
    ndarray of `dtype`, shape (number of sequences, maxlen, ...)

    Raises
    ------
    ValueError
        If an argument is none of these, or elements have different shapes.

    Examples
    --------
    >>> from fastnn.utils import pad_sequences
    >>> pad_sequences([[1], [2, 3, 4]], maxlen=2)
    array([[0, 1],
           [3, 4]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in get_args(Side):
            raise ValueError(f"{name} is {side!r}; it must be 'pre' or 'post'")
    if isinstance(value, str) and np.dtype(dtype).kind not in "OSU":
        raise ValueError(f"value is {value!r}, a string; dtype {dtype} must then be object")
    lengths = [_length(i, sequence) for i, sequence in enumerate(sequences)]
    length = max(lengths, default=0) if maxlen is None else maxlen
    if length < 0:
        raise ValueError(f"maxlen is {length}; it must not be negative")
    shape = next((np.shape(s)[1:] for s, n in zip(sequences, lengths, strict=True) if n), ())
    padded = np.full((len(lengths), length, *shape), value, dtype)
    for i, (sequence, n) in enumerate(zip(sequences, lengths, strict=True)):
        kept = min(n, length)
        part = np.asarray(sequence[n - kept :] if truncating == "pre" else sequence[:kept], dtype)
        if kept and part.shape[1:] != shape:
            raise ValueError(
                f"sequence {i} has elements of shape {part.shape[1:]}, those before it {shape}; "
                "make them equal"
            )
        if kept:
            padded[i, slice(length - kept, None) if padding == "pre" else slice(kept)] = part
    return padded


def _length(i: int, sequence: Any) -> int:
    try:
        return len(sequence)
    except TypeError as error:
        raise ValueError(
            f"sequence {i} is of {type(sequence).__name__}, which has no length; sequences must be "
            "a list of lists"
        ) from error
