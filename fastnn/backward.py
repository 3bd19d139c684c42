"""The way back along a tape: from the gradients of targets to those of sources.

Rules issue ops, which run one by one. A way that was gone often, each time with other numbers, is
recorded, and from then on it is a program: so a training loop that is not compiled itself spends
about half as much on dispatch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from fastnn import _kernels
from fastnn.function import trace
from fastnn.ops.core import Call
from fastnn.ops.elementwise import add
from fastnn.program import Program
from fastnn.recent import Recent
from fastnn.recorders import recorders
from fastnn.tensor import Tensor, wrap
from fastnn.trace import TraceError

# A call, with the keys that the gradients of its inputs and of its output are collected under.
Step: TypeAlias = tuple[Call, list[int], int]
Gradients: TypeAlias = dict[int, Tensor]  # by key

OFTEN = 30  # to record a way takes as long as going it so many times
SMALL = 2**17  # bytes: of more, the program's copies would take longer than the dispatch


class _Way:
    """A way that was gone, whatever the numbers: how often, and the program that goes it."""

    def __init__(self) -> None:
        self.times = 0
        # At most one, and none while it runs.
        self.programs: list[Program] = []
        self.taken: list[int] = []  # which of the way's tensors it takes
        self.reached: list[int] = []  # the sources to which it gives a gradient


_ways: Recent[tuple[object, ...], _Way] = Recent()


def walk_back(steps: Sequence[Step], gradients: Gradients, sources: list[int]) -> Gradients:
    """The gradients of sources, given those of targets and the steps between them."""
    path = _between(steps, set(sources))
    if path and not recorders.stack:
        found = _by_program(path, gradients, sources)
        if found is not None:
            return found
    return _one_by_one(path, dict(gradients), set(sources))


def _between(steps: Sequence[Step], reached: set[int]) -> list[Step]:
    """The steps that depend on one of these keys."""
    path = []
    for step in steps:
        if not reached.isdisjoint(step[1]):
            path.append(step)
            reached.add(step[2])
    return path


def _one_by_one(path: list[Step], gradients: Gradients, sources: set[int]) -> Gradients:
    reached = sources.union(output for _, _, output in path)
    for call, inputs, output in reversed(path):
        dy = gradients.get(output) if output in sources else gradients.pop(output, None)
        if dy is None or call.primitive.rule is None:
            continue
        for key, dx in zip(inputs, call.primitive.rule(call, dy), strict=True):
            if dx is not None and key in reached:
                _accumulate(gradients, key, dx() if callable(dx) else dx)
    return gradients


def _accumulate(gradients: Gradients, key: int, dx: Tensor) -> None:
    gradients[key] = add(gradients[key], dx) if key in gradients else dx


def _by_program(path: list[Step], gradients: Gradients, sources: list[int]) -> Gradients | None:
    """The same by a program; None where there is none, or it is running."""
    tensors: list[Tensor] = []
    key = _described(path, gradients, sources, tensors)
    if key is None:
        return None
    way = _ways.found(key) or _ways.keep(key, _Way())
    times = way.times = way.times + 1  # other threads count here as well
    if times == OFTEN and sum(x._array.nbytes for x in tensors) <= SMALL:
        _record(way, path, gradients, sources, tensors)
    try:
        program = way.programs.pop()
    except IndexError:
        return None
    try:
        _kernels.copy_arrays([tensors[at]._array for at in way.taken], program.inputs)
        program.run()
        results = [wrap(array.copy()) for array in program.results]
    finally:
        way.programs.append(program)
    return dict(zip([sources[at] for at in way.reached], results, strict=True))


def _described(
    path: list[Step], gradients: Gradients, sources: list[int], tensors: list[Tensor]
) -> tuple[object, ...] | None:
    """What a program for this path depends on; fills in the tensors that it is about.

    None if it depends on what is of this run alone: a matrix without its zeros, an index that is an
    array, what a variable held before it changed.
    """
    places: dict[int, int] = {}
    parts: list[object] = [_kernels.settings()]
    for call, inputs, output in path:
        if "rows" in call.attributes:
            return None
        parts.append(call.primitive)
        parts += call.attributes.values()
        for x, key in zip(call.inputs, inputs, strict=True):
            at = places.setdefault(key, len(tensors))
            if at == len(tensors):
                tensors.append(x)
                parts += x._array.shape, x._array.dtype
            elif tensors[at] is not x:
                return None
            parts.append(at)
        places[output] = len(tensors)
        tensors.append(call.output)
    for target, dy in gradients.items():
        parts += places.setdefault(target, -len(tensors)), dy._array.shape
        tensors.append(dy)
    parts += map(places.get, sources)
    description = tuple(parts)
    try:
        hash(description)
    except TypeError:
        return None
    return description


def _record(
    way: _Way, path: list[Step], gradients: Gradients, sources: list[int], tensors: list[Tensor]
) -> None:
    """Make the program, if there can be one."""
    examples = {id(x): wrap(x._array.copy()) for x in tensors}

    def walk() -> list[Tensor | None]:
        steps = [
            (
                Call(
                    call.primitive,
                    tuple(examples[id(x)] for x in call.inputs),
                    call.attributes,
                    examples[id(call.output)],
                ),
                inputs,
                output,
            )
            for call, inputs, output in path
        ]
        seeds = {key: examples[id(dy)] for key, dy in gradients.items()}
        found = _one_by_one(steps, seeds, set(sources))
        return [found.get(key) for key in sources]

    try:
        traced = trace(walk, [examples[id(x)] for x in tensors])
    except TraceError:
        return
    used = {id(x) for i in traced.instructions for x in i.inputs}
    way.taken = [at for at, x in enumerate(traced.inputs) if id(x) in used]
    way.reached = [at for at, x in enumerate(traced.structure) if x is not None]
    inputs = [traced.inputs[at] for at in way.taken]
    way.programs = [Program(traced.instructions, inputs, traced.results)]
