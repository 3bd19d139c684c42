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
    backend,
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
from fastnn.initializers import Initializer
from fastnn.layers import Input, Layer
from fastnn.lookup import refusal
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.models import Model, Sequential
from fastnn.ops import *  # noqa: F403  # each op is a public name
from fastnn.optimizers import Optimizer
from fastnn.parallel import get_num_threads, set_num_threads, threads
from fastnn.regularizers import Regularizer
from fastnn.tape import GradientTape
from fastnn.tensor import Tensor, constant
from fastnn.variable import Variable

__version__ = "0.1.0"

float16, float32, float64 = np.float16, np.float32, np.float64
int32, int64, uint8, bool = np.int32, np.int64, np.uint8, np.bool_
newaxis = np.newaxis

# `tf.math.log`, `tf.linalg.matmul`, `keras.config.floatx`.
config, linalg, math = backend, ops, ops

threadpools.watch()

# `tf.keras.losses`, `from fastnn import keras` and `from fastnn.keras import layers` all mean
# fastnn.
keras = sys.modules[__name__]
for _name, _module in list(sys.modules.items()):
    if _name == "fastnn" or _name.startswith("fastnn."):
        sys.modules[_name.replace("fastnn", "fastnn.keras", 1)] = _module

__all__ = [
    "GradientTape",
    "Initializer",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Tensor",
    "Variable",
    "activations",
    "backend",
    "callbacks",
    "constant",
    "constraints",
    "datasets",
    "float16",
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
    "newaxis",
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

__getattr__ = refusal(
    __name__, __all__, {"data": "give fit NumPy arrays, or batches as a utils.PyDataset"}
)
