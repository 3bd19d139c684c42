"""Training that meets NaN or infinity: it is found, named, and undone."""

import warnings

import numpy as np
import pytest

import fastnn
from fastnn import Model, Sequential, callbacks, layers
from fastnn.models.numerics import NotFiniteError

X = np.random.default_rng(3).standard_normal((40, 3)).astype(np.float32)
Y = X.sum(axis=1)


def model(check_numerics="raise", rate=0.05, optimizer=fastnn.optimizers.SGD, **options):
    fastnn.utils.set_random_seed(1)
    made = Sequential([layers.Dense(8, name="hidden"), layers.Dense(1, name="head")])
    made.compile(optimizer(rate), "mse", ["mae"], check_numerics=check_numerics, **options)
    return made


def weights_after(steps, x, y, **options):
    """Of a training of so many steps that nothing stops."""
    expected = model(None, **options)
    expected.build((None, 3))
    if steps:
        expected.fit(x[: 8 * steps], y[: 8 * steps], 8, shuffle=False, verbose=0)
    return expected.get_weights()


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_sample_is_named(bad, eagerly):
    x = X.copy()
    x[21, 2] = bad
    trained = model(run_eagerly=eagerly)
    message = rf"step 2 of 5.*sample 21.*has {bad} at index \(2,\): correct the sample"
    with pytest.raises(NotFiniteError, match=message):
        trained.fit(x, Y, 8, shuffle=False, verbose=0)
    for a, b in zip(trained.get_weights(), weights_after(2, X, Y), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(trained.optimizer.iterations) == 2


def test_a_bad_sample_of_several_inputs_is_named():
    class Sum(Model):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(1)

        def call(self, inputs):
            return self.inner(inputs["a"]) + self.inner(inputs["b"])

    summed = Sum()
    summed.compile("sgd", "mse", check_numerics="raise")
    bad = X.copy()
    bad[3, 1] = np.nan
    with pytest.raises(NotFiniteError, match=r"the inputs of sample 3: .*nan at index"):
        summed.fit({"a": X, "b": bad}, Y, shuffle=False, verbose=0)


def test_a_bad_target_is_named():
    y = Y.copy()
    y[3] = -np.inf
    with pytest.raises(
        NotFiniteError, match=r"the targets .*of sample 3: .*has -inf at index \(\)"
    ):
        model().fit(X, y, 8, shuffle=False, verbose=0)


def test_a_training_that_diverges_names_the_op():
    trained = model(rate=1e12)
    with pytest.raises(
        NotFiniteError,
        match=r"step 1 of.*the loss or a gradient, op square .*\(8, 1\) and inf.*: lower the",
    ):
        trained.fit(X, Y, 8, epochs=3, shuffle=False, verbose=0)
    steps = int(trained.optimizer.iterations)
    assert all(np.isfinite(w).all() for w in trained.get_weights())
    with np.errstate(all="ignore"):
        expected = weights_after(steps, X, Y, rate=1e12)
    for a, b in zip(trained.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_update_is_named():
    trained = model(rate=3e38)
    trained.build((None, 3))
    before = trained.get_weights()
    with pytest.raises(NotFiniteError, match=r"step 0 of 5.*the update of 'hidden/kernel'.*inf"):
        trained.fit(10 * X, Y, 8, shuffle=False, verbose=0)
    for a, b in zip(trained.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_constant_that_is_nan_is_no_step_of_the_training():
    trained = model()
    trained.compile("sgd", lambda y, p: fastnn.square(y - p) + np.nan, check_numerics="raise")
    trained.build((None, 3))
    before = trained.get_weights()
    with pytest.raises(NotFiniteError, match=r"step 0 of 5.*the loss, which .* a constant"):
        trained.fit(X, Y, 8, shuffle=False, verbose=0)
    for a, b in zip(trained.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(trained.optimizer.iterations) == 0


def test_a_layer_is_named():
    class Root(layers.Layer):
        def call(self, inputs):
            return fastnn.sqrt(inputs)

    made = Sequential([layers.Dense(4, name="hidden"), Root(name="root"), layers.Dense(1)])
    made.compile("sgd", "mse", check_numerics="raise")
    message = r"step 0.*layer 'root', op sqrt of \(8, 4\): its result has shape \(8, 4\) and nan"
    with pytest.raises(NotFiniteError, match=message), np.errstate(all="ignore"):
        made.fit(X, Y, 8, verbose=0)


def test_a_warning_ends_the_training():
    x = X.copy()
    x[30, 0] = np.nan
    trained = model("warn")
    with pytest.warns(UserWarning, match="step 3 .*the inputs of sample 30"):
        history = trained.fit(x, Y, 8, epochs=4, shuffle=False, verbose=0)
    assert history.epoch == [0]
    assert np.isnan(history.history["loss"][0])
    for a, b in zip(trained.get_weights(), weights_after(3, X, Y), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("optimizer", [fastnn.optimizers.Adam, fastnn.optimizers.RMSprop])
def test_a_sound_training_keeps_its_bits(optimizer):
    checked, plain = (model(check, 0.01, optimizer) for check in ("raise", None))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = checked.fit(X, Y, 8, epochs=3, verbose=0).history
    fastnn.utils.set_random_seed(1)
    plain = model(None, 0.01, optimizer)
    assert plain.fit(X, Y, 8, epochs=3, verbose=0).history == history


def test_terminate_on_nan_keeps_the_last_good_weights():
    x = X.copy()
    x[17, 1] = np.nan
    trained = model(None)
    with pytest.warns(UserWarning, match="the inputs of sample 17"):
        history = trained.fit(
            x, Y, 8, 5, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN()]
        )
    assert history.epoch == [0]
    for a, b in zip(trained.get_weights(), weights_after(2, X, Y), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(NotFiniteError, match="the inputs of sample 17"):
        model(None).fit(x, Y, callbacks=[callbacks.TerminateOnNaN(raise_error=True)], verbose=0)


class Batches(fastnn.utils.PyDataset):
    """Of 8 samples, which may have a bad one."""

    def __init__(self, bad=None):
        super().__init__()
        self.x = X.copy()
        if bad is not None:
            self.x[bad, 0] = np.nan

    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return self.x[rows], Y[rows]


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("at", [0, 2])
def test_a_bad_sample_among_batches_is_named(at, eagerly):
    """Also in the first batch of a model that has no weights before."""
    trained = model(run_eagerly=eagerly)
    with pytest.raises(NotFiniteError, match=rf"step {at} of 5.*sample 1.*has nan at index \(0,\)"):
        trained.fit(Batches(bad=8 * at + 1), shuffle=False, verbose=0)
    for found, expected in zip(trained.get_weights(), weights_after(at, X, Y), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_weights_that_are_integers_are_finite():
    normalization = layers.Normalization()  # which counts the samples it has seen
    normalization.adapt(X)
    trained = Sequential([normalization, layers.Dense(1)])
    trained.compile("sgd", "mse", check_numerics="raise")
    trained.fit(X, Y, verbose=0, callbacks=[callbacks.TerminateOnNaN()])


def test_a_step_that_reports_a_loss_for_each_sample():
    class Reporting(Model):
        def __init__(self):
            super().__init__()
            self.head = layers.Dense(1)

        def call(self, inputs):
            return self.head(inputs)

        def train_step(self, data):
            return {"loss": self(data[0])[:, 0]}

    trained = Reporting()
    trained.compile("sgd", check_numerics="raise")
    assert len(trained.fit(X, Y, 40, verbose=0).history["loss"][0]) == 40


def test_the_choice_is_checked():
    with pytest.raises(ValueError, match=r'check_numerics must be "raise", "warn" or None'):
        model("maybe")


def test_a_loss_that_is_nan_is_told_of():
    y = np.where(np.arange(40) == 3, np.nan, Y)
    with pytest.warns(UserWarning, match="loss of model .* is nan: .*check_numerics") as warned:
        model(None).fit(X, y, 8, verbose=0)
    assert [w.filename for w in warned] == [__file__]


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_a_loss_of_several_numbers(bad):
    class OfEach(Sequential):
        def train_step(self, data):
            x, y = data
            return {"loss": fastnn.reduce_mean(fastnn.square(self(x) - y), axis=0)}

    trained = OfEach([layers.Dense(2)])
    trained.compile("sgd", "mse")
    y = np.full((40, 2), bad)
    if np.isnan(bad):
        with pytest.warns(UserWarning, match="is nan"):
            trained.fit(X, y, verbose=0)
    else:
        assert trained.fit(X, y, verbose=0).history["loss"][0].shape == (2,)


def test_a_loss_that_is_infinite():
    start = fastnn.initializers.Constant(1e30)
    far = Sequential([layers.Dense(1, kernel_initializer=start)])
    far.compile(fastnn.optimizers.SGD(0.0), "mse")
    with pytest.warns(UserWarning, match="is inf: compile it with"):
        far.fit(np.ones((4, 4)), np.ones((4, 1)), verbose=0)


def test_a_step_without_an_optimizer():
    class Own(fastnn.Sequential):
        def train_step(self, data):
            x, y = data
            return {"loss": fastnn.reduce_mean(fastnn.square(y - self(x)))}

    made = Own([fastnn.layers.Dense(1)])
    made.compile(None, "mse", check_numerics="raise")
    x = np.ones((4, 2), np.float32)
    assert np.isfinite(made.fit(x, x[:, :1], verbose=0).history["loss"]).all()
    with pytest.raises(NotFiniteError, match="not finite"):
        made.fit(x * np.nan, x[:, :1], verbose=0)


@pytest.mark.parametrize(("start", "advises"), [(1e30, True), (1.0, False)])
def test_weights_too_large_to_go_on_with(start, advises):
    kernel = fastnn.initializers.Constant(start)
    made = Sequential([layers.Dense(1, kernel_initializer=kernel)])
    made.compile("sgd", "mse", check_numerics="raise")
    with pytest.raises(NotFiniteError, match="the largest of them") as caught:
        made.fit(np.full((4, 1), 1e30), np.zeros(4), verbose=0)
    assert ("begin anew with a smaller learning rate" in str(caught.value)) == advises
