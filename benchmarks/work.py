"""What a computation costs at least: operations, and bytes to bring to the processor."""

from collections.abc import Iterable
from typing import Any, NamedTuple

# For each element of the first input: as in the formulas, a square root or a division being one,
# and for exp and log as their series in float32 take; of exp, on AVX-512, without what runs beside
# its twelve multiply-adds and products. Other kernels do one.
OPERATIONS = {
    "exp": 24,
    "log": 25,
    "tanh": 28,
    "tanh_grad": 3,
    "sigmoid": 26,
    "sigmoid_grad": 3,
    "softmax": 28,
    "softmax_grad": 4,
    "softmax_cross_entropy": 29,
    "sgd": 2,
    "momentum": 6,
    "adagrad": 7,
    "rmsprop": 9,
    "adam": 12,
}


class Work(NamedTuple):
    """Operations, and bytes of the arrays; one that is read and written is fetched only once."""

    operations: float = 0
    bytes: int = 0


def elementwise(kernel: str, *arrays: Any) -> Work:
    """The work of a kernel on inputs and outputs; arguments that are no arrays do not count."""
    first = arrays[0]
    return Work(OPERATIONS.get(kernel, 1) * first.size, size(arrays))


def product(multiply_adds: int, *arrays: Any) -> Work:
    return Work(2 * multiply_adds, size(arrays))


def size(arrays: Iterable[Any]) -> int:
    return sum(getattr(array, "nbytes", 0) for array in arrays)
