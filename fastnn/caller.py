"""The user's line that led to where fastnn is now."""

from __future__ import annotations

import os
import warnings
from inspect import currentframe
from pathlib import Path

import numpy as np

INSIDE = tuple(f"{Path(str(module)).parent}{os.sep}" for module in (__file__, np.__file__))
PYTHONS = f"{Path(os.__file__).parent}{os.sep}"  # its own modules, and those installed
INSTALLED = f"{os.sep}site-packages{os.sep}"


def line_outside() -> str:
    """Where it is, and what it says."""
    import traceback  # few need it, and it takes milliseconds

    stack = traceback.extract_stack()
    outside = (frame for frame in reversed(stack) if _is_users(frame.filename))
    frame = next(outside, stack[0])
    return f"line {frame.lineno} of {frame.filename}," + (f" `{frame.line}`," if frame.line else "")


def _is_users(file: str) -> bool:
    is_pythons = file.startswith(PYTHONS) and INSTALLED not in file
    return not file.startswith(INSIDE) and not is_pythons


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of that line."""
    level, frame = 1, currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(INSIDE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
