"""Files from strangers: whatever is in them, a file loads or there is one ValueError that names it.

Loading opens the file and nothing else, runs nothing that it holds, and takes no more memory than
the file's size and a little.
"""

import gzip
import hashlib
import io
import json
import pickle
import random
import signal
import struct
import sys
import time
import tracemalloc
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from test_datasets import to_idx
from test_saving import DAMAGE, LAYERS, classifier, described, parts_of, set_in, train

from fastnn import layers, losses, metrics, models, optimizers
from fastnn.datasets import fetch, idx

SEED = 20
MEMORY = 16 * 2**20  # bytes, beyond those of the file
SECONDS = 20  # for one file

# Nothing can be seen or done by these; "open" is looked at.
HARMLESS = {"builtins.id", "object.__getattr__", "sys._getframe", "array.__new__", "code.__new__"}


class Auditor:
    """Tells what Python was asked to do; hooks cannot be taken away again, so there is one."""

    events = None

    def __call__(self, event, arguments):
        if self.events is not None and event not in HARMLESS:
            self.events.append((event, *map(str, arguments[:2])))

    @contextmanager
    def watching(self):
        self.events = []
        try:
            yield self.events
        finally:
            self.events = None


@pytest.fixture(scope="module")
def auditor():
    hook = Auditor()
    sys.addaudithook(hook)
    return hook


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "good"
    model = classifier("adam")
    train(model, 0, 1)
    model.save(path)
    models.load_model(path)  # what Python imports once is imported
    return path


@pytest.fixture
def loads(auditor, tmp_path):
    """Whether a file loads; it must do so, or be refused, as all this says."""
    path = tmp_path / "file"

    def load(content):
        path.write_bytes(content)
        return tried(lambda: models.load_model(path), path, len(content), auditor)

    tracemalloc.start()
    signal.signal(signal.SIGALRM, _too_long)
    yield load
    signal.alarm(0)
    tracemalloc.stop()


def _too_long(*_):
    pytest.fail(f"one file took {SECONDS} seconds")


