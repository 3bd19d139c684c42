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


SHAPES = {
    "the same": ((5, 7), (5, 7)),
    "rows": ((5, 7), (7,)),
    "rows first": ((7,), (5, 7)),
    "columns": ((5, 7), (5, 1)),
    "numbers": ((5, 7), ()),
    "one number": ((), ()),
    "outer": ((5, 1), (1, 7)),
    "a middle axis": ((3, 5, 7), (3, 1, 7)),
    "nothing": ((0, 7), (7,)),
    "large": ((130, 130), (130,)),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_short_way_gives_the_bits_of_the_long_one(name, shapes, dtype, isa, rng):
    op, (first, second) = ELEMENTWISE[name], SHAPES[shapes]
    operands = _kernels.CHAIN_OPS[op.chain]
    if name.endswith("_grad") or operands == 1:
        second = first
    x = [numbers(rng, shape, dtype) for shape in (first, second, first)[:operands]]
    if name == "where":
        x[0] = x[0] > 0
    for strided in (False, True):
        if strided:
            x = [np.stack([a, a], -1)[..., 0] for a in x]
        found, expected = op(*map(wrap, x)), np.asarray(op.forward(*x))
        np.testing.assert_array_equal(found._array, expected, strict=True)
        if expected.dtype.kind == "f":
            is_number = ~np.isnan(expected)
            signs = np.signbit(found._array)[is_number], np.signbit(expected)[is_number]
            np.testing.assert_array_equal(*signs)


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
