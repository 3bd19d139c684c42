"""Data as they come to `fit`: arrays with a row for each sample, or batches one after another."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import cached_property, partial
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np

from fastnn import random
from fastnn._kernels import CompressedRows
from fastnn.arrays import Array, DType
from fastnn.caller import warn
from fastnn.loop import Column, Loop
from fastnn.ops.labels import ANY, to_classes
from fastnn.recent import Recent
from fastnn.sparse import Samples, is_scipy, to_samples
from fastnn.structure import Structure, filled, leaves
from fastnn.tensor import Tensor, TensorLike, to_array

PARTS = ("x", "y", "sample_weight")
_END = object()


class Part(NamedTuple):
    """What a loop runs over at a time."""

    arrays: Arrays
    order: Array  # of its samples
    size: int  # of a batch


class Arrays:
    """A data set in memory.

    Parameters
    ----------
    x : array, or a tuple, list or dict of arrays
    y : array, or a tuple, list or dict of arrays, optional
    sample_weight : array of shape (samples, ...), optional
    dtype : dtype, default float32
        In which inputs, and floats among the targets, are computed with.
    part_of : str, optional
        What x and y are a part of, for messages.
    keeps_integers : bool, default False
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
        y: Any = None,
        sample_weight: TensorLike = None,
        dtype: DType = np.float32,
        part_of: str = "",
        keeps_integers: bool = False,
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

    @cached_property
    def loops(self) -> Recent[object, Loop]:
        """The programs that read rows without zeros, which are for these data alone."""
        return Recent()

    def _columns(self) -> list[Column]:
        """All arrays, those of x first."""
        return [c for part in (self.x, self.y, self.sample_weight) for c in _parts(part)]

    def _check_lengths(self, of: str) -> None:
        for name in PARTS:
            for at, column in enumerate(_parts(getattr(self, name))):
                self._check_length(of, name, at, column.data)

    def _check_length(self, of: str, name: str, at: int, data: Samples) -> None:
        first = leaves(self.x)[0].data
        if len(data) != len(first):
            several = len(_parts(getattr(self, name))) > 1
            which = f"array {at + 1} of {name}" if several else name
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


