"""Tensors, variables and tapes in TensorFlow's words."""

import numpy as np
import pytest
from stand_ins import two_clouds

import fastnn as tf


def test_constant_tensors():
    x = tf.ones(shape=(2, 1))
    assert x.shape == (2, 1)
    assert x.dtype == tf.float32
    assert tf.zeros(shape=(2, 1)).numpy().sum() == 0
    with pytest.raises(TypeError):
        x[0, 0] = 0.0
    normal = tf.random.normal(shape=(300, 100), mean=0.0, stddev=1.0)
    assert abs(normal.numpy().mean()) < 0.02
    assert abs(normal.numpy().std() - 1) < 0.02
    uniform = tf.random.uniform(shape=(300, 100), minval=0, maxval=1e-1)
    assert 0 <= uniform.numpy().min() < uniform.numpy().max() < 0.1
    assert "float32" in repr(x)


def test_variables_change_in_place():
    v = tf.Variable(initial_value=tf.random.normal(shape=(3, 1)))
    v.assign(tf.ones((3, 1)))
    v[0, 0].assign(3.0)
    v.assign_add(tf.ones((3, 1)))
    np.testing.assert_array_equal(v.numpy(), [[4], [2], [2]])
    v.assign_sub(tf.ones((3, 1)))
    np.testing.assert_array_equal(v, [[3], [1], [1]])
    with pytest.raises(ValueError, match="shape"):
        v.assign(tf.ones((3, 2)))


def test_operations():
    a = tf.ones((2, 2)) * 2
    b = tf.square(a)
    c = tf.sqrt(a)
    d = b + c
    e = tf.matmul(a, b)
    np.testing.assert_array_equal(e.numpy(), 16)
    before = e
    e *= d
    np.testing.assert_allclose(e.numpy(), 16 * (4 + np.sqrt(2)), rtol=1e-6)
    np.testing.assert_array_equal(before.numpy(), 16)
    joined = tf.concat((a, b), axis=0)
    assert joined.shape == (4, 2)
    assert tf.reduce_mean(joined) == 3


def test_gradient_of_a_line():
    x = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        y = 2 * x + 3
    assert float(tape.gradient(y, x)) == 2
    x = tf.Variable(tf.random.uniform((2, 2)))
    with tf.GradientTape() as tape:
        y = 2 * x + 3
    np.testing.assert_array_equal(tape.gradient(y, x), np.full((2, 2), 2))


def test_gradients_of_a_list():
    w, b = tf.Variable(tf.random.uniform((2, 2))), tf.Variable(tf.zeros((2,)))
    x = tf.random.uniform((2, 2))
    with tf.GradientTape() as tape:
        y = tf.matmul(x, w) + b
    of_w, of_b = tape.gradient(y, [w, b])
    np.testing.assert_allclose(of_w, x.numpy().T @ np.ones((2, 2)), rtol=1e-6)
    np.testing.assert_array_equal(of_b, [2, 2])


def test_a_constant_must_be_watched():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.square(x)
    assert float(tape.gradient(y, x)) == 6
    with tf.GradientTape() as tape:
        y = tf.square(x)
    assert tape.gradient(y, x) is None


def test_a_tape_is_used_once_unless_persistent():
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="persistent"):
        tape.gradient(y, x)
    with tf.GradientTape(persistent=True) as tape:
        y = x * x
    assert float(tape.gradient(y, x)) == float(tape.gradient(y, x)) == 6


def test_speed_and_acceleration():
    """A tape within a tape: the second derivative of a falling body's way."""
    time = tf.Variable(0.5)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            position = 4.9 * time**2
        speed = inner.gradient(position, time)
    acceleration = outer.gradient(speed, time)
    np.testing.assert_allclose(speed, 4.9, rtol=1e-6)
    np.testing.assert_allclose(acceleration, 9.8, rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_linear_classifier(compiled):
    inputs, targets = two_clouds()
    w = tf.Variable(initial_value=tf.random.uniform(shape=(2, 1)))
    b = tf.Variable(initial_value=tf.zeros(shape=(1,)))

    def model(inputs, w, b):
        return tf.matmul(inputs, w) + b

    def mean_squared_error(targets, predictions):
        return tf.reduce_mean(tf.square(targets - predictions))

    def training_step(inputs, targets, w, b):
        with tf.GradientTape() as tape:
            loss = mean_squared_error(targets, model(inputs, w, b))
        of_w, of_b = tape.gradient(loss, [w, b])
        w.assign_sub(of_w * 0.1)
        b.assign_sub(of_b * 0.1)
        return loss

    step = tf.function(jit_compile=True)(training_step) if compiled else training_step
    losses = [float(step(inputs, targets, w, b)) for _ in range(40)]
    assert losses[-1] < 0.05 < losses[0]
    predictions = model(inputs, w, b)
    above = predictions[:, 0] > 0.5
    assert np.asarray(above).dtype == bool
    assert np.mean(above.numpy() == (targets[:, 0] > 0.5)) > 0.98
    x = np.linspace(-1, 4, 100)
    y = -w[0] / w[1] * x + (0.5 - b) / w[1]
    assert y.shape == (100,)
    np.testing.assert_allclose(
        model(np.stack([x, y.numpy()], axis=1).astype("float32"), w, b), 0.5, atol=1e-4
    )


def test_functional_names_of_tensorflow():
    x = tf.constant([[-1.0, 0.0, 2.0]])
    np.testing.assert_array_equal(tf.nn.relu(x), [[0, 0, 2]])
    np.testing.assert_allclose(tf.reduce_sum(tf.nn.softmax(x)), 1, rtol=1e-6)
    np.testing.assert_allclose(tf.keras.activations.relu(x), [[0, 0, 2]])
    np.testing.assert_allclose(tf.keras.losses.MeanSquaredError()([[0.0]], [[2.0]]), 4)
