"""Programs in the style of a book on Keras: each is a function of the module that it trains with.

They run on fastnn; with ``FASTNN_COMPARE_KERAS=1`` (and ``-W ignore``) on Keras as well, which
shows that they are Keras's programs and that what they assert is Keras's behaviour.
"""

import importlib
import os

import pytest

MODULES = ["fastnn"]
if os.environ.get("FASTNN_COMPARE_KERAS"):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    MODULES.append("keras")


@pytest.fixture(params=MODULES)
def keras(request):
    module = importlib.import_module(request.param)
    module.utils.set_random_seed(20)
    return module
