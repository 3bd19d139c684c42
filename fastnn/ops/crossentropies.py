"""The cross-entropies of `fastnn.losses` under the names and arguments of ``keras.ops``."""

from __future__ import annotations

from fastnn.tensor import Tensor, TensorLike


def sparse_categorical_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """`losses.sparse_categorical_crossentropy`: one number for each sample."""
    from fastnn.losses import sparse_categorical_crossentropy  # losses stand on top of ops

    return sparse_categorical_crossentropy(target, output, from_logits, axis=axis)


def categorical_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """`losses.categorical_crossentropy`: one number for each sample."""
    from fastnn.losses import categorical_crossentropy

    return categorical_crossentropy(target, output, from_logits, axis=axis)


def binary_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False
) -> Tensor:
    """`losses.binary_crossentropy` before it is averaged: one number for each element."""
    from fastnn.losses.crossentropies import binary_crossentropies

    return binary_crossentropies(target, output, from_logits, label_smoothing=0.0)
