"""Optimizers against published numbers, steps worked by hand, and their contract."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastnn
from fastnn import Variable, optimizers
from fastnn.function import function
from fastnn.naming import forget_names

W, G = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 6.0, 7.0, 2.0])
ROOT = np.sqrt(0.001)  # of Adam's 1 - beta_2


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (optimizers.SGD, [0.5, -1, -0.5, 3]),
        (optimizers.RMSprop, [-0.58113804, 0.41886119, 1.41886119, 2.41886137]),
        (optimizers.Adagrad, [0.52326873, 1.500693, 2.50050942, 3.50613521]),
        (optimizers.Adam, W - 0.5 * ROOT * G / (ROOT * G + 1e-7)),
    ],
)
def test_one_step(optimizer, expected, isa):
    """The formulas of Keras 3, worked out in float64."""
    w = Variable(W)
    optimizer(learning_rate=0.5).apply_gradients([(G, w)])
    np.testing.assert_allclose(w, expected, atol=5e-8)


# Ten weights of 1 after five steps, the first with the gradient 0.01, the others with 0.1, 0.2, ...
# 1.0, with and without Nesterov's rule; worked out in float64 from the formulas of Keras 3.
ROWS = {
    False: "990541 981492 972443 963394 954345 945296 936247 927198 918149 909100",
    True: "987387 975243 963099 950955 938811 926667 914523 902379 890235 878090",
}


@pytest.mark.parametrize("nesterov", ROWS)
def test_momentum(nesterov, isa):
    w = Variable(np.ones(10))
    optimizer = optimizers.SGD(learning_rate=0.01, momentum=0.9, nesterov=nesterov)
    velocity, expected_w = 0.0, np.ones(10)
    for gradient in [np.full(10, 0.01), *[np.arange(1, 11) / 10] * 4]:
        optimizer.apply_gradients([(gradient, w)])
        velocity = 0.9 * velocity - 0.01 * gradient
        expected_w = expected_w + (0.9 * velocity - 0.01 * gradient if nesterov else velocity)
        np.testing.assert_allclose(w, expected_w, rtol=1e-14)
    row = np.array(ROWS[nesterov].split(), float) / 1e6
    np.testing.assert_allclose(w, row, atol=6e-7)


def test_epsilon_is_under_the_root():
    """The first steps of RMSprop for small gradients tell where epsilon stands."""
    for gradient, step in [(1e-3, 2.236e-3), (1e-4, 3.147e-4), (1e-5, 3.162e-5), (1e-6, 3.162e-6)]:
        w = Variable(np.zeros(1))
        optimizers.RMSprop().apply_gradients([([gradient], w)])
        np.testing.assert_allclose(-w.numpy(), step, rtol=3e-4)


def test_adam_by_hand():
    """Two steps with different gradients: the correction of the bias, and both running means."""
    w = Variable(np.array([1.0]))
    adam = optimizers.Adam(learning_rate=0.1)
    m = v = 0.0
    expected = 1.0
    for t, g in [(1, 0.5), (2, -2.0)]:
        adam.apply_gradients([([g], w)])
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        expected -= rate * m / (np.sqrt(v) + 1e-7)
        np.testing.assert_allclose(w, [expected], rtol=1e-12)


def test_names_classes_and_objects():
    assert isinstance(optimizers.get("RMSprop"), optimizers.RMSprop)
    assert isinstance(optimizers.get(optimizers.Adam), optimizers.Adam)
    sgd = optimizers.SGD()
    assert optimizers.get(sgd) is sgd
    with pytest.raises(ValueError, match="unknown optimizer 'rmspropp'; did you mean 'rmsprop'"):
        optimizers.get("rmspropp")
    assert optimizers.get(None) is None
    with pytest.raises(TypeError, match="optimizer must be"):
        optimizers.get(3)


def test_defaults():
    for name in optimizers._NAMES:
        assert float(optimizers.get(name).learning_rate) == (0.01 if name == "sgd" else 0.001)
    assert optimizers.AdamW().weight_decay == 0.004


def test_the_old_name_of_the_learning_rate():
    sgd = optimizers.SGD(lr=0.05, momentum=0.9, nesterov=True)
    assert (float(sgd.learning_rate), sgd.momentum, sgd.nesterov) == (0.05, 0.9, True)
    assert float(optimizers.RMSprop(0.1).lr) == 0.1
    sgd.lr = 0.5
    assert float(sgd.learning_rate) == 0.5
    assert "lr" not in sgd.get_config()


@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf, "0.1", None, True, [0.1]])
@pytest.mark.parametrize("optimizer", [optimizers.SGD, optimizers.Adam])
def test_learning_rates_are_numbers_and_not_negative(optimizer, rate):
    with pytest.raises(ValueError, match="learning_rate must be a number and not negative, got"):
        optimizer(learning_rate=rate)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(momentum=1.1),
        lambda: optimizers.SGD(momentum=-0.1),
        lambda: optimizers.SGD(momentum="0.9"),
        lambda: optimizers.RMSprop(rho=2.0),
        lambda: optimizers.RMSprop(epsilon=0),
        lambda: optimizers.Adagrad(initial_accumulator_value=-1),
        lambda: optimizers.Adam(beta_1=1.0),
        lambda: optimizers.SGD(momentum=None),
        lambda: optimizers.Adagrad(initial_accumulator_value="a"),
        lambda: optimizers.RMSprop(momentum=1.5),
        lambda: optimizers.Adadelta(rho=-0.1),
        lambda: optimizers.Adamax(beta_2=1.0),
        lambda: optimizers.Nadam(beta_1=1.0),
        lambda: optimizers.AdamW(weight_decay=None),
        lambda: optimizers.SGD(weight_decay=-0.1),
        lambda: optimizers.SGD(clipnorm=0),
        lambda: optimizers.SGD(clipvalue=-1),
        lambda: optimizers.SGD(global_clipnorm="1"),
        lambda: optimizers.SGD(ema_momentum=1.1),
        lambda: optimizers.SGD(use_ema=True, ema_overwrite_frequency=0),
        lambda: optimizers.SGD(use_ema=True, ema_overwrite_frequency=1.5),
    ],
)
def test_other_numbers_have_their_range(make):
    with pytest.raises(ValueError, match="must"):
        make()


def test_the_learning_rate_can_be_changed():
    sgd = optimizers.SGD(0.1)
    sgd.learning_rate = 0.5
    w = Variable([1.0])
    sgd.apply_gradients([([1.0], w)])
    np.testing.assert_array_equal(w, [0.5])
    with pytest.raises(ValueError, match="not negative"):
        sgd.learning_rate = -1
    assert float(sgd.learning_rate) == 0.5


def test_variables():
    adam, w = optimizers.Adam(0.25), Variable([1.0, 2.0])
    adam.apply_gradients(iter([([1.0, 1.0], w)]))
    iterations, rate, momentum, velocity = adam.variables
    assert (int(iterations), float(rate)) == (1, 0.25)
    np.testing.assert_allclose(momentum, [0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(velocity, [0.001, 0.001], rtol=1e-4)


BAD_PAIRS = {
    "shape": (
        lambda w: [([1.0], w[0]), ([1.0, 1.0, 1.0], w[1])],
        ValueError,
        r"\(3,\) and .* \(2,\)",
    ),
    "twice": (lambda w: [([1.0], w[0]), ([1.0], w[0])], ValueError, "comes twice"),
    "no variable": (lambda w: [([1.0], w[0]), ([1.0], fastnn.ones((1,)))], TypeError, "Variable"),
    "swapped": (lambda w: [(w[0], [1.0])], TypeError, r"pairs are \(gradient, variable\)"),
    "integers": (lambda w: [([1.0], w[0]), ([1], Variable([1]))], TypeError, "float32 or float64"),
    "strings": (lambda w: [([1.0], w[0]), (["a", "b"], w[1])], TypeError, "real numbers"),
    "no gradient": (lambda w: [(None, w[0]), (None, w[1])], ValueError, "no gradient to apply"),
    "gradients alone": (lambda w: [[1.0], [1.0, 1.0]], TypeError, r"pass zip\(gradients"),
    "no pairs": (lambda w: [], ValueError, "no gradient to apply"),
}


@pytest.mark.parametrize(("pairs", "error", "message"), BAD_PAIRS.values(), ids=BAD_PAIRS.keys())
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_refused_step_changes_nothing(name, pairs, error, message):
    w = [Variable([1.0], name="first"), Variable([2.0, 3.0], name="second")]
    optimizer = optimizers.get(name)
    optimizer.apply_gradients([([1.0], w[0]), ([1.0, 1.0], w[1])])
    before = [v.numpy() for v in [*w, *optimizer.variables]]
    with pytest.raises(error, match=message):
        optimizer.apply_gradients(pairs(w))
    for kept, v in zip(before, [*w, *optimizer.variables], strict=True):
        np.testing.assert_array_equal(v, kept)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_goes_on_where_the_original_was(clone):
    pair = Variable([1.0, 2.0]), optimizers.Adam(0.1)
    pair[1].apply_gradients([([1.0, 2.0], pair[0])])
    copied = clone(pair)
    for w, adam in (pair, copied):
        adam.apply_gradients([([3.0, -1.0], w)])
        assert len(adam.variables) == 4
    np.testing.assert_array_equal(copied[0], pair[0])


def test_missing_gradients_are_passed_over_with_a_warning():
    a, b = Variable([1.0]), Variable([1.0], name="second")
    with pytest.warns(UserWarning, match=r"no gradient for \['second'\]"):
        optimizers.SGD(0.5).apply_gradients([([1.0], a), (None, b)])
    assert (float(a[0]), float(b[0])) == (0.5, 1.0)


def test_a_gradient_may_be_the_variable_itself():
    w = Variable([2.0, 4.0])
    optimizers.SGD(0.5).apply_gradients([(w, w)])
    np.testing.assert_array_equal(w, [1, 2])


@pytest.mark.parametrize(
    "two",
    [("clipnorm", "clipvalue"), ("clipnorm", "global_clipnorm"), ("clipvalue", "global_clipnorm")],
)
def test_gradients_are_clipped_in_one_way(two):
    with pytest.raises(ValueError, match=f"only one way.*{two[0]}=0.1.*{two[1]}=0.1"):
        optimizers.SGD(**dict.fromkeys(two, 0.1))


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="momentun"):
        optimizers.SGD(momentun=0.9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e20])  # the square of the last is infinite
@pytest.mark.parametrize("way", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_what_is_not_finite_is_not_clipped_away_unseen(way, bad):
    """But for infinity as a value, which is a large one, and the rest of its gradient."""
    w = [Variable([1.0, 2.0]), Variable([3.0])]
    with np.errstate(invalid="ignore", over="ignore"):
        optimizers.SGD(1.0, **{way: 0.5}).apply([[bad, 1.0], [1.0]], w)
    seen = [*w[0].numpy(), *w[1].numpy()]
    if way == "global_clipnorm":
        assert np.isnan(seen).all()
    elif way == "clipnorm":
        np.testing.assert_array_equal(seen, [np.nan, np.nan, 2.5])
    else:
        np.testing.assert_array_equal(seen, [np.nan if np.isnan(bad) else 0.5, 1.5, 2.5])


def test_gradients_of_zeros_and_small_ones_stay_as_they_are(dtype):
    small = np.asarray([0.1, 0.0, -0.3], dtype)
    for way in ("clipnorm", "clipvalue", "global_clipnorm"):
        for g in (small, 0 * small):
            (clipped,) = optimizers.SGD(**{way: 0.7})._clip_gradients([g])
            np.testing.assert_array_equal(clipped, g, strict=True)


def test_weight_decay_leaves_out_what_it_is_told_to():
    w = [Variable(2.0, name=name) for name in ("kernel", "bias", "gamma")]
    sgd = optimizers.SGD(0.5, weight_decay=0.5)
    sgd.exclude_from_weight_decay(var_list=[w[2]], var_names=["^bi"])
    sgd.apply([0.0, 0.0, 0.0], w)
    assert [float(x) for x in w] == [1.5, 2.0, 2.0]
    copied, w = copy.deepcopy((sgd, w))
    copied.apply([0.0, 0.0, 0.0], w)
    assert [float(x) for x in w] == [1.125, 2.0, 2.0]
    with pytest.raises(ValueError, match=r"'sgd.*built already"):
        sgd.exclude_from_weight_decay(var_names=["kernel"])


def test_averages():
    """They begin as what the first step makes, and are put in at the end, or every few steps."""
    for every, after in [(None, [2.0, 1.0, 0.0]), (3, [2.0, 1.0, 1.71])]:
        w = Variable(3.0)
        sgd = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=every)
        for value, average in zip(after, [2.0, 1.9, 1.71], strict=True):
            sgd.apply([1.0], [w])
            np.testing.assert_allclose([w, sgd.variables[2]], [value, average], rtol=1e-6)
        sgd.finalize_variable_values([w])
        np.testing.assert_allclose(w, 1.71, rtol=1e-6)


def test_averages_of_variables_that_come_later_move_with_every_step():
    a, b = Variable(1.0), Variable(1.0)
    sgd = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    for w in (a, a, b, a, a, a):
        sgd.apply_gradients([(1.0, w)])
    average = 1.0
    for _ in range(4):
        average = (average + 0.9) / 2
    np.testing.assert_allclose(sgd._model_variables_moving_average[1], average, rtol=1e-6)


def test_values_are_final_without_averages():
    w, sgd = Variable(3.0), optimizers.SGD(1.0)
    sgd.apply([1.0], [w])
    sgd.finalize_variable_values([w])
    assert float(w) == 2.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.SGD(decay=1e-6), "SGD: there is no option 'decay'; choose from learn"),
        (lambda: optimizers.Adam(beta1=0.9), "Adam: there is no option 'beta1'; did you mean 'be"),
    ],
)
def test_unknown_options(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_averages_of_strangers_are_not_put_in():
    w, sgd = Variable(3.0), optimizers.SGD(1.0, use_ema=True)
    sgd.apply([1.0], [w])
    sgd.apply([1.0], [w])
    with pytest.raises(ValueError, match="does not know the variable 'other'"):
        sgd.finalize_variable_values([w, Variable(1.0, name="other")])
    assert float(w) == 1.0


@pytest.mark.parametrize("wrapper", [function, lambda step: step], ids=["compiled", "eager"])
def test_constraints_hold_after_each_step(wrapper):
    w, free = Variable([1.0, -1.0]), Variable([1.0, -1.0])
    w.constraint = fastnn.relu
    sgd = optimizers.SGD(0.75)
    step = wrapper(lambda: sgd.apply([[1.0, 1.0], [1.0, 1.0]], [w, free]))
    for after in ([0.25, 0.0], [0.0, 0.0]):
        step()
        np.testing.assert_array_equal(w, after)
    np.testing.assert_array_equal(free, [-0.5, -2.5])


def test_names():
    forget_names()
    makers = [optimizers.Adam, optimizers.Adam, optimizers.AdamW, optimizers.SGD]
    assert [make().name for make in makers] == ["adam", "adam_1", "adam_w", "sgd"]
    assert optimizers.RMSprop(name="mine").name == "mine"


@pytest.mark.parametrize("name", optimizers._NAMES)
def test_configurations(name):
    made = optimizers._NAMES[name](
        0.125,
        weight_decay=0.01,
        global_clipnorm=2.0,
        use_ema=True,
        ema_momentum=0.5,
        ema_overwrite_frequency=3,
        name="mine",
    )
    again = optimizers.get(optimizers.serialize(made))
    assert type(again) is type(made)
    assert again.get_config() == made.get_config() != type(made)().get_config()
    in_any_case = {"class_name": name.upper(), "config": {"learning_rate": 0.5}}
    assert float(optimizers.deserialize(in_any_case).learning_rate) == 0.5


def test_the_configuration_has_the_present_rate():
    sgd = optimizers.SGD(0.5)
    sgd.learning_rate = 0.0
    assert sgd.get_config()["learning_rate"] == 0.0
    assert float(optimizers.SGD.from_config(sgd.get_config()).learning_rate) == 0.0


def test_apply_knows_the_variables_that_it_was_built_with():
    w = [Variable(1.0), Variable(2.0)]
    sgd = optimizers.SGD(1.0, momentum=0.5)
    with pytest.raises(ValueError, match="2 gradients for 0 variables"):
        sgd.apply([1.0, 1.0])
    sgd.build(w)
    assert [v.name for v in sgd.variables[2:]] == ["variable/momentum"] * 2
    sgd.apply([1.0, 1.0])
    assert [float(x) for x in w] == [0.0, 1.0]
    with pytest.raises(ValueError, match="1 gradients for 2 variables"):
        sgd.apply([1.0], w)


def test_variables_may_come_later():
    """As those of layers that were frozen at first; the state of the others goes on."""
    a, b = Variable(1.0), Variable(1.0)
    sgd = optimizers.SGD(1.0, momentum=0.5)
    sgd.apply([1.0], [a])
    sgd.apply([1.0, 1.0], [b, a])
    assert (float(a), float(b)) == (-1.5, 0.0)


class Momentum(optimizers.Optimizer):
    """As written for Keras: slots made in build, found again by the variable's index."""

    def __init__(self, learning_rate=0.1, momentum=0.5, **options):
        super().__init__(learning_rate=learning_rate, **options)
        self.momentum = momentum

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.velocities = [self.add_variable_from_reference(w, "velocity") for w in variables]

    def update_step(self, gradient, variable, learning_rate):
        rate = fastnn.cast(learning_rate, variable.dtype)
        velocity = self.velocities[self._get_variable_index(variable)]
        self.assign(velocity, velocity * self.momentum - gradient * rate)
        self.assign_add(variable, velocity)


