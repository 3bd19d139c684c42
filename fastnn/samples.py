"""Samples: a data set in memory, as columns with a row for each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NoReturn, Self

import numpy as np

from fastnn._kernels import CompressedRows, wrap
from fastnn.arrays import Array, DType, is_in_order
from fastnn.recent import Recent
from fastnn.sparse import Samples, SparseTensor, is_scipy, to_samples
from fastnn.structure import Structure, filled, leaves
from fastnn.tensor import Tensor, TensorLike, to_array

PARTS = ("x", "y", "sample_weight")


@dataclass(frozen=True, slots=True)
class Column:
    """One array of a data set: a row for each sample."""

    data: Samples
    dtype: np.dtype[np.generic]  # in which a batch of it is computed with

    def batch(self, rows: Array) -> Tensor:
        """Some of its rows."""
        chosen = self.data[rows]
        if isinstance(chosen, CompressedRows):
            return SparseTensor(chosen)
        return wrap(chosen.astype(self.dtype, copy=False))

    @property
    def kind(self) -> object:
        """What a compiled loop depends on of it."""
        if isinstance(self.data, CompressedRows):
            return id(self.data)
        return self.data.shape[1:], self.data.dtype, is_in_order(self.data), self.dtype


class Arrays:
    """A data set in memory.

    Parameters
    ----------
    x : array, or a tuple, list or dict of arrays
    y : array, or a tuple, list or dict of arrays, optional
    sample_weight : array of shape (samples, ...), optional
    dtype : dtype
        In which inputs, and floats among the targets, are computed with.
    part_of : str
        What x and y are a part of, for messages; empty if they are all.
    keeps_integers : bool
        Whether inputs that are integers or bool stay so.

    Raises
    ------
    TypeError
        If the values are no real numbers.
    ValueError
        If the arrays differ in length, or there is no sample.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: TensorLike,
        dtype: DType,
        part_of: str,
        keeps_integers: bool,
    ) -> None:
        self._floats = floats = np.dtype(dtype)
        of = part_of and f" of {part_of}"
        to_column, to_x = _column if keeps_integers else Column, partial(to_samples, dtype=floats)
        self.x = _each(x, lambda part: to_column(_data(f"x{of}", part, to_x), floats))
        self.y = self.sample_weight = None
        if isinstance(y, list | tuple) and len(y) == 1 and _is_array(y[0]):
            (y,) = y  # of the only output
        if y is not None:
            self.y = _each(y, lambda part: _column(_data(f"y{of}", part, to_array), floats))
        if sample_weight is not None:
            weights = _data(f"sample_weight{of}", sample_weight, to_array)
            self.sample_weight = Column(weights, floats)
        self.columns = self._columns()
        if len(self.columns) > 1:
            self._check_lengths(of)

    have_run = False  # whether a step has been taken with them

    @cached_property
    def loops(self) -> Recent[object, Any]:
        """The programs that read rows without zeros, which are for these data alone."""
        return Recent()

    def _columns(self) -> list[Column]:
        """All arrays, those of x first."""
        return [c for part in (self.x, self.y, self.sample_weight) for c in _parts(part)]

    def _check_lengths(self, of: str) -> None:
        first = self.columns[0].data
        for name in PARTS:
            parts = _parts(getattr(self, name))
            for at, column in enumerate(parts):
                if len(column.data) != len(first):
                    which = f"array {at + 1} of {name}" if len(parts) > 1 else name
                    self._refuse_length(of, name, which, column.data)

    def _refuse_length(self, of: str, name: str, which: str, data: Samples) -> NoReturn:
        first = self.columns[0].data
        may_be_samples = name == "y" and isinstance(self.x, list)
        remedy = ": np.stack makes one array of a list of samples" if may_be_samples else ""
        raise ValueError(
            f"x{of} has {len(first)} samples (shape {first.shape}) and {which}{of} has "
            f"{len(data)} (shape {data.shape}); their first axes must be equal{remedy}"
        )

    def __len__(self) -> int:
        return len(self.columns[0].data)

    @property
    def kind(self) -> object:
        """What a compiled loop depends on."""
        form = map(_form, (self.x, self.y, self.sample_weight))
        return *form, *[column.kind for column in self.columns]

    @property
    def are_compressed(self) -> bool:
        """Whether there are rows without their zeros among them."""
        return any(isinstance(column.data, CompressedRows) for column in self.columns)

    def structured(self, tensors: Iterable[Any]) -> Structure:
        """A batch of the columns in the form in which it goes to a step: x, (x, y) or
        (x, y, sample_weight).
        """
        new = iter(tensors)
        x, y, weight = (
            None if part is None else filled(part, new)
            for part in (self.x, self.y, self.sample_weight)
        )
        if y is None:
            return (x,) if isinstance(x, list | tuple) else x
        return (x, y) if weight is None else (x, y, weight)

    def weighted(self, class_weight: Mapping[int, float] | None) -> Self:
        """The same, where a sample counts as its class does, times its own weight if it has one."""
        if class_weight is None:
            return self
        new, given = copy.copy(self), self.sample_weight
        y = self.y.data if isinstance(self.y, Column) else None
        weights = weights_of_classes(y, class_weight)
        if given is not None:
            own = np.asarray(given.data)
            weights = own * weights.reshape(-1, *(1,) * (own.ndim - 1))
        new.sample_weight = Column(weights, self._floats)
        new.columns = new._columns()
        return new

    def first(self, size: int) -> Structure:
        """The first samples as a batch."""
        rows = np.arange(min(size, len(self)))
        return self.structured(column.batch(rows) for column in self.columns)

    def cut(self, start: int, stop: int) -> Self:
        """Some of the samples, as views."""
        return self._with(lambda data: data[start:stop])

    def with_inputs(self, change: Callable[[Samples], Samples]) -> Self:
        """The same with another form of x, if that is one array."""
        x = self.x.data if isinstance(self.x, Column) else None
        changed = None if x is None else change(x)
        return self if changed is x else self._with(lambda data: changed, ["x"])

    def _with(self, change: Callable[[Any], Any], names: Sequence[str] = PARTS) -> Self:
        new = copy.copy(self)
        for name in names:
            structure = getattr(self, name)
            if structure is not None:
                changed = [Column(change(c.data), c.dtype) for c in leaves(structure)]
                setattr(new, name, filled(structure, iter(changed)))
        new.columns = new._columns()
        return new


