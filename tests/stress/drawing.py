"""Random arguments of kernels: lengths, numbers of all sizes, and all ways to lie in memory."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]

# What has more digits.
WIDE = {np.float32: np.float64, np.float64: np.longdouble}


def shifted(x: Array, offset: int) -> Array:
    """A copy that begins so many bytes behind a line of the cache."""
    memory = np.empty(x.nbytes + offset + 64, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    y = memory[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


def apart(x: Array) -> Array:
    """A copy whose rows lie apart."""
    y = np.empty((*x.shape[:-1], x.shape[-1] + 5), x.dtype)[..., 2:-3]
    y[...] = x
    return y


def frozen(x: Array) -> Array:
    y = x.copy()
    y.flags.writeable = False
    return y


# Of an array of at least one axis.
LAYOUTS: list[Callable[[Array], Array]] = [
    np.array,
    frozen,
    apart,
    np.asfortranarray,
    lambda x: np.repeat(x, 2, -1)[..., ::2],
    lambda x: x[::-1].copy()[::-1],
    lambda x: shifted(x, 1),
    lambda x: x.astype(x.dtype.newbyteorder()),
]


class Draw:
    """Draws arguments of one dtype."""

    def __init__(self, rng: np.random.Generator, dtype: type[np.floating]) -> None:
        self.rng, self.dtype, self.info = rng, dtype, np.finfo(dtype)

    def length(self, most: int, least: int = 0) -> int:
        """Mostly short, often the length of some vectors or one off, seldom up to `most`."""
        kind = self.rng.random()
        if kind < 0.6:
            found = self.rng.integers(20)
        elif kind < 0.97:
            found = 16 * self.rng.integers(1, 5) + self.rng.integers(-1, 2)
        else:
            found = self.rng.integers(most + 1)
        return int(min(max(found, least), most))

    def shape(self, most: int = 20_000) -> Shape:
        """Of up to three axes, and seldom of many elements."""
        axes = int(self.rng.integers(4))
        return tuple(self.length((0, most, 40, 9)[axes]) for _ in range(axes))

    def matrix(self, longest: int = 3000, least: int = 0) -> Shape:
        """Rows and columns; least of the latter."""
        return self.length(40), self.length(longest, least)

    def numbers(self, shape: Shape, exponent: float = np.inf) -> Array:
        """Ordinary ones, or of all magnitudes up to 2^exponent, or with edge values among them."""
        exponent = min(exponent, self.info.maxexp)
        kind = self.rng.integers(4)
        x = np.asarray(self.rng.standard_normal(shape))
        if kind == 1:
            smallest = self.info.minexp - self.info.nmant
            x = np.asarray(np.ldexp(x, self.rng.integers(smallest, int(exponent) - 3, shape)))
        x = x.astype(self.dtype)
        if kind >= 2:
            share = 1 / max((1, *shape[-1:]))  # so that many rows have none
            edges = self.edges(exponent, kind == 3)
            x = np.where(self.rng.random(shape) < share, self.rng.choice(edges, shape), x)
        return np.asarray(x, self.dtype)

    def edges(self, exponent: float, special: bool) -> Array:
        """Zeros, the smallest and largest numbers and, where `special`, infinities and NaN."""
        info = self.info
        largest = float(info.max) if exponent >= info.maxexp else 2.0**exponent
        sizes = [0, info.smallest_subnormal, info.tiny * 0.75, info.tiny, info.eps, 1, largest]
        edges = np.array(sizes, self.dtype)
        specials = np.array([np.nan, np.inf, -np.inf] if special else [], self.dtype)
        return np.concatenate([edges, -edges, specials])

    def dense(self, x: Array) -> Array:
        """x in C order, from any element of a cache line on, as an output must be."""
        return shifted(x, int(self.rng.integers(16)) * x.itemsize)

    def laid(self, x: Array) -> Array:
        """x laid out in memory in any way that a kernel accepts."""
        if x.ndim == 0 or self.rng.random() < 0.5:
            return self.dense(x)
        return LAYOUTS[self.rng.integers(len(LAYOUTS))](x)

    def out(self, shape: Shape) -> Array | None:
        """None, or memory that holds NaN."""
        return None if self.rng.random() < 0.3 else self.dense(np.full(shape, np.nan, self.dtype))
