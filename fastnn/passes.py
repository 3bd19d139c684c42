"""Passes: functions from a list of instructions to another one that computes the same bits.

Each is a small rewrite of its own. `optimized` applies all, in the order that lets one prepare the
next. Order matters for variables alone: an instruction may be moved behind others only if none of
those writes a variable that it reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _kernels, fused
from fastnn._kernels import Primitive, Update
from fastnn.arrays import COMPUTED_IN, Array
from fastnn.chains import chain_update, chained
from fastnn.graph import VIEWS, Graph, Pass, each
from fastnn.ops import products
from fastnn.ops.elementwise import copy
from fastnn.trace import Instruction, Value


def products_with(x: Value, instructions: list[Instruction]) -> list[int]:
    """The columns of each product whose left operand is `x`; none if something else reads it."""
    columns = []
    for instruction in instructions:
        if x not in instruction.inputs:
            continue
        if not _is_product_with(x, instruction):
            return []
        columns.append(instruction.outputs[0].shape[-1])
    return columns


def _is_product_with(x: Value, instruction: Instruction) -> bool:
    left, *others = instruction.inputs
    is_plain = instruction.op is products._dense or (
        instruction.op is products._matmul and not instruction.attributes["transpose_b"]
    )
    return left is x and x not in others and is_plain and len(others[0].shape) == 2


def with_rows(
    instructions: list[Instruction], x: Value, rows: _kernels.CompressedRows
) -> list[Instruction]:
    """The same with `rows` for `x`, which is the left operand of products only."""

    def changed(instruction: Instruction) -> Instruction:
        if x not in instruction.inputs:
            return instruction
        attributes = {"rows": rows} | instruction.attributes
        attributes.pop("transpose_b", None)
        is_dense = instruction.op is products._dense
        op = products._rows_dense if is_dense else products._rows_matmul
        return Instruction(op, instruction.inputs[1:], attributes, instruction.outputs)

    return [changed(instruction) for instruction in instructions]


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
    rest = deque(instructions)
    while rest:
        first = rest.popleft()
        if isinstance(first.op, Update):
            variables = first.inputs[: len(first.outputs)]
            read = () if first.op is chain_update else first.inputs[len(first.outputs) :]
            for old in variables:
                if any(old is x for later in (read, *(i.inputs for i in rest)) for x in later):
                    kept = Value(old.shape, old.dtype)
                    made.append(Instruction(copy, (old,), {}, (kept,)))
                    read = _with(read, old, kept)
                    rest = deque(i._replace(inputs=_with(i.inputs, old, kept)) for i in rest)
            if first.op is not chain_update:
                first = first._replace(inputs=(*variables, *read))
        made.append(first)
    return made


def _with(values: tuple[Value, ...], old: Value, new: Value) -> tuple[Value, ...]:
    return tuple(new if x is old else x for x in values)


def _copy_into_maker(graph: Graph, i: int, copied: Instruction) -> None:
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


def _bias_into_product(graph: Graph, i: int, add: Instruction) -> None:
    """matmul(x, w) + b becomes dense(x, w, b)."""
    if add.op.name != "add":
        return
    x, b = add.inputs
    if not graph.made_by(x, "matmul", "rows_matmul"):
        x, b = b, x
    found = graph.only_use(x, "matmul", "rows_matmul")
    if found is None or b.shape != x.shape[-1:] or len(x.shape) != 2:
        return
    at, product = found
    transposed = product.attributes["transpose_a"] or product.attributes.get("transpose_b")
    if transposed or x.dtype not in COMPUTED_IN or not graph.can_move(at, i):
        return
    attributes = {"relu": False} | {k: v for k, v in product.attributes.items() if k == "rows"}
    op = products._rows_dense if "rows" in attributes else products._dense
    graph.join(at, i, Instruction(op, (*product.inputs, b), attributes, add.outputs))


def _relu_into_dense(graph: Graph, i: int, relu: Instruction) -> None:
    """relu(dense(x, w, b)) becomes one product."""
    if relu.op.name != "relu":
        return
    found = graph.only_use(relu.inputs[0], "dense", "rows_dense")
    if found and graph.can_move(found[0], i):
        at, dense = found
        attributes = dense.attributes | {"relu": True}
        graph.join(at, i, dense._replace(attributes=attributes, outputs=relu.outputs))


def _loss_with_gradient(graph: Graph, i: int, gradient: Instruction) -> None:
    """Softmax cross-entropy and its gradient share the exponentials."""
    if gradient.op.name != "softmax_cross_entropy_grad":
        return
    dloss, logits, labels = gradient.inputs
    if dloss.array is None or dloss.variable is not None:
        # The weights of the losses may depend on the losses, which are made once more beside it.
        again = Value(dloss.shape, dloss.dtype)
        outputs = (again, *gradient.outputs)
        graph.join(i, i, Instruction(fused.loss_and_gradient, gradient.inputs, {}, outputs))
        return
    for at, loss in enumerate(graph.instructions[:i]):
        if loss is None or loss.op.name != "softmax_cross_entropy":
            continue
        if loss.inputs == (logits, labels):
            outputs = (*loss.outputs, *gradient.outputs)
            joined = Instruction(fused.loss_and_gradient, gradient.inputs, {}, outputs)
            # At the earlier place: the loss is used in between.
            graph.join(i, at, joined)
            return


def _mask_into_product(graph: Graph, i: int, mask: Instruction) -> None:
    """The gradient of relu after a product becomes a mask of the product."""
    if mask.op.name != "relu_grad":
        return
    dy, y = mask.inputs
    found = graph.only_use(dy, "matmul")
    if found and len(dy.shape) == 2 and graph.can_move(found[0], i):
        at, product = found
        inputs = (*product.inputs, y)
        graph.join(
            at, i, product._replace(op=fused.masked_matmul, inputs=inputs, outputs=mask.outputs)
        )


def _update_into_product(graph: Graph, i: int, sgd: Instruction) -> None:
    """Gradient descent by a product adds the product to the variable itself."""
    if sgd.op.name != "sgd":
        return
    w, g, rate = sgd.inputs
    found = graph.only_use(g, "matmul", "rows_matmul")
    if found is None or len(g.shape) != 2 or not graph.can_move(found[0], i):
        return
    at, product = found
    left = product.attributes.get("rows", product.inputs[0])
    inner = left.shape[0 if product.attributes["transpose_a"] else 1]
    if inner <= _kernels.LONGEST_ACCUMULATED and w not in product.inputs:
        op = fused.rows_descend if "rows" in product.attributes else fused.descend
        graph.join(
            at, i, product._replace(op=op, inputs=(w, *product.inputs, rate), outputs=sgd.outputs)
        )


# They broadcast as NumPy does.
BROADCASTING = {
    name
    for name, operands in _kernels.CHAIN_OPS.items()
    if operands > 1 and not name.endswith("_grad")
}


def _stretching_into_user(graph: Graph, i: int, user: Instruction) -> None:
    """What is stretched to the shape of another operand need not be: the op does so itself."""
    if user.op.name not in BROADCASTING:
        return
    for x in user.inputs:
        found = graph.made_by(x, "broadcast_to")
        if found and graph.can_move(found[0], i):
            inputs = _with(user.inputs, x, found[1].inputs[0])
            if np.broadcast_shapes(*[y.shape for y in inputs]) == user.outputs[0].shape:
                user = user._replace(inputs=inputs)
                graph.instructions[i] = user


# Before so many bytes of weights are read it pays to look for zeros in few rows.
LARGE = 1 << 14


def with_known_finite(
    instructions: list[Instruction], results: Sequence[Value]
) -> list[Instruction]:
    """Products leave zeros out without a look at all weights, where it is known that those are
    finite.

    It is for variables that nobody updates, and for those that only products of few rows without
    zeros do, which see what they write.
    """
    updated = {
        id(y.variable)
        for i in instructions
        if isinstance(i.op, Update) and weights_of(i) is None
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
        # For more rows the weights are copied, and are looked at on the way.
        few = instruction.attributes["rows"].shape[0] <= _kernels.FEW_ROWS
        return instruction.inputs[0] if few else None
    if instruction.op.name == "dense":
        x, w = instruction.inputs[:2]
        return w if x.shape[0] <= _kernels.FEW_ROWS and w.nbytes >= LARGE else None
    return None


def with_labels_first(
    instructions: list[Instruction], results: Sequence[Value]
) -> list[Instruction]:
    """Labels that depend on no variable are looked at before anything is updated."""
    maker = {id(y): i for i, instruction in enumerate(instructions) for y in instruction.outputs}
    first: set[int] = set()
    for i, instruction in enumerate(instructions):
        if instruction.op.name != "to_classes":
            continue
        needed, left = set(), [i]
        while left:
            if (at := left.pop()) not in needed:
                needed.add(at)
                left += [maker[id(x)] for x in instructions[at].inputs if id(x) in maker]
        if all(x.variable is None for at in needed for x in instructions[at].inputs):
            first |= needed
    places = sorted(range(len(instructions)), key=lambda i: i not in first)
    return [instructions[i] for i in places]


PASSES: list[Pass] = [
    without_dead,
    with_labels_first,
    without_repeats,
    each(_copy_into_maker),
    each(_bias_into_product),
    each(_relu_into_dense),
    each(_loss_with_gradient),
    each(_mask_into_product),
    each(_update_into_product),
    each(_stretching_into_user),
    without_dead,
    chained,
    with_old_values,
    with_known_finite,
]
