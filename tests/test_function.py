"""@fastnn.function: what is recorded, what is read anew, and what is refused."""

import copy
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Sequential, Variable, layers, optimizers
from fastnn.function import Function, function
from fastnn.recent import KEPT
from fastnn.trace import TraceError


def test_python_runs_once_for_each_kind_of_argument():
    calls = []

    @function
    def twice(x, factor=2.0):
        calls.append(factor)
        return factor * x

    for shape in ((2,), (3,), (2,), (3,)):
        np.testing.assert_array_equal(twice(np.ones(shape)), np.full(shape, 2))
    assert calls == [2.0, 2.0]
    assert float(twice(fastnn.constant(1.0), 5)) == 5
    assert float(twice(fastnn.constant(2.0), factor=5)) == 10
    assert float(twice(fastnn.constant(3.0), 5)) == 15
    assert calls == [2.0, 2.0, 5, 5]
    assert twice(np.ones(2, np.float64)).dtype == np.float64
    assert twice.__name__ == "twice"


def test_programs_are_forgotten_one_day():
    calls = []

    @function
    def same(x, n):
        calls.append(n)
        return x + 0

    for n in (*range(KEPT), 0, 1, KEPT, 0, 2):
        same(np.ones(1), n)
    assert calls == [*range(KEPT), KEPT, 2]  # the one that was not used for longest goes first


def test_variables_are_read_at_every_run():
    v = Variable([1.0, 2.0])
    read = function(lambda: v * 2)
    np.testing.assert_array_equal(read(), [2, 4])
    v.assign([5.0, 6.0])
    np.testing.assert_array_equal(read(), [10, 12])


def test_assignments_happen_in_order_at_every_run():
    """What was read before an assignment keeps the old values."""
    v = Variable([1.0, 2.0])

    @function
    def step(x):
        before, first = v.value, v[0]
        v.assign(x)
        between = v.value
        v.assign_add(x)
        v[1].assign(9.0)
        return before, first, between, v * 1, {"x": x, "list": [v[0]]}

    for x in ([3.0, 4.0], [5.0, 6.0]):
        old = v.numpy()
        before, first, between, after, rest = step(np.array(x, np.float32))
        np.testing.assert_array_equal(before, old)
        assert float(first) == old[0]
        np.testing.assert_array_equal(between, x)
        np.testing.assert_array_equal(after, [2 * x[0], 9])
        np.testing.assert_array_equal(v, [2 * x[0], 9])
        np.testing.assert_array_equal(rest["x"], x)
        assert float(rest["list"][0]) == 2 * x[0]


def test_results_and_snapshots_stand_alone():
    v = Variable([1.0])

    @function
    def step():
        v.assign_add([1.0])
        return v.value

    snapshot = v.value
    first = step()
    second = step()
    assert [float(t[0]) for t in (snapshot, first, second)] == [1, 2, 3]


def test_weights_of_new_layers_are_made_once():
    layer = layers.Dense(3)
    compiled = function(layer)
    x = np.ones((2, 4), np.float32)
    first = compiled(x)
    np.testing.assert_array_equal(first, layer(x))
    np.testing.assert_array_equal(compiled(x), first)


def test_methods_compile_for_each_object():
    class Shift:
        def __init__(self, by):
            self.by = by

        @function
        def apply(self, x):
            return x + self.by

    one, two = Shift(1.0), Shift(2.0)
    assert [float(s.apply(np.zeros(()))) for s in (one, two, one)] == [1, 2, 1]


def test_gradients_flow_through_a_call():
    square = function(lambda x: x * x)
    x = Variable(3.0)
    with GradientTape() as tape:
        y = square(square(x))
    assert float(tape.gradient(y, x)) == 4 * 27
    double = function(lambda x: square(x) + square(x))
    assert float(double(fastnn.constant(3.0))) == 18


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x if fastnn.reduce_sum(x) > 0 else -x,
        lambda x: x.numpy(),
        lambda x: float(fastnn.reduce_sum(x)),
        lambda x: np.mean(x) + 1,
        lambda x: [1, 2][fastnn.cast(x[0], "int32")],
        lambda x: f"{x[0]:.2f}",
        lambda x: Variable(x) + 1,
        lambda x: x + fastnn.random.normal((2,)),
        lambda x: x + WEIGHT.numpy(),
    ],
)
def test_looking_at_values_is_refused_with_line_and_remedy(look):
    with pytest.raises(TraceError, match=r"line \d+ of .*test_function.py.* run_eagerly=True"):
        function(look)(fastnn.ones((2,)))
    assert isinstance(look(fastnn.ones((2,))), object)  # and nothing is left of the trace


