"""Stopwatch: what a benchmark times its calls with."""

import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture
from ratios import Group, Timing
from work import Work

REPEATS = 3

# A repeat takes about BUDGET seconds, in rounds long enough for the clock.
BUDGET = 0.05
ROUND = 100e-6
WARM_UP = 0.02

WAIT = 0.025  # long enough for the system to count the time of all threads

NO_WORK = Work()


@dataclass(frozen=True)
class Stopwatch:
    """Times a call with pytest-benchmark and keeps a quantile, for the table of that title."""

    benchmark: BenchmarkFixture
    timings: list[Timing]
    title: str
    threads: int

    def time(
        self,
        group: Group,
        rival: str,
        call: Callable[[], Any],
        rounds: int | None = None,
        work: Work = NO_WORK,
        steps: int = 1,
        quantile: float = 0.5,
    ) -> None:
        """Time `call` for the rival's place in the line of `group`.

        Without `rounds`, which are rounds of one call, they are chosen to fill the budget. The
        time is that of one of the `steps` which a call takes; `quantile` of the rounds are faster.
        """
        self.benchmark.group = " ".join(group)
        if self.threads > 1:
            settle()
        planned, iterations = plan(call) if rounds is None else (rounds, 1)
        self.benchmark.pedantic(call, rounds=planned, iterations=iterations)
        if self.benchmark.enabled:
            seconds = float(np.quantile(self.benchmark.stats.stats.data, quantile)) / steps
            self.timings.append(Timing(self.title, group, rival, seconds, work))


def settle() -> None:
    """Wait until this process rests: OpenBLAS's threads look for work for another 0.1 s."""
    busy = WAIT
    while busy > WAIT / 10:
        start = time.process_time()
        time.sleep(WAIT)
        busy = time.process_time() - start


def plan(call: Callable[[], Any]) -> tuple[int, int]:
    """How many rounds of how many calls fill the budget; at least three rounds.

    The calls before wake the threads and give the system time to part them.
    """
    end = time.perf_counter() + WARM_UP
    while time.perf_counter() < end:
        call()
    seconds = min(timeit.repeat(call, number=1, repeat=3))
    iterations = max(1, round(ROUND / seconds))
    return max(3, min(100, round(BUDGET / (iterations * seconds)))), iterations
