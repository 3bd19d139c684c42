"""Trainer: fit, evaluate, predict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import compress
from typing import Any

import numpy as np

from fastnn.batches import (
    ArraysInBatches,
    Source,
    data_set,
    in_batches,
    unpack_x_y_sample_weight,
    validation_set,
)
from fastnn.callbacks import CallbackList, History
from fastnn.callbacks.progbar_logger import Verbose
from fastnn.caller import warn
from fastnn.changes import computing
from fastnn.hyperparameters import count, flag, if_given
from fastnn.layers.base import UnbuiltAgainOnFailure, float_type, layers_in
from fastnn.lookup import refuse_arguments
from fastnn.loop import CompiledLoop, Logs, Results, Watch, joined
from fastnn.losses.crossentropies import check_targets
from fastnn.models.numerics import Snapshot, complain, find, is_sound, point_to_check
from fastnn.models.steps import Kind, Steps, errors_of
from fastnn.models.turns import Caller, in_turn, is_nested
from fastnn.samples import Arrays, Column, split
from fastnn.sparse import Samples
from fastnn.tensor import Tensor, TensorLike
from fastnn.variable import Kept, OnTrial

TRIED = 32  # samples of a data set, before a pass over it: enough to show a forgotten softmax

NOBODY = CallbackList()

# What somebody sets to end a pass.
STOPS = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}


class Trainer(Steps):
    """A layer whose steps run over whole data sets."""

    _bare = Steps._bare | {"_callers"}
    _aside = _bare | {
        "_checking",
        "_initial_epoch",
        "history",
        "stop_evaluating",
        "stop_predicting",
        "stop_training",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.history: History | None = None
        self._checking: str | None = None  # what `fit` does about numbers that are not finite
        self._initial_epoch = 0  # where a backup lets `fit` go on
        self._callers: dict[Caller, None] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_callers": {}}  # nobody is at work with the copy

    @in_turn
    def fit(
        self,
        /,
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
        **unknown: Any,
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
            The last batch of an epoch may be shorter. Where the number of steps is given, the
            default is what makes so many of all samples.
        epochs : int, default 1
            Where to end, counted from 0 and not from `initial_epoch`; 0 trains nothing.
        verbose : "auto", 0, 1 or 2
            0 is silent, 2 prints a line for each epoch; 1 and "auto" show a bar on a terminal.
        callbacks : list of Callback, optional
        validation_split : float in [0, 1), default 0
            This last share of the samples, taken before shuffling, is held back for validation.
        validation_data : (x, y) or (x, y, sample_weight), or iterable of batches, optional
            Evaluated after each epoch; takes precedence over `validation_split`.
        shuffle : bool, default True
            Draw the samples, or the batches of a PyDataset, in a new order in each epoch.
        class_weight : dict from int to float, optional
            What a sample of each class counts in the loss of the training; 1 for a class that is
            missing.
        sample_weight : array of shape (n,), optional
            What each sample counts in the loss.
        initial_epoch : int, default 0
        steps_per_epoch, validation_steps : int, optional
            Batches in an epoch, by default all. The next epoch of training goes on where the last
            one ended; each validation begins anew, unless with a generator.
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
            The weights are unchanged then, but for batches that came before one that is wrong.
        TypeError
            If the data are not real numbers.
        RuntimeError
            If another thread trains or evaluates the model, or this `fit` is called by a callback
            of one. Callbacks and data may call everything else.

        Notes
        -----
        Class labels are checked to the last one beforehand, if the loss is fastnn's own; a function
        of yours may refuse a later batch, after the batches before it have changed the weights.

        A loss, metric or layer that looks at values (``float(y)``, NumPy's functions) cannot become
        part of a program: the steps then run op by op, after one warning.

        Where the model begins with a `Dense` and most elements of x are zero, they are left out of
        the products, which gives the same bits in less time. They are looked for once, before the
        first epoch: what is written into x later does not count then.
        """
        refuse_arguments(Trainer.fit, unknown)
        size, epochs = if_given(count, "batch_size", batch_size), count("epochs", epochs, least=0)
        first, due = count("initial_epoch", initial_epoch, least=0), _epochs_due(validation_freq)
        steps = if_given(count, "steps_per_epoch", steps_per_epoch)
        validation_steps = if_given(count, "validation_steps", validation_steps)
        validation_size = if_given(count, "validation_batch_size", validation_batch_size) or size
        to_validate = partial(self._arrays, part_of="validation_data")
        data, held_back = data_set(self._arrays, x, y, sample_weight), None
        if validation_data is not None:
            held_back = validation_set(to_validate, validation_data)
        elif validation_split:
            data, held_back = split(data, validation_split)
        train = in_batches(self._arrays, data, size, steps, flag("shuffle", shuffle))
        train.weigh(class_weight)
        validation: Source | None = None
        if held_back is not None:
            validation = in_batches(to_validate, held_back, validation_size, validation_steps)
        self._make_ready("train", train, passes=2 * epochs)
        if validation is not None:
            with errors_of("validation data"):
                self._make_ready("test", validation, passes=epochs)
        params = {"epochs": epochs, "steps": train.steps, "verbose": verbose}
        self.stop_training, self._initial_epoch = False, first
        with CallbackList(callbacks, True, True, self, **params) as listeners:
            self._fit(train, validation, epochs, due, listeners)
        assert self.history is not None
        return self.history

    @in_turn
    def evaluate(
        self,
        /,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        sample_weight: TensorLike = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **unknown: Any,
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
        RuntimeError
            If another thread trains or evaluates the model: the metrics are the model's, and serve
            one at a time. A callback of `fit` may call it.
        """
        refuse_arguments(Trainer.evaluate, unknown)
        size = if_given(count, "batch_size", batch_size)
        steps = if_given(count, "steps", steps)
        data = data_set(self._arrays, x, y, sample_weight)
        source = in_batches(self._arrays, data, size, steps)
        self._make_ready("test", source, passes=1)
        params = {"steps": source.steps, "verbose": verbose}
        with (
            self._own_metrics(),
            CallbackList(callbacks, False, True, self, **params) as listeners,
        ):
            logs = self._evaluated(source, listeners)
        return _returned(logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Verbose = 0,
        steps: int | None = None,
        callbacks: Any = None,
        **unknown: Any,
    ) -> Any:
        """The model's output for each row of x, as an array, or arrays in a tuple, list or dict.

        Parameters
        ----------
        x, callbacks
            As for `fit`.
        batch_size : int, optional
            By default 128, or what makes `steps` batches of all samples. It does not change a bit
            of the result, unless a layer mixes samples.
        verbose : "auto", 0, 1 or 2, default 0
            As for `fit`.
        steps : int, optional
            The number of batches, by default all.

        Raises
        ------
        ValueError
            If x does not fit the model.
        TypeError
            If x are not real numbers.

        Notes
        -----
        Any number of threads may call it at once. While one of them trains the model, the outputs
        are those of weights on the way from one step to the next; a callback of `fit`, or a copy
        made before, ``copy.deepcopy(model)``, gives those of one step.
        """
        refuse_arguments(Trainer.predict, unknown)
        whole = batch_size is None and steps is None
        size = if_given(count, "batch_size", 128 if whole else batch_size)
        steps = if_given(count, "steps", steps)
        source = in_batches(self._arrays, data_set(self._arrays, x), size, steps)
        self._leave_zeros_out(source, passes=1)
        self.stop_predicting = False
        listeners = NOBODY
        if callbacks or verbose:
            params = {"steps": source.steps, "verbose": verbose}
            listeners = CallbackList(callbacks, False, bool(verbose), self, **params)
        elif isinstance(source, ArraysInBatches) and len(source.arrays) <= source.size:
            return self._in_one("predict", source.arrays).output  # one row needs no more
        with listeners:
            listeners.on_predict_begin()
            outputs = [part.output for part in self._pass("predict", source, listeners)]
            listeners.on_predict_end()
        return joined(outputs)

    @in_turn
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: TensorLike = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Train on one batch; its loss and metrics before, as of `evaluate`.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As for `fit`.
        return_dict : bool, default False
            Return a dict by name instead of a list.

        Raises
        ------
        ValueError, TypeError
            As for `fit`.
        RuntimeError
            If another thread trains or evaluates the model.
        """
        arrays = self._arrays(x, y, sample_weight).weighted(class_weight)
        return self._on_batch("train", arrays, return_dict)

    @in_turn
    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: TensorLike = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """The loss and the metrics of one batch; arguments and errors as for `train_on_batch`."""
        arrays = self._arrays(x, y, sample_weight)
        return self._on_batch("test", arrays, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The model's output for one batch, as of `predict`."""
        return self._in_one("predict", self._arrays(x)).output

    @in_turn
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
        RuntimeError
            If another thread trains or evaluates the model.
        TraceError
            If the step cannot be compiled: the message names the line that is in the way.
        """
        size = if_given(count, "batch_size", batch_size)
        source = ArraysInBatches(self._arrays(x, y), size)
        self._make_ready("train", source, passes=2)
        arrays, samples = source.arrays, len(source.arrays)
        size = min(source.size, samples)
        loop = CompiledLoop(self._step("train", arrays), arrays.columns, size)
        program = loop.batch_program()
        if not profile:
            return program.describe()
        order = np.arange(samples // size * size)

        def run() -> int:
            loop.run(arrays.columns, order, Watch())
            return len(order) // size

        return program.describe(program.profiled(run))

    def _arrays(
        self, x: Any, y: Any = None, sample_weight: TensorLike = None, part_of: str = ""
    ) -> Arrays:
        """The data as they are computed with: code of the user's sees the integers that it gave."""
        parts = list(layers_in(self))
        is_custom = True in [part._is_custom for part in parts]
        return Arrays(x, y, sample_weight, float_type(parts), part_of, is_custom)

    def _make_ready(self, kind: Kind, source: Source, passes: int) -> None:
        """Refuse data that the model, its loss or a metric cannot take, before anything changes;
        then give them the form in which they go through the model fastest, so many times.
        """
        if not self.compiled:
            raise ValueError(
                f"model {self.name!r} is not compiled: call model.compile(optimizer=..., loss=...) "
                "first"
            )
        twice = [name for name, times in Counter(self.metrics_names).items() if times > 1]
        if twice:
            warn(
                f"several losses and metrics are called {twice}, and one of them is reported: give "
                'each another name, as in Mean(name="mine")'
            )
        if isinstance(source, ArraysInBatches):
            self._try(kind, source.arrays, source.size)
            self._leave_zeros_out(source, passes)
            self._build_by_step(kind, source.arrays, source.size)
        elif not self.built and (first := source.first()) is not None:
            self._try(kind, first, len(first))
            self._build_by_step(kind, first, len(first))

    def _build_by_step(self, kind: Kind, arrays: Arrays, size: int) -> None:
        """Have a step of the user's make the weights: callbacks and backups shall find them."""
        if not self.built and not self._is_op_by_op:
            with suppress(Exception):  # it may need what a callback is still to bring
                self._loop(kind, arrays, size)
        if not self.built:  # op by op a step is not tried, but what it most likely calls
            with suppress(Exception), computing(), UnbuiltAgainOnFailure(self), OnTrial():
                self(unpack_x_y_sample_weight(arrays.first(size))[0], training=False)

    def _try(self, kind: Kind, arrays: Arrays, size: int) -> None:
        if self._is_own(f"{kind}_step"):
            return
        with suppress(Exception):  # some samples take no time, but perhaps it has to be a batch
            self._try_first(arrays, min(size, TRIED))
            return
        self._try_first(arrays, size)

    def _try_first(self, arrays: Arrays, size: int) -> None:
        x, y, sample_weight = unpack_x_y_sample_weight(arrays.first(size))
        if not self._is_own("compute_loss"):
            self._require_targets(y)
        with computing(), UnbuiltAgainOnFailure(self), OnTrial():
            y_pred = self(x, training=False)
            if isinstance(y_pred, Tensor) and isinstance(arrays.y, Column):
                check_targets(self._objective, arrays.y.data, y_pred)
            self._loss(x, y, y_pred, sample_weight, training=False)
            self._measure(y, y_pred, sample_weight)

    def _leave_zeros_out(self, source: Source, passes: int) -> None:
        if isinstance(source, ArraysInBatches):
            source.arrays = source.arrays.with_inputs(lambda x: self._compressed(x, passes))

    def _compressed(self, x: Samples, passes: int) -> Samples:
        """The inputs in the form in which they go through the model fastest, so many times."""
        return x

    def _fit(
        self,
        train: Source,
        validation: Source | None,
        epochs: int,
        due: Callable[[int], bool],
        listeners: CallbackList,
    ) -> None:
        """`fit`, once the data are ready."""
        self._checking = self.check_numerics or listeners.check_numerics
        listeners.on_train_begin()
        logs: Logs = {}
        for epoch in range(self._initial_epoch, epochs):
            listeners.on_epoch_begin(epoch)
            measured = self._averages("train", train, listeners)
            if not measured:  # the data had ended before
                break
            logs = measured
            if not self.stop_training:  # whoever has set it has said why
                point_to_check(self, logs)
            if validation is not None and due(epoch + 1):
                measured = self._evaluated(validation, listeners)
                logs |= {f"val_{name}": value for name, value in measured.items()}
            listeners.on_epoch_end(epoch, logs)
            if self.stop_training or train.ran_out:
                break
        if self.optimizer is not None and logs:
            # A callback may have let others learn since the last step.
            known = map(self.optimizer.knows, self.trainable_weights)
            self.optimizer.finalize_variable_values(compress(self.trainable_weights, known))
        listeners.on_train_end(logs)

    def _evaluated(self, source: Source, listeners: CallbackList) -> Logs:
        self.stop_evaluating = False
        source.restart()
        listeners.on_test_begin()
        logs = self._averages("test", source, listeners)
        listeners.on_test_end(logs)
        return logs

    def _averages(self, kind: Kind, source: Source, listeners: CallbackList) -> Logs:
        """Those of a pass of training or testing; nothing if there was no batch."""
        self.reset_metrics()
        logs: Logs | None = None
        for results in self._pass(kind, source, listeners):
            logs = results.logs
        return {} if logs is None else logs or self._measured()

    def _pass(self, kind: Kind, source: Source, listeners: CallbackList) -> Iterator[Results]:
        """What the steps give, part by part."""
        watch = self._watch(kind, listeners)
        done = 0
        for arrays, order, size in source.epoch():
            loop = self._loop(kind, arrays, size)
            checked = self._checking is not None and kind == "train"
            before = Snapshot(self) if checked else None
            results = loop.run(arrays.columns, order, watch)
            if before is not None and not is_sound(self, results.logs):
                results = Results(results.logs or self._measured(), ())
                before.restore()
                step = partial(self._outcome, kind)
                number, cause = find(step, arrays, order, size, self)
                which = "some step" if number is None else f"step {done + number}"
                complain(self, f"{which} of {source.steps or 'an epoch'}{cause}", self._checking)
                self.stop_training = True
            done += -(-len(order) // size)
            yield results
            if getattr(self, STOPS[kind]):
                break

    def _watch(self, kind: Kind, listeners: CallbackList) -> Watch:
        """How the loop tells the progress bar, and the callbacks if one wants every batch."""
        batch, compiled = 0, self._compile_arguments
        is_heard = listeners.wants_batches(kind)
        on_begin, on_end = (getattr(listeners, f"on_{kind}_batch_{at}") for at in ("begin", "end"))

        def done(batches: int, logs: Logs) -> bool:
            nonlocal batch
            listeners.advance(batches)
            if is_heard:
                on_end(batch, logs or self._measured())
            if self._compile_arguments is not compiled:
                raise RuntimeError(
                    f"model {self.name!r} was compiled anew between two batches: call compile in "
                    "on_epoch_begin or on_epoch_end, or before"
                )
            batch += batches
            return bool(getattr(self, STOPS[kind]))

        def begin() -> None:
            if is_heard:
                on_begin(batch)

        # A pass that was stopped before it began ends after one batch, as in Keras.
        one_by_one = is_heard or getattr(self, STOPS[kind])
        return Watch(done, begin if one_by_one else None)

    def _on_batch(
        self, kind: Kind, arrays: Arrays, return_dict: bool
    ) -> float | list[float] | Logs:
        known = self._known_loop(kind, arrays, len(arrays))
        # Op by op a step that fails changes nothing, but for the weights that it makes.
        if not self.built or (known is None and not self._is_op_by_op):
            self._try(kind, arrays, len(arrays))
        with self._own_metrics():
            self.reset_metrics()
            logs = self._in_one(kind, arrays).logs
            return _returned(logs or self._measured(), return_dict)

    def _own_metrics(self) -> Kept:
        """What metrics have measured before is as it was after a failure, and in the midst of
        another pass afterwards.
        """
        variables = [v for metric in self.metrics for v in metric.variables]
        return Kept(variables, if_it_fails=not is_nested(self))

    def _in_one(self, kind: Kind, arrays: Arrays) -> Results:
        """A step with all samples in one batch."""
        samples = len(arrays)
        loop = self._loop(kind, arrays, samples)
        return loop.run(arrays.columns, np.arange(samples), Watch())


def _returned(logs: Logs, return_dict: bool) -> float | list[float] | Logs:
    if return_dict:
        return logs
    return list(logs.values()) if len(logs) > 1 else next(iter(logs.values()))


def _epochs_due(frequency: int | Sequence[int]) -> Callable[[int], bool]:
    """Whether to validate after an epoch, counted from 1."""
    if isinstance(frequency, Collection) and not isinstance(frequency, str):
        return lambda epoch: epoch in frequency
    every = count("validation_freq", frequency)
    return lambda epoch: epoch % every == 0