def split(arrays: Arrays | Iterable[Any], share: float) -> tuple[Arrays, Arrays]:
    """Samples to train on, and the last `share` of all for validation."""
    if not isinstance(arrays, Arrays):
        raise ValueError("validation_split needs arrays; pass validation_data beside batches")
    if not isinstance(share, int | float) or not 0 < share < 1:
        raise ValueError(f"validation_split must be a number in [0, 1), got {share!r}")
    at = int(len(arrays) * (1 - share))
    if at in (0, len(arrays)):
        raise ValueError(
            f"validation_split={share} of {len(arrays)} samples leaves one part empty; use another "
            "share or pass validation_data"
        )
    return arrays.cut(0, at), arrays.cut(at, len(arrays))


def weights_of_classes(y: Any, class_weight: Mapping[int, float]) -> Array:
    """The weight of each sample's class, 1 where none is given, as float32 of shape (samples,).

    Raises
    ------
    ValueError
        If `y` are not classes, one for each sample or as rows of probabilities.
    TypeError
        If `class_weight` is no dict from whole numbers to numbers.
    """
    if not isinstance(class_weight, Mapping) or not all(
        isinstance(key, int | float | np.number)
        and float(key).is_integer()
        and isinstance(weight, int | float | np.number)
        for key, weight in class_weight.items()
    ):
        raise TypeError(
            f"class_weight must be a dict from class to weight, such as {{0: 1.0, 1: 5.0}}, got "
            f"{class_weight!r}"
        )
    if y is None:
        raise ValueError("class_weight needs targets: pass y, as one array of classes")
    labels = to_array(y)
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(axis=-1)
    if labels.ndim != 1:
        raise ValueError(
            f"class_weight needs one class for each sample, and y has shape {np.shape(y)}; pass "
            "sample_weight instead"
        )
    found, places = np.unique(labels, return_inverse=True)
    with np.errstate(invalid="ignore"):  # of infinity nothing is left either
        are_whole = bool(np.all(found % 1 == 0))
    if not are_whole:
        raise ValueError(
            "class_weight needs whole numbers for classes, and y has others: pass sample_weight "
            "instead, a weight for each sample"
        )
    return np.array([class_weight.get(int(c), 1.0) for c in found], np.float32)[places]


def _each(structure: Any, to_column: Callable[[Any], Column]) -> Structure:
    """Columns in a dict, list or tuple of arrays; a list of numbers or of lists is an array."""
    if isinstance(structure, dict) and not is_scipy(structure):
        return {name: _each(part, to_column) for name, part in structure.items()}
    if isinstance(structure, list | tuple) and structure and all(map(_is_array, structure)):
        return type(structure)(_each(part, to_column) for part in structure)
    return to_column(structure)


def _is_array(thing: Any) -> bool:
    """Whether it has axes, and is no list."""
    return hasattr(thing, "__array__") and np.ndim(thing) > 0


def _parts(structure: Structure | None) -> list[Column]:
    return [] if structure is None else leaves(structure)


def _form(structure: Structure | None) -> object:
    """Where the arrays stand in a structure, as something that can be a key."""
    if structure is None or isinstance(structure, Column):
        return structure is None
    return repr(filled(structure, iter(range(len(leaves(structure))))))


def _column(data: Samples, floats: np.dtype[Any]) -> Column:
    """Floats in the dtype to compute in, integers as they are."""
    return Column(data, floats if data.dtype.kind == "f" else data.dtype)


def _data(name: str, value: Any, convert: Callable[[Any], Any]) -> Any:
    """A data set of real numbers with at least one sample."""
    try:
        data = convert(value)
    except (TypeError, ValueError) as error:
        if callable(value):
            raise TypeError(f"{name} is a function: call it, for the data that it gives") from None
        raise type(error)(f"{name}: {error}") from None
    if len(data.shape) == 0 or len(data) == 0:
        remedy = "" if data.shape else ": put one sample into a batch, with x[None] and [y]"
        raise ValueError(
            f"{name} has shape {data.shape}; it needs at least one sample along axis 0{remedy}"
        )
    return data
