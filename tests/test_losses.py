"""Losses and metrics against formulas in float64, and their checks of targets."""

import json
import pickle
from functools import partial

import numpy as np
import pytest
from loss_formulas import FORMULAS, sigmoid

import fastnn
from fastnn import losses, metrics
from fastnn.losses.base import reduce_weighted
from fastnn.losses.crossentropies import check_targets

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])


@pytest.mark.parametrize("labels", [[0, 1], np.array([0, 1], np.uint8), [[0], [1]], [0.0, 1.0]])
def test_sparse_categorical_crossentropy(labels):
    expected = -np.log([0.7, 0.1])
    loss = losses.sparse_categorical_crossentropy(labels, P)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(losses.sparse_categorical_crossentropy(labels, 5 * P), expected)
    from_logits = losses.sparse_categorical_crossentropy(labels, np.log(P), from_logits=True)
    np.testing.assert_allclose(from_logits, expected, rtol=1e-12)


def test_categorical_crossentropy():
    targets = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    expected = -(targets * np.log(P)).sum(-1)
    np.testing.assert_allclose(losses.categorical_crossentropy(targets, P), expected)
    from_logits = losses.categorical_crossentropy(targets, np.log(P), from_logits=True)
    np.testing.assert_allclose(from_logits, expected, rtol=1e-12)


@pytest.mark.parametrize("sparse", [True, False])
def test_probabilities_are_clipped_above_too(sparse):
    """-log(1 - 1e-7), not 0: a hand-made certainty has a loss, as in Keras."""
    loss = losses.sparse_categorical_crossentropy if sparse else losses.categorical_crossentropy
    found = loss([0] if sparse else [[1.0, 0.0]], np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(found, [1e-7], rtol=1e-6)


def test_large_logits():
    loss = losses.categorical_crossentropy([[0.0, 1.0]], [[1e4, -1e4]], from_logits=True)
    np.testing.assert_allclose(loss, [2e4])


@pytest.mark.parametrize("sparse", [True, False])
def test_probabilities_are_clipped_and_those_of_a_softmax_are_not(sparse):
    """The largest loss from probabilities is -log(1e-7) = 16.118; from a softmax there is none."""
    loss = losses.sparse_categorical_crossentropy if sparse else losses.categorical_crossentropy
    target = [1] if sparse else [[0.0, 1.0]]
    np.testing.assert_allclose(loss(target, np.array([[1.0, 0.0]])), [16.118], atol=1e-3)
    probabilities = fastnn.softmax([[50.0, -50.0]])
    np.testing.assert_allclose(loss(target, probabilities), [100], rtol=1e-6)
    np.testing.assert_allclose(loss(target, probabilities.numpy()), [16.118], atol=1e-3)


@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [((4, 3), (4, 3)), ((4,), (4, 1)), ((4, 1), (4,)), ((4,), (4,)), ((4, 2, 3), (4, 2, 3))],
)
def test_mean_squared_error(y_true, y_pred, rng):
    a, b = rng.standard_normal(y_true), rng.standard_normal(y_pred)
    columns = (4, *max(y_true, y_pred, key=len)[1:])
    expected = ((a.reshape(columns) - b.reshape(columns)) ** 2).mean(-1)
    np.testing.assert_allclose(losses.mean_squared_error(a, b), expected)


SATURATED = [[-80.0, -20.0, -3.0, 0.0, 3.0, 20.0, 80.0]]


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("known", ["logits", "sigmoid"])
def test_binary_crossentropy_of_saturated_logits(bit, known, dtype):
    """log(1 + exp(z)) or log(1 + exp(-z)) to the last digits, with the gradient sigmoid(z) - y."""
    z = fastnn.Variable(np.array(SATURATED, dtype).T)
    y = np.full(z.shape, bit)
    with fastnn.GradientTape() as tape:
        p = z if known == "logits" else fastnn.sigmoid(z)
        loss = losses.binary_crossentropy(y, p, from_logits=known == "logits")
    signed = np.array(SATURATED).T * (1 - 2 * bit)
    rtol = 16 * np.finfo(dtype).eps
    np.testing.assert_allclose(loss, np.logaddexp(0, signed)[:, 0], rtol=rtol)
    slope = (1 - 2 * bit) * sigmoid(signed)
    np.testing.assert_allclose(tape.gradient(loss, z), slope, rtol=64 * np.finfo(dtype).eps)


