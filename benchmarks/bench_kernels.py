"""Every kernel against NumPy and PyTorch, and at a small size against pure Python."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import formulas
import numpy as np
import pytest
from numpy.typing import NDArray
from ratios import Group
from rivals import installed
from stopwatch import REPEATS, Stopwatch
from work import Work, elementwise, product

from fastnn import _kernels

Array = NDArray[Any]
Inputs = Callable[..., tuple[Any, ...]]

RIVALS = {
    **installed(numpy="numpy_kernels", torch="torch_kernels", lists="python_lists"),
    "fastnn": _kernels,
}

# What each kernel is called with for a size; r draws an array of a given shape. A name is the
# kernel's, then what tells variants apart.
MATRICES: dict[str, Inputs] = {
    "relu": lambda r, m, n: (r(m, n),),
    "relu_grad": lambda r, m, n: (r(m, n), np.maximum(r(m, n), 0)),
    "exp": lambda r, m, n: (r(m, n),),
    "log": lambda r, m, n: (np.exp(r(m, n)),),
    "tanh": lambda r, m, n: (r(m, n),),
    "tanh_grad": lambda r, m, n: (r(m, n), np.tanh(r(m, n))),
    "sigmoid": lambda r, m, n: (r(m, n),),
    "sigmoid_grad": lambda r, m, n: (r(m, n), np.abs(np.tanh(r(m, n)))),
    "add": lambda r, m, n: (r(m, n), r(m, n)),
    "add row": lambda r, m, n: (r(m, n), r(n)),
    "add_grad": lambda r, m, n: (r(m, n),),
    "softmax": lambda r, m, n: (r(m, n),),
    "softmax_grad": lambda r, m, n: (r(m, n), np.abs(r(m, n)) / n),
    "softmax_cross_entropy": lambda r, m, n: (r(m, n), np.arange(m) % n),
    "gather uint8": lambda r, m, n: (
        np.abs(50 * r(m, n)).astype(np.uint8),
        np.random.default_rng(1).permutation(m),
    ),
    "sgd": lambda r, m, n: (r(m, n), r(m, n), 0.01),
    "momentum": lambda r, m, n: (r(m, n), r(m, n), r(m, n), 0.01, 0.9),
    "momentum nesterov": lambda r, m, n: (r(m, n), r(m, n), r(m, n), 0.01, 0.9, True),
    "adagrad": lambda r, m, n: (r(m, n), np.abs(r(m, n)), r(m, n), 0.001, 1e-7),
    "rmsprop": lambda r, m, n: (r(m, n), np.abs(r(m, n)), r(m, n), 0.001, 0.9, 1e-7),
    "adam": lambda r, m, n: (
        *(r(m, n), r(m, n), np.abs(r(m, n)), r(m, n)),
        *(0.001, 0.9, 0.999, 1e-7),
    ),
}
PRODUCTS: dict[str, Inputs] = {
    "matmul": lambda r, m, k, n: (r(m, k), r(k, n)),
    "matmul a.T": lambda r, m, k, n: (r(k, m), r(k, n), True),
    "matmul b.T": lambda r, m, k, n: (r(m, k), r(n, k), False, True),
    "matmul bias": lambda r, m, k, n: (r(m, k), r(k, n), False, False, r(n)),
    "matmul bias relu": lambda r, m, k, n: (r(m, k), r(k, n), False, False, r(n), True),
}
INPUTS = PRODUCTS | MATRICES

# The outputs in the order of the reference's results; other kernels change their first inputs.
UPDATES = {"sgd", "momentum", "adagrad", "rmsprop", "adam"}
OUTPUTS = dict.fromkeys(UPDATES, ()) | {"softmax_cross_entropy": ("dlogits", "out")}

SMALL = ((20, 100), (32, 32, 32))
# m, k, n of the layers of an MNIST network; bench_products.py has products alone.
PRODUCT_SHAPES = {"matmul bias": ((128, 512, 10),), "matmul bias relu": ((128, 784, 512),)}
MATRIX_SHAPES = ((20, 100), (256, 256), (1000, 1000))
CLASSES = (128, 10)


def shapes(op: str) -> tuple[tuple[int, ...], ...]:
    if op in PRODUCTS:
        return ((32, 32, 32), *PRODUCT_SHAPES.get(op, ()))
    return (CLASSES, *MATRIX_SHAPES) if op.startswith("softmax") else MATRIX_SHAPES


class Case(NamedTuple):
    """What is computed."""

    op: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def kernel(self) -> str:
        return self.op.split()[0]

    @property
    def group(self) -> Group:
        return Group(self.op, "x".join(map(str, self.shape)), self.dtype)

    def work(self, *arrays: Any) -> Work:
        if self.op in PRODUCTS:
            return product(math.prod(self.shape), *arrays)
        return elementwise(self.kernel, *arrays)


def cases() -> list[Case]:
    dtypes = ("float32", "float64")
    return [Case(op, shape, dtype) for op in INPUTS for shape in shapes(op) for dtype in dtypes]


def entries() -> list[Any]:
    """Rivals take turns at a case, and all cases come round several times."""
    return [
        pytest.param(case, rival, id="-".join((*case.group, rival, str(repeat))))
        for repeat in range(REPEATS)
        for case in cases()
        for rival in RIVALS
        if rival != "lists" or case.shape in SMALL
    ]


@pytest.mark.parametrize(("case", "rival"), entries())
def test_kernel(case: Case, rival: str, stopwatch: Stopwatch) -> None:
    """Every kernel."""
    inputs = INPUTS[case.op](drawing(case.dtype), *case.shape)
    expected = getattr(formulas, case.kernel)(*map(formulas.in_double, inputs))
    names = OUTPUTS.get(case.kernel, ("out",))
    outputs = {
        name: np.empty(result.shape, case.dtype)
        for name, result in zip(names, expected, strict=False)
    }
    work = case.work(*inputs, *outputs.values())
    if hasattr(RIVALS[rival], "converted"):
        inputs = tuple(map(RIVALS[rival].converted, inputs))
        outputs = {name: RIVALS[rival].converted(out) for name, out in outputs.items()}
    call = partial(getattr(RIVALS[rival], case.kernel), *inputs, **outputs)
    call()
    formulas.check(outputs.values() or inputs, expected, case.dtype, max(case.shape))
    stopwatch.time(case.group, rival, call, work=work)


def drawing(dtype: str) -> Callable[..., Array]:
    random = np.random.default_rng(0)
    return lambda *shape: random.standard_normal(shape).astype(dtype)
