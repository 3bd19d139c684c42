"""What fit and evaluate show: a bar on a terminal, a line for each epoch elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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

    @contextmanager
    def watch(self, title: str, steps: int) -> Iterator[Callable[[int], object]]:
        """A function to be told how many steps more are done; a bar, if there is one, follows."""
        self._start = time.perf_counter()
        if not self._bar:
            yield lambda done: None
            return
        from tqdm import tqdm

        with tqdm(None, title, steps, leave=False, file=sys.stdout, unit="step") as bar:
            yield bar.update

    def report(self, title: str, logs: Mapping[str, float]) -> None:
        """The line that sums a pass up."""
        if self._lines:
            seconds = time.perf_counter() - self._start
            values = "".join(f" - {name}: {value:.4f}" for name, value in logs.items())
            print(f"{title} - {seconds:.2f} s{values}", flush=True)
