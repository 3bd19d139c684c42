"""The same bits of all there is: for any number of threads, and on all levels that fuse."""

import numpy as np
import pytest
from cases import CASES
from test_both_ways import LAYERS, OF_SAMPLES, OPTIMIZERS, data, for_loss, trained
from test_threads import KERNELS, M, N

import fastnn
from fastnn import GradientTape, Variable, _kernels

# Without fused multiply-add the last bits may differ.
LEVELS = _kernels.isas()[1:] or _kernels.isas()
THREADS = (1, 2, 3, 4, 7, 16)


@pytest.fixture
def assert_same(times, record):
    """Asserts that actions give the same arrays whatever the level and the number of threads."""
    before = _kernels.isa()

    def check(what, actions):
        for name, action in actions.items():
            found = set()
            for level in LEVELS:
                _kernels.set_isa(level)
                for threads in THREADS[:: times(3, 1)]:
                    with fastnn.threads(threads):
                        found.add(b"".join(np.asarray(x).tobytes() for x in action()))
            assert len(found) == 1, name
            assert found != {b""}
        ways = f"{', '.join(map(str, THREADS))} threads on {' and '.join(LEVELS)}"
        record(f"what gave the same bits with {ways}", f"{len(actions)} {what}")

    yield check
    _kernels.set_isa(before)


def test_kernels(assert_same, dtype, rng):
    x, y = rng.standard_normal((2, M, N)).astype(dtype)
    actions = {name: lambda kernel=kernel: [*kernel(x, y)] for name, kernel in KERNELS.items()}
    assert_same(f"kernels in {dtype.__name__}", actions)


def test_ops(assert_same, dtype, rng):
    def of(case):
        drawn = [Variable(np.asarray(case.draw(rng, shape), dtype)) for shape in case.shapes]

        def action():
            with GradientTape() as tape:
                y = case.op(*drawn)
            gradients = tape.gradient(y, drawn)
            return [y.numpy(), *(g.numpy() for g in gradients if g is not None)]

        return action

    assert_same(f"ops and their gradients in {dtype.__name__}", {c.name: of(c) for c in CASES})


@pytest.mark.filterwarnings("ignore:sparse_categorical_crossentropy takes probabilities")
def test_trainings(assert_same):
    """By each layer, optimizer and loss, in batches so large that threads share them."""

    def of(make_layers, optimizer, loss, x, y):
        setting = (make_layers, OPTIMIZERS[optimizer], loss, [], np.tile(x, (18, 1)))
        targets = np.tile(y, (18, *[1] * (y.ndim - 1)))
        return lambda: trained(False, *setting, targets, batch_size=900)

    loss, wide = "sparse_categorical_crossentropy", LAYERS["wide"]
    by_layer = {name: of(made, "sgd", loss, *data("labels")) for name, made in LAYERS.items()}
    images = data("labels", features=200)
    by_optimizer = {name: of(wide, name, loss, *images) for name in OPTIMIZERS}
    by_loss = {}
    for name in OF_SAMPLES:
        made, *rest = for_loss(name)
        by_loss[name] = of(made, "adam", *rest)
    assert_same("stacks of layers", by_layer)
    assert_same("optimizers", by_optimizer)
    assert_same("losses", by_loss)
