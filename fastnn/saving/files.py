"""Files in the safetensors format: written whole or not at all, and checked when they are opened.

A file is the length of its header (8 bytes), the header, which is JSON and says for each tensor its
dtype, shape and place, and then the tensors. What a model is beside its tensors is described by
more JSON in the header, under the name "fastnn".
"""

from __future__ import annotations

import json
import math
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple, NoReturn, TypeAlias

import numpy as np

from fastnn.arrays import Array, Shape
from fastnn.configuration import serialize

Path: TypeAlias = str | os.PathLike[str]

VERSION = 1
SPARE = 12 * 2**20  # bytes that the objects a header describes may take beyond the file's size
OURS = "fastnn reads only its own files, which model.save and model.save_weights write"

_NAMES = {
    "bool": "BOOL",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "int8": "I8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "uint8": "U8",
}
_DTYPES = {short: np.dtype(name) for name, short in _NAMES.items()}
_FOREIGN = {
    b"PK\x03\x04": "a zip archive, as Keras and PyTorch write",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes",
    b"\x93NUMPY": "an array of NumPy",
}


def write(
    path: Path, description: Mapping[str, Any], tensors: Mapping[str, Array], overwrite: bool
) -> None:
    """Put a file at `path`: until it is there as a whole, what was there before stays.

    Raises
    ------
    FileExistsError
        If there is a file, and it is not to be overwritten.
    OSError
        If it cannot be written. What was there before is untouched then.
    ValueError
        If the description has a number that is not finite, or is too long.
    """
    import secrets

    name = os.fsdecode(path)
    if not overwrite and os.path.exists(name):
        raise FileExistsError(f"{name} is there already; pass overwrite=True to replace it")
    if os.path.isdir(name):
        raise IsADirectoryError(f"{name} is a folder; give the path of a file in it")
    if os.path.exists(name) and not os.path.isfile(name):
        raise OSError(f"{name} is no file but a device or a pipe; give another path")
    if os.path.exists(name) and not os.access(name, os.W_OK):
        raise PermissionError(f"{name} is read-only; give another path, or make it writable")
    target = os.path.realpath(name)  # a link keeps pointing to what it names
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"the folder {folder} of {name} does not exist; make it first")
    header = _header(name, description, tensors)
    temporary = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
    try:
        mode = stat.S_IMODE(os.stat(target).st_mode) if os.path.exists(target) else None
        parts = [header, *(_bytes(tensors[key]) for key in _in_order(tensors))]
        _write_through(temporary, parts, mode)
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise OSError(error.errno, f"not saved, {error.strerror}", name) from error
        raise
    try:
        _sync(folder)
    except OSError as error:
        why = f"saved, but a power failure may still undo that, {error.strerror}"
        raise OSError(error.errno, why, name) from error


