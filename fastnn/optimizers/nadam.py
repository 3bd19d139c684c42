"""Nadam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

import numpy as np

from fastnn import ops
from fastnn.hyperparameters import fraction, positive
from fastnn.optimizers.base import Optimizer, Options, Rate
from fastnn.optimizers.power import power
from fastnn.tensor import Tensor
from fastnn.variable import Variable


class Nadam(Optimizer):
    """Adam with Nesterov's momentum, which grows from step to step.

    u_t = beta_1 * (1 - 0.96^t / 2); p_t = u_1 u_2 ... u_t; m and v as in Adam; w -= learning_rate *
    (u_(t+1) * m / (1 - p_(t+1)) + (1 - u_t) * g / (1 - p_t)) / (sqrt(v / (1 - beta_2^t)) + e) at
    the t-th step. Dozat, "Incorporating Nesterov momentum into Adam", 2016.

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
        self._product = self.add_variable((), "ones", np.float64, "u_product")

    @property
    def slots(self) -> Mapping[str, float]:
        """What is kept for each variable."""
        return {"momentum": 0.0, "velocity": 0.0}

    def update_all(
        self, gradients: Sequence[Tensor], variables: Sequence[Variable], learning_rate: Tensor
    ) -> None:
        """One step for all variables."""
        t = self._steps_with_this()
        now, following = self._momentum(t), self._momentum(t + 1)
        product = self._product.value * now
        of_momentum = learning_rate * following / (1 - product * following)
        of_gradient = learning_rate * (1 - now) / (1 - product)
        correction = 1 / (1 - power(self.beta_2, t))
        for g, w in zip(gradients, variables, strict=True):
            momentum, velocity = self.slots_of(w)
            momentum.assign_add((g - momentum.value) * (1 - self.beta_1))
            velocity.assign_add((ops.square(g) - velocity.value) * (1 - self.beta_2))
            step = momentum.value * ops.cast(of_momentum, w.dtype)
            step = step + g * ops.cast(of_gradient, w.dtype)
            root = ops.sqrt(velocity.value * ops.cast(correction, w.dtype))
            w.assign_sub(step / (root + self.epsilon))
        self._product.assign(product)

    def _momentum(self, t: Tensor) -> Tensor:
        return self.beta_1 * (1 - 0.5 * power(0.96, t))
