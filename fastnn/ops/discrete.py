"""Ops whose results jump: rounding, comparisons, tests of numbers, logic. None has a gradient."""

from __future__ import annotations

import numpy as np

from fastnn.arrays import Array
from fastnn.ops.core import broadcast, check_broadcast, computable, floating, operator, primitive
from fastnn.tensor import Tensor, TensorLike, convert


@primitive
def _floor(x: Array) -> Array:
    return np.floor(x)


@primitive
def _ceil(x: Array) -> Array:
    return np.ceil(x)


@primitive
def _round(x: Array, decimals: int) -> Array:
    return np.round(x, decimals)


@primitive
def _isfinite(x: Array) -> Array:
    return np.isfinite(x)


@primitive
def _isnan(x: Array) -> Array:
    return np.isnan(x)


@primitive
def _isinf(x: Array) -> Array:
    return np.isinf(x)


@primitive
def _logical_and(a: Array, b: Array) -> Array:
    return np.logical_and(a, b)


@primitive
def _logical_or(a: Array, b: Array) -> Array:
    return np.logical_or(a, b)


@primitive
def _logical_not(x: Array) -> Array:
    return np.logical_not(x)


@primitive
@np.errstate(all="ignore")
def _floor_divide(a: Array, b: Array) -> Array:
    return np.floor_divide(a, b)


@primitive(chain="sign")
def _sign(x: Array) -> Array:
    return np.sign(x)


@primitive(chain="equal")
def _equal(a: Array, b: Array) -> Array:
    return np.equal(a, b)


@primitive(chain="not_equal")
def _not_equal(a: Array, b: Array) -> Array:
    return np.not_equal(a, b)


@primitive(chain="less")
def _less(a: Array, b: Array) -> Array:
    return np.less(a, b)


@primitive(chain="less_equal")
def _less_equal(a: Array, b: Array) -> Array:
    return np.less_equal(a, b)


@primitive(chain="greater")
def _greater(a: Array, b: Array) -> Array:
    return np.greater(a, b)


@primitive(chain="greater_equal")
def _greater_equal(a: Array, b: Array) -> Array:
    return np.greater_equal(a, b)


def floor(x: TensorLike) -> Tensor:
    """The largest whole number that is not above x, as a float."""
    return _floor(floating(x))


def ceil(x: TensorLike) -> Tensor:
    """The smallest whole number that is not below x, as a float."""
    return _ceil(floating(x))


def round(x: TensorLike, decimals: int = 0) -> Tensor:
    """x rounded to so many decimals, halves to the even neighbour."""
    return _round(computable(x), decimals=decimals)


def isfinite(x: TensorLike) -> Tensor:
    """Whether x is neither infinite nor NaN, elementwise."""
    return _isfinite(convert(x))


def isnan(x: TensorLike) -> Tensor:
    """Whether x is NaN, elementwise."""
    return _isnan(convert(x))


def isinf(x: TensorLike) -> Tensor:
    """Whether x is infinity or -infinity, elementwise."""
    return _isinf(convert(x))


@operator
def floor_divide(a: TensorLike, b: TensorLike) -> Tensor:
    """The largest whole number that is not above a / b, as NumPy has it; it has no gradient."""
    return _floor_divide(*broadcast("floor_divide", a, b))


def sign(x: TensorLike) -> Tensor:
    """-1, 0 or 1; NaN for NaN; no gradient."""
    return _sign(convert(x))


@operator
def equal(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a == b, elementwise: a bool tensor."""
    return _equal(*broadcast("equal", a, b))


@operator
def not_equal(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a != b, elementwise: a bool tensor."""
    return _not_equal(*broadcast("not_equal", a, b))


@operator
def less(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a < b, elementwise: a bool tensor."""
    return _less(*broadcast("less", a, b))


@operator
def less_equal(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a <= b, elementwise: a bool tensor."""
    return _less_equal(*broadcast("less_equal", a, b))


@operator
def greater(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a > b, elementwise: a bool tensor."""
    return _greater(*broadcast("greater", a, b))


@operator
def greater_equal(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a >= b, elementwise: a bool tensor."""
    return _greater_equal(*broadcast("greater_equal", a, b))


@operator
def logical_and(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether both are true (not 0), elementwise, with broadcasting."""
    return _logical_and(*_truths("logical_and", a, b))


@operator
def logical_or(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether one or both are true (not 0), elementwise, with broadcasting."""
    return _logical_or(*_truths("logical_or", a, b))


@operator
def logical_not(x: TensorLike) -> Tensor:
    """Whether x is false (0), elementwise."""
    return _logical_not(convert(x))


def _truths(name: str, a: TensorLike, b: TensorLike) -> tuple[Tensor, Tensor]:
    x, y = convert(a), convert(b)
    check_broadcast(name, x.shape, y.shape)
    return x, y
