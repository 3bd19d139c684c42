"""The network of rivals/numpy_mnist.py on fastnn's kernels, called from Python."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._kernels import CompressedRows, add_grad, matmul, sgd, softmax_cross_entropy

Array = NDArray[Any]


class Network:
    """relu(x @ w1 + b1) @ w2 + b2, with the softmax in the loss.

    Parameters
    ----------
    weights : w1, b1, w2, b2
        The start, which is copied.
    batch : int
        The number of samples in a step: all memory is allocated here, once.
    """

    def __init__(self, weights: Sequence[Array], batch: int) -> None:
        self.weights = [w.copy() for w in weights]
        self.gradients = [np.empty_like(w) for w in weights]
        w1, _, w2, _ = weights
        widths = (w1.shape[0], w1.shape[1], w2.shape[1], w2.shape[1], w1.shape[1])
        self.buffers = [np.empty((batch, width), w1.dtype) for width in widths]
        self.losses = np.empty(batch, w1.dtype)
        self.shares = np.full(batch, 1 / batch, w1.dtype)

    def step(self, x: Array, y: Array, rows: Array, rate: float) -> float:
        """One update; the sum of the losses before it."""
        images, *_, dhidden = self.buffers
        # Only in this mode does take write to `out` without a copy between.
        np.take(x, rows, axis=0, out=images, mode="clip")
        self.propagate(images, y[rows])
        matmul(images, dhidden, transpose_a=True, out=self.gradients[0])
        for w, gradient in zip(self.weights, self.gradients, strict=True):
            sgd(w, gradient, rate)
        return float(self.losses.sum())

    def propagate(self, images: Array | CompressedRows, labels: Array) -> None:
        """All losses and gradients but that of w1."""
        _, hidden, logits, dlogits, dhidden = self.buffers
        w1, b1, w2, b2 = self.weights
        _, db1, dw2, db2 = self.gradients
        matmul(images, w1, bias=b1, relu=True, out=hidden)
        matmul(hidden, w2, bias=b2, out=logits)
        softmax_cross_entropy(logits, labels, dlogits=dlogits, dloss=self.shares, out=self.losses)
        matmul(hidden, dlogits, transpose_a=True, out=dw2)
        add_grad(dlogits, out=db2)
        matmul(dlogits, w2, transpose_b=True, mask=hidden, out=dhidden)
        add_grad(dhidden, out=db1)


class SparseNetwork(Network):
    """The same network for images without their zeros, which the product updates w1 for."""

    def step(self, x: CompressedRows, y: Array, rows: Array, rate: float) -> float:
        """One update; the sum of the losses before it."""
        images, dhidden = x[rows], self.buffers[-1]
        self.propagate(images, y[rows])
        w1, *weights = self.weights
        matmul(images, dhidden, transpose_a=True, out=w1, alpha=-rate, accumulate=True)
        for w, gradient in zip(weights, self.gradients[1:], strict=True):
            sgd(w, gradient, rate)
        return float(self.losses.sum())
