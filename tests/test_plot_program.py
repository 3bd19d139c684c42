"""The picture of a program: that it is written, of what, and what is refused."""

import numpy as np
import pytest

import fastnn
from fastnn import Variable
from fastnn.plot_program import plot_program

pytest.importorskip("matplotlib")


@pytest.fixture
def program():
    w = Variable(np.ones((3, 3), np.float32))

    @fastnn.function
    def step(x):
        y = fastnn.softmax(fastnn.matmul(x, w))
        w.assign_sub(y)
        return fastnn.reduce_sum(y)

    return step.program(np.ones((3, 3), np.float32))


@pytest.mark.parametrize("seconds", [None, [1e-6, 2e-6, 3e-6, 4e-6]])
def test_a_picture_names_every_instruction(program, seconds, tmp_path):
    file = tmp_path / "step.svg"
    plot_program(file, program, seconds)
    assert file.stat().st_size > 5000
    assert len(program.instructions) == 4


def test_a_bad_name_is_refused_before_anything_is_drawn(program, tmp_path):
    with pytest.raises(ValueError, match="format of pictures"):
        plot_program(tmp_path / "step.txt", program)
    assert not list(tmp_path.iterdir())
