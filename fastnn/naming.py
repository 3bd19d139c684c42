"""The names that layers, metrics, losses and optimizers have by default."""

from __future__ import annotations

import re
from collections import Counter

_used: Counter[str] = Counter()


def snake_case(name: str) -> str:
    """`BatchNormalization` becomes "batch_normalization", `AUC` "auc"."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def unique_name(of: type) -> str:
    """`Dense` becomes "dense", then "dense_1", ..."""
    stem = snake_case(of.__name__)
    _used[stem] += 1
    return stem if _used[stem] == 1 else f"{stem}_{_used[stem] - 1}"


def forget_names() -> None:
    """Let the automatic names begin anew."""
    _used.clear()
