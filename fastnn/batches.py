"""Passes over data: those of a data set in memory, or batches that come one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastnn import random
from fastnn._kernels import CompressedRows
from fastnn.arrays import Array
from fastnn.caller import warn
from fastnn.samples import PARTS, Arrays
from fastnn.structure import Structure
from fastnn.tensor import Tensor, TensorLike

_END = object()


class Part(NamedTuple):
    """What a loop runs over at a time."""

    arrays: Arrays
    order: Array  # of its samples
    size: int  # of a batch


class ArraysInBatches:
    """Passes over arrays.

    Parameters
    ----------
    arrays : Arrays
    size : int, optional
        The samples in a batch; the last one of a pass may have fewer. By default 32, or such that
        `steps` are a whole pass.
    steps : int, optional
        The batches in an epoch; by default a whole pass. A pass goes on in the next epoch; the
        last epoch of a pass has what is left.
    shuffle : bool, default False
        Draw the samples in a new order in each pass.
    """

    ran_out = False  # as batches that are read once may

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
    shuffle : bool, default False
        Take the batches of a PyDataset, or of another object with ``len`` and an index alone, in a
        new order each time.

    Raises
    ------
    ValueError
        In the first epoch: if there is no batch.
    """

    def __init__(
        self,
        batches: Iterable[Any],
        steps: int | None,
        to_arrays: Callable[..., Arrays],
        shuffle: bool = False,
    ) -> None:
        self._batches, self._given_steps, self._to_arrays = batches, steps, to_arrays
        self._shuffle = shuffle
        self._iterator: Iterator[Any] | None = None
        self._class_weight: Mapping[int, float] | None = None
        self._is_read_once = isinstance(batches, Iterator)
        self._had_batches = self.ran_out = False

    @property
    def steps(self) -> int | None:
        """The batches in an epoch, as far as that is known."""
        if self._given_steps is not None:
            return self._given_steps
        return _length(self._batches)

    def weigh(self, class_weight: Mapping[int, float] | None) -> None:
        """Let samples count as their classes do."""
        self._class_weight = class_weight

    def restart(self) -> None:
        """Let the next epoch begin with the first batch; a generator only goes on."""
        if not self._is_read_once:
            self._iterator = None

    def first(self) -> Arrays | None:
        """The batch that comes first, and will come all the same; None if it cannot be had yet."""
        if self._is_read_once:
            data = self._from_start(shuffle=False)
            batch = next(data, _END)
            self._iterator = data if batch is _END else chain([batch], data)
        else:
            try:
                batch = next(self._from_start(shuffle=False), _END)
            except Exception:  # whoever makes them waits to be told that an epoch begins
                return None
        return None if batch is _END else self._arrays_of(batch)

    def _arrays_of(self, batch: Any) -> Arrays:
        parts = batch if isinstance(batch, tuple | list) else (batch,)
        if batch is None or not 1 <= len(parts) <= len(PARTS):
            found = "None" if batch is None else f"{len(parts)} parts"
            raise ValueError(f"a batch must be x, (x, y) or (x, y, sample_weight), got {found}")
        return self._to_arrays(*parts)

    def epoch(self) -> Iterator[Part]:
        """The parts of one epoch: its batches."""
        self._tell("on_epoch_begin")
        if self._iterator is None:
            self._iterator = self._from_start(self._shuffle)
        done = 0
        while done != self.steps:
            batch = next(self._iterator, _END)
            if batch is _END and not done and self._had_batches and not self._is_read_once:
                self._iterator = self._from_start(self._shuffle)
                batch = next(self._iterator, _END)
            if batch is _END:
                self._iterator = None
                self.ran_out = not done or (self._is_read_once and self._given_steps is not None)
                break
            done += 1
            arrays = self._arrays_of(batch)
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

    def _from_start(self, shuffle: bool) -> Iterator[Any]:
        data: Any = self._batches
        length = None if self._is_read_once else _length(data)
        # Fastnn's PyDataset or Keras's can be gone through in order too, and is told of epochs.
        if hasattr(data, "__iter__") and (length is None or not hasattr(data, "on_epoch_end")):
            return iter(data)
        order = range(len(data)) if length is None or not shuffle else random.order(length).tolist()
        return (data[at] for at in order)


def _length(data: Any) -> int | None:
    try:
        return len(data) if isinstance(data, Sized) else None
    except (TypeError, NotImplementedError):  # it has one only if what it loads has one
        return None


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
        return ArraysInBatches(data, size, steps, shuffle)
    return Batches(data, steps, to_arrays, shuffle)


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


def unpack_x_y_sample_weight(data: Structure) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of the data that a step gets; None for what is not there."""
    parts = data if isinstance(data, tuple | list) else (data,)
    x, y, sample_weight = (*parts, None, None)[:3]
    return x, y, sample_weight
