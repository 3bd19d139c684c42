"""The functional names that a TensorFlow user looks for under ``tf.nn``."""

from fastnn.ops import relu, sigmoid, softmax, tanh

__all__ = ["relu", "sigmoid", "softmax", "tanh"]
