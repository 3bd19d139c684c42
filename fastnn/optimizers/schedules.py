"""Schedules: learning rates that follow the count of steps.

They compute with ops, in float64, so a compiled step follows them too. The formulas are Keras 3's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.configuration import Configurable, deserialize, serialize
from fastnn.hyperparameters import number, positive
from fastnn.optimizers.power import power
from fastnn.tensor import Tensor, TensorLike, convert

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]


class LearningRateSchedule(Configurable):
    """Base class of schedules, and of your own: ``__call__(step)`` gives the rate.

    An optimizer whose learning rate it is calls it with the steps made so far, an int64 tensor of
    shape (). Keep the constructor's arguments as attributes of the same name, and it can be saved.

    Examples
    --------
    >>> import fastnn
    >>> class Halving(fastnn.optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.5 ** fastnn.cast(step, "float64")
    >>> sgd = fastnn.optimizers.SGD(Halving())
    >>> w = fastnn.Variable(0.0)
    >>> for _ in range(3):
    ...     sgd.apply([-1.0], [w])
    >>> float(w)
    1.75
    """

    def __call__(self, step: Any) -> TensorLike:
        """The rate after so many steps."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, step)")


def _double(value: TensorLike) -> Tensor:
    return convert(value, np.float64)


def _periods(step: TensorLike, length: float, staircase: bool = False) -> Tensor:
    """How many periods have passed, whole ones alone if it is a staircase."""
    passed = _double(step) / _double(length)
    return ops.floor(passed) if staircase else passed


def _cosine(share: Tensor, alpha: float) -> Tensor:
    """From 1 to alpha along half a wave of the cosine, as the share goes from 0 to 1."""
    return (1 - alpha) * 0.5 * (1 + ops.cos(math.pi * share)) + alpha


@dataclass(eq=False, repr=False)
class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate^(step / decay_steps).

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Positive.
    decay_rate : float
        Positive.
    staircase : bool, default False
        Count whole periods of `decay_steps` alone.
    name : str, default "ExponentialDecay"

    Examples
    --------
    >>> import fastnn
    >>> halving = fastnn.optimizers.schedules.ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)
    >>> [float(halving(step)) for step in (0, 10, 20)]
    [0.1, 0.05, 0.025]
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False
    name: str = "ExponentialDecay"

    def __post_init__(self) -> None:
        positive("decay_steps", self.decay_steps)
        positive("decay_rate", self.decay_rate)

    def __call__(self, step: TensorLike) -> Tensor:
        """The rate after so many steps."""
        passed = _periods(step, self.decay_steps, self.staircase)
        return _double(self.initial_learning_rate) * power(self.decay_rate, passed)


@dataclass(eq=False, repr=False)
class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps).

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Positive.
    decay_rate : float
    staircase : bool, default False
        Count whole periods of `decay_steps` alone.
    name : str, default "InverseTimeDecay"
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False
    name: str = "InverseTimeDecay"

    def __post_init__(self) -> None:
        positive("decay_steps", self.decay_steps)

    def __call__(self, step: TensorLike) -> Tensor:
        """The rate after so many steps."""
        passed = _periods(step, self.decay_steps, self.staircase)
        return _double(self.initial_learning_rate) / (1 + _double(self.decay_rate) * passed)


@dataclass(eq=False, repr=False)
class PiecewiseConstantDecay(LearningRateSchedule):
    """One rate after another: the n-th up to and including the step that is the n-th boundary.

    Parameters
    ----------
    boundaries : list of int
        Increasing.
    values : list of float
        One more than there are boundaries.
    name : str, default "PiecewiseConstant"

    Examples
    --------
    >>> import fastnn
    >>> rate = fastnn.optimizers.schedules.PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.1])
    >>> [float(rate(step)) for step in (100, 101, 201)]
    [1.0, 0.5, 0.1]
    """

    boundaries: Sequence[float]
    values: Sequence[float]
    name: str = "PiecewiseConstant"

    def __post_init__(self) -> None:
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"values has {len(self.values)} entries and boundaries {len(self.boundaries)}; "
                "between n boundaries there are n + 1 values"
            )
        if any(not a < b for a, b in pairwise(self.boundaries)):
            raise ValueError(f"boundaries must increase, got {self.boundaries}")

    def __call__(self, step: TensorLike) -> Tensor:
        """The rate after so many steps."""
        now, rate = _double(step), _double(self.values[0])
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            rate = ops.where(now > _double(boundary), _double(value), rate)
        return rate


