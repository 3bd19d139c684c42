"""What files hold that are made to harm."""

import io
import os
import zipfile


class Harm:
    """Runs a program where its pickle is read."""

    def __reduce__(self):
        return os.system, ("touch /tmp/harmed",)


def zipped(size):
    """A zip archive that unpacks to much more than it is, outside of the folder."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../model.json", b"0" * size)
    return memory.getvalue()


def flipped(content, bit):
    """A copy in which one bit is another."""
    copy = bytearray(content)
    copy[bit // 8] ^= 1 << bit % 8
    return bytes(copy)
