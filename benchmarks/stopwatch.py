"""Stopwatch: what a benchmark times its calls with."""

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture
from ratios import Group, Timing

REPEATS = 3

# A repeat takes about BUDGET seconds, in rounds long enough for the clock.
BUDGET = 0.1
ROUND = 100e-6


@dataclass(frozen=True)
class Stopwatch:
    """Times a call with pytest-benchmark and keeps the median."""

    benchmark: BenchmarkFixture
    timings: list[Timing]

    def time(
        self,
        group: Group,
        rival: str,
        call: Callable[[], Any],
        rounds: int | None = None,
        flop: float = 0,
    ) -> None:
        """Time `call` for the rival's place in the line of `group`.

        Without `rounds`, which are rounds of one call, they are chosen to fill the budget.
        """
        self.benchmark.group = " ".join(group)
        planned, iterations = plan(call) if rounds is None else (rounds, 1)
        self.benchmark.pedantic(call, rounds=planned, iterations=iterations)
        if self.benchmark.enabled:
            median = self.benchmark.stats.stats.median
            self.timings.append(Timing(group, rival, median, flop))


def plan(call: Callable[[], Any]) -> tuple[int, int]:
    """How many rounds of how many calls fill the budget; at least three rounds."""
    seconds = min(timeit.repeat(call, number=1, repeat=3))
    iterations = max(1, round(ROUND / seconds))
    return max(3, min(100, round(BUDGET / (iterations * seconds)))), iterations
