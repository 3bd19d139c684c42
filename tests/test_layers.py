"""Layer and Dense: weights on first use, names, tracking, errors; activations."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastnn
from fastnn import activations, layers
from fastnn.layers import Dense, Layer


def test_dense(rng):
    layer = Dense(5, activation="relu")
    assert layer.weights == []
    x = rng.standard_normal((4, 3)).astype(np.float32)
    y = layer(x)
    kernel, bias = (w.numpy() for w in layer.weights)
    assert (kernel.shape, bias.shape) == ((3, 5), (5,))
    np.testing.assert_array_equal(bias, 0)
    np.testing.assert_allclose(y, np.maximum(x @ kernel, 0), rtol=1e-5, atol=1e-6)
    assert layer.count_params() == 20
    again = layer(x)
    np.testing.assert_array_equal(y, again)


def test_dense_contracts_the_last_axis():
    layer = Dense(5, kernel_initializer="ones")
    np.testing.assert_array_equal(layer(fastnn.ones((2, 7, 3))), np.full((2, 7, 5), 3))


def test_dense_without_bias():
    layer = Dense(2, use_bias=False)
    layer(fastnn.ones((1, 3)))
    assert layer.bias is None
    assert len(layer.weights) == 1


def test_dense_options_are_keras_in_order_too():
    layer = Dense(3, "relu", True, "ones", "ones", "l1", "l2", "l1", "non_neg", "unit_norm")
    layer.build((None, 2))
    assert layer.kernel.regularizer is layer.kernel_regularizer
    assert layer.bias.constraint is layer.bias_constraint
    y = layer(fastnn.ones((2, 2)))
    np.testing.assert_array_equal(y, np.full((2, 3), 3))
    assert len(layer.losses) == 3
    layer.activation = None
    np.testing.assert_array_equal(layer(-fastnn.ones((2, 2))), np.full((2, 3), -1))


@pytest.mark.parametrize("shape", [(None, 3), (None, None, 3), (4, 2, 3)])
def test_dense_knows_its_shapes(shape):
    assert Dense(5).compute_output_shape(shape) == (*shape[:-1], 5)
    for wrong, message in (((3,), "needs an input of shape"), ((2, None), "must know its length")):
        for call in (Dense(5).build, Dense(5).compute_output_shape):
            with pytest.raises(ValueError, match=message):
                call(wrong)


@pytest.mark.parametrize("data", [np.float64, np.uint8, np.float16, np.int64, bool])
def test_dense_computes_in_its_own_dtype(data):
    assert Dense(2)(np.ones((1, 3), data)).dtype == np.float32


@pytest.mark.parametrize("units", [0, -1, 2.5, "10", None, True, np.nan])
def test_units(units):
    with pytest.raises(ValueError, match=r"layer 'dense.*units must be a positive integer"):
        Dense(units)


def test_wrong_inputs_leave_the_layer_alone():
    layer = Dense(2, name="head")
    with pytest.raises(ValueError, match=r"layer 'head' needs .* got shape \(3,\)"):
        layer(fastnn.ones((3,)))
    assert not layer.built
    layer(fastnn.ones((1, 3)))
    before = layer.kernel.numpy()
    message = r"\(5, 4\) is incompatible with the layer 'head', whose kernel has shape \(3, 2\)"
    with pytest.raises(ValueError, match=message):
        layer(fastnn.ones((5, 4)))
    with pytest.raises(ValueError, match=r"flatten it with x.reshape\(len\(x\), -1\)"):
        layer(fastnn.ones((5, 1, 3, 1)))
    with pytest.raises(ValueError, match=r"x\[None\]"):
        layer(fastnn.ones((3,)))
    np.testing.assert_array_equal(layer.kernel, before)


def test_a_failed_first_call_builds_nothing():
    class Fails(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Dense(2)

        def build(self, input_shape):
            self.first = self.add_weight((input_shape[-1],))

        def call(self, inputs):
            self.inner(inputs)
            raise RuntimeError("no")

    layer = Fails()
    with pytest.raises(RuntimeError):
        layer(fastnn.ones((1, 3)))
    assert (layer.built, layer.inner.built, layer.weights) == (False, False, [])


def test_arrays_of_doubles_are_computed_in_float32():
    class Twice(Layer):
        def call(self, inputs):
            return inputs * 2

    assert Twice()(np.ones(3)).dtype == np.float32
    assert Twice()(fastnn.constant(np.ones(3))).dtype == np.float64


def test_initializers_are_names_or_functions():
    with pytest.raises(TypeError, match="must be a name or a function"):
        Dense(2, kernel_initializer=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "rellu"}, "unknown activation 'rellu'; did you mean 'relu'"),
        ({"kernel_initializer": "glorot"}, "unknown initializer 'glorot'"),
        ({"bias_initializer": "zeroes"}, "did you mean 'zeros'"),
    ],
)
def test_unknown_names(options, message):
    with pytest.raises(ValueError, match=message):
        Dense(2, **options)


def test_names():
    class MyLayer(Layer):
        pass

    first, second = MyLayer(), MyLayer()
    assert first.name.startswith("my_layer")
    assert first.name != second.name
    assert MyLayer(name="own").name == "own"


class Pair(Layer):
    """A user's layer: a weight of its own, layers in a list, and a weight that is not trained."""

    def __init__(self):
        super().__init__()
        self.parts = [Dense(3), Dense(2)]

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        x = inputs
        for part in self.parts:
            x = part(x)
        return x * self.scale