class ArraysInBatches:
    """Passes over arrays.

    Parameters
    ----------
    arrays : Arrays
    size : int, optional
        The samples in a batch; the last one of a pass may have fewer. By default 32, or such that
        `steps` are a whole pass.
    steps : int, optional
        The batches in an epoch; by default a whole pass. A pass goes on in the next epoch; its
        last one has what is left.
    shuffle : bool, default False
        Draw the samples in a new order in each pass.
    """

    def __init__(
        self,
        arrays: Arrays,
        size: int | None = None,
        steps: int | None = None,
        shuffle: bool = False,
    ) -> None:
        self.arrays, self.shuffle = arrays, shuffle
        self.size = size or (32 if steps is None else -(-len(arrays) // steps))
        batches = -(-len(arrays) // self.size)
        if steps is not None and steps > batches:
            warn(f"there are {batches} batches for {steps} steps: an epoch has so many steps")
        self.steps = batches if steps is None else min(batches, steps)
        self._rest: Array = np.arange(0)

    def weigh(self, class_weight: Mapping[int, float] | None) -> None:
        """Let samples count as their classes do."""
        self.arrays = self.arrays.weighted(class_weight)

    def restart(self) -> None:
        """Let the next epoch begin with the first sample."""
        self._rest = np.arange(0)

    def epoch(self) -> Iterator[Part]:
        """The parts of one epoch: one."""
        if not len(self._rest):
            samples = len(self.arrays)
            self._rest = random.order(samples) if self.shuffle else np.arange(samples)
        samples = self.steps * self.size
        now, self._rest = self._rest[:samples], self._rest[samples:]
        yield Part(self.arrays, now, self.size)


class Batches:
    """Batches that come one by one.

    Parameters
    ----------
    batches : iterable of x, (x, y) or (x, y, sample_weight)
        A generator is read on from epoch to epoch, everything else from its beginning. An object
        with ``len`` and an index, such as Keras's PyDataset, will do.
    steps : int, optional
        The batches in an epoch; by default all.
    to_arrays : callable
        Makes Arrays of such a batch.

    Raises
    ------
    ValueError
        In the first epoch: if there is no batch.
    """

    def __init__(
        self, batches: Iterable[Any], steps: int | None, to_arrays: Callable[..., Arrays]
    ) -> None:
        self._batches, self._given_steps, self._to_arrays = batches, steps, to_arrays
        self._iterator: Iterator[Any] | None = None
        self._class_weight: Mapping[int, float] | None = None
        self._had_batches = self.ran_out = False

    @property
    def steps(self) -> int | None:
        """The batches in an epoch, as far as that is known."""
        if self._given_steps is not None:
            return self._given_steps
        try:
            return len(self._batches) if isinstance(self._batches, Sized) else None
        except TypeError:  # a loader that has a length only if what it loads has one
            return None

    def weigh(self, class_weight: Mapping[int, float] | None) -> None:
        """Let samples count as their classes do."""
        self._class_weight = class_weight

    def restart(self) -> None:
        """Let the next epoch begin with the first batch; a generator only goes on."""
        self._iterator = None

    def epoch(self) -> Iterator[Part]:
        """The parts of one epoch: its batches."""
        self._tell("on_epoch_begin")
        if self._iterator is None:
            self._iterator = self._from_start()
        done = 0
        while done != self.steps:
            batch = next(self._iterator, _END)
            if batch is _END:
                self._iterator = None
                self.ran_out = self._given_steps is not None or not done
                break
            done += 1
            parts = batch if isinstance(batch, tuple | list) else (batch,)
            if batch is None or not 1 <= len(parts) <= len(PARTS):
                found = "None" if batch is None else f"{len(parts)} parts"
                raise ValueError(f"a batch must be x, (x, y) or (x, y, sample_weight), got {found}")
            arrays = self._to_arrays(*parts)
            self._had_batches = True
            yield Part(arrays.weighted(self._class_weight), np.arange(len(arrays)), len(arrays))
        if self._given_steps is None:
            self._iterator = None
        if not self._had_batches:
            raise ValueError("the data gave no batch: a generator that was read before is empty")
        if self.ran_out:
            end = f"the data ended after {done} batches of an epoch" if done else "no data are left"
            warn(
                f"{end}: a generator is read once; pass arrays, a PyDataset, or a generator that "
                "goes on and steps_per_epoch"
            )
        self._tell("on_epoch_end")

    def _tell(self, hook: str) -> None:
        """Call a method of the data, if they have it."""
        getattr(self._batches, hook, lambda: None)()

    def _from_start(self) -> Iterator[Any]:
        data: Any = self._batches
        if hasattr(data, "__iter__"):
            return iter(data)
        return (data[at] for at in range(len(data)))


Source: TypeAlias = ArraysInBatches | Batches


def data_set(
    to_arrays: Callable[..., Arrays],
    x: Any,
    y: Any = None,
    sample_weight: TensorLike = None,
) -> Arrays | Iterable[Any]:
    """Arrays, as `to_arrays` makes them, or what gives batches as it is."""
    if x is None:
        raise ValueError("there are no data: pass x")
    if not are_batches(x, y):
        return to_arrays(x, y, sample_weight)
    if y is not None or sample_weight is not None:
        raise ValueError(
            "y and sample_weight go with arrays: let each batch be (x, y) or (x, y, sample_weight)"
        )
    batches: Iterable[Any] = x
    return batches


def validation_set(to_arrays: Callable[..., Arrays], data: Any) -> Arrays | Iterable[Any]:
    """`data_set` of the argument validation_data."""
    given = data
    if are_batches(data, None):
        given = (data,)
    elif not isinstance(data, tuple | list) or len(data) not in (1, 2, 3):
        raise ValueError(
            "validation_data must be (x, y), (x, y, sample_weight) or an iterable of batches"
        )
    return data_set(to_arrays, *unpack_x_y_sample_weight(given))


def in_batches(
    to_arrays: Callable[..., Arrays],
    data: Arrays | Iterable[Any],
    size: int | None,
    steps: int | None,
    shuffle: bool = False,
) -> Source:
    """Passes over a data set."""
    if isinstance(data, Arrays):
        return ArraysInBatches(data, size, steps, bool(shuffle))
    return Batches(data, steps, to_arrays)


def are_batches(x: Any, y: Any) -> bool:
    """Whether x gives batches, and is not itself an array or a structure of arrays."""
    if isinstance(x, np.ndarray):  # the usual one, found quickly
        return False
    if isinstance(x, Iterator):
        return True
    if y is not None or isinstance(x, Tensor | dict | list | tuple | str | CompressedRows):
        return False
    if any(hasattr(x, name) for name in ("__array__", "__dlpack__", "tocsr")):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


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
    classes = to_classes(labels, ANY, "y").numpy()
    found, places = np.unique(classes, return_inverse=True)
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
        raise ValueError(
            f"{name} has shape {data.shape}; it needs at least one sample along axis 0"
        )
    return data


def unpack_x_y_sample_weight(data: Structure) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of the data that a step gets; None for what is not there."""
    parts = data if isinstance(data, tuple | list) else (data,)
    x, y, sample_weight = (*parts, None, None)[:3]
    return x, y, sample_weight


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
