"""Tensor and Variable: wrapping, dtypes, operators, indexing, assignment."""

import copy
import gc
import operator
import pickle
import tracemalloc
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, Variable, constant


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (3.0, "float32"),
        (3, "int32"),
        (2**40, "int64"),
        (-(2**31), "int32"),
        (2**31, "int64"),
        (True, "bool"),
        ([1.0, 2], "float32"),
        ([[1], [2]], "int32"),
        (np.float64(3), "float64"),
        (np.ones(2), "float64"),
        (np.ones(2, np.float16), "float16"),
        (np.ones(2, np.uint8), "uint8"),
        (np.ones(2, ">f4"), "float32"),
        ([], "float32"),
    ],
)
def test_dtypes(value, dtype):
    assert constant(value).dtype == dtype
    assert Variable(value).dtype == dtype
    assert constant(value).dtype.isnative


@pytest.mark.parametrize("value", ["a", [1, "a"], 1j, [None], np.array([{}]), np.datetime64("now")])
def test_only_real_numbers(value):
    for make in (constant, Tensor, Variable, fastnn.relu):
        with pytest.raises(TypeError, match="real numbers"):
            make(value)


def test_ragged():
    with pytest.raises(ValueError, match="do not form an array"):
        constant([[1.0], [1.0, 2.0]])


@pytest.mark.parametrize("make", [constant, Tensor, fastnn.convert_to_tensor])
def test_tensors_keep_what_arrays_and_variables_held(make):
    array, variable = np.arange(6.0), Variable([1.0, 2.0])
    tensors = [make(array), make(array[::2]), make(variable)]
    array += 1
    variable.assign([5.0, 6.0])
    for tensor, held in zip(tensors, [np.arange(6.0), [0, 2, 4], [1, 2]], strict=True):
        np.testing.assert_array_equal(tensor, held)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: operator.iadd(v, 1.0), r"v.assign_add\(x\)"),
        (lambda v: operator.isub(v, 1.0), r"v.assign_sub\(x\)"),
        (lambda v: operator.imul(v, 2.0), r"v.assign\(v \* x\)"),
        (lambda v: operator.itruediv(v, 2.0), r"v.assign\(v / x\)"),
    ],
)
def test_operators_that_would_leave_the_variable_as_it_is(change, message):
    variable = Variable([1.0, 2.0])
    with pytest.raises(TypeError, match=message):
        change(variable)
    np.testing.assert_array_equal(variable, [1, 2])


def test_looking_copies_nothing():
    tensor = constant(np.arange(6.0))
    array = tensor._array
    assert np.shares_memory(tensor.numpy(), array)
    assert np.shares_memory(np.asarray(tensor), array)
    assert np.shares_memory(np.from_dlpack(tensor), array)
    for view in (tensor.numpy(), np.from_dlpack(tensor)):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1
    assert np.asarray(constant(np.zeros(0)), copy=False).shape == (0,)
    copy = np.array(tensor)
    copy[0] = 9
    assert array[0] == 0


def test_properties():
    x = fastnn.zeros((2, 3))
    assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((2, 3), 2, 6, 2, np.float32)
    assert repr(constant(3.0)) == "Tensor(3.0, shape=(), dtype=float32)"
    assert repr(Variable([1, 2])) == "Variable([1 2], shape=(2,), dtype=int32)"


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (1000, 30)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
def test_a_variable_begins_at_a_line_of_the_cache(shape, dtype):
    for v in (Variable(np.ones(shape, dtype)), copy.deepcopy(Variable(np.ones(shape, dtype)))):
        assert v.mutable().ctypes.data % 64 == 0
        assert (v.shape, v.dtype) == (shape, dtype)


def test_scalars():
    x = constant(2.5)
    assert (float(x), int(x), bool(x), f"{x:.2f}", f"{constant([3.0]):.1f}") == (
        2.5,
        2,
        True,
        "2.50",
        "3.0",
    )
    assert f"{constant([1, 2])}" == "[1 2]"
    assert [10, 20, 30][constant(1)] == 20
    with pytest.raises(TypeError, match="cannot be iterated"):
        iter(x)
    with pytest.raises(ValueError, match=r"shape \(2,\) is neither true nor false: .*reduce_any"):
        bool(constant([1.0, 2.0]) > 1)
    assert [float(row) for row in constant([1.0, 2.0])] == [1.0, 2.0]


