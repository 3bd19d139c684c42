"""Files from the web, kept in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from fastnn.datasets.fetch import download, import_pooch


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    *,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """Download a file unless the cache has it; return its path.

    It needs pooch: ``pip install "fastnn[datasets]"``. An archive is kept as it is;
    `shutil.unpack_archive` unpacks it.

    Parameters
    ----------
    fname : str, optional
        The file's name in the cache; by default the last part of `origin`.
    origin : str
        The URL.
    md5_hash, file_hash : str, optional
        The checksum that the file must match.
    cache_subdir : str, default "datasets"
        The folder within `cache_dir`.
    hash_algorithm : {"auto", "sha256", "md5"}
        That of `file_hash`; by default what its length says.
    cache_dir : path, optional
        By default fastnn's folder in the user's cache.
    force_download : bool, default False
        Download the file even if the cache has it.

    Returns
    -------
    str

    Raises
    ------
    ImportError
        If pooch is not installed.
    OSError
        If the file cannot be had.
    ValueError
        If the arguments leave the URL or the name open, or the file does not match its checksum.
    """
    from tempfile import TemporaryDirectory
    from urllib.parse import urlsplit

    if not origin:
        raise ValueError("origin is missing; it must be the URL of the file")
    name = os.fspath(fname) if fname else Path(urlsplit(origin).path).name
    if not name.strip(".") or Path(name).name != name:
        raise ValueError(
            f"the file's name is {name!r}; give it as fname, without a folder, which goes into "
            "cache_dir and cache_subdir"
        )
    checksum = _checksum(md5_hash, file_hash, hash_algorithm)
    cache = Path(cache_dir).expanduser() if cache_dir else import_pooch().os_cache("fastnn")
    path: Path = cache / cache_subdir / name
    if not force_download:
        download(origin, checksum, path)
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        download(origin, checksum, Path(folder) / name)
        (Path(folder) / name).replace(path)
    return str(path)


def _checksum(md5_hash: str | None, file_hash: str | None, algorithm: str) -> str | None:
    if algorithm not in ("auto", "sha256", "md5"):
        raise ValueError(f"hash_algorithm is {algorithm!r}; it must be 'auto', 'sha256' or 'md5'")
    if file_hash is None:
        return md5_hash and f"md5:{md5_hash}"
    if algorithm == "auto":
        algorithm = "sha256" if len(file_hash) == 64 else "md5"
    return f"{algorithm}:{file_hash}"
