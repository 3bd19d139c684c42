"""The picture of a program: that it is written, of what, and what is refused."""

from xml.etree import ElementTree

import numpy as np
import pytest

import fastnn
from fastnn import Variable
from fastnn.description import name_of
from fastnn.plot_program import plot_program

mpl = pytest.importorskip("matplotlib")


@pytest.fixture
def program():
    w = Variable(np.ones((3, 3), np.float32))

    @fastnn.function
    def step(x):
        y = fastnn.softmax(fastnn.matmul(x, w))
        w.assign_sub(y)
        return fastnn.reduce_sum(y)

    return step.program(np.ones((3, 3), np.float32))


def patches(axes):
    """The paths drawn in a group of an SVG, without its background."""
    return [p for g in axes if (g.get("id") or "").startswith("patch_") for p in g]


@pytest.mark.parametrize("seconds", [None, [1e-6, 2e-6, 3e-6, 4e-6]])
def test_a_picture_shows_every_instruction(program, seconds, tmp_path):
    file = tmp_path / "step.svg"
    with mpl.rc_context({"svg.fonttype": "none"}):  # texts as texts
        plot_program(file, program, seconds)
    picture = file.read_text()
    for instruction in program.instructions:
        assert f">{name_of(instruction)}</text>" in picture
    groups = {g.get("id"): g for g in ElementTree.fromstring(picture).iter()}
    made = {id(y) for i in program.instructions for y in i.outputs}
    used = sum(id(x) in made for i in program.instructions for x in i.inputs)
    assert len(patches(groups["axes_1"])) == used > 1
    bars = [p.get("d").split() for p in patches(groups["axes_2"]) if "clip-path" in p.attrib]
    lengths = [float(d[4]) - float(d[1]) for d in bars]
    expected = seconds or [
        sum(x.nbytes for x in (*i.inputs, *i.outputs)) for i in program.instructions
    ]
    np.testing.assert_allclose(
        np.divide(lengths, lengths[0]), np.divide(expected, expected[0]), 1e-3
    )


def test_a_bad_name_is_refused_before_anything_is_drawn(program, tmp_path):
    with pytest.raises(ValueError, match="format of pictures"):
        plot_program(tmp_path / "step.txt", program)
    assert not list(tmp_path.iterdir())


def test_a_function_is_no_program(tmp_path):
    with pytest.raises(TypeError, match=r"got Function: .* pass f.program\(arguments\)"):
        plot_program(tmp_path / "p.png", fastnn.function(lambda x: x))
