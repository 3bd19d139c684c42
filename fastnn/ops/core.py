"""How ops are made: primitives, updates, and what checks their operands.

A primitive has a forward function over arrays and a gradient rule written with ops, so that
gradients have gradients too. The public ops check their arguments and call primitives; everything
else, the tape included, only ever sees primitives. Their classes are compiled, in csrc/calls.pxi.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, overload

import numpy as np

from fastnn._kernels import Primitive, Update, alike, broadcast_together
from fastnn.arrays import COMPUTED_IN, Array, Shape
from fastnn.tensor import Tensor, TensorLike, convert, operators

# One entry for each input: its gradient, None where it has none, or a function that computes it and
# that is called only if somebody wants it.
Gradients: TypeAlias = Sequence[Tensor | Callable[[], Tensor] | None]


@overload
def primitive(forward: Callable[..., Any]) -> Primitive: ...
@overload
def primitive(
    *, kernel: bool = False, chain: str | None = None
) -> Callable[[Callable[..., Any]], Primitive]: ...
def primitive(
    forward: Callable[..., Any] | None = None, *, kernel: bool = False, chain: str | None = None
) -> Any:
    """Make a primitive of a function from arrays (and keyword attributes) to an array.

    One with the name of a step of `_kernels.chain` gives none of NumPy's warnings, as that does.
    """

    def made(forward: Callable[..., Any]) -> Primitive:
        return Primitive(_quiet(forward, chain), kernel, chain)

    return made if forward is None else made(forward)


def update(
    kernel: bool = False, chain: str | None = None
) -> Callable[[Callable[..., None]], Update]:
    """Make an Update of a function; `kernel` and `chain` as for a primitive."""

    def made(forward: Callable[..., None]) -> Update:
        return Update(_quiet(forward, chain), kernel, chain)

    return made


def _quiet(forward: Callable[..., Any], chain: str | None) -> Callable[..., Any]:
    return forward if chain is None else np.errstate(all="ignore")(forward)


def operator(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Enter a public op as the meaning of one of Tensor's operators."""
    operators[function.__name__.strip("_")] = function
    return function


def promote(*dtypes: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype to compute in: the widest float, an integer leaving a float as it is."""
    floats = [d for d in dtypes if d.kind == "f"]
    if not floats:
        return np.result_type(*dtypes)
    return np.result_type(np.float32, *floats)


def pair(a: TensorLike, b: TensorLike) -> tuple[Tensor, Tensor]:
    """Two `operands`: the usual ones, tensors, variables and a number, are found quickly."""
    x, y = alike(a, b) or operands(a, b)
    return x, y


def operands(*values: TensorLike) -> list[Tensor]:
    """`values` as tensors of one dtype.

    Tensors decide on it; where there is none NumPy arrays do, and Python numbers follow either. So
    a float64 array is converted to the dtype of the float32 tensor that it meets.
    """
    tensors = list(map(convert, values))
    strong: list[Tensor | Array] = [v for v in values if isinstance(v, Tensor)]
    if len(strong) == len(values):
        first = tensors[0].dtype
        if first in COMPUTED_IN and all(t.dtype is first for t in tensors):
            return tensors
    strong = strong or [v for v in values if isinstance(v, np.ndarray)]
    dtype = promote(*[v.dtype for v in strong or tensors])
    if dtype.kind != "f":
        dtype = promote(*[t.dtype for t in tensors])
    # A number goes from its own precision to that of the others, not by way of float32.
    return [convert(v, dtype) for v in values]


def broadcast(name: str, a: TensorLike, b: TensorLike) -> tuple[Tensor, Tensor]:
    """Both operands in one dtype; ValueError if their shapes do not broadcast."""
    x, y = pair(a, b)
    if not broadcast_together(x, y):
        check_broadcast(name, x.shape, y.shape)
    return x, y


def check_broadcast(name: str, a: Shape, b: Shape) -> None:
    """ValueError if the shapes do not broadcast."""
    for axis in range(-1, -min(len(a), len(b)) - 1, -1):
        if a[axis] != b[axis] and 1 not in (a[axis], b[axis]):
            raise ValueError(
                f"{name}: the shapes {a} and {b} do not broadcast: axis {axis} has {a[axis]} and "
                f"{b[axis]}; they must be equal or one of them 1 (use reshape or expand_dims)"
            )


def computable(value: TensorLike) -> Tensor:
    """`value` as a tensor to compute with: float16, which only stores, becomes float32."""
    tensor = convert(value)
    # The usual dtypes first, which are found by identity: a comparison takes as long as a small op.
    if tensor.dtype in COMPUTED_IN or tensor.dtype != np.float16:
        return tensor
    return convert(tensor, np.float32)


def not_bools(name: str, x: Tensor) -> Tensor:
    """x; TypeError if it holds bools, to which an op does not apply."""
    if x._array.dtype.kind == "b":
        raise TypeError(
            f"{name}: these are bools: make numbers of them with cast(x, 'float32'), or use "
            "not_equal for what differs and ~x for the opposite"
        )
    return x


def floating(value: TensorLike) -> Tensor:
    """`value` as a float tensor: float32 unless it is float64 already."""
    if type(value) is Tensor and value._array.dtype in COMPUTED_IN:  # the usual one
        return value
    tensor = convert(value)
    return convert(tensor, promote(np.dtype(np.float32), tensor.dtype))
