"""Products over an inner axis: matmul, dot, and a dense layer with its bias and activation."""

from __future__ import annotations

import math

import numpy as np

from fastnn import _kernels
from fastnn._kernels import Call, CompressedRows
from fastnn.arrays import COMPUTED_IN, Array, Shape
from fastnn.ops.core import Gradients, floating, operands, operator, pair, primitive
from fastnn.ops.neural import relu_grad
from fastnn.ops.reductions import sum_to
from fastnn.ops.shaping import reshape, transpose
from fastnn.recorders import recorders
from fastnn.sparse import COST, SparseTensor, without_zeros
from fastnn.tensor import Tensor, TensorLike


@primitive(kernel=True)
def _matmul(
    a: Array, b: Array, transpose_a: bool, transpose_b: bool, out: Array | None = None
) -> Array:
    if a.dtype.kind != "f":
        if out is not None:
            raise _kernels.NotRecorded(f"a product of {a.dtype}")
        x = np.swapaxes(a, -1, -2) if transpose_a else a
        y = np.swapaxes(b, -1, -2) if transpose_b else b
        return np.asarray(np.matmul(x, y))
    if a.ndim == b.ndim == 2:
        return _kernels.matmul(a, b, transpose_a, transpose_b, out=out)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    m, n = a.shape[-1 if transpose_a else -2], b.shape[-2 if transpose_b else -1]
    left = np.broadcast_to(a, batch + a.shape[-2:])
    right = np.broadcast_to(b, batch + b.shape[-2:])
    product = np.empty((*batch, m, n), a.dtype) if out is None else out
    for i in np.ndindex(batch):
        _kernels.matmul(left[i], right[i], transpose_a, transpose_b, out=product[i])
    return product


@_matmul.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    a, b = call.inputs
    ta, tb = call.attributes["transpose_a"], call.attributes["transpose_b"]

    def da() -> Tensor:
        left, right = (b, dy) if ta else (dy, b)
        d = _matmul(left, right, transpose_a=ta and tb, transpose_b=ta or not tb)
        return sum_to(d, a.shape)

    def db() -> Tensor:
        left, right = (dy, a) if tb else (a, dy)
        d = _matmul(left, right, transpose_a=tb or not ta, transpose_b=ta and tb)
        return sum_to(d, b.shape)

    return da, db


@primitive(kernel=True)
def _dense(
    x: Array,
    kernel: Array,
    *bias: Array,
    relu: bool,
    infinite: Array | None = None,
    out: Array | None = None,
) -> Array:
    added = bias[0] if bias else None
    return _kernels.matmul(x, kernel, bias=added, relu=relu, infinite=infinite, out=out)


@_dense.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    x, kernel, *bias = call.inputs
    dz = relu_grad(dy, call.output) if call.attributes["relu"] else dy
    return (
        lambda: _matmul(dz, kernel, transpose_a=False, transpose_b=True),
        lambda: _matmul(x, dz, transpose_a=True, transpose_b=False),
        *[lambda: sum_to(dz, bias[0].shape) for _ in bias],
    )


@primitive(kernel=True)
def expand(*, rows: CompressedRows, out: Array | None = None) -> Array:
    return rows.dense(out)


@primitive(kernel=True)
def _rows_matmul(
    b: Array, rows: CompressedRows, transpose_a: bool, out: Array | None = None
) -> Array:
    return _kernels.matmul(rows, b, transpose_a, out=out)


@_rows_matmul.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    rows, transpose_a = call.attributes["rows"], call.attributes["transpose_a"]
    return (_rows_matmul(dy, rows=rows, transpose_a=not transpose_a),)


@primitive(kernel=True)
def _rows_dense(
    kernel: Array,
    *bias: Array,
    rows: CompressedRows,
    relu: bool,
    infinite: Array | None = None,
    out: Array | None = None,
) -> Array:
    added = bias[0] if bias else None
    return _kernels.matmul(rows, kernel, bias=added, relu=relu, infinite=infinite, out=out)


@_rows_dense.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    _, *bias = call.inputs
    dz = relu_grad(dy, call.output) if call.attributes["relu"] else dy
    return (
        lambda: _rows_matmul(dz, rows=call.attributes["rows"], transpose_a=True),
        *[lambda: sum_to(dz, bias[0].shape) for _ in bias],
    )


def _rows_of(x: Tensor, units: int) -> CompressedRows | None:
    """The rows of x without its many zeros, unless a tape may be asked for the gradient of x."""
    if not isinstance(x, SparseTensor) and (units < COST or x.dtype not in COMPUTED_IN):
        return None
    if any(recorder.follows(x) for recorder in recorders.stack):
        return None
    if recorders.trace is not None and not isinstance(x, SparseTensor):
        return None  # how many zeros there are differs from run to run
    rows = x.rows if isinstance(x, SparseTensor) else without_zeros(x._array, units, 1, x.dtype)
    return rows if isinstance(rows, CompressedRows) else None


