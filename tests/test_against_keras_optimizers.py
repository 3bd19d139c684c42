"""Optimizers and schedules against Keras's own.

In float64, for in float32 Keras's 1 - beta_2^t has but four digits at the first steps. Its rates
are of float32 nevertheless.
"""

import numpy as np
import pytest
from keras_reference import keras
from test_schedules import SCHEDULES, STEPS
from test_trajectories import OPTIMIZERS, SHAPES

from fastnn import Variable, optimizers

# Keras's arrays are not yet as NumPy 2 wants them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OPTIONS = [
    {},
    {"weight_decay": 0.01},
    {"clipnorm": 1.5},
    {"clipvalue": 0.7},
    {"global_clipnorm": 2.5},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options) or "plain")
@pytest.mark.parametrize(
    ("optimizer", "own"), OPTIMIZERS, ids=lambda x: getattr(x, "__name__", str(x))
)
def test_steps(optimizer, own, options, rng):
    options = {"learning_rate": 0.02, **own, **options}
    theirs = getattr(keras.optimizers, optimizer.__name__)(**options)
    ours = optimizer(**options)
    start = [rng.standard_normal(shape) for shape in SHAPES]
    w, v = [Variable(x) for x in start], [keras.Variable(x, dtype="float64") for x in start]
    for _ in range(20):
        gradients = [rng.standard_normal(shape) for shape in SHAPES]
        ours.apply(gradients, w)
        theirs.apply([keras.ops.convert_to_tensor(g) for g in gradients], v)
    ours.finalize_variable_values(w)
    theirs.finalize_variable_values(v)
    for x, y in zip(w, v, strict=True):
        np.testing.assert_allclose(x, keras.ops.convert_to_numpy(y), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    schedule, _ = SCHEDULES[name]
    if schedule.get_config().get("boundaries") == [] or schedule.get_config().get("warmup_target"):
        pytest.skip("Keras divides by zero steps of warm-up, and needs a boundary")
    theirs = getattr(keras.optimizers.schedules, type(schedule).__name__)(**schedule.get_config())
    for step in STEPS:
        np.testing.assert_allclose(schedule(step), float(theirs(step)), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", optimizers._NAMES)
def test_configurations_have_the_same_entries(name):
    """But for what scales losses and adds gradients up over steps, which is not here."""
    theirs = keras.optimizers.get(name).get_config()
    ours = optimizers.get(name).get_config()
    for other in ("loss_scale_factor", "gradient_accumulation_steps"):
        assert theirs.pop(other) is None
    names = {"name", "learning_rate"}
    assert ours.keys() == theirs.keys()
    assert {k: ours[k] for k in ours.keys() - names} == {
        k: theirs[k] for k in theirs.keys() - names
    }
    np.testing.assert_allclose(ours["learning_rate"], theirs["learning_rate"], rtol=1e-7)
