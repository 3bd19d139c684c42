"""One picture of how a classifier of images was trained and where it errs. Needs matplotlib."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fastnn.arrays import Array
from fastnn.ops.labels import to_classes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

History: TypeAlias = Mapping[str, Sequence[float]]

RIGHT, WRONG = "tab:blue", "tab:red"
ROWS, WRONG_ROWS, COLUMNS = 5, 2, 6


def training_report(
    path: str | os.PathLike[str],
    history: History,
    images: Array,
    labels: Array,
    predictions: Array,
) -> None:
    """Draw training curves, some images with their labels, and the confusion matrix.

    Parameters
    ----------
    path : str or path
        The file to write, in the format that its suffix names.
    history : dict of list of float
        By epoch, as in ``fit(...).history``: "loss", "accuracy", and the same with "val_" in front
        for test data. What there is of these is drawn.
    images : array of shape (n, height, width)
    labels : array of shape (n,)
        The true classes, whole numbers from 0.
    predictions : array of shape (n, classes)
        Probabilities, as ``predict`` returns them.

    Raises
    ------
    ImportError, OSError, ValueError
        As for `writable`; ValueError also if the arrays do not fit each other. Nothing is written.

    Examples
    --------
    >>> from fastnn import plot
    >>> plot.training_report(
    ...     "report.png", report.history, x_test, y_test, model.predict(x_test)
    ... )  # doctest: +SKIP
    """
    file = writable(path)
    ranks = (images.ndim, labels.ndim, predictions.ndim)
    if ranks != (3, 1, 2) or not 0 < len(images) == len(labels) == len(predictions):
        raise ValueError(
            f"images has shape {images.shape}, labels {labels.shape} and predictions "
            f"{predictions.shape}; they must be (n, height, width), (n,) and (n, classes), with n "
            "above 0"
        )
    labels = to_classes(labels, predictions.shape[1]).numpy()
    figure = new_figure(17, 6.4)
    curves, digits, matrix = figure.subfigures(
        1, 3, squeeze=False, wspace=0.03, width_ratios=(3, 4.4, 4.4)
    ).flat
    _draw_curves(curves, history)
    _draw_images(digits, images, labels, predictions)
    _draw_confusion(matrix, _confusion(labels, predictions))
    figure.savefig(file, dpi=120, bbox_inches="tight", pad_inches=0.2)


def writable(path: str | os.PathLike[str]) -> str:
    """`path`, if a picture can be written there; ask before a training that ends in a picture.

    Raises
    ------
    ImportError
        If there is no matplotlib.
    OSError
        If the folder does not exist or does not let us write.
    ValueError
        If the suffix names no format of pictures.
    """
    formats = new_figure().canvas.get_supported_filetypes()
    file = Path(path)
    if file.suffix[1:].lower() not in formats:
        raise ValueError(f"{file} does not end in a format of pictures; use .png, .pdf or .svg")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"the folder {file.parent} does not exist; make it first")
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise PermissionError(f"{file} cannot be written; choose another file")
    return str(file)


def new_figure(width: float = 8, height: float = 6) -> Figure:
    """An empty figure of so many inches; ImportError if there is no matplotlib."""
    try:
        # A Figure by itself: pyplot would keep it in a global list and may want a display.
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('a picture needs matplotlib: pip install "fastnn[plot]"') from error
    return Figure(figsize=(width, height), layout="constrained")


def _draw_curves(figure: SubFigure, history: History) -> None:
    measures = [name for name in ("loss", "accuracy") if {name, f"val_{name}"} & set(history)]
    figure.suptitle("Training", weight="bold")
    for row, measure in enumerate(measures):
        axes = figure.add_subplot(len(measures), 1, row + 1)
        for name, label, color in ((measure, "training", RIGHT), (f"val_{measure}", "test", WRONG)):
            if name in history:
                epochs = range(1, len(history[name]) + 1)
                axes.plot(epochs, history[name], "o-", markersize=4, label=label, color=color)
        axes.set_ylabel(measure)
        axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        axes.set_xlabel("epoch")


def _draw_images(figure: SubFigure, images: Array, labels: Array, predictions: Array) -> None:
    predicted = predictions.argmax(axis=1)
    figure.suptitle("Test images: prediction (true label)", weight="bold")
    # One set of axes for all: thirty take seconds to lay out.
    axes: Axes = figure.subplots()
    height, width = images.shape[1:]
    for place, index in enumerate(_some(predicted == labels)):
        row, column = divmod(place, COLUMNS)
        left, bottom = column * 1.1 * width, -row * 1.32 * height
        color = RIGHT if predicted[index] == labels[index] else WRONG
        title = f"{predicted[index]} ({labels[index]})"
        axes.imshow(images[index], "gray_r", extent=(left, left + width, bottom, bottom + height))
        axes.text(left + width / 2, bottom + height, title, color=color, ha="center", va="bottom")
    axes.set(xlim=(0, COLUMNS * 1.1 * width), ylim=(-(ROWS - 1) * 1.32 * height, 1.32 * height))
    axes.set_axis_off()


def _some(right: Array) -> Array:
    """The indices of the samples to show: right ones, then wrong ones."""
    wrong = np.flatnonzero(~right)[: WRONG_ROWS * COLUMNS]
    return np.concatenate([np.flatnonzero(right)[: ROWS * COLUMNS - len(wrong)], wrong])


def _confusion(labels: Array, predictions: Array) -> Array:
    """How many samples of each class (row) were taken for each class (column)."""
    classes = predictions.shape[1]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predictions.argmax(axis=1)), 1)
    return counts


def _draw_confusion(figure: SubFigure, counts: Array) -> None:
    """The counts, on a scale of blue for right answers and one of red for mistakes."""
    total, right = int(counts.sum()), int(counts.trace())
    figure.suptitle(f"Confusion: {right} of {total} right ({right / total:.2%})", weight="bold")
    diagonal = np.eye(len(counts), dtype=bool)
    # On one scale with the right answers, mistakes would all look like zero.
    most = np.where(diagonal, counts.sum(axis=1, keepdims=True), counts[~diagonal].max(initial=1))
    shades = counts / np.maximum(most, 1)
    axes: Axes = figure.subplots()
    axes.imshow(np.ma.masked_array(shades, diagonal), cmap="Reds", vmin=0, vmax=1.2)
    axes.imshow(np.ma.masked_array(shades, ~diagonal), cmap="Blues", vmin=0, vmax=1.2)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xticks(range(len(counts)))
    axes.set_yticks(range(len(counts)))
    for row, column in np.argwhere(counts):
        color = "white" if shades[row, column] > 0.6 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color)