def test_binary_crossentropy_of_other_probabilities_is_clipped():
    """At most -log(1e-7) = 16.118, also of a sigmoid's outputs that a tape was asked to watch."""
    loss = losses.binary_crossentropy([[1.0], [1.0]], np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(loss, [-np.log(1e-7), 1e-7], rtol=1e-6)
    with fastnn.GradientTape() as tape:
        p = fastnn.sigmoid([[-200.0]])
        tape.watch(p)
        loss = losses.binary_crossentropy([1.0], p)
    np.testing.assert_allclose(loss, [16.118], atol=1e-3)
    assert tape.gradient(loss, p) is not None
    softmaxed = fastnn.softmax([[0.0, -50.0]])
    np.testing.assert_allclose(
        losses.binary_crossentropy([[0.0, 1.0]], softmaxed), [16.0], atol=0.2
    )


def test_log_cosh_far_away(dtype):
    error = np.array([[-1e4], [-30.0], [0.0], [30.0], [1e4]], dtype)
    expected = np.abs(error[:, 0]) - np.log(2) * (error[:, 0] != 0)
    np.testing.assert_allclose(losses.log_cosh(np.zeros_like(error), error), expected, rtol=1e-6)


def test_cosine_similarity_of_nothing():
    x = fastnn.Variable([[0.0, 0.0]])
    with fastnn.GradientTape() as tape:
        loss = losses.cosine_similarity([[1.0, 2.0]], x)
    assert loss.numpy() == [0]
    assert np.isfinite(tape.gradient(loss, x)).all()


@pytest.mark.parametrize("name", [n for n, f in FORMULAS.items() if f.options.get("axis") is None])
def test_a_nan_stays_in_its_sample(name):
    formula = FORMULAS[name]
    spoilt = formula.y_pred.copy()
    spoilt[2, 1] = np.nan
    loss = getattr(losses, formula.function)(formula.y_true, spoilt, **formula.options)
    np.testing.assert_array_equal(np.isnan(loss), [False, False, True, False])


@pytest.mark.parametrize("from_logits", [False, True])
def test_what_is_ignored_is_not_even_looked_at(from_logits):
    y_pred = fastnn.Variable([[0.2, 0.8], [np.nan, 1.0]])
    with fastnn.GradientTape() as tape:
        loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class=7)([[1], [7]], y_pred)
    of_one = losses.SparseCategoricalCrossentropy(from_logits)([1], [[0.2, 0.8]])
    np.testing.assert_allclose(loss, of_one, rtol=1e-6)
    gradient = tape.gradient(loss, y_pred).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1], 0)


def test_all_are_ignored():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    assert float(loss([-1, -1], P)) == 0


WEIGHTS = np.array([0.5, 0.0, 2.0])
REDUCED = {
    "sum_over_batch_size": lambda v, w: np.sum(w * v) / v.size,
    "mean": lambda v, w: np.sum(w * v) / v.size,
    "sum": lambda v, w: np.sum(w * v),
    "mean_with_sample_weight": lambda v, w: np.sum(w * v) / np.sum(w),
    "none": lambda v, w: w * v,
    None: lambda v, w: w * v,
}


@pytest.mark.parametrize("reduction", REDUCED)
@pytest.mark.parametrize("weights", [WEIGHTS, WEIGHTS[:, None], list(WEIGHTS)], ids=len)
def test_weights(reduction, weights, rng):
    values = rng.random(3)
    found = reduce_weighted(values, weights, reduction)
    np.testing.assert_allclose(found, REDUCED[reduction](values, WEIGHTS))
    np.testing.assert_allclose(
        reduce_weighted(values, None, reduction), REDUCED[reduction](values, np.ones(3))
    )


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(
    "reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"]
)
def test_a_weight_is_that_of_a_sample(reduction, n, rng):
    """Whatever the number of samples: (n,) weighs rows of (n, 3), also where n is 3."""
    values, weights = rng.random((n, 3)), rng.random(n)
    found = reduce_weighted(values, weights, reduction)
    np.testing.assert_allclose(found, REDUCED[reduction](values, weights[:, None]))


def test_weights_that_are_all_zero():
    x = fastnn.Variable([[1.0], [2.0]])
    for reduction in ("sum_over_batch_size", "mean_with_sample_weight", "sum"):
        with fastnn.GradientTape() as tape:
            loss = losses.MeanSquaredError(reduction)([[0.0], [0.0]], x, [0.0, 0.0])
        assert float(loss) == 0
        np.testing.assert_array_equal(tape.gradient(loss, x), [[0], [0]])


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 2), (1, 3, 1), (3, 1, 1)], ids=str)
def test_weights_that_do_not_fit(shape):
    with pytest.raises(ValueError, match=r"sample_weight has shape \(.*give one weight"):
        reduce_weighted(np.ones(3), np.ones(shape))


