"""Calls of the public interface of which allocations fail, and what each of them may change."""

import itertools
import os
import shutil
import tempfile
from functools import partial

import numpy as np
import public_calls

import fastnn
from fastnn import Sequential, callbacks, layers, models, optimizers

X = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, len(X))
TEMPORARY = tempfile.TemporaryDirectory()  # until the end of the process
FOLDER = TEMPORARY.name


class Stateless:
    """A call that changes nothing that lasts."""

    first = False

    def __init__(self, run):
        self.run = run

    def state(self):
        return []

    def states(self):
        return [[]]

    def restore(self):
        fastnn.utils.clear_session()  # the same names
        fastnn.utils.set_random_seed(3)


class Changing(Stateless):
    """A call that changes variables."""

    def __init__(self, make):
        self.variables, self.run = make()
        self.start = [w.numpy() for w in self.variables]

    def state(self):
        return [w.numpy().tobytes() for w in self.variables]

    def restore(self):
        for w, value in zip(self.variables, self.start, strict=True):
            w.assign(value)

    def states(self):
        """As before, or as after the whole call."""
        before = self.state()
        self.run()
        return [before, self.state()]


class Training:
    """A model with everything that changes when it is trained."""

    first = False  # whether a call is one of a new model

    def __init__(self, **options):
        fastnn.utils.clear_session()  # the same names
        fastnn.utils.set_random_seed(7)
        self.model = Sequential(self.layers())
        self.model(X[:1])
        loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizers.Adam(0.01), loss, ["accuracy"], **options)
        if not self.first:
            self.prepare()
        self.start = self.state()

    def layers(self):
        return [layers.Dense(4, "relu"), layers.Dropout(0.3), *self.last_layers()]

    def last_layers(self):
        return [layers.BatchNormalization(), layers.Dense(3)]

    def prepare(self):
        self.run()

    def variables(self):
        uses = [layer._stream._uses for layer in self.model.layers if hasattr(layer, "_stream")]
        return [*self.model.weights, *uses, *self.model.optimizer.variables]

    def state(self):
        return [w.numpy().tobytes() for w in self.variables()]

    def restore(self):
        fastnn.utils.set_random_seed(3)
        for w, value in itertools.zip_longest(self.variables(), self.start, fillvalue=None):
            w.assign(np.frombuffer(value, w.dtype).reshape(w.shape) if value else np.zeros(w.shape))

    def states(self):
        """What the state may be afterwards: as before, or as after the whole call."""
        self.restore()
        self.run()
        return [self.start, self.state()]

    def run(self):
        raise NotImplementedError


class Fit(Training):
    def run(self):
        return self.fit([]).history

    def fit(self, callbacks):
        options = {"batch_size": 4, "callbacks": callbacks, "verbose": 0}
        return self.model.fit(X, Y, **options)

    def states(self):
        """After each whole step."""
        self.restore()
        found = [self.start]
        note = callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: found.append(self.state())
        )
        self.fit([note])
        return found


class FirstFit(Fit):
    first = True

    def last_layers(self):
        return [layers.Dense(3)]


class EagerFit(Fit):
    def __init__(self):
        super().__init__(run_eagerly=True)


class FitWithCallbacks(Fit):
    """With those that change something: the learning rate, files, the weights in the end."""

    folder = os.path.join(FOLDER, "fit")

    def prepare(self):
        self.empty_folder()
        super().prepare()

    def restore(self):
        super().restore()
        self.empty_folder()

    def empty_folder(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)

    def callbacks(self):
        return [
            callbacks.BackupAndRestore(os.path.join(self.folder, "backup")),
            callbacks.CSVLogger(os.path.join(self.folder, "log")),
            callbacks.EarlyStopping("loss", restore_best_weights=True),
            callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
            callbacks.ModelCheckpoint(os.path.join(self.folder, "{epoch}"), save_weights_only=True),
            callbacks.ReduceLROnPlateau("loss"),
            callbacks.TerminateOnNaN(),
        ]

    def run(self):
        return self.fit(self.callbacks()).history

    def states(self):
        """At each call of a callback, and in the end."""
        self.restore()
        found = [self.start]
        hooks = [hook for hook in vars(callbacks.Callback) if hook.startswith("on_")]
        note = type("Note", (callbacks.Callback,), {})()
        for hook in hooks:
            setattr(note, hook, lambda *arguments, **named: found.append(self.state()))
        self.fit([*self.callbacks(), note])
        return [*found, self.state()]


