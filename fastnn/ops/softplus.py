"""softplus, as one pass of the kernel of chains."""

from __future__ import annotations

import numpy as np

from fastnn import _kernels
from fastnn.arrays import Array
from fastnn.ops.core import COMPUTED_IN, Call, Gradients, floating, primitive
from fastnn.ops.elementwise import sigmoid
from fastnn.tensor import Tensor, TensorLike

_ONE = {dtype: np.ones((), dtype) for dtype in COMPUTED_IN}

# relu(x) + log(1 + e), e being exp(-|x|). What u = 1 + e rounds away of a small e is added to first
# order: log(u) + (e - (u - 1)) / u.
_STEPS = [
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
    if out is None:
        x = np.asarray(x, order="C")
        out = np.empty(x.shape, x.dtype)
    return _kernels.chain(_STEPS, [x, _ONE[x.dtype]], out)


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
