"""Gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from fastnn.hyperparameters import fraction
from fastnn.ops import updates
from fastnn.optimizers.base import Optimizer, Options, Rate
from fastnn.tensor import Tensor
from fastnn.variable import Variable


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    Without momentum w -= learning_rate * g. With it v = momentum * v - learning_rate * g and w +=
    v, or, with Nesterov's rule, w += momentum * v - learning_rate * g.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable, default 0.01
    momentum : float in [0, 1], default 0
    nesterov : bool, default False
    **options
        As for `Optimizer`: weight_decay, clipnorm, use_ema...

    Raises
    ------
    ValueError
        If a number is outside its range.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.momentum = fraction("momentum", momentum)
        self.nesterov = nesterov

    @property
    def slots(self) -> Mapping[str, float]:
        """What is kept for each variable."""
        return {"momentum": 0.0} if self.momentum else {}

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Change one variable."""
        if not self.momentum:
            updates.sgd((variable,), gradient, learning_rate)
            return
        (velocity,) = self.slots_of(variable)
        rule = {"momentum": self.momentum, "nesterov": self.nesterov}
        updates.momentum((variable, velocity), gradient, learning_rate, **rule)
