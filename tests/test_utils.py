"""Tests of fastnn.utils: labels, features, sequences, splits, and files from a local server."""

import hashlib
import subprocess
import sys

import numpy as np
import pooch
import pytest
from mirror import FAULTS, serving

import fastnn
from fastnn import utils
from fastnn.datasets import fetch
from fastnn.preprocessing.sequence import pad_sequences
from fastnn.utils import get_file, normalize, split_dataset, to_categorical

RNG = np.random.default_rng(9)

SEQUENCES = [[1], [2, 3], [], [4, 5, 6, 7], [8, 9, 10]]
VECTORS = [[[1.5, 1]], [[2, 1], [2, 2]], [], np.array([[3, 1], [3, 2], [3, 3]])]


def padded_by_hand(sequences, maxlen, padding, truncating, value):
    rows = []
    for sequence in sequences:
        row = list(sequence)
        while len(row) > maxlen:
            row.pop(0 if truncating == "pre" else -1)
        while len(row) < maxlen:
            row.insert(0 if padding == "pre" else len(row), value)
        rows.append(row)
    return rows


@pytest.mark.parametrize("maxlen", [None, 0, 1, 2, 3, 4, 6])
@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("value", [0, -1])
def test_pad_sequences(maxlen, padding, truncating, value):
    options = {"padding": padding, "truncating": truncating, "value": value}
    padded = pad_sequences(SEQUENCES, maxlen, **options)
    length = 4 if maxlen is None else maxlen
    assert padded.dtype == np.int32
    assert padded.shape == (5, length)
    assert padded.tolist() == padded_by_hand(SEQUENCES, length, **options)


def test_pad_sequences_is_in_both_places():
    assert utils.pad_sequences is pad_sequences
    assert fastnn.preprocessing.sequence.pad_sequences is pad_sequences


def test_pad_sequences_of_nothing():
    assert pad_sequences([]).shape == (0, 0)
    assert pad_sequences([[], []]).shape == (2, 0)
    assert pad_sequences([[], []], maxlen=2, value=7).tolist() == [[7, 7], [7, 7]]


@pytest.mark.parametrize(
    ("sequences", "options"),
    [
        (SEQUENCES, {}),
        (SEQUENCES, {"maxlen": 3, "dtype": "float64", "value": 0.5}),
        (VECTORS, {"dtype": "float32"}),
        (VECTORS, {"maxlen": 2, "truncating": "post", "padding": "post", "dtype": "float32"}),
        ([["a"], ["b", "c"]], {"value": "pad", "dtype": object, "maxlen": 3}),
        ([["a"], ["b", "c"]], {"value": "pad", "dtype": "<U3", "padding": "post"}),
        (([1, 2], (3,)), {}),
        (np.arange(6).reshape(2, 3), {"maxlen": 2}),
        ([[1.9], [-1.9, 2.0]], {}),
    ],
)
def test_pad_sequences_is_that_of_keras(sequences, options):
    from keras_reference import keras

    ours = pad_sequences(sequences, **options)
    theirs = keras.utils.pad_sequences(sequences, **options)
    assert ours.dtype == theirs.dtype
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        ([1, 2], {}, "sequence 0 is of int, which has no length"),
        ([[1], 2], {}, "sequence 1 is of int, which has no length"),
        ([[1]], {"padding": "left"}, "padding is 'left'; it must be 'pre' or 'post'"),
        ([[1]], {"truncating": "both"}, "truncating is 'both'; it must be 'pre' or 'post'"),
        ([[1]], {"value": "pad"}, "value is 'pad', a string; dtype int32 must then be object"),
        ([[1]], {"maxlen": -1}, "maxlen is -1; it must not be negative"),
        ([[1], [[2, 3]]], {}, r"sequence 1 has elements of shape \(2,\), those before it \(\)"),
    ],
)
def test_pad_sequences_refuses(sequences, options, message):
    with pytest.raises(ValueError, match=message):
        pad_sequences(sequences, **options)


@pytest.mark.parametrize("shape", [(1,), (3,), (4, 3), (5, 4, 3), (3, 1), (3, 2, 1)])
@pytest.mark.parametrize("num_classes", [None, 5, 7])
def test_to_categorical_is_that_of_keras(shape, num_classes):
    from keras_reference import keras

    labels = RNG.integers(0, 5, shape)
    ours, theirs = (f(labels, num_classes) for f in (to_categorical, keras.utils.to_categorical))
    assert ours.dtype == theirs.dtype == np.float64
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours, theirs)


def test_to_categorical_under_its_first_name():
    assert utils.np_utils.to_categorical is to_categorical


