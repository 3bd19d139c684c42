"""Phase: what layers are told, in this thread, while they are called or read from a file."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastnn.initializers import Start


class _Phase(threading.local):
    """What the outermost layer of a call was told holds for those inside."""

    training = False
    call: object = None  # stands for the outermost call
    layer: str | None = None  # the innermost one that is being called
    may_add: bool = True  # whether that may make weights: it is its first call
    initializer: Start | None = None  # of all weights, while a model is read from a file


phase = _Phase()