def test_constant_with_shape():
    np.testing.assert_array_equal(constant(2.0, shape=(2, 2)), [[2, 2], [2, 2]])
    np.testing.assert_array_equal(constant([1, 2, 3, 4], "float32", (2, 2)), [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match=r"3 values do not fill the shape \(2, 2\)"):
        constant([1, 2, 3], shape=(2, 2))


@pytest.mark.parametrize("make", [fastnn.zeros, fastnn.ones])
def test_shapes(make):
    assert make((2, 0)).shape == (2, 0)
    assert make([2, 3], dtype=np.int64).dtype == np.int64
    assert make(()).shape == ()
    with pytest.raises(TypeError, match=r"write \(2, 2\)"):
        make(2, 2)
    assert make(2).shape == make(np.int64(2)).shape == (2,)
    with pytest.raises(ValueError, match="negative"):
        make((2, -1))
    for wrong in ((2.7,), "22"):
        with pytest.raises(TypeError, match="a tuple of integers"):
            make(wrong)


def test_operators_with_numbers_and_arrays():
    x = constant([1.0, 2.0])
    array = np.array([10.0, 20.0])
    for result, expected in [
        (2 * x + 3, [5, 7]),
        (1 - x, [0, -1]),
        (1 / x, [1, 0.5]),
        (2**x, [2, 4]),
        (x**2, [1, 4]),
        (-x, [-1, -2]),
        (abs(-x), [1, 2]),
        (array - x, [9, 18]),
        (x * array, [10, 40]),
        (array / x, [10, 10]),
        (np.float64(2) * x, [2, 4]),
        ([1, 1] + x, [2, 3]),
        (x @ array, 50),
        (array @ x, 50),
        (array // x, [10, 10]),
        (5 // x, [5, 2]),
        (array % (x + 2), [1, 0]),
        (3 % x, [0, 1]),
    ]:
        assert isinstance(result, Tensor)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected)


def test_operators_of_logic_take_bools_alone():
    x = constant([1.0, 2.0])
    for refused in [lambda: x & x, lambda: (x > 1) | x, lambda: [1, 0] & (x > 1), lambda: ~x]:
        with pytest.raises(TypeError, match="takes tensors of bools"):
            refused()


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [
        (constant(1.0), constant(np.ones(2)), "float64"),
        (constant(1), constant(1.0), "float32"),
        (constant(1), constant(np.float64(1)), "float64"),
        (constant(1), 2.5, "float32"),
        (constant(np.uint8(200)), 100, "int32"),
        (constant(True), 1, "int32"),
        (np.ones(2), 2.0, "float64"),
        (np.ones(2, np.float16), 2.0, "float32"),
        (1, 2, "int32"),
        (Variable(np.ones(2)), constant(1.0), "float64"),
    ],
)
def test_dtypes_that_meet(a, b, dtype):
    assert fastnn.add(a, b).dtype == dtype
    assert fastnn.add(b, a).dtype == dtype


def test_numbers_keep_their_precision():
    """A Python number that meets float64 does not lose digits by way of float32."""
    x = constant(np.ones(2))
    np.testing.assert_array_equal(x * 0.1, np.ones(2) * 0.1)
    np.testing.assert_array_equal([0.1, 0.2] + x, np.array([1.1, 1.2]))
    assert float(Variable(0.1, dtype=np.float64)) == 0.1
    assert float(constant(2**24 + 1, dtype=np.float64)) == 2**24 + 1


def test_small_integers_do_not_wrap():
    assert int(constant(np.uint8(200)) + 100) == 300


def test_integers():
    x = constant([[1, 2], [3, 4]])
    np.testing.assert_array_equal(x @ x, [[7, 10], [15, 22]])
    assert (x @ x).dtype == np.int32
    assert (x / 2).dtype == np.float32
    np.testing.assert_array_equal(fastnn.reduce_mean(x), 2.5)
    np.testing.assert_array_equal(fastnn.reduce_sum(x), 10)


def test_comparisons():
    x = constant([0.3, 0.7])
    for result, expected in [
        (x > 0.5, [False, True]),
        (x < 0.5, [True, False]),
        (x >= 0.7, [False, True]),
        (x <= [0.3, 0.1], [True, False]),
        (x == [0.3, 0.0], [True, False]),
        (x != [0.3, 0.0], [False, True]),
    ]:
        assert result.dtype == np.bool_
        np.testing.assert_array_equal(result, expected)


def test_a_result_is_rebound_not_changed():
    x = y = constant([1.0])
    x *= 2
    assert (float(x[0]), float(y[0])) == (2, 1)


def test_tensors_cannot_be_assigned_to():
    x = constant([1.0, 2.0])
    for change in (x.assign, x.assign_add, x.assign_sub, x[0].assign):
        with pytest.raises(TypeError, match="make v = Variable"):
            change([1.0, 2.0])
    with pytest.raises(TypeError):
        x[0] = 1.0


def test_indexing(rng):
    array = rng.standard_normal((3, 28, 28))
    x = constant(array)
    for index in (
        np.s_[:, 14:, 14:],
        np.s_[:, 7:-7, 7:-7],
        np.s_[..., 0],
        np.s_[None, 1],
        np.s_[-1, 2, 3],
        np.s_[[0, 2]],
        array > 0,
    ):
        np.testing.assert_array_equal(x[index], array[index])
    np.testing.assert_array_equal(x[constant([2, 0])], array[[2, 0]])
    with pytest.raises(IndexError):
        x[3]


def test_assignment():
    v = Variable([[1.0, 2.0], [3.0, 4.0]])
    assert v.assign([[0, 1], [2, 3]]) is v
    assert v.dtype == np.float32
    v.assign_add(np.ones((2, 2)))
    v.assign_sub(fastnn.ones((2, 2)) * 2)
    np.testing.assert_array_equal(v, [[-1, 0], [1, 2]])
    v.assign_add(v)
    np.testing.assert_array_equal(v, [[-2, 0], [2, 4]])


def test_assignment_to_parts():
    v = Variable(np.zeros((3, 3), np.float32))
    assert v[0, 0].assign(3.0) is v
    v[1].assign([1, 2, 3])
    v[1:, 1].assign_add([10, 20])
    v[[0, 2], 2].assign_sub([5, 6])
    v[v.numpy() == 20].assign([7])
    np.testing.assert_array_equal(v, [[3, 0, -5], [1, 12, 3], [0, 7, -6]])


@pytest.mark.parametrize("shape", [(2,), (1, 2), (2, 1), (2, 3), (), (2, 2, 1)])
def test_assignment_needs_the_very_shape(shape):
    v = Variable(np.ones((2, 2)))
    for assign in (v.assign, v.assign_add, v.assign_sub, v[:, :2].assign):
        with pytest.raises(ValueError, match=r"of shape \(2, 2\); the shapes must be equal"):
            assign(np.zeros(shape))
    np.testing.assert_array_equal(v, np.ones((2, 2)))


def test_what_was_read_does_not_change():
    """Tensors, arrays and results taken from a variable keep their values when it is assigned."""
    v = Variable([1.0, 2.0])
    array, tensor, part, doubled, view = v.numpy(), v.value, v[0], v * 2, fastnn.reshape(v, (2, 1))
    as_array, from_tensor = np.asarray(v), tensor.numpy()
    v.assign([5.0, 6.0])
    for kept, expected in [
        (array, [1, 2]),
        (tensor, [1, 2]),
        (part, 1),
        (doubled, [2, 4]),
        (view, [[1], [2]]),
        (as_array, [1, 2]),
        (from_tensor, [1, 2]),
    ]:
        np.testing.assert_array_equal(kept, expected)
    np.testing.assert_array_equal(v, [5, 6])


@pytest.mark.parametrize(
    ("start", "value"),
    [([1], [3.7]), ([1], [np.nan]), (np.array([1], np.uint8), [300]), ([True], [2])],
)
def test_assignment_loses_nothing(start, value):
    v = Variable(start)
    for assign in (v.assign, v.assign_add, v[:1].assign):
        with pytest.raises(TypeError, match="cannot take these values"):
            assign(value)
    np.testing.assert_array_equal(v, start)
    np.testing.assert_array_equal(Variable([1]).assign([3.0]), [3])


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_copies_stand_alone(clone):
    v = Variable([1.0, 2.0], trainable=False, name="v")
    kept, copied = v.value, clone(v)
    assert (copied.name, copied.trainable, copied.dtype) == ("v", False, np.float32)
    copied.assign([5.0, 6.0])
    np.testing.assert_array_equal(v, [1, 2])
    np.testing.assert_array_equal(kept, [1, 2])
    np.testing.assert_array_equal(clone(kept), [1, 2])


def test_exported_values_do_not_change():
    v = Variable([1.0, 2.0])
    exported = [np.from_dlpack(v.value), np.from_dlpack(v)]
    v.assign([5.0, 6.0])
    np.testing.assert_array_equal(exported, [[1, 2], [1, 2]])
    with pytest.raises(ValueError, match="without a copy"):
        np.array(v, copy=False)
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        np.array(fastnn.constant([1.0]), np.float64, copy=False)


@pytest.mark.parametrize("dtype", [complex, str, object, "M8[s]", np.longdouble, "2f4", "f4,f4"])
def test_dtypes_that_tensors_cannot_have(dtype):
    for make in (
        lambda: constant([1.0], dtype=dtype),
        lambda: Variable([1.0], dtype=dtype),
        lambda: fastnn.zeros((2,), dtype=dtype),
        lambda: fastnn.cast([1.0], dtype),
        lambda: fastnn.one_hot([0], 2, dtype),
        lambda: fastnn.random.normal((2,), dtype=dtype),
    ):
        with pytest.raises(TypeError, match="dtype must be"):
            make()
    with pytest.raises(TypeError, match="float32 or float64"):
        fastnn.random.uniform((2,), dtype=np.int32)


def test_comparing_with_no_number():
    x = constant([1.0, 2.0])
    assert (x == None) is False  # noqa: E711  # what users write
    assert (x != "a") is True


def test_storage_never_moves():
    v = Variable([1.0, 2.0])
    storage = v.mutable()
    v.assign([3.0, 4.0])
    v[0].assign(5.0)
    fastnn.optimizers.SGD(1.0).apply_gradients([([1.0, 1.0], v)])
    assert v.mutable() is storage
    np.testing.assert_array_equal(storage, [4, 3])


def test_a_variable_owns_its_values():
    array = np.ones(3)
    v = Variable(array)
    array[0] = 9
    np.testing.assert_array_equal(v, [1, 1, 1])
    w = Variable(v)
    v.assign_add([1.0, 1.0, 1.0])
    np.testing.assert_array_equal(w, [1, 1, 1])


def test_nothing_is_kept_alive():
    """Without a tape a result does not hold on to what it was computed from: no cycle collector."""
    gc.disable()
    try:
        x = constant(np.ones(10))
        y = fastnn.reshape(x * 2 + 1, (2, 5))
        died = weakref.ref(x)
        del x
        assert died() is None
        v = Variable(y)
        died = weakref.ref(v)
        v.value  # noqa: B018  # reading is what might have kept it
        del v
        assert died() is None
    finally:
        gc.enable()


def test_random():
    x = fastnn.random.normal((10_000,), mean=3, stddev=2)
    assert x.dtype == np.float32
    assert abs(x.numpy().mean() - 3) < 0.1
    assert abs(x.numpy().std() - 2) < 0.1
    u = fastnn.random.uniform((10_000,), minval=0, maxval=1e-1).numpy()
    assert (u.min() >= 0, u.max() < 0.1, abs(u.mean() - 0.05) < 0.002) == (True, True, True)
    assert fastnn.random.uniform((100_000,), 1, 1 + 2e-7).numpy().max() < np.float32(1 + 2e-7)
    same = [fastnn.random.normal((4,), seed=7).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert fastnn.random.randint(3, 0, 10).shape == fastnn.random.uniform(3, 0, 1).shape == (3,)
    with pytest.raises(ValueError, match="stddev is -1"):
        fastnn.random.normal((1,), stddev=-1)
    with pytest.raises(ValueError, match="below minval"):
        fastnn.random.uniform((1,), 1, 0)


def test_objects_that_are_numbers():
    mixed = np.array([[1, 2.5], [True, np.float32(3)]], dtype=object)
    found = fastnn.constant(mixed)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[1, 2.5], [1, 3]])
    with pytest.raises(TypeError, match=r"the element at index \(1, 0\) is 'a'; fill or drop"):
        fastnn.constant(np.array([[1, 2], ["a", 4]], dtype=object))


