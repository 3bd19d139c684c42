"""Tests of the data sets that Keras publishes, on stand-ins of the same format: no network."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pooch
import pytest
from mirror import FAULTS, Mirror, serving

from fastnn.datasets import (
    boston_housing,
    california_housing,
    fashion_mnist,
    fetch,
    imdb,
    reuters,
)

RNG = np.random.default_rng(3)


def texts(count: int) -> np.ndarray:
    """Ragged lists of word numbers, one of them empty, in an array of objects."""
    array = np.empty(count, object)
    for i in range(count):
        array[i] = RNG.integers(1, 60, RNG.integers(1, 30)).tolist()
    array[count // 2] = []
    return array


def table(rows: int, columns: int) -> dict[str, np.ndarray]:
    return {"x": RNG.standard_normal((rows, columns)), "y": RNG.standard_normal(rows)}


ARRAYS = {
    "imdb.npz": {
        "x_train": texts(40),
        "y_train": RNG.integers(0, 2, 40),
        "x_test": texts(30),
        "y_test": RNG.integers(0, 2, 30),
    },
    "reuters.npz": {"x": texts(53), "y": RNG.integers(0, 46, 53)},
    "boston_housing.npz": table(51, 13),
    "california_housing.npz": table(700, 8),
}
INDEX = {"the": 1, "and": 2, "d'été": 3}


def to_npz(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


FILES = {name: to_npz(arrays) for name, arrays in ARRAYS.items()}
FILES["imdb_word_index.json"] = json.dumps(INDEX).encode()
FILES["reuters_word_index.json"] = json.dumps({"of": 1}).encode()

LOADERS = [imdb, reuters, boston_housing, california_housing]
EVERY_FILE = [
    *((loader.load_data, f"{loader.__name__.rpartition('.')[2]}", ".npz") for loader in LOADERS),
    (imdb.get_word_index, "imdb", "_word_index.json"),
    (reuters.get_word_index, "reuters", "_word_index.json"),
]
every_file = pytest.mark.parametrize(("load", "folder", "ending"), EVERY_FILE)
every_loader = pytest.mark.parametrize("loader", LOADERS)


def checksum(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serving(FILES) as (server,):
        yield server


@pytest.fixture
def cache(tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a local mirror of the stand-ins and an empty cache in place of the real ones."""
    for module, name in [
        *((loader, "SOURCE") for loader in LOADERS),
        (imdb, "WORD_INDEX"),
        (reuters, "WORD_INDEX"),
    ]:
        source = getattr(module, name)
        (file,) = source.files
        algorithm = file.checksum.partition(":")[0]
        file = file._replace(checksum=checksum(FILES[file.name], algorithm))
        monkeypatch.setattr(module, name, source._replace(files=(file,), mirrors=(mirror.url,)))
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(fetch, "MIRROR_TIMEOUT", 0.5)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    return tmp_path / "cache" / "fastnn"


