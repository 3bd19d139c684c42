"""What changes variables in place: assignments, and the update rules of the optimizers.

They are not differentiable. The rules change a variable and its slots in one pass; every gradient
is checked against its variable before the first is applied.
"""

from __future__ import annotations

from fastnn import _kernels
from fastnn.arrays import Array
from fastnn.ops.core import Update, update
from fastnn.tensor import Index, Tensor, Variable, assignments


@update(chain="copy")
def _assign(w: Array, value: Array, index: Index) -> None:
    w[index] = value


@update(chain="add")
def _assign_add(w: Array, value: Array, index: Index) -> None:
    w[index] += value


@update(chain="subtract")
def _assign_sub(w: Array, value: Array, index: Index) -> None:
    w[index] -= value


def _enter(assignment: Update) -> None:
    """Make an update the meaning of Variable's method of that name."""

    def assign(w: Variable, value: Tensor, index: Index) -> None:
        assignment((w,), value, index=index)

    assignments[assignment.name] = assign


for _assignment in (_assign, _assign_add, _assign_sub):
    _enter(_assignment)


@update(kernel=True)
def _count(n: Array) -> None:
    _kernels.count_up(n)


@update(kernel=True)
def _accumulate(total: Array, value: Array, weight: float) -> None:
    _kernels.accumulate(total, value, weight)


@update(kernel=True)
def _sgd(w: Array, g: Array, learning_rate: Array) -> None:
    _kernels.sgd(w, g, learning_rate)


@update(kernel=True)
def _momentum(
    w: Array, velocity: Array, g: Array, learning_rate: Array, momentum: float, nesterov: bool
) -> None:
    _kernels.momentum(w, velocity, g, learning_rate, momentum, nesterov)


@update(kernel=True)
def _adagrad(w: Array, accumulator: Array, g: Array, learning_rate: Array, epsilon: float) -> None:
    _kernels.adagrad(w, accumulator, g, learning_rate, epsilon)


@update(kernel=True)
def _rmsprop(
    w: Array, velocity: Array, g: Array, learning_rate: Array, rho: float, epsilon: float
) -> None:
    _kernels.rmsprop(w, velocity, g, learning_rate, rho, epsilon)


@update(kernel=True)
def _adam(
    w: Array,
    momentum: Array,
    velocity: Array,
    g: Array,
    alpha: Array,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    _kernels.adam(w, momentum, velocity, g, alpha, beta_1, beta_2, epsilon)


def count(n: Variable) -> None:
    """n += 1, for an integer."""
    _count((n,))


def accumulate(total: Variable, value: Tensor, weight: float = 1.0) -> None:
    """total += value * weight, in float64; `value` is one float."""
    _accumulate((total,), value, weight=weight)


def sgd(w: Variable, g: Tensor, learning_rate: Tensor) -> None:
    """w -= learning_rate * g. Here and below the rate is of float64 and has shape ()."""
    _sgd((w,), g, learning_rate)


def momentum(
    w: Variable,
    velocity: Variable,
    g: Tensor,
    learning_rate: Tensor,
    momentum: float,
    nesterov: bool,
) -> None:
    """velocity = momentum * velocity - learning_rate * g; w += velocity, or with Nesterov's rule
    momentum * velocity - learning_rate * g.
    """
    _momentum((w, velocity), g, learning_rate, momentum=momentum, nesterov=nesterov)


def adagrad(
    w: Variable, accumulator: Variable, g: Tensor, learning_rate: Tensor, epsilon: float
) -> None:
    """accumulator += g^2; w -= learning_rate * g / sqrt(accumulator + epsilon)."""
    _adagrad((w, accumulator), g, learning_rate, epsilon=epsilon)


def rmsprop(
    w: Variable, velocity: Variable, g: Tensor, learning_rate: Tensor, rho: float, epsilon: float
) -> None:
    """velocity = rho * velocity + (1 - rho) * g^2; w -= learning_rate * g / sqrt(velocity + e)."""
    _rmsprop((w, velocity), g, learning_rate, rho=rho, epsilon=epsilon)


def adam(
    w: Variable,
    momentum: Variable,
    velocity: Variable,
    g: Tensor,
    alpha: Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """momentum += (g - momentum) * (1 - beta_1); velocity += (g^2 - velocity) * (1 - beta_2);
    w -= alpha * momentum / (sqrt(velocity) + epsilon).
    """
    betas = {"beta_1": beta_1, "beta_2": beta_2}
    _adam((w, momentum, velocity), g, alpha, epsilon=epsilon, **betas)
