"""Matrix products: those of a network for MNIST, squares, and a grid of shapes."""

from functools import partial
from itertools import cycle, pairwise
from typing import Any, NamedTuple

import digits
import numpy as np
import pytest
from formulas import check, in_double, matmul
from ratios import Group
from rivals import installed
from stopwatch import REPEATS, Stopwatch
from work import product

from fastnn import _kernels

RIVALS = {**installed(numpy="numpy_kernels", torch="torch_kernels"), "fastnn": _kernels}

PLAIN, LEFT, RIGHT = "matmul", "matmul a.T", "matmul b.T"


class Product(NamedTuple):
    """An operation and its sizes: c (m, n) is the sum of k terms."""

    op: str
    m: int
    k: int
    n: int

    def group(self, dtype: str) -> Group:
        return Group(self.op, f"{self.m}x{self.k}x{self.n}", dtype)


def of_layers(batch: int, *widths: int) -> list[Product]:
    """The products of each dense layer: forward, weights' gradient, input's gradient."""
    return [
        made
        for inputs, outputs in pairwise(widths)
        for made in (
            Product(PLAIN, batch, inputs, outputs),
            Product(LEFT, inputs, batch, outputs),
            Product(RIGHT, batch, outputs, inputs),
        )
    ]


INPUTS, UNITS, BATCH = 784, 512, 128
NETWORK = [made for batch in (32, BATCH) for made in of_layers(batch, INPUTS, UNITS, 10)]
SQUARES = [Product(PLAIN, n, n, n) for n in (128, 256, 384, 512, 768, 1024)]

# Batches and widths of layers, up to a size that takes some 40 ms.
BATCHES, WIDTHS = (1, 4, 16, 64, 256, 1024, 4096), (1, 3, 10, 50, 128, 300, 512, 1000, 4096)
LARGEST = 2e9


def grid() -> list[Product]:
    """Each batch with inputs and outputs that go through the widths at different paces."""
    made = []
    for at, batch in enumerate(BATCHES):
        for step in range(4):
            inputs = WIDTHS[(2 * at + 5 * step) % len(WIDTHS)]
            outputs = WIDTHS[(at + 2 * step + 3) % len(WIDTHS)]
            if batch * inputs * outputs <= LARGEST:
                made += of_layers(batch, inputs, outputs)
    return made


def entries(products: list[Product], dtypes: tuple[str, ...]) -> list[Any]:
    """Rivals take turns at a product, and all products come round several times."""
    return [
        pytest.param(
            repeat, made, dtype, rival, id="-".join((*made.group(dtype), rival, str(repeat)))
        )
        for repeat in range(REPEATS)
        for made in products
        for dtype in dtypes
        for rival in RIVALS
    ]


@pytest.mark.parametrize(
    ("repeat", "made", "dtype", "rival"), entries(NETWORK + SQUARES, ("float32", "float64"))
)
def test_network(repeat: int, made: Product, dtype: str, rival: str, stopwatch: Stopwatch) -> None:
    """Products of a network of 784, 512 and 10 units (forward, gradients), and squares."""
    run(made, dtype, rival, stopwatch, checked=repeat == 0)


@pytest.mark.parametrize("rival", ["fastnn", "dense", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", [PLAIN, LEFT])
@pytest.mark.parametrize("repeat", range(REPEATS))
def test_network_zeros(repeat: int, op: str, dtype: str, rival: str, stopwatch: Stopwatch) -> None:
    """The first layer's products on batches of MNIST, fastnn skipping zeros."""
    data, random = digits.load(), np.random.default_rng(0)
    # Several batches, which take turns: the lengths of rows are not to be foreseen.
    images = data.x_train[: 8 * BATCH].astype(dtype)
    rows = _kernels.compress(images) if rival == "fastnn" else images
    made = Product(op, INPUTS, BATCH, UNITS) if op == LEFT else Product(op, BATCH, INPUTS, UNITS)
    b = random.random((made.k, made.n), dtype) - np.asarray(0.5, dtype)
    out = np.empty((made.m, made.n), dtype)
    kernels = _kernels if rival == "dense" else RIVALS[rival]
    calls = [
        partial(kernels.matmul, rows[start : start + BATCH], b, op == LEFT, out=out)
        for start in range(0, len(images), BATCH)
    ]
    calls[0]()
    expected = matmul(in_double(images[:BATCH]), in_double(b), op == LEFT)
    check((out,), expected, dtype, longest=max(made[1:]))
    multiply_adds = round(digits.density() * made.m * made.k * made.n)
    group = made.group(dtype)._replace(op=f"{data.name} {op}")
    turns = (call() for call in cycle(calls))
    stopwatch.time(group, rival, turns.__next__, work=product(multiply_adds, b, out))


@pytest.mark.parametrize(("repeat", "made", "dtype", "rival"), entries(grid(), ("float32",)))
def test_grid(repeat: int, made: Product, dtype: str, rival: str, stopwatch: Stopwatch) -> None:
    """A grid of products."""
    run(made, dtype, rival, stopwatch, checked=repeat == 0)


def run(made: Product, dtype: str, rival: str, stopwatch: Stopwatch, checked: bool) -> None:
    random = np.random.default_rng(0)
    op, m, k, n = made
    shapes = (k, m) if op == LEFT else (m, k), (n, k) if op == RIGHT else (k, n)
    a, b = (random.random(shape, dtype) - np.asarray(0.5, dtype) for shape in shapes)
    out = np.empty((m, n), dtype)
    work = product(m * k * n, a, b, out)
    convert = getattr(RIVALS[rival], "converted", np.asarray)
    arguments = (convert(a), convert(b), op == LEFT, op == RIGHT)
    call = partial(RIVALS[rival].matmul, *arguments, out=convert(out))
    call()
    if checked:
        expected = matmul(in_double(a), in_double(b), op == LEFT, op == RIGHT)
        check((out,), expected, dtype, longest=max(m, k, n))
    stopwatch.time(made.group(dtype), rival, call, work=work)
