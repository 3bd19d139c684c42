"""Programs in the from-scratch style, and geometry with tensors."""

import math

import numpy as np
import pytest

import fastnn as tf
from fastnn import optimizers
from fastnn.datasets import mnist


class NaiveDense:
    def __init__(self, input_size, output_size, activation):
        self.activation = activation
        limit = 1e-1
        self.W = tf.Variable(
            tf.random.uniform((input_size, output_size), minval=-limit, maxval=limit)
        )
        self.b = tf.Variable(tf.zeros((output_size,)))

    def __call__(self, inputs):
        return self.activation(tf.matmul(inputs, self.W) + self.b)

    @property
    def weights(self):
        return [self.W, self.b]


class NaiveSequential:
    def __init__(self, layers):
        self.layers = layers

    def __call__(self, inputs):
        x = inputs
        for layer in self.layers:
            x = layer(x)
        return x

    @property
    def weights(self):
        weights = []
        for layer in self.layers:
            weights += layer.weights
        return weights


class BatchGenerator:
    def __init__(self, images, labels, batch_size=128):
        assert len(images) == len(labels)
        self.index = 0
        self.images = images
        self.labels = labels
        self.batch_size = batch_size
        self.num_batches = math.ceil(len(images) / batch_size)

    def next(self):
        images = self.images[self.index : self.index + self.batch_size]
        labels = self.labels[self.index : self.index + self.batch_size]
        self.index += self.batch_size
        return images, labels


def update_by_hand(gradients, weights):
    for g, w in zip(gradients, weights, strict=True):
        w.assign_sub(g * 0.3)


optimizer = optimizers.SGD(learning_rate=0.3)


def update_by_optimizer(gradients, weights):
    optimizer.apply_gradients(zip(gradients, weights, strict=True))


def one_training_step(model, images, labels, update_weights):
    with tf.GradientTape() as tape:
        predictions = model(images)
        per_sample = tf.keras.losses.sparse_categorical_crossentropy(labels, predictions)
        average_loss = tf.reduce_mean(per_sample)
    gradients = tape.gradient(average_loss, model.weights)
    update_weights(gradients, model.weights)
    return average_loss


@pytest.mark.parametrize("update_weights", [update_by_hand, update_by_optimizer])
def test_training(update_weights):
    (x, y), (x_test, y_test) = mnist.load_sample()
    x, x_test = (a.reshape((-1, 28 * 28)).astype("float32") / 255 for a in (x, x_test))
    model = NaiveSequential(
        [NaiveDense(784, 64, tf.nn.relu), NaiveDense(64, 10, tf.nn.softmax)],
    )
    assert len(model.weights) == 4
    losses = []
    for _ in range(10):
        batches = BatchGenerator(x, y)
        losses += [
            one_training_step(model, *batches.next(), update_weights)
            for _ in range(batches.num_batches)
        ]
    assert len(losses) == 10 * 32  # the last batch of 4,000 by 128 has 32 samples
    assert f"{losses[0]:.2f}" != "nan"
    predictions = model(x_test).numpy()
    assert np.mean(np.argmax(predictions, axis=1) == y_test) > 0.75


def test_both_updates_are_the_same():
    models = []
    for update_weights in (update_by_hand, update_by_optimizer):
        tf.utils.set_random_seed(1)
        model = NaiveSequential([NaiveDense(6, 5, tf.nn.relu), NaiveDense(5, 3, tf.nn.softmax)])
        x = tf.random.normal((20, 6))
        for _ in range(3):
            one_training_step(model, x, np.arange(20) % 3, update_weights)
        models.append(model)
    for a, b in zip(models[0].weights, models[1].weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_linear_classifier():
    """Two clouds, mean squared error, weights updated by hand: the book's third chapter."""
    rng = np.random.default_rng(0)
    negative = rng.multivariate_normal([0, 3], [[1, 0.5], [0.5, 1]], 500)
    positive = rng.multivariate_normal([3, 0], [[1, 0.5], [0.5, 1]], 500)
    inputs = np.vstack((negative, positive)).astype(np.float32)
    targets = np.vstack((np.zeros((500, 1), "float32"), np.ones((500, 1), "float32")))
    w = tf.Variable(initial_value=tf.random.uniform(shape=(2, 1)))
    b = tf.Variable(initial_value=tf.zeros(shape=(1,)))
    for _ in range(40):
        with tf.GradientTape() as tape:
            predictions = tf.matmul(inputs, w) + b
            loss = tf.reduce_mean(tf.square(targets - predictions))
        grad_w, grad_b = tape.gradient(loss, [w, b])
        w.assign_sub(grad_w * 0.1)
        b.assign_sub(grad_b * 0.1)
    assert float(loss) < 0.05
    assert np.mean((predictions[:, 0] > 0.5).numpy() == targets[:, 0].astype(bool)) > 0.99
    x = np.linspace(-1, 4, 100)
    line = -w[0] / w[1] * x + (0.5 - b) / w[1]
    assert line.shape == (100,)


def test_the_names_of_keras():
    assert tf.keras is tf
    import fastnn.keras
    from fastnn.keras import layers
    from fastnn.keras.layers import Dense

    assert fastnn.keras is tf
    assert layers is tf.layers
    assert Dense is tf.layers.Dense


POINTS = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])


def rotation(degrees):
    angle = tf.constant(np.float64(np.radians(degrees)))
    row = tf.stack([tf.cos(angle), -tf.sin(angle)])
    return tf.stack([row, tf.stack([tf.sin(angle), tf.cos(angle)])])


def test_geometry():
    """Translation, rotation, scaling, linear and affine maps of points in the plane."""
    points = tf.constant(POINTS)
    np.testing.assert_allclose(points + [1.0, 2.0], POINTS + [1, 2])
    quarter = tf.matmul(points, rotation(90), transpose_b=True)
    np.testing.assert_allclose(quarter, [[0, 1], [-1, 0], [1, 2]], atol=1e-15)
    twice = tf.dot(rotation(30), rotation(60))
    np.testing.assert_allclose(twice, rotation(90), atol=1e-15)
    scaled = points @ np.diag([2.0, 0.5])
    np.testing.assert_allclose(scaled, [[2, 0], [0, 0.5], [4, -0.5]])
    shear = np.array([[1.0, 0.5], [0.0, 1.0]])
    affine = tf.matmul(points, shear, transpose_b=True) + [3.0, 0.0]
    np.testing.assert_allclose(affine, [[4, 0], [3.5, 1], [4.5, -1]])


def test_affine_layers_collapse_without_an_activation():
    """W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2); with relu between them no such map exists."""
    first, second = tf.layers.Dense(7), tf.layers.Dense(3)
    x = tf.random.normal((50, 4))
    y = second(first(x))
    kernel = tf.matmul(first.kernel, second.kernel)
    bias = tf.matmul(first.bias, second.kernel) + second.bias
    np.testing.assert_allclose(x @ kernel + bias, y, atol=1e-5)
    # An affine map sends the middle of two points to the middle of their images.
    bent = second(tf.relu(first(x)))
    middle = second(tf.relu(first((x[:25] + x[25:]) / 2)))
    assert np.abs(middle - (bent[:25] + bent[25:]) / 2).max() > 0.1
    straight = second(first((x[:25] + x[25:]) / 2))
    np.testing.assert_allclose(straight, (y[:25] + y[25:]) / 2, atol=1e-5)
