"""Compiled and op by op: the same bits, for every op, layer, loss, optimizer and metric.

Whatever is added to fastnn gets a row in one of the tables here (ops: in tests/cases.py).
"""

import warnings
from functools import partial

import numpy as np
import pytest
from cases import CASES
from loss_formulas import FORMULAS

import fastnn
from fastnn import (
    GradientTape,
    Sequential,
    Variable,
    constraints,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
)
from fastnn.function import function
from fastnn.optimizers import schedules

CLASSES = 5


def classifier():
    return [layers.Dense(12, "relu"), layers.Dense(CLASSES, "softmax")]


LAYERS = {
    "one layer": lambda: [layers.Dense(CLASSES)],
    "relu, softmax": classifier,
    "tanh": lambda: [layers.Dense(7, "tanh"), layers.Dense(CLASSES, "softmax")],
    "sigmoid, no bias": lambda: [layers.Dense(9, "sigmoid", use_bias=False), layers.Dense(CLASSES)],
    "wide": lambda: [layers.Dense(420, "relu"), layers.Dense(CLASSES, "softmax")],
    "deep": lambda: [
        *(layers.Dense(16, "relu") for _ in range(4)),
        layers.Dense(CLASSES, "softmax"),
    ],
    "dropout": lambda: [
        layers.Dense(40, "relu"),
        layers.Dropout(0.5),
        layers.Dense(CLASSES, "softmax"),
    ],
    "dropout first": lambda: [layers.Dropout(0.2), layers.Dense(CLASSES, "softmax")],
    "frozen": lambda: [layers.Dense(8, "relu", trainable=False), layers.Dense(CLASSES, "softmax")],
    "other activations": lambda: [
        *(layers.Dense(8, name) for name in ("gelu", "selu", "silu", "mish", "leaky_relu")),
        layers.Dense(CLASSES, "softmax"),
    ],
    "regularized": lambda: [
        layers.Dense(9, "relu", kernel_regularizer="l1_l2", bias_regularizer="l1"),
        layers.Dense(8, "tanh", kernel_regularizer="orthogonal_regularizer"),
        layers.Dense(CLASSES, "softmax", kernel_regularizer=regularizers.L2(0.1)),
    ],
    "constrained": lambda: [
        layers.Dense(9, "relu", kernel_constraint=constraints.MaxNorm(0.7)),
        layers.Dense(8, "tanh", kernel_constraint="unit_norm", bias_constraint="non_neg"),
        layers.Dense(CLASSES, "softmax", kernel_constraint=constraints.MinMaxNorm(0.5, 1, 0.9)),
    ],
    "activations": lambda: [
        layers.Dense(12),
        layers.ReLU(2.0, 0.1, 0.05),
        layers.Dense(11, "linear"),
        layers.LeakyReLU(),
        layers.Dense(10),
        layers.ELU(0.5),
        layers.Dense(9),
        layers.PReLU("random_normal"),
        layers.Dense(8),
        layers.Activation("tanh"),
        layers.Dense(CLASSES),
        layers.Softmax(),
    ],
    "batch normalization": lambda: [
        layers.BatchNormalization(),
        layers.Dense(16, use_bias=False),
        layers.BatchNormalization(momentum=0.8, scale=False),
        layers.Activation("relu"),
        layers.Dense(8, "relu"),
        layers.BatchNormalization(trainable=False, beta_initializer="random_normal"),
        layers.Dense(CLASSES, "softmax"),
    ],
    "layer normalization": lambda: [
        layers.Dense(16, "relu"),
        layers.LayerNormalization(),
        layers.Reshape((4, -1)),
        layers.LayerNormalization(axis=[1, 2], epsilon=0.1),
        layers.Flatten(),
        layers.Dense(CLASSES, "softmax"),
    ],
    "noise": lambda: [
        layers.GaussianNoise(0.2),
        layers.Dense(40, "relu"),
        layers.GaussianDropout(0.3),
        layers.Dense(30, "relu"),
        layers.AlphaDropout(0.2),
        layers.Reshape((5, 6)),
        layers.Dropout(0.4, noise_shape=(None, 1, 6)),
        layers.Flatten(),
        layers.Dense(CLASSES, "softmax"),
    ],
    "preprocessing": lambda: [
        layers.Input((11,)),
        layers.Rescaling(3.0, offset=-1.0),
        layers.Normalization(mean=0.5, variance=0.1),
        layers.Identity(),
        layers.Dense(CLASSES, "softmax"),
    ],
    "activities": lambda: [
        layers.Dense(9, "relu", activity_regularizer="l2"),
        layers.ActivityRegularization(l1=0.01, l2=0.02),
        layers.Dense(CLASSES, "softmax"),
    ],
    "merging": lambda: [Branches(), layers.Dense(CLASSES, "softmax")],
    "own layer": lambda: [layers.Dense(8), Scale(), layers.Dense(CLASSES, "softmax")],
}

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adagrad": lambda: optimizers.Adagrad(0.1),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
    "adam": lambda: optimizers.Adam(0.01),
    "rmsprop, momentum": lambda: optimizers.RMSprop(0.01, momentum=0.5),
    "rmsprop, centered": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adadelta": lambda: optimizers.Adadelta(1.0),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: optimizers.AdamW(0.01),
    "adamax": lambda: optimizers.Adamax(0.01),
    "nadam": lambda: optimizers.Nadam(0.01),
    "sgd, weight decay": lambda: optimizers.SGD(0.1, weight_decay=0.01),
    "adagrad, weight decay": lambda: optimizers.Adagrad(0.1, weight_decay=0.01),
    "sgd, clipped norms": lambda: optimizers.SGD(0.1, clipnorm=0.2),
    "sgd, clipped values": lambda: optimizers.SGD(0.1, momentum=0.9, clipvalue=0.01),
    "adam, clipped together": lambda: optimizers.Adam(0.01, global_clipnorm=0.1),
    "sgd, averages": lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8),
    "adam, averages put in": lambda: optimizers.Adam(
        0.01, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=4
    ),
    **{
        f"{optimizer.__name__}, {name}": partial(optimizer, schedule)
        for optimizer in (optimizers.SGD, optimizers.Adam)
        for name, schedule in {
            "exponential": schedules.ExponentialDecay(0.1, 5, 0.9),
            "exponential, stairs": schedules.ExponentialDecay(0.1, 5, 0.9, staircase=True),
            "inverse": schedules.InverseTimeDecay(0.1, 5, 0.9),
            "pieces": schedules.PiecewiseConstantDecay([3, 8], [0.1, 0.05, 0.01]),
            "polynomial": schedules.PolynomialDecay(0.1, 10, power=2.0, cycle=True),
            "cosine": schedules.CosineDecay(0.01, 10, warmup_target=0.1, warmup_steps=5),
            "restarts": schedules.CosineDecayRestarts(0.1, 5),
        }.items()
    },
}

