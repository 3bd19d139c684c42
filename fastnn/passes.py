"""Passes: functions from a list of instructions to a shorter one that computes the same bits.

Each is a small rewrite of its own. `optimized` applies all, in the order that lets one prepare the
next. Order matters for variables alone: an instruction may be moved behind others only if none of
those writes a variable that it reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from fastnn import _kernels
from fastnn.arrays import Array
from fastnn.ops.core import COMPUTED_IN, Primitive, Update, primitive, update
from fastnn.ops.elementwise import copy
from fastnn.trace import Instruction, Value

VIEWS = {"reshape", "stop_gradient"}  # the same elements in the same memory

Pass: TypeAlias = Callable[[list[Instruction], Sequence[Value]], list[Instruction]]


@primitive(kernel=True)
def _masked_matmul(
    a: Array,
    b: Array,
    mask: Array,
    transpose_a: bool,
    transpose_b: bool,
    out: Array | None = None,
) -> Array:
    return _kernels.matmul(a, b, transpose_a, transpose_b, mask=mask, out=out)


@primitive(kernel=True)
def _loss_and_gradient(
    dloss: Array, logits: Array, labels: Array, out: tuple[Array, Array]
) -> tuple[Array, Array]:
    loss, dlogits = out
    _kernels.softmax_cross_entropy(logits, labels, dlogits, dloss, loss)
    return out


@update(kernel=True)
def _descend(
    w: Array, a: Array, b: Array, learning_rate: Array, transpose_a: bool, transpose_b: bool
) -> None:
    _kernels.matmul(a, b, transpose_a, transpose_b, out=w, accumulate=True, rate=learning_rate)


@update(kernel=True)
def _rows_descend(
    w: Array,
    b: Array,
    learning_rate: Array,
    rows: _kernels.CompressedRows,
    transpose_a: bool,
    infinite: Array | None = None,
) -> None:
    rate = learning_rate
    _kernels.matmul(rows, b, transpose_a, out=w, accumulate=True, rate=rate, infinite=infinite)


@primitive(kernel=True)
def chain(*inputs: Array, steps: list[Any], out: Array) -> Array:
    """Elementwise steps in one loop, as `_kernels.chain` takes them."""
    return _kernels.chain(steps, list(inputs), out)


def optimized(instructions: list[Instruction], results: Sequence[Value]) -> list[Instruction]:
    """The instructions after all passes; `results` are the values that must be there at the end."""
    for rewrite in PASSES:
        instructions = rewrite(instructions, results)
    return instructions


def without_dead(instructions: list[Instruction], results: Sequence[Value]) -> list[Instruction]:
    """Drop what nobody uses; updates are always of use."""
    needed = set(map(id, results))
    kept: list[Instruction] = []
    for instruction in reversed(instructions):
        if isinstance(instruction.op, Update) or any(id(y) in needed for y in instruction.outputs):
            kept.append(instruction)
            needed.update(map(id, instruction.inputs))
    return kept[::-1]


def without_repeats(instructions: list[Instruction], results: Sequence[Value]) -> list[Instruction]:
    """Compute once what is asked for several times: the same op of the same values."""
    first: dict[Any, Instruction] = {}
    made: list[Instruction] = []
    instead: dict[int, Value] = {}
    wanted = set(map(id, results))
    for instruction in instructions:
        inputs = tuple(instead.get(id(x), x) for x in instruction.inputs)
        instruction = instruction._replace(inputs=inputs)
        attributes = tuple(map(_comparable, instruction.attributes.items()))
        key = (instruction.op, *map(id, inputs), attributes)
        if isinstance(instruction.op, Update) or id(instruction.outputs[0]) in wanted:
            made.append(instruction)
        elif key in first:
            outputs = zip(instruction.outputs, first[key].outputs, strict=True)
            instead.update((id(y), earlier) for y, earlier in outputs)
        else:
            first[key] = instruction
            made.append(instruction)
    return made


def _comparable(attribute: tuple[str, Any]) -> Any:
    """The attribute, or what tells it from all others if it cannot be compared quickly."""
    name, value = attribute
    try:
        hash(value)
    except TypeError:
        return name, id(value)
    return attribute


def with_old_values(instructions: list[Instruction], results: Sequence[Value]) -> list[Instruction]:
    """Copy a variable before an update if its old values are used afterwards, or by the update
    itself otherwise than element by element.
    """
    made: list[Instruction] = []
    rest = list(instructions)
    while rest:
        first, *rest = rest
        if isinstance(first.op, Update):
            variables = first.inputs[: len(first.outputs)]
            read = () if first.op is _chain_update else first.inputs[len(first.outputs) :]
            for old in variables:
                if any(old is x for later in (read, *(i.inputs for i in rest)) for x in later):
                    kept = Value(old.shape, old.dtype)
                    made.append(Instruction(copy, (old,), {}, (kept,)))
                    read = _with(read, old, kept)
                    rest = [i._replace(inputs=_with(i.inputs, old, kept)) for i in rest]
            if first.op is not _chain_update:
                first = first._replace(inputs=(*variables, *read))
        made.append(first)
    return made


def _with(values: tuple[Value, ...], old: Value, new: Value) -> tuple[Value, ...]:
    return tuple(new if x is old else x for x in values)


class _Graph:
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


def _each(
    rewrite: Callable[[_Graph, int, Instruction], None],
) -> Pass:
    """A pass that tries one rewrite at each instruction, from the first to the last."""

    def apply(instructions: list[Instruction], results: Sequence[Value]) -> list[Instruction]:
        graph = _Graph(instructions, results)
        for i in range(len(instructions)):
            instruction = graph.instructions[i]
            if instruction is not None:
                rewrite(graph, i, instruction)
        return graph.rest()

    apply.__name__, apply.__doc__ = rewrite.__name__.strip("_"), rewrite.__doc__
    return apply


def _copy_into_maker(graph: _Graph, i: int, copied: Instruction) -> None:
    """What is copied and not used otherwise is made in the copy's place."""
    if copied.op is not copy:
        return
    (x,) = copied.inputs
    at = graph.maker.get(id(x))
    if at is None or graph.uses[id(x)] > 1:
        return
    made = graph.instructions[at]
    if made is not None and isinstance(made.op, Primitive) and made.op.name not in VIEWS:
        outputs = tuple(copied.outputs[0] if y is x else y for y in made.outputs)
        graph.join(i, at, made._replace(outputs=outputs))


