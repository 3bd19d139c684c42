"""Model: compile, fit, evaluate, predict."""

from __future__ import annotations

import json
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn import _kernels, losses, metrics, optimizers, saving
from fastnn._kernels import CompressedRows
from fastnn.arrays import Array
from fastnn.callbacks import CallbackList, History
from fastnn.configuration import deserialize, serialize
from fastnn.data import Arrays, ArraysInBatches, Batches, are_batches, weights_of_classes
from fastnn.function import KEPT
from fastnn.layers.base import Layer, layers_in, unbuilt_again_on_failure
from fastnn.loop import (
    Column,
    CompiledLoop,
    EagerLoop,
    Logs,
    Loop,
    Outcome,
    Results,
    Step,
    Watch,
    plain,
)
from fastnn.losses import Loss
from fastnn.losses.base import LossFunctionWrapper
from fastnn.metrics import Mean, Metric
from fastnn.models.summary import summary
from fastnn.optimizers import Optimizer
from fastnn.progress import Verbose
from fastnn.saving.files import Path
from fastnn.sparse import Samples
from fastnn.structure import Structure, filled, leaves
from fastnn.tape import GradientTape
from fastnn.tensor import Tensor, TensorLike, Variable, convert, zeros
from fastnn.trace import TraceError, paused

Source = ArraysInBatches | Batches


