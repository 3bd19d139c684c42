"""Model and Sequential: compile, fit, evaluate, predict."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from fastnn import _kernels, losses, ops, optimizers, random
from fastnn._kernels import CompressedRows
from fastnn.arrays import Array
from fastnn.function import KEPT
from fastnn.layers.base import Layer, unbuilt_again_on_failure
from fastnn.layers.dense import Dense
from fastnn.loop import (
    Advance,
    CompiledLoop,
    EagerLoop,
    Loop,
    Outcome,
    Results,
    Step,
    kind_of,
)
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.metrics import get as get_metric
from fastnn.optimizers import Optimizer
from fastnn.progress import Progress, Verbose
from fastnn.sparse import Samples, to_samples, without_zeros
from fastnn.tape import GradientTape
from fastnn.tensor import Tensor, TensorLike, to_array
from fastnn.trace import TraceError

Logs = dict[str, float]
Checked = TypeVar("Checked", Array, Samples)


class History:
    """What `fit` reports: the averages of each epoch.

    Attributes
    ----------
    history : dict of list of float
        "loss", each metric, and the same with "val_" in front where there was validation data.
    epoch : list of int
    params : dict
        "epochs", "steps" (batches in an epoch) and "verbose".
    """

    def __init__(self, params: dict[str, Any]) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.params = params

    def add(self, epoch: int, logs: Logs) -> None:
        """Append the averages of one epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)