@pytest.fixture
def own_folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let FASTNN_DATA name a folder with good copies of the stand-ins."""
    for _, folder, ending in EVERY_FILE:
        path = tmp_path / "own" / folder / f"{folder}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[path.name])
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "own"))
    return tmp_path / "own"


def listing(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def flat(splits):
    return [array for split in splits for array in split]


def legacy_order(count: int, generator: np.random.RandomState) -> list[int]:
    order = np.arange(count)
    generator.shuffle(order)
    return order.tolist()


@every_file
def test_first_load_fills_the_cache_and_the_second_uses_it(cache, mirror, load, folder, ending):
    load()
    load()
    assert listing(cache) == [f"{folder}{ending}"]
    assert (cache / folder / f"{folder}{ending}").is_file()
    assert mirror.asked == [f"{folder}{ending}"]


@every_file
def test_own_folder_is_used_alone_and_needs_no_pooch(
    own_folder, cache, mirror, monkeypatch, load, folder, ending
):
    monkeypatch.setitem(sys.modules, "pooch", None)
    load()
    assert not cache.exists()
    assert not mirror.asked
    (own_folder / folder / f"{folder}{ending}").write_bytes(b"other")
    with pytest.raises(ValueError, match="does not match its published checksum"):
        load()
    (own_folder / folder / f"{folder}{ending}").unlink()
    with pytest.raises(
        FileNotFoundError, match=f"{folder}{ending} is missing; .*unset FASTNN_DATA"
    ):
        load()


@every_file
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_bad_stays_in_the_cache(cache, mirror, load, folder, ending, fault):
    mirror.break_down(fault)
    with pytest.raises(OSError, match=f"could not get the {folder} data set") as caught:
        load()
    assert f"{mirror.url}{folder}{ending}: " in str(caught.value)
    assert f"holds {folder}/ with {folder}{ending}" in str(caught.value)
    assert "npm" not in str(caught.value)
    assert listing(cache) == []
    mirror.break_down("")
    load()


@every_file
@pytest.mark.parametrize("bad", [b"", b"junk"])
def test_a_bad_file_in_the_cache_is_replaced(cache, load, folder, ending, bad):
    (cache / folder).mkdir(parents=True)
    (cache / folder / f"{folder}{ending}").write_bytes(bad)
    load()
    assert (cache / folder / f"{folder}{ending}").read_bytes() == FILES[f"{folder}{ending}"]


@every_file
def test_a_bad_cached_file_is_never_used(cache, mirror, load, folder, ending):
    mirror.break_down("dropped")
    (cache / folder).mkdir(parents=True)
    (cache / folder / f"{folder}{ending}").write_bytes(FILES["boston_housing.npz"][:-1])
    with pytest.raises(OSError, match="could not get"):
        load()


def test_no_pickle_is_read_before_its_checksum(own_folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    trap = np.array([Trap()], object)
    (own_folder / "imdb" / "imdb.npz").write_bytes(to_npz({"x_train": trap, "y_train": trap}))
    with pytest.raises(ValueError, match="does not match its published checksum"):
        imdb.load_data()
    assert not (tmp_path / "run").exists()


def test_tables_read_no_pickles(own_folder, monkeypatch):
    content = to_npz({"x": texts(5), "y": np.arange(5.0)})
    (file,) = boston_housing.SOURCE.files
    source = boston_housing.SOURCE._replace(files=(file._replace(checksum=checksum(content)),))
    monkeypatch.setattr(boston_housing, "SOURCE", source)
    (own_folder / "boston_housing" / "boston_housing.npz").write_bytes(content)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        boston_housing.load_data()


@every_file
def test_missing_pooch(cache, monkeypatch, load, folder, ending):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(
        ImportError, match=r'pip install "fastnn\[datasets\]".*FASTNN_DATA'
    ) as caught:
        load()
    assert "mnist" not in str(caught.value)


@every_file
def test_path_names_the_file(own_folder, cache, mirror, monkeypatch, load, folder, ending):
    (own_folder / folder / f"{folder}{ending}").rename(own_folder / folder / "mine")
    load(path="mine")
    monkeypatch.delenv("FASTNN_DATA")
    load(path="mine")
    assert listing(cache) == ["mine"]
    assert mirror.asked == [f"{folder}{ending}"]
    for path in ("/tmp/mine", "../mine", "..", ""):
        with pytest.raises(ValueError, match=r"path is .*must be the name of a file.*FASTNN_DATA"):
            load(path=path)


@every_loader
def test_arrays_are_fresh_and_writable(own_folder, loader):
    first, second = flat(loader.load_data()), flat(loader.load_data())
    for array, again in zip(first, second, strict=True):
        assert array.flags.writeable
        assert array.flags.c_contiguous
        assert not np.shares_memory(array, again)
        if array.dtype == object:
            assert isinstance(array[0], list)
            array[0].append(99)
            assert again[0] != array[0]
    assert not any(np.shares_memory(first[0], other) for other in first[1:])


@every_loader
def test_seeds(own_folder, loader):
    def labels(seed):
        return np.concatenate(flat(loader.load_data(seed=seed))[1::2]).tolist()

    assert labels(113) == np.concatenate(flat(loader.load_data())[1::2]).tolist()
    assert labels(1) != labels(2)
    assert sorted(labels(None)) == sorted(labels(1))


@pytest.mark.parametrize("loader", [boston_housing, california_housing])
@pytest.mark.parametrize("test_split", [0, 0.2, 0.5, 0.99])
def test_tables_by_hand(own_folder, loader, test_split):
    arrays = ARRAYS[loader.SOURCE.files[0].name]
    order = legacy_order(len(arrays["x"]), np.random.RandomState(7))
    size = int(len(order) * (1 - test_split))
    (x_train, y_train), (x_test, y_test) = loader.load_data(test_split=test_split, seed=7)
    np.testing.assert_array_equal(x_train, arrays["x"][order[:size]])
    np.testing.assert_array_equal(y_train, arrays["y"][order[:size]])
    np.testing.assert_array_equal(x_test, arrays["x"][order[size:]])
    np.testing.assert_array_equal(y_test, arrays["y"][order[size:]])


@pytest.mark.parametrize("loader", [reuters, boston_housing, california_housing])
@pytest.mark.parametrize("test_split", [-0.1, 1, 1.5, float("nan")])
def test_bad_test_split(own_folder, loader, test_split):
    with pytest.raises(ValueError, match=f"test_split is {test_split}; .*in \\[0, 1\\)"):
        loader.load_data(test_split=test_split)


def test_small_california(own_folder):
    arrays = ARRAYS["california_housing.npz"]
    (_, y_train), (_, y_test) = california_housing.load_data("small")
    assert (len(y_train), len(y_test)) == (480, 120)
    assert sorted([*y_train, *y_test]) == sorted(arrays["y"][:600])
    with pytest.raises(ValueError, match="version is 'tiny'; it must be 'large' or 'small'"):
        california_housing.load_data("tiny")


def test_imdb_by_hand(own_folder):
    generator = np.random.RandomState(113)
    for (x, y), part in zip(imdb.load_data(num_words=20), ("train", "test"), strict=True):
        words, labels = ARRAYS["imdb.npz"][f"x_{part}"], ARRAYS["imdb.npz"][f"y_{part}"]
        order = legacy_order(len(words), generator)
        expected = [[1] + [w + 3 if w + 3 < 20 else 2 for w in words[i]] for i in order]
        assert x.shape == y.shape == (len(words),)
        assert x.tolist() == expected
        assert y.tolist() == labels[order].tolist()


def test_texts_of_equal_length_stay_lists(own_folder):
    (x, _), _ = imdb.load_data(maxlen=2)
    assert x.shape == (1,)
    assert x.tolist() == [[1]]


@pytest.mark.parametrize("loader", [imdb, reuters])
def test_maxlen_that_leaves_nothing(own_folder, loader):
    with pytest.raises(ValueError, match=r"maxlen leaves none of \d+ texts"):
        loader.load_data(maxlen=1)


def test_word_indices(own_folder):
    assert imdb.get_word_index() == INDEX
    assert reuters.get_word_index() == {"of": 1}


OPTIONS = [
    {},
    {"num_words": 25},
    {"num_words": 25, "skip_top": 5},
    {"skip_top": 4, "start_char": 7},
    {"num_words": 40, "oov_char": None},
    {"num_words": 40, "oov_char": None, "start_char": 50},
    {"start_char": None, "num_words": 1000},
    {"start_char": None, "index_from": 0, "num_words": 30},
    {"index_from": 11, "seed": 5},
    {"maxlen": 12},
    {"maxlen": 12, "num_words": 30, "seed": 1, "start_char": None},
]


def check_against_keras(ours: ModuleType, name: str, folder: Path, monkeypatch, **options):
    from keras_reference import keras

    theirs = getattr(keras.datasets, name)
    module = sys.modules[theirs.load_data.__module__]
    monkeypatch.setattr(module, "get_file", lambda *_, **__: str(folder / name / f"{name}.npz"))
    for mine, reference in zip(
        flat(ours.load_data(**options)), flat(theirs.load_data(**options)), strict=True
    ):
        assert mine.dtype == reference.dtype
        assert mine.tolist() == reference.tolist()


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("loader", [imdb, reuters])
def test_texts_are_those_of_keras(own_folder, monkeypatch, loader, options):
    if options.get("start_char", 1) is None:  # Keras cannot find the largest of an empty text
        options = {"num_words": 1000, **options}
    name = loader.SOURCE.name
    check_against_keras(loader, name, own_folder, monkeypatch, **options)


@pytest.mark.parametrize("options", [{}, {"test_split": 0.31, "seed": 5}, {"test_split": 0}])
@pytest.mark.parametrize("loader", [boston_housing, california_housing])
def test_tables_are_those_of_keras(own_folder, monkeypatch, loader, options):
    check_against_keras(loader, loader.SOURCE.name, own_folder, monkeypatch, **options)


@every_file
def test_signatures_and_addresses_are_those_of_keras(monkeypatch, load, folder, ending):
    import inspect

    from keras_reference import keras

    theirs = getattr(getattr(keras.datasets, folder), load.__name__)
    named = {n: p for n, p in inspect.signature(theirs).parameters.items() if n != "kwargs"}
    ours = inspect.signature(load).parameters
    assert {n: p.default for n, p in ours.items()} == {n: p.default for n, p in named.items()}
    assert list(ours) == list(named)

    asked = {}

    def get_file(*_, origin, file_hash, **__):
        asked.update(origin=origin, file_hash=file_hash)
        raise FileNotFoundError

    monkeypatch.setattr(sys.modules[theirs.__module__], "get_file", get_file)
    with pytest.raises(FileNotFoundError):
        theirs()
    module = sys.modules[load.__module__]
    source = module.SOURCE if load.__name__ == "load_data" else module.WORD_INDEX
    (file,) = source.files
    assert asked["origin"] == source.mirrors[0] + file.name
    assert asked["file_hash"] == file.checksum.partition(":")[2]


def test_label_names_are_those_of_keras():
    from keras_reference import keras

    assert reuters.get_label_names() == keras.datasets.reuters.get_label_names()
    assert len(reuters.get_label_names()) == 46


# Fashion-MNIST, whose files have the format of MNIST's, in tests/test_datasets.py.


def to_gzipped_idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.tobytes(), mtime=0)


IMAGES = {
    name: to_gzipped_idx(RNG.integers(0, 256, (500, 28, 28)[: 1 + 2 * ("idx3" in name)], np.uint8))
    for name in (file.name for file in fashion_mnist.SOURCE.files)
}


@pytest.fixture
def fashion(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Put stand-ins in place of Fashion-MNIST: on a mirror, and an empty system folder."""
    files = tuple(
        file._replace(
            checksum=checksum(gzip.decompress(IMAGES[file.name])),
            gz_checksum=checksum(IMAGES[file.name]),
        )
        for file in fashion_mnist.SOURCE.files
    )
    (tmp_path / "installed").mkdir()
    with serving(IMAGES) as (server,):
        source = fashion_mnist.SOURCE._replace(
            files=files, mirrors=(server.url,), installed=str(tmp_path / "installed")
        )
        monkeypatch.setattr(fashion_mnist, "SOURCE", source)
        yield server


