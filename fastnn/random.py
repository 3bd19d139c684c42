"""Random tensors, drawn from one counter-based generator (Philox) that `seed` restarts."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from fastnn import _kernels
from fastnn._kernels import Scope, wrap
from fastnn.arrays import Array, DType, Shape, to_dtype, to_shape
from fastnn.configuration import Configurable
from fastnn.forks import in_child
from fastnn.hyperparameters import count
from fastnn.lookup import refusal
from fastnn.ops import take, updates
from fastnn.ops.axes import existing_axis
from fastnn.recorders import recorders
from fastnn.tensor import Tensor, TensorLike, convert
from fastnn.variable import Variable

_generator = np.random.Generator(np.random.Philox())


def seed(value: int) -> None:
    """Restart the generator; equal seeds give equal numbers, weights and shuffles.

    Raises
    ------
    ValueError
        If the seed is not an integer, 0 or above.
    """
    global _generator  # noqa: PLW0603  # the one stream that everything random draws from
    _generator = np.random.Generator(np.random.Philox(count("seed", value, 0)))


def generator() -> np.random.Generator:
    """The generator in use."""
    return _generator


@in_child
def _forked() -> None:
    """Go on where the generator is, which a thread that the child lacks may have locked."""
    global _generator  # noqa: PLW0603  # the same stream
    state = state_of(_generator)
    _generator = np.random.Generator(np.random.Philox())
    set_state(_generator, state)


def state_of(generator: np.random.Generator) -> list[int]:
    """Where a generator is, as 13 numbers: `set_state` lets one go on from there."""
    state: Any = generator.bit_generator.state
    parts = state["state"]["key"], state["state"]["counter"], state["buffer"]
    rest = [state["buffer_pos"], state["has_uint32"], state["uinteger"]]
    return [int(n) for part in (*parts, rest) for n in part]


def set_state(generator: np.random.Generator, state: list[int]) -> None:
    """Let a generator go on from where another was, as `state_of` said."""
    key, counter, buffer, rest = state[:2], state[2:6], state[6:10], state[10:]
    generator.bit_generator.state = {
        "bit_generator": "Philox",
        "state": {"key": np.array(key, np.uint64), "counter": np.array(counter, np.uint64)},
        "buffer": np.array(buffer, np.uint64),
        **dict(zip(("buffer_pos", "has_uint32", "uinteger"), rest, strict=True)),
    }


class Kept(Scope):
    """What is drawn from the generator inside the block, for nothing, is not drawn outside."""

    def __init__(self) -> None:
        super().__init__(self)
        self._state = state_of(_generator)

    def ended(self, failed: bool) -> None:
        set_state(_generator, self._state)


def is_state(value: Any) -> bool:
    """Whether `state_of` can have given this."""
    limits = [2**64] * 10 + [5, 2, 2**32]
    return (
        isinstance(value, list)
        and len(value) == len(limits)
        and all(type(n) is int and 0 <= n < end for n, end in zip(value, limits, strict=True))
    )


class Stream:
    """Random numbers of a place in a network: a key of its own, and a counter of its uses.

    Parameters
    ----------
    seed : int or SeedGenerator, optional
        The key, or what it is drawn from: by default the common generator.
    """

    def __init__(self, seed: Seed = None) -> None:
        seed = checked_seed(seed)
        if not isinstance(seed, int):
            seed = int((_generator if seed is None else seed.generator).integers(2**63))
        self.key = seed % 2**64  # as many bits as a key has
        self._uses = Variable(np.int64(0), trainable=False, name="uses")

    def next(self) -> Tensor:
        """The counter of one more use, int64 of shape ()."""
        updates.count((self._uses,))
        return self._uses.value

    @property
    def state(self) -> list[int]:
        """The key and the number of uses."""
        return [self.key, int(self._uses)]

    @state.setter
    def state(self, value: list[int]) -> None:
        self.key = value[0]
        self._uses.assign(np.int64(value[1]))


class SeedGenerator(Configurable):
    """Given as the seed of several draws, it makes each of them another one.

    Parameters
    ----------
    seed : int, optional
        Equal seeds give equal numbers, draw after draw; by default drawn from the common generator.

    Examples
    --------
    >>> import fastnn
    >>> seed = fastnn.random.SeedGenerator(7)
    >>> first, second = (fastnn.random.normal((3,), seed=seed) for _ in range(2))
    >>> bool((first == second).numpy().any())
    False
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else count("seed", seed, least=0)
        key = int(_generator.integers(2**63)) if self.seed is None else self.seed
        self.generator = np.random.Generator(np.random.Philox(key))


Seed: TypeAlias = int | SeedGenerator | None


def checked_seed(seed: Any) -> Any:
    """`seed`; ValueError if it is no seed."""
    number = isinstance(seed, int | np.integer) and not isinstance(seed, bool) and seed >= 0
    if not (number or seed is None or isinstance(seed, SeedGenerator)):
        raise ValueError(
            f"a seed is an integer that is not negative, a SeedGenerator or None, got {seed!r}"
        )
    return int(seed) if number else seed


def _drawing(seed: Seed) -> np.random.Generator:
    seed = checked_seed(seed)
    if isinstance(seed, int):  # which gives the same numbers whenever it is asked
        return np.random.Generator(np.random.Philox(seed))
    if recorders.trace is not None:
        recorders.trace.refuse(
            "draws random numbers, which the program would repeat: let a layer draw them, as "
            "GaussianNoise(1.0)(zeros_like(x), training=True) does, or leave"
        )
    return _generator if seed is None else seed.generator


