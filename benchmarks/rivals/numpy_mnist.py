"""A network of dense layers trained by gradient descent, hand-written in NumPy for speed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rivals.numpy_kernels import add_grad, matmul, relu_grad, softmax, softmax_cross_entropy

Array = NDArray[Any]


class Network:
    """Dense layers with relu between them; classes with the softmax in the loss, or one number.

    Parameters
    ----------
    weights : w1, b1, w2, b2, ...
        The start, which is copied.
    batch : int
        The largest number of samples in a step: all memory is allocated here, once.
    """

    def __init__(self, weights: Sequence[Array], batch: int) -> None:
        self.weights = [w.copy() for w in weights]
        self.gradients = [np.empty_like(w) for w in weights]
        widths = [len(weights[0]), *map(len, weights[1::2])]
        self.inputs, *self.outputs = (np.empty((batch, n), weights[0].dtype) for n in widths)
        self.doutputs = [np.empty_like(output) for output in self.outputs]
        self.losses = np.empty(batch, weights[0].dtype)
        self.loss = softmax_cross_entropy if widths[-1] > 1 else squared_error

    def fit(self, x: Array, y: Array, order: Array, rate: float) -> float:
        """One epoch; the mean loss, each batch before its update."""
        batch = len(self.inputs)
        batches = (order[at : at + batch] for at in range(0, len(order), batch))
        return sum(self.step(x, y, rows, rate) for rows in batches) / len(order)

    def step(self, x: Array, y: Array, rows: Array, rate: float) -> float:
        """One update; the sum of the losses before it."""
        # Only in this mode does take write to `out` without a copy between.
        inputs = np.take(x, rows, axis=0, out=self.inputs[: len(rows)], mode="clip")
        return self.learn(inputs, y[rows], rate) * len(rows)

    def learn(self, x: Array, y: Array, rate: float) -> float:
        """One update; the mean loss before it."""
        n = len(x)
        outputs = [output[:n] for output in self.outputs]
        doutputs = [doutput[:n] for doutput in self.doutputs]
        self.forward(x, outputs)
        losses = self.loss(outputs[-1], y, doutputs[-1], out=self.losses[:n])
        # With the rate in here every gradient is a step, ready to be subtracted.
        doutputs[-1] *= rate / n
        self.backward([x, *outputs], doutputs)
        for w, step in zip(self.weights, self.gradients, strict=True):
            w -= step
        return float(losses.sum()) / n

    def forward(self, x: Array, outputs: Sequence[Array | None]) -> Array:
        """The last layer's output; `outputs` are where those of all layers go."""
        last = len(outputs) - 1
        for i, out in enumerate(outputs):
            w, b = self.weights[2 * i : 2 * i + 2]
            x = matmul(x, w, bias=b, relu=i < last, out=out)
        return x

    def backward(self, inputs: Sequence[Array], doutputs: Sequence[Array]) -> None:
        """All gradients, from that of the last layer's output."""
        for i in reversed(range(len(doutputs))):
            matmul(inputs[i], doutputs[i], transpose_a=True, out=self.gradients[2 * i])
            add_grad(doutputs[i], out=self.gradients[2 * i + 1])
            if i > 0:
                dx = matmul(doutputs[i], self.weights[2 * i], transpose_b=True, out=doutputs[i - 1])
                relu_grad(dx, inputs[i], out=dx)

    def predict(self, x: Array) -> Array:
        """The probabilities of the classes, or the number."""
        y = self.forward(x, [None] * len(self.outputs))
        return softmax(y, out=y) if y.shape[1] > 1 else y


def squared_error(y_pred: Array, y: Array, dy_pred: Array, out: Array) -> Array:
    np.subtract(y_pred, y, out=dy_pred)
    np.square(dy_pred[:, 0], out=out)
    dy_pred *= 2
    return out