LOSSES = {
    "sparse": ("sparse_categorical_crossentropy", "labels"),
    "sparse, logits": (
        lambda y, p: losses.sparse_categorical_crossentropy(y, p * 1, from_logits=True),
        "labels",
    ),
    "categorical": ("categorical_crossentropy", "one hot"),
    "mse": ("mse", "one hot"),
    "of probabilities": (
        lambda y, p: losses.sparse_categorical_crossentropy(y, p * 1),
        "labels",
    ),
    "own": (lambda y, p: fastnn.reduce_sum(abs(p - y), axis=-1), "one hot"),
}

# What the outputs are that a loss is for, where they are not just any numbers.
OUTPUTS = {
    "binary_crossentropy": "sigmoid",
    "binary_focal_crossentropy": "sigmoid",
    "categorical_crossentropy": "softmax",
    "kl_divergence": "softmax",
    "mean_squared_logarithmic_error": fastnn.softplus,
    "poisson": fastnn.softplus,
    "sparse_categorical_crossentropy": "softmax",
}

METRICS = {
    "labels": ["accuracy", "sparse_categorical_accuracy"],
    "one hot": ["accuracy", "categorical_accuracy", "binary_accuracy", "mse"],
}


class LargestError(metrics.Metric):
    """A metric of somebody else's."""

    def __init__(self, name="largest_error", **options):
        super().__init__(name=name, **options)
        self.largest = self.add_weight(name="largest", initializer="zeros")
        self.batches = self.add_weight(name="batches", initializer="zeros", dtype="int32")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(fastnn.maximum(self.largest, fastnn.reduce_max(abs(y_pred - y_true))))
        self.batches.assign_add(1)

    def result(self):
        return self.largest / fastnn.cast(self.batches, "float32")