@pytest.mark.parametrize(
    ("kind", "as_tensor"),
    [
        (np.float32, False),
        (np.float64, False),
        (np.int64, False),
        (np.float32, True),
        (np.float64, True),
    ],
)
@pytest.mark.parametrize("order", [1, 2, 3, 0.5])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_normalize(kind, order, axis, as_tensor):
    x = (RNG.standard_normal((3, 4, 2)) * 10).astype(kind)
    x[1] = x[:, 1] = x[..., 1] = 0
    norm = (np.abs(x.astype(np.float64)) ** order).sum(axis, keepdims=True) ** (1 / order)
    expected = np.divide(x, norm, out=np.zeros(x.shape), where=norm != 0)
    out = normalize(fastnn.constant(x) if as_tensor else x, axis, order)
    assert isinstance(out, fastnn.Tensor if as_tensor else np.ndarray)
    assert out.dtype == (np.float64 if kind is np.int64 else kind)
    np.testing.assert_allclose(out, expected, rtol=1e-5 if kind is np.float32 else 1e-12)


def test_normalize_compiled_and_differentiated():
    x = fastnn.Variable(np.array([[3.0, 4.0], [0.0, 0.0]]))

    def slope(x):
        with fastnn.GradientTape() as tape:
            tape.watch(x)
            y = normalize(x)[:, 0]
        return tape.gradient(y, x)

    eager = slope(x).numpy()
    # d(a / |a, b|) = (b², -ab) / |a, b|³; nothing is divided by the norm of a row of zeros.
    np.testing.assert_allclose(eager, [[16 / 125, -12 / 125], [1, 0]], rtol=1e-12)
    np.testing.assert_array_equal(fastnn.function(slope)(x).numpy(), eager)


@pytest.mark.parametrize("order", [0, -1, float("inf"), float("nan")])
def test_normalize_refuses_orders_for_tensors(order):
    with pytest.raises(ValueError, match=f"order is {order}; .*must be positive and finite"):
        normalize(fastnn.ones((2, 2)), order=order)


@pytest.mark.parametrize("order", [1, 2, 3, np.inf])
def test_normalize_is_that_of_keras(order):
    from keras_reference import keras

    x = RNG.standard_normal((4, 3))
    np.testing.assert_allclose(
        normalize(x, order=order), keras.utils.normalize(x, order=order), rtol=1e-12
    )


X, Y = np.arange(20).reshape(10, 2), np.arange(10)


@pytest.mark.parametrize(
    ("sizes", "left", "right"),
    [
        ({"left_size": 0.8}, 8, 2),
        ({"right_size": 0.25}, 8, 2),
        ({"left_size": 3}, 3, 7),
        ({"right_size": 9}, 1, 9),
        ({"left_size": 0.25, "right_size": 3}, 2, 3),
        ({"left_size": 0.3, "right_size": 0.5}, 3, 5),
        ({"left_size": np.int64(4)}, 4, 6),
    ],
)
def test_split_sizes(sizes, left, right):
    first, last = split_dataset(Y, **sizes)
    assert first.tolist() == list(range(left))
    assert last.tolist() == list(range(10 - right, 10))
    assert np.shares_memory(first, Y)
    assert np.shares_memory(last, Y)


@pytest.mark.parametrize(
    "dataset", [(X, Y), [X, Y], {"x": X, "y": Y}, ((X, X), Y), (fastnn.constant(X), Y)]
)
def test_split_keeps_the_structure(dataset):
    first, last = split_dataset(dataset, left_size=0.6)
    for part, rows in ((first, slice(6)), (last, slice(6, 10))):
        assert type(part) is type(dataset)
        x, y = part.values() if isinstance(part, dict) else part
        for array in x if isinstance(x, tuple) else [x]:
            np.testing.assert_array_equal(array, X[rows])
        np.testing.assert_array_equal(y, Y[rows])


def test_split_with_a_shuffle():
    (x, y), (x_last, y_last) = split_dataset((X, Y), right_size=0.3, shuffle=True, seed=1)
    assert sorted([*y, *y_last]) == list(range(10))
    assert [*y, *y_last] != list(range(10))
    np.testing.assert_array_equal(x, X[y])
    np.testing.assert_array_equal(x_last, X[y_last])
    again, _ = split_dataset((X, Y), right_size=0.3, shuffle=True, seed=1)
    assert again[1].tolist() == y.tolist()
    source = fastnn.random.SeedGenerator(1)
    orders = [
        np.concatenate(split_dataset(Y, 0.5, shuffle=True, seed=source)).tolist() for _ in range(2)
    ]
    assert orders[0] != orders[1]
    assert Y.tolist() == list(range(10))


