"""Every kernel on random arguments against arithmetic of more digits: float64 for float32, and long
double for float64.

A case is a result that depends on no other: an element or, of kernels of rows, a row. An error is
in units in the last place of a result's `size`: of the result itself or, where terms cancel or the
errors of many add up, of what the kernel's bound is relative to. So a product of inner length k,
whose size is sqrt(k) sum(|a| |b|), is held to 4 of them. No unit is below the smallest number.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
from drawing import WIDE, Array, Draw
from test_kernels import order_of, words_of
from test_threads import KERNELS as ALL

from fastnn import _kernels

# What the arithmetic of more digits rounds itself.
SLACK = 1e-3
STORED = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
# Of a chain, those that NumPy rounds to the same bits.
CHAINED = [name for name in _kernels.CHAIN_OPS if hasattr(np, name) and name not in ALL]
CHAINED += ["add"]


class Result(NamedTuple):
    """What a kernel gave, and what is exact."""

    found: Array
    exact: Array
    size: Array | None = None  # that of `exact` where not given


class Kernel(NamedTuple):
    run: Callable[[Draw], Iterator[Result]]
    ulps: float
    of_rows: bool
    unfused: float  # the bound on the base level


KERNELS: dict[str, Kernel] = {}
Run = Callable[[Draw], Iterator[Result]]


def kernel(ulps: float, of_rows: bool = False, unfused: float = 0) -> Callable[[Run], Run]:
    """Enters a function that draws arguments of the kernel of its name and yields results."""

    def enter(run: Run) -> Run:
        KERNELS[run.__name__] = Kernel(run, ulps, of_rows, unfused or ulps)
        return run

    return enter


def wide(x: Array) -> Array:
    return x.astype(WIDE[x.dtype.type])


def worst_error(result: Result, dtype: type[np.floating]) -> float:
    """The largest error in units in the last place, infinite where NaN or shapes differ.

    So it is where a zero has another sign, unless a size is given: then either sign is right.
    """
    found, exact = result.found.astype(WIDE[dtype]), np.asarray(result.exact, WIDE[dtype])
    if found.shape != exact.shape or (np.isnan(found) != np.isnan(exact)).any():
        return np.inf
    zero = (exact == 0) & (result.size is None)
    if (np.signbit(found) != np.signbit(exact))[zero & (found == 0)].any():
        return np.inf
    info = np.finfo(dtype)
    top = WIDE[dtype](2.0) ** info.maxexp
    size = np.abs(exact) if result.size is None else np.where(np.isnan(exact), 0, result.size)
    unit = np.spacing(np.minimum(size, info.max).astype(dtype)).astype(WIDE[dtype])
    error = np.abs(np.clip(found, -top, top) - np.clip(exact, -top, top)) / unit
    return float(np.fmax.reduce(error, axis=None, initial=0))


def unary(name: str, draw: Draw, exact: Callable[[Array], Array]) -> Iterator[Result]:
    x = draw.numbers(draw.shape())
    yield Result(getattr(_kernels, name)(draw.laid(x), draw.out(x.shape)), exact(wide(x)))


@kernel(ulps=0)
def relu(draw):
    yield from unary("relu", draw, lambda x: np.where(x < 0, 0, x))


@kernel(ulps=1, unfused=2)
def exp(draw):
    yield from unary("exp", draw, np.exp)


@kernel(ulps=1)
def log(draw):
    yield from unary("log", draw, np.log)


@kernel(ulps=3)
def tanh(draw):
    yield from unary("tanh", draw, np.tanh)


@kernel(ulps=3)
def sigmoid(draw):
    yield from unary("sigmoid", draw, lambda x: 1 / (1 + np.exp(-x)))


@kernel(ulps=0)
def relu_grad(draw):
    y = draw.numbers(draw.shape())
    dy = draw.numbers(y.shape)
    found = _kernels.relu_grad(draw.laid(dy), draw.laid(y), draw.out(y.shape))
    yield Result(found, np.where(y > 0, dy, 0))


@kernel(ulps=2)
def tanh_grad(draw):
    y = np.clip(draw.numbers(draw.shape()), -1, 1)
    dy = draw.numbers(y.shape)
    found = _kernels.tanh_grad(draw.laid(dy), draw.laid(y), draw.out(y.shape))
    square = wide(y) ** 2
    yield Result(found, wide(dy) * (1 - square), np.abs(wide(dy)) * (1 + square))


@kernel(ulps=3)
def sigmoid_grad(draw):
    y = np.clip(np.abs(draw.numbers(draw.shape())), 0, 1)
    dy = draw.numbers(y.shape)
    found = _kernels.sigmoid_grad(draw.laid(dy), draw.laid(y), draw.out(y.shape))
    yield Result(found, wide(dy) * (wide(y) * (1 - wide(y))))


@kernel(ulps=0.5)
def add(draw):
    x = draw.numbers(draw.shape())
    b = draw.numbers(x.shape[draw.rng.integers(x.ndim + 1) :])
    yield Result(_kernels.add(draw.laid(x), draw.laid(b), draw.out(x.shape)), wide(x) + wide(b))


@kernel(ulps=0.5)
def dropout(draw):
    x = draw.numbers(draw.shape(2000))
    rate, (key, counter) = draw.rng.random(), draw.rng.integers(0, 2**63, 2).tolist()
    kept = words_of(x.size, key, counter).reshape(x.shape) >= int(rate * 2**32)
    found = _kernels.dropout(draw.laid(x), rate, key, counter, draw.out(x.shape))
    yield Result(found, np.where(kept, wide(x) * draw.dtype(1 / (1 - rate)), 0))


@kernel(ulps=0)
def random_order(draw):
    n, key = int(draw.rng.integers(3000)), int(draw.rng.integers(2**63))
    yield Result(_kernels.random_order(n, key), np.array(order_of(n, key), np.int64))


@kernel(ulps=0)
def chain(draw):
    """Any steps over a matrix and rows, columns and numbers, against those of NumPy one by one."""
    shape = draw.matrix(200)
    repeated = draw.rng.random((draw.rng.integers(1, _kernels.CHAIN_INPUTS + 1), 2)) < 0.3
    repeated[0] = False
    inputs = [draw.numbers(tuple(np.where(axes, 1, shape).tolist())) for axes in repeated]
    values, steps = list(inputs), []
    for _ in range(draw.rng.integers(1, _kernels.CHAIN_STEPS + 1)):
        name = CHAINED[draw.rng.integers(len(CHAINED))]
        operands = draw.rng.integers(len(values), size=_kernels.CHAIN_OPS[name]).tolist()
        steps.append((name, *operands))
        values.append(getattr(np, name)(*[values[i] for i in operands]).astype(draw.dtype))
    expected = np.broadcast_to(values[-1], shape)
    found = _kernels.chain(steps, [draw.dense(x) for x in inputs], np.empty(shape, draw.dtype))
    yield Result(found, expected)


@kernel(ulps=2)
def gather(draw):
    m, n = 1 + draw.length(30), draw.length(3000)
    kind = STORED[draw.rng.integers(len(STORED))]
    x = draw.rng.integers(0, 256, (m, n * np.dtype(kind).itemsize), np.uint8).view(kind)
    if kind == "?":
        x = x.view(np.uint8) % 2 == 1
    rows = draw.rng.integers(0, m, draw.length(30))
    scale = draw.rng.choice([1.0, 1 / 255, 0.5])
    out = draw.dense(np.empty((len(rows), n), draw.dtype))
    exact = x[rows].astype(np.longdouble)
    if kind[0] == "f":
        exact = x[rows].astype(draw.dtype).astype(np.longdouble)
    found = _kernels.gather(draw.dense(x), rows, out, scale)
    yield Result(found, exact * draw.dtype(scale))


@kernel(ulps=0, of_rows=True)
def pick(draw):
    x = draw.numbers((1 + draw.length(30), draw.length(300)))
    rows = draw.rng.integers(0, len(x), draw.length(30))
    out = draw.dense(np.empty((len(rows), x.shape[1]), draw.dtype))
    _kernels.pick(draw.dense(x), rows, out)
    yield Result(out, x[rows])


def summands(draw: Draw, shape: tuple[int, ...], terms: int) -> Array:
    """Numbers of which so many, and a few times themselves, add up without overflow."""
    return draw.numbers(shape, draw.info.maxexp - 4 - np.log2(1 + terms))


def sum_of(x: Array, axis: int) -> tuple[Array, Array]:
    """Exact sums, and the sums of magnitudes times the root of their number."""
    return wide(x).sum(axis), np.sqrt(x.shape[axis]) * np.abs(wide(x)).sum(axis)


@kernel(ulps=2, of_rows=True)
def sum_rows(draw):
    m, n = draw.matrix(5000)
    x = summands(draw, (m, n), n)
    yield Result(_kernels.sum_rows(draw.laid(x), draw.out((m,))), *sum_of(x, 1))


@kernel(ulps=2, of_rows=True)
def add_grad(draw):
    n, m = draw.matrix(1000)
    x = summands(draw, (m, n), m)
    yield Result(_kernels.add_grad(draw.laid(x), draw.out((n,))), *sum_of(x, 0))


@kernel(ulps=0, of_rows=True)
def max_rows(draw):
    x = draw.numbers(draw.matrix(2000, 1))
    exact = x.max(1)
    yield Result(_kernels.max_rows(draw.laid(x), draw.out(x.shape[:1])), exact, abs(exact))


@kernel(ulps=0, of_rows=True)
def min_rows(draw):
    x = draw.numbers(draw.matrix(2000, 1))
    exact = x.min(1)
    yield Result(_kernels.min_rows(draw.laid(x), draw.out(x.shape[:1])), exact, abs(exact))


def often_equal(draw: Draw) -> Array:
    x = draw.numbers(draw.matrix(2000, 1))
    return x if draw.rng.random() < 0.5 else np.rint(x)


@kernel(ulps=0, of_rows=True)
def argmax_rows(draw):
    x = often_equal(draw)
    yield Result(_kernels.argmax_rows(draw.laid(x)), x.argmax(1))


@kernel(ulps=0, of_rows=True)
def hits(draw):
    x = often_equal(draw)
    places = x.argmax(1)
    labels = np.where(draw.rng.random(len(x)) < 0.5, places, 0)
    found = _kernels.hits(draw.laid(x), draw.laid(labels.astype(draw.dtype)), draw.out((len(x),)))
    yield Result(found, places == labels)


@kernel(ulps=0)
def labels(draw):
    kind = STORED[draw.rng.integers(len(STORED))]
    x = draw.rng.integers(0, 2 if kind == "?" else 128, draw.shape(500)).astype(kind)
    found = _kernels.labels(draw.dense(x), 128, np.empty(x.shape, np.int64))
    yield Result(found, x.astype(int))


class Powers(NamedTuple):
    """exp(x - max) of rows, their sums, and by how much a share may be off, in units of itself."""

    shares: Array
    log_sums: Array
    below: Array
    off: Array


def powers(x: Array) -> Powers:
    """x - max is rounded, by half a unit of its own size, before exp makes a factor of it."""
    below = wide(x) - wide(x).max(1, keepdims=True)
    e = np.exp(below)
    sums = e.sum(1, keepdims=True)
    shares = e / sums
    distance = np.minimum(-below, 2000)
    off = 1 + np.sqrt(x.shape[1]) + distance + (shares * distance).sum(1, keepdims=True)
    return Powers(shares, np.log(sums[:, 0]), below, off)


@kernel(ulps=2, of_rows=True)
def softmax(draw):
    x = draw.numbers(draw.matrix(2000, 1))
    exact = powers(x)
    found = _kernels.softmax(draw.laid(x), draw.out(x.shape))
    yield Result(found, exact.shares, exact.shares * exact.off)


@kernel(ulps=2, of_rows=True)
def softmax_cross_entropy(draw):
    x = draw.numbers(draw.matrix(2000, 1))
    m, n = x.shape
    label, dloss = draw.rng.integers(0, n, m), draw.numbers((m,), draw.info.maxexp - 4)
    # Infinity times a share so small that it vanishes is NaN, but infinity with more digits.
    dloss[np.isinf(dloss)] = 1
    dlogits = draw.dense(np.empty_like(x))
    loss = _kernels.softmax_cross_entropy(draw.laid(x), label, dlogits, draw.laid(dloss))
    exact = powers(x)
    rows, scale, chosen = np.arange(m), wide(dloss)[:, None], np.eye(n)[label]
    # A share is off by the smallest number at least, before it is scaled.
    off = exact.shares * exact.off + chosen + draw.info.tiny
    yield Result(dlogits, scale * (exact.shares - chosen), abs(scale) * off)
    at_label = exact.below[rows, label]
    size = exact.log_sums + abs(at_label) + exact.off[rows, exact.shares.argmax(1)]
    yield Result(loss, exact.log_sums - at_label, size)


@kernel(ulps=3, of_rows=True)
def softmax_grad(draw):
    m, n = draw.matrix(2000, 1)
    y = np.asarray(powers(draw.rng.standard_normal((m, n)) * 5).shares, draw.dtype)
    dy = summands(draw, (m, n), 1)
    found = _kernels.softmax_grad(draw.laid(dy), draw.laid(y), draw.out((m, n)))
    y, dy = wide(y), wide(dy)
    exact = y * (dy - (dy * y).sum(1, keepdims=True))
    terms = abs(dy) + np.sqrt(n) * (abs(dy) * y).sum(1, keepdims=True)
    yield Result(found, exact, y * terms)


def product(draw: Draw, compressed: bool) -> Iterator[Result]:
    """With any of the options that a product has."""
    flags = draw.rng.random(6) < 0.4
    transpose_a, transpose_b, biased, relu, masked, accumulate = flags.tolist()
    few = draw.rng.random() < 0.05
    k = int(draw.rng.integers(20_000)) if few else draw.length(900)
    m, n = (draw.length(3), draw.length(3)) if few else (draw.length(70), draw.length(130))
    exponent = (draw.info.maxexp - np.log2(1 + k)) / 2 - 4
    a, b = (draw.numbers(shape, exponent) for shape in ((m, k), (k, n)))
    if compressed:
        a = np.where(draw.rng.random(a.shape) < draw.rng.choice([0.05, 0.3, 1]), a, 0)
    alpha = float(draw.dtype(draw.rng.choice([1.0, -0.1, 2.5])))
    exact, size = alpha * (wide(a) @ wide(b)), abs(alpha) * (abs(wide(a)) @ abs(wide(b)))
    options = {"transpose_a": transpose_a, "transpose_b": transpose_b, "alpha": alpha}
    if accumulate:
        options["accumulate"], options["out"] = True, draw.dense(draw.numbers((m, n), exponent))
        exact, size = exact + wide(options["out"]), size + abs(wide(options["out"]))
    elif biased:
        bias = draw.numbers((n,), exponent)
        options["bias"] = draw.laid(bias)
        exact, size = exact + wide(bias), size + abs(wide(bias))
    if relu and not accumulate:
        options["relu"], exact = True, np.where(exact < 0, 0, exact)
    if masked and not accumulate:
        mask = draw.numbers((m, n))
        options["mask"], exact = draw.laid(mask), np.where(mask > 0, exact, 0)
    left, right = (a.T if transpose_a else a), (b.T if transpose_b else b)
    left = _kernels.compress(draw.laid(left)) if compressed else draw.laid(left.copy())
    found = _kernels.matmul(left, draw.laid(right.copy()), **options)
    # Where numbers are as small as can be, each of k sums is off by a unit of these.
    yield Result(found, exact, np.sqrt(max(k, 1)) * size + k * WIDE[draw.dtype](draw.info.tiny))


@kernel(ulps=4, of_rows=True)
def matmul(draw):
    yield from product(draw, compressed=False)


@kernel(ulps=4, of_rows=True)
def matmul_of_compressed_rows(draw):
    yield from product(draw, compressed=True)


def with_zeros(draw: Draw) -> Array:
    x = draw.numbers(draw.matrix(900))
    return np.where(draw.rng.random(x.shape) < 0.3, x, 0)


@kernel(ulps=0, of_rows=True)
def compress(draw):
    x = with_zeros(draw)
    yield Result(_kernels.compress(draw.laid(x)).dense(), x, abs(x))


@kernel(ulps=0, of_rows=True)
def fill_rows(draw):
    x = with_zeros(draw)
    rows = _kernels.empty_rows(*x.shape, x.dtype)
    for _ in range(2):
        _kernels.fill_rows(draw.laid(x), rows)
    yield Result(rows.dense(), x, abs(x))


@kernel(ulps=0, of_rows=True)
def pick_rows(draw):
    x = with_zeros(draw)
    rows = draw.rng.integers(0, len(x), draw.length(30)) if len(x) else np.empty(0, np.int64)
    whole = _kernels.compress(x)
    out = whole.buffer(len(rows))
    _kernels.pick_rows(whole, rows, out)
    yield Result(out.dense(), x[rows], abs(x[rows]))


class Update(NamedTuple):
    """What an update changes, its gradient, and its numbers."""

    w: Array
    g: Array
    slots: tuple[Array, Array]
    rate: float
    decay: tuple[float, float]
    epsilon: float


def update(draw: Draw) -> Update:
    """Gradients whose squares do not overflow; the first slot of any sign, the second of none."""
    shape, exponent = draw.shape(2000), draw.info.maxexp // 2 - 4
    w, g, first, second = (draw.numbers(shape, exponent) for _ in range(4))
    decay = draw.rng.choice([0.0, 0.5, 0.9]), draw.rng.choice([0.5, 0.9, 0.999])
    rate, epsilon = 10 ** draw.rng.uniform(-5, 0), 10 ** draw.rng.uniform(-8, -1)
    return Update(w, g, (first, np.abs(second)), rate, decay, epsilon)


def rounded(draw: Draw, *numbers: float) -> list[np.floating]:
    """The numbers as a kernel has them, which are those of its dtype."""
    return [WIDE[draw.dtype](draw.dtype(x)) for x in numbers]


def step_of(w: Array, u: Update, step: Array, size: Array, divisor: Array) -> Result:
    """Of a step that is divided, which may be as small as numbers can be before."""
    smallest = np.finfo(w.dtype).tiny
    return Result(w, wide(u.w) - step / divisor, abs(wide(u.w)) + (size + smallest) / divisor)


@kernel(ulps=2)
def sgd(draw):
    u = update(draw)
    w = draw.dense(u.w)
    _kernels.sgd(w, draw.laid(u.g), u.rate)
    step = rounded(draw, u.rate)[0] * wide(u.g)
    yield Result(w, wide(u.w) - step, abs(wide(u.w)) + abs(step))


@kernel(ulps=4)
def momentum(draw):
    u, nesterov = update(draw), draw.rng.random() < 0.5
    w, velocity = draw.dense(u.w), draw.dense(u.slots[0])
    _kernels.momentum(w, velocity, draw.laid(u.g), u.rate, u.decay[0], nesterov)
    rate, decay = rounded(draw, u.rate, u.decay[0])
    step, kept = rate * wide(u.g), decay * wide(u.slots[0])
    yield Result(velocity, kept - step, abs(kept) + abs(step))
    moved = decay * (kept - step) - step if nesterov else kept - step
    yield Result(w, wide(u.w) + moved, abs(wide(u.w)) + abs(kept) + 2 * abs(step))


@kernel(ulps=4)
def adagrad(draw):
    u = update(draw)
    w, accumulator = draw.dense(u.w), draw.dense(u.slots[1])
    _kernels.adagrad(w, accumulator, draw.laid(u.g), u.rate, u.epsilon)
    rate, epsilon = rounded(draw, u.rate, u.epsilon)
    squares = wide(u.slots[1]) + wide(u.g) ** 2
    yield Result(accumulator, squares)
    divisor = np.sqrt(squares + epsilon)
    yield step_of(w, u, rate * wide(u.g), abs(rate * wide(u.g)), divisor)


@kernel(ulps=6)
def rmsprop(draw):
    u = update(draw)
    w, velocity = draw.dense(u.w), draw.dense(u.slots[1])
    _kernels.rmsprop(w, velocity, draw.laid(u.g), u.rate, u.decay[0], u.epsilon)
    rate, rho, rest, epsilon = rounded(draw, u.rate, u.decay[0], 1 - u.decay[0], u.epsilon)
    squares = rho * wide(u.slots[1]) + rest * wide(u.g) ** 2
    yield Result(velocity, squares)
    divisor = np.sqrt(squares + epsilon)
    yield step_of(w, u, rate * wide(u.g), abs(rate * wide(u.g)), divisor)


@kernel(ulps=6)
def adam(draw):
    u = update(draw)
    w, (m, v) = draw.dense(u.w), map(draw.dense, u.slots)
    _kernels.adam(w, m, v, draw.laid(u.g), u.rate, *u.decay, u.epsilon)
    g, (m_before, v_before) = wide(u.g), map(wide, u.slots)
    rest_1, rest_2 = rounded(draw, 1 - u.decay[0], 1 - u.decay[1])
    rate, epsilon = rounded(draw, u.rate, u.epsilon)
    mean, square = m_before + (g - m_before) * rest_1, v_before + (g * g - v_before) * rest_2
    size = abs(m_before) + (abs(g) + abs(m_before)) * rest_1
    yield Result(m, mean, size)
    yield Result(v, square, v_before + (g * g + v_before) * rest_2)
    yield step_of(w, u, rate * mean, rate * size, np.sqrt(square) + epsilon)


def test_every_kernel_is_here():
    assert KERNELS.keys() - {"matmul_of_compressed_rows"} == ALL.keys()


WORST: dict[str, float] = defaultdict(float)


@pytest.fixture(scope="module", autouse=True)
def _worst_errors(record):
    yield
    record(
        "their worst errors, in ULP of the result or, where terms add up, of their sizes",
        ", ".join(f"{name} {WORST[name]:.2f}" for name in KERNELS if WORST[name]),
    )


@pytest.mark.parametrize("name", KERNELS)
def test_random_cases(name, dtype, isa, times, record, rng):
    kernel, draw = KERNELS[name], Draw(rng, dtype)
    bound = kernel.unfused if isa == "base" else kernel.ulps
    cases, least = 0, times(500, 50_000 if kernel.of_rows else 150_000)
    with np.errstate(all="ignore"):
        while cases < least:
            for number, result in enumerate(kernel.run(draw)):
                error = worst_error(result, dtype)
                assert error <= bound + SLACK
                WORST[name] = max(WORST[name], error)
                if number == 0 and result.found.size:
                    cases += len(result.found) if kernel.of_rows else result.found.size
    record("random cases of all kernels against arithmetic of more digits", cases)
