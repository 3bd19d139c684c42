"""Instructions in words: the tables that `describe` gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastnn._kernels import Update
from fastnn.table import table
from fastnn.trace import Instruction, Value


def description(
    recorded: Sequence[Instruction],
    running: Sequence[Instruction],
    where: Sequence[str],
    size: int,
    seconds: Sequence[float] | None,
) -> str:
    """What was recorded and what runs, `where`, in how much memory and in what time."""
    before = table(
        ["", "recorded", "inputs", "output", "bytes"],
        [[str(n), *_row(i)] for n, i in enumerate(recorded)],
    )
    head = ["", "runs", "inputs", "output", "bytes", "in"]
    rows = [
        [str(n), *_row(i), place] for n, (i, place) in enumerate(zip(running, where, strict=True))
    ]
    if seconds is not None:
        head.append("us")
        rows = [[*row, f"{s * 1e6:.2f}"] for row, s in zip(rows, seconds, strict=True)]
    total = f"{size:,} bytes of memory for all values, variables and constants apart"
    return f"{before}\n\n{table(head, rows)}\n\n{total}"


def name_of(instruction: Instruction) -> str:
    """The op, or the steps of a chain."""
    steps = instruction.attributes.get("steps")
    name = instruction.op.name if steps is None else " ".join(step[0] for step in steps)
    return name + " relu" if instruction.attributes.get("relu") else name


def _row(instruction: Instruction) -> list[str]:
    changed = len(instruction.outputs) if isinstance(instruction.op, Update) else 0
    inputs = [_kind(x) for x in instruction.inputs[changed:]]
    if "rows" in instruction.attributes:
        inputs.insert(0, f"rows {instruction.attributes['rows'].shape}")
    outputs = ", ".join(map(_kind, instruction.outputs))
    return [name_of(instruction), ", ".join(inputs), outputs, f"{instruction.nbytes:,}"]


def _kind(x: Value) -> str:
    """A variable's name, or what else it is; the dtype unless it is float32, and the shape."""
    if x.variable is not None:
        return x.variable.path
    constant = "constant " if x.array is not None else ""
    dtype = "" if x.dtype == np.float32 else f"{x.dtype.name} "
    return f"{constant}{dtype}{x.shape}"
