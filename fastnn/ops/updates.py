"""The update rules of the optimizers: each changes a variable and its slots in place, in one pass.

They are not differentiable. Every gradient is checked against its variable before the first is
applied.
"""

from __future__ import annotations

from fastnn import _kernels
from fastnn.tensor import Tensor, Variable


def sgd(w: Variable, g: Tensor, learning_rate: float) -> None:
    """w -= learning_rate * g."""
    _kernels.sgd(w.mutable(), g._array, learning_rate)


def momentum(
    w: Variable,
    velocity: Variable,
    g: Tensor,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
) -> None:
    """velocity = momentum * velocity - learning_rate * g; w += velocity, or with Nesterov's rule
    momentum * velocity - learning_rate * g.
    """
    _kernels.momentum(w.mutable(), velocity.mutable(), g._array, learning_rate, momentum, nesterov)


def adagrad(
    w: Variable, accumulator: Variable, g: Tensor, learning_rate: float, epsilon: float
) -> None:
    """accumulator += g^2; w -= learning_rate * g / sqrt(accumulator + epsilon)."""
    _kernels.adagrad(w.mutable(), accumulator.mutable(), g._array, learning_rate, epsilon)


def rmsprop(
    w: Variable, velocity: Variable, g: Tensor, learning_rate: float, rho: float, epsilon: float
) -> None:
    """velocity = rho * velocity + (1 - rho) * g^2; w -= learning_rate * g / sqrt(velocity + e)."""
    _kernels.rmsprop(w.mutable(), velocity.mutable(), g._array, learning_rate, rho, epsilon)


def adam(
    w: Variable,
    momentum: Variable,
    velocity: Variable,
    g: Tensor,
    alpha: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """momentum += (g - momentum) * (1 - beta_1); velocity += (g^2 - velocity) * (1 - beta_2);
    w -= alpha * momentum / (sqrt(velocity) + epsilon).
    """
    _kernels.adam(
        w.mutable(),
        momentum.mutable(),
        velocity.mutable(),
        g._array,
        alpha,
        beta_1,
        beta_2,
        epsilon,
    )