MEASURES = {
    "labels": [
        metrics.SparseCategoricalAccuracy,
        lambda: metrics.SparseTopKCategoricalAccuracy(k=2),
        metrics.SparseCategoricalCrossentropy,
    ],
    "one hot": [
        metrics.Accuracy,
        lambda: metrics.BinaryAccuracy(threshold=0.2),
        metrics.CategoricalAccuracy,
        lambda: metrics.TopKCategoricalAccuracy(k=2),
        metrics.MeanSquaredError,
        metrics.RootMeanSquaredError,
        metrics.MeanAbsoluteError,
        metrics.MeanAbsolutePercentageError,
        metrics.MeanSquaredLogarithmicError,
        metrics.LogCoshError,
        metrics.CosineSimilarity,
        metrics.R2Score,
        lambda: metrics.R2Score(None),
        lambda: metrics.R2Score("variance_weighted_average", num_regressors=2),
        lambda: metrics.BinaryCrossentropy(label_smoothing=0.1),
        metrics.CategoricalCrossentropy,
        metrics.KLDivergence,
        metrics.Poisson,
        metrics.Hinge,
        metrics.SquaredHinge,
        metrics.CategoricalHinge,
        metrics.TruePositives,
        lambda: metrics.FalsePositives([0.1, 0.2]),
        metrics.TrueNegatives,
        metrics.FalseNegatives,
        lambda: metrics.Precision(0.2),
        lambda: metrics.Precision(top_k=2, class_id=1),
        lambda: metrics.Recall([0.1, 0.3]),
        metrics.AUC,
        lambda: metrics.AUC(curve="PR"),
        lambda: metrics.AUC(curve="PRGAIN", summation_method="minoring"),
        lambda: metrics.AUC(multi_label=True, label_weights=[1, 2, 3, 4, 5]),
        lambda: metrics.AUC(thresholds=[0.2, 0.3], from_logits=True, summation_method="majoring"),
        lambda: metrics.SensitivityAtSpecificity(0.5),
        lambda: metrics.SpecificityAtSensitivity(0.5, class_id=1),
        lambda: metrics.PrecisionAtRecall(0.5),
        lambda: metrics.RecallAtPrecision(0.2, num_thresholds=1),
        metrics.F1Score,
        lambda: metrics.FBetaScore("micro", 2.0, threshold=0.2),
        lambda: metrics.MeanMetricWrapper(lambda y, p: fastnn.reduce_max(abs(y - p)), "batch"),
        LargestError,
    ],
}


class Scale(layers.Layer):
    """A layer of somebody else's, with a weight that it counts its training calls in."""

    def build(self, input_shape):
        self.factor = self.add_weight((input_shape[-1],), "ones")
        self.calls = self.add_weight((), "zeros", trainable=False)

    def call(self, inputs, training=False):
        if training:
            self.calls.assign_add(1.0)
        return inputs * self.factor + self.calls / 100


