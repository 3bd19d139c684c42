"""Adamax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from fastnn import ops
from fastnn.hyperparameters import fraction, positive
from fastnn.optimizers.base import Optimizer, Options, Rate
from fastnn.optimizers.power import power
from fastnn.tensor import Tensor
from fastnn.variable import Variable


class Adamax(Optimizer):
    """Adam with the largest recent gradient in the place of the mean square.

    m += (g - m) * (1 - beta_1); u = max(beta_2 * u, |g|); w -= a * m / (u + e), with a =
    learning_rate / (1 - beta_1^t) at the t-th step. Kingma and Ba, "Adam: a method for stochastic
    optimization", 2014, section 7.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable, default 0.001
    beta_1 : float in [0, 1), default 0.9
    beta_2 : float in [0, 1), default 0.999
    epsilon : float, default 1e-7
        The e of the formula.
    **options
        As for `Optimizer`: weight_decay, clipnorm, use_ema...
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = fraction("beta_1", beta_1, below_one=True)
        self.beta_2 = fraction("beta_2", beta_2, below_one=True)
        self.epsilon = positive("epsilon", epsilon)

    def update_all(
        self, gradients: Sequence[Tensor], variables: Sequence[Variable], learning_rate: Tensor
    ) -> None:
        """One step for all variables, with the rate corrected for the bias of early means."""
        correction = 1 - power(self.beta_1, self._steps_with_this())
        super().update_all(gradients, variables, learning_rate / correction)

    @property
    def slots(self) -> Mapping[str, float]:
        """What is kept for each variable."""
        return {"momentum": 0.0, "norm": 0.0}

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Change one variable; the rate is the a of the formula."""
        momentum, norm = self.slots_of(variable)
        momentum.assign_add((gradient - momentum.value) * (1 - self.beta_1))
        norm.assign(ops.maximum(self.beta_2 * norm.value, ops.abs(gradient)))
        step = momentum.value * ops.cast(learning_rate, variable.dtype)
        variable.assign_sub(step / (norm.value + self.epsilon))
