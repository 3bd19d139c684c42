"""Loop: one step over all batches of a data set, as a program in C or op by op in Python.

Both ways a batch is the same tensors: they differ in speed alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from fastnn import _kernels
from fastnn._kernels import CompressedRows, Cursor
from fastnn.arrays import Array, is_in_order
from fastnn.changes import computing
from fastnn.forks import Lock
from fastnn.function import trace
from fastnn.program import Program
from fastnn.samples import Column
from fastnn.sparse import Samples, SparseTensor
from fastnn.structure import Structure, filled, leaves
from fastnn.tensor import Tensor
from fastnn.trace import TraceError
from fastnn.variable import all_or_nothing

Logs: TypeAlias = dict[str, Any]  # of numbers, or arrays of them

SLICE = 0.05  # seconds after which a program gives way to Python: to a bar, or to Ctrl-C


class Outcome(NamedTuple):
    """What a step gives: numbers of which the last are kept, and tensors of whose rows all are."""

    logs: dict[str, Tensor]
    output: Structure = ()


Step: TypeAlias = Callable[..., Outcome]  # from one tensor for each column


class Results(NamedTuple):
    """What a pass over the data gives."""

    logs: Logs
    output: Structure  # of arrays


class Watch(NamedTuple):
    """Who looks on while a loop runs.

    `done` is told how many batches are done, with their logs or "outputs" where `begin` is given;
    if it returns something true the pass ends. `begin` is called before every batch.
    """

    done: Callable[[int, Logs], object] = lambda batches, logs: None
    begin: Callable[[], object] | None = None


class Loop(Protocol):
    """Runs a step over the rows of a data set, in the order given."""

    def run(self, columns: Sequence[Column], order: Array, watch: Watch) -> Results: ...


def plain(value: Tensor | Array) -> float | Array:
    """What is reported as a number, or as an array where it is several."""
    array = np.array(value)
    return float(array.item()) if array.size == 1 else array


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

    def run(self, columns: Sequence[Column], order: Array, watch: Watch) -> Results:
        """One pass."""
        logs: Logs = {}
        outputs: list[Structure] = []
        for start in range(0, len(order), self._size):
            rows = order[start : start + self._size]
            if watch.begin is not None:
                watch.begin()
            with computing(), all_or_nothing():
                outcome = self._step(*[column.batch(rows) for column in columns])
            told = logs = {name: plain(value) for name, value in outcome.logs.items()}
            parts = leaves(outcome.output)
            outputs.append(filled(outcome.output, map(np.array, parts)))
            if parts:
                told = {"outputs": outputs[-1]}
            if watch.done(1, told):
                break
        return Results(logs, joined(outputs))


def joined(parts: Sequence[Structure]) -> Structure:
    """One structure of the arrays in several, rows after rows."""
    if len(parts) == 1:
        return parts[0]
    together = list(zip(*map(leaves, parts), strict=True))
    for arrays in together:
        check_alike(arrays)
    return filled(parts[0], map(np.concatenate, together))


def check_alike(outputs: Sequence[Array]) -> None:
    """ValueError if the rows that batches give cannot stand in one array."""
    kinds = {(y.shape[1:], y.dtype) for y in outputs}
    if len(kinds) > 1:
        rows = " and ".join(sorted(f"{shape} of {dtype}" for shape, dtype in kinds))
        raise ValueError(
            f"a sample's output differs from batch to batch: {rows}. It must not depend on how "
            "many samples are together; or choose a batch_size that divides their number"
        )


class _Streams:
    """What the programs of a loop read from and write to, pass after pass."""

    def __init__(self, columns: int) -> None:
        self.order, self.outputs = Cursor(), list[Cursor]()
        self.sources = [Cursor() for _ in range(columns)]
        self._data: list[Array | None] = [None] * columns

    def bind(self, columns: Sequence[Column], order: Array) -> None:
        """Read from these data, in this order."""
        self.order.move_to(order)
        for at, column in enumerate(columns):
            data = column.data
            if isinstance(data, np.ndarray):
                self._data[at] = data
                if is_in_order(data):
                    self.sources[at].move_to(data)

    def array(self, at: int) -> Array:
        """The data of one column."""
        array = self._data[at]
        assert array is not None
        return array

    def let_go(self) -> None:
        """Keep no data set alive."""
        self._data = [None] * len(self._data)
        for cursor in (self.order, *self.outputs, *self.sources):
            cursor.let_go()


class _Batch:
    """A program for batches of one size."""

    def __init__(self, step: Step, streams: _Streams, columns: Sequence[Column], size: int) -> None:
        self.size, self._streams = size, streams
        self._rows = np.arange(size, dtype=np.int64) % len(columns[0].data)
        buffers = [_buffer(column.data, self._rows) for column in columns]
        batch = [
            column.batch(self._rows) if buffer is None else SparseTensor(buffer)
            for column, buffer in zip(columns, buffers, strict=True)
        ]
        inputs = [x for x, buffer in zip(batch, buffers, strict=True) if buffer is None]
        traced = trace(step, inputs, *batch)
        outcome: Outcome = traced.structure
        self._names, self.form = list(outcome.logs), outcome.output
        for result in traced.results[len(self._names) :]:
            if result.shape[:1] != (size,):
                raise TraceError(
                    f"the output for a batch of {size} samples has shape {result.shape}, not a row "
                    "for each"
                )
        self.program = Program(
            traced.instructions,
            traced.inputs,
            traced.results,
            partial(self._gather, columns, buffers),
            self._collect,
        )
        # Where the rows lie that are kept.
        self.outputs = self.program.results[len(self._names) :]

    @property
    def logs(self) -> Logs:
        """What the last run gave."""
        return {
            name: plain(value)
            for name, value in zip(self._names, self.program.results, strict=False)
        }

    @property
    def told(self) -> Logs:
        """What is told of the last run to who looks on."""
        if not self.outputs:
            return self.logs
        return {"outputs": filled(self.form, map(np.array, self.outputs))}

    def _gather(
        self,
        columns: Sequence[Column],
        buffers: Sequence[CompressedRows | None],
        program: Program,
    ) -> None:
        program.kernels(lambda: _kernels.read_next(self._streams.order, self._rows))
        slots = iter(program.inputs)
        for at, (column, buffer) in enumerate(zip(columns, buffers, strict=True)):
            data = column.data
            if isinstance(data, np.ndarray):
                self._gather_rows(program, at, data, next(slots))
            elif buffer is not None:
                program.kernels(partial(_kernels.pick_rows, data, self._rows, buffer))
        self._fetch_next(columns, program)

    def _fetch_next(self, columns: Sequence[Column], program: Program) -> None:
        """Have what is short come from memory while the batch before is at work."""
        for column, source in zip(columns, self._streams.sources, strict=True):
            data = column.data
            if isinstance(data, np.ndarray) and is_in_order(data):
                order, count = self._streams.order, len(self._rows)
                program.kernels(partial(_kernels.fetch_next, order, count, data, source))

    def _gather_rows(self, program: Program, at: int, data: Array, slot: Array) -> None:
        rows, streams = self._rows, self._streams
        source = streams.sources[at]
        if not is_in_order(data):
            program.python(lambda: np.copyto(slot, streams.array(at)[rows], casting="unsafe"))
        elif data.dtype == slot.dtype:
            program.kernels(lambda: _kernels.pick(data, rows, slot, source))
        else:
            program.kernels(lambda: _kernels.gather(data, rows, slot, source=source))

    def _collect(self, program: Program) -> None:
        for at, output in enumerate(program.results[len(self._names) :]):
            if at == len(self._streams.outputs):
                self._streams.outputs.append(Cursor())
            program.kernels(partial(_kernels.write_next, output, self._streams.outputs[at]))


def _buffer(data: Samples, rows: Array) -> CompressedRows | None:
    """Room for so many of the rows, with these in it, if they are compressed."""
    if not isinstance(data, CompressedRows):
        return None
    buffer = data.buffer(len(rows))
    _kernels.pick_rows(data, rows, buffer)
    return buffer


class CompiledLoop:
    """A loop as a program that runs whole passes in C, for data sets of one kind.

    Parameters
    ----------
    step : callable
    columns : list of Column
        An example: others may come with `run`, if they are of the same kinds, and as many samples
        are left for the last batch.
    size : int
        The samples in a batch; the last one may have fewer.
    recorded : callable, optional
        Called when a batch has been recorded.

    Raises
    ------
    TraceError
        If the step does something that a program cannot.
    """

    def __init__(
        self,
        step: Step,
        columns: Sequence[Column],
        size: int,
        recorded: Callable[[], object] = lambda: None,
    ) -> None:
        self._step, self._size = step, size
        self._streams = _Streams(len(columns))
        self._batches: dict[int, _Batch] = {}
        for samples in (size, len(columns[0].data) % size):
            if samples:
                self._batches[samples] = _Batch(step, self._streams, columns, samples)
                recorded()
        self._lock = Lock()  # programs serve one thread at a time
        self._thread = 0  # which that is

    def run(self, columns: Sequence[Column], order: Array, watch: Watch) -> Results:
        """One pass."""
        if self._thread == threading.get_ident():  # a callback asks in the midst of such a pass
            return CompiledLoop(self._step, columns, self._size).run(columns, order, watch)
        with self._lock.here():
            try:
                self._thread = threading.get_ident()
                return self._run(columns, order, watch)
            finally:
                self._thread = 0
                self._streams.let_go()

    def _run(self, columns: Sequence[Column], order: Array, watch: Watch) -> Results:
        whole, rest = divmod(len(order), self._size)
        parts = [(self._size, whole), (rest, 1)]
        batches = [(self._batches[size], times) for size, times in parts if size and times]
        if len(batches) > 1:
            for outputs in zip(*[batch.outputs for batch, _ in batches], strict=True):
                check_alike(outputs)
        self._streams.bind(columns, order)
        rooms = self._rooms(batches[0][0], len(order))
        samples = 0
        for batch, times in batches:
            done, stop = self._repeat(batch, times, watch)
            samples += done * batch.size
            if stop:
                break
        return Results(batch.logs, filled(batch.form, (room[:samples] for room in rooms)))

    def _repeat(self, batch: _Batch, times: int, watch: Watch) -> tuple[int, bool]:
        """Run a program so often, unless whoever watches ends it; how often it ran, and whether."""
        left, stop = times, False
        while left and not stop:
            if watch.begin is None:
                done, logs = batch.program.run(left, SLICE), {}
            else:
                watch.begin()
                done, logs = batch.program.run(1, SLICE), batch.told
            stop = bool(watch.done(done, logs))
            left -= done
        return times - left, stop

    def ops(self) -> list[object]:
        """What was recorded, to be compared with another recording of the same step."""
        return [
            (i.op, [(y.shape, y.dtype, id(y.variable)) for y in i.outputs])
            for batch in self._batches.values()
            for i in batch.program.recorded
        ]

    def batch_program(self) -> Program:
        """The program of a whole batch."""
        return self._batches[self._size].program

    def _rooms(self, batch: _Batch, samples: int) -> list[Array]:
        """For all rows of each output."""
        rooms = [np.empty((samples, *y.shape[1:]), y.dtype) for y in batch.outputs]
        for room, cursor in zip(rooms, self._streams.outputs, strict=True):
            cursor.move_to(room)
        return rooms