class Branches(layers.Layer):
    """A layer of layers that meet again."""

    def __init__(self):
        super().__init__()
        self.parts = [layers.Dense(6, "relu"), layers.Dense(6, "tanh"), layers.Dense(6)]
        self.merging = [layers.Add(), layers.Multiply(), layers.Average(), layers.Maximum()]
        self.merging += [layers.Minimum()]
        self.subtract, self.concatenate = layers.Subtract(), layers.Concatenate()

    def call(self, inputs):
        branches = [part(inputs) for part in self.parts]
        merged = [merge(branches) for merge in self.merging]
        return self.concatenate([*merged, self.subtract(branches[:2])])


def data(kind, n=83, features=11, dtype=np.float32, zeros=0.0):
    rng = np.random.default_rng(3)
    x = rng.integers(1, 200, (n, features)) * (rng.random((n, features)) >= zeros)
    x = x.astype(dtype) if np.dtype(dtype).kind in "iu" else (x / 200).astype(dtype)
    labels = rng.integers(0, CLASSES, n)
    return x, labels if kind == "labels" else np.eye(CLASSES)[labels]


def trained(run_eagerly, make_layers, optimizer, loss, measures, x, y, **options):
    """Everything that can be seen of a model that was trained, evaluated and asked."""
    fastnn.utils.set_random_seed(4)
    model = Sequential(make_layers())
    model.compile(optimizer(), loss, measures, run_eagerly=run_eagerly)
    history = model.fit(x, y, epochs=3, verbose=0, **{"batch_size": 16, **options})
    seen = [np.array(values) for values in history.history.values()]
    seen += [np.array(model.evaluate(x, y, batch_size=16, verbose=0)), model.predict(x)]
    seen += [w.numpy() for w in model.weights]
    return seen + [v.numpy() for v in model.optimizer.variables]


def assert_both_ways_agree(*setting, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a model that cannot be compiled would warn
        warnings.filterwarnings("ignore", "the loss of model .* is nan")
        compiled, eager = (trained(eagerly, *setting, **options) for eagerly in (False, True))
    for a, b in zip(compiled, eager, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, strict=True)


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    loss = "mse" if name in ("one layer", "sigmoid, no bias") else "sparse_categorical_crossentropy"
    kind = "one hot" if loss == "mse" else "labels"
    x, y = data(kind)
    assert_both_ways_agree(LAYERS[name], OPTIMIZERS["sgd"], loss, ["accuracy"], x, y)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("zeros", [0.0, 0.9])
def test_optimizers(name, zeros):
    wide = LAYERS["wide"]
    x, y = data("labels", n=150, features=60, zeros=zeros)
    loss = "sparse_categorical_crossentropy"
    assert_both_ways_agree(wide, OPTIMIZERS[name], loss, ["accuracy"], x, y)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_metrics(name):
    loss, kind = LOSSES[name]
    x, y = data(kind)
    assert_both_ways_agree(classifier, OPTIMIZERS["adam"], loss, METRICS[kind], x, y)


# Over the axis of the samples nothing is left to be weighted.
OF_SAMPLES = [name for name, formula in FORMULAS.items() if "axis" not in formula.options]


def for_loss(name):
    """Layers, loss, inputs and targets."""
    formula = FORMULAS[name]
    activation = OUTPUTS.get(formula.function)
    last = None if "from_logits" in formula.options else activation
    x, y = data("labels" if "sparse" in name else "one hot")
    if "ignore_class" in formula.options:
        y = np.where(y == 2, formula.options["ignore_class"], y)
    loss = getattr(losses, formula.of)(**formula.options)
    return lambda: [layers.Dense(12, "relu"), layers.Dense(CLASSES, last)], loss, x, y


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", OF_SAMPLES)
def test_losses_with_weights(name, weighted):
    make_layers, loss, x, y = for_loss(name)
    weights = np.random.default_rng(1).random(len(x)) if weighted else None
    setting = (make_layers, OPTIMIZERS["adam"], loss, [], x, y)
    assert_both_ways_agree(*setting, sample_weight=weights)


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("name", ["mse", "sparse", "sparse, ignoring"])
def test_reductions(name, reduction):
    make_layers, loss, x, y = for_loss(name)
    loss.reduction = reduction
    weights = np.random.default_rng(1).random(len(x)).round()
    assert_both_ways_agree(make_layers, OPTIMIZERS["adam"], loss, [], x, y, sample_weight=weights)


@pytest.mark.parametrize("name", [name for name in OF_SAMPLES if name != "focal, balanced"])
def test_losses_in_c(name):
    """No step of these waits for Python; the focal one does, for a power that is not 2."""
    make_layers, loss, x, y = for_loss(name)
    model = Sequential(make_layers())
    model.compile("sgd", loss)
    assert "Python" not in model.describe(x, y)


@pytest.mark.parametrize("name", ["regularized", "constrained", "other activations"])
def test_layers_in_c(name):
    """No step of these waits for Python."""
    model = Sequential(LAYERS[name]())
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert "Python" not in model.describe(*data("labels"))


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.ExponentialDecay(0.1, 5, 0.9),
        schedules.InverseTimeDecay(0.1, 5, 0.9),
        schedules.PiecewiseConstantDecay([3, 8], [0.1, 0.05, 0.01]),
        schedules.PolynomialDecay(0.1, 10),
        schedules.PolynomialDecay(0.1, 10, power=2),
    ],
    ids=lambda schedule: schedule.name,
)
def test_schedules_in_c(schedule):
    """No step of these waits for Python; stairs and cosines do."""
    model = Sequential(classifier())
    model.compile(optimizers.SGD(schedule), "sparse_categorical_crossentropy")
    assert "Python" not in model.describe(*data("labels"))


