"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from fastnn import ops
from fastnn.hyperparameters import fraction, positive
from fastnn.ops import updates
from fastnn.optimizers.base import Optimizer, Options, Rate
from fastnn.tensor import Tensor
from fastnn.variable import Variable


class RMSprop(Optimizer):
    """Steps scaled by a running mean of squared gradients: v = rho * v + (1 - rho) * g^2;
    w -= learning_rate * g / sqrt(v + e).

    Centered, v is less the square of the running mean of gradients. With momentum, m = momentum * m
    + learning_rate * g / sqrt(v + e) and w -= m. Tieleman and Hinton, "Lecture 6.5 - rmsprop",
    2012. As in Keras 3, e stands under the root; TensorFlow 2's Keras and PyTorch have it outside.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable, default 0.001
    rho : float in [0, 1], default 0.9
    momentum : float in [0, 1], default 0
    epsilon : float, default 1e-7
        The e of the formula.
    centered : bool, default False
    **options
        As for `Optimizer`: weight_decay, clipnorm, use_ema...
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = fraction("rho", rho)
        self.momentum = fraction("momentum", momentum)
        self.epsilon = positive("epsilon", epsilon)
        self.centered = centered

    @property
    def slots(self) -> Mapping[str, float]:
        """What is kept for each variable."""
        means = ["average_gradient"] * bool(self.centered)
        return dict.fromkeys(["velocity", *["momentum"] * bool(self.momentum), *means], 0.0)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Change one variable."""
        velocity, *more = self.slots_of(variable)
        if not more:
            rule = {"rho": self.rho, "epsilon": self.epsilon}
            updates.rmsprop((variable, velocity), gradient, learning_rate, **rule)
            return
        rho, new = self.rho, 1 - self.rho
        velocity.assign(rho * velocity.value + new * ops.square(gradient))
        square = velocity.value
        if self.centered:
            mean = more[-1]
            mean.assign(rho * mean.value + new * gradient)
            square = square - ops.square(mean.value)
        rate = ops.cast(learning_rate, variable.dtype)
        step = rate * gradient / ops.sqrt(square + self.epsilon)
        if self.momentum:
            more[0].assign(self.momentum * more[0].value + step)
            step = more[0].value
        variable.assign_sub(step)
