"""The table of differentiable ops: how to call each, what it means in NumPy, and on which inputs.

The tests of values and of gradients walk this table; a new op needs a row here and nothing else.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from activation_formulas import ACTIVATIONS, erf, sparsemax
from loss_formulas import FORMULAS, Formula, softmax

import fastnn
from fastnn import _kernels, activations, losses
from fastnn.sparse import SparseTensor

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]
Draw = Callable[[np.random.Generator, Shape], Array]


def normal(rng: np.random.Generator, shape: Shape) -> Array:
    """Anything, but nothing near 0, where some ops have a kink."""
    x = rng.standard_normal(shape)
    return x + 0.1 * np.sign(x)


def positive(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.uniform(0.3, 2.0, shape)


def distinct(rng: np.random.Generator, shape: Shape) -> Array:
    """Numbers at least 0.1 apart, for ops that choose one of them."""
    return rng.permutation(int(np.prod(shape))).reshape(shape) * 0.1 - 0.5


class Case(NamedTuple):
    """`op` over tensors of the given shapes, and the same in NumPy."""

    name: str
    op: Callable[..., Any]
    reference: Callable[..., Any]
    shapes: tuple[Shape, ...]
    draw: Draw = normal


def _rows(dtype: Any) -> SparseTensor:
    return SparseTensor(_kernels.compress(ROWS.astype(dtype)))


ROWS = np.array([[0, 2, -1], [0, 0, 0], [0.5, 0, 0], [0, 0, 3]])
LABELS = np.array([2, 0, 1, 1])
ONE_HOT = np.eye(3)[LABELS]
# Twice what is kept; which elements those are, the tests of kernels check.
KEPT = _kernels.dropout(np.ones((4, 3)), 0.5, 7, 1)
RANKS = np.array([[2, 2, 0, -3], [1, 0, 1, 1]])
MASK = np.array([[True, False, True], [False, True, True]])

CASES = [
    Case("add", fastnn.add, np.add, ((2, 3), (2, 3))),
    Case("add, rows", fastnn.add, np.add, ((4, 3), (3,))),
    Case("add, rows first", fastnn.add, np.add, ((3,), (4, 3))),
    Case("add, outer", fastnn.add, np.add, ((4, 1), (1, 3))),
    Case("add, to a number", fastnn.add, np.add, ((2, 3), ())),
    Case("add, the book's axes", fastnn.add, np.add, ((2, 3, 4, 2), (4, 2))),
    Case("subtract", fastnn.subtract, np.subtract, ((2, 3), (3,))),
    Case("multiply", fastnn.multiply, np.multiply, ((2, 3), (2, 1))),
    Case("divide", fastnn.divide, np.divide, ((2, 3), (3,))),
    Case("mod", fastnn.mod, np.mod, ((2, 3), (3,))),
    Case("mod, of numbers", lambda x: 7 % x - x % 2, lambda x: 7 % x - x % 2, ((2, 3),)),
    Case("pow", fastnn.pow, np.power, ((2, 3), (3,)), positive),
    Case("pow, square", lambda x: x**2, lambda x: x**2, ((2, 3),)),
    Case("maximum", fastnn.maximum, np.maximum, ((2, 3), (3,))),
    Case("minimum", fastnn.minimum, np.minimum, ((2, 3), (3,))),
    Case(
        "where",
        lambda a, b: fastnn.where(MASK, a, b),
        lambda a, b: np.where(MASK, a, b),
        ((2, 3), (3,)),
    ),
    Case("negative", fastnn.negative, np.negative, ((2, 3),)),
    Case("abs", fastnn.abs, np.abs, ((2, 3),)),
    Case("square", fastnn.square, np.square, ((2, 3),)),
    Case("sqrt", fastnn.sqrt, np.sqrt, ((2, 3),), positive),
    Case("exp", fastnn.exp, np.exp, ((2, 3),)),
    Case("log", fastnn.log, np.log, ((2, 3),), positive),
    Case(
        "floor",
        lambda x: x * fastnn.floor(x + 0.25),
        lambda x: x * np.floor(x + 0.25),
        ((4, 5),),
        distinct,
    ),
    Case("sin", fastnn.sin, np.sin, ((2, 3),)),
    Case("cos", fastnn.cos, np.cos, ((2, 3),)),
    Case("tanh", fastnn.tanh, np.tanh, ((2, 3),)),
    Case("sigmoid", fastnn.sigmoid, lambda x: 1 / (1 + np.exp(-x)), ((2, 3),)),
    Case("softplus", fastnn.softplus, lambda x: np.logaddexp(0, x), ((2, 3),)),
    Case("relu", fastnn.relu, lambda x: np.maximum(x, 0), ((4, 5),)),
    Case("softmax", fastnn.softmax, softmax, ((4, 3),)),
    Case("softmax, one axis", fastnn.softmax, softmax, ((17,),)),
    Case(
        "softmax_cross_entropy",
        lambda x: fastnn.softmax_cross_entropy(LABELS, x),
        lambda x: -np.log(softmax(x)[np.arange(4), LABELS]),
        ((4, 3),),
    ),
    Case(
        "sparse_categorical_crossentropy of softmax",
        lambda x: losses.sparse_categorical_crossentropy(LABELS, fastnn.softmax(x)),
        lambda x: -np.log(softmax(x)[np.arange(4), LABELS]),
        ((4, 3),),
    ),
    Case(
        "categorical_crossentropy of softmax",
        lambda x: losses.categorical_crossentropy(ONE_HOT, fastnn.softmax(x)),
        lambda x: -np.sum(ONE_HOT * np.log(softmax(x)), -1),
        ((4, 3),),
    ),
    Case(
        "binary_crossentropy of sigmoid",
        lambda x: losses.binary_crossentropy(ONE_HOT, fastnn.sigmoid(x)),
        lambda x: np.mean(np.logaddexp(0, x) - ONE_HOT * x, -1),
        ((4, 3),),
    ),
    Case(
        "mean_squared_error",
        losses.mean_squared_error,
        lambda a, b: np.mean((a - b) ** 2, -1),
        ((4, 3), (4, 3)),
    ),
    Case(
        "dropout",
        lambda x: fastnn.dropout(x, 0.5, 7, np.int64(1)),
        lambda x: x * KEPT,
        ((4, 3),),
    ),
    Case("stop_gradient", lambda x: x + fastnn.stop_gradient(0 * x), lambda x: x, ((2, 3),)),
    Case(
        "copy",
        lambda x: fastnn.ops.elementwise.copy(fastnn.ops.core.computable(x)),
        np.array,
        ((2, 3),),
    ),
    *(
        Case(name, getattr(activations, name), formula, ((4, 6),))
        for name, formula in ACTIVATIONS.items()
        if name not in ("relu", "sigmoid", "softmax", "softplus", "tanh")
    ),
    Case(
        "relu, all options",
        lambda x: fastnn.relu(x, negative_slope=0.1, max_value=1.2, threshold=0.4),
        lambda x: np.where(x > 0.4, np.minimum(x, 1.2), 0.1 * (x - 0.4)),
        ((4, 6),),
    ),
    Case(
        "gelu, approximate",
        fastnn.gelu,
        lambda x: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
        ((4, 6),),
    ),
    Case(
        "threshold",
        lambda x: fastnn.threshold(x, 0.3, -7.0),
        lambda x: np.where(x > 0.3, x, -7.0),
        ((4, 6),),
    ),
    Case(
        "softmax, first axis",
        lambda x: fastnn.softmax(x, axis=0),
        lambda x: softmax(x.T).T,
        ((4, 3),),
    ),
    Case(
        "softmax, two axes",
        lambda x: fastnn.softmax(x, axis=(0, -1)),
        lambda x: np.exp(x) / np.exp(x).sum((0, 2), keepdims=True),
        ((2, 4, 3),),
    ),
    Case(
        "sparsemax, first axis",
        lambda x: fastnn.sparsemax(x, axis=0),
        lambda x: sparsemax(x.T).T,
        ((5, 3),),
    ),
    Case("expm1", fastnn.expm1, np.expm1, ((2, 3),)),
    Case("log1p", fastnn.log1p, np.log1p, ((2, 3),), positive),
    Case("erf", fastnn.erf, erf, ((2, 3),)),
    Case("rsqrt", fastnn.rsqrt, lambda x: x**-0.5, ((2, 3),), positive),
    Case("reciprocal", fastnn.reciprocal, lambda x: 1 / x, ((2, 3),)),
    Case("clip", lambda x: fastnn.clip(x, -0.7, 0.7), lambda x: np.clip(x, -0.7, 0.7), ((2, 3),)),
    Case("reduce_prod", fastnn.reduce_prod, np.prod, ((2, 3),)),
    Case(
        "reduce_prod, kept",
        lambda x: fastnn.reduce_prod(x, axis=(0, 2), keepdims=True),
        lambda x: x.prod((0, 2), keepdims=True),
        ((2, 3, 5),),
    ),
    Case("reduce_variance", fastnn.reduce_variance, np.var, ((2, 3),)),
    Case(
        "reduce_std, axis",
        lambda x: fastnn.reduce_std(x, axis=1, keepdims=True),
        lambda x: x.std(1, keepdims=True),
        ((3, 5),),
    ),
    Case("logsumexp", fastnn.logsumexp, lambda x: np.log(np.exp(x).sum()), ((2, 3),)),
    Case(
        "logsumexp, axis",
        lambda x: fastnn.logsumexp(x, axis=0),
        lambda x: np.log(np.exp(x).sum(0)),
        ((2, 3),),
    ),
    Case("norm", fastnn.norm, np.linalg.norm, ((2, 3),)),
    Case(
        "norm, magnitudes",
        lambda x: fastnn.norm(x, ord=1, axis=0, keepdims=True),
        lambda x: abs(x).sum(0, keepdims=True),
        ((2, 3),),
    ),
    Case(
        "norm, largest",
        lambda x: fastnn.norm(x, ord=np.inf, axis=-1),
        lambda x: abs(x).max(-1),
        ((2, 3),),
        distinct,
    ),
    Case(
        "take",
        lambda x: fastnn.take(x, [[2, 0], [-1, 2]], axis=1),
        lambda x: x[:, [[2, 0], [-1, 2]]],
        ((2, 3),),
    ),
    Case("take, one row", lambda x: fastnn.take(x, 4), lambda x: x.ravel()[4], ((2, 3),)),
    Case(
        "split",
        lambda x: (
            fastnn.split(x, 3, axis=-1)[1]
            * fastnn.split(x, [1, 3], axis=1)[1]
            * fastnn.split(x, num_or_size_splits=[1, 2, 3], axis=1)[1]
        ),
        lambda x: x[:, 2:4] * x[:, 1:3] * x[:, 1:3],
        ((2, 6),),
    ),
    Case(
        "clip_by_norm",
        lambda x: fastnn.clip_by_norm(x, 0.5) + fastnn.clip_by_norm(x, 1e3),
        lambda x: x * 0.5 / np.sqrt((x**2).sum()) + x,
        ((2, 3),),
    ),
    Case(
        "clip_by_global_norm",
        lambda x, y: fastnn.clip_by_global_norm([x, None, y], 0.5)[0][2] * x[0],
        lambda x, y: y * 0.5 / np.sqrt((x**2).sum() + (y**2).sum()) * x[0],
        ((2, 3), (3,)),
    ),
    Case("reduce_sum", fastnn.reduce_sum, np.sum, ((2, 3),)),
    Case(
        "reduce_sum, rows",
        lambda x: fastnn.reduce_sum(x, axis=0),
        lambda x: x.sum(0),
        ((5, 3),),
    ),
    Case(
        "reduce_sum, rows, kept",
        lambda x: fastnn.reduce_sum(x, axis=(0, 1), keepdims=True),
        lambda x: x.sum((0, 1), keepdims=True),
        ((5, 2, 3),),
    ),
    Case(
        "reduce_sum, matrices",
        lambda x: fastnn.reduce_sum(x, axis=0),
        lambda x: x.sum(0),
        ((5, 2, 3),),
    ),
    Case(
        "reduce_sum, kept",
        lambda x: fastnn.reduce_sum(x, axis=(0, -1), keepdims=True),
        lambda x: x.sum((0, 2), keepdims=True),
        ((2, 3, 4),),
    ),
    Case("reduce_mean", fastnn.reduce_mean, np.mean, ((2, 3),)),
    Case(
        "reduce_mean, axis",
        lambda x: fastnn.reduce_mean(x, axis=1),
        lambda x: x.mean(1),
        ((2, 3),),
    ),
    Case("reduce_max", fastnn.reduce_max, np.max, ((2, 3),), distinct),
    Case(
        "reduce_max, axis",
        lambda x: fastnn.reduce_max(x, axis=-1),
        lambda x: x.max(-1),
        ((2, 3, 2),),
        distinct,
    ),
    Case(
        "reduce_min",
        lambda x: fastnn.reduce_min(x, axis=0, keepdims=True),
        lambda x: x.min(0, keepdims=True),
        ((2, 3),),
        distinct,
    ),
    Case(
        "broadcast_to",
        lambda x: fastnn.broadcast_to(x, (4, 2, 3)),
        lambda x: np.broadcast_to(x, (4, 2, 3)),
        ((2, 1),),
    ),
    Case(
        "reshape",
        lambda x: fastnn.reshape(x, (3, -1)),
        lambda x: x.reshape(3, -1),
        ((2, 6),),
    ),
    Case("transpose", fastnn.transpose, np.transpose, ((2, 3, 4),)),
    Case(
        "transpose, permuted",
        lambda x: fastnn.transpose(x, axes=(1, 2, 0)),
        lambda x: x.transpose(1, 2, 0),
        ((2, 3, 4),),
    ),
    Case("sort", lambda x: fastnn.sort(x, 0), lambda x: np.sort(x, 0), ((4, 3),), distinct),
    Case(
        "top_k",
        lambda x: fastnn.top_k(x, 2)[0],
        lambda x: np.sort(x)[..., :-3:-1],
        ((4, 3),),
        distinct,
    ),
    Case(
        "take_along_axis",
        lambda x: fastnn.take_along_axis(x, RANKS, 1),
        lambda x: np.take_along_axis(x, RANKS, 1),
        ((2, 3),),
    ),
    Case("cumsum", lambda x: fastnn.cumsum(x, 1), lambda x: np.cumsum(x, 1), ((2, 3, 2),)),
    Case("cumsum, all", lambda x: fastnn.cumsum(x, None), np.cumsum, ((2, 3),)),
    Case("flip", fastnn.flip, np.flip, ((2, 3),)),
    Case("flip, one axis", lambda x: fastnn.flip(x, -1), lambda x: np.flip(x, -1), ((2, 3),)),
    Case("roll", lambda x: fastnn.roll(x, 4, 1), lambda x: np.roll(x, 4, 1), ((2, 3),)),
    Case("roll, all", lambda x: fastnn.roll(x, -1), lambda x: np.roll(x, -1), ((2, 3),)),
    Case("repeat", lambda x: fastnn.repeat(x, 2), lambda x: np.repeat(x, 2), ((2, 3),)),
    Case(
        "repeat, one axis",
        lambda x: fastnn.repeat(x, [2, 0, 1], axis=1),
        lambda x: np.repeat(x, [2, 0, 1], axis=1),
        ((2, 3),),
    ),
    Case("tile", lambda x: fastnn.tile(x, (2, 3)), lambda x: np.tile(x, (2, 3)), ((2, 3),)),
    Case("tile, last axis", lambda x: fastnn.tile(x, 2), lambda x: np.tile(x, 2), ((2, 3),)),
    Case("tile, new axis", lambda x: fastnn.tile(x, (2, 1)), lambda x: np.tile(x, (2, 1)), ((3,),)),
    Case(
        "swapaxes",
        lambda x: fastnn.swapaxes(x, 0, -1),
        lambda x: np.swapaxes(x, 0, -1),
        ((2, 3, 4),),
    ),
    Case(
        "moveaxis",
        lambda x: fastnn.moveaxis(x, (0, 1), (-1, 0)),
        lambda x: np.moveaxis(x, (0, 1), (-1, 0)),
        ((2, 3, 4),),
    ),
    Case("ravel", fastnn.ravel, np.ravel, ((2, 3),)),
    Case("outer", fastnn.outer, np.outer, ((2,), (3,))),
    Case(
        "concat",
        lambda a, b: fastnn.concat([a, b], axis=1),
        lambda a, b: np.concatenate([a, b], 1),
        ((2, 3), (2, 1)),
    ),
    Case(
        "stack",
        lambda a, b: fastnn.stack([a, b], axis=-1),
        lambda a, b: np.stack([a, b], -1),
        ((2, 3), (2, 3)),
    ),
    Case(
        "expand_dims",
        lambda x: fastnn.expand_dims(x, 1),
        lambda x: x[:, None],
        ((2, 3),),
    ),
    Case(
        "expand_dims, two",
        lambda x: fastnn.expand_dims(x, (0, -1)),
        lambda x: np.expand_dims(x, (0, -1)),
        ((2, 3),),
    ),
    Case(
        "squeeze, two",
        lambda x: fastnn.squeeze(x, axis=(-1, 1)),
        lambda x: np.squeeze(x, axis=(-1, 1)),
        ((2, 1, 3, 1, 1),),
    ),
    Case("squeeze", fastnn.squeeze, np.squeeze, ((2, 1, 3, 1),)),
    Case("slice", lambda x: x[1:, ::-2], lambda x: x[1:, ::-2], ((3, 5),)),
    Case("item", lambda x: x[0, -1], lambda x: x[0, -1], ((3, 5),)),
    Case(
        "repeated rows",
        lambda x: x[np.array([0, 2, 2])],
        lambda x: x[np.array([0, 2, 2])],
        ((3, 2),),
    ),
    Case("cast", lambda x: fastnn.cast(x, "float64"), lambda x: x.astype(float), ((2, 3),)),
    Case("matmul", fastnn.matmul, np.matmul, ((4, 3), (3, 20))),
    Case("matmul, narrow", fastnn.matmul, np.matmul, ((4, 3), (3, 2))),
    Case(
        "matmul, left transposed",
        lambda a, b: fastnn.matmul(a, b, transpose_a=True),
        lambda a, b: a.T @ b,
        ((3, 4), (3, 2)),
    ),
    Case(
        "matmul, right transposed",
        lambda a, b: fastnn.matmul(a, b, transpose_b=True),
        lambda a, b: a @ b.T,
        ((4, 3), (2, 3)),
    ),
    Case(
        "matmul, both transposed",
        lambda a, b: fastnn.matmul(a, b, transpose_a=True, transpose_b=True),
        lambda a, b: a.T @ b.T,
        ((3, 4), (2, 3)),
    ),
    Case("matmul, batches", fastnn.matmul, np.matmul, ((2, 1, 4, 3), (5, 3, 2))),
    Case("matmul, vector", fastnn.matmul, np.matmul, ((4, 3), (3,))),
    Case("matmul, two vectors", fastnn.matmul, np.matmul, ((3,), (3,))),
    Case("dot, vectors", fastnn.dot, np.dot, ((3,), (3,))),
    Case("dot, matrix and vector", fastnn.dot, np.dot, ((2, 3), (3,))),
    Case("dot, matrices", fastnn.dot, np.dot, ((2, 3), (3, 4))),
    Case("dot, more axes", fastnn.dot, np.dot, ((2, 2, 3), (2, 3, 4))),
    Case("dot, number", fastnn.dot, np.dot, ((2, 3), ())),
    Case("dense", fastnn.dense, lambda x, w, b: x @ w + b, ((4, 3), (3, 2), (2,))),
    Case("dense, no bias", fastnn.dense, lambda x, w: x @ w, ((4, 3), (3, 2))),
    Case(
        "dense, relu",
        lambda x, w, b: fastnn.dense(x, w, b, relu=True),
        lambda x, w, b: np.maximum(x @ w + b, 0),
        ((4, 3), (3, 20), (20,)),
    ),
    Case(
        "dense, compressed rows",
        lambda w, b: fastnn.ops.dense(_rows(w.dtype), w, b, relu=True),
        lambda w, b: np.maximum(ROWS @ w + b, 0),
        ((3, 20), (20,)),
    ),
    Case(
        "matmul, compressed rows",
        lambda b: fastnn.matmul(_rows(b.dtype), b),
        lambda b: ROWS @ b,
        ((3, 2),),
    ),
    Case(
        "matmul, compressed rows transposed",
        lambda b: fastnn.matmul(_rows(b.dtype), b, transpose_a=True),
        lambda b: ROWS.T @ b,
        ((4, 2),),
    ),
    Case("dense, more axes", fastnn.dense, lambda x, w, b: x @ w + b, ((2, 4, 3), (3, 2), (2,))),
]


def _of_loss(name: str, formula: Formula) -> Case:
    loss = getattr(losses, formula.function)
    return Case(
        f"loss: {name}",
        lambda p: loss(formula.y_true, p, **formula.options),
        lambda p: formula.value(formula.y_true, p),
        (formula.y_pred.shape,),
        lambda rng, shape: formula.y_pred * rng.uniform(0.99, 1.01, shape),
    )


CASES += [_of_loss(name, formula) for name, formula in FORMULAS.items()]
