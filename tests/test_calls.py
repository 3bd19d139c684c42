"""Calls of ops: what stands between an op and its kernel."""

import importlib
import pkgutil
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Variable, _kernels
from fastnn._kernels import Primitive, TensorBase, Update, VariableBase, Writing, wrap

THINGS = [
    thing
    for module in pkgutil.iter_modules(fastnn.ops.__path__)
    for thing in vars(importlib.import_module(f"fastnn.ops.{module.name}")).values()
    if isinstance(thing, Primitive | Update)
]
ELEMENTWISE = {op.name: op for op in THINGS if isinstance(op, Primitive) and op.chain}
del ELEMENTWISE["broadcast_to"]  # it has an attribute, and goes the long way alone
add = ELEMENTWISE["add"]
assign = next(op for op in THINGS if op.name == "assign")

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-310, 3e38, 1.0, -1.0]


def numbers(rng, shape, dtype):
    x = rng.standard_normal(shape) * 3
    at = rng.random(shape) < 0.4
    return np.where(at, rng.choice(SPECIAL, shape), x).astype(dtype)


SHAPES = [
    ((5, 7), (5, 7)),
    ((5, 7), (7,)),
    ((7,), (5, 7)),
    ((5, 7), (5, 1)),
    ((5, 7), ()),
    ((), ()),
]
OF_THE_LONG_WAY = [((5, 1), (1, 7)), ((3, 5, 7), (3, 1, 7)), ((0, 7), (7,)), ((130, 130), (130,))]


def operands(name, first, second, dtype, rng):
    count = _kernels.CHAIN_OPS[ELEMENTWISE[name].chain]
    second = first if name.endswith("_grad") or count == 1 else second
    x = [numbers(rng, shape, dtype) for shape in (first, second, first)[:count]]
    return [np.asarray(x[0] > 0), *x[1:]] if name == "where" else x


def forward(*arrays):
    raise AssertionError("the long way was taken")


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_short_way_gives_the_bits_of_the_long_one(name, dtype, isa, rng):
    op = ELEMENTWISE[name]
    short = Primitive(forward, False, op.chain)
    for first, second in SHAPES:
        x = operands(name, first, second, dtype, rng)
        found, expected = short(*map(wrap, x))._array, np.asarray(op.forward(*x))
        np.testing.assert_array_equal(found, expected, strict=True)
        if expected.dtype.kind == "f":
            is_number = ~np.isnan(expected)
            signs = np.signbit(found)[is_number], np.signbit(expected)[is_number]
            np.testing.assert_array_equal(*signs)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_what_goes_the_long_way(name, dtype, rng):
    op = ELEMENTWISE[name]
    for first, second in SHAPES + OF_THE_LONG_WAY:
        x = operands(name, first, second, dtype, rng)
        if (first, second) in SHAPES:
            x = [np.stack([a, a], -1)[..., 0] for a in x]
        found = op(*map(wrap, x))._array
        np.testing.assert_array_equal(found, op.forward(*x), strict=True)


@pytest.mark.parametrize(
    "shape", [(), (3,), (0,), (2, 3), (200, 100)], ids=lambda shape: "x".join(map(str, shape))
)
def test_assignments_of_whole_variables(shape, dtype, rng):
    a, b = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    v = Variable(a)
    read = v.value
    np.testing.assert_array_equal(v.assign_add(b), a + b, strict=True)
    np.testing.assert_array_equal(v.assign_sub(b), a + b - b, strict=True)
    np.testing.assert_array_equal(v.assign(b), b, strict=True)
    np.testing.assert_array_equal(v.assign_add(v), b + b, strict=True)
    np.testing.assert_array_equal(read, a, strict=True)


@pytest.mark.parametrize("size", [1, 16384, 16385])
def test_arithmetic_gives_no_warnings(size):
    x = Variable(np.full(size, 3e38, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf((x * x).numpy()).all()
        assert np.isnan((x * x - x * x).numpy()).all()
        assert np.isnan(fastnn.sqrt(-x).numpy()).all()
        assert np.isinf((x / 0).numpy()).all()
        x.assign_add(x)
    assert np.isinf(x.numpy()).all()


class Doubled(Variable):
    @property
    def value(self):
        return super().value * 2


def test_a_variable_of_ones_own():
    v = Doubled([1.0, 2.0])
    np.testing.assert_array_equal(v + 1, [3, 5])
    np.testing.assert_array_equal(1 + v, [3, 5])


@pytest.mark.parametrize(
    "call",
    [
        lambda t, v: add(None, t),
        lambda t, v: add(t, None),
        lambda t, v: add(t, 3),
        lambda t, v: add(),
        lambda t, v: add(wrap(None), t),
        lambda t, v: assign((None,), t),
        lambda t, v: assign((t,), t),
        lambda t, v: assign((v,), None),
        lambda t, v: assign((v,)),
        lambda t, v: assign((VariableBase.__new__(VariableBase),), t),
        lambda t, v: VariableBase.__new__(VariableBase).mutable(),
        lambda t, v: TensorBase().shape,
        lambda t, v: _kernels.Call.__new__(_kernels.Call),
        lambda t, v: _kernels.Call(None, (), {}, t),
        lambda t, v: GradientTape().record(None),
        lambda t, v: GradientTape().record(_kernels.Call(add, (None,), {}, t)),
        lambda t, v: _kernels.copies([None]),
        lambda t, v: _kernels.gradient_key(None),
        lambda t, v: _kernels.described([None], {}, []),
        lambda t, v: _kernels.described([(None, [], 1)], {}, []),
        lambda t, v: _kernels.described([], {1: None}, []),
        lambda t, v: _kernels.broadcast_together(wrap(None), t),
        lambda t, v: _kernels.all_about_to_change([None], Writing()),
        lambda t, v: _kernels.all_about_to_change([t], Writing()),
        lambda t, v: _kernels.arrays_of(None),
        lambda t, v: Primitive.__new__(Primitive),
        lambda t, v: Primitive(np.add, False, "nothing"),
        lambda t, v: GradientTape().follows_variable(t),
        lambda t, v: _kernels.set_tensor_type(int),
    ],
)
def test_what_is_no_tensor_is_refused(call):
    v = Variable([1.0, 2.0])
    with pytest.raises((TypeError, AttributeError, ValueError)):
        call(fastnn.ones((2,)), v)
    np.testing.assert_array_equal(v, [1, 2])
