"""The memory that training takes beyond its data, each time in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")

# The highest since the program began; getrusage would count what the process that started it had.
PEAK = f"""
from pathlib import Path
lines = Path("{STATUS}").read_text().splitlines()
(peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
print(int(peak) * 1024, size)
"""
IMPORT = "import numpy, pytest\nsize = 0\n"  # the rivals' modules need the second one
TRAIN = """
import digits, trainees
data = digits.load()
size = sum(part.nbytes for part in data[1:])
training = trainees.Training((784, 512, 10), 128, "sgd", 0.1)
trainees.by_{rival}(training, data.x_train, data.y_train)(True)
"""


def megabytes(program: str) -> float:
    """The peak of a program, without the data of so many bytes that it names."""
    command = [sys.executable, "-c", program + PEAK]
    run = subprocess.run(
        command, cwd=Path(__file__).parent, check=True, capture_output=True, text=True
    )
    peak, size = map(int, run.stdout.split())
    return (peak - size) / 1e6


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not tell a process its peak")
def test_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """Memory of loading MNIST and of an epoch, beyond the data, NumPy and pytest."""
    before = megabytes(IMPORT)
    used = {rival: megabytes(TRAIN.format(rival=rival)) - before for rival in ("fastnn", "numpy")}
    with capsys.disabled():
        print(f"\n{test_memory.__doc__}")
        print(", ".join(f"{rival}: {amount:.0f} MB" for rival, amount in used.items()))
