"""Every kernel against NumPy, and at a small size against pure Python."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import formulas
import numpy as np
import pytest
from numpy.typing import NDArray
from ratios import Group
from rivals import numpy_kernels, python_lists
from stopwatch import REPEATS, Stopwatch

from fastnn import _kernels

Array = NDArray[Any]
Inputs = Callable[..., tuple[Any, ...]]

RIVALS = {"numpy": numpy_kernels, "fastnn": _kernels, "lists": python_lists}

# What each kernel is called with for a size; r draws an array of a given shape. A name is the
# kernel's, then what tells variants apart.
MATRICES: dict[str, Inputs] = {
    "relu": lambda r, m, n: (r(m, n),),
    "relu_grad": lambda r, m, n: (r(m, n), np.maximum(r(m, n), 0)),
    "exp": lambda r, m, n: (r(m, n),),
    "log": lambda r, m, n: (np.exp(r(m, n)),),
    "add": lambda r, m, n: (r(m, n), r(m, n)),
    "add row": lambda r, m, n: (r(m, n), r(n)),
    "add_grad": lambda r, m, n: (r(m, n),),
    "softmax": lambda r, m, n: (r(m, n),),
    "softmax_grad": lambda r, m, n: (r(m, n), np.abs(r(m, n)) / n),
    "softmax_cross_entropy": lambda r, m, n: (r(m, n), np.arange(m) % n),
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
SQUARES = tuple((n, n, n) for n in (256, 512, 1024))
# m, k, n of each product in an MNIST network of 784, 512 and 10 units: forward, then the gradients.
PRODUCT_SHAPES = {
    "matmul": SQUARES,
    "matmul a.T": ((784, 128, 512), (512, 128, 10)),
    "matmul b.T": ((128, 512, 784), (128, 10, 512)),
    "matmul bias": ((128, 512, 10),),
    "matmul bias relu": ((128, 784, 512),),
}
MATRIX_SHAPES = ((20, 100), (256, 256), (1000, 1000))
CLASSES = (128, 10)


def shapes(op: str) -> tuple[tuple[int, ...], ...]:
    if op in PRODUCTS:
        return ((32, 32, 32), *PRODUCT_SHAPES[op])
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

    @property
    def flop(self) -> float:
        return 2.0 * math.prod(self.shape) if self.op in PRODUCTS else 0.0


def cases() -> list[Case]:
    dtypes = ("float32", "float64")
    return [Case(op, shape, dtype) for op in INPUTS for shape in shapes(op) for dtype in dtypes]


def entries() -> list[Any]:
    """Rivals take turns at a case, and all cases come round several times."""
    return [
        pytest.param(case, rival, id="-".join((*case.group, rival, str(repeat))))
        for repeat in range(REPEATS)
        for case in cases()
        for rival in (RIVALS if case.shape in SMALL else ("numpy", "fastnn"))
    ]


@pytest.mark.parametrize(("case", "rival"), entries())
def test_kernel(case: Case, rival: str, stopwatch: Stopwatch) -> None:
    inputs = INPUTS[case.op](drawing(case.dtype), *case.shape)
    expected = getattr(formulas, case.kernel)(*map(in_double, inputs))
    names = OUTPUTS.get(case.kernel, ("out",))
    outputs = {
        name: np.empty(result.shape, case.dtype)
        for name, result in zip(names, expected, strict=False)
    }
    if rival == "lists":
        inputs = tuple(map(as_list, inputs))
        outputs = {name: as_list(out) for name, out in outputs.items()}
    call = partial(getattr(RIVALS[rival], case.kernel), *inputs, **outputs)
    call()
    check(list(outputs.values()) or inputs, expected, case)
    stopwatch.time(case.group, rival, call, flop=case.flop)


def drawing(dtype: str) -> Callable[..., Array]:
    random = np.random.default_rng(0)
    return lambda *shape: random.standard_normal(shape).astype(dtype)


def in_double(x: Any) -> Any:
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def as_list(x: Any) -> Any:
    return x.tolist() if isinstance(x, np.ndarray) else x


def check(results: Any, expected: formulas.Results, case: Case) -> None:
    """Rounding errors of sums grow with the square root of the number of terms."""
    tolerance = 2 * float(np.finfo(case.dtype).eps) * math.sqrt(max(case.shape))
    for result, wanted in zip(results, expected, strict=False):
        np.testing.assert_allclose(
            result, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max()
        )
