"""Variable: a tensor whose values can be assigned, and what a change of variables has to mind.

A variable owns its storage, which never moves and which only `assign`, `assign_add`, `assign_sub`
and the optimizers change. Reading it gives a tensor over that storage without a copy; should the
variable change while such a tensor is still in use, the tensor is given a copy of the old values
first, so that it does not change either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from fastnn import _kernels
from fastnn._kernels import VariableBase, Writing
from fastnn.arrays import Array, DType, Shape, is_finite, on_a_line
from fastnn.changes import note_change
from fastnn.recorders import recorders, refuse_in_a_trace
from fastnn.tensor import Index, Tensor, TensorLike, convert, operators, to_array

# The updates behind `assign`, `assign_add` and `assign_sub`, by name, which enter themselves here.
assignments: dict[str, Callable[..., None]] = {}


def _noted(slot: str, meaning: str) -> Any:
    """A property over a slot on which recorded programs rest."""

    def get(variable: Variable) -> Any:
        return getattr(variable, slot)

    def set_(variable: Variable, value: Any) -> None:
        if value is not getattr(variable, slot):
            note_change()
        setattr(variable, slot, value)

    return property(get, set_, doc=meaning)


def _refused(written: str, remedy: str) -> Callable[[Variable, TensorLike], NoReturn]:
    def method(self: Variable, other: TensorLike) -> NoReturn:
        raise TypeError(
            f"{written} would give the name to a tensor and leave the variable {self.path!r} as it "
            f"is: write {remedy} to change it, or begin with v.value instead of v to go on from it"
        )

    return method


class Variable(VariableBase, Tensor):
    """A tensor whose values can be assigned; an open `GradientTape` watches it if it is trainable.

    Parameters
    ----------
    initial_value : array, number or nested sequence
        Copied. A Python float gives float32; a NumPy array keeps its dtype. Or, with `shape`, an
        initializer, as for a layer's weight.
    trainable : bool, default True
        Whether tapes watch it by themselves and optimizers of a model change it.
    dtype : dtype, optional
        Convert to this type.
    name : str, default "variable"
        Used in messages.
    shape : tuple of int, optional
    initializer : str or callable, optional
        The same as `initial_value`.

    Raises
    ------
    TypeError
        If there is no initial value.
    TraceError
        If it is made inside a step that is being compiled.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.Variable(shape=(2,), initializer="ones")
    Variable([1. 1.], shape=(2,), dtype=float32)
    >>> v = fastnn.Variable([[1.0, 2.0]])
    >>> v.assign_add([[1.0, 1.0]])
    Variable([[2. 3.]], shape=(1, 2), dtype=float32)
    >>> v[0, 0].assign(9.0).numpy()
    array([[9., 3.]], dtype=float32)
    """

    __slots__ = (
        *("_constraint", "_regularizer"),
        *("name", "path", "was_trainable"),
    )

    def __init__(
        self,
        initial_value: TensorLike = None,
        trainable: bool = True,
        dtype: DType = None,
        name: str = "variable",
        shape: Shape | None = None,
        initializer: Any = None,
    ) -> None:
        refuse_in_a_trace("Variable")
        if initial_value is None:
            initial_value = initializer
        if initial_value is None:
            raise TypeError(
                "a Variable needs an initial value: write Variable(value), or "
                "Variable(shape=(2, 3), initializer='zeros')"
            )
        if shape is not None:
            initial_value = operators["initial_value"](initial_value, shape, dtype)
        values = to_array(initial_value, dtype)
        self._array = on_a_line(values.nbytes).view(values.dtype).reshape(values.shape)
        self._array[...] = values
        self.origin = None
        # When it was made: a layer's weights keep their order when one of them is frozen.
        self._trainable = self.was_trainable = bool(trainable)
        self.name = self.path = name
        self._regularizer: Callable[[Tensor], Tensor] | None = None
        self._constraint: Callable[[Tensor], Tensor] | None = None
        self._finite = Writing(is_over=True)

    def __reduce__(self) -> tuple[Any, ...]:
        names = ("_constraint", "_regularizer", "path", "was_trainable")
        more = {name: getattr(self, name) for name in names}
        return Variable, (self.numpy(), self.trainable, None, self.name), (None, more)

    trainable = _noted(
        "_trainable", "Whether tapes watch it by themselves and optimizers change it."
    )
    regularizer = _noted("_regularizer", "A penalty on the values, added to the loss, or None.")
    constraint = _noted(
        "_constraint", "What takes the place of the values after an update, or None."
    )

    def _now(self) -> Tensor:
        return self.value

    def numpy(self) -> Array:
        """A copy of the values."""
        return self._values().copy()

    def is_finite(self) -> bool:
        """Whether all values are finite: remembered until they change."""
        known = self._finite
        if not isinstance(known, Writing):
            return known
        was_over, finite = known.is_over, is_finite(self._array)
        if was_over and self._finite is known:  # no other thread has changed them meanwhile
            self._finite = finite
        return finite

    def changed(self, writing: Writing, finite: bool) -> None:
        """Note what is known of the values, if `writing` was the last to change them."""
        if self._finite is writing:
            self._finite = finite

    __iadd__ = _refused("v += x", "v.assign_add(x)")
    __isub__ = _refused("v -= x", "v.assign_sub(x)")
    __imul__ = _refused("v *= x", "v.assign(v * x)")
    __itruediv__ = _refused("v /= x", "v.assign(v / x)")
    __ifloordiv__ = _refused("v //= x", "v.assign(v // x)")
    __imod__ = _refused("v %= x", "v.assign(v % x)")
    __ipow__ = _refused("v **= x", "v.assign(v**x)")
    __imatmul__ = _refused("v @= x", "v.assign(v @ x)")

    def _assign_by(self, op: str, value: TensorLike) -> Variable:
        return self._write(op, ..., value)

    def _write(self, op: str, index: Index, value: TensorLike) -> Variable:
        shape = self._array.shape if index is ... else self._array[index].shape
        new = convert(value)
        if new.shape != shape:
            part = "" if index is ... else f" at index {index}"
            raise ValueError(
                f"cannot assign a value of shape {new.shape} to the variable {self.path!r}{part} "
                f"of shape {shape}; the shapes must be equal: reshape or broadcast the value first"
            )
        where = {} if index is ... else {"index": index}
        assignments[op]((self,), self._without_loss(new), **where)
        return self

    def _without_loss(self, new: Tensor) -> Tensor:
        """`new` in the variable's dtype; only the digits of floats may be lost."""
        if new.dtype == self.dtype:
            return new
        with np.errstate(invalid="ignore"):
            converted = operators["cast"](new, self.dtype)
        if self.dtype.kind != "f" and not np.array_equal(converted._values(), new._values()):
            raise TypeError(
                f"the variable {self.path!r} holds {self.dtype} and cannot take these values of "
                f"{new.dtype} as they are: convert them with cast, or make the variable with "
                f"dtype='{new.dtype}'"
            )
        return converted