class Predict(Training):
    def run(self):
        return self.model.predict(X, batch_size=5)


class FirstPredict(Predict):
    first = True


class Evaluate(Training):
    def run(self):
        return self.model.evaluate(X, Y, batch_size=4, verbose=0)


class FirstEvaluate(Evaluate):
    first = True
    last_layers = FirstFit.last_layers


class EagerEvaluate(Evaluate):
    def __init__(self):
        super().__init__(run_eagerly=True)


class TrainOnBatch(Training):
    def run(self):
        return self.model.train_on_batch(X, Y)


class Save(Training):
    """Into a file that is there already."""

    last_layers = FirstFit.last_layers
    path = os.path.join(FOLDER, "model")

    def prepare(self):
        self.model.fit(X, Y, verbose=0)
        self.model.save(self.path)

    def run(self):
        self.model.save(self.path)
        with open(self.path, "rb") as file:
            return file.read()

    def state(self):
        with open(self.path, "rb") as file:
            return [sorted(os.listdir(FOLDER)), file.read(), *super().state()]

    def restore(self):
        pass


class SaveWeights(Save):
    def prepare(self):
        self.model.save_weights(self.path)

    def run(self):
        self.model.save_weights(self.path)


class Load(Save):
    def run(self):
        return models.load_model(self.path).get_weights()


class LoadWeights(Load):
    def run(self):
        self.model.load_weights(self.path)


class Method(Training):
    """A call that needs a model."""

    def __init__(self, call):
        self.call = call
        super().__init__()

    def run(self):
        return self.call(self.model)


class FirstCall(Training):
    first = True

    def __init__(self):
        super().__init__()
        self.layer = layers.Dense(3, "softmax", kernel_initializer="ones")

    def run(self):
        return self.layer(X)


class Step(Training):
    """Gradients by hand, and a step of the optimizer."""

    def run(self):
        return self.step(fastnn.constant(X))

    def step(self, x):
        with fastnn.GradientTape() as tape:
            loss = fastnn.reduce_sum(self.model(x, training=False) ** 2)
        gradients = tape.gradient(loss, self.model.trainable_weights)
        self.model.optimizer.apply(gradients, self.model.trainable_weights)
        return loss


class FirstStep(Step):
    first = True


class Function(Step):
    def __init__(self):
        self.function = fastnn.function(self.step)
        super().__init__()

    def run(self):
        return self.function(fastnn.constant(X))


class FirstFunction(Function):
    first = True
    last_layers = FirstFit.last_layers


def changed(model):
    model.set_weights([w + 1 for w in model.get_weights()])


METHODS = {
    "call": lambda model: model(X, training=False),
    "predict_on_batch": lambda model: model.predict_on_batch(X),
    "test_on_batch": lambda model: model.test_on_batch(X, Y),
    "set_weights": changed,
    "summary": lambda model: model.summary(str),
    "get_metrics_result": lambda model: model.get_metrics_result(),
    "compute_output_shape": lambda model: model.compute_output_shape((None, 5)),
}
CALLS = {  # those that take longest come first
    "fit, first": {"fit, first": FirstFit},
    "fit, callbacks": {"fit, callbacks": FitWithCallbacks},
    "fit, eager": {"fit, eager": EagerFit},
    "function": {"function": Function, "function, first": FirstFunction},
    **{
        group: {name: partial(kind, call) for name, call in table.items()}
        for kind, groups in ((Stateless, public_calls.CALLS), (Changing, public_calls.CHANGING))
        for group, table in groups.items()
    },
    "save": {"save": Save, "save_weights": SaveWeights},
    "predict": {"predict": Predict, "predict, first": FirstPredict},
    "evaluate, first": {"evaluate, first": FirstEvaluate},
    "evaluate": {"evaluate": Evaluate, "evaluate, eager": EagerEvaluate},
    "load": {"load_model": Load, "load_weights": LoadWeights},
    "methods": {name: partial(Method, call) for name, call in METHODS.items()},
    "steps": {"step": Step, "step, first": FirstStep},
    "fit": {"fit": Fit},
    "train_on_batch": {"train_on_batch": TrainOnBatch},
    "layer, first": {"layer, first": FirstCall},
}
