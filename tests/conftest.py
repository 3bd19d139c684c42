"""Fixtures: a seeded generator, and every instruction set that this machine has."""

import atexit
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import _kernels

STRESS = Path(__file__).with_name("stress")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("fastnn").addoption(
        "--stress", action="store_true", help="only tests/stress, in its long form: half an hour"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("stress"):
        items[:] = [item for item in items if item.path.is_relative_to(STRESS)]


def pytest_configure() -> None:
    """Under the leak sanitizer, memory that nothing points to ends the process with an error.

    It looks when no Python runs any more, whose local variables it cannot see, but before Python is
    taken down, which leaves some memory behind.
    """
    find_leaks = getattr(ctypes.CDLL(None), "__lsan_do_leak_check", None)
    if find_leaks is not None:
        atexit.register(find_leaks)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture(autouse=True)
def _seed() -> None:
    fastnn.utils.set_random_seed(20)


@pytest.fixture(params=[_kernels.isa()] if os.environ.get("FASTNN_ISA") else _kernels.isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs once on each instruction set, or on the one that the environment forces."""
    before = _kernels.isa()
    _kernels.set_isa(request.param)
    yield request.param
    _kernels.set_isa(before)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> type[np.floating]:
    return request.param
