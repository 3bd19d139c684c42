"""What this machine does at most: multiply-adds, copies at each level of memory, fork-joins."""

import ctypes
import math
import os
import shlex
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, reduce
from pathlib import Path
from threading import Barrier
from time import perf_counter
from typing import NamedTuple

import numpy as np
from work import Work

ARITHMETIC = "FMA"  # the limit that is no memory

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
TYPES = {"float32": ctypes.c_float, "float64": ctypes.c_double}

# Rounds are long enough for the threads' start to take no part in it; a neighbour on the same
# machine may take the last cache for longer than the rounds of one pass.
MULTIPLY_ADDS, COPIED, FORK_JOINS = 1_000_000, 200_000_000, 500
ROUNDS, PASSES = 12, 4


class LimitsUnknownError(Exception):
    """They could not be measured; the message says why."""


class Level(NamedTuple):
    """A cache or memory: the bytes that it holds for all threads, and those copied in a second.

    A copied byte counts twice, where it is read and where it is written.
    """

    name: str
    capacity: float
    bandwidth: float


class Limits(NamedTuple):
    """For all threads together; `peak` are operations in a second by dtype, `fork_join` seconds."""

    threads: int
    peak: dict[str, float]
    levels: tuple[Level, ...]
    fork_join: float

    def bound(self, work: Work, dtype: str) -> tuple[str, float]:
        """What limits the work, and the seconds that it takes at least."""
        level = next(level for level in self.levels if work.bytes <= level.capacity)
        bounds = {
            ARITHMETIC: work.operations / self.peak[dtype],
            level.name: work.bytes / level.bandwidth,
        }
        return max(bounds.items(), key=lambda bound: bound[1])

    def better(self, other: "Limits") -> "Limits":
        """The best of two measurements, which the rest of the machine may have disturbed."""
        peak = {dtype: max(self.peak[dtype], other.peak[dtype]) for dtype in self.peak}
        levels = tuple(map(max, self.levels, other.levels))
        return Limits(self.threads, peak, levels, min(self.fork_join, other.fork_join))

    def __str__(self) -> str:
        peaks = ", ".join(f"{dtype} {peak / 1e9:.0f}" for dtype, peak in self.peak.items())
        copies = ", ".join(f"{level.name} {level.bandwidth / 1e9:.0f}" for level in self.levels)
        fork_join = f"; fork and join {self.fork_join * 1e6:.2f} us" if self.threads > 1 else ""
        return f"FMA {peaks} GFLOP/s; copies {copies} GB/s{fork_join}"


def measured(threads: int, pool: Path) -> Limits:
    """The limits of so many threads; `pool` is the library that holds fastnn's thread pool."""
    probes = compiled()
    return reduce(Limits.better, (measured_once(probes, threads, pool) for _ in range(PASSES)))


def measured_once(probes: ctypes.CDLL, threads: int, pool: Path) -> Limits:
    peak = {dtype: peak_of(probes, dtype, threads) for dtype in TYPES}
    # Two arrays for each thread fill a quarter of a cache, which others use too; in memory they are
    # far larger than the last cache.
    levels = [
        Level(name, capacity, bandwidth(probes, capacity // threads // 8, threads))
        for name, capacity in capacities(threads)
    ]
    beyond = 2 * levels[-1].capacity // threads
    levels.append(Level("memory", math.inf, bandwidth(probes, beyond, threads)))
    return Limits(threads, peak, tuple(levels), fork_join(probes, pool, threads))


@cache
def compiled() -> ctypes.CDLL:
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    flags = ("-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "limits.so"
        source = Path(__file__).with_suffix(".c")
        command = [*shlex.split(compiler), *flags, source, "-o", library]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise LimitsUnknownError(
                f"not known, as there is no C compiler {compiler!r}; set CC"
            ) from None
        except subprocess.CalledProcessError as error:
            raise LimitsUnknownError(
                f"{compiler} cannot compile limits.c: {error.stderr}"
            ) from None
        probes = ctypes.CDLL(str(library))
    for function in (probes.multiply_adds_float, probes.multiply_adds_double, probes.fork_joins):
        function.restype = ctypes.c_size_t
    return probes


def peak_of(probes: ctypes.CDLL, dtype: str, threads: int) -> float:
    c_type = TYPES[dtype]
    multiply_adds = getattr(probes, f"multiply_adds_{c_type.__name__.removeprefix('c_')}")

    def run(times: int = MULTIPLY_ADDS) -> int:
        return multiply_adds(ctypes.c_size_t(times), ctypes.byref(c_type(0.5)))

    return threads * run(1) * MULTIPLY_ADDS / least_seconds([run] * threads)


def capacities(threads: int) -> list[tuple[str, int]]:
    """The data caches from the smallest: name, and bytes of those that the threads can use."""
    found = [
        (
            f"L{text(index / 'level')}",
            kilobytes(index / "size") * math.ceil(threads / processors(index)),
        )
        for index in sorted(CACHES.glob("index*"))
        if text(index / "type") in ("Data", "Unified")
    ]
    if not found:
        raise LimitsUnknownError(f"not known, as {CACHES} does not say what caches there are")
    return found


def text(file: Path) -> str:
    return file.read_text().strip()


def kilobytes(file: Path) -> int:
    return int(text(file).removesuffix("K")) * 1024


def processors(index: Path) -> int:
    """How many share the cache."""
    return int(text(index / "shared_cpu_map").replace(",", ""), 16).bit_count()


def bandwidth(probes: ctypes.CDLL, size: int, threads: int) -> float:
    """Bytes in a second, read or written, where each thread copies arrays of `size` bytes."""
    size = size // 512 * 512
    times = max(1, COPIED // size)

    def copies() -> Callable[[], None]:
        to, source = page_aligned(size), page_aligned(size)

        def run() -> None:
            pointers = (ctypes.c_void_p(array.ctypes.data) for array in (to, source))
            probes.copies(ctypes.c_size_t(times), *pointers, ctypes.c_size_t(size))

        return run

    seconds = least_seconds([copies() for _ in range(threads)])
    return 2 * size * times * threads / seconds


def page_aligned(size: int) -> np.ndarray:
    memory = np.ones(size + 4096, np.uint8)
    start = -memory.ctypes.data % 4096
    return memory[start : start + size]


def fork_join(probes: ctypes.CDLL, pool: Path, threads: int) -> float:
    """Seconds of a job that does nothing but wait until all threads take part in it."""
    run = ctypes.CDLL(str(pool)).fn_parallel
    seconds = []
    for _ in range(ROUNDS):
        start = perf_counter()
        jobs = probes.fork_joins(ctypes.c_size_t(FORK_JOINS), run, threads)
        if jobs:
            seconds.append((perf_counter() - start) / jobs)
    return min(seconds, default=math.inf)


def least_seconds(jobs: Sequence[Callable[[], object]]) -> float:
    """The least time, over several rounds, in which threads do the jobs side by side."""
    barrier = Barrier(len(jobs))

    def spans(job: Callable[[], object]) -> list[tuple[float, float]]:
        times = []
        for _ in range(ROUNDS):
            barrier.wait()
            start = perf_counter()
            job()
            times.append((start, perf_counter()))
        return times

    with ThreadPoolExecutor(len(jobs)) as team:
        rounds = zip(*team.map(spans, jobs), strict=True)
        return min(max(end for _, end in r) - min(start for start, _ in r) for r in rounds)