def measures_of(kind):
    measures = [make() for make in MEASURES[kind]]
    for number, measure in enumerate(measures):
        measure.name = f"{type(measure).__name__} {number}"
    return measures


@pytest.mark.parametrize("kind", MEASURES)
def test_measures_in_c(kind):
    """No step of these waits for Python, but where outputs are turned into rows or counts are
    integers.
    """
    x, y = data(kind)
    model = Sequential(classifier())
    measures = [
        measure
        for measure in measures_of(kind)
        if not isinstance(measure, LargestError) and not getattr(measure, "multi_label", False)
    ]
    loss = "mse" if kind == "one hot" else "sparse_categorical_crossentropy"
    model.compile("sgd", loss, metrics=measures)
    assert "Python" not in model.describe(x, y)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("kind", MEASURES)
def test_measures(kind, weighted):
    x, y = data(kind)
    weights = np.random.default_rng(5).random(len(x))

    def measured(run_eagerly):
        fastnn.utils.set_random_seed(4)
        measures = measures_of(kind)
        model = Sequential(classifier())
        model.compile(
            "sgd",
            "mse" if kind == "one hot" else "sparse_categorical_crossentropy",
            run_eagerly=run_eagerly,
            **{"weighted_metrics" if weighted else "metrics": measures},
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            history = model.fit(x, y, 16, 2, verbose=0, sample_weight=weights if weighted else None)
        state = {m.name: [v.numpy() for v in m.variables] for m in measures}
        return history.history | state

    compiled, eager = measured(False), measured(True)
    assert compiled.keys() == eager.keys()
    for name, values in compiled.items():
        for a, b in zip(values, eager[name], strict=True):
            np.testing.assert_array_equal(a, b, strict=True, err_msg=name)


@pytest.mark.parametrize("targets", ["uint8", "int64", "float32", "float64", "column"])
@pytest.mark.parametrize("inputs", ["float32", "float64", "float16", "uint8", "int64", "strided"])
def test_data(inputs, targets):
    x, y = data("labels", dtype="float32" if inputs == "strided" else inputs)
    x = np.repeat(x, 2, axis=1)[:, ::2] if inputs == "strided" else x
    y = y[:, None] if targets == "column" else y.astype(targets)
    loss = "sparse_categorical_crossentropy"
    assert_both_ways_agree(classifier, OPTIMIZERS["sgd"], loss, ["accuracy"], x, y)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 1},
        {"batch_size": 83},
        {"batch_size": 500},
        {"shuffle": False},
        {"validation_split": 0.3},
        {"class_weight": {0: 2.0, 3: 0.5}},
        {"sample_weight": np.linspace(0, 1, 83)},
        {"class_weight": {1: 3.0}, "sample_weight": np.linspace(0, 1, 83), "batch_size": 7},
        {"steps_per_epoch": 2},
        {"callbacks": [fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda *seen: None)]},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("zeros", [0.0, 0.9])