def check_fashion() -> None:
    for array, packed in zip(flat(fashion_mnist.load_data()), IMAGES.values(), strict=True):
        assert array.shape == (500, 28, 28)[: array.ndim]
        assert array.tobytes() == gzip.decompress(packed)[4 + 4 * array.ndim :]
        assert array.flags.writeable
        assert array.flags.c_contiguous


def put(folder: Path, repack: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, packed in IMAGES.items():
        # Other compressed bytes of the same content, as in a distribution's package.
        other = gzip.compress(gzip.decompress(packed), compresslevel=1, mtime=1)
        (folder / name).write_bytes(other if repack else packed)


def test_fashion_from_a_mirror(fashion, cache):
    check_fashion()
    assert sorted(listing(cache)) == sorted(IMAGES)
    check_fashion()
    assert fashion.asked == list(IMAGES)


def test_fashion_from_the_system(fashion, cache, tmp_path, monkeypatch):
    put(tmp_path / "installed", repack=True)
    monkeypatch.setitem(sys.modules, "pooch", None)
    check_fashion()
    assert not fashion.asked
    assert not cache.exists()


def test_fashion_from_the_own_folder(fashion, tmp_path, monkeypatch):
    put(tmp_path / "own" / "fashion_mnist", repack=True)
    (tmp_path / "installed" / next(iter(IMAGES))).write_bytes(b"bad")
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "own"))
    check_fashion()
    assert not fashion.asked


