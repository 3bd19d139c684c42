"""Small helpers around training."""

from fastnn.batches import unpack_x_y_sample_weight
from fastnn.configuration import custom_object_scope, register_keras_serializable
from fastnn.lookup import refusal
from fastnn.naming import forget_names as clear_session
from fastnn.utils import np_utils
from fastnn.utils.files import get_file
from fastnn.utils.np_utils import normalize, to_categorical
from fastnn.utils.py_dataset import PyDataset
from fastnn.utils.seeds import set_random_seed
from fastnn.utils.sequences import pad_sequences
from fastnn.utils.splits import split_dataset

__all__ = [
    "PyDataset",
    "clear_session",
    "custom_object_scope",
    "get_file",
    "normalize",
    "np_utils",
    "pad_sequences",
    "register_keras_serializable",
    "set_random_seed",
    "split_dataset",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

__getattr__ = refusal(__name__, __all__, {"Sequence": "it is called PyDataset now"})
