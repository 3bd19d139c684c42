"""Tensor: a NumPy array that ops compute with and a tape can follow.

It wraps one array and never changes; what changes is a `Variable` (variable.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from fastnn._kernels import ReadFrom, Shared, TensorBase, set_tensor_type, wrap
from fastnn.arrays import (
    COMPUTED_IN,
    Array,
    DType,
    Shape,
    from_python,
    real,
    to_dtype,
    to_shape,
    unmasked,
)
from fastnn.recorders import recorders

if TYPE_CHECKING:
    from fastnn.variable import Variable

TensorLike: TypeAlias = Any  # a Tensor, an array, a number or nested sequences of numbers
Index: TypeAlias = Any

# What operators and methods of tensors and variables call, by name: ops, and what a variable begins
# with. These stand on top of this module and enter themselves here.
operators: dict[str, Callable[..., Tensor]] = {}

MOST_AXES = 64  # of an array in NumPy

_Binary: TypeAlias = Callable[["Tensor", TensorLike], "Tensor"]


class SoftmaxOf(NamedTuple):
    """The origin of probabilities: the tensor that softmax was applied to."""

    logits: Tensor


class SigmoidOf(NamedTuple):
    """The origin of probabilities: the tensor that sigmoid was applied to."""

    logits: Tensor


SHARED = Shared()
Origin: TypeAlias = ReadFrom | SoftmaxOf | SigmoidOf | Shared | None


class _Gone:
    """Stands where a tensor's array was: no tensor of a step outlives the recording of that."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own tools may ask
            raise AttributeError(name)
        raise _error_of_gone()

    def __array__(self, *args: Any, **options: Any) -> Array:
        raise _error_of_gone()

    def __len__(self) -> int:
        raise _error_of_gone()

    def __getitem__(self, index: Index) -> Any:
        raise _error_of_gone()


def _error_of_gone() -> RuntimeError:
    if recorders.trace is not None:
        recorders.trace.refuse(
            "computes with a tensor that an earlier step has left, which a program cannot keep: "
            "assign it to a Variable, or leave"
        )
    return RuntimeError(
        "this tensor stood for the numbers of a step while that was recorded, and is gone: return "
        "it from the step, keep it in a Variable (v.assign(x)), or leave the step uncompiled: "
        "run_eagerly=True in compile, no @fastnn.function"
    )


GONE: Any = _Gone()


def _binary(name: str) -> tuple[_Binary, _Binary]:
    """An operator's methods, for a tensor on the left and for one on the right alone."""

    def method(self: Tensor, other: TensorLike) -> Tensor:
        return operators[name](self, other)

    def reflected(self: Tensor, other: TensorLike) -> Tensor:
        return operators[name](other, self)

    return method, reflected