class Kept(_kernels.Scope):
    """The variables are as before after the ``with`` block; or only if it fails."""

    def __init__(self, variables: list[Variable], if_it_fails: bool) -> None:
        super().__init__(self)
        self._before = [(variable, variable.value) for variable in variables]
        self._if_it_fails = if_it_fails

    def ended(self, failed: bool) -> None:
        if failed or not self._if_it_fails:
            for variable, value in self._before:
                if variable.value is not value:
                    variable.assign(value)


def all_or_nothing() -> _kernels.Scope:
    """Should the ``with`` block fail, or be interrupted, variables are as they were before it.

    What they held is copied as they change, which is why only what could stop half-way is in one.
    """
    if recorders.undo is not None or recorders.trace is not None:  # an outer one sees to it
        return _kernels.Scope(recorders)
    return _AllOrNothing()


class _AllOrNothing(_kernels.Scope):
    def __init__(self) -> None:
        self._changed: dict[int, tuple[Variable, Array]] = {}
        super().__init__(recorders, undo=self._changed, stack=recorders.stack.copy())

    def ended(self, failed: bool) -> None:
        if failed:
            self._take_back()

    def _take_back(self) -> None:
        recorders.undo = None
        for variable, value in self._changed.values():
            np.copyto(variable.mutable(), value)


class OnTrial(_AllOrNothing):
    """After the ``with`` block variables are as they were before it, or as they were made in it."""

    def ended(self, failed: bool) -> None:
        self._take_back()
