"""Steps: what is done with one batch, and the loops that do it with many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any, Literal, TypeAlias

from fastnn import _kernels, losses, metrics, optimizers
from fastnn.batches import unpack_x_y_sample_weight
from fastnn.caller import warn
from fastnn.changes import changes, computing
from fastnn.configuration import deserialize, serialize
from fastnn.layers.base import Layer, layers_in, parts_of
from fastnn.lookup import refuse_arguments
from fastnn.loop import CompiledLoop, EagerLoop, Logs, Loop, Outcome, Step, plain
from fastnn.losses import Loss
from fastnn.metrics import Mean, Metric
from fastnn.models.effects import DRAWS, Effects
from fastnn.optimizers import Optimizer
from fastnn.recent import Recent
from fastnn.recorders import recorders
from fastnn.samples import Arrays
from fastnn.structure import NODES, Structure, filled, leaves
from fastnn.tape import GradientTape
from fastnn.tensor import Tensor, TensorLike, convert
from fastnn.trace import TraceError

Kind: TypeAlias = Literal["train", "test", "predict"]


class Steps(Layer):
    """A layer that knows how it is trained, tested and asked, batch by batch."""

    _bare = Layer._bare | {"_loops", "_loops_after"}  # which change while other threads look
    _aside = _bare

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.optimizer: Optimizer | None = None
        self.loss: Any = None
        self.run_eagerly = False
        self.check_numerics: str | None = None
        self.compiled = False
        self._objective: Loss | None = None
        self._loss_tracker: Mean | None = None
        self._measures: list[Metric] = []
        self._weighted_measures: list[Metric] = []
        self._compile_arguments: dict[str, Any] = {}
        # Whether a step was found to keep something in Python's hands, which other steps may read:
        # all run op by op then.
        self._keeps_state = False
        self._loops: Recent[object, Loop] = Recent()
        self._loops_after = changes()  # what they rest on

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_loops": Recent()}  # programs are made anew where it is used

    def compile(
        self,
        optimizer: str | type[Optimizer] | Optimizer = "rmsprop",
        loss: Any = None,
        metrics: Sequence[Any] | None = None,
        weighted_metrics: Sequence[Any] | None = None,
        run_eagerly: bool = False,
        check_numerics: Literal["raise", "warn"] | None = None,
        jit_compile: object = None,
        steps_per_execution: object = None,
        **unknown: Any,
    ) -> None:
        """Choose how to train; weights stay as they are.

        `fit`, `evaluate` and `predict` run their step as a program in C. What is changed in the
        attributes of a layer, the loss or the optimizer counts from the next epoch, or call, on, if
        it is not changed by their own computations; the learning rate, and what is assigned to a
        variable, at once; what is changed inside a list or a dict, or in a global, when `compile`
        has been called again. A step that cannot be a program, because it looks at values, keeps
        numbers or tensors in its attributes from step to step, or draws NumPy's random numbers,
        runs op by op, after a warning; what it only leaves in an attribute is gone afterwards, and
        who reads it is told so.

        Parameters
        ----------
        optimizer : str, class or Optimizer, default "rmsprop"
        loss : str, Loss or callable(y_true, y_pred)
        metrics, weighted_metrics : list of str, Metric or callable(y_true, y_pred), optional
            Each is reported under the name given here, a Metric under its own. The latter take
            `sample_weight` and `class_weight` into account, and have "weighted_" before their name
            where one of the former has it too.
        run_eagerly : bool, default False
            Run every step op by op in Python, with the same bits: to look at values on the way.
        check_numerics : "raise" or "warn", optional
            What `fit` does when the loss or a weight is NaN or infinite: raise `NotFiniteError`, or
            warn and end the training. Either names the step, the layer, the op and the first such
            number, and the weights are those before that step. The steps run as fast as without.
        jit_compile, steps_per_execution
            Without effect: steps are always compiled, and run as many at a time as may be.

        Raises
        ------
        ValueError
            If a name is unknown, two metrics have one, or `check_numerics` is neither.
        TypeError
            If there is no optimizer, `metrics` is no list, or there is another argument.
        """
        if "learning_rate" in unknown:
            raise TypeError(
                "compile: the learning rate is the optimizer's: write "
                f"optimizer=SGD(learning_rate={unknown['learning_rate']!r}), or another of them"
            )
        refuse_arguments(Steps.compile, unknown)
        if check_numerics not in (None, "raise", "warn"):
            raise ValueError(
                f'check_numerics must be "raise", "warn" or None, not {check_numerics!r}'
            )
        chosen = optimizers.get(optimizer)
        objective = None if loss is None else losses.to_loss(loss)
        measures, weighted = _to_metrics(metrics), _to_metrics(weighted_metrics)
        names = ["loss", *(m.name for m in measures)]
        new = [f"weighted_{m.name}" if m.name in names else m.name for m in weighted]
        names += new
        if len(set(names)) < len(names) or set(measures) & set(weighted):
            raise ValueError(
                f"two metrics have one name in {names[1:]}; give each function or object its own"
            )
        self.optimizer, self.loss, self._objective = chosen, loss, objective
        for metric, name in zip(weighted, new, strict=True):
            metric.name = name
        self._loss_tracker = Mean(name="loss")
        self._measures, self._weighted_measures = measures, weighted
        self.run_eagerly, self.check_numerics = bool(run_eagerly), check_numerics
        self.compiled, self._keeps_state = True, False
        given = {"loss": loss, "metrics": metrics, "weighted_metrics": weighted_metrics}
        self._compile_arguments = given | {
            "run_eagerly": self.run_eagerly,
            "check_numerics": check_numerics,
        }
        self._loops.clear()

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile`, as plain data."""
        return {"optimizer": serialize(self.optimizer), **serialize(self._compile_arguments)}

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile as the model was that said this by `get_compile_config`."""
        self.compile(**deserialize(config))

    @property
    def metrics(self) -> list[Metric]:
        """What is reported: the loss, what `compile` was given, and metrics that the model and its
        layers keep as attributes.
        """
        found = [] if self._loss_tracker is None else [self._loss_tracker]
        for part in layers_in(self):
            if part._is_leaf:  # which has none
                continue
            # What an inner model was given by its own `compile` is for its own training.
            own = part._compiled_metrics if isinstance(part, Steps) and part is not self else []
            found += [m for m in parts_of(part, Metric) if not any(m is other for other in own)]
        return list({id(metric): metric for metric in found}.values())

    @property
    def _compiled_metrics(self) -> list[Any]:
        return [self._loss_tracker, *self._measures, *self._weighted_measures]

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Start all averages anew."""
        with computing():
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
            self._require_targets(y)
            with errors_of(f"loss {self._objective.name!r}"):
                terms.insert(0, self._objective(y, y_pred, sample_weight))
        if not terms:
            raise ValueError(
                f"model {self.name!r} has no loss: call model.compile(optimizer=..., loss=...)"
            )
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def _require_targets(self, y: Any) -> None:
        if self._objective is None:
            return
        if isinstance(y, NODES):
            raise TypeError(
                f"model {self.name!r} has one output, and the targets are a {type(y).__name__} of "
                f"{len(y)}: pass y as one array"
            )
        if y is None:
            raise ValueError(
                f"model {self.name!r} has a loss that needs targets: pass y beside x, as in "
                "fit(x, y), also in validation_data=(x, y) and in batches"
            )

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: TensorLike = None
    ) -> dict[str, Any]:
        """Update the metrics given to `compile` with a batch; the results so far."""
        self._measure(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def train_step(self, data: Structure) -> dict[str, Any]:
        """Train on one batch; the results so far, by name."""
        return self._train(data) or self.get_metrics_result()

    def test_step(self, data: Structure) -> dict[str, Any]:
        """Measure one batch; the results so far, by name."""
        return self._test(data) or self.get_metrics_result()

    def predict_step(self, data: Structure) -> Any:
        """The outputs for one batch."""
        return self(unpack_x_y_sample_weight(data)[0], training=False)

    def _train(self, data: Structure) -> dict[str, Any]:
        if self.optimizer is None:
            raise ValueError(f"model {self.name!r} has no optimizer: give compile one to train")
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._loss(x, y, y_pred, sample_weight, training=True)
        weights, optimizer = self.trainable_weights, self.optimizer
        if optimizer._trainable_variables and not any(map(optimizer.knows, self.weights)):
            raise ValueError(
                f"the optimizer {optimizer.name!r} has trained other weights than those of model "
                f"{self.name!r}: give each model an optimizer of its own"
            )
        if weights:
            gradients = tape.gradient(loss, weights)
            optimizer.apply_gradients(zip(gradients, weights, strict=True))
        else:
            remedy = (
                "all are frozen: set trainable = True for those that shall learn"
                if self.weights
                else "make its layers in __init__, as its attributes: one made inside call is "
                "another at each call"
            )
            warn(f"model {self.name!r} has no weights to train; {remedy}")
        self._track(loss, x)
        return self._metrics(x, y, y_pred, sample_weight)

    def _test(self, data: Structure) -> dict[str, Any]:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        self._track(self._loss(x, y, y_pred, sample_weight, training=False), x)
        return self._metrics(x, y, y_pred, sample_weight)

    def _loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: TensorLike, training: bool
    ) -> Tensor:
        """What `compute_loss` gives; one of the user's need not know of `training`."""
        own = self._is_own("compute_loss")
        known = not own or "training" in signature(self.compute_loss).parameters
        options = {"training": training} if known else {}
        return self.compute_loss(x, y, y_pred, sample_weight, **options)

    def _metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: TensorLike) -> dict[str, Any]:
        """Update the metrics; what a `compute_metrics` of the user's says of them."""
        if self._is_own("compute_metrics"):
            return self.compute_metrics(x, y, y_pred, sample_weight)
        self._measure(y, y_pred, sample_weight)
        return {}  # the metrics tell, in the end

    def _track(self, loss: Tensor, x: Structure) -> None:
        if self._loss_tracker is not None:
            self._loss_tracker.update_state(loss, sample_weight=len(leaves(x)[0]))

    def _measure(self, y: Any, y_pred: Any, sample_weight: TensorLike) -> None:
        for metric in self._measures:
            with errors_of(f"metric {metric.name!r}"):
                metric.update_state(y, y_pred)
        for metric in self._weighted_measures:
            with errors_of(f"metric {metric.name!r}"):
                metric.update_state(y, y_pred, sample_weight)

    def _measured(self) -> Logs:
        return {name: plain(value) for name, value in self.get_metrics_result().items()}

    def _outcome(self, kind: Kind, data: Structure) -> Outcome:
        if kind == "predict":
            return self._predicting(data)
        step = f"{kind}_step"
        logs = getattr(self, step if self._is_own(step) else f"_{kind}")(data)
        return Outcome(_named(step, logs))

    def _predicting(self, data: Structure) -> Outcome:
        output = self.predict_step(data)
        parts = leaves(output)
        if not parts or not all(isinstance(part, Tensor) for part in parts):
            raise TypeError(
                f"predict needs a model that gives tensors, also in a tuple, list or dict, and "
                f"{self.name!r} gives {output!r}: call the model on the data instead"
            )
        return Outcome({}, filled(output, map(convert, parts)))

    def _is_own(self, method: str) -> bool:
        """Whether a subclass defines the method of this name."""
        return getattr(type(self), method) is not getattr(Steps, method)

    def _step(self, kind: Kind, arrays: Arrays) -> Step:
        form = arrays.structured(range(len(arrays.columns)))
        return lambda *tensors: self._outcome(kind, filled(form, iter(tensors)))

    @property
    def _is_op_by_op(self) -> bool:
        return self.run_eagerly or self._keeps_state

    def _loop(self, kind: Kind, arrays: Arrays, size: int) -> Loop:
        """The loop that runs a step over such data: a program from before, if there is one."""
        known = self._known_loop(kind, arrays, size)
        if known is not None:
            return known
        # A program reads the rows without zeros of one data set: for a batch alone it does not pay.
        is_new_batch = arrays.are_compressed and len(arrays) <= size and not arrays.have_run
        arrays.have_run = True
        if self._is_op_by_op or is_new_batch:
            return EagerLoop(self._step(kind, arrays), size)
        key = self._key(kind, arrays, size)  # before: another thread may change something meanwhile
        loop = self._new_loop(kind, arrays, min(size, len(arrays)))
        return self._loops_for(arrays).keep(key, loop)

    def _known_loop(self, kind: Kind, arrays: Arrays, size: int) -> Loop | None:
        """The program from before that runs a step over such data."""
        if recorders.trace is not None:
            recorders.trace.refuse(
                f"goes through data with the model {self.name!r}, which the program would not "
                "repeat: call the model itself, model(x), or leave"
            )
        if self._is_op_by_op:
            return None
        now = changes()
        if self._loops_after != now:
            self._loops.clear()
            self._loops_after = now
        return self._loops_for(arrays).found(self._key(kind, arrays, size))

    def _loops_for(self, arrays: Arrays) -> Recent[object, Loop]:
        """Where the programs for such data are kept."""
        return arrays.loops if arrays.are_compressed else self._loops

    def _key(self, kind: Kind, arrays: Arrays, size: int) -> object:
        """All that a program rests on."""
        optimizer, own = self.optimizer, self._settings()
        if optimizer is not None and optimizer.looks_beyond:
            own += (optimizer.count_beyond(self.trainable_weights),)
        size = min(size, len(arrays))
        data = kind, arrays.kind, size, len(arrays) % size
        return *data, _kernels.settings(), changes(), *own

    @staticmethod
    def _recorded(
        step: Step, arrays: Arrays, size: int, effects: Effects
    ) -> tuple[CompiledLoop, str]:
        """A program, and the effects that the recording of one of its batches had."""
        found: list[str] = []
        loop = CompiledLoop(step, arrays.columns, size, lambda: found.append(effects.found()))
        return loop, next(filter(None, found), "")

    def _new_loop(self, kind: Kind, arrays: Arrays, size: int) -> Loop:
        step = self._step(kind, arrays)
        parts = [*layers_in(self), *self.metrics, self.loss, self.optimizer]
        first, again, found = Effects(parts), None, ""
        try:
            loop, found = self._recorded(step, arrays, size, first)
            if found:  # but perhaps only the first time, as where a layer keeps a constant
                before, again = loop.ops(), Effects(parts)
                loop, anew = self._recorded(step, arrays, size, again)
                if anew or loop.ops() != before:
                    found = anew or found
                    draw = "let a layer such as GaussianNoise draw"
                    raise TraceError(
                        f"{found} and not in every step: "
                        f"{draw if found == DRAWS else 'make a Variable of it'}, or leave the step "
                        "uncompiled: run_eagerly=True in compile"
                    )
            return loop
        except BaseException as error:
            state = first.state() or ("" if found == DRAWS else found)
            first.put_back()
            # Another error may come of the recordings themselves, where they used something up that
            # is put back by now: then op by op shows whether it is one.
            if not isinstance(error, TraceError) and not (state and isinstance(error, Exception)):
                raise
            self._keeps_state = self._keeps_state or (again is not None and bool(state))
            why = error if isinstance(error, TraceError) else state
            warn(f"model {self.name!r} runs op by op, which is slower: {why}")
            return EagerLoop(step, size)


