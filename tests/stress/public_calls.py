"""Calls of the public interface, but for those of a model that trains, as tables by name.

The calls come from the tables that the other tests walk, so that what is added there is here too.
"""

from functools import partial

import numpy as np
import test_both_ways
import test_layers_contract
import test_regularizers
import test_schedules
import test_threads
from cases import CASES

import fastnn
from fastnn import (
    GradientTape,
    Sequential,
    Variable,
    datasets,
    initializers,
    layers,
    losses,
    models,
    ops,
    optimizers,
    random,
    utils,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3)).astype(np.float32)
LABELS = np.array([2, 0, 1, 1])
MATRICES = RNG.standard_normal((2, test_threads.M, test_threads.N)).astype(np.float32)


def value_and_gradients(op, *arrays):
    tensors = [fastnn.constant(a) for a in arrays]
    with GradientTape() as tape:
        tape.watch(tensors)
        y = op(*tensors)
    return y, tape.gradient(y, tensors)


def of_case(case):
    drawn = [case.draw(RNG, shape).astype(np.float32) for shape in case.shapes]
    return partial(value_and_gradients, case.op, *drawn)


def of_layer(make, shape):
    parts = shape if isinstance(shape, list) else [shape]
    tensors = [fastnn.constant(RNG.normal(size=part).astype(np.float32)) for part in parts]
    x = tensors if isinstance(shape, list) else tensors[0]

    def run():
        layer = make()
        with GradientTape() as tape:
            y = layer(x, training=True)
        return y, tape.gradient(y, layer.trainable_weights), layer(x), layer.get_config()

    return run


def of_optimizer(make):
    def run():
        optimizer, w = make(), Variable(X)
        for _ in range(2):
            optimizer.apply([fastnn.constant(X)], [w])
        return w.numpy(), [v.numpy() for v in optimizer.variables], optimizer.get_config()

    return run


def of_metric(make, y):
    p = (RNG.random((4, test_both_ways.CLASSES)) / test_both_ways.CLASSES).astype(np.float32)

    def new():
        metric = make()
        metric(y, p)
        return metric.variables, lambda: metric(y, p, sample_weight=np.ones(4))

    return new


def of_normalization():
    layer = layers.Normalization()
    layer.adapt(X)
    return layer.weights, lambda: layer.adapt(2 * X)


def of_averages():
    """Put in the place of the weights at the end of a training."""
    optimizer, weights = optimizers.SGD(0.1, use_ema=True), [Variable(X), Variable(X)]
    for _ in range(2):
        optimizer.apply([fastnn.constant(X)] * 2, weights)
    return weights, lambda: optimizer.finalize_variable_values(weights)


def assigned(how, index):
    v = Variable(X)
    getattr(v if index is None else v[index], how)(X if index is None else X[index])
    return v.numpy()


class Deep(fastnn.Layer):
    """A layer with whatever layers have."""

    def __init__(self):
        super().__init__()
        self.part = layers.Dense(3, kernel_regularizer="l2")

    def call(self, x):
        self.add_loss(fastnn.reduce_sum(x))
        return self.part(x)


def of_own_layer():
    layer = Deep()
    shapes = layer.compute_output_shape((4, 3)), layer(X).shape, layer.output_shape
    return shapes, layer.losses, layer.count_params(), [w.numpy() for w in layer.weights]


