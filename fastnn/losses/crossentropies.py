"""Cross-entropies: minus the logarithm of the probability that was predicted for what is true."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np

from fastnn import ops
from fastnn.arrays import Array, DType
from fastnn.caller import warn
from fastnn.losses.base import LossFunctionWrapper, reduce_weighted
from fastnn.ops.core import floating
from fastnn.ops.crossentropies import class_labels
from fastnn.tensor import Tensor, TensorLike

ROUNDING = 1e-3  # how far from [0, 1] an inexact probability may lie


def check_targets(loss: Any, y_true: TensorLike, y_pred: Tensor) -> None:
    """Refuse targets of a whole data set that the loss would refuse in some later batch, and warn
    of those, and of predictions, that make no sense to it.

    Parameters
    ----------
    loss : Loss or callable
    y_true : array
        All targets.
    y_pred : Tensor
        The predictions for some samples.
    """
    function, options = _unwrapped(loss)
    if function is sparse_categorical_crossentropy and options.get("axis", -1) == -1:
        shape = (len(y_true), *y_pred.shape[1:])
        class_labels(y_true, shape, options.get("ignore_class"))
    if function in _OF_PROBABILITIES and not options.get("from_logits"):
        _warn_of_logits(function.__name__, y_pred.numpy())
    if function is binary_crossentropy and _are_outside(np.asarray(y_true)):
        warn(
            f"binary_crossentropy takes targets from 0 to 1, and these go from {np.min(y_true)} to "
            f"{np.max(y_true)}: number two classes 0 and 1; more take a softmax with a unit for "
            "each, and sparse_categorical_crossentropy",
            SyntaxWarning,
        )


def _warn_of_logits(loss: str, y_pred: Array) -> None:
    if _are_outside(y_pred):
        last = "sigmoid" if loss == "binary_crossentropy" else "softmax"
        warn(
            f"{loss} takes probabilities, which the model does not predict; give its last layer "
            f"activation={last!r}, or the loss from_logits=True",
            SyntaxWarning,
        )


def _are_outside(x: Array) -> bool:
    """Whether some are no probabilities, rounding errors apart."""
    return bool(np.min(x, initial=0) < -ROUNDING or np.max(x, initial=0) > 1 + ROUNDING)


def _unwrapped(loss: Any) -> tuple[Any, dict[str, Any]]:
    """The function that computes a loss, and the options that it is called with."""
    if isinstance(loss, LossFunctionWrapper):
        function, options = _unwrapped(loss.fn)
        return function, options | loss.options
    if isinstance(loss, partial):
        return loss.func, loss.keywords
    return loss, {}


def sparse_categorical_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """-log of the probability predicted for the true class.

    Parameters
    ----------
    y_true : whole numbers in [0, classes), shape (n,) or (n, 1)
    y_pred : tensor of shape (n, classes)
        Probabilities, or logits if `from_logits`. Probabilities that `softmax` made are traced back
        to their logits, which has no limit and loses no digits, and the gradient flows to the
        logits; others are divided by their sum and clipped to [1e-7, 1 - 1e-7], so the loss is at
        most 16.118.
    from_logits : bool, default False
    ignore_class : int, optional
        The loss of samples with this label is 0; it need not be a class.
    axis : int, default -1
        The axis of the classes.

    Returns
    -------
    Tensor
        One loss for each sample, shape (n,).

    Raises
    ------
    ValueError
        If the shapes do not fit, or a label is not one of the classes.

    Examples
    --------
    >>> import fastnn
    >>> loss = fastnn.losses.sparse_categorical_crossentropy([1, 0], [[0.5, 0.5], [0.25, 0.75]])
    >>> loss.numpy().round(4)
    array([0.6931, 1.3863], dtype=float32)
    """
    return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits, axis, ignore_class)


def categorical_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """-sum(y_true * log(y_pred)) over the classes.

    Parameters
    ----------
    y_true : tensor of shape (n, classes)
        Probabilities of the classes, for example one-hot rows.
    y_pred : tensor of shape (n, classes)
        As for `sparse_categorical_crossentropy`.
    from_logits : bool, default False
    label_smoothing : float in [0, 1], default 0
        This share of every target is divided among all classes.
    axis : int, default -1
        The axis of the classes.

    Returns
    -------
    Tensor
        One loss for each sample, shape (n,).

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, axis, label_smoothing)


