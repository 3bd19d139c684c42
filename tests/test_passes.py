"""The passes one by one: what each rewrites, and what it must leave alone.

That they change no bit is tested in test_both_ways.py.
"""

import itertools

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Variable, passes
from fastnn._kernels import LINE
from fastnn.function import trace
from fastnn.memory import laid_out
from fastnn.ops.elementwise import copy
from fastnn.trace import Instruction, Value


def recorded(function, *shapes):
    """The instructions and results of a function of inputs of such shapes."""
    inputs = [fastnn.constant(np.ones(shape, np.float32)) for shape in shapes]
    traced = trace(function, inputs, *inputs)
    return traced.instructions, traced.inputs, traced.results


def names(instructions):
    return [
        " ".join(step[0] for step in i.attributes["steps"])
        if "steps" in i.attributes
        else i.op.name
        for i in instructions
    ]


def after(function, *shapes):
    """The names of the ops after all passes."""
    instructions, _, results = recorded(function, *shapes)
    return names(passes.optimized(instructions, results))


W = Variable(np.ones((3, 4), np.float32))
B = Variable(np.ones(4, np.float32))
RATE = Variable(np.float64(0.1))


def test_constants_are_no_instructions():
    instructions, *_ = recorded(lambda x: x + fastnn.exp(fastnn.constant(2.0)) * 3, (2,))
    assert names(instructions) == ["add", "copy"]


def test_dead_code_goes_and_updates_stay():
    def f(x):
        fastnn.exp(x)
        B.assign(x)
        return fastnn.sqrt(x)

    instructions, _, results = recorded(f, (4,))
    kept = names(passes.without_dead(instructions, results))
    assert kept == ["assign", "sqrt", "copy"]


def test_what_is_computed_twice_is_computed_once():
    def f(x):
        B.assign_add(fastnn.exp(x))
        first = fastnn.exp(B * 1)
        B.assign_add(fastnn.exp(x))
        return first + fastnn.exp(B * 1) + fastnn.reduce_sum(x, 0) - fastnn.reduce_sum(x)

    instructions, _, results = recorded(f, (4,))
    kept = names(passes.without_repeats(instructions, results))
    # exp(x) is the same, exp(B * 1) is not: B has changed between. The sums are one sum.
    assert kept.count("exp") == 3
    assert kept.count("reduce_sum") == 1


def test_stretching_is_left_to_the_user():
    def row(x):
        return x * fastnn.broadcast_to(fastnn.exp(x[0]), (3, 4))

    def both(x):
        row = fastnn.broadcast_to(fastnn.exp(x[0]), (3, 4))
        return row - fastnn.broadcast_to(fastnn.exp(x[1]), (3, 4))

    def variable(x):
        old = fastnn.broadcast_to(B, (3, 4))
        B.assign(x[0])
        return x * old

    assert "broadcast_to" not in after(row, (3, 4))
    assert after(both, (3, 4)).count("broadcast_to") == 1  # one of them must have the shape
    assert "broadcast_to" in after(variable, (3, 4))  # it has other values by then
    assert "broadcast_to" in after(lambda x: fastnn.broadcast_to(x[0], (3, 4)), (3, 4))


def test_bias_and_relu_go_into_the_product():
    assert after(lambda x: fastnn.relu(x @ W + B), (2, 3)) == ["dense"]
    assert after(lambda x: B + x @ W, (2, 3)) == ["dense"]
    assert after(lambda x: fastnn.relu(fastnn.dense(x, W, B)), (2, 3)) == ["dense"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: [(y := x @ W), y + B],  # the product itself is wanted
        lambda x: x @ W + fastnn.ones((2, 4)),  # not one bias for all rows
        lambda x: x @ W + 1.0,
        lambda x: x @ W[:, :1] + B,  # the sum is wider than the product
        lambda x: fastnn.matmul(x, fastnn.ones((4, 3)), transpose_b=True) + B,
    ],
)
def test_the_product_stays_where_it_must(function):
    assert "matmul" in after(function, (2, 3))


def test_loss_and_gradient_share_one_kernel():
    def f(x, y):
        logits = x @ W
        with GradientTape() as tape:
            tape.watch(logits)
            losses = fastnn.softmax_cross_entropy(fastnn.cast(y, "int64"), logits)
            loss = fastnn.reduce_mean(losses)
        return loss, tape.gradient(loss, logits)

    found = after(f, (2, 3), (2,))
    assert "loss_and_gradient" in found
    assert "softmax_cross_entropy_grad" not in found


def test_the_mask_of_relu_goes_into_the_product():
    def f(x, dy):
        with GradientTape() as tape:
            tape.watch(x)
            y = fastnn.relu(x) @ W
        return tape.gradient(y, x, dy)

    assert after(f, (2, 3), (2, 4)) == ["relu", "masked_matmul"]


def test_an_update_goes_into_the_product():
    optimizer = fastnn.optimizers.SGD(0.1)

    def f(x):
        with GradientTape() as tape:
            y = x @ W
        optimizer.apply_gradients([(tape.gradient(y, W), W)])

    assert after(f, (2, 3)) == ["descend", "count"]
    # Longer sums are made of blocks, which are added up before they are scaled.
    assert after(f, (1000, 3)) == ["matmul", "sgd", "count"]


