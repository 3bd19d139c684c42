"""The arrays that tensors are made of: real numbers, NumPy's dtypes, shapes as tuples."""

from __future__ import annotations

from operator import index as as_integer
from reprlib import repr as brief
from typing import Any, TypeAlias

import numpy as np

from fastnn import _kernels

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[Any]]
DType: TypeAlias = Any  # whatever np.dtype accepts
Shape: TypeAlias = tuple[int, ...]

COMPUTED_IN = (np.dtype(np.float32), np.dtype(np.float64))

# glibc hands a large freed block back to the system, and each of its pages costs a fault when it is
# next needed, until the process has once freed a larger block of at most 32 MB (mallopt(3), "The
# dynamic mmap threshold"): op by op, a step on large arrays takes 2.7 times as long without this.
np.empty(31 << 20, np.uint8)


NUMBERS_OF_TEXTS = (
    "encode texts as numbers first: labels with names, codes = np.unique(texts, "
    "return_inverse=True), decimals with astype(float), a file's name with what is in it"
)

# What to do about lists of different lengths.
PADDED = (
    "their lengths differ; fastnn.utils.pad_sequences gives them one, or make of each a row of "
    "zeros and ones, which say what is in it"
)


def on_a_line(size: int) -> Array:
    """`size` bytes of 0 that begin where a line does, as vectors are loaded fastest."""
    block = np.zeros(size + _kernels.LINE, np.uint8)
    # NumPy crashes if there is no memory for its __array_interface__.
    return block[-block.ctypes.data % _kernels.LINE :][:size]


def is_in_order(array: Array) -> bool:
    """Whether kernels can read it where it lies."""
    return array.flags.c_contiguous and array.flags.aligned


def in_order(array: Array) -> Array:
    """The array, or a copy that kernels can read."""
    return array if is_in_order(array) else array.copy(order="C")


def is_finite(array: Array) -> bool:
    """Whether there is neither NaN nor infinity."""
    if array.dtype in COMPUTED_IN:
        return _kernels.all_finite(array)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def from_python(value: Any, dtype: DType = None) -> Array:
    """Numbers or nested sequences as an array: floats of no stated dtype as float32, integers as
    int32 where they fit.
    """
    if hasattr(value, "tocsr"):
        raise TypeError("a matrix of scipy.sparse has to be an array here: write x.toarray()")
    exchanged = hasattr(value, "__dlpack__") and not hasattr(value, "__array__")
    try:
        array = np.from_dlpack(value) if exchanged else np.asarray(value)
    except ValueError:
        raise ValueError(f"the nested sequences do not form an array: {PADDED}") from None
    if dtype is not None or exchanged or hasattr(value, "__array__"):
        return array
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype == np.int64 and np.array_equal(array, array.astype(np.int32)):
        return array.astype(np.int32)
    return array


def unmasked(value: Array | np.generic) -> Array:
    """A scalar or an array of any class as an array; TypeError if some of it is masked."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise TypeError(
            f"a tensor has no mask, and this array hides {int(np.sum(value.mask))} of its "
            "elements: put numbers there, x.filled(0), or leave their rows out"
        )
    return np.asarray(value)


def real(array: Array) -> Array:
    """`array` in native byte order; TypeError if it does not hold real numbers.

    Objects that all are numbers, as from a table of columns of several types, become float64.
    """
    if array.dtype.kind == "O":
        return _of_objects(array)
    if array.dtype.kind in "SU":
        raise TypeError(
            "a tensor holds real numbers, not texts such as "
            f"{brief(array.reshape(-1)[:2].tolist())}; {NUMBERS_OF_TEXTS}"
        )
    if not _is_real(array.dtype):
        raise TypeError(
            f"a tensor holds real numbers, not {array.dtype}; convert the values to float32, "
            "float64, integers or bool first"
        )
    return array if array.dtype.isnative else array.astype(array.dtype.type)


def _of_objects(array: Array) -> Array:
    for place, value in np.ndenumerate(array):
        if isinstance(value, list | tuple | np.ndarray):
            raise TypeError(f"these are {array.size} sequences: {PADDED}")
        if value is None and not array.ndim:
            raise TypeError(
                "None is no tensor: something is missing here; a gradient is None where the loss "
                "does not depend on the source, or was computed outside of the tape's with block"
            )
        if not isinstance(value, int | float | np.number | np.bool_):
            raise TypeError(
                f"a tensor holds real numbers, and the element at index {place} is {value!r}; "
                "fill or drop what is missing"
                f"{f'; {NUMBERS_OF_TEXTS}' if isinstance(value, str) else ''}"
            )
    return array.astype(np.float64)


def _is_real(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" and dtype.itemsize <= 8


def to_dtype(dtype: DType, floating: bool = False) -> np.dtype[Any]:
    """`dtype` as a NumPy dtype that tensors can have; None means float32."""
    try:
        chosen = _native(np.float32 if dtype is None else dtype)
    except TypeError:
        chosen = np.dtype(np.void)
    if not _is_real(chosen) or (floating and chosen not in (np.float32, np.float64)):
        kinds = "float32 or float64" if floating else "a float, an integer or bool"
        raise TypeError(f"dtype must be {kinds}, got {dtype!r}")
    return chosen


def _native(dtype: DType) -> np.dtype[Any]:
    """A dtype in native byte order; void for several values in one, whose text NumPy evaluates."""
    if isinstance(dtype, str):
        several = not dtype.lstrip("<>=|").isidentifier() and dtype != "?"
    else:
        several = isinstance(dtype, dict | list | tuple)
    return np.dtype(np.void if several else np.dtype(dtype).type)


def to_shape(shape: Any, second: Any = None) -> Shape:
    """`shape`, lengths or the length of one axis, as a tuple of lengths that are not negative.

    `second` is the next argument, where the second length of ``zeros(2, 2)`` arrives.
    """
    is_one = isinstance(shape, int | np.integer)
    if is_one and isinstance(second, int | np.integer):
        raise TypeError(f"the shape must be one tuple: write {(int(shape), int(second))}")
    try:
        lengths = tuple(as_integer(length) for length in ((shape,) if is_one else shape))
    except TypeError:
        raise TypeError(f"a shape is a tuple of integers, got {brief(shape)}") from None
    if any(length < 0 for length in lengths):
        raise ValueError(f"the shape {lengths} has a negative length; lengths start at 0")
    return lengths


def to_open_shape(name: str, shape: Any, least: int = 0) -> Any:
    """`shape`, of which a length may be None, for any, as a tuple of lengths."""
    try:
        lengths = tuple(None if length is None else as_integer(length) for length in shape)
    except TypeError:
        raise TypeError(
            f"{name} must be a tuple of lengths such as (784,), got {brief(shape)}"
        ) from None
    if any(length is not None and length < least for length in lengths):
        raise ValueError(f"{name} {lengths} has a length below {least}")
    return lengths