class MomentumInSlots(optimizers.Optimizer):
    """The same, with what the optimizer makes by itself."""

    def __init__(self, learning_rate=0.1, momentum=0.5, **options):
        super().__init__(learning_rate=learning_rate, **options)
        self.momentum = momentum

    @property
    def slots(self):
        return {"velocity": 0.0}

    def update_step(self, gradient, variable, learning_rate):
        (velocity,) = self.slots_of(variable)
        rate = fastnn.cast(learning_rate, variable.dtype)
        velocity.assign(velocity * self.momentum - gradient * rate)
        variable.assign_add(velocity)


@pytest.mark.parametrize("wrapper", [function, lambda step: step], ids=["compiled", "eager"])
@pytest.mark.parametrize("kind", [Momentum, MomentumInSlots])
def test_ones_own_optimizer(kind, wrapper, rng):
    own, sgd = kind(clipnorm=1.0), optimizers.SGD(0.1, 0.5, clipnorm=1.0)
    start = rng.standard_normal(5)
    w, v = Variable(start), Variable(start)
    step = wrapper(own.apply_gradients)
    for _ in range(4):
        g = rng.standard_normal(5)
        step([(g, w)])
        sgd.apply([g], [v])
    np.testing.assert_allclose(w, v, rtol=1e-12)
    assert [x.name for x in own.variables] == ["iterations", "learning_rate", "variable/velocity"]
    assert own.get_config()["momentum"] == 0.5


