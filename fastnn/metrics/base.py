"""Metric: what is measured batch by batch, and reported as one number for all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from fastnn.arrays import DType, Shape, to_dtype
from fastnn.configuration import Configurable
from fastnn.initializers import Start
from fastnn.naming import unique_name
from fastnn.recorders import refuse_in_a_trace
from fastnn.tensor import zeros
from fastnn.trace import paused
from fastnn.variable import Variable, all_or_nothing


class Metric(Configurable):
    """Base class of all metrics, and of your own.

    A subclass makes its variables in ``__init__`` with `add_weight`, assigns to them in
    ``update_state(y_true, y_pred, sample_weight=None)``, and computes ``result()`` from them. `fit`
    resets them at the beginning of each epoch, and runs `update_state` in its compiled step: it
    must compute with ops and tensors alone.

    Parameters
    ----------
    name : str, optional
        What it is reported as; by default made from the class.
    dtype : dtype, default float32
        Of variables that are not given another.

    Examples
    --------
    >>> import fastnn
    >>> class LargestError(fastnn.metrics.Metric):
    ...     def __init__(self, name="largest_error", **options):
    ...         super().__init__(name=name, **options)
    ...         self.largest = self.add_weight(name="largest", initializer="zeros")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         error = fastnn.reduce_max(abs(y_pred - y_true))
    ...         self.largest.assign(fastnn.maximum(self.largest, error))
    ...     def result(self):
    ...         return self.largest.value
    >>> metric = LargestError()
    >>> metric.update_state(fastnn.constant([1.0, 2.0]), fastnn.constant([1.5, 2.0]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name: str | None = None, dtype: DType = None) -> None:
        refuse_in_a_trace("metric")
        self.name = name or unique_name(type(self))
        self.dtype = to_dtype(dtype, floating=True).name
        self._variables: list[Variable] = []

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A sum without its count would be worth nothing.
        for name in {"reset_state", "update_state"} & vars(cls).keys():
            setattr(cls, name, _whole(vars(cls)[name]))

    def __getattr__(self, name: str) -> Any:
        begun = "_variables" in vars(self)
        hint = "" if begun else "; its __init__ must begin with super().__init__()"
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def add_variable(
        self,
        shape: Shape = (),
        initializer: str | Start | None = None,
        dtype: DType = None,
        name: str | None = None,
    ) -> Variable:
        """A new variable, which no optimizer changes.

        Parameters
        ----------
        shape : tuple of int, default ()
        initializer : str or callable, default "zeros"
        dtype : dtype, optional
            By default the metric's.
        name : str, default "variable"

        Raises
        ------
        ValueError
            If the initializer is unknown.
        """
        start = "zeros" if initializer is None else initializer
        with paused():  # it is the metric's, and so the same in all runs
            variable = Variable(start, False, dtype or self.dtype, name or "variable", shape)
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    add_weight = add_variable

    @property
    def variables(self) -> list[Variable]:
        """The state: the metric's own variables, then those of metrics among its attributes."""
        inside = [part for part in vars(self).values() if isinstance(part, Metric)]
        return self._variables + [v for metric in inside for v in metric.variables]

    def reset_state(self) -> None:
        """Forget all batches: zeros in every variable."""
        with all_or_nothing():
            for variable in self.variables:
                variable.assign(zeros(variable.shape, variable.dtype))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch into account; for subclasses to define."""
        raise NotImplementedError(
            f"{type(self).__name__} must define update_state(self, y_true, y_pred, "
            "sample_weight=None)"
        )

    def result(self) -> Any:
        """The value over all batches since the last reset; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} must define result(self)")

    def _require(self, variables: object) -> None:
        """ValueError if the first batch, which says what they are like, has not come yet."""
        if not variables:
            raise ValueError(
                f"the metric {self.name!r} has no result before the first batch: call update_state "
                "first"
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`update_state`, then `result`."""
        self.update_state(*args, **kwargs)
        return self.result()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _whole(method: Callable[..., None]) -> Callable[..., None]:
    @wraps(method)
    def whole(*args: Any, **kwargs: Any) -> None:
        with all_or_nothing():
            method(*args, **kwargs)

    return whole
