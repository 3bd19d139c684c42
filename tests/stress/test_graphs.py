"""Random graphs of all ops: slopes and curvatures against central differences in float64."""

from typing import NamedTuple

import numpy as np
from cases import CASES, Array, Case, distinct, normal, positive

import fastnn
from fastnn import GradientTape, Variable

LONGEST = 30
# How far an op's operand may move from the numbers that its case draws and stay what the op is for;
# for the predictions of a loss this is a share of them.
ROOM = {normal: 1.0, positive: 0.25, distinct: 0.04}
SHARE = 0.03
# The errors of slope and curvature, over 1 + the sizes of the value and of themselves. The step of
# the differences is such that rounding (eps / H, eps / H^2) and what is left out (H^4) stay below.
TOLERANCE = np.array([1e-9, 2e-6])
H = 3e-4


class Operand(NamedTuple):
    """middle + room * tanh(elements of an earlier value), of the shape that an op takes."""

    source: int  # 0 is the graph's input, i the result of the i-th step
    places: Array
    middle: Array
    room: Array


class Step(NamedTuple):
    """An op over operands; the graph's value is the sum of all results times their weights."""

    case: Case
    operands: list[Operand]
    weights: Array


def draw_operand(rng: np.random.Generator, case: Case, shape: tuple[int, ...], sizes: list[int]):
    """Made of one of the last values, which have the given sizes, so that graphs grow deep, or of
    the input, so that the derivatives of late ops do not fade.
    """
    source = int(rng.integers(max(0, len(sizes) - 4), len(sizes))) if rng.random() < 0.7 else 0
    middle = np.asarray(case.draw(rng, shape))
    room = np.asarray(ROOM.get(case.draw, SHARE * np.abs(middle)))
    return Operand(source, rng.integers(0, sizes[source], shape), middle, room)


def draw_graph(rng: np.random.Generator, size: int) -> list[Step]:
    """Up to LONGEST ops, the input having `size` elements."""
    sizes, steps = [size], []
    for number in rng.integers(0, len(CASES), rng.integers(1, LONGEST + 1)):
        case = CASES[number]
        operands = [draw_operand(rng, case, shape, sizes) for shape in case.shapes]
        shape = np.shape(case.reference(*[operand.middle for operand in operands]))
        steps.append(Step(case, operands, rng.standard_normal(shape)))
        sizes.append(int(np.prod(shape)))
    return steps


def value(steps: list[Step], x: Array) -> float:
    """The graph's value in NumPy."""
    values, total = [x], 0.0
    for step in steps:
        inputs = [
            o.middle + o.room * np.tanh(values[o.source].ravel()[o.places]) for o in step.operands
        ]
        values.append(np.asarray(step.case.reference(*inputs)))
        total += np.sum(values[-1] * step.weights)
    return total


def tensor_value(steps: list[Step], x: Variable) -> fastnn.Tensor:
    values, total = [x], 0.0
    for step in steps:
        inputs = [
            o.middle + o.room * fastnn.tanh(fastnn.take(values[o.source], o.places))
            for o in step.operands
        ]
        values.append(step.case.op(*inputs))
        total = total + fastnn.reduce_sum(values[-1] * step.weights)
    return total


def derivatives(steps: list[Step], x: Array, direction: Array) -> tuple[float, float]:
    """Slope and curvature of the graph along a direction, by two tapes."""
    variable = Variable(x)
    with GradientTape() as outer:
        with GradientTape() as inner:
            total = tensor_value(steps, variable)
        slope = fastnn.reduce_sum(inner.gradient(total, variable) * direction)
    curvature = outer.gradient(slope, variable)
    return float(slope), 0.0 if curvature is None else float(np.sum(curvature.numpy() * direction))


def differences(steps: list[Step], x: Array, direction: Array, h: float):
    """The same by central differences of fourth order, and the value's own size."""
    below_2, below, here, above, above_2 = (
        value(steps, x + k * h * direction) for k in (-2, -1, 0, 1, 2)
    )
    slope = (8 * (above - below) - (above_2 - below_2)) / (12 * h)
    curvature = (16 * (above + below) - (above_2 + below_2) - 30 * here) / (12 * h * h)
    return slope, curvature, abs(here)


def test_random_graphs(times, record, rng):
    """Where the differences of two steps do not agree, at a kink, another graph is drawn."""
    count, checked, kinks, worst = times(30, 5_000), 0, 0, np.zeros(2)
    while checked < count:
        x = rng.standard_normal(5)
        steps, direction = draw_graph(rng, x.size), rng.standard_normal(x.size)
        *expected, size = differences(steps, x, direction, H)
        *others, _ = differences(steps, x, direction, 0.8 * H)
        unit = 1 + size + np.abs(expected)
        if (np.abs(np.subtract(expected, others)) > TOLERANCE / 10 * unit).any():
            kinks += 1
            continue
        error = np.abs(np.subtract(derivatives(steps, x, direction), expected)) / unit
        assert (error <= TOLERANCE).all(), [step.case.name for step in steps]
        worst, checked = np.maximum(worst, error), checked + 1
    assert kinks <= 1 + count / 20
    record(
        f"random graphs of up to {LONGEST} ops against central differences",
        f"{count:,}, errors of slopes at most {worst[0]:.0e}, of curvatures {worst[1]:.0e}; "
        f"{kinks} more lay at a kink",
    )
