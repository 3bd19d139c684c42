"""InputLayer: what a model takes, said before its layers."""

from __future__ import annotations

from typing import Any, TypeAlias

from fastnn import ops
from fastnn.arrays import DType, Shape, to_dtype
from fastnn.layers.base import Layer
from fastnn.tensor import Tensor

Announced: TypeAlias = Any  # a tuple of lengths, None for any length


class InputLayer(Layer):
    """The shape and dtype of a model's input; it hands the input on, in that dtype.

    As the first layer of a `Sequential` it lets the model have weights from the start. A last axis
    of length 1 may be left out of the input, or be there without having been announced.

    Parameters
    ----------
    shape : tuple
        Of one sample; None stands for any length.
    batch_size : int, optional
    dtype : dtype, default float32
    sparse : bool, default False
        Whether compressed rows are expected; they are taken either way.
    batch_shape : tuple, optional
        The shape with the batch axis, instead of `shape` and `batch_size`.
    name : str, optional

    Attributes
    ----------
    shape, batch_shape : tuple
        With the batch axis, of length None if any is meant.
    input_shape : tuple
        Without.

    Raises
    ------
    ValueError
        If there is no shape, or there are two; on a call, if the input does not fit.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Input((784,)).shape
    (None, 784)
    """

    def __init__(
        self,
        shape: Announced = None,
        batch_size: int | None = None,
        dtype: DType = None,
        sparse: bool = False,
        batch_shape: Announced = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if (shape is None) == (batch_shape is None) or None not in (batch_size, batch_shape):
            raise ValueError(
                f"layer {self.name!r}: give a shape, as in Input(shape=(784,)), or a batch_shape "
                "(which has the batch size in it), and not both"
            )
        self.batch_shape = tuple(batch_shape) if shape is None else (batch_size, *shape)
        self.shape = self.batch_shape
        self.input_shape: Announced = self.batch_shape[1:]
        self.dtype = to_dtype(dtype).name
        self.sparse = bool(sparse)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """The input, in the dtype that was announced."""
        return ops.cast(self._with_last_axis(inputs), self.dtype)

    def _with_last_axis(self, x: Tensor) -> Tensor:
        wanted = self.input_shape
        if self._fits(x.shape[1:]):
            return x
        if wanted[-1:] == (1,) and self._fits((*x.shape[1:], 1)):
            return ops.expand_dims(x, -1)
        if x.shape[-1:] == (1,) and self._fits(x.shape[1:-1]):
            return ops.squeeze(x, -1)
        raise ValueError(
            f"an input of shape {x.shape} is incompatible with the layer {self.name!r}, which "
            f"takes the shape {self.batch_shape}: reshape it"
        )

    def _fits(self, shape: Shape) -> bool:
        """Whether samples of that shape are what was announced; batches may have any size."""
        wanted = self.input_shape
        return len(shape) == len(wanted) and all(
            n in (None, m) for n, m in zip(wanted, shape, strict=True)
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape that was announced, with the batch axis of the input."""
        return (input_shape[0], *self.input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {
            "batch_shape": list(self.batch_shape),
            "dtype": self.dtype,
            "sparse": self.sparse,
            "name": self.name,
        }


def Input(  # noqa: N802  # Keras's name for it
    shape: Announced = None,
    batch_size: int | None = None,
    dtype: DType = None,
    sparse: bool = False,
    batch_shape: Announced = None,
    name: str | None = None,
) -> InputLayer:
    """An `InputLayer`, to stand first in a `Sequential`."""
    return InputLayer(shape, batch_size, dtype, sparse, batch_shape, name)
