"""GradientTape: what it records, what it gives back, nesting, memory."""

import copy
import gc
import pickle
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Variable, constant
from fastnn.recorders import recorders


def test_speed_and_acceleration():
    """The falling apple: position 4.9 t^2, so speed 9.8 t and acceleration 9.8."""
    time = Variable(3.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            position = 4.9 * time**2
        speed = inner.gradient(position, time)
    acceleration = outer.gradient(speed, time)
    np.testing.assert_allclose([float(speed), float(acceleration)], [29.4, 9.8], rtol=1e-6)


def test_constants_are_watched_on_request():
    x = constant(3.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = fastnn.square(x)
    assert float(tape.gradient(y, x)) == 6
    with GradientTape() as tape:
        y = fastnn.square(x)
    assert tape.gradient(y, x) is None


def test_the_structure_of_the_sources_comes_back():
    a, b, c = Variable(1.0), Variable(2.0), Variable(3.0)
    with GradientTape() as tape:
        y = a * b
    found = tape.gradient(y, {"first": [a, (b, c)], "again": a})
    assert float(found["first"][0]) == 2
    assert float(found["first"][1][0]) == 1
    assert found["first"][1][1] is None
    assert isinstance(found["first"][1], tuple)
    assert float(found["again"]) == 2


def test_zeros_on_request_where_nothing_depends():
    w, other = Variable([1.0, 2.0]), Variable(np.ones((2, 3)))
    with GradientTape(persistent=True) as tape:
        y = fastnn.square(w)
    dw, zeros = tape.gradient(y, [w, other], unconnected_gradients="zero")
    np.testing.assert_array_equal(dw, [2, 4])
    assert zeros.dtype == np.float64
    np.testing.assert_array_equal(zeros, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="unconnected_gradients"):
        tape.gradient(y, w, unconnected_gradients="nothing")


def test_targets_are_summed():
    x = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y, z = x * x, 3 * x
    np.testing.assert_array_equal(tape.gradient([y, z], x), [5, 7])
    with GradientTape() as tape:
        y = x * x
    np.testing.assert_array_equal(tape.gradient(y, x, output_gradients=[1.0, 10.0]), [2, 40])


def test_a_tape_is_used_once_unless_persistent():
    x = Variable(2.0)
    with GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, x)
    with GradientTape(persistent=True) as tape:
        y = x * x
        z = y * y
    assert [float(tape.gradient(t, x)) for t in (y, z, y)] == [4, 32, 4]


def test_intermediate_sources():
    x = Variable(2.0)
    with GradientTape() as tape:
        y = x * x
        z = y * y
    assert [float(g) for g in tape.gradient(z, [y, x])] == [8, 32]


def test_reused_and_repeated_values():
    x = Variable(3.0)
    with GradientTape() as tape:
        y = x * x + x * x * x + x
    assert float(tape.gradient(y, x)) == 6 + 27 + 1


def test_a_target_that_is_its_source():
    x = Variable([1.0, 2.0])
    with GradientTape() as tape:
        pass
    np.testing.assert_array_equal(tape.gradient(x, x), [1, 1])


def test_gradient_inside_the_block():
    x = Variable(2.0)
    with GradientTape() as tape:
        y = x * x
        g = tape.gradient(y, x)
        z = x * 5
    assert float(g) == 4
    assert z is not None
    with GradientTape(persistent=True) as tape:
        y = x * x * x
        g = tape.gradient(y, x)
    assert float(tape.gradient(g, x)) == 12


def test_third_derivative():
    x = Variable(2.0)
    with GradientTape() as t3:
        with GradientTape() as t2:
            with GradientTape() as t1:
                y = x**4
            g1 = t1.gradient(y, x)
        g2 = t2.gradient(g1, x)
    assert float(t3.gradient(g2, x)) == pytest.approx(48)


def test_variables_that_are_not_trainable():
    v = Variable(2.0, trainable=False)
    with GradientTape() as tape:
        y = v * v
    assert tape.gradient(y, v) is None
    with GradientTape() as tape:
        tape.watch(v)
        y = v * v
    assert float(tape.gradient(y, v)) == 4
    w = Variable(2.0)
    with GradientTape(watch_accessed_variables=False) as tape:
        y = w * w
    assert tape.gradient(y, w) is None


def test_assignment_is_not_differentiated_and_harms_no_gradient():
    """The gradient uses the values that were read, also if the variable has changed since."""
    v = Variable(3.0)
    with GradientTape() as tape:
        y = v * v
        v.assign(100.0)
    assert float(tape.gradient(y, v)) == 6
    with GradientTape() as tape:
        y = v * v
        v.assign(2.0)
        z = y + v * v
    assert float(tape.gradient(z, v)) == 204


def test_a_slice_of_a_variable():
    v = Variable([[1.0, 2.0], [3.0, 4.0]])
    with GradientTape() as tape:
        y = v[0, 1] * v[1, 1] + fastnn.reduce_sum(v[:, 0])
    np.testing.assert_array_equal(tape.gradient(y, v), [[1, 4], [1, 2]])


def test_lists_of_tensors_are_stacked():
    a, b = Variable(1.0), Variable(2.0)
    with GradientTape() as tape:
        y = fastnn.reduce_mean([a * a, b * b])
    assert [float(g) for g in tape.gradient(y, [a, b])] == [1, 2]


def test_probabilities_can_be_a_source_if_watched():
    """By default the cross-entropy of a softmax goes back to its logits directly."""
    logits = Variable([[1.0, 2.0, 0.5]])
    with GradientTape() as tape:
        p = fastnn.softmax(logits)
        tape.watch(p)
        loss = fastnn.losses.sparse_categorical_crossentropy([1], p)
    to_p, to_logits = tape.gradient(loss, [p, logits])
    exact = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum()
    np.testing.assert_allclose(to_logits, exact - [[0, 1, 0]], atol=1e-6)
    # -log(p1 / (p0 + p1 + p2)), since rows are normalised
    np.testing.assert_allclose(to_p, [[1, 1 - 1 / exact[0, 1], 1]], rtol=1e-5)


@pytest.mark.parametrize("thing", [3.0, np.ones(2), None])
def test_only_tensors_are_sources_and_targets(thing):
    x = Variable(1.0)
    with GradientTape() as tape:
        y = x * x
        with pytest.raises(TypeError, match="only tensors can be watched"):
            tape.watch(thing)
    with pytest.raises(TypeError, match="a source must be"):
        tape.gradient(y, [x, thing])
    with pytest.raises(TypeError, match="a target must be a Tensor"):
        tape.gradient([y, thing], x)
    assert float(tape.gradient(y, x)) == 2  # the refused call used nothing up


def test_integers_have_no_gradient():
    with GradientTape() as tape, pytest.raises(TypeError, match="cast it to float32"):
        tape.watch(constant([1, 2]))
    v = Variable([1, 2])
    with GradientTape() as tape:
        y = fastnn.cast(v, "float32") * 2
    with pytest.warns(UserWarning, match="a source of int32 has no gradient: make it of floats"):
        assert tape.gradient(y, v) is None


def test_output_gradients_of_the_wrong_shape():
    x = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = x * 2
    with pytest.raises(ValueError, match=r"\(3,\) and the target \(2,\)"):
        tape.gradient(y, x, output_gradients=[1.0, 1.0, 1.0])
    assert tape.gradient(y, x).shape == (2,)


def test_a_deep_chain():
    x = Variable(1.0)
    with GradientTape() as tape:
        y = x * 1.0
        for _ in range(20_000):
            y = y + 1.0
    assert float(tape.gradient(y, x)) == 1


def test_a_tape_frees_what_it_recorded():
    gc.disable()
    try:
        v = Variable(np.ones(10))
        with GradientTape() as tape:
            y = v * 2
            z = y * y
        died = weakref.ref(y)
        tape.gradient(z, v)
        del y, z
        assert died() is None
    finally:
        gc.enable()


def test_a_softmax_made_outside_is_a_constant():
    v = Variable([[1.0, 2.0, 0.5]])
    p = fastnn.softmax(v)
    with GradientTape() as tape:
        loss = fastnn.losses.sparse_categorical_crossentropy([1], p)
    assert tape.gradient(loss, v) is None


def test_a_tape_is_opened_once():
    with GradientTape() as tape, pytest.raises(RuntimeError, match="open already"), tape:
        pass


def test_an_interrupt_leaves_no_tape_open():
    """A signal's handler may raise between any two steps of Python: there is none in between."""
    tape, scope, steps = GradientTape(), fastnn.threads(1), []

    def note(frame, event, argument):
        steps.append(frame.f_code.co_name)

    before = sys.gettrace()
    sys.settrace(note)
    try:
        with tape, scope:
            pass
    finally:
        sys.settrace(before)
    assert steps == []


def test_a_tape_is_left_in_the_thread_that_opened_it():
    with GradientTape() as tape, ThreadPoolExecutor(1) as other:
        left = other.submit(tape.__exit__, None, None, None)
        with pytest.raises(RuntimeError, match="is not open in this thread"):
            left.result()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_tape_is_copied(copied):
    tape = copied(GradientTape(persistent=True))
    v = Variable(3.0)
    with tape:
        y = v * v
    assert [float(tape.gradient(y, v)) for _ in range(2)] == [6, 6]
    with pytest.raises(TypeError, match="open another GradientTape"):
        copied(tape)


class Listening(GradientTape):
    def __init__(self, heard):
        super().__init__(persistent=True)
        self.heard = heard

    def record(self, call):
        self.heard.append(call.primitive.name)
        super().record(call)


def test_a_tape_of_ones_own():
    tape, v = copy.deepcopy(Listening([])), Variable(3.0)
    with tape:
        y = v * v
    assert tape.heard == ["multiply"]
    assert float(tape.gradient(y, v)) == 6


def test_an_index_that_changes_later():
    v, index = Variable([1.0, 2.0, 3.0]), np.array([0, 0])
    with GradientTape() as tape:
        y = v[index]
    index[:] = 2
    np.testing.assert_array_equal(tape.gradient(y, v), [2, 0, 0])


def test_an_error_inside_closes_the_tape():
    tape = GradientTape()
    with pytest.raises(ValueError, match="inside"), tape:
        raise ValueError("inside")
    assert not recorders.stack


def test_tapes_are_closed_in_any_order():
    x = Variable(3.0)
    first, second = GradientTape(), GradientTape()
    first.__enter__()
    second.__enter__()
    y = x * x
    first.__exit__(None, None, None)
    z = y * x
    second.__exit__(None, None, None)
    assert float(first.gradient(y, x)) == 6
    assert float(second.gradient(z, x)) == 27
    assert not recorders.stack


def test_tapes_of_other_threads_do_not_listen():
    import threading

    v = Variable(2.0)
    results, theirs = [], []

    def work():
        with GradientTape() as tape:
            y = v * v
        results.append(float(tape.gradient(y, v)))
        theirs.append(v * 7)

    with GradientTape(persistent=True) as tape:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        y = v * 3
    assert results == [4]
    assert tape.gradient(theirs, v) is None
    assert float(tape.gradient(y, v)) == 3


def test_a_new_axis_of_a_variable_has_its_gradient():
    v = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = fastnn.reduce_sum(v[None] * [[3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(tape.gradient(y, v), [8, 10])


def test_the_gradient_of_the_loss_of_transposed_logits():
    x = Variable([[1.0, 2.0], [0.0, 3.0], [2.0, 2.0]])
    with GradientTape() as tape:
        loss = fastnn.softmax_cross_entropy([1, 2], fastnn.transpose(x))
    p = np.exp(x.numpy().T) / np.exp(x.numpy().T).sum(1, keepdims=True)
    expected = (p - np.eye(3)[[1, 2]]).T
    np.testing.assert_allclose(tape.gradient(loss, x), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "choose",
    [
        lambda x: fastnn.maximum(x, 0.0),
        lambda x: -fastnn.minimum(-x, 0.0),
        lambda x: fastnn.clip(x, 0.0, 9.0),
        lambda x: fastnn.where(x > 0, x, 0.0),
        fastnn.relu,
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_what_was_not_chosen_has_no_gradient_where_that_of_the_result_is_infinite(choose, compiled):
    def slope(x):
        with GradientTape() as tape:
            tape.watch(x)
            y = fastnn.sqrt(choose(x))
        return tape.gradient(y, x)

    x = fastnn.constant([-1.0, 4.0])
    got = (fastnn.function(slope) if compiled else slope)(x)
    np.testing.assert_array_equal(got, [0, 0.25])


@pytest.mark.parametrize(
    "lent", [lambda buffer: buffer, lambda buffer: buffer[::1], np.ma.MaskedArray, memoryview]
)
def test_an_array_that_is_filled_anew_under_a_tape(lent):
    w, buffer = Variable(np.ones((2, 1))), np.empty((1, 2))
    products = []
    with GradientTape() as tape:
        for n in (1, 2, 3):
            buffer[:] = n
            products.append(fastnn.matmul(lent(buffer), w))
        total = fastnn.reduce_sum(fastnn.stack(products))
    np.testing.assert_array_equal(tape.gradient(total, w), [[6], [6]])


@pytest.mark.parametrize(
    "clip",
    [
        lambda x: fastnn.clip_by_norm(x, 1.0),
        lambda x: fastnn.clip_by_global_norm([x], 1.0)[0][0],
    ],
)
def test_zeros_are_clipped_to_themselves(clip):
    x = fastnn.zeros((2,))
    with GradientTape() as tape:
        tape.watch(x)
        y = clip(x)
    np.testing.assert_array_equal(tape.gradient(y, x), [1, 1])


def test_sources_that_nobody_watched():
    x, y, fixed = Variable(2.0), Variable(3.0), Variable(5.0, trainable=False)
    with GradientTape() as tape:
        z = x * y * fixed
    assert [None if g is None else float(g) for g in tape.gradient(z, [x, y, fixed])] == [
        15,
        10,
        None,
    ]
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        z = x * y
    assert [None if g is None else float(g) for g in tape.gradient(z, [x, y])] == [3, None]


def test_bounds_of_a_slice_are_those_of_the_forward():
    start, stop = Variable(0), np.array(2)
    x = Variable(np.arange(4.0))
    with GradientTape() as tape:
        y = x[start:stop] * np.array([1.0, 10.0])
    start.assign(2)
    stop[...] = 4
    np.testing.assert_array_equal(tape.gradient(y, x), [1, 10, 0, 0])


def test_tensors_in_nested_lists_have_gradients():
    a, b = Variable(1.0), Variable(2.0)
    with GradientTape() as tape:
        y = fastnn.reduce_sum([[a, b], [b, 3.0]])
    assert [float(g) for g in tape.gradient(y, [a, b])] == [1, 2]


def test_a_gradient_does_not_change_with_the_weights_that_were_given():
    weights, x = np.ones(2, np.float32), Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = x + 1
    dx = tape.gradient(y, x, output_gradients=weights)
    weights[:] = 9
    np.testing.assert_array_equal(dx, [1, 1])


def test_no_gradient_flows_through_integers():
    x = Variable(2.7)
    with GradientTape(persistent=True) as tape:
        y = fastnn.cast(fastnn.cast(x, "int32") * 3, "float32")
        whole = fastnn.cast(x, "int32")
    assert tape.gradient(y, x) is None
    with pytest.warns(UserWarning, match="target of int32 has no gradient"):
        assert tape.gradient(whole, x) is None


def test_output_gradients_for_each_target():
    x = Variable([1.0, 2.0])
    with GradientTape(persistent=True) as tape:
        y, z = x * x, fastnn.reduce_sum(3 * x)
    found = tape.gradient([y, z], x, output_gradients=[constant([1.0, 10.0]), 2.0])
    np.testing.assert_array_equal(found, [2 + 6, 40 + 6])
    np.testing.assert_array_equal(tape.gradient([y, z], x, [None, 2.0]), [2 + 6, 4 + 6])
    with pytest.raises(ValueError, match="2 targets in a list: output_gradients must"):
        tape.gradient([y, z], x, constant(1.0))
    found = tape.gradient({"y": y, "z": [z]}, x, {"z": [2.0], "y": [1.0, 10.0]})
    np.testing.assert_array_equal(found, [2 + 6, 40 + 6])


def test_the_gradient_of_float16_has_its_dtype():
    h = fastnn.Variable(np.array([1, 2], np.float16))
    for computed in (lambda: h * 2, lambda: h * 2 + fastnn.exp(h)):
        with fastnn.GradientTape() as tape:
            y = computed()
        assert tape.gradient(y, h).dtype == np.float16
