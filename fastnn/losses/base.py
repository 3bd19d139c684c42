"""What all losses share: the class `Loss`, reductions, sample weights, and shapes that agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from fastnn import ops
from fastnn.arrays import DType, to_dtype
from fastnn.configuration import Configurable, FunctionWrapper
from fastnn.naming import unique_name
from fastnn.ops.core import floating
from fastnn.ops.targets import same_rank
from fastnn.tensor import Tensor, TensorLike, convert, unshared

# A function of (y_true, y_pred): one loss for each sample, or already one number.
LossFunction: TypeAlias = Callable[[TensorLike, TensorLike], Tensor]

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Configurable):
    """Base class of losses, and of your own: define ``call(y_true, y_pred)``.

    ``loss(y_true, y_pred, sample_weight=None)`` converts both to floats, calls `call`, multiplies
    what it returns, one value for each sample, by the weights, and reduces it to one number.

    Parameters
    ----------
    name : str, optional
        By default made from the class.
    reduction : str or None, default "sum_over_batch_size"
        "sum_over_batch_size" and "mean" divide the sum by the number of values, whatever their
        weights; "mean_with_sample_weight" divides it by the sum of the weights; "sum" does not
        divide; "none" and None leave the values as they are.
    dtype : dtype, optional
        Float type to compute in, by default that of the predictions.

    Raises
    ------
    ValueError
        If there is no such reduction.
    TypeError
        If `dtype` is neither float32 nor float64.

    Examples
    --------
    >>> import fastnn
    >>> class FourthPower(fastnn.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return fastnn.reduce_mean((y_true - y_pred) ** 4, axis=-1)
    >>> loss = FourthPower()
    >>> loss.name, float(loss([[1.0], [0.0]], [[1.0], [2.0]]))
    ('fourth_power', 8.0)
    >>> float(loss([[1.0], [0.0]], [[1.0], [2.0]], sample_weight=[1.0, 0.5]))
    4.0
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: DType = None,
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}")
        self.name = name or unique_name(type(self))
        self.reduction = reduction
        self.dtype = None if dtype is None else to_dtype(dtype, floating=True)

    def call(self, y_true: Tensor, y_pred: Tensor) -> TensorLike:
        """The values to be reduced, one for each sample."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method call(self, y_true, y_pred)"
        )

    def __call__(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> Tensor:
        y_pred = floating(y_pred) if self.dtype is None else convert(y_pred, self.dtype)
        values = self.call(convert(y_true, y_pred.dtype), y_pred)
        if values is None:
            raise TypeError(f"the loss {self.name!r} returned None; end it with return")
        return reduce_weighted(values, sample_weight, self.reduction)


class LossFunctionWrapper(FunctionWrapper, Loss):
    """The values of a function of (y_true, y_pred, **options), reduced.

    Targets (n,) and predictions (n, 1), or the reverse, are given to it in equal shapes.
    """

    def __init__(
        self,
        fn: Callable[..., TensorLike],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DType = None,
        **options: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self._wrap(fn, options)

    def call(self, y_true: Tensor, y_pred: Tensor) -> TensorLike:
        """The function's values."""
        return self.fn(*same_rank(y_true, y_pred), **self.options)


class FunctionLoss(LossFunctionWrapper):
    """A loss that is called as its function, which takes no options."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(type(self).function, reduction, name, dtype)


def reduce_weighted(
    values: TensorLike,
    sample_weight: TensorLike | None = None,
    reduction: str | None = "sum_over_batch_size",
) -> Tensor:
    """Values times weights, reduced to one number as `Loss` describes.

    Parameters
    ----------
    values : tensor of shape (n, ...) or ()
    sample_weight : tensor, optional
        One number, one for each sample (n,) or (n, 1), or of a shape that broadcasts to the values.
    reduction : str or None

    Raises
    ------
    ValueError
        If the weights do not fit the values.
    """
    losses = floating(values)
    if sample_weight is not None:
        weights = fitted(sample_weight, losses)
        losses = losses * weights
    if reduction in ("none", None) or losses.ndim == 0:
        return unshared(losses)
    if reduction == "sum":
        return ops.reduce_sum(losses)
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return quotient(ops.reduce_sum(losses), ops.reduce_sum(weights))
    return ops.reduce_mean(losses)


def fitted(sample_weight: TensorLike, values: Tensor) -> Tensor:
    """Weights in a shape that multiplies the values sample by sample."""
    given = convert(sample_weight, values.dtype)
    shape = given.shape
    if len(shape) == values.ndim + 1 and shape[-1] == 1:
        shape = shape[:-1]
    elif all(n in (1, m) for n, m in zip(shape, values.shape, strict=False)):
        shape = (*shape, *[1] * (values.ndim - len(shape)))
    lengths = zip(shape[::-1], values.shape[::-1], strict=False)
    # A value without axes is one for all samples.
    if values.ndim and (len(shape) > values.ndim or any(n not in (1, m) for n, m in lengths)):
        raise ValueError(
            f"sample_weight has shape {given.shape} and the values to be weighted {values.shape}; "
            f"give one weight for each sample, shape {values.shape[:1]}, or one for each value"
        )
    return ops.reshape(given, shape)


def quotient(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b is 0."""
    nothing = ops.equal(b, 0)
    return ops.where(nothing, 0, ops.divide(a, ops.where(nothing, 1, b)))
