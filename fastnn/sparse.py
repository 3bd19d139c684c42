"""Data of which most elements are zero: rows without their zeros, and tensors over such rows."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from fastnn._kernels import CompressedRows, compress, from_csr
from fastnn.arrays import Array, DType, Shape, real
from fastnn.recorders import recorders
from fastnn.tensor import Tensor, TensorLike, convert, to_array

Samples: TypeAlias = Array | CompressedRows

# When zeros are worth leaving out, as measured with AVX2: to compress a row takes as long as a
# product with COST units saves; what is kept may be at most MOST of all elements, and less in front
# of a layer with few units. SAMPLE rows tell how much that is; FEWEST are worth a look.
COST, MOST, NARROW = 400, 0.25, 160
SAMPLE, FEWEST = 8, 64
BYTES = 8  # of an element that is kept, with its column
LARGEST = 200 << 20  # bytes of all of them: beside a bigger array there may be no room for a copy


class SparseTensor(Tensor):
    """A matrix that holds compressed rows, and makes an array of them on the first use of one.

    `ops.dense` and `ops.matmul` compute with the rows; elsewhere it is a tensor like any other.
    """

    __slots__ = ("rows",)

    def __init__(self, rows: CompressedRows) -> None:
        self.rows = rows
        self.origin = None

    def _made(self) -> Array:
        if recorders.trace is not None:
            recorders.trace.expand(self)
        return self.rows.dense()

    @property
    def shape(self) -> Shape:
        return self.rows.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.rows.dtype

    @property
    def ndim(self) -> int:
        return 2

    @property
    def size(self) -> int:
        return self.rows.shape[0] * self.rows.shape[1]

    def __len__(self) -> int:
        return len(self.rows)


def to_samples(value: TensorLike, dtype: DType) -> Samples:
    """A data set as an array, or as rows of `dtype` where it is a matrix of scipy.sparse."""
    return _from_scipy(value, dtype) if is_scipy(value) else to_array(value)


def to_tensor(value: TensorLike, dtype: DType) -> Tensor:
    """As `convert`, or a tensor of `dtype` of a matrix of scipy.sparse."""
    return SparseTensor(_from_scipy(value, dtype)) if is_scipy(value) else convert(value)


def is_scipy(value: TensorLike) -> bool:
    """Whether it is a matrix of scipy.sparse, one kind of which is a dict."""
    return not isinstance(value, Tensor | np.ndarray) and hasattr(value, "tocsr")


def _from_scipy(matrix: Any, dtype: DType) -> CompressedRows:
    csr = matrix.tocsr()
    if len(csr.shape) != 2:
        raise ValueError(f"a sparse array must have two axes, got shape {csr.shape}; reshape it")
    if not csr.has_canonical_format:
        csr = csr.copy()  # the matrix itself stays as it is
        csr.sum_duplicates()
    values = real(csr.data).astype(dtype)
    return from_csr(csr.indptr, csr.indices, values, csr.shape[1])


def without_zeros(x: Samples, units: int, passes: int, dtype: DType = np.float32) -> Samples:
    """`x` as rows of `dtype` if that saves time over so many products with `units` columns."""
    if isinstance(x, CompressedRows) or not saves_time(x, units, passes):
        return x
    return compress(x, dtype)


def saves_time(x: Array, units: int, passes: int) -> bool:
    """Whether it does, as far as some of the rows tell."""
    if not may_save_time(x.shape, units, passes):
        return False
    sample = x[:: len(x) // SAMPLE]
    share = float(np.count_nonzero(sample) / max(1, sample.size))
    return share <= min(units / NARROW, MOST) and share * x.size * BYTES <= LARGEST


def may_save_time(shape: Shape, units: int, passes: int) -> bool:
    """Whether it is worth a look."""
    return len(shape) == 2 and shape[0] >= FEWEST and passes * units >= COST
