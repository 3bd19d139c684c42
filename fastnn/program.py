"""Program: a list of instructions with its memory laid out, ready to run without Python.

Every value that is computed gets a place in one block of memory (the arena), shared with values
that are no longer needed by then. The instructions are given to the door once, which checks them
and records its kernels; what has no kernel runs in Python between those.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from fastnn import _kernels
from fastnn._kernels import Op, Update, Writing, all_about_to_change
from fastnn.arrays import Array, on_a_line
from fastnn.description import description
from fastnn.memory import laid_out, root_of, views_in
from fastnn.passes import optimized, weights_of
from fastnn.tensor import Tensor
from fastnn.trace import Instruction, Value
from fastnn.variable import OnTrial, all_or_nothing

Action: TypeAlias = Callable[[], object]


class Program:
    """A traced step that runs again and again.

    Parameters
    ----------
    instructions, inputs, results
        What a trace recorded: the values in `inputs` are to be filled before each run, those in
        `results` are there after it.
    before, after : callable, optional
        Called with the program while it is built, to add what is to run first and last.
    """

    def __init__(
        self,
        instructions: list[Instruction],
        inputs: Sequence[Value],
        results: Sequence[Value],
        before: Callable[[Program], None] | None = None,
        after: Callable[[Program], None] | None = None,
    ) -> None:
        self.recorded = instructions
        self.instructions = optimized(instructions, results)
        self._segments: list[_kernels.Program | Action] = []
        # The segment and the kernels of each instruction; a view has none.
        self._spans: list[tuple[int, int, int] | None] = []
        self._python_seconds: dict[int, float] = {}
        self._lay_out(inputs, results)
        self.inputs = [self.array_of(x) for x in inputs]
        self.results = [self.array_of(x) for x in results]
        self.variables = list(
            {
                id(y.variable): y.variable
                for i in self.instructions
                for y in i.outputs
                if y.variable is not None
            }.values()
        )
        # Those that must be known to be finite, and where the program finds and keeps that.
        flags = {
            id(w.variable): (w.variable, i.attributes["infinite"])
            for i in self.instructions
            if "infinite" in i.attributes and (w := weights_of(i)) and w.variable is not None
        }
        self._watched = list(flags.values())
        if before is not None:
            before(self)
        for instruction in self.instructions:
            self._add(instruction)
        if after is not None:
            after(self)
        only = self._segments[0] if len(self._segments) == 1 else None
        self._in_c = only if isinstance(only, _kernels.Program) else None  # all of it

    def array_of(self, x: Value) -> Array:
        """The array in which a value lies."""
        return x.array if x.array is not None else self._arrays[id(x)]

    def kernels(self, call: Action) -> bool:
        """Append what `call` asks of the door; False if that takes more than kernels."""
        if not self._segments or not isinstance(self._segments[-1], _kernels.Program):
            self._segments.append(_kernels.Program())
        program = self._segments[-1]
        assert isinstance(program, _kernels.Program)
        return program.record(call)

    def python(self, step: Action) -> None:
        """Append a step in Python."""
        self._segments.append(step)

    def run(self, times: int = 1, seconds: float = 1e9) -> int:
        """Run it so many times, or until so many seconds have passed; returns how often it ran.

        Raises
        ------
        ValueError
            If a label is no class. Nothing was updated in that run, unless the labels themselves
            rest on variables: then what stood before them was.
        """
        for variable, infinite in self._watched:
            infinite[...] = not variable.is_finite()
        writing = Writing()
        try:
            all_about_to_change(self.variables, writing)
            return self._run(times, seconds, writing)
        finally:
            for variable, infinite in self._watched:
                variable.changed(writing, finite=not infinite)
            writing.is_over = True

    def computed(self, arrays: list[Array]) -> list[Tensor]:
        """Its results for these inputs."""
        _kernels.copy_arrays(arrays, self.inputs)
        self.run()
        return _kernels.copies(self.results)

    def _run(self, times: int, seconds: float, writing: Writing) -> int:
        if self._in_c is not None:
            done = self._in_c.run(times, seconds)
            if self._in_c.failed:
                self._explain()
            return done
        until = time.perf_counter() + seconds
        for done in range(times):
            with all_or_nothing():
                self._run_segments(writing)
            if time.perf_counter() >= until:
                return done + 1
        return times

    def _run_segments(self, writing: Writing) -> None:
        all_about_to_change(self.variables, writing)
        for i, segment in enumerate(self._segments):
            if isinstance(segment, _kernels.Program):
                segment.run()
                if segment.failed:
                    self._explain()
            else:
                start = time.perf_counter()
                segment()
                spent = time.perf_counter() - start
                all_about_to_change(self.variables, writing)  # it may have read some
                self._python_seconds[i] = self._python_seconds.get(i, 0.0) + spent

    def _explain(self) -> None:
        """Raise the error of the op whose kernel found fault with its data."""
        for instruction in self.instructions:
            if instruction.op.name == "to_classes":
                arrays = map(self.array_of, instruction.inputs)
                instruction.op.forward(*arrays, **instruction.attributes)
        raise ValueError("a label is none of the classes; check the labels of this run")

    def _lay_out(self, inputs: Sequence[Value], results: Sequence[Value]) -> None:
        starts, size = laid_out(self.instructions, inputs, results)
        self._arena = on_a_line(size)
        self._arrays: dict[int, Array] = {}
        # The references keep the ids from being reused.
        self._values = [
            *inputs,
            *(x for i in self.instructions for x in (*i.inputs, *i.outputs)),
        ]
        views = views_in(self.instructions)
        for x in self._values:
            base = root_of(x, views)
            if x.array is not None:
                continue
            if base.array is not None:
                self._arrays[id(x)] = base.array.reshape(x.shape)
            elif id(base) in starts:
                start = starts[id(base)]
                memory = self._arena[start : start + x.nbytes]
                self._arrays[id(x)] = memory.view(x.dtype).reshape(x.shape)

    def _add(self, instruction: Instruction) -> None:
        if views_in([instruction]):
            self._spans.append(None)
            return
        last = self._segments[-1] if self._segments else None
        before = len(last) if isinstance(last, _kernels.Program) else 0
        self._add_call(instruction)
        segment = self._segments[-1]
        start = before if segment is last else 0
        stop = len(segment) if isinstance(segment, _kernels.Program) else 0
        self._spans.append((len(self._segments) - 1, start, stop))

    def _add_call(self, instruction: Instruction) -> None:
        op, attributes = instruction.op, instruction.attributes
        arrays = [self.array_of(x) for x in instruction.inputs]
        if isinstance(op, Update):
            call: Action = partial(op.forward, *arrays, **attributes)
            if not (op.kernel and self.kernels(call)):
                self.python(call)
            return
        outs = tuple(self.array_of(y) for y in instruction.outputs)
        out = outs[0] if len(outs) == 1 else outs
        if op.kernel:
            with_out: Action = partial(op.forward, *arrays, out=out, **attributes)
            if self.kernels(with_out):
                return
        self.python(partial(_copy_result, op, arrays, attributes, outs[0]))

    def describe(self, seconds: Sequence[float] | None = None) -> str:
        """The instructions as they were recorded and as they run, as two tables.

        The columns are the op, its inputs and its output, by name or shape, and the bytes that it
        reads and writes; for what runs also where (C or Python), and, where `seconds` are given,
        the time of each.
        """
        where = [self._where(n) for n in range(len(self.instructions))]
        size = len(self._arena)
        return description(self.recorded, self.instructions, where, size, seconds)

    def _where(self, n: int) -> str:
        span = self._spans[n]
        if span is None:
            return "-"
        return "C" if isinstance(self._segments[span[0]], _kernels.Program) else "Python"

    def profiled(self, run: Callable[[], int]) -> list[float]:
        """The seconds that each instruction takes, on average over the runs that `run` makes.

        Variables are as before afterwards.
        """
        with OnTrial():
            return self._timed(run)

    def _timed(self, run: Callable[[], int]) -> list[float]:
        programs = [s for s in self._segments if isinstance(s, _kernels.Program)]
        self._python_seconds.clear()
        try:
            for program in programs:
                program.profile(True)
            runs = max(1, run())
            return [0.0 if span is None else self._seconds(*span) / runs for span in self._spans]
        finally:
            for program in programs:
                program.profile(False)

    def _seconds(self, segment: int, start: int, stop: int) -> float:
        of = self._segments[segment]
        if isinstance(of, _kernels.Program):
            return sum(of.seconds[start:stop])
        return self._python_seconds.get(segment, 0.0)


def _copy_result(op: Op, arrays: list[Array], attributes: dict[str, Any], out: Array) -> None:
    np.copyto(out, op.forward(*arrays, **attributes))
