"""Layer: weights that are made on first use, a name, and a call."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from inspect import signature
from types import FunctionType
from typing import Any, TypeVar

import numpy as np

from fastnn import constraints, initializers, random, regularizers
from fastnn._kernels import Scope
from fastnn.arrays import COMPUTED_IN, Array, DType, Shape, to_dtype, to_open_shape, to_shape
from fastnn.configuration import Configurable, arguments_of, is_plain
from fastnn.constraints import Projection
from fastnn.forks import Lock
from fastnn.initializers import Start
from fastnn.lookup import refuse_options
from fastnn.naming import unique_name
from fastnn.phase import phase
from fastnn.recorders import recorders
from fastnn.regularizers import Penalty
from fastnn.sparse import is_scipy, to_tensor
from fastnn.structure import NODES, Structure, filled, leaves
from fastnn.tensor import Tensor, TensorLike, convert, is_gone, to_array, unshared, zeros
from fastnn.trace import paused
from fastnn.variable import Variable, all_or_nothing

Checked = TypeVar("Checked")

FLOAT32, FLOAT64 = COMPUTED_IN

# What attributes of these types hold is no layer and no variable.
_PLAIN = frozenset([bool, float, int, str, type(None), FunctionType])


# One thread at a time builds: whoever comes second finds the layer built.
_building = Lock(threading.RLock)


class _Added(threading.local):
    """What the last call of a layer in this thread added to the loss."""

    call: object = None  # the outermost call, of which that one was a part

    def __init__(self) -> None:
        self.losses: list[Tensor] = []

    def __reduce__(self) -> tuple[type[_Added], tuple[()]]:
        return _Added, ()  # a copy of the layer has not been called


def _unshared(parts: Structure) -> Structure:
    """Inputs or outputs in memory that nobody else writes to."""
    if type(parts) is Tensor:  # the usual case, found quickly
        return unshared(parts)
    return filled(
        parts, (unshared(part) if isinstance(part, Tensor) else part for part in leaves(parts))
    )


class Layer(Configurable):
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
    dtype : float32 (default) or float64
        Of the weights, and of what is computed.
    activity_regularizer : str or callable, optional
        A penalty on the output, added to the loss after division by the size of the batch.
    input_shape : tuple, optional
        Of one sample. A `Sequential` whose first layer knows it has weights from the start. The old
        ``input_dim=n`` is short for ``(n,)``.

    Raises
    ------
    TypeError
        If there is no such option.

    Examples
    --------
    >>> import fastnn
    >>> class Double(fastnn.layers.Layer):
    ...     def call(self, inputs):
    ...         return 2 * inputs
    >>> Double()([1.0, 2.0])
    Tensor([2. 4.], shape=(2,), dtype=float32)
    """

    # Attributes are looked through at every call of `predict`: these hold no layer, no variable.
    _bare = frozenset(
        ["_added", "_build_shape", "_is_building", "_trainable", "built", "name", "output_shapes"]
    )
    _aside = _bare
    _takes_training = False
    _is_leaf = False  # one of fastnn's layers, which hold no other layer but as their activation
    _takes_several = False  # whether such a layer takes a list of arrays
    _makes_floats = False  # whether integers become floats if the layer was given a dtype

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._takes_training = "training" in signature(cls.call).parameters
        cls._is_leaf = cls.__module__.startswith("fastnn.layers.")
        if "build" in vars(cls):
            built = _marking_as_built(cls.build)
            cls.build = built  # type: ignore[method-assign]  # the same method, and it leaves a mark

    def __init__(
        self,
        name: str | None = None,
        trainable: bool = True,
        dtype: DType = None,
        activity_regularizer: str | Penalty | None = None,
        input_shape: Shape | None = None,
        **old: Any,
    ) -> None:
        self.name = unique_name(type(self)) if name is None else name
        self.built = False
        self._build_shape: Any = None
        self.dtype = None if dtype is None else to_dtype(dtype, floating=True).name
        self.activity_regularizer = regularizers.get(activity_regularizer)
        if "input_dim" in old:
            input_shape = (old.pop("input_dim"),)
        if input_shape is not None:
            input_shape = to_open_shape(f"layer {self.name!r}: input_shape", input_shape)
        self.input_shape = input_shape
        refuse_options(f"layer {self.name!r}", lambda: arguments_of(type(self)), old)
        self.trainable = trainable
        self._added = _Added()
        self.output_shapes: list[tuple[int | None, ...]] = []

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        return state.copy() if isinstance(state, dict) else state  # another thread may be building

    def _goes_by(self, before: Any, value: Any) -> bool:
        # What a call leaves behind, such as a hidden output, is no setting.
        if phase.call is None or is_plain(value) or isinstance(before, Variable):
            return True
        is_first = before is None and type(value) is Tensor
        return is_first or (type(before) is Tensor and before.is_in_a_program)

    def __getattr__(self, name: str) -> Any:
        hint = ""
        if "built" not in vars(self):
            hint = "; its __init__ must begin with super().__init__()"
        elif name in ("input", "inputs", "output", "outputs"):
            hint = "; to get what a layer inside computes write a Model whose call returns it"
        elif not self.built and not name.startswith("_"):
            hint = "; if its build makes that, call the layer on data first"
        message = f"{type(self).__name__!r} object has no attribute {name!r}{hint}"
        raise AttributeError(message, name=name, obj=self)  # Python tells of a name like it

    def _checked(
        self, check: Callable[..., Checked], name: str, value: Any, *limits: Any
    ) -> Checked:
        """What a check of hyperparameters makes of an argument; its message names the layer too."""
        return check(f"layer {self.name!r}: {name}", value, *limits)

    @property
    def trainable(self) -> bool:
        """Whether optimizers change the weights; setting it sets it for the layers inside too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for part in parts_of(self, Layer):
            part.trainable = value

    @property
    def compute_dtype(self) -> str:
        """The name of the dtype of weights and results."""
        return self.dtype or "float32"

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape (batch axis included)."""
        self.built = True

    def _build_for_call(self, input_shape: Any) -> None:
        self.build(input_shape)

    def get_build_config(self) -> dict[str, Any]:
        """What `build_from_config` needs, as plain data: the shape that `build` was given."""
        return {"input_shape": self._build_shape}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Make the weights that a layer had which said this by `get_build_config`."""
        self.build(config["input_shape"])

    def call(self, inputs: Any) -> Any:
        """Compute the output; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, inputs)")

    def __call__(
        self, inputs: TensorLike, *args: Any, training: bool | None = None, **kwargs: Any
    ) -> Any:
        x = self._converted(inputs)
        if self._is_custom:  # it may keep them
            x = _unshared(x)
        before = phase.training, phase.call, phase.layer, phase.may_add
        try:
            phase.layer = self.name
            if training is not None:
                phase.training = bool(training)
            if before[1] is None:
                phase.call = object()
            y = self._called(x, *args, **kwargs)
            return y if self._is_custom else _unshared(y)
        except Exception as error:
            if self._is_custom:  # those of ours name themselves
                shapes = ", ".join(str(part.shape) for part in leaves(x))
                error.add_note(f"It happened in layer {self.name!r}, called on the shape {shapes}.")
            raise
        finally:
            phase.training, phase.call, phase.layer, phase.may_add = before

    def _converted(self, inputs: Any) -> Any:
        """The inputs as tensors, in the layer's dtype where it was given one."""
        if type(inputs) is Tensor and self.dtype is None:  # the usual ones
            return inputs
        if (isinstance(inputs, dict) and not is_scipy(inputs)) or (
            isinstance(inputs, list | tuple)
            and any(isinstance(part, Tensor | np.ndarray) for part in inputs)
        ):
            return filled(inputs, map(self._converted, leaves(inputs)))
        if isinstance(inputs, Layer) or (
            isinstance(inputs, list | tuple) and any(isinstance(part, Layer) for part in inputs)
        ):
            raise TypeError(
                f"layer {self.name!r} is called on data, not on layers: put one after the other "
                "with Sequential([...]), or write a Model whose call(self, inputs) joins them"
            )
        kind = self.dtype or float_type(layers_in(self))
        x = to_tensor(inputs, kind)
        if x.dtype.kind != "f" and not (self._makes_floats and self.dtype is not None):
            return x
        # NumPy's float64 is its default, and not a wish to compute so.
        is_default = x.dtype == np.float64 and not isinstance(inputs, Tensor)
        return convert(x, kind) if self.dtype is not None or is_default else x

    def _called(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        if self._is_leaf and not self._takes_several and isinstance(x, NODES):
            raise TypeError(
                f"layer {self.name!r} takes one array and got {len(x)} in a {type(x).__name__}: "
                "join samples with np.stack, columns with np.column_stack, or write a Model whose "
                "call(self, inputs) takes them; inputs and targets are given apart: fit(x, y)"
            )
        if self._takes_training:
            kwargs["training"] = phase.training
        added = self._added
        if added.call is not phase.call:
            added.call, added.losses = phase.call, []
        phase.may_add = not self.built
        if self.built:
            y = self.call(x, *args, **kwargs)
        else:
            with _building.here(), UnbuiltAgainOnFailure(self):
                if not self.built:
                    self._build_for_shapes_of(x)
                y = self.call(x, *args, **kwargs)
        if y is None:
            raise TypeError(f"layer {self.name!r}: call returned None; end it with return")
        if not self.output_shapes:
            self.output_shapes = [(None, *part.shape[1:]) for part in leaves(y)]
        if self.activity_regularizer is not None:
            for part in leaves(y):
                penalty = self.activity_regularizer(part)
                self.add_loss(penalty / max(1, len(part)) if part.ndim else penalty)
        return y

    def _build_for_shapes_of(self, x: Any) -> None:
        shapes = filled(x, iter([part.shape for part in leaves(x)]))
        with paused():
            self._build_for_call(shapes)
        self.built, self._build_shape = True, shapes
        if recorders.trace is not None and self.weights:
            recorders.trace.note_built(self)

    def add_weight(
        self,
        shape: Shape = (),
        initializer: str | Start | None = None,
        dtype: DType = None,
        trainable: bool = True,
        regularizer: str | Penalty | None = None,
        constraint: str | Projection | None = None,
        name: str | None = None,
    ) -> Variable:
        """A new variable of the layer.

        Parameters
        ----------
        shape : tuple of int, default ()
        initializer : str or callable, optional
            By default "glorot_uniform" for floats, and zeros for others.
        dtype : dtype, optional
            By default the layer's.
        trainable : bool, default True
        regularizer : str or callable, optional
            A penalty on the variable while it is trained, added to the loss.
        constraint : str or callable, optional
            What the variable is replaced with after every update.
        name : str, default "weight"

        Raises
        ------
        ValueError
            If a name is unknown, or in the midst of a call that is not the layer's first.
        """
        if not phase.may_add:
            raise ValueError(
                f"layer {self.name!r}: a weight that is made in call is another one at each call: "
                "make it in __init__ or build"
            )
        kind = to_dtype(dtype or self.compute_dtype)
        default = "glorot_uniform" if kind.kind == "f" else "zeros"
        start = initializers.get(default if initializer is None else initializer)
        start = phase.initializer or start
        with paused():  # it is the layer's, and so the same in all runs
            value = start(to_shape(shape), kind)
            weight = Variable(value, trainable=trainable, dtype=kind, name=name or "weight")
        weight.path = f"{self.name}/{weight.name}"
        weight._regularizer = regularizers.get(regularizer)
        weight._constraint = constraints.get(constraint)
        return weight

    add_variable = add_weight

    def add_loss(self, loss: TensorLike) -> None:
        """Add a number to the loss that is trained, from inside `call`."""
        self._added.losses.append(unshared(convert(loss)))

    @property
    def losses(self) -> list[Tensor]:
        """What the last call and the regularizers of the weights add to the loss."""
        parts, call = [part._added for part in layers_in(self)], self._added.call
        called = [x for part in parts if part.call is call for x in part.losses]
        added = [x for x in called if not is_gone(x)]  # of a step while that was recorded
        penalties = [w.regularizer(w) for w in self.trainable_weights if w.regularizer is not None]
        return added + penalties

    @property
    def weights(self) -> list[Variable]:
        """All variables: the layer's own, those made to be trained first, then inner layers'."""
        own, inner = _own_and_inner(self)
        own.sort(key=lambda w: not w.was_trainable)
        return _unique(own + [w for layer in inner for w in layer.weights])

    @property
    def trainable_weights(self) -> list[Variable]:
        """Those that optimizers change."""
        if not self.trainable:
            return []
        own, inner = _own_and_inner(self)
        trained = [w for w in own if w.trainable]
        return _unique(trained + [w for layer in inner for w in layer.trainable_weights])

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Those that optimizers leave alone."""
        trained = {id(w) for w in self.trainable_weights}
        return [w for w in self.weights if id(w) not in trained]

    @property
    def variables(self) -> list[Variable]:
        """The same as `weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The same as `non_trainable_weights`."""
        return self.non_trainable_weights

    def get_weights(self) -> list[Array]:
        """The values of `weights`."""
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: Sequence[TensorLike]) -> None:
        """Give all weights new values.

        Parameters
        ----------
        weights : list of array
            In the order of `weights`, with their shapes.

        Raises
        ------
        ValueError
            If the number or a shape is wrong. Nothing is changed then.
        """
        values, own = [to_array(value) for value in weights], self.weights
        if len(values) != len(own):
            hint = "" if self.built else "; call it on data once, so that its weights exist"
            raise ValueError(
                f"layer {self.name!r} has {len(own)} weights and was given {len(values)}{hint}"
            )
        for at, (w, value) in enumerate(zip(own, values, strict=True)):
            if w.shape != value.shape:
                raise ValueError(
                    f"weights[{at}] has shape {value.shape} and the variable {w.path!r} {w.shape}; "
                    "they must be equal"
                )
        with all_or_nothing():
            for w, value in zip(own, values, strict=True):
                w.assign(value)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output for an input of this shape; None, for any length, stays so."""
        lengths = [1 if length is None else length for length in input_shape]
        with random.Kept(), paused():
            shape = copy.deepcopy(self)(zeros(tuple(lengths), self.compute_dtype)).shape
        return (input_shape[0], *shape[1:])

    @property
    def output_shape(self) -> Any:
        """The shape of the output, None for the batch axis; a list of them if there are several."""
        if not self.output_shapes:
            raise ValueError(f"layer {self.name!r} has not been called yet: call it on data")
        return self.output_shapes[0] if len(self.output_shapes) == 1 else self.output_shapes

    def _inner(self) -> list[Layer]:
        """The layers right inside this one."""
        if not self._is_leaf:
            return parts_of(self, Layer)
        activation = vars(self).get("activation")
        return [activation] if isinstance(activation, Layer) else []

    def _settings(self) -> tuple[object, ...]:
        """What a compiled step depends on, apart from weights."""
        found: list[object] = []
        left: list[Layer] = [self]
        while left:
            part = left.pop()
            found += part, part._trainable
            if part._is_custom:  # which may hold weights in a list
                for held in parts_of(part, (Layer, Variable)):
                    if isinstance(held, Layer):
                        left.append(held)
                    else:
                        found.append(id(held))
            else:
                left += part._inner()
        return tuple(found)

    def count_params(self) -> int:
        """The number of elements of all weights; ValueError before they are made."""
        if not self.built:
            raise ValueError(
                f"layer {self.name!r} has no weights yet: call it on data, or build it, or let its "
                "model begin with an Input"
            )
        return sum(w.size for w in self.weights)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _marking_as_built(build: Callable[..., None]) -> Callable[..., None]:
    @wraps(build)
    def building(self: Layer, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        self.built, self._build_shape = True, next(iter((*args, *kwargs.values())), None)

    return building


class UnbuiltAgainOnFailure(Scope):
    """Take back what was built inside the block, in a layer and those inside it, if it fails; the
    next try draws the same weights.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer)
        before = [(part, dict(vars(part))) for part in layers_in(layer) if not part.built]
        self._before = before
        self._inside = [  # such as a list of weights
            (value, value.copy())
            for part, attributes in before
            for name, value in attributes.items()
            if isinstance(value, list | dict) and name not in part._bare
        ]
        self._drawn = random.state_of(random.generator()) if before else None

    def ended(self, failed: bool) -> None:
        if not failed:
            return
        for part, attributes in self._before:
            vars(part).clear()
            vars(part).update(attributes)
        for value, contents in self._inside:
            value.clear()
            (value.extend if isinstance(value, list) else value.update)(contents)
        if self._drawn is not None:
            random.set_state(random.generator(), self._drawn)


def layers_in(layer: Layer) -> Iterator[Layer]:
    """The layer and all those inside it."""
    yield layer
    for part in layer._inner():
        yield from layers_in(part)


def float_type(layers: Iterable[Layer]) -> np.dtype[Any]:
    """What floats are computed in together: float64 if one of the layers is."""
    return FLOAT64 if "float64" in [layer.dtype for layer in layers] else FLOAT32


def parts_of(layer: Layer, kind: type | tuple[type, ...]) -> list[Any]:
    """The objects of a kind among a layer's attributes, also in lists and dicts of them."""
    found = []
    for name, value in list(vars(layer).items()):  # another thread may be building
        if name in layer._bare or type(value) in _PLAIN:
            continue
        if isinstance(value, kind):
            found.append(value)
        elif isinstance(value, NODES) and value:
            found += [part for part in leaves(value) if isinstance(part, kind)]
    return _unique(found) if len(found) > 1 else found


def _own_and_inner(layer: Layer) -> tuple[list[Variable], list[Layer]]:
    """Its own weights and the layers inside, looked for together: loops ask for them every step."""
    parts = parts_of(layer, (Variable, Layer))
    own = [part for part in parts if isinstance(part, Variable)]
    return own, [part for part in parts if isinstance(part, Layer)]


def _unique(things: Any) -> list[Any]:
    return list({id(thing): thing for thing in things}.values())
