"""Data before it goes into a network, under Keras's name."""

from fastnn.preprocessing import sequence

__all__ = ["sequence"]