def test_tracking():
    layer = Pair()
    layer(fastnn.ones((1, 4)))
    shapes = [w.shape for w in layer.weights]
    assert shapes == [(), (), (4, 3), (3,), (3, 2), (2,)]
    assert len(layer.trainable_weights) == 5
    assert (layer.scale.name, layer.scale.path) == ("scale", f"{layer.name}/scale")
    layer.parts[0].trainable = False
    assert [w.shape for w in layer.trainable_weights] == [(), (3, 2), (2,)]
    layer.trainable = False
    assert layer.trainable_weights == []


def test_weights_begin_as_their_dtype_allows():
    layer = Layer()
    count = layer.add_weight((2,), dtype="int64", trainable=False)
    np.testing.assert_array_equal(count, [0, 0])
    assert abs(layer.add_weight((2,)).numpy()).max() > 0


def test_a_layer_without_call():
    with pytest.raises(NotImplementedError, match="must define call"):
        Layer()(fastnn.ones((1,)))


def test_build_runs_once_with_the_shape():
    shapes = []

    class Notes(Layer):
        def build(self, input_shape):
            shapes.append(input_shape)

        def call(self, inputs):
            return inputs

    layer = Notes()
    layer(fastnn.ones((2, 3)))
    layer(fastnn.ones((5, 3)))
    assert shapes == [(2, 3)]


def test_seeds():
    def kernel():
        fastnn.utils.set_random_seed(3)
        layer = layers.Dense(4)
        layer(fastnn.ones((1, 3)))
        return layer.kernel.numpy()

    np.testing.assert_array_equal(kernel(), kernel())


def test_a_seed_of_many_bits(tmp_path):
    """Philox's keys have 64 each; it is saved with the model."""
    x = np.ones((2, 50), np.float32)
    model = fastnn.Sequential(
        [layers.Dropout(0.5, seed=2**70 + 3), layers.GaussianNoise(1.0, seed=2**64)]
    )
    model(x, training=True)
    model.save(tmp_path / "model")
    again = fastnn.models.load_model(tmp_path / "model")
    np.testing.assert_array_equal(model(x, training=True), again(x, training=True))


def test_a_wrong_common_seed_changes_nothing():
    fastnn.utils.set_random_seed(np.int64(5))
    expected = fastnn.random.normal((3,)).numpy()
    fastnn.utils.set_random_seed(5)
    with pytest.raises(ValueError, match="seed must be an integer"):
        fastnn.utils.set_random_seed(5.5)
    np.testing.assert_array_equal(fastnn.random.normal((3,)), expected)


def test_activations():
    assert activations.get(None) is activations.linear
    assert activations.get("softmax") is fastnn.softmax
    assert activations.get(fastnn.tanh) is fastnn.tanh
    np.testing.assert_array_equal(activations.linear([1.0]), [1])
    with pytest.raises(TypeError, match="activation must be"):
        activations.get(3)


def test_dropout_drops_its_share_and_keeps_the_mean():
    layer = layers.Dropout(0.25)
    x = np.ones((100, 1000), np.float32)
    y = layer(x, training=True).numpy()
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert (y != layer(x, training=True).numpy()).any()
    np.testing.assert_array_equal(layer(x), x)


def test_equal_seeds_drop_alike():
    x = np.ones((4, 50), np.float32)
    first, second, other = (layers.Dropout(0.5, seed=seed) for seed in (1, 1, 2))
    for _ in range(3):
        kept = first(x, training=True).numpy()
        np.testing.assert_array_equal(second(x, training=True), kept)
        assert (other(x, training=True).numpy() != kept).any()


def test_training_reaches_the_layers_inside():
    x = np.ones((4, 50), np.float32)
    model = fastnn.Sequential([fastnn.Sequential([layers.Dropout(0.5)])])
    np.testing.assert_array_equal(model(x), x)
    assert (model(x, training=True).numpy() == 0).any()
    np.testing.assert_array_equal(model(x), x)


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan"), "half", None, True])
def test_a_wrong_rate_is_refused(rate):
    with pytest.raises(ValueError, match=r"layer 'drop': rate must be a number in \[0, 1\], got"):
        layers.Dropout(rate, name="drop")