WEIGHT = Variable([1.0, 2.0])


def test_numbers_of_a_seed_are_a_constant():
    def noisy(x):
        return x + fastnn.random.normal((2,), seed=3)

    x = fastnn.ones((2,))
    compiled = function(noisy)
    for _ in range(2):
        np.testing.assert_array_equal(compiled(x), noisy(x))


def test_an_error_while_recording_leaves_everything_as_it_was():
    v = Variable([1.0, 2.0])

    @function
    def step(x):
        v.assign_add(x)
        return fastnn.matmul(v, x)

    with pytest.raises(ValueError, match="must be equal"):
        step(np.ones((3, 3), np.float32))
    np.testing.assert_array_equal(v, [1, 2])
    assert float(v[0]) == 1


def test_a_label_that_is_no_class_changes_nothing():
    model = Sequential([layers.Dense(3, "softmax")])
    optimizer = optimizers.Adam()

    @function
    def step(x, y):
        with GradientTape() as tape:
            losses = fastnn.losses.sparse_categorical_crossentropy(y, model(x))
            loss = fastnn.reduce_mean(losses)
        weights = model.trainable_weights
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    x = np.ones((4, 2), np.float32)
    step(x, np.array([0, 1, 2, 0]))
    before = [v.numpy() for v in (*model.weights, *optimizer.variables)]
    with pytest.raises(ValueError, match=r"y_true\[2\] is 3; 3 classes"):
        step(x, np.array([0, 1, 3, 0]))
    after = [v.numpy() for v in (*model.weights, *optimizer.variables)]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(step(x, np.array([0, 1, 2, 0]))) > 0


def test_labels_are_looked_at_before_anything_is_updated():
    seen = Variable(0.0)

    @function
    def count(x, y):
        seen.assign_add(1.0)
        return fastnn.softmax_cross_entropy(y, x)

    x = np.zeros((3, 2), np.float32)
    count(x, np.array([0, 1, 1]))
    for labels in ([0, 2, 1], [0, 1, -1]):
        with pytest.raises(ValueError, match="2 classes"):
            count(x, np.array(labels))
    assert float(seen) == 1


def test_labels_may_rest_on_variables():
    teacher, student = (Sequential([layers.Dense(3)]) for _ in range(2))
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)

    def loss(x):
        return fastnn.softmax_cross_entropy(fastnn.argmax(teacher(x), axis=-1), student(x))

    expected = loss(x)
    np.testing.assert_array_equal(function(loss)(x), expected)


def test_a_type_is_a_constant():
    assert function(fastnn.cast)(np.ones(2, np.float32), np.float64).dtype == np.float64


def test_ops_without_a_kernel_run_in_python():
    @function
    def mixed(x):
        return fastnn.sin(x) * fastnn.concat([x, x], axis=0)[:2] + fastnn.cos(x) ** 2

    x = np.array([0.5, 1.5], np.float32)
    np.testing.assert_allclose(mixed(x), np.sin(x) * x + np.cos(x) ** 2, rtol=1e-6)
    assert "Python" in mixed.describe(x)


def test_describe_shows_fusion_and_times():
    layer = layers.Dense(4, "relu")

    @function
    def forward(x):
        return fastnn.relu(fastnn.matmul(x, layer.kernel) + layer.bias)

    x = np.ones((2, 3), np.float32)
    layer(x)
    recorded, runs, memory = forward.describe(x, profile=True).split("\n\n")
    assert [line.split()[1] for line in recorded.splitlines()[2:]] == [
        "matmul",
        "add",
        "relu",
        "copy",
    ]
    assert [line.split()[1] for line in runs.splitlines()[2:]] == ["dense"]
    assert runs.splitlines()[0].endswith("us")
    assert memory.endswith("bytes of memory for all values, variables and constants apart")


