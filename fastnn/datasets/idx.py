"""Reading IDX, the file format that MNIST is published in."""

import math

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTES = b"\x00\x00\x08"


def read_idx(data: bytes | bytearray, name: str) -> NDArray[np.uint8]:
    """Return the array that an IDX file of unsigned bytes holds.

    Parameters
    ----------
    data : bytes or bytearray
        The whole, decompressed file.
    name : str
        The file's name, for the error messages.

    Returns
    -------
    ndarray of uint8
        A C-contiguous array of the shape in the file's header, in the memory of `data`: it is
        writable if `data` is.

    Raises
    ------
    ValueError
        If the magic number, the header or the length is not that of such a file.
    """
    if data[:3] != _UNSIGNED_BYTES:
        raise ValueError(
            f"{name}: expected an IDX file of unsigned bytes, which starts with 00 00 08, "
            f"but it starts with {data[:3].hex(' ') or 'nothing'}; get a good copy of the file"
        )
    rank = int.from_bytes(data[3:4], "big")
    header = 4 + 4 * rank
    if rank == 0 or len(data) < header:
        raise ValueError(
            f"{name}: expected an IDX header of one dimension or more, whole, found {rank} "
            f"dimensions in {len(data)} bytes; get a good copy of the file"
        )
    shape = tuple(np.frombuffer(data[4:header], ">u4").tolist())
    if len(data) != header + math.prod(shape):
        raise ValueError(
            f"{name}: expected {header + math.prod(shape)} bytes for an array of shape {shape}, "
            f"found {len(data)}; get a good copy of the file"
        )
    try:
        return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
    except ValueError as error:
        raise ValueError(
            f"{name}: no array has the {rank} dimensions {str(shape)[:100]} ({error}); get a good "
            "copy of the file"
        ) from error
