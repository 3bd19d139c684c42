"""The import lines of the three editions, with nothing but the module's name changed."""

import pytest

import fastnn

LINES = [
    "import fastnn as keras; keras.layers.Dense, keras.Layer, keras.Variable, keras.Model",
    "import fastnn as tf; tf.keras.losses, tf.nn.relu, tf.random.normal, tf.GradientTape",
    "from fastnn import keras; keras.Sequential, keras.optimizers.RMSprop, keras.utils",
    "from fastnn import layers, models, optimizers, losses, metrics, regularizers, callbacks, ops",
    "from fastnn.keras import layers, models, optimizers, regularizers",
    "from fastnn.keras.layers import Dense, Dropout",
    "from fastnn.keras.models import Sequential, load_model",
    "from fastnn.datasets import mnist, fashion_mnist, imdb, reuters, boston_housing",
    "from fastnn.keras.datasets import mnist, imdb, reuters, boston_housing; mnist.load_data",
    "from fastnn.utils import to_categorical",
    "from fastnn.keras.utils import to_categorical",
    "from fastnn.utils.np_utils import to_categorical",
    "from fastnn.utils import np_utils; np_utils.to_categorical",
    "from fastnn.keras.utils import np_utils; np_utils.to_categorical",
    "from fastnn.regularizers import l2, l1, l1_l2",
    "from fastnn.keras import regularizers; regularizers.l2(0.001)",
    "from fastnn.callbacks import EarlyStopping, ModelCheckpoint",
    "import fastnn.keras as keras; keras.activations.relu",
    "from fastnn.keras import ops; ops.matmul",
]


@pytest.mark.parametrize("line", LINES)
def test_import(line):
    exec(line, {})


def test_everything_is_one_module():
    assert fastnn.keras is fastnn
    assert fastnn.keras.layers.Dense is fastnn.layers.Dense
