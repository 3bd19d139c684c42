"""Loop: one step over all batches of a data set, as a program in C or op by op in Python.

Both ways a batch is the same tensors, and the averages are summed in the same order: they differ in
speed alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from fastnn import _kernels
from fastnn._kernels import CompressedRows, Cursor
from fastnn.arrays import Array
from fastnn.function import KEPT, trace
from fastnn.program import Program
from fastnn.sparse import Samples, SparseTensor
from fastnn.tensor import Tensor, wrap
from fastnn.trace import TraceError

Averages: TypeAlias = dict[str, float]
Advance: TypeAlias = Callable[[int], object]  # told how many batches are done

SLICE = 0.05  # seconds after which a program gives way to Python: to a bar, or to Ctrl-C


class Outcome(NamedTuple):
    """What a step gives: numbers to be averaged over the samples, and rows to be kept."""

    means: dict[str, Tensor]
    output: Tensor | None = None


Step: TypeAlias = Callable[..., Outcome]  # from tensors of x and, if there are targets, y


class Results(NamedTuple):
    """What a pass over the data gives."""

    means: Averages
    output: Array | None


class Loop(Protocol):
    """Runs a step over the rows of a data set, in the order given."""

    def run(self, x: Samples, y: Array | None, order: Array, advance: Advance) -> Results: ...


def computed(array: Array) -> Array:
    """A batch as the step gets it: floats in float32, integers as they are."""
    return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


class EagerLoop:
    """A loop op by op.

    Parameters
    ----------
    step : callable
    size : int
        The samples in a batch; the last one may have fewer.
    """

    def __init__(self, step: Step, size: int) -> None:
        self._step, self._size = step, size

    def run(self, x: Samples, y: Array | None, order: Array, advance: Advance) -> Results:
        """One pass."""
        sums: Averages = {}
        outputs = []
        for start in range(0, len(order), self._size):
            rows = order[start : start + self._size]
            outcome = self._step(*self._batch(x, y, rows))
            for name, mean in outcome.means.items():
                sums[name] = sums.get(name, 0.0) + float(mean) * len(rows)
            if outcome.output is not None:
                outputs.append(outcome.output.numpy())
            advance(1)
        means = {name: total / len(order) for name, total in sums.items()}
        return Results(means, np.concatenate(outputs) if outputs else None)

    @staticmethod
    def _batch(x: Samples, y: Array | None, rows: Array) -> list[Tensor]:
        chosen = x[rows]
        if isinstance(chosen, CompressedRows):
            batch: list[Tensor] = [SparseTensor(chosen)]
        else:
            batch = [wrap(chosen.astype(np.float32, copy=False))]
        return batch if y is None else [*batch, wrap(computed(y[rows]))]


class _Streams:
    """What the programs of a loop read from and write to, pass after pass."""

    def __init__(self) -> None:
        self.order, self.rest_of_output = Cursor(), Cursor()
        self.sources = {"x": Cursor(), "y": Cursor()}
        self.data: dict[str, Array] = {}
        self.sums: dict[str, Array] = {}

    def cursors(self) -> list[Cursor]:
        return [self.order, self.rest_of_output, *self.sources.values()]


class _Batch:
    """A program for batches of one size."""

    def __init__(
        self, step: Step, streams: _Streams, x: Samples, y: Array | None, size: int
    ) -> None:
        self._streams = streams
        self._rows = np.arange(size, dtype=np.int64) % len(x)
        buffer = None
        inputs: list[Tensor] = []
        if isinstance(x, CompressedRows):
            buffer = x.buffer(size)
            _kernels.pick_rows(x, self._rows, buffer)
            batch: list[Tensor] = [SparseTensor(buffer)]
        else:
            inputs.append(wrap(x[self._rows].astype(np.float32)))
            batch = [inputs[0]]
        if y is not None:
            inputs.append(wrap(computed(y[self._rows])))
            batch.append(inputs[-1])
        traced = trace(step, inputs, *batch)
        outcome: Outcome = traced.structure
        self.means = list(outcome.means)
        self.has_output = outcome.output is not None
        if outcome.output is not None and outcome.output.shape[:1] != (size,):
            raise TraceError(
                f"the output for a batch of {size} samples has shape {outcome.output.shape}, not a "
                "row for each"
            )
        self.program = Program(
            traced.instructions,
            traced.inputs,
            traced.results,
            partial(self._gather, x, y, buffer),
            self._collect,
        )

    def _gather(
        self, x: Samples, y: Array | None, buffer: CompressedRows | None, program: Program
    ) -> None:
        program.kernels(lambda: _kernels.read_next(self._streams.order, self._rows))
        slots = iter(program.inputs)
        if isinstance(x, CompressedRows):
            assert buffer is not None
            program.kernels(partial(_kernels.pick_rows, x, self._rows, buffer))
        else:
            self._gather_rows(program, "x", x, next(slots))
        if y is not None:
            self._gather_rows(program, "y", y, next(slots))

    def _gather_rows(self, program: Program, name: str, data: Array, slot: Array) -> None:
        rows, streams = self._rows, self._streams
        source = streams.sources[name]
        if not is_in_order(data):
            program.python(lambda: np.copyto(slot, streams.data[name][rows]))
        elif data.dtype == slot.dtype:
            program.kernels(lambda: _kernels.pick(data, rows, slot, source))
        else:
            program.kernels(lambda: _kernels.gather(data, rows, slot, source=source))

    def _collect(self, program: Program) -> None:
        size = len(self._rows)
        results = iter(program.results)
        for name in self.means:
            total = self._streams.sums.setdefault(name, np.zeros(()))
            program.kernels(partial(_kernels.accumulate, total, next(results), size))
        if self.has_output:
            output = next(results)
            program.kernels(lambda: _kernels.write_next(output, self._streams.rest_of_output))


class CompiledLoop:
    """A loop as a program that runs whole passes in C, for data sets of one kind.

    Parameters
    ----------
    step : callable
    x, y : data set
        An example: another one may come with `run`, if its arrays have the same dtypes, the same
        order in memory and rows of the same shape; for compressed rows it must be this one.
    size : int
        The samples in a batch; the last one may have fewer.

    Raises
    ------
    TraceError
        If the step does something that a program cannot.
    """

    def __init__(self, step: Step, x: Samples, y: Array | None, size: int) -> None:
        self._step, self._size = step, size
        self._streams = _Streams()
        self._batches: dict[int, _Batch] = {}
        self._lock = threading.Lock()  # programs serve one thread at a time
        self._batch(x, y, size)

    def run(self, x: Samples, y: Array | None, order: Array, advance: Advance) -> Results:
        """One pass."""
        with self._lock:
            try:
                return self._run(x, y, order, advance)
            finally:
                self._let_go()

    def _run(self, x: Samples, y: Array | None, order: Array, advance: Advance) -> Results:
        sizes = [self._size] * (len(order) // self._size)
        if len(order) % self._size:
            sizes.append(len(order) % self._size)
        batches = [self._batch(x, y, size) for size in dict.fromkeys(sizes)]
        self._bind(x, y, order)
        for total in self._streams.sums.values():
            total[...] = 0
        output = self._room(batches[0], len(order))
        for batch, times in zip(batches, map(sizes.count, dict.fromkeys(sizes)), strict=True):
            done = 0
            while done < times:
                now = batch.program.run(times - done, SLICE)
                advance(now)
                done += now
        means = {name: float(self._streams.sums[name]) / len(order) for name in batches[0].means}
        return Results(means, output)

    def batch_program(self) -> Program:
        """The program of a whole batch."""
        return self._batches[self._size].program

    def _bind(self, x: Samples, y: Array | None, order: Array) -> None:
        self._streams.order.move_to(order)
        for name, data in (("x", x), ("y", y)):
            if isinstance(data, np.ndarray):
                self._streams.data[name] = data
                if is_in_order(data):
                    self._streams.sources[name].move_to(data)

    def _let_go(self) -> None:
        """Keep no data set alive."""
        self._streams.data.clear()
        for cursor in self._streams.cursors():
            cursor.let_go()

    def _room(self, batch: _Batch, samples: int) -> Array | None:
        if not batch.has_output:
            return None
        last = batch.program.results[-1]
        output = np.empty((samples, *last.shape[1:]), last.dtype)
        self._streams.rest_of_output.move_to(output)
        return output

    def _batch(self, x: Samples, y: Array | None, size: int) -> _Batch:
        batch = self._batches.pop(size, None) or _Batch(self._step, self._streams, x, y, size)
        self._batches[size] = batch  # the last one used stands last
        if len(self._batches) > KEPT:
            del self._batches[next(iter(self._batches))]
        return batch


def kind_of(data: Array | None) -> object:
    """What a compiled loop depends on of an array of data."""
    return None if data is None else (data.shape[1:], data.dtype, is_in_order(data))


def is_in_order(x: Array) -> bool:
    """Whether kernels can read it where it lies."""
    return x.flags.c_contiguous and x.flags.aligned
