"""Trace: writes down what a step computes, as a list of instructions over values.

A trace is a recorder like a tape. While it is open the ops run as ever, on examples of the inputs,
which gives every shape, dtype and error; what depends on an input or on a variable becomes an
instruction, and everything else is a constant of the program. Updates of variables are written down
and not done.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from fastnn._kernels import Call, Op, ReadFrom, Scope, Update, wrap
from fastnn.arrays import Array, Shape
from fastnn.caller import line_outside
from fastnn.ops.products import expand
from fastnn.recorders import Listener, makes, recorders
from fastnn.sparse import SparseTensor
from fastnn.tensor import GONE, Tensor
from fastnn.variable import Variable


class TraceError(RuntimeError):
    """What was traced does something that cannot be written down as a program."""


class Value:
    """Something that a program computes with.

    Attributes
    ----------
    shape, dtype
    array : array, optional
        Where it lies: of a constant and of a variable. All else lies in the program's memory.
    variable : Variable, optional
        The variable whose storage this is, as it is until the next update.
    """

    __slots__ = ("array", "dtype", "shape", "variable")

    def __init__(
        self,
        shape: Shape,
        dtype: np.dtype[Any],
        array: Array | None = None,
        variable: Variable | None = None,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.array = array
        self.variable = variable

    @property
    def nbytes(self) -> int:
        """The bytes that it takes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Instruction(NamedTuple):
    """One op with what it reads and writes.

    An update reads the old values of its variables first and writes their new ones, which lie in
    the same memory.
    """

    op: Op
    inputs: tuple[Value, ...]
    attributes: dict[str, Any]
    outputs: tuple[Value, ...]

    @property
    def nbytes(self) -> int:
        """The bytes that it reads and writes."""
        return sum(x.nbytes for x in (*self.inputs, *self.outputs))


class Trace(Listener):
    """The instructions recorded while it is open in this thread."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        # By id, which the reference to the tensor keeps from being reused.
        self._known: dict[int, tuple[Tensor, Value]] = {}
        self._variables: dict[int, tuple[Variable, Value]] = {}
        self._present: dict[int, Tensor] = {}  # by the id of a variable's value
        self._constants: dict[int, tuple[Tensor, Value]] = {}
        self.refusal: TraceError | None = None  # the last one
        self._built: list[tuple[weakref.ref[Any], str]] = []  # layers, and where they were called

    def opened(self) -> Scope:
        """Record, inside a ``with`` block, what this thread computes."""
        if recorders.trace is not None:
            raise TraceError("a step is being traced already; traces do not nest")
        return Scope(recorders, trace=self, stack={self: None} | recorders.stack)

    def input(self, example: Tensor) -> Value:
        """A value that differs from run to run."""
        value = Value(example.shape, example.dtype)
        self._known[id(example)] = (example, value)
        return value

    def value_of(self, x: Tensor) -> Value:
        """What a tensor is in the program: an input, computed, a variable or a constant."""
        if id(x) in self._known:
            return self._known[id(x)][1]
        if isinstance(x, Variable):
            return self._variable(x)
        if id(x) not in self._constants:
            # What was read from a variable before lies in its storage as long as that is the same.
            own = x._array.copy() if type(x.origin) is ReadFrom else x._array
            array = np.require(own, requirements=["C", "A"]).reshape(x.shape)
            self._constants[id(x)] = (x, Value(x.shape, x.dtype, array))
            x.is_in_a_program = True
        return self._constants[id(x)][1]

    def varies(self, x: Tensor) -> bool:
        """Whether a tensor may be another whenever the program runs."""
        return id(x) in self._known or isinstance(x, Variable | SparseTensor)

    def record(self, call: Call) -> None:
        """Append a call, unless it is of constants: then its output is one too."""
        if "rows" in call.attributes or any(map(self.varies, call.inputs)):
            inputs = tuple(map(self.value_of, call.inputs))
            output = self.input(call.output)
            self.instructions.append(
                Instruction(call.primitive, inputs, call.attributes, (output,))
            )

    def update(
        self,
        update: Update,
        variables: tuple[Variable, ...],
        inputs: tuple[Tensor, ...],
        attributes: dict[str, Any],
    ) -> None:
        """Append an update. What was read from the variables before stands for the old values."""
        read = tuple(map(self.value_of, inputs))
        old = tuple(map(self._variable, variables))
        new = tuple(
            Value(value.shape, value.dtype, value.array, variable)
            for variable, value in zip(variables, old, strict=True)
        )
        self._variables.update((id(v), (v, value)) for v, value in zip(variables, new, strict=True))
        self.instructions.append(Instruction(update, old + read, attributes, new))

    def forget(self) -> None:
        """Take away what tensors hold that stand for values of a run: it is of the examples."""
        for x, _ in self._known.values():
            if type(x) is Tensor:
                x._array = GONE

    def read(self, x: Tensor) -> None:
        """Refuse to show a value that differs from run to run."""
        if self.varies(x):
            self.refuse(
                "needs a number that is known only when the step runs, and Python is not there "
                "then. Compute with ops and tensors alone (fastnn.where chooses, assign keeps a "
                "value), or leave"
            )

    def present(self, variable: Variable) -> Tensor:
        """A tensor for what a variable holds at this point of the program: other threads may change
        its storage meanwhile.
        """
        value = self._variable(variable)
        if id(value) not in self._present:
            x = wrap(variable._array, ReadFrom(variable, None))
            self._present[id(value)] = x
            self._known[id(x)] = (x, value)
        return self._present[id(value)]

    def expand(self, x: SparseTensor) -> None:
        """Make the matrix when the program runs: its rows differ from run to run."""
        self.record(Call(expand, (), {"rows": x.rows}, x))

    def note_built(self, layer: object) -> None:
        """A layer makes its weights: `end` refuses it if nobody has it any more by then."""
        self._built.append((weakref.ref(layer), line_outside()))

    def refuse(self, what: str) -> None:
        """TraceError: the user's line, what it does, and the other way."""
        self.refusal = _refusal(line_outside(), what)
        raise self.refusal

    def end(self) -> None:
        """TraceError if the function went on after a refusal, or made a layer for itself alone."""
        for layer, line in self._built:
            if layer() is None:
                self.refusal = _refusal(line, makes("layer"))
        if self.refusal is not None:
            raise self.refusal

    def _variable(self, variable: Variable) -> Value:
        if id(variable) not in self._variables:
            storage = variable._array
            self._variables[id(variable)] = (
                variable,
                Value(storage.shape, storage.dtype, storage, variable),
            )
        return self._variables[id(variable)][1]


def _refusal(line: str, what: str) -> TraceError:
    return TraceError(
        f"{line} {what} the step uncompiled: run_eagerly=True in compile, no @fastnn.function"
    )


def paused() -> Scope:
    """Compute at once inside a ``with`` block, as if no step were being traced."""
    return Scope(recorders, trace=None, stack={})