def test_elements_are_assigned_to_by_method():
    for x in (Variable([[1.0]]), constant([[1.0]])):
        with pytest.raises(TypeError, match=r"write v\[0, 0\].assign\(3.0\)"):
            x[0, 0] = 3.0


class Wrapped:
    """What NumPy finds an array in."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def test_a_tensor_does_not_change_with_the_array_it_was_made_of():
    values = np.array([[1.0, 2.0]], np.float32)
    made = {
        "reshape": fastnn.reshape(values, (2,)),
        "cast": fastnn.cast(values, "float32"),
        "transpose": fastnn.transpose(values),
        "stop_gradient": fastnn.stop_gradient(values),
        "flip": fastnn.flip(values),
        "broadcast_to": fastnn.broadcast_to(values, (1, 2)),
        "split": fastnn.concat(fastnn.split(values, 2, axis=1), axis=1),
        "linear": fastnn.activations.linear(values),
        "Flatten": fastnn.layers.Flatten()(values),
        "Dropout": fastnn.layers.Dropout(0.5)(values),
        "Sequential": fastnn.Sequential([fastnn.layers.Dropout(0.5)])(values),
        "Identity": fastnn.layers.Identity()([values])[0],
        "Constraint": fastnn.constraints.Constraint()(values),
        "Loss": fastnn.losses.LossFunctionWrapper(lambda y, p: p, reduction=None)(values, values),
        "Tensor": Tensor(Wrapped(values)),
        "stack": fastnn.stack([values]),
    }

    class Keeping(fastnn.layers.Layer):
        def call(self, inputs):
            self.kept = inputs
            return inputs, 2 * inputs

    for name in ("alone", "in a Sequential"):
        keeping = Keeping()
        call = keeping if name == "alone" else fastnn.Sequential([keeping])
        made[f"returned, {name}"], _ = call(values)
        made[f"kept, {name}"] = keeping.kept
    probabilities, shares = fastnn.softmax(values), fastnn.sigmoid(values)
    loss = fastnn.losses.sparse_categorical_crossentropy([1], probabilities)
    binary = fastnn.losses.binary_crossentropy([[1, 0]], shares)
    values[...] = [9, -50]
    for name, tensor in made.items():
        assert sorted(np.ravel(tensor)) == [1, 2], name
    again = fastnn.losses.sparse_categorical_crossentropy([1], probabilities)
    np.testing.assert_array_equal(loss, again)
    again = fastnn.losses.binary_crossentropy([[1, 0]], shares)
    np.testing.assert_array_equal(binary, again)


def test_what_reads_a_little_of_an_array_does_not_copy_it():
    values = np.zeros((1000, 1000))
    tracemalloc.start()
    for op in (lambda: fastnn.gather(values, [1, 2]), lambda: fastnn.reduce_sum(values)):
        tracemalloc.reset_peak()
        op()
        assert tracemalloc.get_traced_memory()[1] < values.nbytes / 10
    tracemalloc.stop()


def test_nothing_is_selected_by_empty_lists():
    x = fastnn.ones((3, 3))
    assert x[[]].shape == (0, 3)
    assert x[[], []].shape == (0,)
    assert x[[[]]].shape == (1, 0, 3)
    assert fastnn.gather(x, []).shape == (0, 3)
    v = fastnn.Variable(np.ones(3))
    v[[]].assign(np.zeros(0))
    np.testing.assert_array_equal(v, np.ones(3))


def test_the_format_of_a_number_is_for_one():
    assert f"{constant([2.5]):.2f}" == "2.50"
    with pytest.raises(TypeError, match=r"is for one number, and this .* shape \(2,\)"):
        f"{constant([1.0, 2.0]):.2f}"


def test_nested_lists_of_tensors_keep_their_dtype():
    """Inside a tape and a program as outside."""
    x = fastnn.constant(np.array([0.1, 0.2]))

    def total(x):
        return fastnn.reduce_sum([[x, x], [x, x]])

    with fastnn.GradientTape():
        taped = total(x)
    for found in (total(x), fastnn.function(total)(x), taped):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, 1.2, rtol=1e-15)
    for dtype in ("float16", "float64", "int64", "bool"):
        part = fastnn.cast(x, dtype)
        assert fastnn.constant([part]).dtype == fastnn.Variable([[part]]).dtype == dtype