def normal(
    shape: Shape | int,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: DType = np.float32,
    seed: Seed = None,
) -> Tensor:
    """A tensor of normally distributed numbers.

    Parameters
    ----------
    shape : tuple of int, or int
    mean, stddev : float, default 0 and 1
    dtype : float32 (default) or float64
    seed : int or SeedGenerator, optional
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
    return _scaled(to_shape(shape), mean, stddev, dtype, seed, np.inf)


def truncated_normal(
    shape: Shape | int,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: DType = np.float32,
    seed: Seed = None,
) -> Tensor:
    """The same, but what is more than two `stddev` from the mean is drawn again.

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.random.truncated_normal((1000,), stddev=0.5)
    >>> bool(abs(x.numpy()).max() <= 1)
    True
    """
    return _scaled(to_shape(shape), mean, stddev, dtype, seed, 2.0)


def _scaled(
    shape: Shape, mean: float, stddev: float, dtype: DType, seed: Seed, limit: float
) -> Tensor:
    if stddev < 0:
        raise ValueError(f"stddev is {stddev}; it must not be negative")
    kind = to_dtype(dtype, floating=True)
    drawing = _drawing(seed)
    drawn = np.asarray(drawing.standard_normal(shape, kind))
    beyond = np.abs(drawn) > limit
    while beyond.any():
        drawn[beyond] = drawing.standard_normal(np.count_nonzero(beyond), kind)
        beyond = np.abs(drawn) > limit
    return wrap(np.asarray(drawn * kind.type(stddev) + kind.type(mean)))


def uniform(
    shape: Shape | int,
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: DType = np.float32,
    seed: Seed = None,
) -> Tensor:
    """A tensor of numbers uniformly distributed in [minval, maxval).

    Parameters
    ----------
    shape : tuple of int, or int
    minval, maxval : float, default 0 and 1
    dtype : float32 (default) or float64
    seed : int or SeedGenerator, optional
        Draw from a generator of this seed instead of the common one.

    Raises
    ------
    ValueError
        If `maxval` is below `minval`, or farther above than a number of `dtype` can say.

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.random.uniform((1000,), minval=2, maxval=3)
    >>> bool(x.numpy().min() >= 2), bool(x.numpy().max() < 3)
    (True, True)
    """
    if to_dtype(dtype).kind in "iu":
        raise TypeError(f"dtype must be float32 or float64, got {dtype!r}; randint draws integers")
    lengths = to_shape(shape)
    if np.isnan(minval) or np.isnan(maxval):
        raise ValueError(f"minval and maxval must be numbers, got {minval} and {maxval}")
    if maxval < minval:
        raise ValueError(f"maxval is {maxval}, below minval, {minval}; exchange them")
    kind = to_dtype(dtype, floating=True)
    if not maxval - minval <= float(np.finfo(kind).max):
        raise ValueError(f"from minval, {minval}, to maxval, {maxval}, is more than {kind} can say")
    drawn = _drawing(seed).random(lengths, kind)
    values = drawn * kind.type(maxval - minval) + kind.type(minval)
    # Rounding may reach maxval, which does not belong to the interval.
    below = np.nextafter(kind.type(maxval), kind.type(minval))
    return wrap(np.asarray(np.minimum(values, below)))


def randint(
    shape: Shape | int, minval: int, maxval: int, dtype: DType = np.int32, seed: Seed = None
) -> Tensor:
    """A tensor of integers uniformly distributed in [minval, maxval).

    Parameters
    ----------
    shape : tuple of int, or int
    minval, maxval : int
    dtype : an integer type, default int32
    seed : int or SeedGenerator, optional
        Draw from a generator of this seed instead of the common one.

    Raises
    ------
    TypeError
        If `dtype` is no integer type.
    ValueError
        If `maxval` is not above `minval`, or one of them is beyond the type's numbers.

    Examples
    --------
    >>> import fastnn
    >>> sorted(set(fastnn.random.randint((100,), 0, 3).numpy().tolist()))
    [0, 1, 2]
    """
    kind = to_dtype(dtype)
    if kind.kind not in "iu":
        raise TypeError(f"dtype must be an integer type, got {dtype!r}; for floats use uniform")
    if maxval <= minval:
        raise ValueError(f"maxval is {maxval}; it must be above minval, {minval}")
    least, most = np.iinfo(kind).min, np.iinfo(kind).max
    if minval < least or maxval > most + 1:
        raise ValueError(
            f"{kind} holds integers from {least} to {most}, and these are to be from {minval} to "
            f"{maxval - 1}: pass dtype='int64', or nearer limits"
        )
    return wrap(np.asarray(_drawing(seed).integers(minval, maxval, to_shape(shape), kind)))


def shuffle(x: TensorLike, axis: int = 0, seed: Seed = None) -> Tensor:
    """x with its slices along `axis` in a random order.

    Examples
    --------
    >>> import fastnn
    >>> sorted(fastnn.random.shuffle([3, 1, 2]).numpy().tolist())
    [1, 2, 3]
    """
    tensor = convert(x)
    at = existing_axis("shuffle", tensor, axis)
    return take(tensor, order(tensor.shape[at], seed), at)


def order(length: int, seed: Seed = None) -> Array:
    """The integers below `length` (int64) in a random order."""
    key = _drawing(seed).integers(2**64, dtype=np.uint64)
    return _kernels.random_order(length, int(key))


set_seed = seed

__all__ = [
    "SeedGenerator",
    "normal",
    "randint",
    "seed",
    "set_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]

__getattr__ = refusal(
    __name__, __all__, {"dropout": "call a layer: layers.Dropout(rate)(x, training=True)"}
)
