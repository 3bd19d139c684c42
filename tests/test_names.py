"""The names of TensorFlow and Keras: where they lead, and what differs in their arguments."""

import importlib
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Variable, losses, nn, ops

OPS = """
argsort cumsum flip moveaxis outer ravel repeat roll sort swapaxes take_along_axis tile top_k
abs absolute add all amax amin any arange argmax argmin binary_crossentropy broadcast_to cast
categorical_crossentropy ceil clip concatenate convert_to_numpy convert_to_tensor cos divide dot elu
equal erf exp expand_dims expm1 eye floor floor_divide full gelu greater greater_equal hard_sigmoid
hard_silu hard_swish isfinite isinf isnan leaky_relu less less_equal linspace log log1p log_sigmoid
log_softmax logical_and logical_not logical_or logsumexp matmul max maximum mean min minimum mod
multiply ndim negative norm not_equal one_hot ones ones_like power prod reciprocal relu relu6
reshape round rsqrt selu shape sigmoid sign silu sin size softmax softplus softsign
sparse_categorical_crossentropy split sqrt square squeeze stack std stop_gradient subtract sum swish
take tanh transpose true_divide var where zeros zeros_like
"""

TENSORFLOW = """
abs add argmax argmin bool cast clip_by_global_norm clip_by_norm clip_by_value concat
constant convert_to_tensor cos divide equal
exp expand_dims eye fill float16 float32 float64 floor function gather GradientTape int32 int64
is_tensor less linalg.global_norm linspace math.exp math.is_nan math.log math.reduce_std
math.reduce_variance matmul
maximum minimum nn.gelu nn.leaky_relu nn.log_softmax nn.relu nn.relu6 nn.selu nn.sigmoid nn.silu
nn.softmax nn.softplus nn.swish nn.tanh norm one_hot ones ones_like pow random.normal
random.set_seed random.shuffle random.truncated_normal random.uniform range rank reduce_all
reduce_any reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum reshape round
shape sigmoid sign sin size split sqrt square squeeze stack stop_gradient subtract tanh Tensor
transpose uint8 Variable where zeros zeros_like keras.losses.MeanSquaredError
keras.utils.to_categorical
"""

KERAS = """
Initializer Input Layer Loss Metric Model Optimizer Regularizer Sequential Variable backend.epsilon
backend.floatx backend.clear_session backend.mean backend.square config.floatx random.SeedGenerator
random.randint random.shuffle regularizers.l1_l2 utils.np_utils.to_categorical utils.clear_session
utils.to_categorical
"""


@pytest.mark.parametrize(
    "name", [*(f"ops.{name}" for name in OPS.split()), *TENSORFLOW.split(), *KERAS.split()]
)
def test_names(name):
    assert attrgetter(name)(fastnn) is attrgetter(name)(fastnn.keras)


@pytest.mark.parametrize(
    "family",
    ["activations", "callbacks", "constraints", "initializers", "layers", "losses", "metrics"]
    + ["models", "nn", "ops", "optimizers.schedules", "random", "regularizers"],
)
def test_no_file_takes_the_place_of_what_is_called_like_it(family):
    home = attrgetter(family)(fastnn)
    assert [name for name in home.__all__ if not callable(getattr(home, name))] == []


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("sum", "reduce_sum"),
        ("mean", "reduce_mean"),
        ("max", "reduce_max"),
        ("min", "reduce_min"),
        ("prod", "reduce_prod"),
        ("var", "reduce_variance"),
        ("std", "reduce_std"),
        ("any", "reduce_any"),
        ("all", "reduce_all"),
        ("concatenate", "concat"),
        ("absolute", "abs"),
        ("power", "pow"),
        ("swish", "silu"),
        ("clip", "clip_by_value"),
    ],
)
def test_one_thing_of_two_names(name, other):
    assert getattr(ops, name) is getattr(ops, other) is getattr(fastnn, other)


@pytest.mark.parametrize("name", ["layers", "datasets", "models", "losses", "ops", "utils"])
def test_modules_of_keras_are_the_same_modules(name):
    assert importlib.import_module(f"fastnn.keras.{name}") is getattr(fastnn, name)


def test_imports():
    """In a process of their own, where nothing was imported before."""
    code = (
        "import fastnn.keras.layers as layers; from fastnn.keras.datasets import mnist;"
        "from fastnn import keras; from fastnn.utils.np_utils import to_categorical;"
        "from fastnn.keras import backend as K; from fastnn.keras.regularizers import l2;"
        "import fastnn as tf; assert tf.keras.layers is layers is keras.layers;"
        "assert to_categorical is keras.utils.to_categorical; print(K.floatx())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(fastnn.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "float32\n"


def test_function_takes_options():
    @fastnn.function(jit_compile=True, reduce_retracing=True)
    def double(x):
        return 2 * x

    assert isinstance(double, type(fastnn.function(double.python_function)))
    np.testing.assert_array_equal(double(fastnn.ones((2,))), [2, 2])


LOGITS = np.array([[1.0, -2.0, 0.5], [30.0, 0.0, -40.0]])
ONE_HOT = np.eye(3)[[2, 1]]


def test_cross_entropies_of_nn(dtype):
    logits, targets = LOGITS.astype(dtype), ONE_HOT.astype(dtype)
    classes = -np.log(np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True))
    for found in (
        nn.sparse_softmax_cross_entropy_with_logits(labels=[2, 1], logits=logits),
        nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits),
    ):
        np.testing.assert_allclose(found, (ONE_HOT * classes).sum(1), rtol=1e-6)
    found = nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
    expected = np.logaddexp(0, LOGITS) - ONE_HOT * LOGITS
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
    assert float(nn.l2_loss([3.0, 4.0])) == 12.5
    np.testing.assert_allclose(nn.leaky_relu([-2.0, 3.0], alpha=0.5), [-1, 3])


