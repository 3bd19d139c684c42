"""The door: what the kernels accept, what they refuse, and that a refusal changes nothing."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from fastnn import _kernels

X = np.ones((3, 4), np.float32)
ROWS = np.array([2, 0, 1])


def test_isa_can_be_forced(isa):
    assert _kernels.isa() == isa


def test_an_unknown_isa_names_the_choices():
    before = _kernels.isa()
    with pytest.raises(ValueError, match=r"'nonsense' is not available here; choose one of base"):
        _kernels.set_isa("nonsense")
    assert _kernels.isa() == before


WRONG_TYPE = {
    "list": lambda: _kernels.relu([1.0]),
    "int": lambda: _kernels.relu(np.ones(3, int)),
    "float16": lambda: _kernels.relu(np.ones(3, np.float16)),
    "complex": lambda: _kernels.exp(np.ones(3, complex)),
    "object": lambda: _kernels.softmax(np.ones(3, object)),
    "string": lambda: _kernels.log(np.array(["a"])),
    "mixed add": lambda: _kernels.add(X, X.astype(float)),
    "mixed matmul": lambda: _kernels.matmul(X, X.astype(float), transpose_b=True),
    "mixed bias": lambda: _kernels.matmul(X, X, transpose_b=True, bias=np.ones(3)),
    "mixed out": lambda: _kernels.relu(X, out=np.ones((3, 4))),
    "list out": lambda: _kernels.relu(X, out=[1.0]),
    "float labels": lambda: _kernels.softmax_cross_entropy(X, np.zeros(3)),
    "list labels": lambda: _kernels.softmax_cross_entropy(X, [0, 0, 0]),
    "mixed gradient": lambda: _kernels.sgd(X.copy(), X.astype(float), 0.1),
    "list variable": lambda: _kernels.sgd([1.0], X, 0.1),
    "list slot": lambda: _kernels.adagrad(X.copy(), [1.0], X, 0.1, 1e-7),
    "dropout key": lambda: _kernels.dropout(X, 0.5, 1.5, 0),
    "gather list": lambda: _kernels.gather([1.0], ROWS, X),
    "gather list of rows": lambda: _kernels.gather(X, [0, 1], X.copy()),
    "gather rows": lambda: _kernels.gather(X, ROWS.astype(np.int32), X.copy()),
    "gather rows of two axes": lambda: _kernels.gather(X, ROWS[None], X.copy()),
    "gather complex": lambda: _kernels.gather(X.astype(complex), ROWS, X.copy()),
    "gather longdouble": lambda: _kernels.gather(X.astype(np.longdouble), ROWS, X.copy()),
    "gather out": lambda: _kernels.gather(X, ROWS, X.astype(int)),
    "sum_rows int": lambda: _kernels.sum_rows(np.ones(3, int)),
    "argmax_rows out": lambda: _kernels.argmax_rows(X, out=np.empty(3, np.int32)),
    "hits list": lambda: _kernels.hits(X, [0, 0, 0]),
    "hits labels": lambda: _kernels.hits(X, ROWS),
    "labels list": lambda: _kernels.labels([0], 3, ROWS.copy()),
    "labels complex": lambda: _kernels.labels(ROWS.astype(complex), 3, ROWS.copy()),
    "labels classes": lambda: _kernels.labels(ROWS, 3.5, ROWS.copy()),
    "labels out": lambda: _kernels.labels(ROWS, 3, ROWS.astype(np.int32)),
    "rate": lambda: _kernels.sgd(X.copy(), X, "fast"),
}


@pytest.mark.parametrize("call", WRONG_TYPE.values(), ids=WRONG_TYPE.keys())
def test_wrong_type(call):
    with pytest.raises(TypeError):
        call()


WRONG_VALUE = {
    "relu_grad shape": (lambda: _kernels.relu_grad(X, X.T.copy()), r"dy has shape \(3, 4\)"),
    "add shape": (lambda: _kernels.add(X, np.ones(3, np.float32)), r"b has shape \(3,\)"),
    "add longer": (lambda: _kernels.add(X[0], X), r"b has shape \(3, 4\)"),
    "add_grad number": (lambda: _kernels.add_grad(np.array(1.0)), "at least one axis"),
    "softmax number": (lambda: _kernels.softmax(np.array(1.0)), "at least one axis"),
    "matmul inner": (lambda: _kernels.matmul(X, X), r"4 along axis 1 .* 3 along axis 0"),
    "matmul axes": (lambda: _kernels.matmul(X[0], X), "two axes"),
    "matmul mask": (lambda: _kernels.matmul(X, X.T, mask=X), r"mask has shape \(3, 4\)"),
    "matmul accumulate": (lambda: _kernels.matmul(X, X.T, accumulate=True), "needs out"),
    "matmul bias": (lambda: _kernels.matmul(X, X.T, bias=X[0]), r"it must be \(3,\)"),
    "out shape": (lambda: _kernels.relu(X, out=X.T.copy()), r"the result has shape \(3, 4\)"),
    "labels shape": (
        lambda: _kernels.softmax_cross_entropy(X, np.zeros(4, int)),
        r"labels has shape \(4,\); logits has 3 rows",
    ),
    "labels high": (
        lambda: _kernels.softmax_cross_entropy(X, np.array([0, 1, 4])),
        r"labels\[2\] is 4; 4 classes are numbered 0 to 3",
    ),
    "labels negative": (
        lambda: _kernels.softmax_cross_entropy(X, np.array([0, -1, 0])),
        r"labels\[1\] is -1",
    ),
    "labels huge": (
        lambda: _kernels.softmax_cross_entropy(X, np.array([0, 2**64 - 1, 0], np.uint64)),
        r"labels\[1\] is 18446744073709551615",
    ),
    "no classes": (
        lambda: _kernels.softmax_cross_entropy(np.ones((1, 0), np.float32), np.array([0])),
        r"labels\[0\] is 0",
    ),
    "logits axes": (lambda: _kernels.softmax_cross_entropy(X[0], np.zeros(4, int)), "two axes"),
    "dropout rate": (lambda: _kernels.dropout(X, 1.5, 0, 0), "rate is 1.5; it must be from 0 to 1"),
    "dropout nan": (lambda: _kernels.dropout(X, np.nan, 0, 0), "rate is nan"),
    "dropout key": (lambda: _kernels.dropout(X, 0.5, 2**64, 0), "key is 18446744073709551616"),
    "dropout counter": (
        lambda: _kernels.dropout(X, 0.5, 0, -1),
        "counter is -1; it must be from 0",
    ),
    "order length": (lambda: _kernels.random_order(-1, 0), "n is -1"),
    "order key": (lambda: _kernels.random_order(3, -1), "key is -1; it must be from 0"),
    "gather number": (lambda: _kernels.gather(np.array(1.0), ROWS, X.copy()), "at least one axis"),
    "gather high": (
        lambda: _kernels.gather(X, ROWS + 1, X.copy()),
        r"rows\[0\] is 3; the 3 rows of x are numbered from 0 to 2",
    ),
    "gather negative": (lambda: _kernels.gather(X, ROWS - 1, X.copy()), r"rows\[1\] is -1"),
    "gather out shape": (
        lambda: _kernels.gather(X, ROWS, np.empty((3, 5), np.float32)),
        r"out has shape \(3, 5\); the result has shape \(3, 4\)",
    ),
    "gather layout": (lambda: _kernels.gather(X.T, ROWS, X.T.copy()), "x must be aligned, C-cont"),
    "gather rows layout": (
        lambda: _kernels.gather(X, np.arange(6)[::2], X.copy()),
        "rows must be aligned",
    ),
    "sum_rows number": (lambda: _kernels.sum_rows(np.array(1.0)), "at least one axis"),
    "sum_rows out": (lambda: _kernels.sum_rows(X, out=X[0].copy()), r"the result has shape \(3,\)"),
    "max_rows of none": (lambda: _kernels.max_rows(np.ones((3, 0))), "at least one element"),
    "min_rows of none": (lambda: _kernels.min_rows(np.ones((3, 0))), "at least one element"),
    "argmax_rows of none": (
        lambda: _kernels.argmax_rows(np.ones((3, 0))),
        r"x has shape \(3, 0\); its last axis must have at least one element",
    ),
    "hits of too many": (
        lambda: _kernels.hits(np.empty((1, 2**24 + 1), np.float32), X[0, :1]),
        "float32 cannot tell labels apart; use float64",
    ),
    "hits of none": (lambda: _kernels.hits(np.ones((3, 0)), np.ones(3)), "at least one element"),
    "hits shape": (
        lambda: _kernels.hits(X, X[:2, 0]),
        r"labels has shape \(2,\); it must be that of x without its last axis, \(3,\)",
    ),
    "converted labels high": (
        lambda: _kernels.labels(ROWS.astype(np.uint8), 2, ROWS.copy()),
        r"x\[0\] is 2; 2 classes are numbered by the whole numbers 0 to 1",
    ),
    "labels layout": (lambda: _kernels.labels(np.arange(6)[::2], 9, ROWS.copy()), "x must be alig"),
    "labels out": (lambda: _kernels.labels(ROWS, 3, np.empty(4, int)), r"out has shape \(4,\)"),
    "labels classes": (lambda: _kernels.labels(ROWS, -1, ROWS.copy()), "classes is -1; it must be"),
    "gradient shape": (lambda: _kernels.sgd(X.copy(), X[0], 0.1), r"g has shape \(4,\)"),
    "slot shape": (lambda: _kernels.adagrad(X.copy(), X[0].copy(), X, 0.1, 1.0), "accumulator"),
}


@pytest.mark.parametrize(("call", "message"), WRONG_VALUE.values(), ids=WRONG_VALUE.keys())
def test_wrong_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def layouts(x):
    """The same values in every layout that is not simply contiguous."""
    padded = np.zeros((x.shape[0], 2 * x.shape[1] + 1), x.dtype)
    padded[:, 1::2] = x
    wide = np.zeros((x.shape[0], x.shape[1] + 3), x.dtype)
    wide[:, :-3] = x
    raw = bytearray(x.nbytes + 1)
    unaligned = np.frombuffer(raw, x.dtype, offset=1).reshape(x.shape)
    unaligned[:] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    return {
        "every second column": padded[:, 1::2],
        "part of a wider array": wide[:, :-3],
        "columns first": np.asfortranarray(x),
        "backwards": x[::-1].copy()[::-1],
        "unaligned": unaligned,
        "other byte order": x.astype(x.dtype.newbyteorder()),
        "read-only": read_only,
        "strides of zero": np.broadcast_to(x[:1], x.shape),
    }


@pytest.mark.parametrize("layout", layouts(X))
@pytest.mark.parametrize("n", [4, 20])
def test_the_layout_of_an_input_does_not_matter(layout, n, dtype, rng):
    x = rng.standard_normal((5, 7)).astype(dtype)
    b = rng.standard_normal((7, n)).astype(dtype)
    if layout == "strides of zero":
        x, b = (np.repeat(a[:1], len(a), 0) for a in (x, b))
    other_x, other_b = layouts(x)[layout], layouts(b)[layout]
    np.testing.assert_array_equal(_kernels.relu(other_x), _kernels.relu(x))
    np.testing.assert_array_equal(_kernels.add(other_x, other_x[0]), _kernels.add(x, x[0]))
    np.testing.assert_array_equal(_kernels.matmul(other_x, other_b), _kernels.matmul(x, b))
    for transpose_a, transpose_b in [(True, True), (False, True), (True, False)]:
        left, right = x.T if transpose_a else x, b.T if transpose_b else b
        other_left = layouts(np.ascontiguousarray(left))[layout]
        other_right = layouts(np.ascontiguousarray(right))[layout]
        if layout == "strides of zero":
            left = np.repeat(left[:1], len(left), 0)
            right = np.repeat(right[:1], len(right), 0)
        np.testing.assert_array_equal(
            _kernels.matmul(other_left, other_right, transpose_a, transpose_b),
            _kernels.matmul(left, right, transpose_a, transpose_b),
        )


UNFIT = ["every second column", "columns first", "unaligned", "read-only", "other byte order"]


@pytest.mark.parametrize("layout", UNFIT)
def test_an_output_must_be_fit_to_write_into(layout):
    bad = layouts(X)[layout]
    before = bad.copy()
    for call in (
        lambda: _kernels.relu(X, out=bad),
        lambda: _kernels.matmul(np.ones((3, 3), np.float32), X, out=bad),
        lambda: _kernels.gather(X, ROWS, bad),
        lambda: _kernels.sgd(bad, X, 0.1),
        lambda: _kernels.adagrad(X.copy(), bad, X, 0.1, 1e-7),
    ):
        with pytest.raises(ValueError, match="must be writable, aligned and C-contiguous"):
            call()
    np.testing.assert_array_equal(bad, before)


def test_out_receives_the_result(rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    out = np.empty_like(x)
    assert _kernels.add(x, x[0], out=out) is out
    np.testing.assert_array_equal(out, x + x[0])


def test_in_place(dtype, isa, rng):
    """Elementwise kernels and softmax may write over their input."""
    x = rng.standard_normal((5, 33)).astype(dtype)
    dropout = partial(_kernels.dropout, rate=0.5, key=1, counter=2)
    one_input = (_kernels.relu, _kernels.exp, _kernels.log, _kernels.tanh, _kernels.sigmoid)
    for kernel in (*one_input, _kernels.softmax, dropout):
        expected, y = kernel(x), x.copy()
        kernel(y, out=y)
        np.testing.assert_array_equal(y, expected)
    y = x.copy()
    _kernels.add(y, y, out=y)
    np.testing.assert_array_equal(y, x + x)
    labels = np.array([0, 1, 2, 3, 32])
    expected, y = np.empty_like(x), x.copy()
    _kernels.softmax_cross_entropy(x, labels, expected)
    _kernels.softmax_cross_entropy(y, labels, y)
    np.testing.assert_array_equal(y, expected)


MEMORY = np.ones(100, np.float32)
LABELS = np.zeros(16, np.int64)
OVERLAPS = {
    "relu": lambda: _kernels.relu(MEMORY[:50], out=MEMORY[1:51]),
    "relu_grad": lambda: _kernels.relu_grad(MEMORY[:50], MEMORY[50:], out=MEMORY[49:99]),
    "add": lambda: _kernels.add(
        MEMORY[:50].reshape(5, 10), MEMORY[60:70], out=MEMORY[40:90].reshape(5, 10)
    ),
    "add_grad": lambda: _kernels.add_grad(MEMORY.reshape(10, 10), out=MEMORY[:10]),
    "chain": lambda: _kernels.chain([("copy", 0)], [MEMORY[:50]], MEMORY[1:51]),
    "chain, a row": lambda: _kernels.chain(
        [("add", 0, 1)], [np.ones((5, 10), "f4"), MEMORY[:10]], MEMORY[:50].reshape(5, 10)
    ),
    "sum_rows": lambda: _kernels.sum_rows(MEMORY.reshape(10, 10), out=MEMORY[:10]),
    "max_rows": lambda: _kernels.max_rows(MEMORY.reshape(10, 10), out=MEMORY[90:]),
    "argmax_rows": lambda: _kernels.argmax_rows(
        LABELS.view(np.float64).reshape(4, 4), out=LABELS[:4]
    ),
    "hits": lambda: _kernels.hits(np.ones((4, 4), np.float32), MEMORY[:4], out=MEMORY[1:5]),
    "labels": lambda: _kernels.labels(LABELS, 3, LABELS),
    "matmul": lambda: _kernels.matmul(
        MEMORY[:9].reshape(3, 3), MEMORY[9:18].reshape(3, 3), out=MEMORY[:9].reshape(3, 3)
    ),
    "matmul, wide rows": lambda: _kernels.matmul(
        MEMORY.reshape(10, 10)[:, :3], np.ones((3, 1), np.float32), out=MEMORY[50:60].reshape(10, 1)
    ),
    "matmul, bias": lambda: _kernels.matmul(
        np.ones((3, 3), np.float32),
        np.ones((3, 3), np.float32),
        bias=MEMORY[:3],
        out=MEMORY[:9].reshape(3, 3),
    ),
    "matmul, mask": lambda: _kernels.matmul(
        np.ones((3, 3), np.float32),
        np.ones((3, 3), np.float32),
        mask=MEMORY[5:14].reshape(3, 3),
        out=MEMORY[:9].reshape(3, 3),
    ),
    "softmax": lambda: _kernels.softmax(MEMORY[:50], out=MEMORY[10:60]),
    "loss over dloss": lambda: _kernels.softmax_cross_entropy(
        np.ones((3, 4), np.float32), np.zeros(3, int), dloss=MEMORY[:3], out=MEMORY[:3]
    ),
    "gradient over labels": lambda: _kernels.softmax_cross_entropy(
        np.ones((4, 4)), LABELS[:4], LABELS.view(np.float64).reshape(4, 4)
    ),
    "loss over labels": lambda: _kernels.softmax_cross_entropy(
        np.ones((4, 4)), LABELS[:4], out=LABELS.view(np.float64)[:4]
    ),
    "dropout": lambda: _kernels.dropout(MEMORY[:50], 0.5, 0, 0, out=MEMORY[1:51]),
    "gather": lambda: _kernels.gather(MEMORY[:90].reshape(9, 10), ROWS, MEMORY[70:].reshape(3, 10)),
    "gather over rows": lambda: _kernels.gather(
        np.ones((1, 1)), LABELS[:4], LABELS[:4].view(np.float64).reshape(4, 1)
    ),
    "sgd": lambda: _kernels.sgd(MEMORY[:50], MEMORY[10:60], 0.1),
    "sgd, same": lambda: _kernels.sgd(MEMORY, MEMORY, 0.1),
    "adagrad": lambda: _kernels.adagrad(MEMORY[:50], MEMORY[25:75], np.ones(50, "f4"), 0.1, 1e-7),
    "adam": lambda: _kernels.adam(
        np.ones(50, "f4"), MEMORY[:50], MEMORY[:50], np.ones(50, "f4"), 0.1, 0.9, 0.99, 1e-7
    ),
}


@pytest.mark.parametrize("call", OVERLAPS.values(), ids=OVERLAPS.keys())
def test_overlap_is_refused(call):
    with pytest.raises(ValueError, match=r"overlaps .* in memory; give .* memory of its own"):
        call()
    np.testing.assert_array_equal(MEMORY, 1)


NO_MEMORY = """
import _testcapi
import numpy as np
from fastnn import _kernels

a, out = np.ones((20, 20), np.float32), np.zeros((20, 20), np.float32)
_testcapi.set_nomemory(0, 1)
try:
    _kernels.matmul(a, a, out=out)
    print("no error")
except MemoryError:
    _testcapi.remove_mem_hooks()
    print(out.any(), (_kernels.matmul(a, a, out=out) == 20).all())
"""


def test_no_memory():
    """An allocation that fails is a MemoryError with nothing changed, and the next call works."""
    pytest.importorskip("_testcapi", reason="this Python lacks _testcapi")
    # A new process has no memory of an earlier call to work in.
    result = subprocess.run(
        [sys.executable, "-c", NO_MEMORY], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["False", "True"]