def test_a_mean_without_weights_is_reduce_mean(rng, dtype):
    values = fastnn.constant(rng.standard_normal(1001).astype(dtype))
    expected = fastnn.reduce_mean(values).numpy()
    np.testing.assert_array_equal(reduce_weighted(values), expected, strict=True)


class Above(losses.Loss):
    """Somebody else's, with an option."""

    def __init__(self, margin, **options):
        super().__init__(**options)
        self.margin = margin

    def call(self, y_true, y_pred):
        return fastnn.relu(y_pred - y_true - self.margin)


def test_own_loss():
    loss = Above(1)
    np.testing.assert_allclose(loss(np.uint8([3, 1]), [3.5, 4.0]), 1)
    np.testing.assert_allclose(loss(np.uint8([3, 1]), [3.5, 4.0], [0.0, 3.0]), 3)
    assert loss.name.startswith("above")
    config = losses.serialize(loss)
    with pytest.raises(ValueError, match="'Above' is neither"):
        losses.deserialize(config)
    again = losses.deserialize(config, custom_objects={"Above": Above})
    assert (type(again), again.margin, again.name) == (Above, 1, loss.name)
    with pytest.raises(NotImplementedError, match="Loss needs a method call"):
        losses.Loss()(0.0, 1.0)


def test_own_function():
    """As `compile` takes it: columns are given to it as columns, integers as floats."""
    loss = losses.to_loss(lambda y, p: fastnn.reduce_mean(abs(y - p), axis=-1))
    assert float(loss(np.uint8([1, 2, 3]), [[0.0], [2.0], [5.0]])) == 1
    assert float(loss([1, 2, 3], [[0.0], [2.0], [5.0]], [3.0, 1.0, 0.0])) == 1


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("computed_in", [None, "float64"])
def test_configurations(name, computed_in):
    """A class with all its options, made again and pickled, gives the same numbers."""
    formula = FORMULAS[name]
    options = {**formula.options, "reduction": "sum", "dtype": computed_in}
    loss = getattr(losses, formula.of)(**options, name="own")
    y_pred = formula.y_pred.astype(np.float32)
    expected = loss(formula.y_true, y_pred)
    assert expected.dtype == (computed_in or "float32")
    config = losses.serialize(loss)
    assert config["class_name"] == formula.of
    assert config["config"].items() >= {**options, "name": "own"}.items()
    for again in (losses.get(config), losses.deserialize(config), pickle.loads(pickle.dumps(loss))):
        np.testing.assert_array_equal(again(formula.y_true, y_pred), expected, strict=True)
        assert again.get_config() == loss.get_config()


@pytest.mark.parametrize("name", sorted({(f.function, f.of) for f in FORMULAS.values()}))
def test_functions_and_classes_by_name(name):
    function, of = name
    assert losses.get(function) is getattr(losses, function)
    assert losses.serialize(losses.get(function)) == function
    assert losses.deserialize(function) is getattr(losses, function)
    assert type(losses.get(of)) is getattr(losses, of)
    assert type(losses.get(getattr(losses, of))) is getattr(losses, of)
    assert type(losses.get({"class_name": of, "config": {}})) is getattr(losses, of)
    assert losses.to_loss(function).fn is losses.get(of).fn


def test_public_names():
    assert len(set(losses.__all__)) == len(losses.__all__)
    assert all(getattr(losses, name).__doc__ for name in losses.__all__)
    assert {name for f in FORMULAS.values() for name in (f.function, f.of)} <= set(losses.__all__)
    assert losses.get(None) is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"reduction": "max"}, ValueError, "reduction must be one of"),
        ({"dtype": "int32"}, TypeError, "float32 or float64"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        losses.MeanSquaredError(**options)


@pytest.mark.parametrize("axis", [2, -3])
@pytest.mark.parametrize("y_true", [[0, 1], np.eye(3)[:2]], ids=["sparse", "one-hot"])
def test_no_such_axis(axis, y_true):
    name = "sparse_categorical_crossentropy" if np.ndim(y_true) == 1 else "categorical_crossentropy"
    with pytest.raises(ValueError, match=f"axis {axis} does not exist"):
        losses.get(name)(y_true, P, axis=axis)


def test_one_class_is_none():
    with pytest.warns(SyntaxWarning, match="use binary_crossentropy"):
        losses.categorical_crossentropy([[1.0]], [[0.3]])


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (losses.sparse_categorical_crossentropy, fastnn.softmax),
        (losses.categorical_crossentropy, fastnn.softmax),
        (losses.binary_crossentropy, fastnn.sigmoid),
    ],
)
def test_probabilities_are_no_logits(loss, activation):
    y_true = [0, 1] if loss is losses.sparse_categorical_crossentropy else [[1.0, 0.0], [0.0, 1.0]]
    with pytest.warns(SyntaxWarning, match=f"{activation.__name__} made probabilities of y_pred"):
        loss(y_true, activation([[0.5, 1.0], [2.0, 0.0]]), from_logits=True)