def _bias_into_product(graph: _Graph, i: int, add: Instruction) -> None:
    """matmul(x, w) + b becomes dense(x, w, b)."""
    if add.op.name != "add":
        return
    x, b = add.inputs
    if not graph.made_by(x, "matmul", "rows_matmul"):
        x, b = b, x
    found = graph.only_use(x, "matmul", "rows_matmul")
    if found is None or b.shape != add.outputs[0].shape[-1:] or len(x.shape) != 2:
        return
    at, product = found
    transposed = product.attributes["transpose_a"] or product.attributes.get("transpose_b")
    if transposed or x.dtype not in COMPUTED_IN or not graph.can_move(at, i):
        return
    attributes = {"relu": False} | {k: v for k, v in product.attributes.items() if k == "rows"}
    op = _primitive("rows_dense" if "rows" in attributes else "dense")
    graph.join(at, i, Instruction(op, (*product.inputs, b), attributes, add.outputs))


def _relu_into_dense(graph: _Graph, i: int, relu: Instruction) -> None:
    """relu(dense(x, w, b)) becomes one product."""
    if relu.op.name != "relu":
        return
    found = graph.only_use(relu.inputs[0], "dense", "rows_dense")
    if found and graph.can_move(found[0], i):
        at, dense = found
        attributes = dense.attributes | {"relu": True}
        graph.join(at, i, dense._replace(attributes=attributes, outputs=relu.outputs))


def _loss_with_gradient(graph: _Graph, i: int, gradient: Instruction) -> None:
    """Softmax cross-entropy and its gradient share the exponentials."""
    if gradient.op.name != "softmax_cross_entropy_grad":
        return
    dloss, logits, labels = gradient.inputs
    if dloss.array is None or dloss.variable is not None:
        return  # the weights of the losses may depend on the losses
    for at, loss in enumerate(graph.instructions[:i]):
        if loss is None or loss.op.name != "softmax_cross_entropy":
            continue
        if loss.inputs == (logits, labels):
            outputs = (*loss.outputs, *gradient.outputs)
            joined = Instruction(_loss_and_gradient, gradient.inputs, {}, outputs)
            # At the earlier place: the loss is used in between.
            graph.join(i, at, joined)
            return


