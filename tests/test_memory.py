"""Memory: big arrays are read where they lie, batch by batch."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import sys
import numpy as np
import fastnn
from fastnn import layers

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

rng = np.random.default_rng(0)
share = float(sys.argv[1])
x = np.empty((25_000, 1_500))
for start in range(0, len(x), 1000):
    x[start : start + 1000] = rng.random((1000, 1_500)) < share
y = rng.integers(0, 2, len(x))
weights = rng.random(len(x))
before = peak()
model = fastnn.Sequential([layers.Dense(16, "relu"), layers.Dense(1, "sigmoid")])
model.compile("rmsprop", "binary_crossentropy", ["accuracy"])
model.fit(x, y, 512, validation_split=0.4, sample_weight=weights, verbose=0)
model.evaluate(x, y, 512, verbose=0)
model.predict(x)
print(peak() - before)
"""


@pytest.mark.parametrize("share", [1.0, 0.02], ids=["dense", "mostly zeros"])
def test_a_big_array_is_never_copied(share):
    """300 MB of doubles: a copy of them, or half of one in float32, would show."""
    run = [sys.executable, "-c", PROGRAM, str(share)]
    grown = float(subprocess.run(run, capture_output=True, check=True, text=True).stdout)
    assert grown < 60  # MB


LOOP = """
import resource
import numpy as np
import fastnn

x = fastnn.constant(np.ones(1 << 20, np.float32))
for step in range(100):
    if step == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    total = fastnn.reduce_sum(fastnn.relu(x * 2.0) + x)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or "LD_PRELOAD" in os.environ,
    reason="another allocator than glibc's",
)
def test_arrays_that_come_and_go_cost_no_page_faults():
    """4 MB thrice a step are 3,000 pages of 4 KB, a fault each if the system gets them back."""
    run = subprocess.run([sys.executable, "-c", LOOP], capture_output=True, check=True, text=True)
    assert int(run.stdout) < 1000
