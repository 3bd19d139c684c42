"""Initializers: how weights start.

An initializer is called with a shape and a dtype, and gives a tensor. Those that are random draw
from the common generator, or from a seed's: an integer gives the same numbers at every call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from fastnn import random
from fastnn._kernels import wrap
from fastnn.arrays import DType, Shape, to_dtype, to_shape
from fastnn.configuration import Configurable, serialize
from fastnn.hyperparameters import not_negative, positive
from fastnn.lookup import classes_of, deserializer, resolve
from fastnn.random import Seed
from fastnn.tensor import Tensor, TensorLike, convert, operators, to_array
from fastnn.tensor import ones as tensor_of_ones
from fastnn.tensor import zeros as tensor_of_zeros

Start: TypeAlias = Callable[..., Any]  # from a shape and a dtype to values

TRUNCATED = 0.87962566103423978  # the standard deviation of a normal cut at 2 and -2


class Initializer(Configurable):
    """Base class: a subclass defines ``__call__(shape, dtype=None)``.

    Examples
    --------
    >>> import fastnn
    >>> class Halves(fastnn.initializers.Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return 0.5 * fastnn.ones(shape, dtype)
    >>> layer = fastnn.layers.Dense(2, kernel_initializer=Halves())
    """

    def __call__(self, shape: Shape, dtype: DType = None) -> Tensor:
        """The first values of a weight; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype=None)")


class Zeros(Initializer):
    """0 everywhere."""

    def __call__(self, shape: Shape, dtype: DType = None) -> Tensor:
        return tensor_of_zeros(shape, dtype)


class Ones(Initializer):
    """1 everywhere."""

    def __call__(self, shape: Shape, dtype: DType = None) -> Tensor:
        return tensor_of_ones(shape, dtype)


class Constant(Initializer):
    """A number everywhere, or given values.

    Parameters
    ----------
    value : number or array, default 0.0

    Raises
    ------
    ValueError
        On a call, if the values do not stretch to the shape.
    """

    def __init__(self, value: TensorLike = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: DType = None) -> Tensor:
        values, lengths = to_array(self.value), to_shape(shape)
        try:
            filled = np.broadcast_to(values, lengths)
        except ValueError:
            raise ValueError(
                f"the initial values have shape {values.shape} and the weight {lengths}; they must "
                "be equal: transpose or reshape the values"
            ) from None
        return wrap(filled.astype(to_dtype(dtype)))


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere.

    Parameters
    ----------
    gain : float, default 1.0

    Raises
    ------
    ValueError
        When called, if the shape has not two axes.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: DType = None) -> Tensor:
        lengths = to_shape(shape)
        if len(lengths) != 2:
            raise ValueError(f"Identity makes matrices, not weights of shape {lengths}")
        kind = to_dtype(dtype)
        return wrap(np.eye(*lengths, dtype=kind) * kind.type(self.gain))


class _Random(Initializer):
    def __init__(self, seed: Seed = None) -> None:
        self.seed = random.checked_seed(seed)


class RandomNormal(_Random):
    """Normal.

    Parameters
    ----------
    mean, stddev : float, default 0.0 and 0.05
    seed : int or SeedGenerator, optional
        With an integer every call gives the same values.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = not_negative("stddev", stddev)

    def __call__(self, shape: Shape, dtype: DType = None) -> Tensor:
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)


class TruncatedNormal(RandomNormal):
    """Normal, without what is more than two `stddev` from the mean; arguments as `RandomNormal`."""

    def __call__(self, shape: Shape, dtype: DType = None) -> Tensor:
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


class RandomUniform(_Random):
    """Uniform in [minval, maxval).

    Parameters
    ----------
    minval, maxval : float, default -0.05 and 0.05
    seed : int or SeedGenerator, optional
        With an integer every call gives the same values.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape: Shape, dtype: DType = None) -> Tensor:
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)


