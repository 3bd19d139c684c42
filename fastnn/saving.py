"""Configurations of one's own classes and functions, and what they are made from again."""

from fastnn.configuration import (
    custom_object_scope,
    get_registered_name,
    register_keras_serializable,
)
from fastnn.configuration import deserialize as deserialize_keras_object
from fastnn.configuration import serialize as serialize_keras_object

__all__ = [
    "custom_object_scope",
    "deserialize_keras_object",
    "get_registered_name",
    "register_keras_serializable",
    "serialize_keras_object",
]
