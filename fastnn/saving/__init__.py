"""Models as files, and configurations of one's own classes and functions."""

from fastnn.configuration import (
    custom_object_scope,
    get_registered_name,
    register_keras_serializable,
)
from fastnn.configuration import deserialize as deserialize_keras_object
from fastnn.configuration import serialize as serialize_keras_object
from fastnn.saving.model import load_model, save_model
from fastnn.saving.weights import load_weights, save_weights

__all__ = [
    "custom_object_scope",
    "deserialize_keras_object",
    "get_registered_name",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
