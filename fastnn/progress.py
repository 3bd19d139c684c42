"""What fit and evaluate show: a bar on a terminal, a line for each epoch elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

Verbose: TypeAlias = Literal["auto", 0, 1, 2]


class Progress:
    """Reports one pass over the data after another.

    Parameters
    ----------
    verbose : "auto", 0, 1 or 2
        0 shows nothing, 2 a line for each pass; 1 and "auto" a bar if the output is a terminal.

    Raises
    ------
    ValueError
        If `verbose` is something else.
    """

    def __init__(self, verbose: Verbose) -> None:
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f'verbose must be "auto", 0, 1 or 2, got {verbose!r}')
        self._lines = verbose != 0
        self._bar = verbose in ("auto", 1) and sys.stdout.isatty()
        self._start = 0.0

    def watch(self, title: str, steps: int, batches: Iterable[slice]) -> Iterator[slice]:
        """The batches, one after another, with a bar that moves along and goes when they end."""
        self._start = time.perf_counter()
        if not self._bar:
            yield from batches
            return
        from tqdm import tqdm

        yield from tqdm(batches, title, steps, leave=False, file=sys.stdout, unit="step")

    def report(self, title: str, logs: Mapping[str, float]) -> None:
        """The line that sums a pass up."""
        if self._lines:
            seconds = time.perf_counter() - self._start
            values = "".join(f" - {name}: {value:.4f}" for name, value in logs.items())
            print(f"{title} - {seconds:.2f} s{values}", flush=True)
