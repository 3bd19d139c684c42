"""PyDataset: data that come batch by batch, by their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class PyDataset:
    """Base class of data that `fit` asks for batch after batch, in every epoch anew.

    A subclass defines ``__len__``, the number of batches, and ``__getitem__``, which gives one as
    (x, y) or (x, y, sample_weight). It may define `on_epoch_begin` and `on_epoch_end`, to be told,
    say to draw a new order.

    Parameters
    ----------
    workers, use_multiprocessing, max_queue_size
        Without effect: batches are made one by one, when they are needed.

    Examples
    --------
    >>> import fastnn
    >>> import numpy as np
    >>> class Squares(fastnn.utils.PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         x = np.arange(4.0).reshape(4, 1) + index
    ...         return x, x**2
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> model.fit(Squares(), epochs=2, verbose=0).epoch
    [0, 1]
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers, self.use_multiprocessing = workers, use_multiprocessing
        self.max_queue_size = max_queue_size

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__(self)")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index)")

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def on_epoch_begin(self) -> None:
        """Called before every epoch; for subclasses."""

    def on_epoch_end(self) -> None:
        """Called after every epoch; for subclasses."""
