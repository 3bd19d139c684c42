"""exp, log, tanh and sigmoid of every float32 that there is, against float64."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from drawing import Array
from test_numbers import KERNELS, SLACK

from fastnn import _kernels, processors

EXACT = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
# What the kernels take at a time, and the pieces of it that stay in a cache while they are checked.
CHUNK, PIECE = 2**22, 2**16
TOP = 2.0**128  # what an infinity counts as, being next to the largest number


def worst_error(found: Array, exact: Array, nearest: Array) -> float:
    """In units in the last place, infinite where only one is NaN; `nearest` is `exact` rounded."""
    if (found == nearest).all() or (np.isnan(nearest).all() and np.isnan(found).all()):
        return 0.5
    if (np.isnan(found) != np.isnan(nearest)).any():
        return np.inf
    exponent = (exact.view(np.int64) & (0x7FF << 52)).view(np.float64)
    unit = np.maximum(exponent * 2.0**-23, 2.0**-149)
    error = np.clip(found.astype(np.float64), -TOP, TOP) - np.clip(exact, -TOP, TOP)
    return float(np.fmax.reduce(np.abs(error) / unit))


def on_every_level(name: str, x: Array) -> list[Array]:
    before, found = _kernels.isa(), []
    for level in _kernels.isas():
        _kernels.set_isa(level)
        found.append(getattr(_kernels, name)(x))
    _kernels.set_isa(before)
    return found


def chunks(times, rng):
    """All bit patterns; in the usual run one of every 4096, so that all exponents occur."""
    if times(0, 1):
        for start in range(0, 2**32, CHUNK):
            yield np.arange(start, start + CHUNK, dtype=np.uint32).view(np.float32)
    else:
        bits = np.arange(2**20, dtype=np.uint32) * 4096
        yield (bits + rng.integers(0, 4096, bits.size, np.uint32)).view(np.float32)


@pytest.mark.parametrize("name", EXACT)
def test_every_float(name, times, record, rng):
    levels, worst = _kernels.isas(), np.zeros(len(_kernels.isas()))

    def of_piece(x: Array, *found: Array) -> list[float]:
        with np.errstate(all="ignore"):
            exact = EXACT[name](x.astype(np.float64))
            nearest = exact.astype(np.float32)
            return [worst_error(y, exact, nearest) for y in found]

    with ThreadPoolExecutor(processors.available()) as threads:
        for x in chunks(times, rng):
            arrays = [y.reshape(-1, PIECE) for y in (x, *on_every_level(name, x))]
            worst = np.maximum(worst, np.max(list(threads.map(of_piece, *arrays)), axis=0))
    record(
        f"worst errors over all 2^32 float32 numbers, in ULP, on {', '.join(levels)}",
        f"{name} {', '.join(f'{error:.3f}' for error in worst)}",
    )
    for level, error in zip(levels, worst, strict=True):
        bound = KERNELS[name].unfused if level == "base" else KERNELS[name].ulps
        assert error <= bound + SLACK
