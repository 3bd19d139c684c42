"""The kernels in pure Python: rows are lists of floats, and every element passes through a loop."""

from collections.abc import Iterator
from math import exp as e_to
from math import log as ln
from math import sqrt
from math import tanh as tangent
from typing import Any

import numpy as np

Row = list[float]
Matrix = list[Row]


def converted(x: Any) -> Any:
    """An array as a list, other arguments as they are."""
    return x.tolist() if isinstance(x, np.ndarray) else x


def result_like(x: Matrix, out: Matrix | None) -> Matrix:
    return [row[:] for row in x] if out is None else out


def positions(x: Matrix) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(len(x)) for j in range(len(x[i])))


def relu(x: Matrix, out: Matrix | None = None) -> Matrix:
    y = result_like(x, out)
    for i, row in enumerate(x):
        for j, value in enumerate(row):
            y[i][j] = value if value > 0.0 else 0.0
    return y


def exp(x: Matrix, out: Matrix | None = None) -> Matrix:
    y = result_like(x, out)
    for i, row in enumerate(x):
        for j, value in enumerate(row):
            y[i][j] = e_to(value)
    return y


def log(x: Matrix, out: Matrix | None = None) -> Matrix:
    y = result_like(x, out)
    for i, row in enumerate(x):
        for j, value in enumerate(row):
            y[i][j] = ln(value)
    return y


def tanh(x: Matrix, out: Matrix | None = None) -> Matrix:
    y = result_like(x, out)
    for i, row in enumerate(x):
        for j, value in enumerate(row):
            y[i][j] = tangent(value)
    return y


def tanh_grad(dy: Matrix, y: Matrix, out: Matrix | None = None) -> Matrix:
    dx = result_like(y, out)
    for i, row in enumerate(dy):
        for j, value in enumerate(row):
            dx[i][j] = value * (1.0 - y[i][j] ** 2)
    return dx


def sigmoid(x: Matrix, out: Matrix | None = None) -> Matrix:
    y = result_like(x, out)
    for i, row in enumerate(x):
        for j, value in enumerate(row):
            y[i][j] = 1.0 / (1.0 + e_to(-value))
    return y


def sigmoid_grad(dy: Matrix, y: Matrix, out: Matrix | None = None) -> Matrix:
    dx = result_like(y, out)
    for i, row in enumerate(dy):
        for j, value in enumerate(row):
            dx[i][j] = value * y[i][j] * (1.0 - y[i][j])
    return dx


def relu_grad(dy: Matrix, y: Matrix, out: Matrix | None = None) -> Matrix:
    dx = result_like(y, out)
    for i, row in enumerate(dy):
        for j, value in enumerate(row):
            dx[i][j] = value if y[i][j] > 0.0 else 0.0
    return dx


def add(x: Matrix, b: Matrix | Row, out: Matrix | None = None) -> Matrix:
    y = result_like(x, out)
    for i, row in enumerate(x):
        added = b[i] if isinstance(b[0], list) else b
        for j, value in enumerate(row):
            y[i][j] = value + added[j]
    return y


def add_grad(dy: Matrix, out: Row | None = None) -> Row:
    db = dy[0][:] if out is None else out
    for j in range(len(db)):
        db[j] = 0.0
    for row in dy:
        for j, value in enumerate(row):
            db[j] += value
    return db


def matmul(
    a: Matrix,
    b: Matrix,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Row | None = None,
    relu: bool = False,
    out: Matrix | None = None,
) -> Matrix:
    rows = transposed(a) if transpose_a else a
    columns = b if transpose_b else transposed(b)
    c = [[0.0] * len(columns) for _ in rows] if out is None else out
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            total = bias[j] if bias else 0.0
            for x, y in zip(row, column, strict=True):
                total += x * y
            c[i][j] = max(total, 0.0) if relu else total
    return c


def transposed(x: Matrix) -> Matrix:
    return [list(column) for column in zip(*x, strict=True)]


def softmax(x: Matrix, out: Matrix | None = None) -> Matrix:
    y = result_like(x, out)
    for i, row in enumerate(x):
        largest = max(row)
        total = 0.0
        for j, value in enumerate(row):
            y[i][j] = e_to(value - largest)
            total += y[i][j]
        for j in range(len(row)):
            y[i][j] /= total
    return y


def softmax_grad(dy: Matrix, y: Matrix, out: Matrix | None = None) -> Matrix:
    dx = result_like(y, out)
    for i, row in enumerate(dy):
        total = 0.0
        for j, value in enumerate(row):
            total += value * y[i][j]
        for j, value in enumerate(row):
            dx[i][j] = (value - total) * y[i][j]
    return dx


def softmax_cross_entropy(
    logits: Matrix,
    labels: list[int],
    dlogits: Matrix | None = None,
    dloss: Row | None = None,
    out: Row | None = None,
) -> Row:
    loss = [0.0] * len(logits) if out is None else out
    p = softmax(logits, dlogits)
    for i, label in enumerate(labels):
        loss[i] = -ln(p[i][label])
        p[i][label] -= 1.0
        if dloss:
            for j in range(len(p[i])):
                p[i][j] *= dloss[i]
    return loss


def gather(x: list[list[int]], rows: list[int], out: Matrix) -> Matrix:
    for i, row in enumerate(rows):
        for j, value in enumerate(x[row]):
            out[i][j] = float(value)
    return out


def sgd(w: Matrix, g: Matrix, learning_rate: float) -> None:
    for i, j in positions(w):
        w[i][j] -= learning_rate * g[i][j]


def momentum(
    w: Matrix,
    velocity: Matrix,
    g: Matrix,
    learning_rate: float,
    momentum: float,
    nesterov: bool = False,
) -> None:
    for i, j in positions(w):
        step = learning_rate * g[i][j]
        velocity[i][j] = momentum * velocity[i][j] - step
        w[i][j] += momentum * velocity[i][j] - step if nesterov else velocity[i][j]


def adagrad(
    w: Matrix, accumulator: Matrix, g: Matrix, learning_rate: float, epsilon: float
) -> None:
    for i, j in positions(w):
        accumulator[i][j] += g[i][j] ** 2
        w[i][j] -= learning_rate * g[i][j] / sqrt(accumulator[i][j] + epsilon)


def rmsprop(
    w: Matrix, velocity: Matrix, g: Matrix, learning_rate: float, rho: float, epsilon: float
) -> None:
    for i, j in positions(w):
        velocity[i][j] = rho * velocity[i][j] + (1.0 - rho) * g[i][j] ** 2
        w[i][j] -= learning_rate * g[i][j] / sqrt(velocity[i][j] + epsilon)


def adam(
    w: Matrix,
    momentum: Matrix,
    velocity: Matrix,
    g: Matrix,
    alpha: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    for i, j in positions(w):
        momentum[i][j] += (g[i][j] - momentum[i][j]) * (1.0 - beta_1)
        velocity[i][j] += (g[i][j] ** 2 - velocity[i][j]) * (1.0 - beta_2)
        w[i][j] -= alpha * momentum[i][j] / (sqrt(velocity[i][j]) + epsilon)