def _mask_into_product(graph: _Graph, i: int, mask: Instruction) -> None:
    """The gradient of relu after a product becomes a mask of the product."""
    if mask.op.name != "relu_grad":
        return
    dy, y = mask.inputs
    found = graph.only_use(dy, "matmul")
    if found and len(dy.shape) == 2 and graph.can_move(found[0], i):
        at, product = found
        inputs = (*product.inputs, y)
        graph.join(at, i, product._replace(op=_masked_matmul, inputs=inputs, outputs=mask.outputs))


def _update_into_product(graph: _Graph, i: int, sgd: Instruction) -> None:
    """Gradient descent by a product adds the product to the variable itself."""
    if sgd.op.name != "sgd":
        return
    w, g, rate = sgd.inputs
    found = graph.only_use(g, "matmul", "rows_matmul")
    if found is None or len(g.shape) != 2 or not graph.can_move(found[0], i):
        return
    at, product = found
    rows = product.attributes.get("rows")
    if rows is None:
        inner = product.inputs[0].shape[0 if product.attributes["transpose_a"] else 1]
    else:
        inner = rows.shape[0 if product.attributes["transpose_a"] else 1]
    if inner <= _kernels.LONGEST_ACCUMULATED and w not in product.inputs:
        op = _descend if rows is None else _rows_descend
        graph.join(
            at, i, product._replace(op=op, inputs=(w, *product.inputs, rate), outputs=sgd.outputs)
        )


# It pays to look for zeros in so few rows, before so many bytes of weights are read.
FEW_ROWS, LARGE = 4, 1 << 14


def with_known_finite(
    instructions: list[Instruction], results: Sequence[Value]
) -> list[Instruction]:
    """Products leave zeros out without a look at all weights, where it is known that those are
    finite.

    It is for variables that nobody updates, and for those that only products without zeros do,
    which see what they write.
    """
    updated = {
        id(y.variable)
        for i in instructions
        if isinstance(i.op, Update) and i.op is not _rows_descend
        for y in i.outputs
    }
    flags: dict[int, Array] = {}
    made = []
    for instruction in instructions:
        w = weights_of(instruction)
        if w is not None and w.variable is not None and id(w.variable) not in updated:
            flag = flags.setdefault(id(w.variable), np.zeros((), np.int32))
            attributes = instruction.attributes | {"infinite": flag}
            instruction = instruction._replace(attributes=attributes)
        made.append(instruction)
    return made


def weights_of(instruction: Instruction) -> Value | None:
    """What a product without zeros reads, or adds to, as far as the zeros tell."""
    if instruction.op.name in ("rows_dense", "rows_descend"):
        return instruction.inputs[0]
    if instruction.op.name == "dense":
        x, w = instruction.inputs[:2]
        return w if x.shape[0] <= FEW_ROWS and w.nbytes >= LARGE else None
    return None


_ORDER = {"assign": (1,), "assign_add": (0, 1), "assign_sub": (0, 1)}


def chained(instructions: list[Instruction], results: Sequence[Value]) -> list[Instruction]:
    """Elementwise ops become chains, and a chain whose result is used once joins its user."""
    graph = _Graph(instructions, results)
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
    if isinstance(op, Update):
        return Instruction(_chain_update, inputs, {"steps": [(op.chain, *operands)]}, (out,))
    return Instruction(chain, inputs, {"steps": [(op.chain, *operands)]}, (out,))


@update(kernel=True)
def _chain_update(w: Array, *inputs: Array, steps: list[Any]) -> None:
    _kernels.chain(steps, [w, *inputs], w)


def _joined(first: Instruction, second: Instruction, x: Value) -> Instruction | None:
    """Two chains as one, `second` having used the result x of `first`."""
    if x.shape != second.outputs[0].shape:
        return None
    kept = [y for y in second.inputs if y is not x]
    inputs = list(kept)
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


def _primitive(name: str) -> Primitive:
    from fastnn.ops import products

    found: Primitive = getattr(products, f"_{name}")
    return found


PASSES: list[Pass] = [
    without_dead,
    without_repeats,
    _each(_copy_into_maker),
    _each(_bias_into_product),
    _each(_relu_into_dense),
    _each(_loss_with_gradient),
    _each(_mask_into_product),
    _each(_update_into_product),
    with_known_finite,
    chained,
    with_old_values,
]
