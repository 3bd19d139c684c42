"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, ClassVar

from fastnn import ops
from fastnn.arrays import Shape
from fastnn.layers.base import Layer
from fastnn.layers.shapes import position
from fastnn.tensor import Tensor


class _OfSeveral(Layer):
    """Base of the layers that take a list of tensors."""

    _takes_several = True

    def build(self, input_shape: Any) -> None:
        """Check the shapes."""
        self.compute_output_shape(input_shape)


class _Merge(_OfSeveral):
    """Base of the layers that go through their inputs element by element, from first to last.

    The inputs are a list of tensors with batches of one size. Where one has fewer axes than
    another, axes of length 1 are put after its batch axis; then they are broadcast.
    """

    _count: ClassVar[int | None] = None  # how many inputs it needs, if not any number
    _of_two: Callable[[Tensor, Tensor], Tensor]

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The merged inputs."""
        self.compute_output_shape([x.shape for x in _listed(self, inputs)])
        rank = max(x.ndim for x in inputs)
        return reduce(self._of_two, [_with_rank(x, rank) for x in inputs])

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The shape to which all are broadcast; None, for any length, stays so."""
        shapes = _listed(self, input_shape)
        if self._count is not None and len(shapes) != self._count:
            raise ValueError(
                f"layer {self.name!r} must be called on exactly {self._count} inputs, got "
                f"{len(shapes)}"
            )
        rank = max(map(len, shapes))
        batch, *rest = zip(
            *[(*s[:1], *(1,) * (rank - len(s)), *s[1:]) for s in shapes], strict=True
        )
        if len(set(batch) - {None}) > 1 or any(len(set(n) - {None, 1}) > 1 for n in rest):
            raise ValueError(
                f"layer {self.name!r} cannot merge inputs of the incompatible shapes "
                f"{', '.join(map(str, shapes))}: their batch axes must be equal, and their other "
                "axes, counted from the last, equal or 1"
            )
        return (_first_known(batch), *map(_broadcast, rest))


class Add(_Merge):
    """a + b + ...

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.ones((1, 2))
    >>> fastnn.layers.Add()([x, 2 * x, 3 * x])
    Tensor([[6. 6.]], shape=(1, 2), dtype=float32)
    """

    _of_two = staticmethod(ops.add)


class Subtract(_Merge):
    """a - b."""

    _count = 2

    _of_two = staticmethod(ops.subtract)


class Multiply(_Merge):
    """a * b * ..."""

    _of_two = staticmethod(ops.multiply)


class Maximum(_Merge):
    """The largest of the inputs at each place."""

    _of_two = staticmethod(ops.maximum)


class Minimum(_Merge):
    """The smallest of the inputs at each place."""

    _of_two = staticmethod(ops.minimum)


class Average(Add):
    """(a + b + ...) / n, for n inputs."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The average of the inputs."""
        return super().call(inputs) / len(inputs)


class Concatenate(_OfSeveral):
    """The inputs joined along an axis.

    Parameters
    ----------
    axis : int, default -1
    **options
        As for every `Layer`.

    Raises
    ------
    ValueError
        On a call, if it is not given a list of tensors that differ along the axis only.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.layers.Concatenate()([fastnn.ones((2, 3)), fastnn.ones((2, 1))]).shape
    (2, 4)
    """

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """The joined inputs."""
        self.compute_output_shape([x.shape for x in _listed(self, inputs)])
        return ops.concat(inputs, self.axis)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The shape of the joined inputs; None, for any length, stays so."""
        shapes = _listed(self, input_shape)
        axis = position(self, shapes[0], self.axis)
        others = [(*s[:axis], *s[axis + 1 :]) for s in shapes]
        if len(set(map(len, shapes))) > 1 or any(
            len(set(lengths) - {None}) > 1 for lengths in zip(*others, strict=True)
        ):
            raise ValueError(
                f"layer {self.name!r} requires inputs with matching shapes except for axis "
                f"{self.axis}, got {', '.join(map(str, shapes))}"
            )
        shape = [_first_known(lengths) for lengths in zip(*others, strict=True)]
        joined = [s[axis] for s in shapes]
        shape.insert(axis, None if None in joined else sum(joined))
        return tuple(shape)


def _listed(layer: Layer, inputs: Any) -> Sequence[Any]:
    """The inputs, or their shapes; ValueError if they are not several."""
    if isinstance(inputs, list | tuple) and inputs and not isinstance(inputs[0], int | None):
        return inputs
    raise ValueError(
        f"layer {layer.name!r} must be called on a list of inputs: write layer([a, b]), got "
        f"{getattr(inputs, 'shape', inputs)}"
    )


def _first_known(lengths: Sequence[Any]) -> Any:
    return next((n for n in lengths if n is not None), None)


def _broadcast(lengths: Sequence[Any]) -> Any:
    stretching = [n for n in lengths if n != 1]
    return _first_known(stretching) if stretching else 1


def _with_rank(x: Tensor, rank: int) -> Tensor:
    return ops.reshape(x, (*x.shape[:1], *(1,) * (rank - x.ndim), *x.shape[1:]))