@pytest.mark.parametrize(
    ("loss", "units", "last"),
    [
        ("sparse_categorical_crossentropy", 2, "softmax"),
        ("categorical_crossentropy", 2, "softmax"),
        ("binary_crossentropy", 1, "sigmoid"),
        (losses.BinaryCrossentropy(), 1, "sigmoid"),
    ],
)
def test_predictions_that_are_no_probabilities(loss, units, last):
    model = fastnn.Sequential([fastnn.layers.Dense(units, kernel_initializer="ones")])
    model.compile("sgd", loss)
    y = np.eye(2)[[0, 1]] if loss == "categorical_crossentropy" else np.array([0, 1])
    with pytest.warns(SyntaxWarning, match=f"last layer activation='{last}', or") as warned:
        model.fit(np.ones((2, 3)), y, verbose=0)
    assert [w.filename for w in warned] == [__file__]


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch"])
@pytest.mark.parametrize("labels", [[-1, 1, 1], [0, 1, 2]])
def test_targets_that_are_no_probabilities(labels, method):
    model = fastnn.Sequential([fastnn.layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    with pytest.warns(SyntaxWarning, match="these go from .* number two classes 0 and 1") as warned:
        getattr(model, method)(np.eye(3), np.array(labels))
    assert [w.filename for w in warned] == [__file__]
    model.fit(np.eye(3), np.array([0.5, 0.0, 1 + 1e-7]), verbose=0)


PREDICTED = fastnn.constant([[0.2, 0.3, 0.5]])
SPARSE = losses.sparse_categorical_crossentropy


@pytest.mark.parametrize(
    "loss",
    [
        SPARSE,
        partial(SPARSE, from_logits=True),
        losses.SparseCategoricalCrossentropy(),
        losses.to_loss(SPARSE),
        losses.to_loss(partial(SPARSE, from_logits=True)),
    ],
    ids=["function", "partial", "class", "wrapped", "partial, wrapped"],
)
def test_targets_of_a_whole_data_set(loss):
    check_targets(loss, np.array([0, 1, 2]), PREDICTED)
    with pytest.raises(ValueError, match=r"y_true\[2\] is 3"):
        check_targets(loss, np.array([0, 1, 3]), PREDICTED)
    check_targets("any other", np.array([7]), PREDICTED)


def test_targets_with_a_class_to_ignore():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255)
    check_targets(loss, np.uint8([0, 255, 2]), PREDICTED)
    with pytest.raises(ValueError, match=r"y_true\[1\] is 254"):
        check_targets(loss, np.uint8([0, 254, 2]), PREDICTED)


@pytest.mark.parametrize("name", ["mean_squared_error", "binary_crossentropy", "hinge", "poisson"])
def test_no_samples_and_no_axes(name):
    loss = losses.get(name)
    assert loss(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)
    with pytest.raises(ValueError, match=r"single numbers: give lists"):
        loss(1.0, 0.5)


@pytest.mark.parametrize("name", ["mean_squared_error", "binary_crossentropy", "hinge", "poisson"])
@pytest.mark.parametrize("y_true", [(4,), (4, 1)], ids=str)
@pytest.mark.parametrize("y_pred", [(4,), (4, 1)], ids=str)
def test_columns_never_become_squares(name, y_true, y_pred, rng):
    y, p = rng.integers(0, 2, y_true), rng.uniform(0.1, 0.9, y_pred)
    found = losses.to_loss(name)(y, p)
    expected = losses.get(name)(y.reshape(4, 1), p.reshape(4, 1)).numpy().mean()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


WRONG = {
    "labels too high": (
        losses.sparse_categorical_crossentropy,
        [0, 3],
        r"y_true\[1\] is 3; 3 classes",
    ),
    "labels negative": (losses.sparse_categorical_crossentropy, [-1, 0], r"y_true\[0\] is -1"),
    "labels fractional": (losses.sparse_categorical_crossentropy, [0.5, 1], r"y_true\[0\] is 0.5"),
    "labels nan": (losses.sparse_categorical_crossentropy, [0, np.nan], r"y_true\[1\] is nan"),
    "labels infinite": (losses.sparse_categorical_crossentropy, [0, np.inf], r"y_true\[1\] is inf"),
    "labels missing": (losses.sparse_categorical_crossentropy, [0], r"\(1,\) and y_pred \(2, 3\)"),
    "one-hot labels": (
        losses.sparse_categorical_crossentropy,
        np.eye(3)[:2],
        "use categorical_crossentropy",
    ),
    "inputs not flattened": (
        lambda y, p: losses.sparse_categorical_crossentropy(y, np.ones((2, 28, 3))),
        [0, 1],
        r"flatten the model's input with x.reshape\(len\(x\), -1\)",
    ),
    "sparse targets": (losses.categorical_crossentropy, [0, 1], "use sparse_categorical"),
    "targets of (n,)": (losses.mean_squared_error, [1.0, 2.0], r"\(2,\) and y_pred \(2, 3\)"),
    "targets wide": (losses.mean_squared_error, np.ones((2, 4)), "must be equal"),
}


@pytest.mark.parametrize(("loss", "y_true", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_targets(loss, y_true, message):
    with pytest.raises(ValueError, match=message):
        loss(y_true, P)


def test_no_axis():
    with pytest.raises(ValueError, match=r"\(\)"):
        losses.sparse_categorical_crossentropy(1.0, 1.0)


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
@pytest.mark.parametrize(
    "loss",
    [losses.BinaryCrossentropy, losses.CategoricalCrossentropy, losses.BinaryFocalCrossentropy],
)
def test_smoothing_by_what_is_no_share(loss, share):
    with pytest.raises(ValueError, match=r"label_smoothing must be a number in \[0, 1\]"):
        loss(label_smoothing=share)([[1.0, 0.0]], [[0.5, 0.5]])


def test_accuracies():
    np.testing.assert_array_equal(metrics.accuracy([0, 1], P), [1, 0])
    np.testing.assert_array_equal(metrics.accuracy([[0], [1]], P), [1, 0])
    np.testing.assert_array_equal(metrics.accuracy(np.eye(3)[[0, 2]], P), [1, 1])
    of_columns = metrics.accuracy([1, 0, 1], [[0.6], [0.6], [0.5]])
    np.testing.assert_array_equal(of_columns, [[1], [0], [0]])
    np.testing.assert_array_equal(metrics.accuracy([[1], [0]], [[0.6], [0.4]]), [[1], [1]])
    of_outputs = metrics.binary_accuracy([[1, 0], [1, 1]], [[0.9, 0.9], [0.9, 0.9]])
    np.testing.assert_array_equal(of_outputs, [[1, 0], [1, 1]])


@pytest.mark.parametrize(
    ("accuracy", "y_true", "y_pred"),
    [
        (metrics.categorical_accuracy, [0, 1], P),
        (metrics.sparse_categorical_accuracy, np.eye(3)[:2], P),
        (metrics.sparse_categorical_accuracy, [0], P),
        (metrics.accuracy, [0], P),
        (metrics.binary_accuracy, [1, 0, 1], [[0.5], [0.5]]),
    ],
)
def test_targets_that_do_not_fit(accuracy, y_true, y_pred):
    with pytest.raises(ValueError, match="the targets have shape"):
        accuracy(y_true, y_pred)


def test_the_accuracy_of_one_number():
    with pytest.raises(ValueError, match="they must be rows, one for each sample"):
        metrics.accuracy(1, 0.3)


@pytest.mark.parametrize(("family", "name"), [(losses, "loss"), (metrics, "metric")])
def test_names(family, name):
    def own(y_true, y_pred):
        return y_pred

    assert family.get(own) is own
    assert family.get("mse") is losses.mean_squared_error
    with pytest.raises(
        ValueError, match=f"unknown {name} 'mean_squared_eror'; did you mean 'mean_s"
    ):
        family.get("mean_squared_eror")
    with pytest.raises(ValueError, match="choose one of"):
        family.get("zzz")
    with pytest.raises(TypeError, match="must be a name or a function"):
        family.get(7)


def scaled_gap(y_true, y_pred, activation=None, scale=1.0):
    return scale * fastnn.reduce_mean(abs(activation(y_pred) - y_true), axis=-1)


WRAPPERS = [losses.LossFunctionWrapper, metrics.MeanMetricWrapper]


@pytest.mark.parametrize(("kind", "family"), [*zip(WRAPPERS, [losses, metrics], strict=True)])
@pytest.mark.parametrize(
    ("function", "options"),
    [(scaled_gap, {"activation": fastnn.ops.tanh, "scale": 3.0}), (losses.huber, {"delta": 0.5})],
)
def test_a_function_and_its_options_are_described(kind, family, function, options, rng):
    made = kind(function, name="own", **options)
    described = json.loads(json.dumps(family.serialize(made)))
    again = family.deserialize(described, custom_objects={"scaled_gap": scaled_gap})
    y, p = rng.standard_normal((2, 5, 3))
    expected = function(fastnn.constant(y), fastnn.constant(p), **options).numpy().mean()
    assert float(made(y, p)) == float(again(y, p)) == pytest.approx(expected, rel=1e-5)
    assert again.name == "own"


class Doubled(losses.LossFunctionWrapper):
    def __init__(self, factor=2.0, name="doubled"):
        super().__init__(scaled_gap, name=name, activation=abs, scale=factor)
        self.factor = factor


def test_a_loss_with_a_constructor_of_its_own_has_the_arguments_of_that():
    assert Doubled(3.0).get_config() == {"factor": 3.0, "name": "doubled"}
    assert float(Doubled.from_config({"factor": 3.0})([[0.0]], [[2.0]])) == 6.0


def test_an_option_that_is_replaced_counts():
    loss, metric = losses.Huber(delta=2.0), metrics.BinaryAccuracy()
    loss.delta, metric.threshold = 5.0, 0.9
    assert float(loss([[0.0]], [[9.0]])) == 5 * 9 - 12.5
    assert loss.get_config()["delta"] == 5.0
    assert float(metric([[1.0]], [[0.7]])) == 0.0


@pytest.mark.parametrize("kind", WRAPPERS)
@pytest.mark.parametrize("function", [2.0, "mse", losses.MeanSquaredError])
def test_only_functions_are_wrapped(kind, function):
    with pytest.raises(TypeError, match="is made of a function, got"):
        kind(function, name="own")


@pytest.mark.parametrize("kind", WRAPPERS)
@pytest.mark.parametrize("name", ["options", "get_config", "fn"])
def test_options_hide_no_attribute(kind, name):
    with pytest.raises((ValueError, TypeError), match=name):
        kind(scaled_gap, **{"name": "own", name: 1})


def test_a_function_without_a_name_is_in_no_configuration():
    loss = losses.LossFunctionWrapper(partial(scaled_gap, activation=abs))
    with pytest.raises(TypeError, match="cannot be written into a configuration"):
        loss.get_config()


@pytest.mark.parametrize(
    ("y_true", "y_pred", "remedy"),
    [
        ((4,), (4, 3), r"Dense\(1\); labels of 3 classes are for sparse_categorical_crossentropy"),
        ((4, 2), (4, 3), "the last layer should have 2 units"),
        ((4,), (4, 5, 3), "flatten the model's input"),
    ],
)
def test_targets_of_another_shape_come_with_a_remedy(y_true, y_pred, remedy):
    with pytest.raises(ValueError, match=f"they must be equal: .*{remedy}"):
        losses.mean_squared_error(np.ones(y_true), np.ones(y_pred))


def test_losses_that_are_added_do_not_change_with_their_array():
    class Adding(fastnn.layers.Layer):
        def call(self, inputs):
            self.add_loss(penalty)
            return inputs

    penalty, layer = np.array(2.0), Adding()
    layer(np.ones((1, 1)))
    penalty[...] = 9
    assert float(layer.losses[0]) == 2


@pytest.mark.parametrize("name", ["to_loss", "check_targets"])
def test_a_file_cannot_name_what_is_not_public(name):
    config = {"class_name": "function", "module": "fastnn.losses", "config": name}
    with pytest.raises(ValueError, match="is neither fastnn's nor registered"):
        losses.get(config)


def test_a_metric_has_the_short_names_of_its_loss():
    for short, function in losses.ALIASES.items():
        assert losses.get(short) is metrics.get(short) is function