def _write_through(path: str, parts: list[memoryview], mode: int | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)  # who may read what was there may read what comes
        for part in parts:
            rest = part
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bytes(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _in_order(tensors: Mapping[str, Array]) -> list[str]:
    """The widest elements first, so that all are aligned."""
    return sorted(tensors, key=lambda key: -tensors[key].dtype.itemsize)


def _header(path: str, description: Mapping[str, Any], tensors: Mapping[str, Array]) -> memoryview:
    try:
        text = json.dumps(description, allow_nan=False, default=serialize)
    except ValueError as error:
        raise ValueError(f"{path} cannot be written: a configuration holds {error}") from error
    header: dict[str, Any] = {
        "__metadata__": {"format": "fastnn", "version": str(VERSION), "fastnn": text}
    }
    at = 0
    for key in _in_order(tensors):
        array = tensors[key]
        header[key] = {
            "dtype": _NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    if max(_memory(text), _memory(raw)) > 8 + len(raw) + at + SPARE:
        raise ValueError(
            f"{path} cannot be written: the description of the model takes {len(raw):,} bytes, "
            f"and its weights {at:,}; keep large arrays in weights, not in configurations"
        )
    return memoryview(len(raw).to_bytes(8, "little") + raw)


class _Entry(NamedTuple):
    """Where a tensor lies in a file, and what it is."""

    shape: Shape
    kind: str
    start: int
    stop: int


class SavedFile:
    """An open file.

    Attributes
    ----------
    path : str
    size : int
        Bytes of the whole file.
    description : dict
        As given to `write`.
    """

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        header = self._header()
        metadata = header.pop("__metadata__", {})
        if not _is_text(metadata):
            self._damaged("__metadata__ should be a dict from text to text")
        self._entries = {key: self._entry(key, entry) for key, entry in header.items()}
        self._check_places()
        self.description = self._described(metadata)

    def _header(self) -> dict[str, Any]:
        head = self._file.read(8)
        for start, what in _FOREIGN.items():
            if head.startswith(start):
                self.refuse(f"is {what}; {OURS}")
        length = int.from_bytes(head, "little")
        if len(head) < 8 or not 0 < length <= self.size - 8:
            self.refuse(f"is no safetensors file, or is cut off; {OURS}")
        self._start = 8 + length
        raw = self._file.read(length)
        self._check_memory(raw)
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            self._damaged(f"its header is not JSON: {error}")
        header = self._parsed(text, "header")
        if not isinstance(header, dict):
            self._damaged("its header is no object")
        return header

    def _parsed(self, text: str, what: str) -> Any:
        self._check_memory(text)
        try:
            return json.loads(
                text, parse_constant=_not_finite, parse_float=_finite, object_pairs_hook=_each_once
            )
        except (ValueError, RecursionError) as error:
            self._damaged(f"its {what} is not JSON: {error}")

    def _check_memory(self, text: str | bytes) -> None:
        """Refuse JSON that would take much more memory than the file."""
        if _memory(text) > self.size + SPARE:
            self._damaged("its header has more parts than a model of this size")

    def _entry(self, key: str, entry: Any) -> _Entry:
        try:
            kind, shape, (start, stop) = (entry[n] for n in ("dtype", "shape", "data_offsets"))
            numbers = [start, stop, *shape]
            whole = all(type(n) is int and 0 <= n <= self.size for n in numbers)
            if whole and stop - start == math.prod(shape) * _DTYPES[kind].itemsize:
                return _Entry(tuple(shape), kind, start, stop)
        except (KeyError, TypeError, ValueError):
            pass
        self._damaged(f"its header says of {_short(key)} what cannot be: {_short(entry)}")

    def _check_places(self) -> None:
        """Refuse tensors that overlap, or leave gaps, or do not end where the file ends."""
        at = 0
        for entry in sorted(self._entries.values(), key=lambda entry: (entry.start, entry.stop)):
            if entry.start != at:
                self._damaged(f"its tensors do not lie one after another: {entry} is not at {at}")
            at = entry.stop
        if self._start + at != self.size:
            self._damaged(f"it has {self.size:,} bytes, and its header is of {self._start + at:,}")

    def _described(self, metadata: Mapping[str, str]) -> dict[str, Any]:
        if metadata.get("format") != "fastnn" or "fastnn" not in metadata:
            self.refuse("is a safetensors file, but not one of fastnn's: it describes no model")
        version = metadata.get("version", "")
        if not (version.isascii() and version.isdigit() and len(version) < 9 and int(version)):
            self.refuse(f"has the version {version[:20]!r}, which is no number")
        if int(version) > VERSION:
            self.refuse(
                f"has version {version} of the format and this fastnn reads up to {VERSION}: "
                "update fastnn"
            )
        description = self._parsed(metadata["fastnn"], "description")
        if not isinstance(description, dict):
            self.refuse("is damaged: its description is no object")
        return description

    def field(self, name: str, kind: type) -> Any:
        """A part of the description, of that type."""
        value = self.description.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            self.refuse(f"is damaged: {name!r} should be a {kind.__name__}, got {_short(value)}")
        return value

    def names(self, name: str) -> list[str]:
        """A part of the description that lists tensors, each of them once."""
        listed: list[str] = self.field(name, list)
        if not all(isinstance(key, str) for key in listed) or len(set(listed)) < len(listed):
            self.refuse(f"is damaged: {name!r} should list names, each once, got {_short(listed)}")
        missing = [key for key in listed if key not in self._entries]
        if missing:
            self.refuse(f"is damaged: the tensors {_short(missing)} are missing")
        return listed

    def kind_of(self, key: str) -> tuple[Shape, str]:
        """The shape of a tensor, and the name of its dtype."""
        entry = self._entries[key]
        return entry.shape, _DTYPES[entry.kind].name

    def nbytes(self, keys: Iterable[str]) -> int:
        """The size of some tensors."""
        return sum(self._entries[key].stop - self._entries[key].start for key in keys)

    def array(self, key: str) -> Array:
        """A tensor, in memory of its own."""
        shape, kind = self.kind_of(key)
        array = np.empty(shape, kind)
        self.read(key, array)
        return array

    def read(self, key: str, array: Array) -> None:
        """Fill an array of the shape and dtype of a tensor with it."""
        self._file.seek(self._start + self._entries[key].start)
        read = self._file.readinto(_bytes(array))  # type: ignore[attr-defined]  # BinaryIO lacks it
        if read != array.nbytes:
            self.refuse("has become shorter while it was read")

    def refuse(self, why: str) -> NoReturn:
        """Raise ValueError, naming the file."""
        raise ValueError(f"{self.path} {why}")

    def _damaged(self, why: str) -> NoReturn:
        self.refuse(f"is no safetensors file, or is damaged ({why}); {OURS}")


@contextmanager
def opened(path: Path) -> Iterator[SavedFile]:
    """A file that `write` wrote; ValueError if it is another or damaged."""
    name = os.fsdecode(path)
    with open(name, "rb") as file:
        yield SavedFile(name, file)


def _memory(text: str | bytes) -> int:
    """About the bytes, and rather more, that JSON takes while it is read and as objects.

    A layer's name is long in the paths of all its weights and of the optimizer's variables, too.
    """
    marks: Any = "{[,:" if isinstance(text, str) else b"{[,:"
    dicts, lists, commas, colons = map(text.count, marks)
    return 12 * sys.getsizeof(text) + 256 * dicts + 96 * lists + 64 * (commas + colons)


def _is_text(metadata: Any) -> bool:
    return isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"it has a name twice among {_short([name for name, _ in pairs])}")
    return found


def _not_finite(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
