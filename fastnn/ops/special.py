"""Functions of several steps, which the kernel of chains does in one pass or, for erf, in some."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from fastnn import _kernels
from fastnn._kernels import Call
from fastnn.arrays import Array, in_order
from fastnn.ops.core import Gradients, floating, primitive
from fastnn.ops.elementwise import abs, exp, minimum, sigmoid, square, stop_gradient
from fastnn.tensor import Tensor, TensorLike


@cache
def _constant(value: float, dtype: np.dtype[Any]) -> Array:
    """A number in memory that stays, for programs to read it there."""
    return np.array(value, dtype)


def _in_one_pass(
    steps: list[Any], arrays: Sequence[Array], constants: Sequence[float], out: Array | None
) -> Array:
    """The steps over arrays of one shape, which are numbers 0, 1, ... in them, and constants."""
    if out is None:
        arrays = list(map(in_order, arrays))
        out = np.empty(arrays[0].shape, arrays[0].dtype)
    return _kernels.chain(steps, [*arrays, *(_constant(c, out.dtype) for c in constants)], out)


# relu(x) + log(1 + e), e being exp(-|x|). What u = 1 + e rounds away of a small e is added to first
# order: log(u) + (e - (u - 1)) / u.
_SOFTPLUS = [
    ("abs", 0),
    ("negative", 2),
    ("exp", 3),
    ("add", 1, 4),
    ("log", 5),
    ("subtract", 5, 1),
    ("subtract", 4, 7),
    ("divide", 8, 5),
    ("add", 6, 9),
    ("relu", 0),
    ("add", 11, 10),
]


@primitive(kernel=True)
def _softplus(x: Array, out: Array | None = None) -> Array:
    return _in_one_pass(_SOFTPLUS, [x], [1.0], out)


@_softplus.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (dy * sigmoid(x),)


def softplus(x: TensorLike) -> Tensor:
    """log(1 + exp(x)), to the last digits and without overflow.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.softplus([-100.0, 0.0, 100.0]).numpy().round(4)
    array([  0.    ,   0.6931, 100.    ], dtype=float32)
    """
    return _softplus(floating(x))


# tanh(x / 2) * (exp(x) + 1): nothing cancels.
_EXPM1 = [("multiply", 0, 1), ("tanh", 3), ("exp", 0), ("add", 5, 2), ("multiply", 4, 6)]


@primitive(kernel=True)
def _expm1(x: Array, out: Array | None = None) -> Array:
    return _in_one_pass(_EXPM1, [x], [0.5, 1.0], out)


@_expm1.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (dy * exp(x),)


def expm1(x: TensorLike) -> Tensor:
    """exp(x) - 1, to the last digits near 0 too."""
    return _expm1(floating(x))


# With u = 1 + x: log(u) * x / (u - 1) makes up for what u rounds away of x (Kahan). Where that is
# all of x, x itself; from 1/2 on, and for infinity and -1, log(u).
_LOG1P = [
    ("add", 0, 1),
    ("log", 3),
    ("subtract", 3, 1),
    ("divide", 0, 5),
    ("multiply", 4, 6),
    ("equal", 3, 1),
    ("where", 8, 0, 7),
    ("abs", 0),
    ("less", 10, 2),
    ("where", 11, 9, 4),
]


@primitive(kernel=True)
def _log1p(x: Array, out: Array | None = None) -> Array:
    return _in_one_pass(_LOG1P, [x], [1.0, 0.5], out)


@_log1p.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (dy / (1 + x),)


def log1p(x: TensorLike) -> Tensor:
    """log(1 + x), to the last digits near 0 too: -inf at -1, NaN below."""
    return _log1p(floating(x))


# Cody, "Rational Chebyshev approximations for the error function", 1969, highest powers first.
_NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2)
    + (3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2)
    + (1.28261652607737228e3, 2.84423683343917062e3),
)
_FAR = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0)
    + (6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2)
    + (1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2)
    + (5.37181101862009858e2, 1.62138957456669019e3, 3.29079923573345963e3)
    + (4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)


@primitive(kernel=True)
def _polynomial(x: Array, coefficients: Sequence[float], out: Array | None = None) -> Array:
    """By Horner's rule, as many powers in one pass as a chain has inputs for."""
    if out is None:
        x = in_order(x)
        out = np.empty(x.shape, x.dtype)
    so_far, *rest = [_constant(c, x.dtype) for c in coefficients]
    most = _kernels.CHAIN_INPUTS - 2
    for part in (rest[at : at + most] for at in range(0, len(rest), most)):
        steps: list[tuple[str, int, int]] = []
        last = 1
        for n in range(2, 2 + len(part)):
            product = len(part) + len(steps) + 2
            steps += [("multiply", last, 0), ("add", product, n)]
            last = product + 1
        so_far = _kernels.chain(steps, [x, so_far, *part], out)
    return out


def _ratio(coefficients: tuple[Sequence[float], Sequence[float]], x: Tensor) -> Tensor:
    above, below = (_polynomial(x, coefficients=part) for part in coefficients)
    return above / below


# |x| < 0.46875: near, else far with the sign of x.
_CHOICE = [
    ("less", 0, 4),
    ("negative", 2),
    ("where", 5, 6, 2),
    ("abs", 0),
    ("less", 8, 3),
    ("where", 9, 1, 7),
]


@primitive(kernel=True)
def _erf(x: Array, near: Array, far: Array, out: Array | None = None) -> Array:
    return _in_one_pass(_CHOICE, [x, near, far], [0.46875, 0.0], out)


@_erf.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    x = call.inputs[0]
    return dy * (2 / math.sqrt(math.pi) * exp(-square(x))), None, None


def erf(x: TensorLike) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    Within 5 units in the last place.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.erf([0.0, 0.5, 10.0]).numpy().round(4)
    array([0.    , 0.5205, 1.    ], dtype=float32)
    """
    tensor = floating(x)
    size = minimum(abs(stop_gradient(tensor)), 6)  # from where on it is 1
    near = stop_gradient(tensor) * _ratio(_NEAR, square(minimum(size, 0.5)))
    far = 1 - exp(-square(size)) * _ratio(_FAR, size)
    return _erf(tensor, near, far)
