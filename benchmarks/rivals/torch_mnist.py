"""The network of numpy_mnist.py in PyTorch, with autograd and its own optimizers."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]

# Each in its fastest form, with the constants of Keras.
OPTIMIZERS = {
    "sgd": partial(torch.optim.SGD, fused=True),
    "adam": partial(torch.optim.Adam, eps=1e-7, fused=True),
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.9, eps=1e-7, foreach=True),
}


class Network:
    """Dense layers with relu between them; classes with the softmax in the loss, or one number.

    Parameters
    ----------
    weights : w1, b1, w2, b2, ...
        The start, which is copied.
    rate : float
        The learning rate.
    optimizer : str, default "sgd"
    dropout : float, default 0
        The share that is dropped after each hidden layer.
    """

    def __init__(
        self, weights: Sequence[Array], rate: float, optimizer: str = "sgd", dropout: float = 0.0
    ) -> None:
        after = (nn.ReLU(), nn.Dropout(dropout)) if dropout else (nn.ReLU(),)
        pairs = zip(weights[::2], weights[1::2], strict=True)
        layers = [layer for w, b in pairs for layer in (dense(w, b), *after)]
        self.model = nn.Sequential(*layers[: -len(after)])
        self.classifies = weights[-1].size > 1
        self.loss = nn.CrossEntropyLoss() if self.classifies else nn.MSELoss()
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters(), lr=rate)

    def fit(self, x: Tensor, y: Tensor, order: Tensor, batch: int) -> float:
        """One epoch; the mean loss, each batch before its update."""
        total = torch.zeros(())
        for rows in order.split(batch):
            total += self.learn(x[rows], y[rows]) * len(rows)
        return total.item() / len(x)

    def step(self, x: Tensor, y: Tensor, rows: Tensor) -> float:
        """One update; the sum of the losses before it."""
        return self.learn(x[rows], y[rows]).item() * len(rows)

    def learn(self, x: Tensor, y: Tensor) -> Tensor:
        """One update; the mean loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    @torch.inference_mode()
    def predict(self, x: Tensor) -> Tensor:
        """The probabilities of the classes, or the number, without dropout in the network."""
        y = self.model(x)
        return torch.softmax(y, 1) if self.classifies else y


def dense(w: Array, b: Array) -> nn.Linear:
    layer = nn.Linear(*w.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(w).t())
        layer.bias.copy_(torch.from_numpy(b))
    return layer