class Model(Layer):
    """A layer that can be trained: the base of `Sequential`, and of your own models.

    A subclass makes its layers in ``__init__`` and defines ``call(inputs)``, as a `Layer` does. It
    may also define ``train_step(data)``, ``test_step(data)`` or ``compute_loss`` to train in a way
    of its own: `data` is ``(x, y)`` or ``(x, y, sample_weight)``, and what a step returns, a dict
    of numbers, is reported.

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> class Classifier(fastnn.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = layers.Dense(8, activation="relu")
    ...         self.head = layers.Dense(3, activation="softmax")
    ...     def call(self, inputs):
    ...         return self.head(self.hidden(inputs))
    >>> Classifier()(fastnn.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(self, *functional: Any, **options: Any) -> None:
        if functional or {"inputs", "outputs"} & set(options):
            raise TypeError(
                "models of inputs and outputs are not here: write Sequential([...]), or a subclass "
                "of Model with its layers and call(self, inputs)"
            )
        super().__init__(**options)
        self.optimizer: Optimizer | None = None
        self.loss: Any = None
        self.run_eagerly = False
        self.stop_training = False
        self.compiled = False
        self.history: History | None = None
        self._objective: Loss | None = None
        self._loss_tracker: Mean | None = None
        self._measures: list[Metric] = []
        self._weighted_measures: list[Metric] = []
        self._compile_arguments: dict[str, Any] = {}
        self._initial_epoch = 0  # where a backup lets `fit` go on
        self._loops: OrderedDict[object, Loop] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_loops": OrderedDict()}  # programs are made anew where it is used

    @property
    def layers(self) -> list[Layer]:
        """The layers right inside this one."""
        parts = [part for value in vars(self).values() for part in leaves(value)]
        return list({id(part): part for part in parts if isinstance(part, Layer)}.values())

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of a name, or at a place; ValueError if there is none."""
        if index is not None and -len(self.layers) <= index < len(self.layers):
            return self.layers[index]
        for layer in self.layers:
            if name is not None and layer.name == name:
                return layer
        names = ", ".join(repr(layer.name) for layer in self.layers)
        wanted = repr(name) if index is None else f"number {index}"
        raise ValueError(f"model {self.name!r} has no layer {wanted}; it has {names or 'none'}")

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the weights of all layers for inputs of this shape (batch axis included)."""
        lengths = tuple(1 if length is None else length for length in input_shape)
        with paused():
            self(zeros(lengths, self._float_type()), training=False)

    def _build_for_call(self, input_shape: Any) -> None:
        if self._is_own(self.build):
            self.build(input_shape)

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Note that the weights exist: those of the layers, unless `build` is the model's own."""
        if self._is_own(self.build):
            super().build_from_config(config)
        self.built, self._build_shape = True, config["input_shape"]

    def save(self, filepath: Path, overwrite: bool = True) -> None:
        """Write the model into a file, from which `fastnn.models.load_model` makes it again; see
        `fastnn.saving.save_model`.
        """
        saving.save_model(self, filepath, overwrite)

    def save_weights(self, filepath: Path, overwrite: bool = True) -> None:
        """Write the weights into a file; see `fastnn.saving.save_weights`."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Path) -> None:
        """Take the weights from a file; see `fastnn.saving.load_weights`."""
        saving.load_weights(self, filepath)

    def to_json(self, **options: Any) -> str:
        """How the model is made, without weights, for `fastnn.models.model_from_json`; `options`
        are those of ``json.dumps``.
        """
        return json.dumps(serialize(self), **{"default": serialize, **options})

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Print a table of the layers, the shapes of their outputs, and their parameters.

        Parameters
        ----------
        print_fn : callable, default print
            What takes the text.

        Examples
        --------
        >>> import fastnn
        >>> from fastnn import layers
        >>> hidden = layers.Dense(8, activation="relu", input_shape=(4,), name="hidden")
        >>> fastnn.Sequential([hidden, layers.Dense(1, name="head")], name="small").summary()
        Model: "small"
        layer (type)    output shape  parameters
        --------------  ------------  ----------
        hidden (Dense)  (None, 8)             40
        head (Dense)    (None, 1)              9
        Total parameters: 49 (196 bytes)
        Trainable: 49, not trainable: 0
        """
        print_fn(summary(self))

    def compile(
        self,
        optimizer: str | type[Optimizer] | Optimizer = "rmsprop",
        loss: Any = None,
        metrics: Sequence[Any] | None = None,
        weighted_metrics: Sequence[Any] | None = None,
        run_eagerly: bool = False,
        jit_compile: object = None,
        steps_per_execution: object = None,
    ) -> None:
        """Choose how to train; weights stay as they are.

        `fit`, `evaluate` and `predict` run their step as a program in C. It is recorded when they
        are first called after `compile`: what is then changed in the optimizer (but for its
        learning rate), the loss or a layer's attributes counts after another `compile`.

        Parameters
        ----------
        optimizer : str, class or Optimizer, default "rmsprop"
        loss : str, Loss or callable(y_true, y_pred)
        metrics, weighted_metrics : list of str, Metric or callable(y_true, y_pred), optional
            Each is reported under the name given here, a Metric under its own. The latter take
            `sample_weight` and `class_weight` into account.
        run_eagerly : bool, default False
            Run every step op by op in Python, with the same bits: to look at values on the way.
        jit_compile, steps_per_execution
            Without effect: steps are always compiled, and run as many at a time as may be.

        Raises
        ------
        ValueError
            If a name is unknown, or two metrics have one.
        """
        chosen = optimizers.get(optimizer)
        objective = None if loss is None else _objective(loss)
        measures, weighted = _measures(metrics), _measures(weighted_metrics)
        names = ["loss", *(m.name for m in measures + weighted)]
        if len(set(names)) < len(names):
            raise ValueError(
                f"two metrics have one name in {names[1:]}; give each function or object its own"
            )
        self.optimizer, self.loss, self._objective = chosen, loss, objective
        self._loss_tracker = Mean(name="loss")
        self._measures, self._weighted_measures = measures, weighted
        self.run_eagerly, self.compiled = bool(run_eagerly), True
        given = {"loss": loss, "metrics": metrics, "weighted_metrics": weighted_metrics}
        self._compile_arguments = given | {"run_eagerly": self.run_eagerly}
        self._loops.clear()

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile`, as plain data."""
        return {"optimizer": serialize(self.optimizer), **serialize(self._compile_arguments)}

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile as the model was that said this by `get_compile_config`."""
        self.compile(**deserialize(config))

    @property
    def metrics(self) -> list[Metric]:
        """What is reported: the loss, what `compile` was given, and metrics kept as attributes."""
        tracker = [] if self._loss_tracker is None else [self._loss_tracker]
        parts = [part for value in vars(self).values() for part in leaves(value)]
        found = [*tracker, *(part for part in parts if isinstance(part, Metric))]
        return list({id(metric): metric for metric in found}.values())

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Start all averages anew."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics so far, by name."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            result = metric.result()
            results |= result if isinstance(result, dict) else {metric.name: result}
        return results

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: TensorLike = None,
        training: bool = True,
    ) -> Tensor:
        """What is minimised: the loss of a batch, and what layers and regularizers add to it."""
        terms = list(self.losses)
        if self._objective is not None:
            terms.insert(0, self._objective(y, y_pred, sample_weight))
        if not terms:
            raise ValueError(
                f"model {self.name!r} has no loss: call model.compile(optimizer=..., loss=...)"
            )
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: TensorLike = None
    ) -> dict[str, Any]:
        """Update the metrics given to `compile` with a batch; the results so far."""
        self._measure(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def train_step(self, data: Structure) -> dict[str, Any]:
        """Train on one batch; the results so far, by name."""
        self._train(data)
        return self.get_metrics_result()

    def test_step(self, data: Structure) -> dict[str, Any]:
        """Measure one batch; the results so far, by name."""
        self._test(data)
        return self.get_metrics_result()

    def predict_step(self, data: Structure) -> Any:
        """The outputs for one batch."""
        return self(unpack_x_y_sample_weight(data)[0], training=False)

    def _train(self, data: Structure) -> None:
        assert self.optimizer is not None
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight)
        weights = self.trainable_weights
        if weights:
            gradients = tape.gradient(loss, weights)
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        else:
            warnings.warn(f"model {self.name!r} has no weights to train", stacklevel=2)
        self._track(loss, x)
        self._measure(y, y_pred, sample_weight)

    def _test(self, data: Structure) -> None:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        self._track(self.compute_loss(x, y, y_pred, sample_weight, training=False), x)
        self._measure(y, y_pred, sample_weight)

    def _track(self, loss: Tensor, x: Structure) -> None:
        if self._loss_tracker is not None:
            self._loss_tracker.update_state(loss, sample_weight=len(leaves(x)[0]))

    def _measure(self, y: Any, y_pred: Any, sample_weight: TensorLike) -> None:
        for metric in self._measures:
            metric.update_state(y, y_pred)
        for metric in self._weighted_measures:
            metric.update_state(y, y_pred, sample_weight)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: TensorLike = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train.

        Parameters
        ----------
        x : array of shape (n, ...), matrix of scipy.sparse, or iterable of batches
            Inputs of any numeric dtype; each batch is converted as it is used. A dict or tuple of
            arrays goes to `call` as such. Batches, as (x, y) or (x, y, sample_weight), come from a
            generator, which is read on from epoch to epoch, or from any other iterable.
        y : array of shape (n, ...)
            Targets.
        batch_size : int, default 32
            The last batch of an epoch may be shorter.
        epochs : int, default 1
            Where to end, counted from 0 and not from `initial_epoch`.
        verbose : "auto", 0, 1 or 2
            0 is silent, 2 prints a line for each epoch; 1 and "auto" show a bar on a terminal.
        callbacks : list of Callback, optional
        validation_split : float in [0, 1), default 0
            This last share of the samples, taken before shuffling, is held back for validation.
        validation_data : (x, y) or (x, y, sample_weight), or iterable of batches, optional
            Evaluated after each epoch; takes precedence over `validation_split`.
        shuffle : bool, default True
            Draw the samples in a new order in each epoch.
        class_weight : dict from int to float, optional
            What a sample of each class counts in the loss; 1 for a class that is missing.
        sample_weight : array of shape (n,), optional
            What each sample counts in the loss.
        initial_epoch : int, default 0
        steps_per_epoch, validation_steps : int, optional
            Batches in an epoch, by default all.
        validation_batch_size : int, optional
            By default `batch_size`.
        validation_freq : int or list of int, default 1
            Validate after every so many epochs, or after these, counted from 1.

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
        size, epochs = _count("batch_size", batch_size, 32), _count("epochs", epochs)
        train = self._source(
            x, y, sample_weight, size, steps_per_epoch, shuffle, class_weight=class_weight
        )
        validation: Source | None = None
        validation_size = _count("validation_batch_size", validation_batch_size, size)
        if validation_data is not None:
            given = (validation_data,) if are_batches(validation_data, None) else validation_data
            validation = self._source(
                *_triple(given), validation_size, validation_steps, prefix="val_"
            )
        elif validation_split:
            train, validation = _split(train, validation_split, validation_size, validation_steps)
        self._begin(train, self.train_step, passes=2 * epochs)
        if validation is not None:
            self._begin(validation, self.test_step, passes=epochs)
        params = {"epochs": epochs, "steps": train.steps, "verbose": verbose}
        self.stop_training, self._initial_epoch = False, initial_epoch
        logs: Logs = {}
        with CallbackList(callbacks, True, True, self, **params) as listeners:
            listeners.on_train_begin()
            for epoch in range(self._initial_epoch, epochs):
                listeners.on_epoch_begin(epoch)
                logs = self._pass(self._training, train, listeners)
                if validation is not None and _is_due(epoch + 1, validation_freq):
                    measured = self._evaluated(validation, listeners)
                    logs |= {f"val_{name}": value for name, value in measured.items()}
                listeners.on_epoch_end(epoch, logs)
                if self.stop_training or (isinstance(train, Batches) and train.ran_out):
                    break
            if self.optimizer is not None:
                self.optimizer.finalize_variable_values(self.trainable_weights)
            listeners.on_train_end(logs)
        assert self.history is not None
        return self.history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        sample_weight: TensorLike = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """The loss and the metrics on given data.

        Parameters
        ----------
        x, y, batch_size, verbose, sample_weight, callbacks
            As for `fit`.
        steps : int, optional
            The number of batches, by default all.
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
        size = _count("batch_size", batch_size, 32)
        source = self._source(x, y, sample_weight, size, steps)
        self._begin(source, self.test_step, passes=1)
        params = {"steps": source.steps, "verbose": verbose}
        with CallbackList(callbacks, False, True, self, **params) as listeners:
            logs = self._evaluated(source, listeners)
        return _returned(logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Verbose = 0,
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Array:
        """The model's output for each row of x, as an array.

        Parameters
        ----------
        x, callbacks
            As for `fit`.
        batch_size : int, default 128
            It does not change a bit of the result, unless a layer mixes samples.
        verbose : "auto", 0, 1 or 2, default 0
        steps : int, optional
            The number of batches, by default all.

        Raises
        ------
        ValueError
            If x does not fit the model.
        TypeError
            If x are not real numbers.
        """
        size = _count("batch_size", batch_size, 128)
        source = self._without_zeros(self._source(x, None, None, size, steps), passes=1)
        outputs: list[Array] = []
        params = {"steps": source.steps, "verbose": verbose}
        with CallbackList(callbacks, False, bool(verbose), self, **params) as listeners:
            listeners.on_predict_begin()
            watch = self._watch(
                self._predicting,
                listeners,
                listeners.on_predict_batch_begin,
                listeners.on_predict_batch_end,
                listeners.wants_predict_batches,
            )
            for results in self._results(self._predicting, source, watch):
                assert results.output is not None
                outputs.append(results.output)
            listeners.on_predict_end()
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: TensorLike = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Train on one batch; the loss and the metrics since `reset_metrics`, as of `evaluate`."""
        weight = _weighted(y, sample_weight, class_weight)
        return self._on_batch(self._training, self.train_step, x, y, weight, return_dict)

    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: TensorLike = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """The loss and the metrics, with those of batches since `reset_metrics`, of one batch."""
        return self._on_batch(self._testing, self.test_step, x, y, sample_weight, return_dict)

    def predict_on_batch(self, x: Any) -> Array:
        """The model's output for one batch."""
        return self.predict(x, batch_size=len(leaves(x)[0] if isinstance(x, dict) else x))

    def describe(
        self,
        x: Any,
        y: Any,
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
        size = _count("batch_size", batch_size, 32)
        source = self._source(x, y, None, size, None)
        self._begin(source, self.train_step, passes=2)
        assert isinstance(source, ArraysInBatches)
        arrays, samples = source.arrays, len(source.arrays)
        loop = CompiledLoop(self._step(self._training, arrays), arrays.columns, min(size, samples))
        program = loop.batch_program()
        if not profile:
            return program.describe()
        order = np.arange(samples // size * size or samples)

        def run() -> int:
            loop.run(arrays.columns, order, Watch())
            return -(-len(order) // size)

        return program.describe(program.profiled(run))

    def _training(self, data: Structure) -> Outcome:
        if self._is_own(self.train_step):
            return Outcome(_named(self.train_step(data)))
        self._train(data)
        return Outcome({})  # the metrics tell, in the end

    def _testing(self, data: Structure) -> Outcome:
        if self._is_own(self.test_step):
            return Outcome(_named(self.test_step(data)))
        self._test(data)
        return Outcome({})

    def _predicting(self, data: Structure) -> Outcome:
        return Outcome({}, self.predict_step(data))

    def _is_own(self, method: Callable[..., Any]) -> bool:
        """Whether a subclass defines this method."""
        return getattr(type(self), method.__name__) is not getattr(Model, method.__name__)

    def _source(
        self,
        x: Any,
        y: Any,
        sample_weight: TensorLike,
        size: int,
        steps: int | None,
        shuffle: bool = False,
        class_weight: Mapping[int, float] | None = None,
        prefix: str = "",
    ) -> Source:
        """Data as they were given, as batches."""

        def arrays(x: Any, y: Any = None, sample_weight: TensorLike = None) -> Arrays:
            weight = _weighted(y, sample_weight, class_weight)
            return Arrays(x, y, weight, self._float_type(), prefix)

        if x is None:
            raise ValueError("there are no data: pass x")
        steps = None if steps is None else _count("steps", steps)
        if are_batches(x, y):
            return Batches(x, steps, arrays)
        return ArraysInBatches(arrays(x, y, sample_weight), size, steps, bool(shuffle))

    def _float_type(self) -> np.dtype[Any]:
        wide = any(layer.dtype == "float64" for layer in layers_in(self))
        return np.dtype(np.float64 if wide else np.float32)

    def _begin(self, source: Source, step: Callable[..., Any], passes: int) -> None:
        """Refuse data that the model, its loss or a metric cannot take, before anything changes;
        then give them the form in which they go through the model fastest, so many times.
        """
        if not self.compiled:
            raise ValueError(
                f"model {self.name!r} is not compiled: call model.compile(optimizer=..., loss=...) "
                "first"
            )
        if isinstance(source, ArraysInBatches):
            self._try(source.arrays, step, also_metrics=True)
            self._without_zeros(source, passes)

    def _try(self, arrays: Arrays, step: Callable[..., Any], also_metrics: bool) -> None:
        if self._is_own(step):
            return
        x, y, sample_weight = unpack_x_y_sample_weight(arrays.first())
        if y is None and self._objective is not None and not self._is_own(self.compute_loss):
            raise ValueError(
                f"model {self.name!r} has a loss that needs targets: pass y beside x, also in "
                "validation_data=(x, y)"
            )
        with unbuilt_again_on_failure(self), _kept(self.non_trainable_weights):
            y_pred = self(x, training=False)
            if isinstance(y_pred, Tensor) and isinstance(arrays.y, Column):
                losses.check_targets(self._objective, arrays.y.data, y_pred.shape[1:])
            self.compute_loss(x, y, y_pred, sample_weight, training=False)
            if also_metrics:
                try:
                    self._measure(y, y_pred, sample_weight)
                finally:
                    self.reset_metrics()

    def _without_zeros(self, source: Source, passes: int) -> Source:
        if isinstance(source, ArraysInBatches):
            source.arrays = source.arrays.with_inputs(lambda x: self._prepared(x, passes))
        return source

    def _prepared(self, x: Samples, passes: int) -> Samples:
        """The inputs in the form in which they go through the model fastest, so many times."""
        return x

    def _evaluated(self, source: Source, listeners: CallbackList) -> Logs:
        listeners.on_test_begin()
        logs = self._pass(self._testing, source, listeners)
        listeners.on_test_end(logs)
        return logs

    def _pass(
        self, kind: Callable[[Structure], Outcome], source: Source, listeners: CallbackList
    ) -> Logs:
        """One epoch of training or testing: its averages."""
        self.reset_metrics()
        if kind == self._training:
            hooks = listeners.on_train_batch_begin, listeners.on_train_batch_end
            watch = self._watch(kind, listeners, *hooks, listeners.wants_train_batches)
        else:
            hooks = listeners.on_test_batch_begin, listeners.on_test_batch_end
            watch = self._watch(kind, listeners, *hooks, listeners.wants_test_batches)
        logs: Logs = {}
        for results in self._results(kind, source, watch):
            logs = results.logs
        return logs or self._measured()

    def _results(
        self, kind: Callable[[Structure], Outcome], source: Source, watch: Watch
    ) -> Iterator[Results]:
        for arrays, order, size in source.epoch():
            loop = self._loop(kind, arrays, size)
            yield loop.run(arrays.columns, order, watch)
            if self._ends(kind):
                break

    def _ends(self, kind: Callable[[Structure], Outcome]) -> bool:
        """Whether somebody has ended the training; tests and predictions run to their end."""
        return self.stop_training and kind == self._training

    def _watch(
        self,
        kind: Callable[[Structure], Outcome],
        listeners: CallbackList,
        on_begin: Callable[[int], object],
        on_end: Callable[[int, Logs], object],
        wanted: bool,
    ) -> Watch:
        """How the loop tells the progress bar, and the callbacks if one wants every batch."""
        batch = 0

        def done(batches: int, logs: Logs) -> bool:
            nonlocal batch
            listeners.advance(batches)
            if wanted:
                on_end(batch, logs or self._measured())
            batch += batches
            return self._ends(kind)

        return Watch(done, (lambda: on_begin(batch)) if wanted else None)

    def _measured(self) -> Logs:
        return {name: plain(value) for name, value in self.get_metrics_result().items()}

    def _on_batch(
        self,
        kind: Callable[[Structure], Outcome],
        step: Callable[..., Any],
        x: Any,
        y: Any,
        sample_weight: TensorLike,
        return_dict: bool,
    ) -> float | list[float] | Logs:
        arrays = Arrays(x, y, sample_weight, self._float_type())
        self._try(arrays, step, also_metrics=False)
        order = np.arange(len(arrays))
        loop = self._loop(kind, arrays, len(arrays))
        logs = loop.run(arrays.columns, order, Watch()).logs
        return _returned(logs or self._measured(), return_dict)

    def _step(self, kind: Callable[[Structure], Outcome], arrays: Arrays) -> Step:
        form = arrays.structured(range(len(arrays.columns)))
        return lambda *tensors: kind(filled(form, iter(tensors)))

    def _loop(self, kind: Callable[[Structure], Outcome], arrays: Arrays, size: int) -> Loop:
        """The loop that runs a step over such data: one from before, if there is one."""
        if self.run_eagerly:
            return EagerLoop(self._step(kind, arrays), size)
        size = min(size, len(arrays))
        if any(isinstance(column.data, CompressedRows) for column in arrays.columns):
            return self._new_loop(kind, arrays, size)  # it is for these data alone
        rate = () if self.optimizer is None else self.optimizer.settings()
        key = (kind.__name__, arrays.kind, size, _kernels.settings(), *rate, *self.settings())
        if key not in self._loops:
            self._loops[key] = self._new_loop(kind, arrays, size)
            if len(self._loops) > KEPT:
                self._loops.popitem(last=False)
        return self._loops[key]

    def _new_loop(self, kind: Callable[[Structure], Outcome], arrays: Arrays, size: int) -> Loop:
        step = self._step(kind, arrays)
        try:
            return CompiledLoop(step, arrays.columns, size)
        except TraceError as error:
            warnings.warn(
                f"model {self.name!r} runs op by op, which is slower: {error}", stacklevel=4
            )
            return EagerLoop(step, size)


def unpack_x_y_sample_weight(data: Structure) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of the data that a step gets; None for what is not there."""
    x, y, sample_weight = (
        (*data, None, None, None)[:3]
        if isinstance(data, tuple | list)
        else (
            data,
            None,
            None,
        )
    )
    return x, y, sample_weight


def _objective(loss: Any) -> Loss:
    found = losses.get(loss)
    return found if isinstance(found, Loss) else LossFunctionWrapper(found)


@contextmanager
def _kept(variables: list[Variable]) -> Iterator[None]:
    """Whatever happens inside the block, the variables are the same afterwards."""
    before = [(variable, variable.value) for variable in variables]
    try:
        yield
    finally:
        for variable, value in before:
            if variable.value is not value:
                variable.assign(value)


def _measures(given: Sequence[Any] | None) -> list[Metric]:
    if isinstance(given, str):
        raise ValueError(f"metrics must be a list: write metrics=[{given!r}]")
    return [metrics.to_metric(metric) for metric in given or ()]


def _named(logs: Any) -> dict[str, Tensor]:
    if not isinstance(logs, dict):
        raise TypeError(
            f"a step must return a dict of numbers by name, such as self.get_metrics_result(), "
            f"got {logs!r}"
        )
    return {name: convert(value) for name, value in logs.items()}


def _returned(logs: Logs, return_dict: bool) -> float | list[float] | Logs:
    if return_dict:
        return logs
    return list(logs.values()) if len(logs) > 1 else next(iter(logs.values()))


def _weighted(
    y: Any, sample_weight: TensorLike, class_weight: Mapping[int, float] | None
) -> TensorLike:
    if class_weight is None:
        return sample_weight
    weights = weights_of_classes(y, class_weight)
    return weights if sample_weight is None else weights * np.asarray(sample_weight)


def _count(name: str, value: int | None, default: int = 1) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


def _is_due(epoch: int, frequency: int | Sequence[int]) -> bool:
    return epoch % frequency == 0 if isinstance(frequency, int) else epoch in frequency


def _triple(data: Any) -> tuple[Any, Any, Any]:
    if not isinstance(data, tuple | list) or len(data) not in (1, 2, 3):
        raise ValueError(
            "validation_data must be (x, y), (x, y, sample_weight) or an iterable of batches"
        )
    return unpack_x_y_sample_weight(data)


def _split(train: Source, share: float, size: int, steps: int | None) -> tuple[Source, Source]:
    """Training data, and the last `share` of the samples for validation."""
    if not isinstance(share, int | float) or not 0 < share < 1:
        raise ValueError(f"validation_split must be a number in [0, 1), got {share!r}")
    if not isinstance(train, ArraysInBatches):
        raise ValueError("validation_split needs arrays; pass validation_data beside batches")
    arrays = train.arrays
    at = int(len(arrays) * (1 - share))
    if at in (0, len(arrays)):
        raise ValueError(
            f"validation_split={share} of {len(arrays)} samples leaves one part empty; use another "
            "share or pass validation_data"
        )
    train.arrays = arrays.cut(0, at)
    return train, ArraysInBatches(arrays.cut(at, len(arrays)), size, steps)