class VarianceScaling(_Random):
    """Random with mean 0 and variance scale / n, n being a number of connections.

    Parameters
    ----------
    scale : float, default 1.0
        Positive.
    mode : "fan_in" (default), "fan_out" or "fan_avg"
        n is the number of inputs, of outputs, or the mean of both: the last two lengths of the
        shape, times those before.
    distribution : "truncated_normal" (default, also called "normal"), "untruncated_normal" or
        "uniform"
    seed : int or SeedGenerator, optional
        With an integer every call gives the same values.
    input_axes, output_axes : list of int, optional
        Both: the axes whose lengths make up the inputs and the outputs.

    Raises
    ------
    ValueError
        If an argument is something else.

    Examples
    --------
    >>> import fastnn
    >>> start = fastnn.initializers.VarianceScaling(3.0, distribution="uniform", seed=1)
    >>> w = start((400, 100)).numpy()
    >>> print(abs(w).max().round(3))  # sqrt(3 * 3 / 400)
    0.15
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        modes = ("fan_in", "fan_out", "fan_avg")
        if mode not in modes:
            raise ValueError(f"mode must be one of {', '.join(modes)}, got {mode!r}")
        kind = "truncated_normal" if distribution == "normal" else distribution
        kinds = ("truncated_normal", "untruncated_normal", "uniform")
        if kind not in kinds:
            raise ValueError(f"distribution must be one of {', '.join(kinds)}, got {kind!r}")
        self.scale = positive("scale", scale)
        self.mode = mode
        self.distribution = kind
        if (input_axes is None) != (output_axes is None):
            raise ValueError("give both input_axes and output_axes, or neither")
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape: Shape, dtype: DType = None) -> Tensor:
        inputs, outputs = self._fans(to_shape(shape))
        n = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode]
        variance = self.scale / max(1, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        stddev = math.sqrt(variance)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, stddev, dtype, self.seed)
        return random.truncated_normal(shape, 0.0, stddev / TRUNCATED, dtype, self.seed)

    def _fans(self, shape: Shape) -> tuple[int, int]:
        """The numbers of inputs and of outputs."""
        if self.input_axes is not None and self.output_axes is not None:  # both, or neither
            inputs = math.prod(shape[axis] for axis in self.input_axes)
            return inputs, math.prod(shape[axis] for axis in self.output_axes)
        if len(shape) < 2:
            return math.prod(shape), math.prod(shape)
        field = math.prod(shape[:-2])
        return field * shape[-2], field * shape[-1]


class _Published(VarianceScaling):
    """A choice of scale, mode and distribution that has a name."""

    choice: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: Seed = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.choice, seed, input_axes, output_axes)


class GlorotUniform(_Published):
    """Uniform in +-sqrt(6 / (inputs + outputs)).

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    2010, equation 16. Arguments as the last three of `VarianceScaling`.

    Examples
    --------
    >>> import fastnn
    >>> w = fastnn.initializers.GlorotUniform()((784, 512))
    >>> bool(abs(w.numpy()).max() <= 0.068042)
    True
    """

    choice = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Published):
    """Truncated normal with standard deviation sqrt(2 / (inputs + outputs)).

    Source and arguments as for `GlorotUniform`.
    """

    choice = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Published):
    """Uniform in +-sqrt(6 / inputs).

    He et al., "Delving deep into rectifiers", 2015. Arguments as for `GlorotUniform`.
    """

    choice = (2.0, "fan_in", "uniform")


class HeNormal(_Published):
    """Truncated normal with standard deviation sqrt(2 / inputs).

    Source and arguments as for `HeUniform`.
    """

    choice = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Published):
    """Uniform in +-sqrt(3 / inputs).

    LeCun et al., "Efficient BackProp", 1998. Arguments as for `GlorotUniform`.
    """

    choice = (1.0, "fan_in", "uniform")


class LecunNormal(_Published):
    """Truncated normal with standard deviation sqrt(1 / inputs).

    Source and arguments as for `LecunUniform`.
    """

    choice = (1.0, "fan_in", "truncated_normal")


class Orthogonal(_Random):
    """`gain` times a random matrix whose rows, or columns, are orthonormal.

    Of more axes than two, all but the last are taken as one. Saxe et al., "Exact solutions to the
    nonlinear dynamics of learning in deep linear neural networks", 2014.

    Parameters
    ----------
    gain : float, default 1.0
    seed : int or SeedGenerator, optional
        With an integer every call gives the same values.

    Raises
    ------
    ValueError
        When called, if the shape has fewer than two axes.
    """

    def __init__(self, gain: float = 1.0, seed: Seed = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: DType = None) -> Tensor:
        lengths = to_shape(shape)
        if len(lengths) < 2:
            raise ValueError(f"Orthogonal needs a shape of two axes or more, got {lengths}")
        rows, columns = math.prod(lengths[:-1]), lengths[-1]
        drawn = random.normal(
            (max(rows, columns), min(rows, columns)), dtype=np.float64, seed=self.seed
        )
        q, r = np.linalg.qr(drawn.numpy())
        # Of all such matrices each is then as likely as any other.
        q = np.where(np.diag(r) < 0, -q, q)
        values = self.gain * (q.T if rows < columns else q)
        return wrap(values.reshape(lengths).astype(to_dtype(dtype, floating=True)))


zeros, ones, constant = Zeros, Ones, Constant
identity = IdentityInitializer = Identity
orthogonal = OrthogonalInitializer = Orthogonal
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling = VarianceScaling
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform

_NAMES = {
    **classes_of(vars(), Initializer),
    "normal": RandomNormal,
    "one": Ones,
    "uniform": RandomUniform,
    "zero": Zeros,
}


def get(identifier: Any) -> Any:
    """An initializer by name, class or configuration, or the callable itself; None for None.

    A tensor or array stands for `Constant`.
    """
    if identifier is None:
        return None
    if isinstance(identifier, Tensor | np.ndarray):
        return Constant(identifier)
    return resolve("initializer", identifier, _NAMES)


deserialize = deserializer(get)


def _initial_value(initializer: Any, shape: Shape, dtype: DType) -> Tensor:
    return convert(get(initializer)(to_shape(shape), to_dtype(dtype)), dtype)


operators["initial_value"] = _initial_value

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]
