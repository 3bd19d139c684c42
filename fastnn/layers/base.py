"""Layer: weights that are made on first use, a name, and a call."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import numpy as np

from fastnn import initializers
from fastnn.arrays import DType, Shape, to_shape
from fastnn.initializers import Initializer
from fastnn.sparse import to_tensor
from fastnn.tensor import Tensor, TensorLike, Variable, convert
from fastnn.trace import paused

_names: Counter[str] = Counter()


class _Phase(threading.local):
    """Whether this thread is training: what the outermost layer was told holds for those inside."""

    training = False


phase = _Phase()


def _unique_name(of: type) -> str:
    """`Dense` becomes "dense", then "dense_1", ..."""
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", of.__name__).lower()
    _names[stem] += 1
    return stem if _names[stem] == 1 else f"{stem}_{_names[stem] - 1}"


class Layer:
    """Base class of all layers, and of your own.

    A subclass makes its weights in ``build(input_shape)``, which runs once, on the first call, with
    the shape of the input including the batch axis; ``call(inputs)`` computes. It may be
    ``call(inputs, training)``, to do something else while training: ``layer(x, training=True)``
    says that, for the layers inside too, and `fit` does.

    Parameters
    ----------
    name : str, optional
        Used in messages; by default made from the class.
    trainable : bool, default True
        Whether optimizers change the weights.

    Examples
    --------
    >>> import fastnn
    >>> class Double(fastnn.layers.Layer):
    ...     def call(self, inputs):
    ...         return 2 * inputs
    >>> Double()([1.0, 2.0])
    Tensor([2. 4.], shape=(2,), dtype=float32)
    """

    _takes_training = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._takes_training = "training" in signature(cls.call).parameters

    def __init__(self, name: str | None = None, trainable: bool = True) -> None:
        self.name = _unique_name(type(self)) if name is None else name
        self.trainable = trainable
        self.built = False

    def build(self, input_shape: Shape) -> None:
        """Make the weights for inputs of this shape (batch axis included)."""

    def call(self, inputs: Any) -> Any:
        """Compute the output; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, inputs)")

    def __call__(self, inputs: TensorLike, training: bool | None = None) -> Any:
        x = to_tensor(inputs)
        if x.dtype == np.float64 and not isinstance(inputs, Tensor):
            x = convert(x, np.float32)  # NumPy's default, not a wish to compute in float64
        if training is None or training == phase.training:
            return self._called(x)
        before, phase.training = phase.training, bool(training)
        try:
            return self._called(x)
        finally:
            phase.training = before

    def _called(self, x: Tensor) -> Any:
        options = {"training": phase.training} if self._takes_training else {}
        if self.built:
            return self.call(x, **options)
        with unbuilt_again_on_failure(self):
            with paused():
                self.build(x.shape)
            self.built = True
            return self.call(x, **options)

    def add_weight(
        self,
        shape: Shape = (),
        initializer: str | Initializer = "glorot_uniform",
        dtype: DType = np.float32,
        trainable: bool = True,
        name: str = "weight",
    ) -> Variable:
        """A new variable of the layer.

        Parameters
        ----------
        shape : tuple of int, default ()
        initializer : str or callable, default "glorot_uniform"
        dtype : dtype, default float32
        trainable : bool, default True
        name : str, default "weight"

        Raises
        ------
        ValueError
            If the initializer is unknown.
        """
        value = initializers.get(initializer)(to_shape(shape), dtype)
        return Variable(value, trainable=trainable, name=f"{self.name}/{name}")

    @property
    def weights(self) -> list[Variable]:
        """All variables of the layer and of those inside it, in the order of assignment."""
        return [w for part in vars(self).values() for w in _weights_in(part)]

    @property
    def trainable_weights(self) -> list[Variable]:
        """Those that optimizers change."""
        if not self.trainable:
            return []
        return [
            w
            for part in vars(self).values()
            for owner in _owners_in(part)
            for w in (owner.trainable_weights if isinstance(owner, Layer) else [owner])
            if w.trainable
        ]

    def settings(self) -> tuple[object, ...]:
        """What a compiled step depends on, apart from weights."""
        return self, self.trainable

    def count_params(self) -> int:
        """The number of elements of all weights."""
        return sum(w.size for w in self.weights)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


@contextmanager
def unbuilt_again_on_failure(layer: Layer) -> Iterator[None]:
    """Take back what was built inside the block, in the layer and those inside it, if it fails."""
    before = [(part, dict(vars(part))) for part in _layers_in(layer) if not part.built]
    try:
        yield
    except BaseException:
        for part, attributes in before:
            vars(part).clear()
            vars(part).update(attributes)
        raise


def _layers_in(layer: Layer) -> Iterator[Layer]:
    """The layer and all those inside it."""
    yield layer
    for value in vars(layer).values():
        for owner in _owners_in(value):
            if isinstance(owner, Layer):
                yield from _layers_in(owner)


def _owners_in(value: Any) -> Iterator[Variable | Layer]:
    """The variables and layers in an attribute, which may be a list or a dict of them."""
    if isinstance(value, Variable | Layer):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _owners_in(part)
    elif isinstance(value, dict):
        yield from _owners_in(list(value.values()))


def _weights_in(value: Any) -> Iterator[Variable]:
    for owner in _owners_in(value):
        if isinstance(owner, Layer):
            yield from owner.weights
        else:
            yield owner
