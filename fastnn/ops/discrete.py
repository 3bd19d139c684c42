"""Ops whose results jump: rounding, comparisons, tests of numbers, logic. None has a gradient."""

from __future__ import annotations

import numpy as np

from fastnn.arrays import Array
from fastnn.ops.core import (
    broadcast,
    check_broadcast,
    computable,
    floating,
    not_bools,
    operator,
    primitive,
)
from fastnn.tensor import Tensor, TensorLike, convert

_floor = primitive(np.floor)


def floor(x: TensorLike) -> Tensor:
    """The largest whole number that is not above x, as a float."""
    return _floor(floating(x))


_ceil = primitive(np.ceil)


def ceil(x: TensorLike) -> Tensor:
    """The smallest whole number that is not below x, as a float."""
    return _ceil(floating(x))


_round = primitive(np.round)


def round(x: TensorLike, decimals: int = 0) -> Tensor:
    """x rounded to so many decimals, halves to the even neighbour; TypeError for bools."""
    return _round(not_bools("round", computable(x)), decimals=decimals)


_isfinite = primitive(np.isfinite)


def isfinite(x: TensorLike) -> Tensor:
    """Whether x is neither infinite nor NaN, elementwise."""
    return _isfinite(convert(x))


_isnan = primitive(np.isnan)


def isnan(x: TensorLike) -> Tensor:
    """Whether x is NaN, elementwise."""
    return _isnan(convert(x))


_isinf = primitive(np.isinf)


def isinf(x: TensorLike) -> Tensor:
    """Whether x is infinity or -infinity, elementwise."""
    return _isinf(convert(x))


_logical_and = primitive(np.logical_and)


@operator
def logical_and(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether both are true (not 0), elementwise, with broadcasting."""
    return _logical_and(*_truths("logical_and", a, b))


_logical_or = primitive(np.logical_or)


@operator
def logical_or(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether one or both are true (not 0), elementwise, with broadcasting."""
    return _logical_or(*_truths("logical_or", a, b))


_logical_not = primitive(np.logical_not)


@operator
def logical_not(x: TensorLike) -> Tensor:
    """Whether x is false (0), elementwise."""
    return _logical_not(convert(x))


@primitive
@np.errstate(all="ignore")
def _floor_divide(a: Array, b: Array) -> Array:
    return np.floor_divide(a, b)


@operator
def floor_divide(a: TensorLike, b: TensorLike) -> Tensor:
    """The largest whole number that is not above a / b, as NumPy has it; it has no gradient."""
    return _floor_divide(*broadcast("floor_divide", a, b))


_sign = primitive(chain="sign")(np.sign)


def sign(x: TensorLike) -> Tensor:
    """-1, 0 or 1; NaN for NaN; no gradient; TypeError for bools."""
    return _sign(not_bools("sign", convert(x)))


_equal = primitive(chain="equal")(np.equal)


@operator
def equal(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a == b, elementwise: a bool tensor."""
    return _equal(*broadcast("equal", a, b))


_not_equal = primitive(chain="not_equal")(np.not_equal)


@operator
def not_equal(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a != b, elementwise: a bool tensor."""
    return _not_equal(*broadcast("not_equal", a, b))


_less = primitive(chain="less")(np.less)


@operator
def less(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a < b, elementwise: a bool tensor."""
    return _less(*broadcast("less", a, b))


_less_equal = primitive(chain="less_equal")(np.less_equal)


@operator
def less_equal(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a <= b, elementwise: a bool tensor."""
    return _less_equal(*broadcast("less_equal", a, b))


_greater = primitive(chain="greater")(np.greater)


@operator
def greater(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a > b, elementwise: a bool tensor."""
    return _greater(*broadcast("greater", a, b))


_greater_equal = primitive(chain="greater_equal")(np.greater_equal)


@operator
def greater_equal(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a >= b, elementwise: a bool tensor."""
    return _greater_equal(*broadcast("greater_equal", a, b))


def _truths(name: str, a: TensorLike, b: TensorLike) -> tuple[Tensor, Tensor]:
    x, y = convert(a), convert(b)
    check_broadcast(name, x.shape, y.shape)
    return x, y
