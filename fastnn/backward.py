"""The way back along a tape: from the gradients of targets to those of sources.

Rules issue ops, which run one by one. A way that was gone often, each time with other numbers, is
recorded, and from then on it is a program: so a loop of one's own spends less on dispatch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from fastnn._kernels import Call, described, wrap
from fastnn.forks import Lock
from fastnn.function import trace
from fastnn.ops.elementwise import add
from fastnn.program import Program
from fastnn.recent import Recent
from fastnn.recorders import recorders
from fastnn.tensor import Tensor, convert
from fastnn.trace import TraceError

# A call, with the keys that the gradients of its inputs and of its output are collected under.
Recorded: TypeAlias = tuple[Call, list[int], int]
ByKey: TypeAlias = dict[int, Tensor]  # gradients

OFTEN = 30  # to record a way takes as long as going it so many times
SHORT = 100  # steps: the time to record more would be felt
SMALL = 2**17  # bytes: of more, the program's copies would take longer than the dispatch


def walk_back(steps: Sequence[Recorded], gradients: ByKey, sources: list[int]) -> ByKey:
    """The gradients of sources, given those of targets and the steps between them."""
    path = _between(steps, set(sources))
    if 0 < len(path) <= SHORT and not recorders.stack:
        found = _by_program(path, gradients, sources)
        if found is not None:
            return found
    found = _one_by_one(path, dict(gradients), set(sources))
    return {key: found[key] for key in sources if key in found}


def accumulate(gradients: ByKey, key: int, dx: Tensor) -> None:
    """Add to the gradient of a key."""
    # Of float16, which is added up in float32, it stays what it is.
    gradients[key] = convert(add(gradients[key], dx), dx.dtype) if key in gradients else dx


def _between(steps: Sequence[Recorded], reached: set[int]) -> list[Recorded]:
    """The steps that depend on one of these keys."""
    path = []
    for step in steps:
        if not reached.isdisjoint(step[1]):
            path.append(step)
            reached.add(step[2])
    return path


def _one_by_one(path: list[Recorded], gradients: ByKey, sources: set[int]) -> ByKey:
    reached = sources.union(output for _, _, output in path)
    for call, inputs, output in reversed(path):
        dy = gradients.get(output) if output in sources else gradients.pop(output, None)
        if dy is None or call.primitive.rule is None:
            continue
        for key, dx in zip(inputs, call.primitive.rule(call, dy), strict=True):
            if dx is not None and key in reached:
                accumulate(gradients, key, dx() if callable(dx) else dx)
    return gradients


class _Way:
    """A way that was gone, whatever the numbers: how often, and the program that goes it."""

    def __init__(self) -> None:
        self.times = 0
        self.is_tried = False  # whether there is a program, if there can be one
        self.program: Program | None = None
        self.lock = Lock()  # of who runs it
        self.taken: list[int] = []  # which of the tensors it takes
        self.reached: list[int] = []  # the sources to which it gives a gradient


_ways: Recent[tuple[object, ...], _Way] = Recent()


def _by_program(path: list[Recorded], gradients: ByKey, sources: list[int]) -> ByKey | None:
    """The same by a program; None where there is none, or it is running."""
    description = described(path, gradients, sources)
    if description is None:
        return None
    kind, tensors, places = description
    way = _ways.found(kind) or _ways.keep(kind, _Way())
    way.times += 1
    if way.times >= OFTEN and not way.is_tried:
        _record(way, path, gradients, sources, tensors, places)
        way.is_tried = True
    lock = way.lock.here()
    if way.program is None or not lock.acquire(blocking=False):
        return None
    try:
        results = way.program.computed([tensors[at]._array for at in way.taken])
    finally:
        lock.release()
    return dict(zip([sources[at] for at in way.reached], results, strict=True))


def _record(
    way: _Way,
    path: list[Recorded],
    gradients: ByKey,
    sources: list[int],
    tensors: list[Tensor],
    places: dict[int, int],
) -> None:
    """Make the program, if there can be one."""
    if sum(x._array.nbytes for x in tensors) > SMALL:
        return
    # One for each place: a tensor that stands in two may be two next time.
    examples = [wrap(x._array.copy()) for x in tensors]

    def example(call: Call, inputs: list[int], output: int) -> Recorded:
        arguments = tuple(examples[places[key]] for key in inputs)
        result = examples[places[output]]
        return Call(call.primitive, arguments, call.attributes, result), inputs, output

    def walk() -> list[Tensor | None]:
        given = dict(zip(gradients, examples[len(examples) - len(gradients) :], strict=True))
        found = _one_by_one([example(*step) for step in path], given, set(sources))
        return [found.get(key) for key in sources]

    try:
        traced = trace(walk, examples)
    except TraceError:
        return
    used = {id(x) for i in traced.instructions for x in i.inputs}
    way.taken = [at for at, x in enumerate(traced.inputs) if id(x) in used]
    way.reached = [at for at, x in enumerate(traced.structure) if x is not None]
    inputs = [traced.inputs[at] for at in way.taken]
    way.program = Program(traced.instructions, inputs, traced.results)
