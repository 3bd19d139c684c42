"""Chains: elementwise ops that one kernel computes in one loop over memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _kernels
from fastnn._kernels import Primitive, Update
from fastnn.arrays import COMPUTED_IN, Array
from fastnn.graph import Graph
from fastnn.ops.core import primitive, update
from fastnn.trace import Instruction, Value


@primitive(kernel=True)
def chain(*inputs: Array, steps: list[Any], out: Array) -> Array:
    """Elementwise steps in one loop, as `_kernels.chain` takes them."""
    return _kernels.chain(steps, list(inputs), out)


_ORDER = {"assign": (1,), "assign_add": (0, 1), "assign_sub": (0, 1)}


def chained(instructions: list[Instruction], results: Sequence[Value]) -> list[Instruction]:
    """Elementwise ops become chains, and a chain whose result is used once joins its user."""
    graph = Graph(instructions, results)
    for i, instruction in enumerate(instructions):
        found = _as_chain(instruction)
        if found is None:
            continue
        graph.join(i, i, found)
        for x in found.inputs:
            maker = graph.only_use(x, "chain")
            current = graph.instructions[i]
            assert current is not None
            if maker and isinstance(maker[1].op, Primitive) and graph.can_move(maker[0], i):
                joined = _joined(maker[1], current, x)
                if joined is not None:
                    graph.join(maker[0], i, joined)
    return graph.rest()


def _as_chain(instruction: Instruction) -> Instruction | None:
    """An elementwise instruction as a chain of one step, if the kernel can do it."""
    op, inputs, (out, *more) = instruction.op, instruction.inputs, instruction.outputs
    if op.name == "cast" and inputs[0].dtype == np.bool_ and out.dtype in COMPUTED_IN:
        return Instruction(chain, inputs, {"steps": [("copy", 0)]}, (out,))
    if (
        op.chain is None
        or more
        or not isinstance(instruction.attributes.get("index", ...), type(...))
    ):
        return None
    operands = _ORDER.get(op.name, tuple(range(len(inputs))))
    kinds = {x.dtype for x in (*(inputs[n] for n in operands), out)} - {np.dtype(np.bool_)}
    if len(kinds) != 1 or not kinds <= set(COMPUTED_IN):
        return None
    if not _kernels.chain_fits([x.shape for x in inputs], out.shape):
        return None
    kind = chain_update if isinstance(op, Update) else chain
    return Instruction(kind, inputs, {"steps": [(op.chain, *operands)]}, (out,))


@update(kernel=True)
def chain_update(w: Array, *inputs: Array, steps: list[Any]) -> None:
    _kernels.chain(steps, [w, *inputs], w)


def _joined(first: Instruction, second: Instruction, x: Value) -> Instruction | None:
    """Two chains as one, `second` having used the result x of `first`."""
    if x.shape != second.outputs[0].shape:
        return None
    inputs = [y for y in second.inputs if y is not x]
    for y in first.inputs:
        if not any(y is z for z in inputs):
            inputs.append(y)
    steps_before = len(first.attributes["steps"])
    steps = [
        (name, *[_renumbered(n, first, inputs, 0) for n in operands])
        for name, *operands in first.attributes["steps"]
    ]
    result = len(inputs) + steps_before - 1
    for name, *operands in second.attributes["steps"]:
        numbers = [
            result
            if n < len(second.inputs) and second.inputs[n] is x
            else _renumbered(n, second, inputs, steps_before)
            for n in operands
        ]
        steps.append((name, *numbers))
    (out,) = second.outputs
    if len(inputs) > _kernels.CHAIN_INPUTS or len(steps) > _kernels.CHAIN_STEPS:
        return None
    # Each fitted by itself; a comparison may have been of another dtype than what it chooses from.
    one_dtype = len({y.dtype for y in (*inputs, out)} - {np.dtype(np.bool_)}) == 1
    if not (one_dtype and _kernels.chain_fits([y.shape for y in inputs], out.shape)):
        return None
    return second._replace(inputs=tuple(inputs), attributes={"steps": steps})


def _renumbered(n: int, of: Instruction, inputs: list[Value], steps_before: int) -> int:
    """The number of an operand among the inputs and steps of the joined chain."""
    if n >= len(of.inputs):
        return n - len(of.inputs) + len(inputs) + steps_before
    return next(i for i, y in enumerate(inputs) if y is of.inputs[n])