def test_options(options, zeros):
    x, y = data("labels", zeros=zeros)
    loss = "sparse_categorical_crossentropy"
    setting = (LAYERS["wide"], OPTIMIZERS["sgd"], loss, ["accuracy"], x, y)
    assert_both_ways_agree(*setting, **options)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("zeros", [0.0, 0.9])
def test_threads(threads, zeros):
    x, y = data("labels", n=300, features=900, zeros=zeros)
    loss = "sparse_categorical_crossentropy"
    setting = (LAYERS["wide"], OPTIMIZERS["sgd"], loss, ["accuracy"], x, y)
    alone = trained(True, *setting, batch_size=128)
    with fastnn.threads(threads):
        for a, b in zip(alone, trained(False, *setting, batch_size=128), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_zeros_times_infinity(bad, isa):
    """Zeros that were left out count again where the weights are not finite."""
    x, y = data("labels", n=100, features=50, zeros=0.9)

    def spoilt():
        made = LAYERS["wide"]()
        made[0](x[:1])
        made[0].kernel[3, 5].assign(bad)
        return made

    loss = "sparse_categorical_crossentropy"
    assert_both_ways_agree(spoilt, OPTIMIZERS["sgd"], loss, [], x, y)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ops(case, dtype, isa, rng):
    """Values and gradients of every op, for inputs and for variables, run after run."""
    drawn = [[np.asarray(case.draw(rng, shape), dtype) for shape in case.shapes] for _ in range(3)]
    variables = [Variable(x) for x in drawn[0]]

    def of_inputs(*inputs):
        with GradientTape() as tape:
            tape.watch(inputs)
            y = case.op(*inputs)
        return y, tape.gradient(y, list(inputs))

    def of_variables():
        with GradientTape() as tape:
            y = case.op(*variables)
        return y, tape.gradient(y, variables)

    compiled, of_variables_compiled = function(of_inputs), function(of_variables)
    for inputs in drawn:
        for variable, x in zip(variables, inputs, strict=True):
            variable.assign(x)
        tensors = [fastnn.constant(x) for x in inputs]
        for found, expected in (
            (compiled(*tensors), of_inputs(*tensors)),
            (of_variables_compiled(), of_variables()),
        ):
            for a, b in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
                assert (a is None) == (b is None)
                if a is not None:
                    np.testing.assert_array_equal(a.numpy(), b.numpy(), strict=True)


class WithAStep(fastnn.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(1)

    def call(self, x):
        return self.last(x)

    def train_step(self, data):
        x, y = data
        with fastnn.GradientTape() as tape:
            loss = fastnn.reduce_mean((self(x) - y) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def test_weights_that_a_step_of_ones_own_makes_are_drawn_before_the_first_shuffle():
    x, y = np.arange(60.0).reshape(20, 3) / 60, np.arange(20.0)
    histories = []
    for eagerly in (False, True):
        fastnn.random.set_seed(1)
        model = WithAStep()
        model.compile("sgd", run_eagerly=eagerly)
        histories.append(model.fit(x, y, batch_size=4, verbose=0).history)
    assert histories[0] == histories[1]