@dataclass(eq=False, repr=False)
class PolynomialDecay(LearningRateSchedule):
    """(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps)^power +
    end_learning_rate; after `decay_steps` it stays at the end.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Positive.
    end_learning_rate : float, default 0.0001
    power : float, default 1
    cycle : bool, default False
        Instead of staying go on with the smallest multiple of `decay_steps` not below the step.
    name : str, default "PolynomialDecay"
    """

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False
    name: str = "PolynomialDecay"

    def __post_init__(self) -> None:
        positive("decay_steps", self.decay_steps)

    def __call__(self, step: TensorLike) -> Tensor:
        """The rate after so many steps."""
        passed = _periods(step, self.decay_steps)
        if self.cycle:
            share = passed / ops.maximum(-ops.floor(-passed), 1.0)
        else:
            share = ops.minimum(passed, 1.0)
        left = 1 - share
        if self.power != 1:  # powers but 2 have no kernel
            left = left**self.power
        end = _double(self.end_learning_rate)
        return (_double(self.initial_learning_rate) - end) * left + end


@dataclass(eq=False, repr=False)
class CosineDecay(LearningRateSchedule):
    """From the initial rate down to alpha times as much, along half a wave of the cosine; before
    that, if asked for, in a straight line up to `warmup_target`, from where it then goes down.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        The steps of going down. Positive.
    alpha : float, default 0
    name : str, default "CosineDecay"
    warmup_target : float, optional
        Without it there is no warm-up.
    warmup_steps : int, default 0
        The steps of going up.

    Examples
    --------
    >>> import fastnn
    >>> rate = fastnn.optimizers.schedules.CosineDecay(
    ...     0.0, decay_steps=10, warmup_target=0.1, warmup_steps=5
    ... )
    >>> [round(float(rate(step)), 9) for step in (0, 1, 5, 10, 15, 99)]
    [0.0, 0.02, 0.1, 0.05, 0.0, 0.0]
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    name: str = "CosineDecay"
    warmup_target: float | None = None
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        positive("decay_steps", self.decay_steps)

    def __call__(self, step: TensorLike) -> Tensor:
        """The rate after so many steps."""
        now, start = _double(step), _double(self.initial_learning_rate)
        if self.warmup_target is None:
            return start * self._decay(now)
        target = _double(self.warmup_target)
        if not self.warmup_steps:
            return target * self._decay(now)
        up = start + (target - start) * (now / float(self.warmup_steps))
        down = target * self._decay(ops.maximum(now - float(self.warmup_steps), 0.0))
        return ops.where(now < float(self.warmup_steps), up, down)

    def _decay(self, now: Tensor) -> Tensor:
        return _cosine(ops.minimum(_periods(now, self.decay_steps), 1.0), self.alpha)


@dataclass(eq=False, repr=False)
class CosineDecayRestarts(LearningRateSchedule):
    """The cosine from the initial rate down to alpha times as much, again and again: each time it
    takes `t_mul` times as many steps, and begins `m_mul` times as high.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.

    Parameters
    ----------
    initial_learning_rate : float
    first_decay_steps : int
        Positive.
    t_mul : float, default 2
        1 or more.
    m_mul : float, default 1
    alpha : float, default 0
    name : str, default "SGDRDecay"
    """

    initial_learning_rate: float
    first_decay_steps: int
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0
    name: str = "SGDRDecay"

    def __post_init__(self) -> None:
        positive("first_decay_steps", self.first_decay_steps)
        if not 1 <= number(self.t_mul) < math.inf:
            raise ValueError(f"t_mul must be a number, 1 or more, got {self.t_mul!r}")

    def __call__(self, step: TensorLike) -> Tensor:
        """The rate after so many steps."""
        passed = _periods(step, self.first_decay_steps)
        if self.t_mul == 1:
            restarts = ops.floor(passed)
            share = passed - restarts
        else:
            # The restarts before are a geometric series.
            grown = ops.log(1 + passed * (self.t_mul - 1)) / math.log(self.t_mul)
            restarts = ops.floor(grown + 1e-9)  # a logarithm may fall just short of a whole number
            longer = _double(self.t_mul) ** restarts
            share = (passed - (longer - 1) / (self.t_mul - 1)) / longer
        height = _double(self.m_mul) ** restarts
        wave = height * _cosine(share, 0.0)
        return _double(self.initial_learning_rate) * ((1 - self.alpha) * wave + self.alpha)
