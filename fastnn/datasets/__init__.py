"""Standard data sets as NumPy arrays, one module per data set."""

from fastnn.datasets import mnist

__all__ = ["mnist"]
