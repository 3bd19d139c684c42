"""Powers of a number, as schedules and corrections of a bias have them."""

from __future__ import annotations

import math

from fastnn import ops
from fastnn.tensor import Tensor


def power(base: float, exponent: Tensor) -> Tensor:
    """`base`, not negative, to the power of a tensor, by ops with a kernel; if 0 it stays that."""
    return ops.exp(exponent * math.log(base)) if base else ops.zeros_like(exponent)
