"""`pytest --benchmark` runs the benchmarks instead of the tests and ends on a table of ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from ratios import Timing, table
from stopwatch import Stopwatch

HERE = Path(__file__).parent
TIMINGS = pytest.StashKey[list[Timing]]()


class Selection:
    """Hides the tests from a run of the benchmarks, and the benchmarks from a run of the tests."""

    def __init__(self, benchmarks: bool) -> None:
        self.benchmarks = benchmarks

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path) -> Generator[None, Any, Any]:
        collectors = yield
        return collectors if (HERE in file_path.parents) == self.benchmarks else []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("fastnn").addoption(
        "--benchmark", action="store_true", help="run the benchmarks instead of the tests"
    )


def pytest_configure(config: pytest.Config) -> None:
    benchmarks = config.getoption("benchmark")
    # A conftest's own hook would not be asked about files outside its folder.
    config.pluginmanager.register(Selection(benchmarks))
    if benchmarks:
        config.option.benchmark_quiet = True
        # A benchmark whose check fails is not timed; the check's message says all.
        config.addinivalue_line("filterwarnings", "ignore:Benchmark fixture was not used")
        config.stash[TIMINGS] = []
        limit_threads(config)


def limit_threads(config: pytest.Config) -> None:
    """Let NumPy's BLAS use one thread, as fastnn does, until the run is over."""
    try:
        from threadpoolctl import threadpool_limits

        import fastnn  # noqa: F401  # and so NumPy: only a library that is loaded can be limited
    except ImportError as error:
        raise pytest.UsageError(
            f"--benchmark: {error}; install what it needs with `pip install -e .[test]`"
        ) from None
    config.add_cleanup(threadpool_limits(limits=1).restore_original_limits)


def pytest_report_header(config: pytest.Config) -> list[str]:
    if not config.getoption("benchmark"):
        return []
    import numpy as np

    import fastnn

    cpu = config.hook.pytest_benchmark_generate_machine_info(config=config)["cpu"]
    return [
        f"processor: {cpu.get('brand_raw') or platform.machine()}",
        f"fastnn: {fastnn.__version__}, instruction set {fastnn.isa()}, one thread",
        f"NumPy: {np.__version__}, {blas()}",
        f"Python: {platform.python_version()}",
        *(
            f"WARNING: {name}={os.environ[name]} may slow NumPy down: unset it"
            for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
            if name in os.environ
        ),
    ]


def blas() -> str:
    """NumPy's BLAS: version, kernels, threads."""
    from threadpoolctl import threadpool_info

    known = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if not known:
        return "a BLAS whose threads cannot be limited"
    return "; ".join(
        f"{library['internal_api']} {library['version']}, kernels for "
        f"{library.get('architecture', 'an unknown processor')}, threads: {library['num_threads']}"
        for library in known
    )


@pytest.fixture
def stopwatch(benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> Stopwatch:
    return Stopwatch(benchmark, pytestconfig.stash[TIMINGS])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = table(terminalreporter.config.stash.get(TIMINGS, []))
    if lines:
        terminalreporter.section("fastnn and its rivals")
    for line in lines:
        terminalreporter.write_line(line)
