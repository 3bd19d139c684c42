"""The memory of a program: which values share a place in its arena, and when."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Sequence

from fastnn import _kernels
from fastnn.graph import VIEWS
from fastnn.trace import Instruction, Value


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
    free, size = _Free(), 0
    # By the last instruction that needs them, the places that are free after it, as start: stop.
    needed: defaultdict[int, dict[int, int]] = defaultdict(dict)

    def place(x: Value, now: int, instead_of: Sequence[Value] = ()) -> None:
        nonlocal size
        if not x.nbytes:
            starts[id(x)] = 0
            return
        start = None
        for old in instead_of:
            if (old.shape, old.dtype) == (x.shape, x.dtype) and starts.get(id(old)) in needed[now]:
                start = starts[id(old)]
                del needed[now][start]
                break
        if start is None:
            start = free.take(x.nbytes)
        starts[id(x)] = start
        size = max(size, start + x.nbytes)
        needed[last.get(id(x), now)][start] = start + x.nbytes

    for x in inputs:
        place(x, -1)
    for i, instruction in enumerate(instructions):
        for start, stop in needed.pop(i - 1, {}).items():
            free.give(start, stop)
        in_place = instruction.op.name == "chain"
        candidates = [root_of(x, views) for x in instruction.inputs] if in_place else ()
        for y in instruction.outputs:
            if y.array is None and id(y) not in views:
                place(y, i, candidates)
    return starts, size


class _Free:
    """Memory that nobody needs: the gaps between places, in order, and all from `end` on."""

    def __init__(self) -> None:
        self.gaps: list[tuple[int, int]] = []
        self.end = 0

    def take(self, size: int) -> int:
        """The first place of so many bytes, which begins with a line."""
        room = _in_lines(size)
        for n, (start, stop) in enumerate(self.gaps):
            if start + room <= stop:
                self.gaps[n : n + 1] = [(start + room, stop)] if start + room < stop else []
                return start
        self.end += room
        return self.end - room

    def give(self, start: int, stop: int) -> None:
        """Take a place back, and join it with what is free beside it."""
        stop = _in_lines(stop)
        n = bisect(self.gaps, (start, stop))
        if n < len(self.gaps) and self.gaps[n][0] == stop:
            stop = self.gaps.pop(n)[1]
        if n and self.gaps[n - 1][1] == start:
            n -= 1
            start = self.gaps.pop(n)[0]
        if stop == self.end:
            self.end = start
        else:
            self.gaps.insert(n, (start, stop))


def _in_lines(size: int) -> int:
    return -(-size // _kernels.LINE) * _kernels.LINE
