"""What changes variables in place: assignments, and the update rules of the optimizers.

They are not differentiable. The rules change a variable and its slots in one pass; every gradient
is checked against its variable before the first is applied.
"""

from __future__ import annotations

from collections.abc import Callable

from fastnn import _kernels
from fastnn.arrays import Array
from fastnn.ops.core import update
from fastnn.tensor import Index, TensorLike, convert
from fastnn.variable import assignments


@update(chain="copy")
def _assign(w: Array, value: Array, index: Index = ...) -> None:
    w[index] = value


@update(chain="add")
def _assign_add(w: Array, value: Array, index: Index = ...) -> None:
    w[index] += value


@update(chain="subtract")
def _assign_sub(w: Array, value: Array, index: Index = ...) -> None:
    w[index] -= value


assignments.update({op.name: op for op in (_assign, _assign_add, _assign_sub)})


@update()
def ask(answer: Array, question: Callable[[], TensorLike]) -> None:
    """answer = question(), one number: of a program in each run."""
    answer[...] = convert(question(), answer.dtype)._array


@update(kernel=True)
def count(n: Array) -> None:
    """n += 1, for an integer."""
    _kernels.count_up(n)


@update(kernel=True)
def accumulate(total: Array, value: Array, weight: float = 1.0) -> None:
    """total += value * weight, in float64; `value` is one float."""
    _kernels.accumulate(total, value, weight)


@update(kernel=True)
def sgd(w: Array, g: Array, learning_rate: Array) -> None:
    """w -= learning_rate * g. Here and below the rate is of float64 and has shape ()."""
    _kernels.sgd(w, g, learning_rate)


@update(kernel=True)
def momentum(
    w: Array, velocity: Array, g: Array, learning_rate: Array, momentum: float, nesterov: bool
) -> None:
    """velocity = momentum * velocity - learning_rate * g; w += velocity, or with Nesterov's rule
    momentum * velocity - learning_rate * g.
    """
    _kernels.momentum(w, velocity, g, learning_rate, momentum, nesterov)


@update(kernel=True)
def adagrad(w: Array, accumulator: Array, g: Array, learning_rate: Array, epsilon: float) -> None:
    """accumulator += g^2; w -= learning_rate * g / sqrt(accumulator + epsilon)."""
    _kernels.adagrad(w, accumulator, g, learning_rate, epsilon)


@update(kernel=True)
def rmsprop(
    w: Array, velocity: Array, g: Array, learning_rate: Array, rho: float, epsilon: float
) -> None:
    """velocity = rho * velocity + (1 - rho) * g^2; w -= learning_rate * g / sqrt(velocity + e)."""
    _kernels.rmsprop(w, velocity, g, learning_rate, rho, epsilon)


@update(kernel=True)
def adam(
    w: Array,
    momentum: Array,
    velocity: Array,
    g: Array,
    alpha: Array,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """momentum += (g - momentum) * (1 - beta_1); velocity += (g^2 - velocity) * (1 - beta_2);
    w -= alpha * momentum / (sqrt(velocity) + epsilon).
    """
    _kernels.adam(w, momentum, velocity, g, alpha, beta_1, beta_2, epsilon)