@operator
def matmul(
    a: TensorLike, b: TensorLike, transpose_a: bool = False, transpose_b: bool = False
) -> Tensor:
    """The matrix product over the last two axes.

    Parameters
    ----------
    a : tensor of shape (..., m, k), or (k,), which counts as one row and leaves no axis
    b : tensor of shape (..., k, n), or (k,), which counts as one column and leaves no axis
    transpose_a, transpose_b : bool, default False
        Exchange the last two axes of an operand first.

    Returns
    -------
    Tensor
        Shape (..., m, n), the leading axes broadcast. The value of an element depends on its row of
        a, its column of b, n and `transpose_a` alone, down to the last bit.

    Raises
    ------
    ValueError
        If the inner lengths differ, an operand has no axis, or the leading axes do not broadcast.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.matmul([[1.0, 2.0]], [[3.0], [4.0]])
    Tensor([[11.]], shape=(1, 1), dtype=float32)
    """
    x, y = pair(a, b)
    shape, other = x.shape, y.shape
    if not shape or not other:
        raise ValueError(
            f"matmul: the operands have shapes {shape} and {other}; each needs an axis: use * "
            "to multiply by a number"
        )
    row, column = len(shape) == 1, len(other) == 1
    ta, tb = transpose_a and not row, transpose_b and not column
    axis_a, axis_b = -2 if ta else -1, -1 if tb or column else -2
    if shape[axis_a] != other[axis_b]:
        raise ValueError(
            f"matmul: a {shape}{' transposed' if ta else ''} and b {other}"
            f"{' transposed' if tb else ''}: a's axis {axis_a} has {shape[axis_a]} and b's "
            f"axis {axis_b} has {other[axis_b]}; they must be equal"
        )
    if len(shape) > 2 or len(other) > 2:
        _check_leading_axes(shape, other)
    left = reshape(x, (1, *shape)) if row else x
    right = reshape(y, (*other, 1)) if column else y
    units = 1 if column else other[-1]
    rows = _rows_of(left, units) if len(other) <= 2 and not tb else None
    if rows is not None:
        z = _rows_matmul(right, rows=rows, transpose_a=ta)
    else:
        z = _matmul(left, right, transpose_a=ta, transpose_b=tb)
    if row or column:
        z = reshape(
            z, z.shape[:-2] + (() if row else z.shape[-2:-1]) + (() if column else z.shape[-1:])
        )
    return z


def _check_leading_axes(a: Shape, b: Shape) -> None:
    try:
        np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        raise ValueError(
            f"matmul: the leading axes of {a} and {b} do not broadcast; they must be equal or 1"
        ) from None


def dot(a: TensorLike, b: TensorLike) -> Tensor:
    """The sum of products over the last axis of a and the last but one (or only) axis of b.

    As `numpy.dot`: the product with a number if an operand has no axis, the inner product of two
    vectors, the matrix product of two matrices, and for more axes every row of a with every column
    of b, shape a.shape[:-1] + b.shape[:-2] + b.shape[-1:].

    Raises
    ------
    ValueError
        If the inner lengths differ.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.dot([1.0, 2.0], [3.0, 4.0])
    Tensor(11.0, shape=(), dtype=float32)
    """
    x, y = pair(a, b)
    if not x.ndim or not y.ndim:
        return x * y
    if y.ndim == 1:
        columns = reshape(y, (-1, 1))
        rest: tuple[int, ...] = ()
    else:
        inner = y.ndim - 2
        columns = transpose(y, (inner, *[axis for axis in range(y.ndim) if axis != inner]))
        rest = columns.shape[1:]
        columns = reshape(columns, (columns.shape[0], math.prod(rest)))
    if x.shape[-1] != columns.shape[0]:
        raise ValueError(
            f"dot: a {x.shape} has {x.shape[-1]} along its last axis and b {y.shape} has "
            f"{columns.shape[0]} along axis {-1 if y.ndim == 1 else -2}; they must be equal"
        )
    rows = reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
    return reshape(matmul(rows, columns), (*x.shape[:-1], *rest))


def dense(
    x: TensorLike, kernel: TensorLike, bias: TensorLike | None = None, relu: bool = False
) -> Tensor:
    """relu(x @ kernel + bias) in one pass: what a dense layer computes.

    Parameters
    ----------
    x : tensor of shape (..., inputs)
    kernel : tensor of shape (inputs, units)
    bias : tensor of shape (units,), optional
    relu : bool, default False
        Whether to apply relu; the bits are those of ``relu(matmul(x, kernel) + bias)``.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.dense([[1.0, 2.0]], [[1.0, -1.0], [1.0, -1.0]], [0.5, 0.5], relu=True)
    Tensor([[3.5 0. ]], shape=(1, 2), dtype=float32)
    """
    inputs = [*pair(x, kernel)] if bias is None else operands(x, kernel, bias)
    if inputs[0].dtype not in COMPUTED_IN:
        inputs = [floating(t) for t in inputs]
    shape, (length, units) = inputs[0].shape, _two_axes(inputs[1])
    if not shape or shape[-1] != length:
        raise ValueError(
            f"dense: x has shape {shape} and kernel {(length, units)}; x's last axis must be "
            f"{length}"
        )
    if bias is not None and inputs[2].shape != (units,):
        raise ValueError(
            f"dense: bias has shape {inputs[2].shape} and kernel {(length, units)}; bias must have "
            f"shape ({units},)"
        )
    rows = _rows_of(inputs[0], units)
    if rows is not None:
        return _rows_dense(*inputs[1:], rows=rows, relu=relu)
    if len(shape) == 2:
        return _dense(*inputs, relu=relu)
    inputs[0] = reshape(inputs[0], (math.prod(shape[:-1]), length))
    return reshape(_dense(*inputs, relu=relu), (*shape[:-1], units))


def _two_axes(kernel: Tensor) -> tuple[int, int]:
    if kernel.ndim != 2:
        raise ValueError(f"dense: kernel has shape {kernel.shape}; it must be (inputs, units)")
    return kernel.shape[0], kernel.shape[1]