class Tensor(TensorBase):
    """An immutable array of numbers that gradients can flow through.

    Parameters
    ----------
    value : array, number, nested sequence, or anything with ``__array__``
        Copied. An array keeps its dtype; Python floats become float32, integers int32 (int64 where
        one does not fit), booleans bool.
    dtype : dtype, optional
        Convert to this type.

    Raises
    ------
    TypeError
        If the values are not numbers or are complex.

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.Tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> x.shape, x.dtype, x.ndim
    ((2, 2), dtype('float32'), 2)
    >>> 2 * x[:, 0] + 1
    Tensor([3. 7.], shape=(2,), dtype=float32)
    """

    __slots__ = ()
    # NumPy leaves `array * tensor` to the tensor.
    __array_priority__ = 1000

    _array: Array
    origin: Origin

    def __init__(self, value: TensorLike, dtype: DType = None) -> None:
        self._array = _own(to_array(value, dtype), value)
        self.origin = None

    def _now(self) -> Tensor:
        """What a variable holds now; a tensor is that itself."""
        return self

    def _values(self) -> Array:
        """The array, for Python to see what is in it."""
        if recorders.trace is not None:
            recorders.trace.read(self)
        if self._array is GONE:
            raise _error_of_gone()
        return self._array

    def numpy(self) -> Array:
        """The values as a read-only array, without a copy where the tensor stands alone."""
        if isinstance(self.origin, ReadFrom):
            return self._values().copy()
        view = self._values().view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: DType = None, copy: bool | None = None) -> Array:
        if copy is False and isinstance(self._now().origin, ReadFrom):
            raise ValueError("a variable's values cannot be had without a copy, since they change")
        return np.array(self.numpy(), dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    def assign(self, value: TensorLike) -> Variable:
        """Replace the values of a variable, or of the part of one that this tensor was indexed
        from, as in ``v[0, 0].assign(3.0)``; returns the variable.

        Raises
        ------
        ValueError
            If `value` has not exactly the shape of what it replaces. Nothing is changed then.
        TypeError
            If the tensor is neither a variable nor ``variable[index]``: tensors do not change.
        """
        return self._assign_by("assign", value)

    def assign_add(self, value: TensorLike) -> Variable:
        """Add `value`, of exactly the same shape; otherwise as `assign`."""
        return self._assign_by("assign_add", value)

    def assign_sub(self, value: TensorLike) -> Variable:
        """Subtract `value`, of exactly the same shape; otherwise as `assign`."""
        return self._assign_by("assign_sub", value)

    def _assign_by(self, op: str, value: TensorLike) -> Variable:
        if isinstance(self.origin, ReadFrom) and self.origin.index is not None:
            return self.origin.variable._write(op, self.origin.index, value)
        raise TypeError(
            "a Tensor does not change; only a Variable or its parts can be assigned to: make "
            "v = Variable(x), then v.assign(...) or v[0].assign(...)"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (_gone, ()) if is_gone(self) else (Tensor, (np.array(self._values()),))

    def _is_of_a_run(self) -> bool:
        """Whether its values are known only when the step that is being traced runs."""
        return recorders.trace is not None and recorders.trace.varies(self)

    def __repr__(self) -> str:
        if is_gone(self):
            return "Tensor(gone)"
        if self._is_of_a_run():  # as a print shows it then
            return f"{type(self).__name__}(of a run, shape={self.shape}, dtype={self.dtype})"
        return f"{type(self).__name__}({self._values()}, shape={self.shape}, dtype={self.dtype})"

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self if self._is_of_a_run() else self._values())
        if self.size != 1:
            raise TypeError(
                f"the format {spec!r} is for one number, and this tensor has shape {self.shape}: "
                "format its elements, or print x.numpy().round(2)"
            )
        return format(self._values().item(), spec)

    def __bool__(self) -> bool:
        array = self._values()
        if array.size != 1:
            raise ValueError(
                f"a tensor of shape {self.shape} is neither true nor false: ask for "
                "fastnn.reduce_any(x) or fastnn.reduce_all(x)"
            )
        return bool(array)

    def __int__(self) -> int:
        return int(self._one_number())

    def __float__(self) -> float:
        return float(self._one_number())

    def _one_number(self) -> Any:
        array = self._values()
        if array.size != 1:
            raise TypeError(
                f"a tensor of shape {self.shape} is not one number: choose an element, as in x[0], "
                "or take reduce_mean(x)"
            )
        return array.item()

    def __index__(self) -> int:
        return self._values().__index__()

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError(
                "a tensor of shape () cannot be iterated over; use float(x) for its value"
            )
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Index) -> Tensor:
        return operators["getitem"](self, index)

    def __setitem__(self, index: Index, value: TensorLike) -> None:
        raise TypeError(
            "elements are not assigned to with =: of a Variable write v[0, 0].assign(3.0); a "
            "Tensor does not change"
        )

    def __neg__(self) -> Tensor:
        return operators["negative"](self)

    def __abs__(self) -> Tensor:
        return operators["abs"](self)

    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("subtract")
    __mul__, __rmul__ = _binary("multiply")
    __truediv__, __rtruediv__ = _binary("divide")
    __floordiv__, __rfloordiv__ = _binary("floor_divide")
    __mod__, __rmod__ = _binary("mod")
    __pow__, __rpow__ = _binary("pow")
    __matmul__, __rmatmul__ = _binary("matmul")

    def __and__(self, other: TensorLike) -> Tensor:
        return operators["logical_and"](*_bools("&", self, other))

    def __rand__(self, other: TensorLike) -> Tensor:
        return operators["logical_and"](*_bools("&", other, self))

    def __or__(self, other: TensorLike) -> Tensor:
        return operators["logical_or"](*_bools("|", self, other))

    def __ror__(self, other: TensorLike) -> Tensor:
        return operators["logical_or"](*_bools("|", other, self))

    def __invert__(self) -> Tensor:
        return operators["logical_not"](*_bools("~", self))

    def __eq__(self, other: TensorLike) -> Tensor:  # type: ignore[override]  # elementwise, as NumPy's
        return NotImplemented if _is_no_number(other) else operators["equal"](self, other)

    def __ne__(self, other: TensorLike) -> Tensor:  # type: ignore[override]  # elementwise, as NumPy's
        return NotImplemented if _is_no_number(other) else operators["not_equal"](self, other)

    def __lt__(self, other: TensorLike) -> Tensor:
        return operators["less"](self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return operators["less_equal"](self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return operators["greater"](self, other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return operators["greater_equal"](self, other)

    __hash__ = None  # type: ignore[assignment]  # == compares elementwise, as in NumPy


set_tensor_type(Tensor)


def _bools(operator: str, *operands: TensorLike) -> list[Tensor]:
    """Tensors of bools; TypeError if there is another among them."""
    tensors = [convert(x) for x in operands]
    if any(x.dtype != np.bool_ for x in tensors):
        raise TypeError(
            f"{operator} takes tensors of bools, as comparisons give them, and got "
            f"{' and '.join(str(x.dtype) for x in tensors)}: compare with 0 first, as in x != 0"
        )
    return tensors


def _is_no_number(value: object) -> bool:
    return value is None or isinstance(value, str)


def is_gone(x: Tensor) -> bool:
    """Whether x was of a step while that was recorded, and holds nothing any more."""
    return type(x) is Tensor and x._array is GONE


def _gone() -> Tensor:
    return wrap(GONE)


def to_array(value: TensorLike, dtype: DType = None) -> Array:
    """`value` as an array of a dtype that tensors have, without a copy where it is one already."""
    if type(value) is np.ndarray and dtype is None and value.dtype in COMPUTED_IN:  # found quickly
        return value
    if isinstance(value, Tensor):
        array = value._values()
    elif isinstance(value, np.ndarray | np.generic):
        array = unmasked(value)
    else:
        dtype = _dtype_of_tensors(value) if dtype is None else dtype
        array = from_python(value, dtype)
    array = real(array)
    return array if dtype is None else array.astype(to_dtype(dtype), copy=False)


def _dtype_of_tensors(value: TensorLike) -> DType:
    """That of the tensors in a list, or in lists in it, as far as the first leaf tells."""
    for _ in range(MOST_AXES):
        if not (isinstance(value, list | tuple) and value):
            break
        value = value[0]
    return value.dtype if isinstance(value, Tensor) else None


def _own(array: Array, value: TensorLike) -> Array:
    """An array that was made of `value`, in memory that nobody else writes to."""
    return array.copy() if _is_shared(array, value) else array


# An array that was made of one of these is new, or the value itself, or a view.
_PLAIN = {np.ndarray, list, tuple, float, int}


def _is_shared(array: Array, value: TensorLike) -> bool:
    return array is value or array.base is not None or type(value) not in _PLAIN


def unshared(x: Tensor) -> Tensor:
    """x, in memory that nobody else writes to."""
    return wrap(x._array.copy()) if x.origin is SHARED else x


def convert(value: TensorLike, dtype: DType = None) -> Tensor:
    """`value` as a Tensor: itself if it is one, a variable's present value, or a new one."""
    if type(value) is Tensor:  # the usual one, found quickly
        tensor = value
    elif isinstance(value, Tensor):
        tensor = value._now()
    elif isinstance(value, list | tuple) and _has_tensor(value):
        tensor = operators["stack"](value)
    else:
        array = to_array(value, dtype)
        if recorders.trace is not None:  # a program goes on with what is in the array then
            return wrap(array)
        if recorders.stack:  # a tape needs what is in it now
            return wrap(_own(array, value))
        return wrap(array, SHARED if _is_shared(array, value) else None)
    return tensor if dtype is None or tensor.dtype == dtype else operators["cast"](tensor, dtype)


def _has_tensor(sequence: Iterable[Any]) -> bool:
    """Whether there is a tensor in a list, or in lists in it if a tape may want its gradient."""
    if any(issubclass(kind, Tensor) for kind in set(map(type, sequence))):
        return True
    parts = [part for part in sequence if isinstance(part, list | tuple)] if recorders.stack else []
    return any(map(_has_tensor, parts))


def constant(value: TensorLike, dtype: DType = None, shape: Shape | int | None = None) -> Tensor:
    """A tensor of the given values, which are copied.

    Parameters
    ----------
    value : array, number or nested sequence
    dtype : dtype, optional
        By default an array's own, float32 for Python floats, int32 for integers.
    shape : tuple, optional
        Reshape to this shape, or fill it if `value` is one number.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.constant(3.0)
    Tensor(3.0, shape=(), dtype=float32)
    """
    array = _own(to_array(value, dtype), value)
    if shape is not None:
        shape = to_shape(shape)
        if array.ndim and array.size != math.prod(shape):
            raise ValueError(f"{array.size} values do not fill the shape {shape}; give one or all")
        array = array.reshape(shape) if array.ndim else np.full(shape, array)
    return wrap(array)


def zeros(shape: Shape | int, dtype: DType = np.float32) -> Tensor:
    """A tensor of zeros.

    Parameters
    ----------
    shape : tuple of int, or int
    dtype : dtype, default float32

    Raises
    ------
    TypeError
        If the shape is two numbers, as in ``zeros(2, 2)``.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.zeros((2, 1)).numpy()
    array([[0.],
           [0.]], dtype=float32)
    """
    return wrap(np.zeros(to_shape(shape, dtype), to_dtype(dtype)))


def ones(shape: Shape | int, dtype: DType = np.float32) -> Tensor:
    """A tensor of ones; parameters and errors as for `zeros`.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.ones((2,))
    Tensor([1. 1.], shape=(2,), dtype=float32)
    """
    return wrap(np.ones(to_shape(shape, dtype), to_dtype(dtype)))
