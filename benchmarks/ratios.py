"""The tables that a benchmark run ends on: fastnn against its rivals and the machine's limits."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import geometric_mean
from typing import NamedTuple

from limits import ARITHMETIC, Limits
from work import Work

RIVALS = {
    "dense": "x dense",
    "kernels": "x kernels",
    "numpy": "x NumPy",
    "torch": "x PyTorch",
    "python": "x Python",
    "lists": "x lists",
}
LEGEND = (
    "limit: what bounds fastnn, multiply-adds (FMA) or copies within the level of memory that the "
    "arrays fit in; reached: the least time that this allows / fastnn's.",
    "x NumPy and so on: its time / fastnn's, above 1 where fastnn is faster; Python loops over "
    "arrays, as the book does, or over lists; dense is fastnn's own product of all elements, "
    "kernels the same steps by fastnn's kernels, called from Python.",
)


class Group(NamedTuple):
    """What is computed: one line of a table."""

    op: str
    size: str
    dtype: str


class Timing(NamedTuple):
    """The time of one rival in one repeat, its median or another quantile; the table's title."""

    title: str
    group: Group
    rival: str
    seconds: float
    work: Work


class Line(NamedTuple):
    """Times by rival, each the least of the repeats' medians; what bounds them; the least possible.

    Where the limits are not known, `limit` is empty and `least` is 0.
    """

    group: Group
    seconds: dict[str, float]
    work: Work
    limit: str = ""
    least: float = 0.0

    def ratio(self, rival: str) -> float | None:
        """The rival's time divided by fastnn's."""
        return self.seconds[rival] / self.seconds["fastnn"] if rival in self.seconds else None

    def reached(self) -> float | None:
        """The part of its limit at which fastnn computes."""
        return self.least / self.seconds["fastnn"] if self.limit else None

    def rate(self) -> str:
        """What is computed in a second, in terms of the limit."""
        if not self.limit:
            return ""
        arithmetic = self.limit == ARITHMETIC
        amount = self.work.operations if arithmetic else self.work.bytes
        unit = "GFLOP/s" if arithmetic else "GB/s   "
        return f"{number(amount / self.seconds['fastnn'] / 1e9)} {unit}"


def by_title(timings: Iterable[Timing], limits: Limits | None) -> dict[str, list[Line]]:
    """The lines of each table."""
    tables: defaultdict[str, list[Timing]] = defaultdict(list)
    for timing in timings:
        tables[timing.title].append(timing)
    return {title: summarised(those, limits) for title, those in tables.items()}


def summarised(timings: Iterable[Timing], limits: Limits | None) -> list[Line]:
    """One line for each group in which fastnn was timed, in the order of the first timings.

    What disturbs a repeat (a neighbour, two threads put on one processor) only slows it down, so
    the fastest one counts, for all alike.
    """
    repeats: defaultdict[tuple[Group, Work], defaultdict[str, list[float]]]
    repeats = defaultdict(lambda: defaultdict(list))
    for timing in timings:
        repeats[timing.group, timing.work][timing.rival].append(timing.seconds)
    return [
        Line(
            group,
            {rival: min(times) for rival, times in by_rival.items()},
            work,
            *(limits.bound(work, group.dtype) if limits and work.bytes else ()),
        )
        for (group, work), by_rival in repeats.items()
        if "fastnn" in by_rival
    ]


def text(tables: dict[str, list[Line]]) -> list[str]:
    """For each title its lines, and sentences on them."""
    written = list(LEGEND)
    for title, lines in tables.items():
        if lines:
            written += ["", title, "", *table(lines), *verdicts(lines)]
    return written


def table(lines: list[Line]) -> list[str]:
    """Columns that would be empty are left out."""
    columns = {
        "": [line.group.op for line in lines],
        "size": [line.group.size for line in lines],
        "dtype": [line.group.dtype for line in lines],
        "limit": [line.limit for line in lines],
        "fastnn": [readable(line.seconds["fastnn"]) for line in lines],
        "rate": [line.rate() for line in lines],
        "reached": [number(line.reached()) for line in lines],
        **{RIVALS[rival]: [number(line.ratio(rival)) for line in lines] for rival in RIVALS},
    }
    return aligned([(name, *cells) for name, cells in columns.items() if any(cells)], words=4)


def aligned(columns: list[tuple[str, ...]], words: int) -> list[str]:
    """Columns as lines of text: the first ones, of words, to the left, numbers to the right."""
    padded = []
    for at, column in enumerate(columns):
        width = max(map(len, column))
        pad = str.ljust if at < words else str.rjust
        padded.append([pad(cell, width) for cell in column])
    return ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]


def verdicts(lines: list[Line]) -> list[str]:
    """For each dtype, and for the limits and each rival, the mean and the worst line."""
    sentences = []
    for dtype in dict.fromkeys(line.group.dtype for line in lines):
        those = [line for line in lines if line.group.dtype == dtype]
        values = {"reached": [line.reached() for line in those]} | {
            RIVALS[rival]: [line.ratio(rival) for line in those] for rival in RIVALS
        }
        for name, column in values.items():
            known = [
                (value, line.group) for value, line in zip(column, those, strict=True) if value
            ]
            if len(known) > 1:
                sentences.append(f"{dtype}, {name}: {verdict(known)}")
    return ["", *sentences] if sentences else []


def verdict(values: list[tuple[float, Group]]) -> str:
    mean, (worst, where) = geometric_mean(value for value, _ in values), min(values)
    below = sum(value < 1 for value, _ in values)
    return (
        f"geometric mean {number(mean)}, below 1 in {below} of {len(values)} lines, "
        f"worst {number(worst)}: {where.op} {where.size}"
    )


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def readable(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e9:.0f} ns"