def test_no_memory_is_taken_after_the_first_run():
    model = Sequential([layers.Dense(8, "relu"), layers.Dense(1)])
    optimizer = optimizers.Adam()

    @function
    def step(x, y):
        with GradientTape() as tape:
            loss = fastnn.reduce_mean(fastnn.losses.mean_squared_error(y, model(x)))
        weights = model.trainable_weights
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    x, y = np.ones((16, 4), np.float32), np.ones((16, 1), np.float32)
    program = step.program(x, y)
    assert "Python" not in program.describe()
    program.run()
    tracemalloc.start()
    program.run(1)
    once = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    program.run(1000)
    often = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert often <= once + 1000


def test_two_threads_may_call_one_function():
    add_one = function(lambda x: fastnn.exp(x) + 1)
    wrong = []

    def call(value):
        x = np.full((500,), value, np.float32)
        expected = fastnn.exp(x).numpy() + 1
        wrong.extend(1 for _ in range(200) if (add_one(x).numpy() != expected).any())

    threads = [threading.Thread(target=call, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_profile_beside_other_threads():
    square = function(lambda x: x * x + 1)
    x, going = np.ones(2000, np.float32), True

    def call():
        while going:
            square(x)

    thread = threading.Thread(target=call)
    square(x)
    thread.start()
    try:
        for _ in range(200):
            assert "us" in square.describe(x, profile=True)
    finally:
        going = False
        thread.join()


HANDLED = """
import signal
import numpy as np
import fastnn

total = fastnn.Variable(0.0)

@fastnn.function
def add(x):
    total.assign_add(fastnn.reduce_sum(x))
    return 2 * x

x, handled = np.ones(5, np.float32), []
add(x)  # records; what a handler computes in the midst of that would be recorded too
total.assign(0.0)
signal.signal(signal.SIGALRM, lambda number, frame: handled.append(float(add(x)[0])))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
calls = 0
while len(handled) < 100:
    assert (add(x).numpy() == 2).all()
    calls += 1
signal.setitimer(signal.ITIMER_REAL, 0)
assert set(handled) == {2.0}
print(float(total) - 5 * (calls + len(handled)))
"""


def test_the_handler_of_a_signal_may_call_what_it_interrupts():
    command = [sys.executable, "-c", HANDLED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "0.0\n"


def test_updates_by_calls_with_other_shapes_are_not_lost():
    total = Variable(np.zeros(200_000, np.float32))

    @function
    def add(x):
        total.assign_add(fastnn.ones((200_000,)) * fastnn.reduce_mean(x))

    def work(rows):
        for _ in range(200):
            add(fastnn.ones((rows, 3)))

    threads = [threading.Thread(target=work, args=(rows,)) for rows in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total.numpy().min() == total.numpy().max() == 800


@pytest.mark.parametrize("name", ["__array__", "toarray"])
def test_data_in_other_containers_are_refused(name):
    """Taken as a constant they would keep the values that they had."""
    table = type("Table", (), {name: lambda self: np.ones(2)})()
    with pytest.raises(TypeError, match=r"is a Table: make an array of it, np.asarray\(x\)"):
        function(lambda x: x)(table)


def test_an_argument_keeps_its_values_while_a_call_waits():
    """A variable's value is a tensor over its storage until the variable changes."""
    double = fastnn.function(lambda x: 2 * x)
    v = Variable([1.0])
    x, seen = v.value, []
    double(x)
    with double._lock.here():
        thread = threading.Thread(target=lambda: seen.append(float(double(x)[0])))
        thread.start()
        time.sleep(0.1)
        v.assign([5.0])
    thread.join()
    assert seen == [2]


def test_a_trace_in_one_thread_does_not_see_another():
    started, finish = threading.Event(), threading.Event()
    seen = []

    @function
    def slow(x):
        started.set()
        finish.wait(10)
        return x + 1

    thread = threading.Thread(target=lambda: seen.append(float(slow(np.ones(())))))
    thread.start()
    started.wait(10)
    assert float(fastnn.constant(2.0) * 3) == 6
    finish.set()
    thread.join()
    assert seen == [2]


def test_what_it_wraps_stays_at_hand():
    def f(x):
        """Doc."""
        return x

    compiled = function(f)
    assert isinstance(compiled, Function)
    assert compiled.python_function is f
    assert compiled.__doc__ == "Doc."


def test_the_structure_of_the_arguments_counts():
    x, y = np.float32([5.0]), np.float32([2.0])
    difference = function(lambda pair: pair["x"] - pair["y"])
    assert float(difference({"x": x, "y": y})[0]) == 3
    assert float(difference({"y": x, "x": y})[0]) == -3
    lengths = function(lambda a, b: 10 * len(a) + len(b) + 0 * (*a, *b)[0])
    assert float(lengths([x], [x, x])[0]) == 12
    assert float(lengths([x, x], [x])[0]) == 21
    assert float(lengths(a=[x, x, x], b=[])[0]) == 30
    assert float(lengths(a=[], b=[x, x, x])[0]) == 3
    # As many leaves as arguments, which are not the same.
    first_minus_second = function(lambda a, b: a[0] - a[1])
    assert [float(first_minus_second([x, y], [])[0]) for _ in range(2)] == [3, 3]
    assert float(first_minus_second([y, x], [])[0]) == -3


@pytest.mark.parametrize("kind", [float, np.float32])
def test_the_sign_of_zero_counts(kind):
    divide = function(lambda x, n: x / n)
    x = np.float32([1.0])
    assert [float(divide(x, kind(n))[0]) for n in (0.0, -0.0)] == [np.inf, -np.inf]


@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.SGD,
        lambda: optimizers.SGD(momentum=0.5),
        optimizers.Adagrad,
        optimizers.RMSprop,
        optimizers.Adam,
    ],
)
def test_a_variable_may_be_its_own_gradient(optimizer):
    """As weight decay has it."""

    def trained(wrapper):
        w, chosen = Variable([1.0, -2.0, 3.0]), optimizer()
        step = wrapper(lambda: chosen.apply_gradients([(w.value, w)]))
        for _ in range(3):
            step()
        return w

    np.testing.assert_array_equal(trained(function), trained(lambda step: step))


def test_a_variable_may_be_assigned_to_itself():
    v = Variable([1.0, 2.0, 3.0])

    @function
    def turn():
        v[::-1].assign(v)
        v.assign_add(v)

    turn()
    np.testing.assert_array_equal(v, [6, 4, 2])


def test_true_is_another_index_than_one():
    both = function(lambda x: (x[1], x[True], x[0], x[np.False_]))
    x = np.arange(4, dtype=np.float32).reshape(2, 2)
    expected = x[1], x[True], x[0], x[False]
    for result, values in zip(both(x), expected, strict=True):
        np.testing.assert_array_equal(result, values)


def test_a_tensor_read_before_an_assignment_keeps_the_old_values():
    v = Variable([1.0])
    old = v.value
    v.assign([5.0])
    np.testing.assert_array_equal(function(lambda: old + v)(), [6.0])


def test_a_tensor_read_before_recording_is_a_constant():
    v = Variable([1.0])
    old = v.value
    step = function(lambda x: x * old + v)
    np.testing.assert_array_equal(step(fastnn.constant([10.0])), [11.0])
    v.assign([5.0])
    np.testing.assert_array_equal(step(fastnn.constant([10.0])), [15.0])


def test_what_another_thread_assigns_while_a_step_is_recorded_counts():
    v, times = Variable([1.0]), []

    @function
    def step(x):
        value = v.value
        if not times:
            times.append(1)
            thread = threading.Thread(target=lambda: v.assign([2.0]))
            thread.start()
            thread.join()
        return x * value

    step(fastnn.constant([10.0]))
    v.assign([5.0])
    np.testing.assert_array_equal(step(fastnn.constant([10.0])), [50.0])


@pytest.mark.parametrize(
    "wrong",
    [
        np.ma.MaskedArray(np.ones(2, np.float32), [0, 1]),
        np.array([1, None], object),
        np.array([1, "7"], object),
    ],
)
def test_every_call_checks_its_arrays(wrong):
    step = function(lambda x: x + 1)
    for array in (np.ones(2, np.float32), np.array([1.0, 2.0], object)):
        step(array)
    with pytest.raises(TypeError, match="a tensor h"):
        step(wrong)


def test_powers_of_what_lies_backwards(rng):
    """NumPy takes another way there, which rounds otherwise."""
    x, y = rng.random(2000, np.float32) * 3, rng.standard_normal(2000, np.float32)
    power = lambda x, y: fastnn.pow(x, y[::-1])  # noqa: E731
    eager = power(fastnn.constant(x), fastnn.constant(y))
    np.testing.assert_array_equal(function(power)(x, y), eager)


def test_a_view_read_before_an_assignment_keeps_the_old_values():
    v = Variable([1.0, 2.0])

    @function
    def step():
        row = fastnn.reshape(v, (1, 2))
        v.assign([5.0, 6.0])
        return row + 0

    np.testing.assert_array_equal(step(), [[1, 2]])


def test_two_threads_may_record_at_once():
    errors = []

    def record():
        try:
            for _ in range(20):
                function(lambda x: fastnn.tanh(x) @ x)(np.ones((3, 3), np.float32))
        except RuntimeError as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=record) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors


def test_a_copy_has_programs_of_its_own():
    one = function(lambda x: x + 1)
    one(np.ones(2))
    np.testing.assert_array_equal(copy.deepcopy(one)(np.ones(3)), [2, 2, 2])


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_shapes_without_elements(shape):
    def step(x, w):
        return fastnn.softmax(x), fastnn.matmul(x, w), fastnn.reduce_sum(x, axis=1), fastnn.exp(x)

    x, w = np.ones(shape, np.float32), np.ones((shape[1], 2), np.float32)
    for result, values in zip(function(step)(x, w), step(x, w), strict=True):
        np.testing.assert_array_equal(result, values)


def test_a_wrong_label_is_named_though_other_labels_are_gone():
    @function
    def step(x, first, second):
        loss = fastnn.softmax_cross_entropy(first + 0, x)
        return fastnn.softmax_cross_entropy(second + 0, fastnn.exp(x) * fastnn.reduce_sum(loss))

    x = np.ones((2, 3), np.float32)
    step(x, np.array([0, 1]), np.array([1, 2]))
    with pytest.raises(ValueError, match=r"\[1\] is 5; 3 classes"):
        step(x, np.array([0, 1]), np.array([1, 5]))


class TestZerosAreLeftOut:
    """Inputs of products that are mostly zeros go in as rows, with the same bits."""

    FEATURES, UNITS = 120, 256

    def x(self, rng, share, dtype="float32", rows=70):
        x = rng.standard_normal((rows, self.FEATURES))
        return np.where(rng.random(x.shape) < share, x, 0).astype(dtype)

    def step(self, dtype="float32"):
        rng = np.random.default_rng(5)
        w = Variable(rng.standard_normal((self.FEATURES, self.UNITS)).astype(dtype) / 10)
        b = Variable(rng.standard_normal(self.UNITS).astype(dtype))

        def descend(x):
            with GradientTape() as tape:
                loss = fastnn.reduce_mean(fastnn.square(fastnn.relu(x @ w + b) - 1))
            for v, g in zip([w, b], tape.gradient(loss, [w, b]), strict=True):
                v.assign_sub(0.5 * g)
            return loss

        return descend, (w, b)

    def test_same_bits(self, dtype, isa, rng):
        """Batches with many zeros and with few, contiguous or not, in turn."""
        batches = [self.x(rng, share, dtype) for share in (0.1, 1.0, 0.05, 0.0, 0.9)]
        batches.append(np.asfortranarray(batches[0]))
        results = []
        for compiled in (False, True):
            step, variables = self.step(dtype)
            step = fastnn.function(step) if compiled else step
            losses = [step(fastnn.constant(x)).numpy() for x in batches * 2]
            results.append([*losses, *(v.numpy() for v in variables)])
        for a, b in zip(*results, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)

    def test_what_runs(self, rng):
        step = fastnn.function(self.step()[0])
        sparse, full = self.x(rng, 0.1), self.x(rng, 1.0)
        assert "rows_dense" in step.describe(sparse)
        assert "rows_matmul" in step.describe(sparse)
        assert "rows" not in step.describe(full)
        assert "rows" not in step.describe(sparse[:32])
        assert step.program(sparse) is not step.program(full)
        assert step.program(sparse) is step.program(self.x(rng, 0.1))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_zeros_times_infinity(self, bad, isa, rng):
        x = self.x(rng, 0.1)
        seen = []
        for compiled in (False, True):
            step, (w, _) = self.step()
            step = fastnn.function(step) if compiled else step
            step(x)
            w[3, 5].assign(bad)
            with np.errstate(invalid="ignore"):
                seen.append([step(x).numpy(), w.numpy()])
        for a, b in zip(*seen, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
        assert np.isnan(seen[0][0])

    @pytest.mark.parametrize(
        "other",
        [
            lambda x, w: (x @ w, x * 2),
            lambda x, w: (x @ w, x),
            lambda x, w: (x @ w, fastnn.matmul(w, x, transpose_a=True, transpose_b=True)),
            lambda x, w: (x @ w, x @ fastnn.ops.transpose(x)),
        ],
    )
    def test_what_something_else_reads_stays_whole(self, other, rng):
        w = Variable(rng.standard_normal((self.FEATURES, 400)).astype(np.float32))
        x = self.x(rng, 0.1)
        run = fastnn.function(lambda x: other(x, w))
        assert "rows" not in run.describe(x)
        for a, b in zip(run(x), other(fastnn.constant(x), w), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_two_of_them(self, rng):
        v, w = (
            Variable(rng.standard_normal((self.FEATURES, 400)).astype(np.float32)) for _ in range(2)
        )

        def both(x, y):
            return x @ v + y @ w

        run = fastnn.function(both)
        for a, b in ((0.1, 0.1), (0.1, 1.0), (1.0, 0.1), (1.0, 1.0)):
            x, y = self.x(rng, a), self.x(rng, b)
            program = run.program(x, y)
            names = [i.op.name for i in program.instructions]
            assert names.count("rows_matmul") == (a < 1) + (b < 1)
            np.testing.assert_array_equal(run(x, y), both(fastnn.constant(x), fastnn.constant(y)))

    def test_updates_of_two_threads_at_once(self, rng):
        """A batch with many zeros and one with few run different programs, one after the other,
        though both threads record the step at once.
        """
        batches = [self.x(rng, 0.1), self.x(rng, 1.0)]
        w = Variable(np.zeros((self.FEATURES, 400), np.float32))
        for _ in range(30):
            total, one = (Variable(np.full(300_000, n, np.float32)) for n in (0, 1))

            @fastnn.function
            def step(x, total=total, one=one):
                total.assign_add(one)
                return x @ w

            threads = [
                threading.Thread(target=lambda x=x, step=step: [step(x) for _ in range(5)])
                for x in batches
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            np.testing.assert_array_equal(total, np.full(300_000, 10, np.float32))


class Alike:
    """Equal to all of its kind."""

    def __init__(self, factor):
        self.factor = Variable(factor)

    def __eq__(self, other):
        return isinstance(other, Alike)

    def __hash__(self):
        return 1

    @function
    def times(self, x):
        return x * self.factor


def test_equal_objects_are_not_the_same_one():
    assert float(Alike(2.0).times(fastnn.constant(1.0))) == 2
    assert float(Alike(3.0).times(fastnn.constant(1.0))) == 3


def test_a_pass_over_data_cannot_be_recorded():
    other = fastnn.Sequential([fastnn.layers.Dense(2, input_shape=(2,))])
    other.predict(np.ones((1, 2)))  # which is recorded by now
    with pytest.raises(TraceError, match=r"goes through data with the model .* model\(x\)"):
        function(lambda x: x + other.predict(np.ones((1, 2))))(fastnn.ones((1, 2)))


def test_a_view_takes_no_time():
    @function
    def mixed(x):
        return fastnn.sort(fastnn.reshape(fastnn.sort(x), (4, 3)))

    x = np.random.default_rng(0).standard_normal((3, 4))
    rows = mixed.describe(x, profile=True).split("\n\n")[1].splitlines()
    (view,) = [row.split() for row in rows if "reshape" in row]
    assert view[-2:] == ["-", "0.00"]


def test_a_variable_made_inside_is_refused():
    """It would be one for all runs of the program, and a new one in each call op by op."""

    @function
    def counted(x):
        total = Variable(0.0)
        total.assign_add(x)
        return total

    with pytest.raises(TraceError, match=r"makes a Variable, .* make it before, outside"):
        counted(1.0)

    @function
    def averaged(x):
        mean = fastnn.metrics.Mean()
        mean.update_state(x)
        return mean.result()

    with pytest.raises(TraceError, match="makes a metric"):
        averaged(1.0)


def test_a_variable_made_in_a_step_of_fit_is_a_new_one_each_time():
    class Counting(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, kernel_initializer="ones")

        def call(self, inputs):
            total = Variable(0.0, trainable=False)
            for _ in range(2):
                total.assign_add(1.0)
            return self.dense(inputs) * total

    model = Counting()
    model.compile(optimizers.SGD(0.0), "mse")
    x = np.ones((64, 2), np.float32)
    with pytest.warns(UserWarning, match="runs op by op, .* makes a Variable"):
        history = model.fit(x, np.zeros(64), epochs=2, verbose=0).history
    assert history["loss"] == [16, 16]


def test_attributes_of_a_model_stay_its_own():
    model = Sequential([layers.Dense(2)])
    model.program, model.python_function = "theirs", 5
    compiled = function(model)
    assert compiled(np.ones((1, 3))).shape == (1, 2)
    assert "dense" in compiled.describe(np.ones((1, 3)))


def test_what_is_made_late_by_something_made_before_stays():
    score = fastnn.metrics.F1Score()  # makes its variables when it sees the first scores

    @function
    def measured(a, b):
        score.update_state(a, b)
        return score.result()

    a = np.array([[0, 1], [1, 0], [1, 0]], np.float32)
    np.testing.assert_allclose(measured(a, a), [1, 1], rtol=1e-6)

    class Counting(optimizers.Optimizer):
        def build(self, variables):
            super().build(variables)
            self.steps = Variable(0.0)

        def update_step(self, gradient, variable, learning_rate):
            self.steps.assign_add(1.0)
            variable.assign_sub(learning_rate * gradient)

    w, own = Variable([1.0, 2.0]), Counting(0.5)

    @function
    def step(x):
        with GradientTape() as tape:
            loss = fastnn.reduce_sum(w * x)
        own.apply_gradients([(tape.gradient(loss, w), w)])

    for _ in range(2):
        step(np.ones(2, np.float32))
    np.testing.assert_array_equal(w, [0, 1])
    assert float(own.steps) == 2

    class Late(layers.Layer):
        def call(self, inputs):
            if not hasattr(self, "w"):
                self.w = self.add_weight((5, 3))
            return inputs @ self.w

    late, x = Late(), np.ones((2, 5), np.float32)
    np.testing.assert_array_equal(function(late)(x), late(x))


def test_a_refusal_that_is_caught_is_one_all_the_same():
    @function
    def half(x):
        try:
            return x / float(x[0])
        except Exception:  # what a user may write
            return x / 2

    with pytest.raises(TraceError, match="needs a number that is known only when the step runs"):
        half(np.ones(2, np.float32))


def test_layers_without_weights_may_be_made_inside():
    @function
    def both(x):
        return layers.Flatten()(layers.Concatenate()([x, x]))

    x = np.ones((2, 3, 4), np.float32)
    assert both(x).shape == (2, 24)


def test_the_shape_that_a_layer_of_ones_own_would_give():
    class Twice(layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight((input_shape[-1],), "ones")

        def call(self, inputs):
            return 2 * inputs * self.w

    twice = Twice()

    @function
    def shaped(x):
        return fastnn.zeros(twice.compute_output_shape(x.shape)) + x

    np.testing.assert_array_equal(shaped(np.ones((2, 3), np.float32)), np.ones((2, 3)))


def test_the_line_that_is_named_is_the_users():
    @function
    def copied(x):
        return copy.copy(x)  # of the standard library, which looks at the values

    with pytest.raises(TraceError, match=r"test_function.py, `return copy.copy\(x\)"):
        copied(np.ones(2, np.float32))


def test_sums_of_no_rows():
    """The kernel works on long rows in blocks, in memory of which no rows need none."""
    x = np.ones((0, 1025), np.float32)
    assert fastnn.function(lambda x: fastnn.reduce_sum(x, axis=-1))(x).shape == (0,)


def test_numbers_that_lie_backwards_are_raised_to_the_same_bits(rng):
    power = fastnn.function(lambda x: fastnn.pow(x[::-1], x[::-1]))
    for x in rng.random((200, 1), np.float32) * 3:
        np.testing.assert_array_equal(power(x), power.python_function(fastnn.constant(x)))


def test_a_method_shows_its_program():
    class Doubling:
        @fastnn.function
        def double(self, x):
            return x * 2

    x = fastnn.ones((2,))
    double = Doubling().double
    assert "multiply" in double.describe(x)
    assert len(double.program(x).recorded) == 2
    np.testing.assert_array_equal(double.python_function(x), double(x))


def test_a_print_shows_what_is_known_while_a_call_is_recorded(capsys):
    v, known = Variable([1.0]), fastnn.constant([2.0])

    @function
    def step(x):
        print(x, f"{x * v}", v, known, f"{known}", sep="\n")
        return x * v

    for _ in range(2):
        np.testing.assert_array_equal(step(fastnn.ones(3)), [1, 1, 1])
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        *["Tensor(of a run, shape=(3,), dtype=float32)"] * 2,
        "Variable(of a run, shape=(1,), dtype=float32)",
        "Tensor([2.], shape=(1,), dtype=float32)",
        "[2.]",
    ]
    with pytest.raises(TraceError, match="needs a number that is known only when"):
        function(lambda x: f"{fastnn.reduce_sum(x):.2f}")(fastnn.ones(3))


def test_a_function_inside_a_layer_heeds_training():
    """What is recorded of a call for training is not what runs in another."""

    class Wrapped(layers.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner
            self.compiled = function(self.inner)

        def call(self, inputs):
            return self.compiled(inputs)

    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    for first in (True, False):
        inner = layers.BatchNormalization(momentum=0.0)
        layer = Wrapped(inner)
        for training in (first, not first, first):
            before = inner.moving_mean.numpy() if inner.built else np.zeros(3)
            spread = inner.moving_variance.numpy() if inner.built else np.ones(3)
            found = layer(x, training=training)
            mean, variance = (x.mean(axis=0), x.var(axis=0)) if training else (before, spread)
            np.testing.assert_allclose(found, (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-5)


def test_labels_behind_many_forks():
    """What they rest on is gone through once, though 2 ** 60 ways lead to it."""

    @function
    def loss(x, probabilities):
        for _ in range(60):
            x = 0.5 * x + x * x
        labels = fastnn.argmax(x, axis=-1)
        return fastnn.losses.sparse_categorical_crossentropy(labels, probabilities)

    probabilities = np.array([[0.25, 0.75]], np.float32)
    found = loss(np.array([[0.125, 0.5]], np.float32), probabilities)
    np.testing.assert_allclose(found, -np.log([0.75]), rtol=1e-6)


class Stack(list):
    scale = 1.0

    def total(self, x):
        return x * self.scale * sum(self)

    compiled = function(total)


def test_a_list_may_have_a_method_that_runs_as_a_program():
    stack, x = Stack([Variable(1.0), Variable(2.0)]), fastnn.constant([1.0, 2.0])
    stack.scale = 5.0
    np.testing.assert_array_equal(stack.compiled(x), stack.total(x))


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "float16"])
def test_arrays_and_tensors_of_one_kind_share_a_program(dtype):
    recorded = []

    @fastnn.function
    def same(x):
        recorded.append(x)
        return fastnn.cast(x, "float32") + 1

    x = np.ones((2, 3), dtype)
    for given in (x, fastnn.constant(x), fastnn.constant(x), x):
        np.testing.assert_array_equal(same(given), np.full((2, 3), 2))
    assert len(recorded) == 1
