"""Callbacks: what happens at the turns of `fit`, `evaluate` and `predict`."""

from fastnn.callbacks.backup_and_restore import BackupAndRestore
from fastnn.callbacks.callback import Callback
from fastnn.callbacks.callback_list import CallbackList
from fastnn.callbacks.csv_logger import CSVLogger
from fastnn.callbacks.early_stopping import EarlyStopping
from fastnn.callbacks.history import History
from fastnn.callbacks.lambda_callback import LambdaCallback
from fastnn.callbacks.learning_rate_scheduler import LearningRateScheduler
from fastnn.callbacks.model_checkpoint import ModelCheckpoint
from fastnn.callbacks.monitor import MonitorCallback
from fastnn.callbacks.progbar_logger import ProgbarLogger
from fastnn.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from fastnn.callbacks.terminate_on_nan import TerminateOnNaN
from fastnn.lookup import refusal

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]

__getattr__ = refusal(
    __name__, __all__, {"TensorBoard": "CSVLogger writes the same numbers into a file"}
)
