"""fastnn: dense neural networks on a CPU, with Keras's words over small, fast kernels in C."""

import sys
from importlib.util import find_spec

import numpy as np

if find_spec("fastnn._kernels") is None:
    raise ImportError(
        f"fastnn's extension is not built in {__path__[0]}; run `pip install -e .` in the folder "
        "above it (a C compiler is needed), or start Python elsewhere to use an installed fastnn"
    )

from fastnn import (
    activations,
    callbacks,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    nn,
    ops,
    optimizers,
    preprocessing,
    random,
    regularizers,
    saving,
    threadpools,
    utils,
)
from fastnn._kernels import isa
from fastnn.function import function
from fastnn.layers import Input, Layer
from fastnn.metrics import Metric
from fastnn.models import Model, Sequential
from fastnn.ops import *  # noqa: F403  # each op is a public name
from fastnn.parallel import get_num_threads, set_num_threads, threads
from fastnn.tape import GradientTape
from fastnn.tensor import Tensor, Variable, constant

__version__ = "0.1.0"

float32, float64 = np.float32, np.float64
int32, int64, uint8 = np.int32, np.int64, np.uint8

threadpools.watch()

# `tf.keras.losses`, `from fastnn import keras` and `from fastnn.keras import layers` all mean
# fastnn.
keras = sys.modules[__name__]
for _name, _module in list(sys.modules.items()):
    if _name == "fastnn" or _name.startswith("fastnn."):
        sys.modules[_name.replace("fastnn", "fastnn.keras", 1)] = _module

__all__ = [
    "GradientTape",
    "Input",
    "Layer",
    "Metric",
    "Model",
    "Sequential",
    "Tensor",
    "Variable",
    "activations",
    "callbacks",
    "constant",
    "constraints",
    "datasets",
    "float32",
    "float64",
    "function",
    "get_num_threads",
    "initializers",
    "int32",
    "int64",
    "isa",
    "keras",
    "layers",
    "losses",
    "metrics",
    "models",
    "nn",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "set_num_threads",
    "threads",
    "uint8",
    "utils",
]
__all__ += ops.__all__
