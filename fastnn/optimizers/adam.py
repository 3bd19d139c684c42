"""Adam, and the same with weight decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from fastnn import ops
from fastnn.hyperparameters import fraction, not_negative, positive
from fastnn.ops import updates
from fastnn.optimizers.base import Optimizer, Options, OtherOptions, Rate
from fastnn.optimizers.power import power
from fastnn.tensor import Tensor
from fastnn.variable import Variable


class Adam(Optimizer):
    """Steps along a running mean of gradients, scaled by one of their squares.

    m += (g - m) * (1 - beta_1); v += (g^2 - v) * (1 - beta_2); w -= a * m / (sqrt(v) + e), with
    a = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) at the t-th step. Kingma and Ba, "Adam:
    a method for stochastic optimization", 2014. With amsgrad the largest v so far takes the place
    of v in the last formula: Reddi, Kale and Kumar, "On the convergence of Adam and beyond", 2018.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable, default 0.001
    beta_1 : float in [0, 1), default 0.9
    beta_2 : float in [0, 1), default 0.999
    epsilon : float, default 1e-7
        The e of the formula.
    amsgrad : bool, default False
    **options
        As for `Optimizer`: weight_decay, clipnorm, use_ema...
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = fraction("beta_1", beta_1, below_one=True)
        self.beta_2 = fraction("beta_2", beta_2, below_one=True)
        self.epsilon = positive("epsilon", epsilon)
        self.amsgrad = amsgrad

    @property
    def slots(self) -> Mapping[str, float]:
        """What is kept for each variable."""
        peaks = ["velocity_hat"] * bool(self.amsgrad)
        return dict.fromkeys(["momentum", "velocity", *peaks], 0.0)

    def update_all(
        self, gradients: Sequence[Tensor], variables: Sequence[Variable], learning_rate: Tensor
    ) -> None:
        """One step for all variables, with the rate corrected for the bias of early means."""
        t = self._steps_with_this()
        correction = ops.sqrt(1 - power(self.beta_2, t)) / (1 - power(self.beta_1, t))
        super().update_all(gradients, variables, learning_rate * correction)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Change one variable; the rate is the a of the formula."""
        momentum, velocity, *peaks = self.slots_of(variable)
        if not peaks:
            rule = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
            updates.adam((variable, momentum, velocity), gradient, learning_rate, **rule)
            return
        momentum.assign_add((gradient - momentum.value) * (1 - self.beta_1))
        velocity.assign_add((ops.square(gradient) - velocity.value) * (1 - self.beta_2))
        peaks[0].assign(ops.maximum(peaks[0].value, velocity.value))
        step = momentum.value * ops.cast(learning_rate, variable.dtype)
        variable.assign_sub(step / (ops.sqrt(peaks[0].value) + self.epsilon))


class AdamW(Adam):
    """Adam with weight decay: before each step w -= w * weight_decay * learning_rate.

    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable, default 0.001
    weight_decay : float, default 0.004
    beta_1, beta_2, epsilon, amsgrad
        As for `Adam`.
    **options
        As for `Optimizer`: clipnorm, use_ema...
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[OtherOptions],
    ) -> None:
        decay = not_negative("weight_decay", weight_decay)
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=decay, **options
        )
