"""Normalization: features of mean 0 and variance 1, by statistics of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.arrays import Array, Shape
from fastnn.configuration import serialize
from fastnn.hyperparameters import axes
from fastnn.layers.base import UnbuiltAgainOnFailure
from fastnn.layers.shapes import ShapePreserving, known_length, position
from fastnn.tensor import Tensor, TensorLike, convert, to_array
from fastnn.variable import Variable, all_or_nothing

BLOCK = 2**20  # elements of a data set that are looked at together
TINY = 1e-7  # what a standard deviation is at least: a feature that is constant becomes 0


class Normalization(ShapePreserving):
    """(x - mean) / sqrt(variance), for each position along some axes.

    Parameters
    ----------
    axis : int, tuple of int or None, default -1
        The axes whose positions have a mean and variance of their own; with None there is one of
        each for all.
    mean, variance : float or array, optional
        Both, if they are known; otherwise `adapt` takes them from data.
    invert : bool, default False
        Undo it: x * sqrt(variance) + mean.
    **options
        As for every `Layer`.

    Attributes
    ----------
    mean, variance : Tensor
        Shaped to be broadcast to an input; None until the layer is built.

    Raises
    ------
    ValueError
        If only one of `mean` and `variance` is given, or they do not fit each other or the input.

    Examples
    --------
    >>> import fastnn
    >>> import numpy as np
    >>> layer = fastnn.layers.Normalization()
    >>> layer.adapt(np.array([[0.0, 7.0], [2.0, 9.0]]))
    >>> layer([[0.0, 9.0]])
    Tensor([[-1.  1.]], shape=(1, 2), dtype=float32)
    """

    adapt_mean: Variable
    adapt_variance: Variable
    count: Variable

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: TensorLike = None,
        variance: TensorLike = None,
        invert: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        given = self._checked(axes, "axis", () if axis is None else axis)
        self.axis = (given,) if isinstance(given, int) else tuple(given)
        self.input_mean = mean
        self.input_variance = variance
        self.invert = invert
        if (mean is None) != (variance is None):
            raise ValueError(
                f"layer {self.name!r}: both `mean` and `variance` must be set, or neither"
            )
        if np.shape(mean) != np.shape(variance) or np.ndim(mean) > len(self.axis):
            raise ValueError(
                f"layer {self.name!r}: mean has shape {np.shape(mean)} and variance "
                f"{np.shape(variance)}; they must have the same shape, with at most "
                f"{len(self.axis)} axes"
            )

    def build(self, input_shape: Shape) -> None:
        """Make the weights for inputs of this shape, unless mean and variance were given."""
        own = sorted(position(self, input_shape, axis) for axis in self.axis)
        self._lengths = {axis: known_length(self, input_shape, axis) for axis in own}
        self._along = tuple(self._lengths.get(a, 1) for a in range(len(input_shape)))
        if self.input_mean is not None:
            self._given = self._stretched(self.input_mean), self._stretched(self.input_variance)
            return
        shape = tuple(self._lengths.values())
        self.adapt_mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
        self.adapt_variance = self.add_weight(shape, "ones", trainable=False, name="variance")
        self.count = self.add_weight((), "zeros", np.int64, trainable=False, name="count")

    def _stretched(self, value: TensorLike) -> Tensor:
        """`value`, which is for the last of the axes, in the shape of `mean`."""
        x = convert(value, self.compute_dtype)
        own = list(self._lengths)[len(self._lengths) - x.ndim :]
        lengths = dict(zip(own, x.shape, strict=True))
        shape = tuple(lengths.get(a, 1) for a in range(len(self._along)))
        if any(n not in (1, self._along[a]) for a, n in lengths.items()):
            raise ValueError(
                f"layer {self.name!r}: mean and variance have shape {x.shape} and an input has the "
                f"lengths {tuple(self._lengths.values())} along axis {self.axis}; they must be "
                "equal"
            )
        return ops.broadcast_to(ops.reshape(x, shape), self._along)

    def adapt(self, data: Array | Tensor | Iterable[Any]) -> None:
        """Take mean and variance from a data set, instead of any taken before.

        Parameters
        ----------
        data : array or tensor, or iterable of batches
            Of a batch that is a tuple the first part counts.

        Raises
        ------
        ValueError
            If there are no data, or they are not of the lengths that the layer was built for.
        TypeError
            If a batch is no array.
        """
        with UnbuiltAgainOnFailure(self):
            mean, variance, count = self._statistics(data)
        with all_or_nothing():
            self.adapt_mean.assign(mean.reshape(self.adapt_mean.shape))
            self.adapt_variance.assign(variance.reshape(self.adapt_mean.shape))
            self.count.assign(count)

    def _statistics(self, data: Any) -> tuple[Array, Array, int]:
        """Mean and variance along the axes that have them, and the number of elements of each."""
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for batch in self._batches(data):
            if not self.built:
                self.build(batch.shape)
            self._check(batch.shape)
            first = batch.ndim - len(self._along)
            others = tuple(a for a in range(batch.ndim) if a - first not in self._lengths)
            for part in _parts(batch, 0 not in others):
                x = part.astype(np.float64)
                center = x.mean(others, keepdims=True)
                new = x.size // center.size
                # Chan, Golub and LeVeque: two parts' squared deviations, each from its own mean.
                delta = center - mean
                squares = squares + ((x - center) ** 2).sum(others, keepdims=True)
                squares = squares + delta**2 * (count * new / (count + new))
                mean = mean + delta * (new / (count + new))
                count += new
        if not count:
            raise ValueError(f"layer {self.name!r}: adapt needs data, and there are none")
        return mean, squares / count, count

    def _batches(self, data: Any) -> Iterator[Array]:
        if self.input_mean is not None:
            raise ValueError(
                f"layer {self.name!r} was given its mean and variance; make one without to adapt it"
            )
        for batch in [data] if hasattr(data, "shape") else data:
            x = batch[0] if isinstance(batch, tuple) else batch
            if not hasattr(x, "shape"):
                raise TypeError(
                    f"layer {self.name!r}: adapt takes an array, or an iterable of batches that "
                    f"are arrays, got a {type(x).__name__}"
                )
            yield to_array(x)

    @property
    def mean(self) -> Any:
        """What is subtracted, a Tensor; None before the layer is built."""
        return self._mean_and_variance[0]

    @property
    def variance(self) -> Any:
        """What is divided by the root of, a Tensor; None before the layer is built."""
        return self._mean_and_variance[1]

    @property
    def _mean_and_variance(self) -> tuple[Any, Any]:
        if not self.built:
            return None, None
        if self.input_mean is not None:
            return self._given
        along = self._along
        return ops.reshape(self.adapt_mean, along), ops.reshape(self.adapt_variance, along)

    def call(self, inputs: Tensor) -> Tensor:
        """The normalized inputs; if `invert`, inputs that were normalized as they had been."""
        self._check(inputs.shape)
        x = convert(inputs, self.compute_dtype)
        mean, variance = self._mean_and_variance
        deviation = ops.maximum(ops.sqrt(variance), TINY)
        found: Tensor = x * deviation + mean if self.invert else (x - mean) / deviation
        return found

    def _check(self, shape: Shape) -> None:
        rank = len(self._along)
        if len(shape) < rank or any(shape[a - rank] != n for a, n in self._lengths.items()):
            raise ValueError(
                f"layer {self.name!r} was built for {rank} axes, {self._lengths} being the lengths "
                f"of those with statistics, and got an incompatible shape: {shape}"
            )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer, without what it took from data."""
        given = {"mean": self.input_mean, "variance": self.input_variance}
        return {**super().get_config(), **{name: serialize(x) for name, x in given.items()}}


def _parts(x: Array, whole: bool) -> Iterator[Array]:
    """All rows at once if `whole`, else parts of about BLOCK elements, whose copies stay small."""
    rows = len(x) if whole else max(1, BLOCK * len(x) // max(1, x.size))
    return (x[start : start + rows] for start in range(0, len(x), max(1, rows)))
