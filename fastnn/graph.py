"""Graph: who makes and who uses what, for passes that replace instructions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from fastnn.trace import Instruction, Value

Pass: TypeAlias = Callable[[list[Instruction], Sequence[Value]], list[Instruction]]

VIEWS = {"reshape", "stop_gradient"}  # the same elements in the same memory


class Graph:
    """Who makes and who uses the values of a list of instructions, which are replaced in place."""

    def __init__(self, instructions: Iterable[Instruction], results: Sequence[Value]) -> None:
        self.instructions: list[Instruction | None] = list(instructions)
        self.maker: dict[int, int] = {}
        self.uses: Counter[int] = Counter(map(id, results))
        for i, instruction in enumerate(self.instructions):
            if instruction is not None:
                self.maker.update((id(y), i) for y in instruction.outputs)
                self.uses.update(map(id, instruction.inputs))

    def made_by(self, x: Value, *names: str) -> tuple[int, Instruction] | None:
        """The place and the instruction that makes x, if it is such an op."""
        i = self.maker.get(id(x))
        found = None if i is None else self.instructions[i]
        return (i, found) if i is not None and found and found.op.name in names else None

    def only_use(self, x: Value, *names: str) -> tuple[int, Instruction] | None:
        """The same, if x is used once: whoever uses it may then do the maker's work itself."""
        return self.made_by(x, *names) if self.uses[id(x)] == 1 else None

    def can_move(self, i: int, to: int) -> bool:
        """Whether instruction i may run as late as `to`: nothing between writes what it reads."""
        moved = self.instructions[i]
        assert moved is not None
        read = {id(x.variable) for x in moved.inputs if x.variable is not None}
        return not any(
            id(y.variable) in read
            for between in self.instructions[i + 1 : to]
            if between is not None
            for y in between.outputs
            if y.variable is not None
        )

    def join(self, i: int, at: int, joined: Instruction) -> None:
        """Replace instructions i and `at` by one, in the place of `at`."""
        self.instructions[i] = None
        self.instructions[at] = joined
        self.maker.update((id(y), at) for y in joined.outputs)

    def rest(self) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction is not None]


def each(
    rewrite: Callable[[Graph, int, Instruction], None],
) -> Pass:
    """A pass that tries one rewrite at each instruction, from the first to the last."""

    def apply(instructions: list[Instruction], results: Sequence[Value]) -> list[Instruction]:
        graph = Graph(instructions, results)
        for i in range(len(instructions)):
            instruction = graph.instructions[i]
            if instruction is not None:
                rewrite(graph, i, instruction)
        return graph.rest()

    apply.__name__, apply.__doc__ = rewrite.__name__.strip("_"), rewrite.__doc__
    return apply