def tried(read, path, size, auditor):
    """Whether a read succeeds; it may raise ValueError, and do nothing but open the file."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    refusal = None
    signal.alarm(SECONDS)
    with auditor.watching() as events:
        try:
            read()
        except ValueError as error:
            refusal = str(error)
    signal.alarm(0)
    taken = tracemalloc.get_traced_memory()[1] - before
    assert taken <= size + MEMORY, f"{taken:,} bytes for a file of {size:,}"
    assert [e for e in events if e[:2] != ("open", str(path))] == []
    assert refusal is None or str(path) in refusal or path.name in refusal
    return refusal is None


class Harm:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/harmed",)


def zipped(size):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../model.json", b"0" * size)
    return memory.getvalue()


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


def packed(header, data):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return struct.pack("<Q", len(text)) + text + data


def test_attacks(good, loads, record):
    for name, damage in ATTACKS.items():
        assert not loads(packed(*damage(*parts_of(good)))), name
    for name, made in FOREIGN.items():
        assert not loads(made()), name
    for damage, _ in DAMAGE.values():
        assert not loads(packed(*damage(*parts_of(good))))
    for name in HARMLESS_NAMES:  # names are names, and no places
        assert loads(packed(*renamed(name)(*parts_of(good))))
    cases = len(ATTACKS) + len(FOREIGN) + len(DAMAGE)
    record("model files made to attack (nothing run, imported or opened)", f"{cases}, all refused")


def test_a_file_that_is_right_takes_little_more_than_its_size(loads, tmp_path):
    """So much is true of a model that fills its file."""
    model = models.Sequential([layers.Dense(1000, input_shape=(2000,)), layers.Dense(500)])
    model.compile("adam", "mse")
    model.fit(np.zeros((1, 2000)), np.zeros((1, 500)), verbose=0)
    model.save(tmp_path / "model")
    assert loads((tmp_path / "model").read_bytes())


def test_truncated(good, loads, times, record):
    content = good.read_bytes()
    lengths = range(0, len(content), times(61, 1))
    for length in lengths:
        assert not loads(content[:length])
    record("model files cut off, at every byte", f"{len(lengths):,}, all refused")


def test_flipped_bits(good, loads, times, record):
    content, rng = good.read_bytes(), random.Random(SEED)
    header = 8 * (8 + struct.unpack("<Q", content[:8])[0])
    everywhere = range(8 * len(content))
    bits = [*range(0, header, times(997, 1)), *rng.sample(everywhere, times(50, 5000))]
    loaded = 0
    for bit in bits:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        loaded += loads(flipped)
    refused = f"{len(bits) - loaded:,} refused, {loaded:,} loaded"
    record("model files with one bit flipped, every one of the header", f"{len(bits):,}: {refused}")


# What a header may have in the place of something else.
VALUES = [
    *(None, True, False, 0, 1, -1, 2, 7, 255, 2**16, 2**31, 2**53, 2**63, 10**20, 10**300),
    *(0.5, -0.0, 1e-320, 1e308, "", "a", "0", "relu", "float16", "float64", "é", "\0", "None"),
    *([], [[]], {}, [None], [1, 2, 3], [0], {"a": 1}, {"class_name": "Dense"}, [2**40, 2**40]),
]
NAMES = [
    name for family in (layers, losses, metrics, optimizers, models) for name in family.__all__
]


class Mutator:
    """Changes a header here and there, mostly so that it stays one."""

    def __init__(self, header, rng):
        self.rng = rng
        self.header = json.loads(json.dumps(header))
        self.description = json.loads(self.header["__metadata__"].pop("fastnn"))

    def mutated(self):
        """The text of the header after some changes."""
        for _ in range(self.rng.choice((1, 1, 1, 2, 3, 8))):
            tree = self.header if self.rng.random() < 0.25 else self.description
            self._change(tree)
        self.header.setdefault("__metadata__", {})
        if isinstance(self.header["__metadata__"], dict):
            self.header["__metadata__"]["fastnn"] = json.dumps(self.description)
        text = json.dumps(self.header).encode()
        return self._scratched(text) if self.rng.random() < 0.1 else text

    def _places(self, node):
        """All that can be changed: the containers, each with a key or an index."""
        entries = node.items() if isinstance(node, dict) else enumerate(node)
        for key, part in list(entries):
            yield node, key
            if isinstance(part, dict | list):
                yield from self._places(part)

    def _change(self, tree):
        places = list(self._places(tree))
        if not places:
            return
        node, key = self.rng.choice(places)
        change = self.rng.choice(
            (self._replace, self._replace, self._graft, self._drop, self._nudge)
        )
        change(node, key, places)

    def _replace(self, node, key, places):
        known = key == "class_name" or isinstance(node[key], str)
        node[key] = self.rng.choice(NAMES if known and self.rng.random() < 0.7 else VALUES)

    def _graft(self, node, key, places):
        other, place = self.rng.choice(places)
        if place in other if isinstance(other, dict) else place < len(other):
            node[key] = json.loads(json.dumps(other[place]))

    def _drop(self, node, key, places):
        del node[key]

    def _nudge(self, node, key, places):
        value = node[key]
        if isinstance(value, list) and value:
            value.append(self.rng.choice(value))
        elif isinstance(value, dict) and isinstance(node, dict):
            node[str(self.rng.choice(NAMES))] = value
        elif type(value) is int:
            node[key] = self.rng.choice((value + 1, value - 1, -value, 2 * value, 1000 * value))

    def _scratched(self, text):
        scratched = bytearray(text)
        for _ in range(self.rng.randint(1, 4)):
            scratched[self.rng.randrange(len(scratched))] = self.rng.choice(b'{}[]",:0e-\\\xff')
        return bytes(scratched)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of what a strange model does
def test_mutated_headers(good, loads, times, record):
    rng, (header, data) = random.Random(SEED), parts_of(good)
    until = time.monotonic() + times(1, 600)
    cases = loaded = 0
    while time.monotonic() < until:
        text = Mutator(header, rng).mutated()
        try:
            loaded += loads(packed(text, data))
        except BaseException:
            print(f"seed {SEED}, case {cases}: {text!r}")
            raise
        cases += 1
    result = f"{cases:,} from seed {SEED}: {cases - loaded:,} refused, {loaded:,} loaded"
    record("model files with mutated headers", result)


# Data files.


def test_idx_files(auditor, loads, times, record):
    """Cut off, with bits flipped, and with sizes that no array has: refused, or an array."""
    rng = random.Random(SEED)
    content = to_idx(np.arange(120, dtype=np.uint8).reshape(4, 5, 6))
    header = content[:16]
    cases = [content[:length] for length in range(len(content))]
    for bit in range(0, 8 * len(content), times(7, 1)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        cases.append(bytes(flipped))
    for _ in range(times(200, 200_000)):
        rank = rng.choice((0, 1, 2, 3, 5, 33, 64, 65, 255))
        sizes = [rng.choice((0, 1, 2, 120, 2**16, 2**31, 2**32 - 1)) for _ in range(rank)]
        start = header[:3] + bytes([rank]) + struct.pack(f">{rank}I", *sizes)
        cases.append(start + content[16 : rng.choice((16, 17, len(content)))])
    path = type("Name", (), {"name": "a name", "__str__": lambda self: self.name})()
    read = [tried(lambda c=c: idx.read_idx(c, "a name"), path, len(c), auditor) for c in cases]
    record("IDX files cut off, changed or made up", f"{len(read):,}: {sum(read):,} read")


def test_data_files_are_compared_with_their_checksum(auditor, loads, times, tmp_path, monkeypatch):
    content = to_idx(np.arange(120, dtype=np.uint8).reshape(4, 5, 6))
    packed_content = gzip.compress(content, mtime=0)
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    source = fetch.Source("strange", (fetch.File("data.gz", checksum, checksum, size=136),))
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    path = tmp_path / "strange" / "data.gz"
    path.parent.mkdir()

    def read(raw):
        path.write_bytes(raw)
        return tried(lambda: fetch.fetch(source), path, len(raw), auditor)

    assert read(packed_content)
    assert not read(gzip.compress(bytes(2 * MEMORY)))  # a bomb
    assert not read(gzip.compress(content + b"0"))
    for length in range(0, len(packed_content), times(7, 1)):
        assert not read(packed_content[:length])
    for bit in range(0, 8 * len(packed_content), times(17, 1)):
        flipped = bytearray(packed_content)
        flipped[bit // 8] ^= 1 << bit % 8
        read(flipped)  # some bits of gzip's header say nothing of the content
