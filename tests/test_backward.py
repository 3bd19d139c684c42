"""The way back along a tape as a program: the gradients are those of its ops run one by one."""

import threading

import numpy as np
import pytest
from cases import CASES, Case

import fastnn
from fastnn import GradientTape, Variable, backward, constant
from fastnn.recent import Recent


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
    """The programs made so far: a way is recorded when it is gone for the second time."""
    made = []
    record = backward._record

    def noted(way, *rest):
        record(way, *rest)
        made.extend([way.program] if way.program else [])

    monkeypatch.setattr(backward, "OFTEN", 2)
    monkeypatch.setattr(backward, "_ways", Recent())
    monkeypatch.setattr(backward, "_record", noted)
    return made


def _gradients(op, inputs, weights):
    variables = [Variable(x) for x in inputs]
    with GradientTape() as tape:
        y = op(*variables)
    return [np.asarray(g) for g in tape.gradient(y, variables, weights)]


def _assert_same(found, expected):
    for g, e in zip(found, expected, strict=True):
        np.testing.assert_array_equal(g, e, strict=True)


def _one_by_one(op, inputs, weights):
    with GradientTape():  # an open tape wants to see the ops of the way
        return _gradients(op, inputs, weights)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_op(case: Case, rng, dtype, recorded):
    for _ in range(4):  # with other numbers each time
        inputs = [case.draw(rng, shape).astype(dtype) for shape in case.shapes]
        weights = rng.standard_normal(np.shape(case.op(*inputs))).astype(dtype)
        found = _gradients(case.op, inputs, weights)
        _assert_same(found, _one_by_one(case.op, inputs, weights))
    assert len(recorded) <= 1


def _network(x, w, b, v):
    return fastnn.reduce_mean((fastnn.relu(x @ w + b) @ v) ** 2)


NETWORK = ((8, 3), (3, 4), (4,), (4, 1))


def _numbers(rng, shapes=NETWORK):
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def test_a_loop_of_ones_own_is_recorded_once(rng, recorded):
    for _ in range(5):
        inputs = _numbers(rng)
        _assert_same(_gradients(_network, inputs, 1.0), _one_by_one(_network, inputs, 1.0))
    assert len(recorded) == 1


def test_another_shape_attribute_or_source_is_another_way(rng, recorded):
    def sums(axis, count):
        variables = [Variable(x) for x in _numbers(rng, ((count, count),))]
        with GradientTape() as tape:
            y = fastnn.reduce_sum(variables[0] ** 2, axis=axis)
        return variables[0], tape.gradient(y, variables[0], np.arange(1.0, count + 1))

    for axis, count in ((0, 3), (1, 3), (1, 4)):
        for _ in range(3):
            x, dx = sums(axis, count)
            weights = np.expand_dims(np.arange(1.0, count + 1), axis)
            np.testing.assert_allclose(dx, 2 * x * weights, rtol=1e-6)
    assert len(recorded) == 3

    for sources in ([0], [1], [1, 0], [0, 1]):
        for _ in range(3):
            a, b = (Variable(x) for x in _numbers(rng, ((2,), (2,))))
            with GradientTape() as tape:
                y = a * b
            found = tape.gradient(y, [(a, b)[at] for at in sources])
            _assert_same(found, [(b, a)[at] for at in sources])


def test_sources_in_the_midst_and_targets_that_are_sources(rng):
    for _ in range(4):
        x, other = Variable(rng.standard_normal(3)), Variable(1.0)
        with GradientTape() as tape:
            y = x * x
            z = y * y
        found = tape.gradient([z, x, y], [x, other, y, z, x])
        slope = 1 + 2 * x + 4 * x**3
        np.testing.assert_allclose(found[0], slope)
        np.testing.assert_array_equal(found[4], found[0])
        assert found[1] is None
        np.testing.assert_allclose(found[2], 1 + 2 * y)
        np.testing.assert_array_equal(found[3], np.ones(3))


def test_what_was_given_does_not_change_with_the_next_run(rng):
    kept, copies = [], []
    for _ in range(4):
        w = Variable(rng.standard_normal(3))
        with GradientTape() as tape:
            y = fastnn.exp(w)
        kept.append(tape.gradient(y, w))
        copies.append(np.array(kept[-1]))
    _assert_same(kept, copies)


def test_tensors_that_stood_in_two_places_may_be_others_next_time(rng):
    g, h, ones = constant([1.0, 1.0]), constant([5.0, 7.0]), constant([1.0, 1.0])

    def of_two(first, second):
        x = Variable([1.0, 2.0])
        with GradientTape() as tape:
            y, z = x * x, x * 3.0
        return tape.gradient([y, z], x, output_gradients=[first, second])

    def of_square(x, weights):
        with GradientTape() as tape:
            tape.watch(x)
            y = x * x
        return tape.gradient(y, x, output_gradients=y if weights is None else weights)

    for _ in range(3):
        of_two(g, g)
        of_square(h, h)
        of_square(g, None)
    np.testing.assert_array_equal(of_two(g, h), [2 + 15, 4 + 21])
    np.testing.assert_array_equal(of_square(h, ones), [10, 14])
    np.testing.assert_array_equal(of_square(h, None), [250, 686])


