"""Adadelta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from fastnn import ops
from fastnn.hyperparameters import fraction, positive
from fastnn.optimizers.base import Optimizer, Options, Rate
from fastnn.tensor import Tensor
from fastnn.variable import Variable


class Adadelta(Optimizer):
    """Steps as long as the recent ones, by running means of squared gradients and squared steps.

    a = rho * a + (1 - rho) * g^2; d = g * sqrt(s + e) / sqrt(a + e); s = rho * s + (1 - rho) * d^2;
    w -= learning_rate * d. Zeiler, "Adadelta: an adaptive learning rate method", 2012, which has no
    learning rate: that is learning_rate=1.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable, default 0.001
    rho : float in [0, 1], default 0.95
    epsilon : float, default 1e-7
        The e of the formula.
    **options
        As for `Optimizer`: weight_decay, clipnorm, use_ema...
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = fraction("rho", rho)
        self.epsilon = positive("epsilon", epsilon)

    @property
    def slots(self) -> Mapping[str, float]:
        """What is kept for each variable."""
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Change one variable."""
        gradients, steps = self.slots_of(variable)
        rho, new = self.rho, 1 - self.rho
        gradients.assign(rho * gradients.value + new * ops.square(gradient))
        length = ops.sqrt(steps.value + self.epsilon)
        step = gradient * length / ops.sqrt(gradients.value + self.epsilon)
        steps.assign(rho * steps.value + new * ops.square(step))
        variable.assign_sub(step * ops.cast(learning_rate, variable.dtype))