def test_cross_entropies_of_ops():
    probabilities = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    for name, target in (
        ("sparse_categorical_crossentropy", np.array([2, 1])),
        ("categorical_crossentropy", ONE_HOT),
    ):
        for output, from_logits in ((probabilities, False), (LOGITS, True)):
            found = getattr(ops, name)(target=target, output=output, from_logits=from_logits)
            expected = getattr(losses, name)(target, output, from_logits)
            np.testing.assert_array_equal(found, expected)
    found = ops.binary_crossentropy(ONE_HOT, probabilities)
    expected = -(ONE_HOT * np.log(probabilities) + (1 - ONE_HOT) * np.log(1 - probabilities))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_gelu_differs_in_its_default():
    x = np.array([-1.5, 0.7])
    exact = fastnn.activations.gelu(x).numpy()
    np.testing.assert_array_equal(exact, nn.gelu(x))
    assert (exact != ops.gelu(x).numpy()).any()
    np.testing.assert_array_equal(ops.gelu(x, approximate=False), exact)


def test_one_hot_takes_either_name():
    np.testing.assert_array_equal(ops.one_hot([1], num_classes=2), ops.one_hot([1], depth=2))
    with pytest.raises(TypeError, match="needs the number of classes"):
        ops.one_hot([1])


def test_arrays_and_tensors():
    v = Variable([1.0, 2.0])
    made = ops.convert_to_numpy(v)
    made[0] = 7
    np.testing.assert_array_equal(v, [1, 2])
    assert ops.convert_to_tensor(made, dtype="float64").dtype == np.float64
    assert (ops.shape(v), ops.size(v), ops.ndim(v)) == ((2,), 2, 1)
    assert ops.is_tensor(v)
    assert not ops.is_tensor(made)


def test_rows_taken_by_what_an_op_computed():
    """Also in a program, where the indices differ from run to run."""
    table = Variable(np.arange(12.0).reshape(4, 3))

    @fastnn.function
    def rows(x):
        with GradientTape() as tape:
            y = fastnn.gather(table, fastnn.argmax(x, axis=1))
        return y, tape.gradient(y, table)

    for x, chosen in ((np.eye(4)[[2, 2]], [2, 2]), (np.eye(4)[[0, 3]], [0, 3])):
        y, slope = rows(x)
        np.testing.assert_array_equal(y, table.numpy()[chosen])
        np.testing.assert_array_equal(slope, np.eye(4)[chosen].sum(0)[:, None] * np.ones(3))


@pytest.mark.parametrize(
    ("module", "name", "remedy"),
    [
        (fastnn, "data", "a utils.PyDataset"),
        (fastnn, "matmull", "did you mean 'matmul'"),
        (fastnn.ops, "einsum", "make it of these"),
        (fastnn.random, "dropout", "layers.Dropout"),
        (fastnn.layers, "relu", "did you mean 'ReLU'"),
        (fastnn.layers, "UnitNormalization", "write a Layer"),
        (fastnn.Sequential(), "inputs", "write a Model whose call returns it"),
        (fastnn.layers.Dense(1), "kernel", "call the layer on data first"),
        (fastnn.backend, "set_floatx", 'dtype="float64"'),
        (fastnn.callbacks, "TensorBoard", "CSVLogger"),
        (fastnn.layers, "Lambda", r"a method call\(self, inputs\)"),
        (fastnn.layers, "Conv2D", "write a Layer of your own"),
        (fastnn.utils, "Sequence", "PyDataset now"),
    ],
)
def test_names_that_are_not_here_come_with_what_is(module, name, remedy):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; .*{remedy}"):
        getattr(module, name)


@pytest.mark.parametrize(
    ("get", "name", "meant"),
    [
        (fastnn.activations.get, "Relu", "'relu'"),
        (fastnn.losses.get, "sparse_crossentropy", "'sparse_categorical_crossentropy'"),
        (fastnn.metrics.get, "f1", "'f1_score'"),
        (fastnn.metrics.get, "r2", "'r2_score'"),
        (fastnn.optimizers.get, "rmspropp", "'rmsprop'"),
    ],
)
def test_names_that_are_nearly_right(get, name, meant):
    with pytest.raises(ValueError, match=rf"unknown \w+ '{name}'; did you mean {meant}\?$"):
        get(name)