def test_targets_off_the_way_keep_their_dtype():
    for dtype in [np.float32] * 3 + [np.float64]:
        a, w = Variable(np.ones(2, dtype)), Variable(np.ones(3, np.float32))
        with GradientTape() as tape:
            y = w * w
        _, da = tape.gradient([y, a], [w, a], output_gradients=[np.ones(3), [1 / 3, 2 / 3]])
        np.testing.assert_array_equal(da, np.array([1 / 3, 2 / 3], dtype), strict=True)


def test_sources_that_are_not_followed_have_no_gradient():
    for _ in range(4):
        w, c = Variable([1.0, 2.0]), constant([5.0, 6.0])
        with GradientTape() as tape:
            y = w * w * c
        dw, dc = tape.gradient([y, c], [w, c])
        np.testing.assert_array_equal(dw, [10, 24])
        assert dc is None


def test_long_ways_run_op_by_op(recorded):
    w = Variable(1.0)
    for _ in range(3):
        with GradientTape() as tape:
            y = w
            for _ in range(backward.SHORT // 2 + 1):
                y = 1.0 * y + 0.0
        assert float(tape.gradient(y, w)) == 1
    assert not recorded


def test_a_recording_that_is_interrupted_is_made_later(rng, recorded, monkeypatch):
    inputs = _numbers(rng)
    with monkeypatch.context() as patch:
        patch.setattr(backward, "trace", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        _gradients(_network, inputs, 1.0)
        with pytest.raises(KeyboardInterrupt):
            _gradients(_network, inputs, 1.0)
    _gradients(_network, inputs, 1.0)
    assert len(recorded) == 1


def test_a_variable_that_changes_on_the_way(recorded):
    for start in (1.0, 2.0, 3.0):
        w = Variable(start)
        with GradientTape() as tape:
            y = w * w
            w.assign(10.0)
            z = y * w
        w.assign(0.0)
        assert float(tape.gradient(z, w)) == 20 * start + start**2
    assert not recorded


def test_what_differs_from_run_to_run_is_not_kept(rng):
    for n in range(4):
        x = Variable(rng.standard_normal((4, 2)))
        with GradientTape() as tape:
            y = x[np.array([n, 0])] + x[:2]
        expected = np.zeros((4, 2))
        np.add.at(expected, [n, 0, 0, 1], 1)
        np.testing.assert_array_equal(tape.gradient(y, x), expected)
    images = constant(np.eye(128, 784, dtype=np.float32))  # mostly zeros, which are left out
    for _ in range(4):
        w = Variable(rng.standard_normal((784, 512)).astype(np.float32))
        with GradientTape() as tape:
            y = images @ w
        np.testing.assert_array_equal(tape.gradient(y, w), np.eye(784, 128) @ np.ones((128, 512)))
    assert not backward._ways


def test_what_is_large_runs_op_by_op(rng, recorded):
    for _ in range(3):
        x = Variable(rng.standard_normal(backward.SMALL // 8))
        with GradientTape() as tape:
            y = fastnn.square(x)
        np.testing.assert_array_equal(tape.gradient(y, x), 2 * x)
    assert not recorded


def test_higher_orders_and_compiled_functions_go_through(rng):
    @fastnn.function
    def curvature(x):
        with GradientTape() as outer:
            outer.watch(x)
            with GradientTape() as inner:
                inner.watch(x)
                y = x**3
            slope = inner.gradient(y, x)
        return outer.gradient(slope, x)

    for _ in range(4):
        x = constant(rng.standard_normal(3))
        np.testing.assert_allclose(curvature.python_function(x), 6 * x)
        np.testing.assert_allclose(curvature(x), 6 * x)


def test_other_thread_counts(rng):
    inputs = _numbers(rng)
    expected = _one_by_one(_network, inputs, 1.0)
    for threads in (1, 2, 1, 3, 2):
        with fastnn.threads(threads):
            _assert_same(_gradients(_network, inputs, 1.0), expected)


def test_several_threads_at_once(rng):
    wrong = []

    def loop(seed):
        own = np.random.default_rng(seed)
        for _ in range(200):
            x, y = own.standard_normal(3), own.standard_normal(3)
            dx, dy = _gradients(lambda a, b: a * b, [x, y], np.ones(3))
            if not (np.array_equal(dx, y) and np.array_equal(dy, x)):
                wrong.append((seed, dx, dy))

    threads = [threading.Thread(target=loop, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_call_in_the_midst_of_another(rng, monkeypatch):
    """As the handler of a signal may make it: it finds the program at work and goes without it."""
    inputs = _numbers(rng)
    expected = _one_by_one(_network, inputs, 1.0)
    for _ in range(3):
        _gradients(_network, inputs, 1.0)
    within = []
    run = backward.Program.run

    def interrupted(self, *args):
        if not within:
            within.append(None)
            within[0] = _gradients(_network, _numbers(rng), 1.0)
        return run(self, *args)

    monkeypatch.setattr(backward.Program, "run", interrupted)
    _assert_same(_gradients(_network, inputs, 1.0), expected)
    assert within