def test_what_a_call_adds_to_the_loss_is_of_its_thread():
    layer = layers.ActivityRegularization(l1=1.0)
    layer(np.ones((1, 3)))
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(lambda: layer.losses).result() == []
        thread.submit(layer, np.ones((1, 2))).result()
    assert [float(loss) for loss in layer.losses] == [3.0]


def test_several_inputs_are_too_many_for_dense():
    layer = Dense(2, name="head")
    x = np.ones((1, 3), np.float32)
    for _ in range(2):
        for inputs in ({"a": x, "b": x}, [x, x]):
            with pytest.raises(TypeError, match=r"layer 'head' takes one array and got 2 in a"):
                layer(inputs)
        layer(x)


def test_a_misspelt_option():
    with pytest.raises(TypeError, match=r"option 'activaton'; did you mean 'activation'\?"):
        layers.Dense(3, activaton="relu")
    with pytest.raises(TypeError, match=r"option 'names'; did you mean 'name'\?"):
        layers.Dense(3, names="relu")
    with pytest.raises(TypeError, match=r"option 'stride'; choose from units, act"):
        layers.Dense(3, stride=2)


def test_softmax_of_one_unit():
    with pytest.warns(SyntaxWarning, match="'last': the softmax of a single unit is always 1"):
        layers.Dense(1, "softmax", name="last").build((None, 3))


@pytest.mark.parametrize(
    "layer", [layers.Flatten, layers.LayerNormalization, layers.Softmax, layers.PReLU]
)
def test_a_list_for_a_layer_that_takes_one_array(layer):
    with pytest.raises(TypeError, match=r"layer 'one' takes one array and got 2 in a list: join"):
        layer(name="one")([fastnn.ones((2, 3)), fastnn.ones((2, 3))])
    both = layers.Identity()([fastnn.ones((2, 3)), fastnn.ones((2, 3))])
    assert [x.shape for x in both] == [(2, 3), (2, 3)]


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_weight_made_at_each_call_is_refused(eagerly):
    class Forgetful(layers.Layer):
        def call(self, inputs):
            self.w = self.add_weight((3, 2))
            return inputs @ self.w

    model = fastnn.Sequential([Forgetful(name="forgetful"), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=eagerly)
    with pytest.raises(ValueError, match="'forgetful': a weight that is made in call"):
        model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)


def test_a_weight_made_at_the_first_call_stays():
    class Late(layers.Layer):
        w = None

        def call(self, inputs):
            if self.w is None:
                self.w = self.add_weight((3, 2))
            return inputs @ self.w

    layer, x = Late(), np.ones((4, 3), np.float32)
    assert layer(x).numpy().tobytes() == layer(x).numpy().tobytes()
    assert len(layer.trainable_weights) == 1


class FromFive(Layer):
    def call(self, inputs):
        return fastnn.matmul(inputs, fastnn.ones((5, 2)))


@pytest.mark.parametrize("call", [lambda model, x: model(x), lambda model, x: model.predict(x)])
def test_an_error_in_an_own_layer_names_it(call):
    model = fastnn.Sequential([Dense(3), FromFive(name="from_five")])
    with pytest.raises(ValueError, match="must be equal") as error:
        call(model, np.ones((2, 4), np.float32))
    assert error.value.__notes__[0].startswith("It happened in layer 'from_five', called on")


def test_an_error_in_a_layer_of_fastnn_names_it_in_the_message():
    layer = Dense(3, name="three")
    layer(np.ones((2, 4), np.float32))
    with pytest.raises(ValueError, match="'three'") as error:
        layer(np.ones((2, 5), np.float32))
    assert not hasattr(error.value, "__notes__")


@pytest.mark.parametrize(
    "layer",
    [
        layers.Activation("relu", dtype="float64"),
        layers.ReLU(dtype="float64"),
        layers.ELU(dtype="float64"),
        layers.Dropout(0.5, dtype="float64"),
        layers.Identity(dtype="float64"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_integers_that_float32_would_round(layer):
    x = np.arange(2**24, 2**24 + 6).reshape(2, 3)
    y = layer(x)
    np.testing.assert_array_equal(y, x)
    assert y.dtype == (x.dtype if isinstance(layer, layers.Identity) else np.float64)


def test_losses_are_of_the_last_call_alone():
    class Sometimes(Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.ReLU(activity_regularizer="l2")

        def call(self, inputs, training=False):
            return self.inner(inputs) if training else inputs

    layer = Sometimes()
    layer(np.ones((1, 2)), training=True)
    assert len(layer.losses) == 1
    layer(np.ones((1, 2)))
    assert layer.losses == []