def _to_metrics(given: Sequence[Any] | None) -> list[Metric]:
    if isinstance(given, str):
        raise ValueError(f"metrics must be a list: write metrics=[{given!r}]")
    if callable(given) or isinstance(given, Metric):
        raise TypeError(f"metrics must be a list: write metrics=[...] around {given!r}")
    chosen = [] if given is None else list(given)
    if len(chosen) == 1 and isinstance(chosen[0], list):  # those of each output
        (chosen,) = chosen
    if isinstance(given, Mapping) or any(metric is None for metric in chosen):
        raise TypeError(
            f"metrics must be a list of names and functions, got {given!r}: a model has one output"
        )
    return [metrics.to_metric(metric) for metric in chosen]


@contextmanager
def errors_of(part: str) -> Iterator[None]:
    """Says of an error inside the block what it is about; those of a user's class stay."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if type(error) not in (ValueError, TypeError):
            raise
        named = type(error)(f"{part}: {error}")
        for note in getattr(error, "__notes__", ()):
            named.add_note(note)
        raise named from error


def _named(step: str, logs: Any) -> dict[str, Tensor]:
    if not isinstance(logs, dict):
        raise TypeError(
            f'{step} must return a dict of numbers by name, such as {{"loss": loss}} or '
            f"self.get_metrics_result(), and returned a {type(logs).__name__}"
        )
    return {name: convert(value) for name, value in logs.items()}
