"""The memory of a program: which values share a place in its arena, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastnn.arrays import LINE
from fastnn.graph import VIEWS
from fastnn.trace import Instruction, Value


class _Place(NamedTuple):
    """Memory that is taken until an instruction is done."""

    start: int
    stop: int
    until: int


def root_of(x: Value, views: dict[int, Value]) -> Value:
    """The value in whose memory x lies."""
    while id(x) in views:
        x = views[id(x)]
    return x


def views_in(instructions: Sequence[Instruction]) -> dict[int, Value]:
    """By id, what each view is a view of. Variables are copied: they change under a view."""
    return {
        id(i.outputs[0]): i.inputs[0]
        for i in instructions
        if i.op.name in VIEWS and i.inputs[0].variable is None
    }


def laid_out(
    instructions: Sequence[Instruction], inputs: Sequence[Value], results: Sequence[Value]
) -> tuple[dict[int, int], int]:
    """Where, by id, each value begins in the arena, and how large that is.

    A value stays until its last use; a result, and labels, which an error may have to name, to the
    end. The output of a chain may take the place of an input that nobody needs afterwards.
    """
    views = views_in(instructions)
    last: dict[int, int] = {}
    for i, instruction in enumerate(instructions):
        last.update((id(root_of(x, views)), i) for x in instruction.inputs)
    labels = [x for i in instructions if i.op.name == "to_classes" for x in i.inputs]
    last.update((id(root_of(x, views)), len(instructions)) for x in (*labels, *results))

    starts: dict[int, int] = {}
    taken: list[_Place] = []

    def place(x: Value, now: int, instead_of: Sequence[Value] = ()) -> None:
        for old in instead_of:
            reusable = id(old) in starts and last[id(old)] == now
            if reusable and (old.shape, old.dtype) == (x.shape, x.dtype):
                start = starts[id(old)]
                break
        else:
            start = _gap([p for p in taken if p.until >= now], x.nbytes)
        starts[id(x)] = start
        taken.append(_Place(start, start + x.nbytes, last.get(id(x), now)))

    for x in inputs:
        place(x, -1)
    for i, instruction in enumerate(instructions):
        in_place = instruction.op.name == "chain"
        candidates = [root_of(x, views) for x in instruction.inputs] if in_place else ()
        for y in instruction.outputs:
            if y.array is None and id(y) not in views:
                place(y, i, candidates)
    return starts, max((p.stop for p in taken), default=0)


def _gap(taken: list[_Place], size: int) -> int:
    """The first free place of so many bytes."""
    start = 0
    for place in sorted(taken):
        if start + size <= place.start:
            break
        start = max(start, -(-place.stop // LINE) * LINE)
    return start
