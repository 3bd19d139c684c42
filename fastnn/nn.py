"""The functional names and arguments that a TensorFlow user looks for under ``tf.nn``."""

from fastnn import losses, ops
from fastnn.ops import (
    elu,
    log_softmax,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmax_cross_entropy,
    softplus,
    softsign,
    tanh,
)
from fastnn.tensor import Tensor, TensorLike

sparse_softmax_cross_entropy_with_logits = softmax_cross_entropy
swish = silu


def leaky_relu(features: TensorLike, alpha: float = 0.2) -> Tensor:
    """features above 0, alpha * features up to it."""
    return ops.leaky_relu(features, alpha)


def gelu(features: TensorLike, approximate: bool = False) -> Tensor:
    """`ops.gelu`, but by erf unless told otherwise."""
    return ops.gelu(features, approximate)


def softmax_cross_entropy_with_logits(
    labels: TensorLike, logits: TensorLike, axis: int = -1
) -> Tensor:
    """-sum(labels * log(softmax(logits))) over the classes, labels being probabilities.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.nn.softmax_cross_entropy_with_logits([[0.0, 1.0]], [[3.0, 3.0]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    return losses.categorical_crossentropy(labels, logits, from_logits=True, axis=axis)


def sigmoid_cross_entropy_with_logits(labels: TensorLike, logits: TensorLike) -> Tensor:
    """-(labels * log(p) + (1 - labels) * log(1 - p)), elementwise, p being sigmoid(logits)."""
    return ops.binary_crossentropy(labels, logits, from_logits=True)


def l2_loss(t: TensorLike) -> Tensor:
    """sum(t^2) / 2."""
    return ops.reduce_sum(ops.square(t)) / 2


__all__ = [
    "elu",
    "gelu",
    "l2_loss",
    "leaky_relu",
    "log_softmax",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "silu",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softplus",
    "softsign",
    "sparse_softmax_cross_entropy_with_logits",
    "swish",
    "tanh",
]
