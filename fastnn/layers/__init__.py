"""Layers: objects that own weights and turn one tensor into another."""

from fastnn.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from fastnn.layers.base import Layer
from fastnn.layers.batch_normalization import BatchNormalization
from fastnn.layers.dense import Dense
from fastnn.layers.dropout import Dropout
from fastnn.layers.identity import ActivityRegularization, Identity
from fastnn.layers.input import Input, InputLayer
from fastnn.layers.layer_normalization import LayerNormalization
from fastnn.layers.merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from fastnn.layers.noise import AlphaDropout, GaussianDropout, GaussianNoise
from fastnn.layers.normalization import Normalization
from fastnn.layers.scaling import Rescaling
from fastnn.layers.shaping import Flatten, Reshape
from fastnn.lookup import refusal

__all__ = [
    "ELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "BatchNormalization",
    "Concatenate",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
    "Subtract",
]

__getattr__ = refusal(
    __name__,
    __all__,
    {
        "Lambda": "write a Layer with a method call(self, inputs)",
        # Which are no Normalization, though they are called nearly so.
        **dict.fromkeys(
            [f"{kind}Normalization" for kind in ("Group", "RMS", "Spectral", "Unit")],
            "write a Layer whose call(self, inputs) computes it",
        ),
    },
    "; the layers here are those of dense networks: write a Layer of your own with "
    "build(self, input_shape) and call(self, inputs)",
)
