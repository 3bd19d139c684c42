"""What is done thousands of times, and a record of it.

The usual run does each thing a few times; ``pytest --stress`` does it as often as the record in
README.md says, and ends on that record as a table in Markdown.
"""

import platform
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from reading import SECONDS, tried

RECORD = pytest.StashKey[dict[str, Any]]()


@pytest.fixture(scope="session")
def times(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """The first number in the usual run, the second in that of ``--stress``."""
    return lambda usual, stress: stress if request.config.getoption("stress") else usual


@pytest.fixture(scope="session")
def record(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Enters a figure under the name of what was done: numbers add up, words follow each other."""
    figures = request.config.stash.setdefault(RECORD, {})

    def enter(what: str, figure: object) -> None:
        before = figures.get(what)
        if before is None:
            figures[what] = figure
        else:
            figures[what] = before + figure if isinstance(figure, int) else f"{before}; {figure}"

    return enter


@pytest.fixture
def reads() -> Iterator[Callable[[Callable[[], Any], Path, int], bool]]:
    """Whether a read succeeds, which must be as `reading.tried` says, and within its seconds."""

    def too_long(*_: object) -> None:
        pytest.fail(f"one file took {SECONDS} seconds")

    def read_in_time(read: Callable[[], Any], path: Path, size: int) -> bool:
        signal.alarm(SECONDS)
        try:
            return tried(read, path, size)
        finally:
            signal.alarm(0)

    before = signal.signal(signal.SIGALRM, too_long)
    tracemalloc.start()
    yield read_in_time
    tracemalloc.stop()
    signal.signal(signal.SIGALRM, before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    figures = config.stash.get(RECORD, {})
    if not config.getoption("stress") or not figures:
        return
    terminalreporter.section(f"{date.today()}, {processor()}, Python {platform.python_version()}")
    rows = [("what was done", "figure"), ("---", "---"), *sorted(figures.items())]
    for what, figure in rows:
        shown = f"{figure:,}" if isinstance(figure, int) else figure
        terminalreporter.line(f"| {what} | {shown} |")


def processor() -> str:
    """The processor's name as Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
