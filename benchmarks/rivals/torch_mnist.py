"""The network of numpy_mnist.py in PyTorch, with autograd and its own optimizer."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]


class Network:
    """relu(x @ w1 + b1) @ w2 + b2, with the softmax in the loss.

    Parameters
    ----------
    weights : w1, b1, w2, b2
        The start, which is copied.
    rate : float
        The learning rate.
    """

    def __init__(self, weights: Sequence[Array], rate: float) -> None:
        w1, b1, w2, b2 = map(torch.from_numpy, weights)
        layers = (dense(w1, b1), nn.ReLU(), dense(w2, b2))
        self.model = nn.Sequential(*layers)
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=rate, foreach=True)

    def step(self, x: Tensor, y: Tensor, rows: Tensor) -> float:
        """One update; the sum of the losses before it."""
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x[rows]), y[rows])
        loss.backward()
        self.optimizer.step()
        return loss.item() * len(rows)


def dense(w: Tensor, b: Tensor) -> nn.Linear:
    layer = nn.Linear(*w.shape)
    with torch.no_grad():
        layer.weight.copy_(w.t())
        layer.bias.copy_(b)
    return layer