def test_what_ones_own_optimizer_may_lack():
    own = Momentum()
    own.apply([1.0], [Variable(1.0)])
    with pytest.raises(ValueError, match="does not know the variable"):
        own.apply([1.0], [Variable(1.0)])
    with pytest.raises(NotImplementedError, match="must define update_step"):
        optimizers.Optimizer(0.1).apply([1.0], [Variable(1.0)])


def test_slots_say_what_is_kept_for_each_variable():
    assert optimizers.SGD().slots == {}
    assert optimizers.SGD(momentum=0.9).slots == {"momentum": 0.0}
    assert list(optimizers.Adam(amsgrad=True).slots) == ["momentum", "velocity", "velocity_hat"]
    assert optimizers.Adagrad(initial_accumulator_value=0.5).slots == {"accumulator": 0.5}


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match="did you mean 'Adam'"):
        optimizers.Adm  # noqa: B018  # to look is to ask
    with pytest.raises(AttributeError, match=r"'Lion'; the optimizers are .*, AdamW, .*: choose"):
        optimizers.Lion  # noqa: B018


def fitted(optimizer, **options):
    """A model of one weight, 1, after steps that each have the gradient 2 w."""
    model = fastnn.Sequential([fastnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(optimizer, "mse")
    x, y = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    model.fit(x, y, batch_size=1, verbose=0, **options)
    return model, lambda: model.fit(x, y, batch_size=1, verbose=0)


def test_fit_ends_with_the_averages():
    model, _ = fitted(optimizers.SGD(0.25, use_ema=True, ema_momentum=0.5), epochs=2)
    np.testing.assert_array_equal(model.weights[0], [[0.5 * 0.5 + 0.5 * 0.25]])


def test_fit_follows_a_schedule_that_comes_later():
    model, again = fitted(optimizers.SGD(0.25))
    model.optimizer.learning_rate = optimizers.schedules.PiecewiseConstantDecay([1], [0.125, 0.5])
    again()
    np.testing.assert_array_equal(model.weights[0], [[0.5 * 0.75]])
    again()
    np.testing.assert_array_equal(model.weights[0], [[0.0]])


def test_a_build_that_fails_leaves_nothing_behind(monkeypatch):
    a, b = fastnn.Variable([1.0, 2.0]), fastnn.Variable([[3.0]])
    adam, make = optimizers.Adam(0.1), optimizers.Adam._make_slots
    made = []

    def failing(self, w):
        made.append(w)
        make(self, w)
        if len(made) == 2:
            raise MemoryError

    monkeypatch.setattr(optimizers.Adam, "_make_slots", failing)
    with pytest.raises(MemoryError):
        adam.build([a, b])
    assert len(adam.variables) == 2
    adam.apply([[[1.0]], [1.0, 1.0]], [b, a])
    assert [v.shape for v in adam.slots_of(a)] == [(2,), (2,)]


def test_a_step_that_fails_changes_nothing(monkeypatch):
    a, b = fastnn.Variable([1.0, 2.0]), fastnn.Variable([[3.0]])
    adam, update = optimizers.Adam(0.1), optimizers.Adam.update_step

    def failing(self, gradient, variable, rate):
        update(self, gradient, variable, rate)
        if variable is b:
            raise KeyboardInterrupt

    adam.apply([[1.0, 1.0], [[1.0]]], [a, b])
    before = [v.numpy() for v in (a, b, *adam.variables)]
    read = a.value
    monkeypatch.setattr(optimizers.Adam, "update_step", failing)
    with pytest.raises(KeyboardInterrupt):
        adam.apply([[1.0, 1.0], [[1.0]]], [a, b])
    for v, value in zip((a, b, *adam.variables), before, strict=True):
        np.testing.assert_array_equal(v, value)
        np.testing.assert_array_equal(v.value, value)
    np.testing.assert_array_equal(read, before[0])


def test_threads_that_bring_variables_at_once():
    for _ in range(50):
        optimizer, start = optimizers.SGD(1.0, momentum=0.9), threading.Barrier(4)
        parts = [Variable(np.zeros(n + 1, np.float32)) for n in range(4)]

        def bring(w, optimizer=optimizer, start=start):
            start.wait(30)
            optimizer.apply([np.ones(w.shape, np.float32)], [w])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(bring, parts))
        assert len(optimizer.variables) == 2 + 4
        for w in parts:
            np.testing.assert_array_equal(w, -np.ones(w.shape))


@pytest.mark.parametrize(
    ("make", "name", "value", "kept"),
    [
        (optimizers.SGD, "momentum", 0.9, "keeps [] .* call for ['momentum']"),
        (lambda: optimizers.SGD(momentum=0.9), "momentum", 0.0, "keeps ['momentum'] .* for []"),
        (optimizers.RMSprop, "centered", True, "call for ['velocity', 'average_gradient']"),
        (optimizers.RMSprop, "momentum", 0.5, "call for ['velocity', 'momentum']"),
        (optimizers.Adam, "amsgrad", True, "call for ['momentum', 'velocity', 'velocity_hat']"),
        (optimizers.AdamW, "use_ema", True, "call for ['momentum', 'velocity', 'average']"),
    ],
)
def test_what_is_kept_for_a_variable_stays(make, name, value, kept):
    optimizer, w = make(), Variable([1.0, 2.0])
    optimizer.apply([[1.0, 1.0]], [w])
    before = w.numpy()
    setattr(optimizer, name, value)
    with pytest.raises(ValueError, match=kept.replace("[", r"\[").replace("]", r"\]")):
        optimizer.apply([[1.0, 1.0]], [w])
    np.testing.assert_array_equal(w, before)
    early = make()
    setattr(early, name, value)  # before the first step
    for _ in range(3):
        early.apply([[1.0, 1.0]], [w])
    assert (w.numpy() < before).all()


def test_an_optimizer_that_never_took_a_step_has_no_averages_to_put_in():
    w = Variable([1.0])
    optimizers.SGD(0.1, use_ema=True).finalize_variable_values([w])
    assert w.numpy() == 1