@pytest.mark.parametrize("bad", [None, b"", b"junk", gzip.compress(b"other")])
def test_bad_system_files_are_passed_over(fashion, tmp_path, bad):
    put(tmp_path / "installed")
    path = tmp_path / "installed" / next(iter(IMAGES))
    path.unlink() if bad is None else path.write_bytes(bad)
    check_fashion()
    assert fashion.asked == list(IMAGES)


@pytest.mark.parametrize("fault", FAULTS)
def test_fashion_from_nowhere(fashion, cache, fault):
    fashion.break_down(fault)
    with pytest.raises(OSError, match="install the Debian package dataset-fashion-mnist"):
        fashion_mnist.load_data()
    assert listing(cache) == []


def test_images_are_in_memory_once(fashion, tmp_path):
    put(tmp_path / "installed")
    fashion_mnist.load_data()
    tracemalloc.start()
    try:
        data = flat(fashion_mnist.load_data())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.7 * sum(array.nbytes for array in data) + 2**20


def test_texts_share_their_numbers(own_folder):
    """Numbers above 256 are objects of their own, unless somebody cares."""
    (x, _), _ = imdb.load_data(index_from=1000)
    numbers = [number for words in x for number in words if number >= 1000]
    assert len({id(number) for number in numbers}) == len(set(numbers)) < len(numbers)


real_fashion = pytest.mark.skipif(
    not Path(fashion_mnist.SOURCE.installed).is_dir()
    and not (Path(os.environ.get("FASTNN_DATA", "/nowhere")) / "fashion_mnist").is_dir(),
    reason="neither dataset-fashion-mnist is installed nor FASTNN_DATA has fashion_mnist/",
)


@real_fashion
def test_real_fashion_mnist_has_the_published_facts():
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    assert x_train.shape == (60000, 28, 28)
    assert x_test.shape == (10000, 28, 28)
    assert np.bincount(y_train).tolist() == [6000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    assert round(x_train.mean() / 255, 4) == 0.2860
    assert round(x_train.std() / 255, 4) == 0.3530


def test_importing_the_data_sets_loads_little():
    code = """
import sys
from fastnn.datasets import boston_housing, california_housing, fashion_mnist, imdb, mnist, reuters
late = {"pooch", "requests", "tarfile", "urllib.request", "http.client"} & set(sys.modules)
sys.exit(", ".join(late) or None)
"""
    found = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert found.stderr == ""
    assert found.returncode == 0
