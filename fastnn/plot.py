"""One picture of how a classifier of images was trained and where it errs. Needs matplotlib."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fastnn.tensor import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

History: TypeAlias = Mapping[str, Sequence[float]]

RIGHT, WRONG = "tab:blue", "tab:red"
ROWS, COLUMNS = 5, 6


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
        By epoch: "loss", "accuracy", and the same with "val_" in front for test data; what there is of
        these is drawn. It is what ``fit(...).history`` holds.
    images : array of shape (n, height, width)
    labels : array of shape (n,)
        The true classes, whole numbers from 0.
    predictions : array of shape (n, classes)
        Probabilities, as ``predict`` returns them.

    Raises
    ------
    ImportError, OSError, ValueError
        As for `writable`; ValueError also if the arrays do not fit each other.

    Examples
    --------
    >>> from fastnn import plot
    >>> plot.training_report(
    ...     "report.png", report.history, x_test, y_test, model.predict(x_test)
    ... )  # doctest: +SKIP
    """
    file = writable(path)
    if predictions.ndim != 2 or not len(images) == len(labels) == len(predictions):
        raise ValueError(
            f"images has shape {images.shape}, labels {labels.shape} and predictions "
            f"{predictions.shape}; give n images, n labels and predictions of shape (n, classes)"
        )
    figure = _new_figure()
    curves, digits, matrix = figure.subfigures(1, 3, width_ratios=(3, 4.4, 4.4))
    _draw_curves(curves, history)
    _draw_images(digits, images, labels, predictions)
    _draw_confusion(matrix, _confusion(labels, predictions))
    figure.savefig(file, dpi=120)


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
    formats = _new_figure().canvas.get_supported_filetypes()
    file = Path(path)
    if file.suffix[1:].lower() not in formats:
        raise ValueError(f"{file} does not end in a format of pictures; use .png, .pdf or .svg")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"the folder {file.parent} does not exist; make it first")
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise PermissionError(f"{file} cannot be written; choose another file")
    return str(file)


def _new_figure() -> Figure:
    try:
        # A Figure by itself: pyplot would keep it in a global list and may want a display.
        from matplotlib.figure import Figure  # optional, and slow to import
    except ImportError as error:
        raise ImportError('a picture needs matplotlib: pip install "fastnn[plot]"') from error
    return Figure(figsize=(17, 6.4), layout="constrained")


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
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        axes.set_xlabel("epoch")


def _draw_images(figure: SubFigure, images: Array, labels: Array, predictions: Array) -> None:
    predicted = predictions.argmax(axis=1)
    chosen = _some(predicted == labels, ROWS * COLUMNS)
    figure.suptitle("Test images, with the prediction", weight="bold")
    for index, axes in zip(chosen, figure.subplots(ROWS, COLUMNS).flat, strict=False):
        axes.imshow(images[index], cmap="gray_r")
        right = predicted[index] == labels[index]
        title = f"{predicted[index]}" if right else f"{predicted[index]}, not {labels[index]}"
        axes.set_title(title, color=RIGHT if right else WRONG, size=10, pad=3)
    for axes in figure.axes:
        axes.set_axis_off()


def _some(right: Array, count: int) -> Array:
    """The indices of `count` samples, right ones first, about half of them wrong if so many are."""
    wrong = np.flatnonzero(~right)[: count // 2]
    return np.concatenate([np.flatnonzero(right)[: count - len(wrong)], wrong])


def _confusion(labels: Array, predictions: Array) -> Array:
    """How many samples of each class (row) were taken for each class (column)."""
    classes = predictions.shape[1]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predictions.argmax(axis=1)), 1)
    return counts


def _draw_confusion(figure: SubFigure, counts: Array) -> None:
    """The counts, shaded: right answers in blue, mistakes in red by how frequent they are."""
    total, right = int(counts.sum()), int(counts.trace())
    figure.suptitle(f"Confusion: {right} of {total} right ({right / total:.2%})", weight="bold")
    axes: Axes = figure.subplots()
    diagonal = np.eye(len(counts), dtype=bool)
    # On one scale with the right answers, mistakes would all look like zero.
    axes.imshow(np.ma.masked_array(counts, diagonal), cmap="Reds", vmin=0)
    axes.imshow(np.ma.masked_array(counts, ~diagonal), cmap="Blues", vmin=0)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_xticks(range(len(counts)))
    axes.set_yticks(range(len(counts)))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axes.text(column, row, str(count), ha="center", va="center", size=9)
