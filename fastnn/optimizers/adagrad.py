"""Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from fastnn.hyperparameters import not_negative, positive
from fastnn.ops import updates
from fastnn.optimizers.base import Optimizer, Options, Rate
from fastnn.tensor import Tensor
from fastnn.variable import Variable


class Adagrad(Optimizer):
    """Steps that shrink with the sum of squared gradients: a += g^2; w -= learning_rate * g /
    sqrt(a + e).

    Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable, default 0.001
    initial_accumulator_value : float, default 0.1
        The start of a; not negative.
    epsilon : float, default 1e-7
        The e of the formula.
    **options
        As for `Optimizer`: weight_decay, clipnorm, use_ema...
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value = not_negative(
            "initial_accumulator_value", initial_accumulator_value
        )
        self.epsilon = positive("epsilon", epsilon)

    @property
    def slots(self) -> Mapping[str, float]:
        """What is kept for each variable."""
        return {"accumulator": self.initial_accumulator_value}

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Change one variable."""
        (accumulator,) = self.slots_of(variable)
        updates.adagrad((variable, accumulator), gradient, learning_rate, epsilon=self.epsilon)
