"""Data files from strangers: what was published is read, all else is one ValueError.

As with model files, nothing is run, imported or opened. A file that is compressed takes the memory
of what was published, and a little.
"""

import gzip
import io
import pickle
import random
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fuzzing import fuzzing, result_of
from harm import Harm, flipped, zipped
from numpy.lib.format import write_array_header_1_0
from reading import MEMORY, put
from test_datasets import sha256, to_idx
from test_keras_datasets import ARRAYS, EVERY_FILE, FILES, checksum, to_npz

from fastnn.datasets import fetch, idx

SEED = 20
IDX = to_idx(np.arange(120, dtype=np.uint8).reshape(4, 5, 6))


@pytest.fixture(scope="module", autouse=True)
def fuzzer(times, tmp_path_factory):
    with fuzzing("idx", [IDX], times(1, 60), tmp_path_factory.mktemp("fuzzer")) as started:
        yield started


def harmed(content, times):
    """A file cut off at every byte, and with every bit flipped."""
    for length in range(0, len(content), times(97, 1)):
        yield content[:length]
    for bit in range(0, 8 * len(content), times(997, 1)):
        yield flipped(content, bit)


def test_idx_files(reads, times, record):
    """With sizes that no array has, too: refused, or an array."""
    rng = random.Random(SEED)
    cases = list(harmed(IDX, times))
    for _ in range(times(200, 200_000)):
        rank = rng.choice((0, 1, 2, 3, 5, 33, 64, 65, 255))
        sizes = [rng.choice((0, 1, 2, 120, 2**16, 2**31, 2**32 - 1)) for _ in range(rank)]
        start = IDX[:3] + bytes([rank]) + struct.pack(f">{rank}I", *sizes)
        cases.append(start + IDX[16 : rng.choice((16, 17, len(IDX)))])
    path = Path("a name")
    read = [reads(lambda c=c: idx.read_idx(c, path.name), path, len(c)) for c in cases]
    record("IDX files cut off, changed or made up", f"{len(read):,}: {sum(read):,} read")


def test_fuzzer(fuzzer, record):
    record("IDX files of a fuzzer led by coverage", result_of(fuzzer))


def said(**header):
    """An archive of an array that is not what its header says."""
    array, archive = io.BytesIO(), io.BytesIO()
    write_array_header_1_0(array, {"descr": "<f8", "fortran_order": False, **header})
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x.npy", array.getvalue() + bytes(80))
    return archive.getvalue()


HARM = np.array([Harm()], object)
NAMES = ("x", "y", "x_train", "y_train", "x_test", "y_test")
ATTACKS = {
    "a pickle": pickle.dumps(Harm()),
    "a pickle in an archive": to_npz(dict.fromkeys(NAMES, HARM)),
    "a zip bomb": zipped(2 * MEMORY),
    "a gzip bomb": gzip.compress(bytes(2 * MEMORY)),
    "an array that is a bomb": to_npz({"x": np.zeros(MEMORY // 4)}),
    "a huge shape": said(shape=(2**40, 2**20)),
    "a negative shape": said(shape=(-10,)),
    "objects that are numbers": said(shape=(10,), descr="|O"),
    "deep JSON": b"[" * 100_000,
    "digits": b"1" * 100_000,
    "NaN": b'{"the": NaN}',
    "a name twice": b'{"the": 1, "the": 2}',
}


def test_published_files(reads, times, record, tmp_path, monkeypatch):
    """Some are archives with pickles; nothing reads those before the checksum was right."""
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    count = 0
    for load, folder, ending in EVERY_FILE:
        path = tmp_path / folder / f"{folder}{ending}"
        path.parent.mkdir(exist_ok=True)
        content = published(path.name)
        expect(load, content, monkeypatch)
        put(path, content)
        load()
        for case in (*harmed(content, times), *ATTACKS.values()):
            put(path, case)
            assert not reads(load, path, len(case))
            count += 1
    record("data sets' archives and word indices, cut off, changed, attacks", f"{count:,}: refused")


def published(name):
    """A file like the published one, with fewer rows."""
    if name not in ARRAYS:
        return FILES[name]
    return to_npz({part: array[:4] for part, array in ARRAYS[name].items()})


def expect(load, content, monkeypatch):
    """Make a content the published one."""
    module = sys.modules[load.__module__]
    name = "SOURCE" if load.__name__ == "load_data" else "WORD_INDEX"
    source = getattr(module, name)
    (file,) = source.files
    file = file._replace(checksum=checksum(content, file.checksum.partition(":")[0]))
    monkeypatch.setattr(module, name, source._replace(files=(file,)))


@pytest.fixture
def gzipped(tmp_path, monkeypatch):
    """The path of a gzipped file, and a source that has it, with that published size."""
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    path = tmp_path / "strange" / "data.gz"
    path.parent.mkdir()

    def source(size):
        return fetch.Source("strange", (fetch.File(path.name, sha256(IDX), "gzipped", size=size),))

    return path, source


def test_gzipped_files(gzipped, reads, times, record):
    path, source = gzipped

    def fetched():
        assert fetch.fetch(source(len(IDX))) == {path.name: IDX}

    def read(raw):
        put(path, raw)
        return reads(fetched, path, len(raw))

    raw = gzip.compress(IDX, mtime=0)
    assert read(raw)
    longer = [gzip.compress(IDX + b"0"), raw + raw, raw + gzip.compress(bytes(2 * MEMORY))]
    for case in (*ATTACKS.values(), *longer, b"\x1f\x8b\x08\x08" + b"a" * 2**20):
        assert not read(case)
    cases = list(harmed(raw, times))
    right = sum(map(read, cases))  # some bits of gzip's header say nothing of the content
    assert right < 100
    record("gzipped files cut off or changed", f"{len(cases):,}: {right} have the same content")


def test_a_bomb_takes_no_more_than_what_was_published(gzipped, reads):
    path, source = gzipped
    put(path, gzip.compress(bytes(6 * MEMORY)))
    assert not reads(lambda: fetch.fetch(source(2 * MEMORY)), path, 2 * MEMORY)
