"""The names of ``keras.backend``: the ops, and the defaults of numbers."""

from fastnn.lookup import refusal
from fastnn.naming import forget_names as clear_session  # noqa: F401  # K.clear_session
from fastnn.ops import *  # noqa: F403  # Keras's first programs call them K.mean, K.square, ...


def backend() -> str:
    """What computes."""
    return "fastnn"


def epsilon() -> float:
    """The number that Keras adds, or clips to, where something might be divided by 0."""
    return 1e-7


def floatx() -> str:
    """The default dtype."""
    return "float32"


__getattr__ = refusal(
    __name__, [*globals()], {"set_floatx": 'give layers and models dtype="float64" instead'}
)
