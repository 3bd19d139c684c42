"""Fuzzers in processes of their own, which work while tests run."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from reading import SECONDS

import fastnn


@contextmanager
def fuzzing(kind, seeds, seconds, folder):
    """A run of fuzz.py from some files, which ends with the block; None without atheris."""
    if find_spec("atheris") is None:
        yield None
        return
    (folder / "corpus").mkdir()
    for at, content in enumerate(seeds):
        (folder / "corpus" / str(at)).write_bytes(content)
    options = [
        *(f"-max_total_time={seconds}", "-seed=20", "-max_len=65536", "-rss_limit_mb=1024"),
        *(f"-timeout={SECONDS}", f"-report_slow_units={SECONDS}", "-print_final_stats=1"),
    ]
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen(
            [sys.executable, Path(__file__).with_name("fuzz.py"), kind, folder, *options],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(Path(fastnn.__file__).parents[1])},
        ) as process,
    ):
        try:
            yield process, folder
        finally:
            process.kill()


def result_of(fuzzer):
    """How much a fuzzer tried; fails if a file did what none may, which it shows."""
    if fuzzer is None:
        pytest.skip("atheris is not installed")
    process, folder = fuzzer
    process.wait()
    log = (folder / "log").read_text(errors="replace")
    found = {path.name: path.read_bytes() for path in folder.glob("*-*")}
    assert process.returncode == 0, f"{log[-5000:]}\n{found}"
    (tried,) = re.findall(r"stat::number_of_executed_units: (\d+)", log)
    reached = [int(edges) for edges in re.findall(r" cov: (\d+) ", log)]
    return f"{int(tried):,}, which reached {reached[-1]:,} edges, from {reached[0]:,}"
