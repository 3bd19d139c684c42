"""The kernels in PyTorch, written for speed: results go to `out`, gradients are those of autograd.

No argument asks for a gradient, so nothing is recorded.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

aten = torch.ops.aten


def converted(x: Any) -> Any:
    """An array as a tensor on the same memory, other arguments as they are."""
    return torch.from_numpy(x) if isinstance(x, np.ndarray) else x


@cache
def workspace(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Memory for an intermediate result, the same at every call."""
    return torch.empty(shape, dtype=dtype)


def relu(x: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.clamp_min(x, 0.0, out=out)


def exp(x: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.exp(x, out=out)


def log(x: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.log(x, out=out)


def relu_grad(dy: Tensor, y: Tensor, out: Tensor) -> Tensor:
    return aten.threshold_backward(dy, y, 0.0, grad_input=out)


def tanh(x: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.tanh(x, out=out)


def tanh_grad(dy: Tensor, y: Tensor, out: Tensor) -> Tensor:
    return aten.tanh_backward(dy, y, grad_input=out)


def sigmoid(x: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.sigmoid(x, out=out)


def sigmoid_grad(dy: Tensor, y: Tensor, out: Tensor) -> Tensor:
    return aten.sigmoid_backward(dy, y, grad_input=out)


def gather(x: Tensor, rows: Tensor, out: Tensor) -> Tensor:
    return out.copy_(torch.index_select(x, 0, rows))


def add(x: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.add(x, b, out=out)


def add_grad(dy: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.sum(dy, 0, out=out)


def matmul(
    a: Tensor,
    b: Tensor,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Tensor | None = None,
    relu: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    left, right = a.t() if transpose_a else a, b.t() if transpose_b else b
    if bias is None:
        return torch.mm(left, right, out=out)
    c = torch.addmm(bias, left, right, out=out)
    return c.relu_() if relu else c


def softmax(x: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.softmax(x, -1, out=out)


def softmax_grad(dy: Tensor, y: Tensor, out: Tensor) -> Tensor:
    return aten._softmax_backward_data(dy, y, -1, y.dtype, grad_input=out)


def softmax_cross_entropy(logits: Tensor, labels: Tensor, dlogits: Tensor, out: Tensor) -> Tensor:
    column = labels.unsqueeze(1)
    p = torch.log_softmax(logits, 1, out=dlogits)
    torch.gather(p, 1, column, out=out.unsqueeze(1))
    p.exp_()
    p.scatter_add_(1, column, ones(column.shape, p.dtype).neg())
    return out.neg_()


@cache
def ones(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    return torch.ones(shape, dtype=dtype)


def sgd(w: Tensor, g: Tensor, learning_rate: float) -> None:
    w.add_(g, alpha=-learning_rate)


def momentum(
    w: Tensor,
    velocity: Tensor,
    g: Tensor,
    learning_rate: float,
    momentum: float,
    nesterov: bool = False,
) -> None:
    velocity.mul_(momentum).add_(g, alpha=-learning_rate)
    if nesterov:
        w.add_(velocity, alpha=momentum).add_(g, alpha=-learning_rate)
    else:
        w.add_(velocity)


def adagrad(
    w: Tensor, accumulator: Tensor, g: Tensor, learning_rate: float, epsilon: float
) -> None:
    accumulator.addcmul_(g, g)
    root = torch.add(accumulator, epsilon, out=workspace(w.shape, w.dtype)).sqrt_()
    w.addcdiv_(g, root, value=-learning_rate)


def rmsprop(
    w: Tensor, velocity: Tensor, g: Tensor, learning_rate: float, rho: float, epsilon: float
) -> None:
    velocity.mul_(rho).addcmul_(g, g, value=1.0 - rho)
    root = torch.add(velocity, epsilon, out=workspace(w.shape, w.dtype)).sqrt_()
    w.addcdiv_(g, root, value=-learning_rate)


def adam(
    w: Tensor,
    momentum: Tensor,
    velocity: Tensor,
    g: Tensor,
    alpha: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    momentum.lerp_(g, 1.0 - beta_1)
    velocity.mul_(beta_2).addcmul_(g, g, value=1.0 - beta_2)
    root = torch.sqrt(velocity, out=workspace(w.shape, w.dtype)).add_(epsilon)
    w.addcdiv_(momentum, root, value=-alpha)
