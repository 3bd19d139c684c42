"""`pytest --benchmark` runs the benchmarks instead of the tests and ends on tables of ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import rivals
from limits import Limits, LimitsUnknownError, measured
from pytest_benchmark.fixture import BenchmarkFixture
from ratios import Timing, by_title, text
from roofline import draw
from stopwatch import Stopwatch, settle

HERE = Path(__file__).parent
TIMINGS = pytest.StashKey[list[Timing]]()
LIMITS = pytest.StashKey[Limits | LimitsUnknownError]()


class Selection:
    """Hides the tests from a run of the benchmarks, and the benchmarks from a run of the tests."""

    def __init__(self, benchmarks: bool) -> None:
        self.benchmarks = benchmarks

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path) -> Generator[None, Any, Any]:
        collectors = yield
        return collectors if (HERE in file_path.parents) == self.benchmarks else []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fastnn")
    group.addoption(
        "--benchmark", action="store_true", help="run the benchmarks instead of the tests"
    )
    group.addoption(
        "--benchmark-threads",
        type=int,
        default=1,
        metavar="N",
        help="the threads of fastnn and of its rivals (default: 1)",
    )
    group.addoption(
        "--benchmark-plot",
        metavar="FILE",
        help="draw the kernels under the limits of the machine (needs matplotlib)",
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
        check_plot(config.option.benchmark_plot)


def limit_threads(config: pytest.Config) -> None:
    """Give fastnn, NumPy's BLAS and PyTorch the same number of threads until the run is over."""
    threads = config.option.benchmark_threads
    try:
        from threadpoolctl import threadpool_limits

        import fastnn  # and so NumPy: only a library that is loaded can be limited

        fastnn.set_num_threads(threads)
    except ImportError as error:
        raise pytest.UsageError(
            f"--benchmark: {error}; install what it needs with `pip install -e .[test]`"
        ) from None
    except ValueError as error:
        raise pytest.UsageError(f"--benchmark-threads: {error}") from None
    if torch := rivals.module("torch"):
        torch.set_num_threads(threads)
    config.add_cleanup(threadpool_limits(limits=threads).restore_original_limits)


def check_plot(file: str | None) -> None:
    """Before a run of minutes, not after it."""
    from fastnn.plot import writable

    try:
        if file:
            writable(file)
    except (ImportError, OSError, ValueError) as error:
        raise pytest.UsageError(f"--benchmark-plot: {error}") from None


def pytest_report_header(config: pytest.Config) -> list[str]:
    if not config.getoption("benchmark"):
        return []
    import numpy as np

    import fastnn

    threads = config.option.benchmark_threads
    torch = rivals.module("torch")
    cpu = config.hook.pytest_benchmark_generate_machine_info(config=config)["cpu"]
    return [
        f"processor: {cpu.get('brand_raw') or platform.machine()}",
        f"fastnn: {fastnn.__version__}, instruction set {fastnn.isa()}, threads: {threads}",
        f"NumPy: {np.__version__}, {blas()}",
        f"PyTorch: {torch.__version__}" if torch else "PyTorch: not installed (extra `rivals`)",
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


@pytest.fixture(scope="session")
def limits(pytestconfig: pytest.Config) -> Iterator[None]:
    """Measured before the first benchmark and after the last."""
    from fastnn import _kernels

    threads, pool = pytestconfig.option.benchmark_threads, Path(_kernels.__file__)
    try:
        pytestconfig.stash[LIMITS] = before = measured(threads, pool)
    except LimitsUnknownError as error:
        pytestconfig.stash[LIMITS] = error
        yield
    else:
        yield
        settle()
        pytestconfig.stash[LIMITS] = before.better(measured(threads, pool))


@pytest.fixture
def stopwatch(
    request: pytest.FixtureRequest, benchmark: BenchmarkFixture, limits: None
) -> Stopwatch:
    config, title = request.config, request.function.__doc__
    return Stopwatch(benchmark, config.stash[TIMINGS], title, config.option.benchmark_threads)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    timings, option = config.stash.get(TIMINGS, []), config.option
    if not timings:
        return
    found = config.stash[LIMITS]
    limits = found if isinstance(found, Limits) else None
    tables = by_title(timings, limits)
    terminalreporter.section(f"fastnn and its rivals, threads: {option.benchmark_threads}")
    for line in (f"Limits of this machine: {found}", *text(tables)):
        terminalreporter.write_line(line)
    if option.benchmark_plot and limits:
        draw(option.benchmark_plot, list(chain(*tables.values())), limits)