def test_split_follows_the_common_seed():
    def order():
        return np.concatenate(split_dataset(Y, left_size=5, shuffle=True)).tolist()

    utils.set_random_seed(3)
    first = order()
    assert order() != first
    utils.set_random_seed(3)
    assert order() == first


@pytest.mark.parametrize(
    ("dataset", "sizes", "error", "message"),
    [
        (Y, {}, ValueError, "neither left_size nor right_size"),
        (Y, {"left_size": "1"}, TypeError, "left_size is a str"),
        (Y, {"right_size": True}, TypeError, "right_size is a bool"),
        (Y, {"left_size": 0}, ValueError, "left_size is 0; .* number of samples, 10"),
        (Y, {"left_size": 10}, ValueError, "left_size is 10"),
        (Y, {"right_size": 1.0}, ValueError, r"right_size is 1\.0"),
        (Y, {"right_size": float("nan")}, ValueError, "right_size is nan"),
        (Y, {"left_size": -0.1}, ValueError, r"left_size is -0\.1"),
        (Y, {"left_size": 0.01}, ValueError, "parts of 0 and 10 of 10"),
        (Y, {"left_size": 0.6, "right_size": 0.6}, ValueError, "parts of 6 and 6 of 10"),
        ((X, Y[:9]), {"left_size": 0.5}, ValueError, r"arrays of \[9, 10\] samples"),
        ([], {"left_size": 0.5}, ValueError, "arrays of no samples"),
        ([X, [1, 2]], {"left_size": 0.5}, TypeError, "part 1 of dataset is a int"),
        ((X, np.float64(1)), {"left_size": 0.5}, TypeError, "part 1 of dataset is a float64"),
        ("data", {"left_size": 0.5}, TypeError, "part 0 of dataset is a str"),
    ],
)
def test_split_refuses(dataset, sizes, error, message):
    with pytest.raises(error, match=message):
        split_dataset(dataset, **sizes)


CONTENT = {"notes.txt": b"some text"}
SHA256 = hashlib.sha256(CONTENT["notes.txt"]).hexdigest()
MD5 = hashlib.md5(CONTENT["notes.txt"]).hexdigest()


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(fetch, "MIRROR_TIMEOUT", 0.5)
    with serving(CONTENT) as (server,):
        yield server


@pytest.mark.parametrize(
    "check",
    [
        {},
        {"file_hash": SHA256},
        {"file_hash": MD5},
        {"md5_hash": MD5},
        {"file_hash": MD5, "hash_algorithm": "md5"},
    ],
)
def test_get_file(server, tmp_path, check):
    expected = tmp_path / "cache" / "fastnn" / "datasets" / "notes.txt"
    for _ in range(2):
        assert get_file(origin=server.url + "notes.txt", **check) == str(expected)
        assert expected.read_bytes() == b"some text"
    assert server.asked == ["notes.txt"]


def test_get_file_elsewhere(server, tmp_path):
    path = get_file("a.txt", server.url + "notes.txt", cache_dir=tmp_path, cache_subdir="b/c")
    assert path == str(tmp_path / "b" / "c" / "a.txt")


def test_get_file_again(server, tmp_path):
    for _ in range(2):
        get_file(origin=server.url + "notes.txt", cache_dir=tmp_path, force_download=True)
    assert server.asked == ["notes.txt"] * 2
    server.break_down("truncated")
    with pytest.raises((OSError, ValueError)):
        get_file(
            origin=server.url + "notes.txt",
            file_hash=SHA256,
            cache_dir=tmp_path,
            force_download=True,
        )
    found = list((tmp_path / "datasets").iterdir())
    assert [path.read_bytes() for path in found] == [b"some text"]


@pytest.mark.parametrize("fault", FAULTS)
def test_get_file_fails(server, tmp_path, fault):
    server.break_down(fault)
    with pytest.raises((OSError, ValueError)):
        get_file(origin=server.url + "notes.txt", file_hash=SHA256, cache_dir=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "origin is missing"),
        ({"origin": "http://host/"}, "the file's name is ''; give it as fname"),
        ({"origin": "http://host/a", "fname": "b/a"}, "the file's name is 'b/a'"),
        ({"origin": "http://host/a", "fname": ".."}, r"the file's name is '\.\.'"),
        ({"origin": "http://host/a", "hash_algorithm": "crc"}, "hash_algorithm is 'crc'"),
    ],
)
def test_get_file_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        get_file(**arguments)


def test_get_file_without_pooch(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r'pip install "fastnn\[datasets\]"'):
        get_file(origin="http://host/a")


def test_utils_import_no_network():
    code = "import sys, fastnn.utils; sys.exit('pooch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
