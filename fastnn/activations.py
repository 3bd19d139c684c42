"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from fastnn import ops
from fastnn.configuration import serialize
from fastnn.lookup import deserializer, resolve
from fastnn.ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
)
from fastnn.tensor import Tensor, TensorLike, convert, unshared

Activation: TypeAlias = Callable[..., Tensor]


def linear(x: TensorLike) -> Tensor:
    """x itself."""
    return unshared(convert(x))


def gelu(x: TensorLike, approximate: bool = False) -> Tensor:
    """`ops.gelu`, but by erf unless told otherwise."""
    return ops.gelu(x, approximate)


def exponential(x: TensorLike) -> Tensor:
    """exp(x)."""
    return ops.exp(x)


swish, hard_swish = silu, hard_silu


def get(identifier: Any) -> Activation:
    """An activation by name or configuration, the callable itself, or `linear` for None."""
    found: Activation = linear if identifier is None else resolve("activation", identifier, _NAMES)
    return found


deserialize = deserializer(get)


__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

_NAMES = {
    name: globals()[name] for name in __all__ if name not in ("deserialize", "get", "serialize")
}
