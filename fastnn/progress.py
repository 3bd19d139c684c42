"""What fit and evaluate show: a bar on a terminal, a line for each epoch elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

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
        self._wants_bar = verbose in ("auto", 1)
        self._bar: Any = None
        self._done = 0
        self._start = 0.0

    def begin(self, title: str, steps: int | None) -> None:
        """A pass of so many steps begins; None if nobody knows."""
        self.close()
        self._start, self._done = time.perf_counter(), 0
        if self._wants_bar and sys.stdout.isatty():
            from tqdm import tqdm

            self._bar = tqdm(None, title, steps, leave=False, file=sys.stdout, unit="step")

    def advance(self, done: int) -> None:
        """So many steps more are done."""
        self._done += done
        if self._bar is not None:
            self._bar.update(done)

    def close(self) -> int:
        """Take the bar away; returns how many steps were done."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        return self._done

    def report(self, title: str, logs: Mapping[str, Any]) -> None:
        """The line that sums a pass up."""
        if self._lines:
            seconds = time.perf_counter() - self._start
            values = "".join(f" - {name}: {_short(value)}" for name, value in logs.items())
            print(f"{title} - {seconds:.2f} s{values}", flush=True)


def _short(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4e}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"
