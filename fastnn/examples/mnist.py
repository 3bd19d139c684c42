"""Train a network of 784-512-10 units on MNIST and say how well it reads digits it has never seen.

Run it as ``python -m fastnn.examples.mnist``; ``--help`` lists the options.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import numpy as np

from fastnn import isa, nn, optimizers, plot, utils
from fastnn.arrays import Array
from fastnn.datasets import mnist
from fastnn.examples import from_scratch
from fastnn.examples.from_scratch import NaiveDense, NaiveSequential
from fastnn.layers import Dense
from fastnn.models import Sequential
from fastnn.optimizers import SGD, Optimizer

T = TypeVar("T")
Split: TypeAlias = tuple[Array, Array]
History: TypeAlias = dict[str, list[float]]

# SGD's own default, 0.01, is slow on this problem: it needs many more epochs for the same accuracy.
SGD_RATE = 0.2


def main(argv: Sequence[str] | None = None) -> float:
    """Train, print a summary, and draw a picture if asked for one.

    Parameters
    ----------
    argv : sequence of str, optional
        The options; by default those of the command line.

    Returns
    -------
    float
        The accuracy on the test images.

    Raises
    ------
    SystemExit
        If an option is wrong; nothing has been downloaded or trained then.
    """
    options = parse(argv)
    utils.set_random_seed(options.seed)
    train, test = load()
    # Only the picture needs the accuracy after each epoch, which takes time to measure.
    watched = test if options.plot else None
    start = time.perf_counter()
    fit = fit_from_scratch if options.from_scratch else fit_sequential
    model, history = fit(train, watched, options.optimizer, options.epochs, options.batch_size)
    seconds = time.perf_counter() - start
    images, labels = test
    probabilities = model(images).numpy()
    accuracy = float(np.mean(probabilities.argmax(axis=1) == labels))
    print(f"Test accuracy {accuracy:.4f}, {seconds:.1f} s of training, instruction set {isa()}")
    if options.plot:
        pictures = images.reshape(-1, 28, 28)
        plot.training_report(options.plot, history, pictures, labels, probabilities)
        print(f"Picture written to {options.plot}")
    return accuracy


def load() -> tuple[Split, Split]:
    """Images as rows of floats from 0 to 1, with labels: all of MNIST or else the sample of it."""
    try:
        splits = mnist.load_data()
    except (ImportError, OSError, ValueError) as error:
        print(f"The full MNIST is not available: {error}\nUsing the small sample instead.")
        splits = mnist.load_sample()
    (train_images, train_labels), (test_images, test_labels) = splits
    print(f"{len(train_images)} images to train on, {len(test_images)} to test on", flush=True)
    return (_rows(train_images), train_labels), (_rows(test_images), test_labels)


def _rows(images: Array) -> Array:
    return images.reshape(len(images), -1).astype(np.float32) / 255


def fit_sequential(
    train: Split, test: Split | None, optimizer: Optimizer, epochs: int, batch_size: int
) -> tuple[Sequential, History]:
    """The network as a Keras user writes it."""
    model = Sequential([Dense(512, activation="relu"), Dense(10, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    report = model.fit(*train, batch_size, epochs, validation_data=test)
    return model, report.history


def fit_from_scratch(
    train: Split, test: Split | None, optimizer: Optimizer, epochs: int, batch_size: int
) -> tuple[NaiveSequential, History]:
    """The same network, from parts that are written by hand."""
    model = NaiveSequential([NaiveDense(784, 512, nn.relu), NaiveDense(512, 10, nn.softmax)])
    return model, from_scratch.fit(model, *train, optimizer, epochs, batch_size, test)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked, with the defaults that suit the way of training."""
    parser = argparse.ArgumentParser(
        prog="python -m fastnn.examples.mnist",
        description="Train a network of 784-512-10 units on MNIST.",
    )
    add = parser.add_argument
    add("--epochs", type=_shown(_positive), help="default 5, or 10 with --from-scratch")
    add("--batch-size", type=_shown(_positive), default=128, help="default 128")
    names = f"the name of one, as adam, rmsprop or sgd (with learning rate {SGD_RATE})"
    default = "default rmsprop, or sgd with --from-scratch"
    add("--optimizer", type=_shown(_optimizer), help=f"{names}; {default}")
    add("--seed", type=_shown(_not_negative), default=0, help="default 0")
    add("--from-scratch", action="store_true", help="use a network and a loop written by hand")
    add("--plot", type=_shown(plot.writable), metavar="FILE", help="draw a picture (PNG, PDF, ...)")
    options = parser.parse_args(argv)
    epochs, optimizer = (10, "sgd") if options.from_scratch else (5, "rmsprop")
    options.epochs = options.epochs or epochs
    options.optimizer = options.optimizer or _optimizer(optimizer)
    return options


def _shown(convert: Callable[[str], T]) -> Callable[[str], T]:
    """`convert` for argparse, which shows the message of this one kind of error only."""

    def converted(text: str) -> T:
        try:
            return convert(text)
        except (ImportError, OSError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return converted


def _optimizer(name: str) -> Optimizer:
    chosen = optimizers.get(name)
    if isinstance(chosen, SGD):
        chosen.learning_rate = SGD_RATE
    return chosen


def _positive(text: str) -> int:
    return _whole(text, 1)


def _not_negative(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"give a whole number of {least} or more, not {text!r}")
    return int(text)


if __name__ == "__main__":
    main()