OTHER_OPS = {
    "arange": lambda: ops.arange(5),
    "argmax": lambda: ops.argmax(X, 1),
    "argmin": lambda: ops.argmin(X, 0),
    "argsort": lambda: ops.argsort(X),
    "ceil": lambda: ops.ceil(X),
    "convert": lambda: ops.convert_to_tensor([[1, 2.5]], "float64"),
    "convert_to_numpy": lambda: ops.convert_to_numpy([1, 2]),
    "equal": lambda: ops.equal(X, X[0]),
    "eye": lambda: ops.eye(3, 4),
    "floor_divide": lambda: ops.floor_divide(X, X[0]),
    "full": lambda: ops.full((2, 3), 7.0),
    "gather": lambda: fastnn.gather(X, [1, 0]),
    "greater": lambda: ops.greater(X, 0),
    "greater_equal": lambda: ops.greater_equal(X, 0),
    "is_tensor": lambda: ops.is_tensor(X),
    "isfinite": lambda: ops.isfinite(X),
    "isinf": lambda: ops.isinf(X),
    "isnan": lambda: ops.isnan(X),
    "less": lambda: ops.less(X, 0),
    "less_equal": lambda: ops.less_equal(X, 0),
    "linspace": lambda: ops.linspace(0, 1, 5),
    "logical_and": lambda: ops.logical_and(X > 0, X < 1),
    "logical_not": lambda: ops.logical_not(X > 0),
    "logical_or": lambda: ops.logical_or(X < 0, X > 1),
    "ndim": lambda: ops.ndim(X),
    "not_equal": lambda: ops.not_equal(X, X[0]),
    "one_hot": lambda: ops.one_hot(LABELS, 3),
    "ones": lambda: ops.ones((2, 3)),
    "ones_like": lambda: ops.ones_like(X),
    "reduce_all": lambda: ops.all(X > 0, 1),
    "reduce_any": lambda: ops.any(X > 0, 1),
    "round": lambda: ops.round(X),
    "shape": lambda: ops.shape(X),
    "sign": lambda: ops.sign(X),
    "size": lambda: ops.size(X),
    "zeros": lambda: ops.zeros((2, 3)),
    "zeros_like": lambda: ops.zeros_like(X),
}
OTHERS = {
    "assign": lambda: [assigned("assign", index) for index in (None, 1)],
    "assign_add": lambda: [assigned("assign_add", index) for index in (None, 1)],
    "assign_sub": lambda: [assigned("assign_sub", index) for index in (None, 1)],
    "tensor": lambda: [str(fastnn.constant(X)), repr(Variable(X)), f"{fastnn.constant(1.0):.3f}"],
    "iteration": lambda: [x.numpy() for x in fastnn.constant(X)],
    "dlpack": lambda: np.from_dlpack(fastnn.constant(X)),
    "second derivatives": lambda: second_derivatives(fastnn.constant(X)),
    "own layer": of_own_layer,
    "compile": lambda: small_model().compiled,
    "to_json": lambda: models.model_from_json(small_model().to_json()).count_params(),
    "clone_model": lambda: models.clone_model(small_model()).count_params(),
    "describe": lambda: small_model().describe(X, X[:, :1]),
    "set_num_threads": lambda: [fastnn.set_num_threads(n) for n in (2, fastnn.get_num_threads())],
    "threads": lambda: in_threads(2),
    "set_random_seed": lambda: utils.set_random_seed(5),
    "to_categorical": lambda: utils.to_categorical(LABELS, 3),
    "normalize": lambda: utils.normalize(X),
    "pad_sequences": lambda: utils.pad_sequences([[1], [2, 3]], 3),
    "split_dataset": lambda: utils.split_dataset((X, LABELS), 0.5),
    "normal": lambda: random.normal((3, 4)),
    "truncated_normal": lambda: random.truncated_normal((30, 4), seed=1),
    "uniform": lambda: random.uniform((3, 4), 2, 3),
    "randint": lambda: random.randint((3,), 0, 9),
    "shuffle": lambda: random.shuffle(X),
    "SeedGenerator": lambda: random.normal((3,), seed=random.SeedGenerator(7)),
    "load_sample": datasets.mnist.load_sample,
    "description": lambda: fastnn.function(lambda x: 2 * x + 1).describe(X),
}


def second_derivatives(x):
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as tape:
            tape.watch(x)
            y = fastnn.tanh(x)
        dx = tape.gradient(y, x)
    return outer.gradient(dx, x)


def small_model():
    model = Sequential([layers.Dense(1, input_shape=(3,), name="dense")])
    model.compile("sgd", "mse")
    return model


def in_threads(n):
    with fastnn.threads(n):
        return fastnn.get_num_threads()


MEASURED = {"labels": LABELS, "one hot": np.eye(test_both_ways.CLASSES)[LABELS]}
# What changes nothing that lasts.
CALLS = {
    "others": OTHERS,
    "kernels": {
        name: partial(lambda call: list(call(*MATRICES.copy())), call)
        for name, call in test_threads.KERNELS.items()
    },
    "ops": {**{case.name: of_case(case) for case in CASES}, **OTHER_OPS},
    "layers": {
        name: of_layer(*entry)
        for name, entry in test_layers_contract.LAYERS.items()
        if name != "InputLayer"
    },
    "losses": {
        name: partial(losses.get(name), np.abs(X) / 9, np.abs(X[::-1]) / 9)
        for name in ("mse", "mae", "mape", "msle", "log_cosh", "huber", "hinge", "kl_divergence")
    },
    "optimizers": {name: of_optimizer(make) for name, make in test_both_ways.OPTIMIZERS.items()},
    "initializers": {
        name: partial(lambda name: initializers.get(name)((3, 3)), name)
        for name in initializers.__all__
        if name not in ("Initializer", "get", "serialize", "deserialize")
    },
    "regularizers and constraints": {
        name: partial(lambda make: make()(fastnn.constant(X)), make)
        for table in (test_regularizers.REGULARIZERS, test_regularizers.CONSTRAINTS)
        for name, (make, _) in table.items()
    },
    "schedules": {
        name: partial(schedule, 5) for name, (schedule, _) in test_schedules.SCHEDULES.items()
    },
}

# What makes an object: its variables, and a call that changes them.
CHANGING = {
    "metrics": {
        f"{kind}, {n}": of_metric(make, MEASURED[kind])
        for kind, measures in test_both_ways.MEASURES.items()
        for n, make in enumerate(measures)
    },
    "other changes": {"adapt": of_normalization, "averages": of_averages},
}
