"""Data in two parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import random
from fastnn.structure import Structure, filled, leaves


def split_dataset(
    dataset: Structure,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: random.Seed = None,
) -> tuple[Structure, Structure]:
    """Split arrays along their first axis into two parts, as for training and for validation.

    Keras makes data sets of TensorFlow or PyTorch of the parts; here they are arrays in the same
    lists, tuples or dicts as those that came in, which `fit` takes.

    Parameters
    ----------
    dataset : array, or arrays of one length in lists, tuples or dicts
    left_size, right_size : float or int, optional
        The part of the data, between 0 and 1, or the number of samples; by default what the
        other leaves. The left part is the first of the data, the right part the last.
    shuffle : bool, default False
        Draw the samples at random. The parts are then copies, otherwise views.
    seed : int or SeedGenerator, optional
        Shuffle with this instead of the common generator.

    Returns
    -------
    left, right

    Raises
    ------
    TypeError
        If there is something else than arrays in the data set, or a size is no number.
    ValueError
        If lengths differ, no size is given, or the sizes do not fit the data.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.utils import split_dataset
    >>> x, y = np.arange(10).reshape(5, 2), np.arange(5)
    >>> (x_train, y_train), (x_val, y_val) = split_dataset((x, y), left_size=0.6)
    >>> y_train, y_val
    (array([0, 1, 2]), array([3, 4]))
    """
    arrays = [_as_array(i, leaf) for i, leaf in enumerate(leaves(dataset))]
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1:
        raise ValueError(
            f"dataset has arrays of {sorted(lengths) or 'no'} samples; it must have at least one "
            "array, and all of one length"
        )
    (count,) = lengths
    left, right = _sizes(left_size, right_size, count)
    first: Any = slice(left)
    last: Any = slice(count - right, None)
    if shuffle:
        order = random.order(count, seed)
        first, last = order[first], order[last]
    return (
        filled(dataset, (array[first] for array in arrays)),
        filled(dataset, (array[last] for array in arrays)),
    )


def _as_array(i: int, leaf: Any) -> Any:
    if not hasattr(leaf, "__array__") or np.ndim(leaf) == 0:
        raise TypeError(f"part {i} of dataset is a {type(leaf).__name__}; it must be an array")
    return np.asarray(leaf)


def _sizes(left: float | None, right: float | None, count: int) -> tuple[int, int]:
    first, last = _size("left_size", left, count), _size("right_size", right, count)
    if first is None:
        if last is None:
            raise ValueError("neither left_size nor right_size is given; give one")
        first = count - last
    elif last is None:
        last = count - first
    if first < 1 or last < 1 or first + last > count:
        raise ValueError(
            f"left_size {left} and right_size {right} make parts of {first} and {last} of {count} "
            "samples; both must have at least one, and together no more than there are"
        )
    return first, last


def _size(name: str, size: float | None, count: int) -> int | None:
    """The number of samples that a size means."""
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int | float | np.integer | np.floating):
        raise TypeError(f"{name} is a {type(size).__name__}; it must be a float, an int or None")
    whole = isinstance(size, int | np.integer)
    if not 0 < size < (count if whole else 1):
        raise ValueError(
            f"{name} is {size}; it must be a float between 0 and 1, or an int between 0 and the "
            f"number of samples, {count}, without the bounds"
        )
    return int(size) if whole else round(float(size) * count)
