"""Fused ops: what passes make of several instructions, and no user calls."""

from __future__ import annotations

from fastnn import _kernels
from fastnn.arrays import Array
from fastnn.ops.core import primitive, update


@primitive(kernel=True)
def masked_matmul(
    a: Array,
    b: Array,
    mask: Array,
    transpose_a: bool,
    transpose_b: bool,
    out: Array | None = None,
) -> Array:
    return _kernels.matmul(a, b, transpose_a, transpose_b, mask=mask, out=out)


@primitive(kernel=True)
def loss_and_gradient(
    dloss: Array, logits: Array, labels: Array, out: tuple[Array, Array]
) -> tuple[Array, Array]:
    loss, dlogits = out
    _kernels.softmax_cross_entropy(logits, labels, dlogits, dloss, loss)
    return out


@update(kernel=True)
def descend(
    w: Array, a: Array, b: Array, learning_rate: Array, transpose_a: bool, transpose_b: bool
) -> None:
    _kernels.matmul(a, b, transpose_a, transpose_b, out=w, accumulate=True, rate=learning_rate)


@update(kernel=True)
def rows_descend(
    w: Array,
    b: Array,
    learning_rate: Array,
    rows: _kernels.CompressedRows,
    transpose_a: bool,
    infinite: Array | None = None,
) -> None:
    rate = learning_rate
    _kernels.matmul(rows, b, transpose_a, out=w, accumulate=True, rate=rate, infinite=infinite)