class Model(Layer):
    """A layer that can be trained: the base of `Sequential`."""

    def __init__(self, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        self.optimizer: Optimizer | None = None
        self.loss: Loss | None = None
        self.metrics: dict[str, Metric] = {}
        self.run_eagerly = False
        self._loops: OrderedDict[object, Loop] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_loops": OrderedDict()}  # programs are made anew where it is used

    def compile(
        self,
        optimizer: str | type[Optimizer] | Optimizer = "rmsprop",
        loss: str | Loss | None = None,
        metrics: Sequence[str | Metric] | None = None,
        run_eagerly: bool = False,
    ) -> None:
        """Choose how to train; weights stay as they are.

        `fit`, `evaluate` and `predict` run their step as a program in C. It is recorded when they
        are first called after `compile`: what is then changed in the optimizer (but for its
        learning rate), the loss or a layer's attributes counts after another `compile`.

        Parameters
        ----------
        optimizer : str, class or Optimizer, default "rmsprop"
        loss : str or callable(y_true, y_pred)
        metrics : list of str or callable(y_true, y_pred), optional
            Each is reported under the name given here.
        run_eagerly : bool, default False
            Run every step op by op in Python, with the same bits: to look at values on the way.

        Raises
        ------
        ValueError
            If a name is unknown.
        """
        if isinstance(metrics, str):
            raise ValueError(f"metrics must be a list: write metrics=[{metrics!r}]")
        chosen = optimizers.get(optimizer)
        chosen_loss = None if loss is None else losses.get(loss)
        names = [_metric_name(m) for m in metrics or ()]
        if len(set(names)) < len(names):
            raise ValueError(f"two metrics have one name in {names}; give each function its own")
        chosen_metrics = [get_metric(m) for m in metrics or ()]
        self.metrics = dict(zip(names, chosen_metrics, strict=True))
        self.optimizer, self.loss, self.run_eagerly = chosen, chosen_loss, bool(run_eagerly)
        self._loops.clear()

    def fit(
        self,
        x: TensorLike,
        y: TensorLike,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbose = "auto",
        validation_split: float = 0.0,
        validation_data: tuple[TensorLike, TensorLike] | None = None,
        shuffle: bool = True,
    ) -> History:
        """Train.

        Parameters
        ----------
        x : array of shape (n, ...), or matrix of scipy.sparse
            Inputs of any numeric dtype; each batch is converted as it is used.
        y : array of shape (n, ...)
            Targets.
        batch_size : int, default 32
            The last batch of an epoch may be shorter.
        epochs : int, default 1
        verbose : "auto", 0, 1 or 2
            0 is silent, 2 prints a line for each epoch; 1 and "auto" show a bar on a terminal.
        validation_split : float in [0, 1), default 0
            This last share of the samples, taken before shuffling, is held back for validation.
        validation_data : (x, y), optional
            Evaluated after each epoch; takes precedence over `validation_split`.
        shuffle : bool, default True
            Draw the samples in a new order in each epoch.

        Returns
        -------
        History
            Losses and metrics are averages over the samples of an epoch, each batch being measured
            before its update.

        Raises
        ------
        ValueError
            If the model is not compiled, or the data do not fit the model, the loss or each other.
            The weights are unchanged then.
        TypeError
            If the data are not real numbers.

        Notes
        -----
        Class labels are checked to the last one beforehand, if the loss is fastnn's own; a function
        of yours may refuse a later batch, after the batches before it have changed the weights.

        A loss, metric or layer that looks at values (``float(y)``, NumPy's functions) cannot become
        part of a program: the steps then run op by op, after one warning.

        Where the model begins with a `Dense` and most elements of x are zero, they are left out of
        the products, which gives the same bits in less time.
        """
        size = _count("batch_size", 32 if batch_size is None else batch_size)
        epochs = _count("epochs", epochs)
        progress = Progress(verbose)
        inputs, targets = self._checked(x, y)
        validation = None
        if validation_data is not None:
            validation = self._checked(*_pair(validation_data), "val_")
        elif validation_split != 0:
            inputs, targets, validation = _split(inputs, targets, validation_split)
        inputs = self._prepared(inputs, passes=2 * epochs)
        if validation is not None:
            validation = self._prepared(validation[0], passes=epochs), validation[1]
        steps = -(-len(inputs) // size)
        loop = self._loop(self._train_step, inputs, targets, size)
        measuring = None
        if validation is not None:
            measuring = self._loop(self._test_step, *validation, size)
        history = History({"epochs": epochs, "steps": steps, "verbose": verbose})
        for epoch in range(epochs):
            title = f"Epoch {epoch + 1}/{epochs}"
            order = np.arange(len(inputs))
            if shuffle:
                order = random.generator().permutation(len(inputs))
            with progress.watch(title, steps) as advance:
                logs = loop.run(inputs, targets, order, advance).means
            if measuring is not None and validation is not None:
                measured = _in_order(measuring, *validation).means
                logs |= {f"val_{name}": value for name, value in measured.items()}
            progress.report(title, logs)
            history.add(epoch, logs)
        return history

    def evaluate(
        self,
        x: TensorLike,
        y: TensorLike,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """The loss and the metrics on given data.

        Parameters
        ----------
        x, y, batch_size, verbose
            As for `fit`.
        return_dict : bool, default False
            Return a dict by name instead of a list.

        Returns
        -------
        float, list of float, or dict
            The loss alone if there are no metrics, else [loss, metric, ...].

        Raises
        ------
        ValueError, TypeError
            As for `fit`.
        """
        size = _count("batch_size", 32 if batch_size is None else batch_size)
        progress = Progress(verbose)
        inputs, targets = self._checked(x, y)
        inputs = self._prepared(inputs, passes=1)
        loop = self._loop(self._test_step, inputs, targets, size)
        with progress.watch("Evaluation", -(-len(inputs) // size)) as advance:
            logs = _in_order(loop, inputs, targets, advance).means
        progress.report("Evaluation", logs)
        if return_dict:
            return logs
        return list(logs.values()) if self.metrics else logs["loss"]

    def predict(self, x: TensorLike, batch_size: int | None = None, verbose: Verbose = 0) -> Array:
        """The model's output for each row of x, as an array.

        Parameters
        ----------
        x
            As for `fit`.
        batch_size : int, default 128
            It does not change a bit of the result, unless a layer mixes samples.
        verbose : "auto", 0, 1 or 2, default 0

        Raises
        ------
        ValueError
            If x does not fit the model.
        TypeError
            If x are not real numbers.
        """
        size = _count("batch_size", 128 if batch_size is None else batch_size)
        progress = Progress(verbose)
        inputs = self._prepared(_data("x", x, to_samples), passes=1)
        loop = self._loop(self._predict_step, inputs, None, size)
        with progress.watch("Prediction", -(-len(inputs) // size)) as advance:
            output = _in_order(loop, inputs, None, advance).output
        progress.report("Prediction", {})
        assert output is not None
        return output

    def describe(
        self,
        x: TensorLike,
        y: TensorLike,
        batch_size: int | None = None,
        profile: bool = False,
    ) -> str:
        """The program that trains on a batch of such data, as tables.

        Parameters
        ----------
        x, y, batch_size
            As for `fit`.
        profile : bool, default False
            Show the time that each instruction takes, on average over the batches of x. Weights and
            optimizer are as before afterwards.

        Returns
        -------
        str
            What was recorded, and what runs: ops, inputs, outputs, bytes, and whether in C.

        Raises
        ------
        ValueError, TypeError
            As for `fit`.
        TraceError
            If the step cannot be compiled: the message names the line that is in the way.
        """
        size = _count("batch_size", 32 if batch_size is None else batch_size)
        inputs, targets = self._checked(x, y)
        inputs = self._prepared(inputs, passes=2)
        loop = CompiledLoop(self._train_step, inputs, targets, min(size, len(inputs)))
        program = loop.batch_program()
        if not profile:
            return program.describe()
        order = np.arange(len(inputs) // size * size or len(inputs))

        def run() -> int:
            loop.run(inputs, targets, order, lambda done: None)
            return -(-len(order) // size)

        return program.describe(program.profiled(run))

    def _prepared(self, x: Samples, passes: int) -> Samples:
        """The inputs in the form in which they go through the model fastest, so many times."""
        return x

    def _checked(self, x: TensorLike, y: TensorLike, prefix: str = "") -> tuple[Samples, Array]:
        """Inputs and targets as arrays that the model and its loss accept to the last sample."""
        if self.loss is None:
            raise ValueError(
                f"model {self.name!r} has no loss: call model.compile(optimizer=..., loss=...) "
                "first"
            )
        inputs, targets = _data(f"{prefix}x", x, to_samples), _data(f"{prefix}y", y, to_array)
        if len(inputs) != len(targets):
            raise ValueError(
                f"{prefix}x has {len(inputs)} samples (shape {inputs.shape}) and {prefix}y has "
                f"{len(targets)} (shape {targets.shape}); their first axes must be equal"
            )
        with unbuilt_again_on_failure(self):
            prediction = self(inputs[:1])
            losses.check_targets(self.loss, targets, prediction.shape[1:])
            self._losses_of(inputs[:1], targets[:1])
        return inputs, targets

    def _losses_of(
        self, x: Samples | Tensor, y: TensorLike, training: bool = False
    ) -> dict[str, Tensor]:
        """The mean loss of a batch and all else that is reported of it."""
        assert self.loss is not None
        y_pred = self(x, training=training)
        means = {"loss": ops.reduce_mean(self.loss(y, y_pred))}
        for name, metric in self.metrics.items():
            means[name] = ops.reduce_mean(metric(y, y_pred))
        return means

    def _train_step(self, x: Tensor, y: Tensor) -> Outcome:
        assert self.optimizer is not None
        with GradientTape() as tape:
            means = self._losses_of(x, y, training=True)
        weights = self.trainable_weights
        gradients = tape.gradient(means["loss"], weights)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return Outcome(means)

    def _test_step(self, x: Tensor, y: Tensor) -> Outcome:
        return Outcome(self._losses_of(x, y))

    def _predict_step(self, x: Tensor) -> Outcome:
        return Outcome({}, self(x))

    def _loop(self, step: Step, x: Samples, y: Array | None, size: int) -> Loop:
        """The loop that runs a step over such data: one from before, if there is one."""
        if self.run_eagerly:
            return EagerLoop(step, size)
        size = min(size, len(x))
        if isinstance(x, CompressedRows):
            return self._new_loop(step, x, y, size)  # it is for this x alone
        settings = (_kernels.settings(), *self.settings())
        key = (step.__name__, kind_of(x), kind_of(y), size, *settings)
        if key not in self._loops:
            self._loops[key] = self._new_loop(step, x, y, size)
            if len(self._loops) > KEPT:
                self._loops.popitem(last=False)
        return self._loops[key]

    def _new_loop(self, step: Step, x: Samples, y: Array | None, size: int) -> Loop:
        try:
            return CompiledLoop(step, x, y, size)
        except TraceError as error:
            warnings.warn(
                f"model {self.name!r} runs op by op, which is slower: {error}", stacklevel=4
            )
            return EagerLoop(step, size)


class Sequential(Model):
    """Layers, one after another.

    Parameters
    ----------
    layers : list of Layer, optional
    name : str, optional

    Raises
    ------
    TypeError
        If something in the list is not a layer.

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> model = fastnn.Sequential([layers.Dense(8, activation="relu"), layers.Dense(1)])
    >>> model(fastnn.ones((2, 3))).shape
    (2, 1)
    >>> [w.shape for w in model.weights]
    [(3, 8), (8,), (8, 1), (1,)]
    """

    def __init__(self, layers: Sequence[Layer] = (), name: str | None = None) -> None:
        super().__init__(name=name)
        self.layers: list[Layer] = []
        if isinstance(layers, Layer):
            raise TypeError("the layers of a model come in a list: write Sequential([layer])")
        for layer in layers:
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Append a layer."""
        if any(layer is present for present in self.layers):
            raise ValueError(f"layer {layer.name!r} is in the model already; make a new one")
        if not isinstance(layer, Layer):
            raise TypeError(
                f"a model is made of layers such as Dense(10), got {layer!r}; a class needs its "
                "arguments: Dense(10), not Dense"
            )
        self.layers.append(layer)

    def pop(self) -> Layer:
        """Remove the last layer and return it."""
        if not self.layers:
            raise ValueError(f"model {self.name!r} has no layers to remove")
        return self.layers.pop()

    def call(self, inputs: Tensor) -> Tensor:
        """The output of the last layer."""
        x = inputs
        for layer in self.layers:
            x = layer(x)
        return x

    def settings(self) -> tuple[object, ...]:
        """What a compiled step depends on: the layers, and which of them are trained."""
        inside = [setting for layer in self.layers for setting in layer.settings()]
        return (*super().settings(), *inside)

    def _prepared(self, x: Samples, passes: int) -> Samples:
        first = self.layers[0] if self.layers else None
        if not isinstance(first, Dense) or (first.built and first.kernel.dtype != np.float32):
            return x
        return without_zeros(x, first.units, passes)


def _metric_name(metric: str | Callable[..., Any]) -> str:
    return metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


def _data(name: str, value: TensorLike, convert: Callable[[TensorLike], Checked]) -> Checked:
    """A data set of real numbers with at least one sample."""
    try:
        data = convert(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
    if len(data.shape) == 0 or len(data) == 0:
        raise ValueError(
            f"{name} has shape {data.shape}; it needs at least one sample along axis 0"
        )
    return data


def _in_order(
    loop: Loop, x: Samples, y: Array | None, advance: Advance = lambda done: None
) -> Results:
    return loop.run(x, y, np.arange(len(x)), advance)


def _pair(data: Any) -> tuple[TensorLike, TensorLike]:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError("validation_data must be a pair (x, y)")
    return data[0], data[1]


def _split(x: Samples, y: Array, share: float) -> tuple[Samples, Array, tuple[Samples, Array]]:
    """Training inputs and targets, and the last `share` of the samples for validation."""
    if not isinstance(share, int | float) or not 0 < share < 1:
        raise ValueError(f"validation_split must be a number in [0, 1), got {share!r}")
    at = int(len(x) * (1 - share))
    if at in (0, len(x)):
        raise ValueError(
            f"validation_split={share} of {len(x)} samples leaves one part empty; use another "
            "share or pass validation_data"
        )
    return x[:at], y[:at], (x[at:], y[at:])
