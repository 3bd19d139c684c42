"""InputLayer: what a model takes, said before its layers."""

from __future__ import annotations

from typing import Any, TypeAlias

from fastnn import ops
from fastnn.arrays import DType, Shape, to_dtype, to_open_shape
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
    input_shape : tuple, optional
        The old name of `shape`.

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
        input_shape: Announced = None,
    ) -> None:
        super().__init__(name=name)
        shape = input_shape if shape is None else shape
        if (shape is None) == (batch_shape is None) or None not in (batch_size, batch_shape):
            raise ValueError(
                f"layer {self.name!r}: give a shape, as in Input(shape=(784,)), or a batch_shape "
                "(which has the batch size in it), and not both"
            )
        given = to_open_shape(
            f"layer {self.name!r}: shape", batch_shape if shape is None else shape
        )
        self.batch_shape = given if shape is None else (batch_size, *given)
        self.shape = self.batch_shape
        self.input_shape: Announced = self.batch_shape[1:]
        self.dtype = to_dtype(dtype).name
        self.sparse = bool(sparse)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """The input, as it was announced."""
        return ops.cast(ops.reshape(inputs, self.compute_output_shape(inputs.shape)), self.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the input, with or without a last axis of length 1 as was announced."""
        return as_announced(self.name, self.batch_shape, input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {
            "batch_shape": list(self.batch_shape),
            "dtype": self.dtype,
            "sparse": self.sparse,
            "name": self.name,
        }


def as_announced(name: str, batch_shape: Announced, input_shape: Shape) -> Shape:
    """The shape of an input of a layer, with or without a last axis of length 1 as was announced.

    Raises
    ------
    ValueError
        If it does not fit.
    """
    announced, given = [*batch_shape[1:]], [*input_shape[1:]]
    ways = [given] if input_shape else []
    if announced[-1:] == [1]:
        ways.append([*given, 1])
    if given[-1:] == [1]:
        ways.append(given[:-1])
    for shape in ways:
        if len(shape) == len(announced) and all(
            None in (n, m) or n == m for n, m in zip(shape, announced, strict=True)
        ):
            return (input_shape[0], *shape)
    remedy = f"reshape it, or announce the shape of one sample, {tuple(given)}"
    if len(given) < len(announced):
        remedy = "put one sample into a batch with x[None], or reshape what has several"
        if given:
            remedy += f", or announce the shape of one, {tuple(given)}"
    raise ValueError(
        f"an input of shape {tuple(input_shape)} is incompatible with the layer {name!r}, which "
        f"takes the shape {batch_shape}: {remedy}"
    )


Input = InputLayer  # Keras has a function of this name beside the class