def test_a_product_does_not_move_behind_an_update_of_what_it_reads():
    def f(x):
        y = x @ W
        W.assign(W * 2)
        return y + B

    found = after(f, (2, 3))
    assert found.index("matmul") < next(i for i, name in enumerate(found) if "copy" in name)


def test_chains():
    assert after(lambda x: fastnn.exp(-x) * 2 + x, (5,)) == ["negative exp multiply add"]
    assert after(lambda x: [(y := -x), fastnn.exp(y)], (5,)) == ["negative", "exp", "copy"]
    assert after(lambda x: fastnn.where(x > 1, x, 0.0), (5,)) == ["greater where"]
    assert after(lambda x: B.assign_sub(0.1 * x), (4,)) == ["multiply subtract"]
    assert after(lambda x: fastnn.sin(-x), (5,)) == ["negative", "sin"]


def test_a_chain_too_long_is_cut():
    def f(x):
        for _ in range(40):
            x = fastnn.exp(-x)
        return x

    found = after(f, (5,))
    assert len(found) > 1
    assert sum(len(name.split()) for name in found) == 80


@pytest.mark.parametrize(
    ("function", "dtypes", "shapes"),
    [
        (lambda a, b, c: a + b + c, "fff", ((2, 3, 4), (4,), (3, 4))),
        (lambda a, b, c: a * b - c * b, "fff", ((2, 3, 4), (2, 1, 1), (2, 3, 1))),
        (lambda a, b: fastnn.where(a > 0, b, -b), "df", ((2, 3), (2, 3))),
        (lambda a: fastnn.cast(a > 0, "float32") * 2.0, "d", ((2, 3),)),
    ],
)
def test_chains_that_do_not_fit_together_stay_apart(function, dtypes, shapes, rng):
    arrays = [rng.standard_normal(s).astype(d) for s, d in zip(shapes, dtypes, strict=True)]
    expected = function(*map(fastnn.constant, arrays))
    np.testing.assert_array_equal(fastnn.function(function)(*arrays), expected)


def test_old_values_are_copied_only_if_they_are_used():
    def used(x):
        old = B.value
        B.assign(x)
        return old * B

    def unused(x):
        old = B.value * 2
        B.assign(x)
        return old

    instructions, _, results = recorded(used, (4,))
    assert names(passes.with_old_values(instructions, results)) == [
        "copy",
        "assign",
        "multiply",
        "copy",
    ]
    instructions, _, results = recorded(unused, (4,))
    assert names(passes.with_old_values(instructions, results)) == ["multiply", "assign", "copy"]


def test_memory_is_shared_but_never_while_in_use():
    """No two values that are needed at one time overlap, and dead ones make room."""

    def f(x):
        for _ in range(20):
            x = fastnn.softmax(x @ fastnn.ones((50, 50)))
        return x

    instructions, inputs, results = recorded(f, (50, 50))
    instructions = passes.optimized(instructions, results)
    starts, size = laid_out(instructions, inputs, results)
    assert size <= 3 * 50 * 50 * 4
    for instruction in instructions:
        places = [
            (starts[id(x)], starts[id(x)] + x.nbytes)
            for x in (*instruction.inputs, *instruction.outputs)
            if id(x) in starts
        ]
        if "steps" not in instruction.attributes:
            for i, (a, b) in enumerate(places):
                for c, d in places[i + 1 :]:
                    assert b <= c or d <= a


@pytest.mark.parametrize("seed", range(20))
def test_memory_of_values_of_random_sizes_and_lives(seed):
    rng = np.random.default_rng(seed)
    values = [Value((int(rng.integers(0, 100)),), np.dtype(np.float32))]
    instructions = []
    for _ in range(60):
        read = tuple(values[-1 - int(at)] for at in rng.integers(0, min(len(values), 9), 2))
        made = Value((int(rng.integers(0, 100)),), np.dtype(np.float32))
        instructions.append(Instruction(copy, read, {}, (made,)))
        values.append(made)
    starts, size = laid_out(instructions, values[:1], values[-1:])

    last = {id(x): at for at, i in enumerate(instructions) for x in (*i.outputs, *i.inputs)}
    last[id(values[-1])] = len(instructions)
    needed = 0
    for now in range(len(instructions)):
        alive = [x for at, x in enumerate(values) if at <= now + 1 and last[id(x)] >= now]
        places = sorted((starts[id(x)], starts[id(x)] + x.nbytes) for x in alive if x.nbytes)
        assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(places))
        needed = max(needed, sum(-(-x.nbytes // LINE) * LINE for x in alive))
    assert all(start % LINE == 0 for start in starts.values())
    assert needed - LINE < size < 1.5 * needed


def test_values_without_elements_take_no_memory():
    def f(nothing, row):
        return nothing + row, fastnn.tanh(fastnn.reduce_sum(fastnn.zeros((1000, 2)), axis=1))

    nothing, row = (np.zeros((n, 1000), np.float32) for n in (0, 1))
    program = fastnn.function(f).program(nothing, row)
    assert len(program._arena) == row.nbytes
