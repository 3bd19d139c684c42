"""Focal cross-entropies (Lin et al., 2017): what is predicted well already counts little."""

from __future__ import annotations

from fastnn import ops
from fastnn.arrays import DType
from fastnn.losses.base import LossFunctionWrapper
from fastnn.ops.core import floating
from fastnn.ops.crossentropies import smoothed
from fastnn.ops.targets import matched
from fastnn.tensor import Tensor, TensorLike


def binary_focal_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """(1 - p)^gamma times the binary cross-entropy, p being the probability of what is true.

    Parameters
    ----------
    y_true, y_pred, from_logits, label_smoothing, axis
        As for `binary_crossentropy`.
    apply_class_balancing : bool, default False
        Multiply by `alpha` where the target is 1, and by 1 - alpha where it is 0.
    alpha : float, default 0.25
    gamma : float, default 2

    Returns
    -------
    Tensor
        The shape of y_pred without `axis`.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.losses.binary_focal_crossentropy([[1.0]], [[0.5]]).numpy().round(4)
    array([0.1733], dtype=float32)
    """
    values = ops.binary_crossentropy(y_true, y_pred, from_logits, label_smoothing)
    target, p = matched(y_true, ops.sigmoid(y_pred) if from_logits else floating(y_pred))
    target = smoothed(target, label_smoothing, 2)
    values = (1 - (target * p + (1 - target) * (1 - p))) ** gamma * values
    if apply_class_balancing:
        values = (target * alpha + (1 - target) * (1 - alpha)) * values
    return ops.reduce_mean(values, axis=axis)


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """`binary_focal_crossentropy`, reduced.

    Parameters
    ----------
    apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis
        As for the function.
    reduction, name, dtype
        As for `Loss`.
    """

    apply_class_balancing: bool
    alpha: float
    gamma: float
    from_logits: bool
    label_smoothing: float
    axis: int

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: DType = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
