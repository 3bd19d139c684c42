"""Random tensors, drawn from one counter-based generator (Philox) that `seed` restarts."""

from __future__ import annotations

import numpy as np

from fastnn.arrays import DType, Shape, to_dtype, to_shape
from fastnn.ops import updates
from fastnn.recorders import recorders
from fastnn.tensor import Tensor, Variable, wrap

_generator = np.random.Generator(np.random.Philox())


def seed(value: int) -> None:
    """Restart the generator; equal seeds give equal numbers, weights and shuffles."""
    global _generator  # noqa: PLW0603  # the one stream that everything random draws from
    _generator = np.random.Generator(np.random.Philox(value))


def generator() -> np.random.Generator:
    """The generator in use."""
    return _generator


class Stream:
    """Random numbers of a place in a network: a key of its own, and a counter of its uses.

    Parameters
    ----------
    seed : int, optional
        The key; by default drawn from the common generator.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.key = int(_generator.integers(2**63)) if seed is None else seed
        self._uses = Variable(np.int64(0), trainable=False, name="uses")

    def next(self) -> Tensor:
        """The counter of one more use, int64 of shape ()."""
        updates.count(self._uses)
        return self._uses.value


def _drawing(seed: int | None) -> np.random.Generator:
    if recorders.trace is not None:
        recorders.trace.read(None)  # the program would repeat the same numbers
    return _generator if seed is None else np.random.Generator(np.random.Philox(seed))


def normal(
    shape: Shape,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: DType = np.float32,
    seed: int | None = None,
) -> Tensor:
    """A tensor of normally distributed numbers.

    Parameters
    ----------
    shape : tuple of int
    mean, stddev : float, default 0 and 1
    dtype : float32 (default) or float64
    seed : int, optional
        Draw from a generator of this seed instead of the common one.

    Raises
    ------
    ValueError
        If `stddev` is negative.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.random.normal((2, 3)).shape
    (2, 3)
    """
    lengths = to_shape(shape)
    if stddev < 0:
        raise ValueError(f"stddev is {stddev}; it must not be negative")
    kind = to_dtype(dtype, floating=True)
    drawn = _drawing(seed).standard_normal(lengths, kind)
    return wrap(np.asarray(drawn * kind.type(stddev) + kind.type(mean)))


def uniform(
    shape: Shape,
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: DType = np.float32,
    seed: int | None = None,
) -> Tensor:
    """A tensor of numbers uniformly distributed in [minval, maxval).

    Parameters
    ----------
    shape : tuple of int
    minval, maxval : float, default 0 and 1
    dtype : float32 (default) or float64
    seed : int, optional
        Draw from a generator of this seed instead of the common one.

    Raises
    ------
    ValueError
        If `maxval` is below `minval`.

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.random.uniform((1000,), minval=2, maxval=3)
    >>> bool(x.numpy().min() >= 2), bool(x.numpy().max() < 3)
    (True, True)
    """
    lengths = to_shape(shape)
    if maxval < minval:
        raise ValueError(f"maxval is {maxval}, below minval, {minval}; exchange them")
    kind = to_dtype(dtype, floating=True)
    drawn = _drawing(seed).random(lengths, kind)
    values = drawn * kind.type(maxval - minval) + kind.type(minval)
    # Rounding may reach maxval, which does not belong to the interval.
    below = np.nextafter(kind.type(maxval), kind.type(minval))
    return wrap(np.asarray(np.minimum(values, below)))
