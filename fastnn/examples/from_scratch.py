"""A network and its training loop, written by hand from fastnn's smallest parts.

This is what `layers.Dense`, `Sequential` and `fit` do, step by step. It follows the end of chapter
2 of François Chollet's "Deep Learning with Python" (2nd edition, 2021), and ``tf`` means fastnn.

Examples
--------
>>> import fastnn as tf
>>> from fastnn.examples.from_scratch import NaiveDense, NaiveSequential
>>> model = NaiveSequential([NaiveDense(4, 3, tf.nn.relu), NaiveDense(3, 2, tf.nn.softmax)])
>>> model(tf.ones((5, 4))).shape
(5, 2)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

import numpy as np

import fastnn as tf
from fastnn.arrays import Array
from fastnn.optimizers import Optimizer
from fastnn.tensor import TensorLike


class NaiveDense:
    """activation(inputs @ W + b).

    Parameters
    ----------
    input_size : int
        The length of each input row.
    output_size : int
        The length of each output row.
    activation : callable
        For example ``tf.nn.relu``.

    Attributes
    ----------
    W : Variable of shape (input_size, output_size)
    b : Variable of shape (output_size,)
    """

    def __init__(
        self, input_size: int, output_size: int, activation: Callable[[tf.Tensor], tf.Tensor]
    ) -> None:
        # Units that start equal would stay equal, hence the random numbers. At this scale,
        # Glorot's, neither outputs nor gradients grow or shrink much from layer to layer.
        limit = math.sqrt(6 / (input_size + output_size))
        self.W = tf.Variable(tf.random.uniform((input_size, output_size), -limit, limit))
        self.b = tf.Variable(tf.zeros((output_size,)))
        self.activation = activation

    def __call__(self, inputs: TensorLike) -> tf.Tensor:
        return self.activation(tf.matmul(inputs, self.W) + self.b)

    @property
    def weights(self) -> list[tf.Variable]:
        """What training changes."""
        return [self.W, self.b]


class NaiveSequential:
    """Layers, each fed with the output of the one before.

    Parameters
    ----------
    layers : list of NaiveDense
    """

    def __init__(self, layers: Sequence[NaiveDense]) -> None:
        self.layers = layers

    def __call__(self, inputs: TensorLike) -> tf.Tensor:
        x: tf.Tensor = inputs
        for layer in self.layers:
            x = layer(x)
        return x

    @property
    def weights(self) -> list[tf.Variable]:
        """The weights of all layers, in order."""
        return [w for layer in self.layers for w in layer.weights]


class BatchGenerator:
    """Images and labels, some at a time: iterate over it for one epoch, in a new order each time.

    Parameters
    ----------
    images, labels : arrays
        Of equal length.
    batch_size : int, default 128
        The last batch is shorter where it does not divide the number of images.

    Raises
    ------
    ValueError
        If there is not one label for each image.
    """

    def __init__(self, images: Array, labels: Array, batch_size: int = 128) -> None:
        if len(images) != len(labels):
            raise ValueError(
                f"images has {len(images)} samples and labels has {len(labels)}; give one label "
                "for each image"
            )
        self.images = images
        self.labels = labels
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        # Neighbours may be alike; in random order each batch is a small likeness of the whole.
        order = tf.random.shuffle(np.arange(len(self.images))).numpy()
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            yield self.images[batch], self.labels[batch]


def update_weights(
    gradients: Sequence[tf.Tensor], weights: Sequence[tf.Variable], optimizer: Optimizer
) -> None:
    """Move each weight against its gradient, by the rule of the optimizer."""
    optimizer.apply_gradients(zip(gradients, weights, strict=True))


def one_training_step(
    model: NaiveSequential, images_batch: Array, labels_batch: Array, optimizer: Optimizer
) -> tf.Tensor:
    """Measure the loss on one batch, and change the weights to lessen it.

    Parameters
    ----------
    model : NaiveSequential
        Its last activation is softmax.
    images_batch : array of shape (n, inputs)
    labels_batch : array of shape (n,)
        Whole numbers from 0.
    optimizer : Optimizer

    Returns
    -------
    Tensor
        The mean loss, as it was before the change.
    """
    with tf.GradientTape() as tape:
        predictions = model(images_batch)
        per_sample_losses = tf.losses.sparse_categorical_crossentropy(labels_batch, predictions)
        average_loss = tf.reduce_mean(per_sample_losses)
    gradients = tape.gradient(average_loss, model.weights)
    update_weights(gradients, model.weights, optimizer)
    return average_loss


def accuracy(model: NaiveSequential, images: Array, labels: Array) -> float:
    """The share of the images for which the most probable class is the label."""
    predicted_labels = np.argmax(model(images).numpy(), axis=1)
    return float(np.mean(predicted_labels == labels))


def fit(
    model: NaiveSequential,
    images: Array,
    labels: Array,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int = 128,
    validation_data: tuple[Array, Array] | None = None,
) -> dict[str, list[float]]:
    """Go through all the images once for each epoch.

    Parameters
    ----------
    model, images, labels, optimizer
        As for `one_training_step`, but all the images.
    epochs : int
    batch_size : int, default 128
    validation_data : (images, labels), optional
        Their accuracy is measured after each epoch.

    Returns
    -------
    dict of list of float
        By epoch: "loss", the mean over the batches, and "val_accuracy" if there are such data.
    """
    history: dict[str, list[float]] = {}
    for epoch in range(epochs):
        batches = BatchGenerator(images, labels, batch_size)
        losses = [float(one_training_step(model, *batch, optimizer)) for batch in batches]
        averages = {"loss": fmean(losses)}
        if validation_data is not None:
            averages["val_accuracy"] = accuracy(model, *validation_data)
        for name, value in averages.items():
            history.setdefault(name, []).append(value)
        values = "".join(f" - {name}: {value:.4f}" for name, value in averages.items())
        print(f"Epoch {epoch + 1}/{epochs}{values}", flush=True)
    return history
