"""The table that a benchmark run ends on: how many times faster fastnn is than its rivals."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

HEADINGS = ("", "size", "dtype", "fastnn", "x NumPy", "x Python", "x lists", "GFLOP/s")


class Group(NamedTuple):
    """What is computed: one line of the table."""

    op: str
    size: str
    dtype: str


class Timing(NamedTuple):
    """The median time of one rival in one repeat; `flop` are the operations of one call."""

    group: Group
    rival: str
    seconds: float
    flop: float


class Line(NamedTuple):
    """Times by rival, each the median over the repeats."""

    group: Group
    seconds: dict[str, float]
    flop: float

    def ratio(self, rival: str) -> float | None:
        """The rival's time divided by fastnn's."""
        return self.seconds[rival] / self.seconds["fastnn"] if rival in self.seconds else None

    def cells(self) -> tuple[str, ...]:
        fastnn, numpy = self.seconds["fastnn"], self.ratio("numpy")
        slow = [self.ratio(rival) for rival in ("python", "lists")]
        return (
            *self.group,
            readable(fastnn),
            "" if numpy is None else f"{numpy:.2f}",
            *("" if ratio is None else f"{ratio:.0f}" for ratio in slow),
            f"{self.flop / fastnn / 1e9:.1f}" if self.flop else "",
        )


def table(timings: Iterable[Timing]) -> list[str]:
    """The table's rows, then a sentence on where NumPy comes closest."""
    lines = summarised(timings)
    if not lines:
        return []
    return [*aligned([HEADINGS, *(line.cells() for line in lines)]), *verdict(lines)]


def summarised(timings: Iterable[Timing]) -> list[Line]:
    """One line for each group in which fastnn was timed, in the order of the first timings."""
    repeats: defaultdict[Group, defaultdict[str, list[float]]]
    repeats = defaultdict(lambda: defaultdict(list))
    flop = {}
    for timing in timings:
        repeats[timing.group][timing.rival].append(timing.seconds)
        flop[timing.group] = timing.flop
    return [
        Line(group, {rival: median(times) for rival, times in by_rival.items()}, flop[group])
        for group, by_rival in repeats.items()
        if "fastnn" in by_rival
    ]


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of cells as text: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = len(Group._fields)
    return [
        "  ".join(
            cell.ljust(width) if at < words else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def verdict(lines: list[Line]) -> list[str]:
    ratios = {line.group: r for line in lines if (r := line.ratio("numpy")) is not None}
    if not ratios:
        return []
    worst = min(ratios, key=lambda group: ratios[group])
    slower = sum(ratio < 1 for ratio in ratios.values())
    return [
        "",
        "x NumPy, x Python, x lists: their time / fastnn's; Python loops over arrays, as the book "
        "does, or over lists.",
        f"fastnn is slower than NumPy in {slower} of {len(ratios)} lines.",
        f"Worst against NumPy: {' '.join(worst)}, {ratios[worst]:.2f}",
    ]


def readable(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e9:.0f} ns"
