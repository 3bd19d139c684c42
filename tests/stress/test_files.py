"""Files from strangers: whatever is in them, a file loads or there is one ValueError that names it.

Loading opens the file and nothing else, runs nothing that it holds, and takes no more memory than
the file's size and a little.
"""

import gzip
import json
import pickle
import random
import struct
import time

import numpy as np
import pytest
from fuzzing import fuzzing, result_of
from harm import Harm, flipped, zipped
from mutator import LARGE, mutated, packed, swollen
from reading import MEMORY, put
from test_saving import DAMAGE, LAYERS, X, classifier, described, parts_of, set_in, train

import fastnn
from fastnn import layers, models, optimizers

SEED = 20


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "good"
    model = classifier(optimizers.Adam(amsgrad=True, use_ema=True))  # with the most variables
    train(model, 0, 1)
    model.save(path)
    models.load_model(path)  # what Python imports once is imported
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A file with few bits of all that a model has."""
    path = tmp_path_factory.mktemp("saved") / "small"
    inner = [layers.Dense(1, kernel_regularizer="l2"), layers.BatchNormalization()]
    fastnn.utils.set_random_seed(7)
    model = fastnn.Sequential([layers.Dropout(0.5), fastnn.Sequential(inner)])
    model.compile(optimizers.SGD(momentum=0.5), "mse", ["mae"])
    model.fit(X[:4, :1], X[:4, :1], verbose=0)
    model.save(path)
    return path


@pytest.fixture(scope="module", autouse=True)
def fuzzer(good, small, times, tmp_path_factory):
    seeds = [good.read_bytes(), small.read_bytes()]
    with fuzzing("model", seeds, times(1, 600), tmp_path_factory.mktemp("fuzzer")) as started:
        yield started


@pytest.fixture
def loads(reads, tmp_path):
    """Whether a file loads."""
    path = tmp_path / "file"

    def load(content):
        put(path, content)
        return reads(lambda: models.load_model(path), path, len(content))

    return load


def placed(at, start, stop):
    """A tensor said to lie elsewhere."""

    def damage(header, data):
        key = [key for key in header if key != "__metadata__"][at]
        old = header[key]["data_offsets"]
        header[key]["data_offsets"] = [start(*old), stop(*old)]
        return header, data

    return damage


def renamed(name):
    """A weight with another name."""

    def damage(header, data):
        description = header["__metadata__"]["fastnn"]
        old = json.loads(description)["weights"][0]
        header["__metadata__"]["fastnn"] = description.replace(json.dumps(old), json.dumps(name))
        return {name if key == old else key: value for key, value in header.items()}, data

    return damage


def in_text(old, new):
    """A header changed as text."""

    def damage(header, data):
        text = json.dumps(header).encode()
        assert old in text
        return text.replace(old, new, 1), data

    return damage


def in_description(text):
    return described(lambda description: text(json.dumps(description)))


def named(name):
    """A layer with a name, in as few bytes as that has."""

    def damage(header, data):
        header, data = set_in(*LAYERS, 2, "config", "name", value="@")(header, data)
        return json.dumps(header).encode().replace(b'\\"@\\"', f'\\"{name}\\"'.encode()), data

    return damage


def metric(count, **config):
    auc = {"module": "fastnn.metrics", "class_name": "AUC", "registered_name": None}
    return set_in("compile", "metrics", value=[{**auc, "config": config}] * count)


def repeated(name, count):
    """A list in the configuration of the model, over and over."""

    def change(description):
        description["architecture"]["config"][name] *= count

    return described(change)


MANY = 100_000
ATTACKS = {
    "overlapping": placed(1, lambda start, stop: 0, lambda start, stop: stop - start),
    "a gap": placed(-1, lambda start, stop: start + 4, lambda start, stop: stop + 4),
    "negative": placed(0, lambda start, stop: -8, lambda start, stop: stop - 8),
    "huge": placed(0, lambda start, stop: 2**63, lambda start, stop: 2**63 + stop),
    "gigantic": placed(0, lambda start, stop: 10**400, lambda start, stop: 10**400),
    "backwards": placed(0, lambda start, stop: stop, lambda start, stop: start),
    "fractions": placed(0, lambda start, stop: 0.5, lambda start, stop: 4.5),
    "truth": placed(0, lambda start, stop: False, lambda start, stop: True),
    "a name twice": in_text(b'{"__metadata__"', b'{"0/x": {}, "0/x": {}, "__metadata__"'),
    "a place twice": in_text(b'"data_offsets"', b'"data_offsets": [0, 8], "data_offsets"'),
    "described twice": in_description(lambda text: '{"weights": [], ' + text[1:]),
    "deep header": lambda header, data: (b"[" * MANY, data),
    "deep objects": lambda header, data: (b'{"a":' * MANY, data),
    "deep description": in_description(lambda text: "[" * 999 + "]" * 999),
    "deep architecture": set_in(*LAYERS, value=json.loads("[" * 900 + "]" * 900)),
    "NaN": in_text(b'"shape": [', b'"shape": [NaN, '),
    "Infinity": in_text(b'"shape": [', b'"shape": [-Infinity, '),
    "NaN in the description": in_description(lambda text: text[:-1] + ', "a": NaN}'),
    "digits": in_text(b'"data_offsets": [', b'"data_offsets": [1' + b"0" * 5000 + b","),
    "no UTF-8": in_text(b'"shape"', b'"\xff\xfe"'),
    "half a character": in_text(b'"shape"', rb'"\ud800"'),
    "many objects": lambda header, data: (b"[" + b"{}," * MANY + b"{}]", data),
    "many lists": in_description(lambda text: text[:-1] + ', "a": [' + "[]," * MANY + "0]}"),
    "many names": lambda header, data: (
        json.dumps(header | {f"x{n}": {} for n in range(MANY // 4)}).encode(),
        data,
    ),
    "many layers": repeated("layers", 200),
    "more layers": repeated("layers", 50),
    "many metrics": metric(4000, num_thresholds=200),
    "many thresholds": metric(1, num_thresholds=10**9),
    "many labels": metric(1, num_thresholds=1000, num_labels=10**6, multi_label=True),
    "wide input": set_in("architecture", "config", "build_input_shape", value=[2**14, 2**14]),
    "a dtype of many": set_in(*LAYERS, 0, "config", "dtype", value="f4," * MANY),
    "a dtype to evaluate": set_in(*LAYERS, 0, "config", "dtype", value="2f4"),
    "a loss of a long name": set_in("compile", "loss", value="n" * 10 * MANY),
    "a layer of a long name": named("n" * 15 * MANY),
    "a layer of a wide name": named("n" * 10 * MANY + "\N{GRINNING FACE}"),
    "letters for shapes": set_in("layers", 2, "outputs", value="n" * 10 * MANY),
    "a class elsewhere": set_in("architecture", "module", value="../../os"),
    "a class by its path": set_in("architecture", "class_name", value="os.system"),
    "a class behind one": set_in("architecture", "class_name", value="__builtins__"),
    "a pickle inside": set_in("compile", "loss", value=pickle.dumps(Harm(), 0).decode()),
}
HARMLESS_NAMES = ["../../../etc/passwd", "/etc/passwd", "C:\\boot.ini", "\0", "__class__", "é" * 99]
FOREIGN = {
    "a pickle": lambda: pickle.dumps(Harm()),
    "a pickle as long as its header": lambda: struct.pack("<Q", 40) + pickle.dumps(Harm(), 0),
    "a zip bomb": lambda: zipped(2 * MEMORY),
    "a gzip bomb": lambda: gzip.compress(bytes(2 * MEMORY)),
    "zeros": lambda: bytes(2**20),
    "a header longer than memory": lambda: struct.pack("<Q", 2**63 - 1) + b"{}",
    "nothing": lambda: b"",
}


def damaged(path, damage):
    header, data = damage(*parts_of(path))
    return packed(json.dumps(header).encode() if isinstance(header, dict) else header, data)


def test_attacks(good, loads, record):
    for name, damage in ATTACKS.items():
        assert not loads(damaged(good, damage)), name
    for name, made in FOREIGN.items():
        assert not loads(made()), name
    for damage, _ in DAMAGE.values():
        assert not loads(damaged(good, damage))
    for name in HARMLESS_NAMES:  # names are names, and no places
        assert loads(damaged(good, renamed(name)))
    cases = len(ATTACKS) + len(FOREIGN) + len(DAMAGE)
    record("model files made to attack (nothing run, imported or opened)", f"{cases}, all refused")


def test_a_file_that_is_right_takes_little_more_than_its_size(loads, tmp_path):
    """So much is true of a model that fills its file."""
    model = models.Sequential([layers.Dense(1000, input_shape=(2000,)), layers.Dense(500)])
    model.compile("adam", "mse")
    model.fit(np.zeros((1, 2000)), np.zeros((1, 500)), verbose=0)
    model.save(tmp_path / "model")
    assert loads((tmp_path / "model").read_bytes())


def test_truncated(small, loads, times, record):
    content = small.read_bytes()
    lengths = range(0, len(content), times(61, 1))
    for length in lengths:
        assert not loads(content[:length])
    record("model files cut off, at every byte", f"{len(lengths):,}, all refused")


def test_flipped_bits(small, loads, times, record):
    content = small.read_bytes()
    bits = range(0, 8 * len(content), times(997, 1))
    loaded = sum(loads(flipped(content, bit)) for bit in bits)
    refused = f"{len(bits) - loaded:,} refused, {loaded:,} loaded"
    record("model files with one bit flipped, every one", f"{len(bits):,}: {refused}")


@pytest.mark.filterwarnings("ignore::UserWarning")  # of what a strange model does
def test_something_large_in_every_place(small, loads, times, record):
    cases = [case for large in LARGE for case in swollen(small.read_bytes(), large)]
    chosen = cases[:: times(40, 1)]
    loaded = sum(loads(case) for case in chosen)
    result = f"{len(chosen):,}: {len(chosen) - loaded:,} refused, {loaded:,} loaded"
    record("model files with a long text or list in one place, every one", result)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of what a strange model does
def test_mutated_headers(good, loads, times, record):
    rng, content = random.Random(SEED), good.read_bytes()
    until = time.monotonic() + times(1, 300)
    cases = loaded = 0
    while time.monotonic() < until:
        case = mutated(content, rng)
        try:
            loaded += loads(case)
        except BaseException:
            print(f"seed {SEED}, case {cases}: {case!r}")
            raise
        cases += 1
    result = f"{cases:,} from seed {SEED}: {cases - loaded:,} refused, {loaded:,} loaded"
    record("model files with mutated headers", result)


def test_fuzzer(fuzzer, record):
    record("model files of a fuzzer led by coverage", result_of(fuzzer))
