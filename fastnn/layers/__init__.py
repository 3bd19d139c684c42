"""Layers: objects that own weights and turn one tensor into another."""

from fastnn.layers.base import Layer
from fastnn.layers.dense import Dense
from fastnn.layers.dropout import Dropout

__all__ = ["Dense", "Dropout", "Layer"]
