"""A network of two dense layers trained by gradient descent, hand-written in NumPy for speed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rivals.numpy_kernels import add_grad, matmul, relu_grad, softmax_cross_entropy

Array = NDArray[Any]


class Network:
    """relu(x @ w1 + b1) @ w2 + b2, with the softmax in the loss.

    Parameters
    ----------
    weights : w1, b1, w2, b2
        The start, which is copied.
    batch : int
        The largest number of samples in a step: all memory is allocated here, once.
    """

    def __init__(self, weights: Sequence[Array], batch: int) -> None:
        self.weights = [w.copy() for w in weights]
        self.gradients = [np.empty_like(w) for w in weights]
        w1, _, w2, _ = weights
        widths = (w1.shape[0], w1.shape[1], w1.shape[1], w2.shape[1], w2.shape[1])
        self.buffers = [np.empty((batch, width), w1.dtype) for width in widths]
        self.losses = np.empty(batch, w1.dtype)
        self.batch = batch

    def fit(self, x: Array, y: Array, rate: float, random: np.random.Generator) -> float:
        """One epoch over samples in a new order; the mean loss, each batch before its update."""
        order = random.permutation(len(x))
        batches = (order[at : at + self.batch] for at in range(0, len(x), self.batch))
        return sum(self.step(x, y, rows, rate) for rows in batches) / len(x)

    def step(self, x: Array, y: Array, rows: Array, rate: float) -> float:
        """One update; the sum of the losses before it."""
        n = len(rows)
        images, hidden, dhidden, logits, dlogits = (buffer[:n] for buffer in self.buffers)
        w1, b1, w2, b2 = self.weights
        dw1, db1, dw2, db2 = self.gradients
        # Only in this mode does take write to `out` without a copy between.
        np.take(x, rows, axis=0, out=images, mode="clip")
        matmul(images, w1, bias=b1, relu=True, out=hidden)
        matmul(hidden, w2, bias=b2, out=logits)
        losses = softmax_cross_entropy(logits, y[rows], dlogits=dlogits, out=self.losses[:n])
        # With the rate in here every gradient is a step, ready to be subtracted.
        dlogits *= rate / n
        matmul(hidden, dlogits, transpose_a=True, out=dw2)
        add_grad(dlogits, out=db2)
        matmul(dlogits, w2, transpose_b=True, out=dhidden)
        relu_grad(dhidden, hidden, out=dhidden)
        matmul(images, dhidden, transpose_a=True, out=dw1)
        add_grad(dhidden, out=db1)
        for w, step in zip(self.weights, self.gradients, strict=True):
            w -= step
        return float(losses.sum())

    def predict(self, x: Array) -> Array:
        """The logits."""
        w1, b1, w2, b2 = self.weights
        return matmul(matmul(x, w1, bias=b1, relu=True), w2, bias=b2)