def binary_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """-(y_true * log(y_pred) + (1 - y_true) * log(1 - y_pred)), averaged over an axis.

    Parameters
    ----------
    y_true : tensor of shape (n, ...)
        Probabilities: 0 or 1, mostly.
    y_pred : tensor of the same shape, or with a last axis of length 1 more or less
        Probabilities, or logits if `from_logits`. Probabilities that `sigmoid` made are traced back
        to their logits z, for which max(z, 0) - z * y_true + log(1 + exp(-|z|)) is computed without
        cancellation: it has no limit, and the gradient flows to the logits. (Keras does so with
        TensorFlow only.) Others are clipped to [1e-7, 1 - 1e-7].
    from_logits : bool, default False
    label_smoothing : float in [0, 1], default 0
        Targets are drawn towards 1/2 by this share.
    axis : int, default -1
        The axis to average over.

    Returns
    -------
    Tensor
        The shape of y_pred without `axis`.

    Raises
    ------
    ValueError
        If the shapes differ otherwise.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.losses.binary_crossentropy([1, 0], [[0.5], [0.25]]).numpy().round(4)
    array([0.6931, 0.2877], dtype=float32)
    """
    values = ops.binary_crossentropy(y_true, y_pred, from_logits, label_smoothing)
    return ops.reduce_mean(values, axis=axis)


_OF_PROBABILITIES = (
    sparse_categorical_crossentropy,
    categorical_crossentropy,
    binary_crossentropy,
)


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """`sparse_categorical_crossentropy`, reduced.

    Parameters
    ----------
    from_logits, ignore_class, axis
        As for the function. Means are over the samples whose label is not `ignore_class`.
    reduction, name, dtype
        As for `Loss`.

    Examples
    --------
    >>> import fastnn
    >>> loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> round(float(loss([1, 0], [[0.0, 0.0], [0.0, 0.0]])), 4)
    0.6931
    """

    from_logits: bool
    ignore_class: int | None
    axis: int

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: DType = None,
    ) -> None:
        function = sparse_categorical_crossentropy
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(function, reduction, name, dtype, **options)

    def __call__(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> Tensor:
        if self.ignore_class is not None:
            labels = floating(y_true)
            weights = ops.cast(ops.not_equal(labels, self.ignore_class), labels.dtype)
            if self.reduction in ("sum_over_batch_size", "mean"):
                weights = weights * (weights.size / ops.maximum(ops.reduce_sum(weights), 1))
            sample_weight = reduce_weighted(weights, sample_weight, None)
        return super().__call__(y_true, y_pred, sample_weight)


class _Smoothed(LossFunctionWrapper):
    """Base of the losses whose targets may be smoothed."""

    function: ClassVar[Callable[..., Tensor]]
    from_logits: bool
    label_smoothing: float
    axis: int

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DType = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(type(self).function, reduction, name, dtype, **options)


class CategoricalCrossentropy(_Smoothed):
    """`categorical_crossentropy`, reduced.

    Parameters
    ----------
    from_logits, label_smoothing, axis
        As for the function.
    reduction, name, dtype
        As for `Loss`.
    """

    function = staticmethod(categorical_crossentropy)


class BinaryCrossentropy(_Smoothed):
    """`binary_crossentropy`, reduced.

    Parameters
    ----------
    from_logits, label_smoothing, axis
        As for the function.
    reduction, name, dtype
        As for `Loss`.
    """

    function = staticmethod(binary_crossentropy)
