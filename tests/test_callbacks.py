"""Callbacks: which hooks are called when, and what each callback does."""

import csv
import itertools
import math
import os

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers, metrics, models, optimizers
from fastnn.callbacks import CallbackList

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(12, 1)).astype(np.float32)
HOOKS = [hook for hook in vars(callbacks.Callback) if hook.startswith("on_")]


def regression(optimizer="sgd", metrics=()):
    model = fastnn.Sequential([layers.Dense(1)])
    model.compile(optimizer, "mse", metrics)
    return model


class Recorder(callbacks.Callback):
    """Notes down every call."""

    def __init__(self):
        self.calls = []


def _noting(hook):
    def note(self, *arguments):
        self.calls.append((hook, *arguments))

    return note


for _hook in HOOKS:
    if _hook not in ("on_batch_begin", "on_batch_end"):
        setattr(Recorder, _hook, _noting(_hook))


class Stub:
    """What is needed of a model, to drive callbacks by hand."""

    def __init__(self, rate=0.1):
        self.stop_training = False
        self.optimizer = optimizers.SGD(rate)
        self.metrics = []
        self.weights = None

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def drive(callback, values, name="val_loss", model=None):
    """Epochs that end with these values; returns how many there were."""
    model = model or Stub()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        model.weights = [epoch]
        callback.on_epoch_end(epoch, {name: value})
        if model.stop_training:
            break
    callback.on_train_end()
    return epoch + 1


# Hooks.


@pytest.mark.parametrize("eagerly", [False, True])
def test_hooks_of_fit(eagerly):
    recorder = Recorder()
    model = regression(metrics=["mae"])
    model.compile("sgd", "mse", ["mae"], run_eagerly=eagerly)
    model.fit(X, Y, batch_size=5, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[recorder])
    batch = [("on_{}_batch_begin", n) for n in range(3)], [("on_{}_batch_end", n) for n in range(3)]
    pairs = [call for both in zip(*batch, strict=True) for call in both]
    expected = [("on_train_begin",)]
    for epoch in range(2):
        expected.append(("on_epoch_begin", epoch))
        expected += [(hook.format("train"), n) for hook, n in pairs]
        expected.append(("on_test_begin",))
        expected += [(hook.format("test"), n) for hook, n in pairs]
        expected += [("on_test_end",), ("on_epoch_end", epoch)]
    expected.append(("on_train_end",))
    assert [call[:-1] for call in recorder.calls] == expected
    assert recorder.model is model
    assert recorder.params == {"epochs": 2, "steps": 3, "verbose": 0}
    for hook, *_, logs in recorder.calls:
        if hook.endswith("_begin"):
            assert logs == {}
        else:
            assert {"loss", "mae"} <= set(logs)
            assert all(type(value) is float for value in logs.values())
    assert {"val_loss", "val_mae"} <= set(recorder.calls[-2][-1])


def test_hooks_of_evaluate_and_predict():
    recorder, model = Recorder(), regression()
    loss = model.evaluate(X, Y, batch_size=8, verbose=0, callbacks=[recorder])
    names = ["begin", "batch_begin", "batch_end", "batch_begin", "batch_end", "end"]
    assert [call[0] for call in recorder.calls] == [f"on_test_{name}" for name in names]
    assert recorder.calls[-1] == ("on_test_end", {"loss": loss})
    recorder.calls.clear()
    model.predict(X, batch_size=8, callbacks=[recorder])
    assert [call[0] for call in recorder.calls] == [f"on_predict_{name}" for name in names]


@pytest.mark.parametrize("eagerly", [False, True])
def test_listening_to_batches_changes_no_bit(eagerly):
    results = []
    for given in ([], [Recorder()]):
        fastnn.utils.set_random_seed(1)
        model = regression("adam")
        model.compile("adam", "mse", run_eagerly=eagerly)
        history = model.fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=given)
        results.append((history.history, [w.tobytes() for w in model.get_weights()]))
    assert results[0] == results[1]


def test_logs_of_batches_are_the_averages_so_far():
    recorder = Recorder()
    model = regression(optimizers.SGD(0.0))
    history = model.fit(X, Y, batch_size=5, verbose=0, shuffle=False, callbacks=[recorder])
    errors = (model.predict(X).astype(np.float64) - Y) ** 2
    found = [logs["loss"] for hook, *_, logs in recorder.calls if hook == "on_train_batch_end"]
    np.testing.assert_allclose(found, [errors[:n].mean() for n in (5, 10, 12)], rtol=1e-5)
    assert history.history["loss"] == [found[-1]]


def test_who_listens_to_batches():
    def wants(*given):
        many = CallbackList(list(given))
        return tuple(map(many.wants_batches, ("train", "test", "predict")))

    def listener(*hooks):
        return type("Listener", (callbacks.Callback,), {hook: _noting(hook) for hook in hooks})()

    nothing = (False, False, False)
    assert wants() == nothing
    assert wants(callbacks.Callback(), callbacks.History(), callbacks.ProgbarLogger()) == nothing
    assert wants(callbacks.ModelCheckpoint("x"), callbacks.BackupAndRestore("x")) == nothing
    assert wants(callbacks.LambdaCallback(on_epoch_end=print)) == nothing
    for hook in ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"):
        assert wants(callbacks.Callback(), listener(hook)) == (True, False, False)
        assert wants(callbacks.LambdaCallback(**{hook: print})) == (True, False, False)
    assert wants(listener("on_test_batch_end")) == (False, True, False)
    assert wants(callbacks.LambdaCallback(on_predict_batch_begin=print)) == (False, False, True)
    assert not any(wants(callbacks.TerminateOnNaN()))
    assert wants(callbacks.ModelCheckpoint("x", save_freq=2))[0]
    own = type("Own", (callbacks.ModelCheckpoint,), {"on_train_batch_end": _noting("x")})
    assert wants(own("x"))[0]


def test_lists():
    first, second = Recorder(), Recorder()
    many = CallbackList([first, [second]], model="model", epochs=3)
    assert many.callbacks == [first, second]
    assert (first.model, second.params) == ("model", {"epochs": 3})
    many.on_epoch_end(2, {"loss": fastnn.constant(0.5), "n": 3, "many": np.ones(2)})
    assert first.calls[0][:2] == ("on_epoch_end", 2)
    logs = first.calls[0][2]
    assert type(logs["loss"]) is float
    assert logs["n"] == 3
    assert logs is second.calls[0][2]  # what one callback adds the next one sees
    with_more = CallbackList(first, add_history=True, add_progbar=True)
    assert [type(c).__name__ for c in with_more.callbacks[1:]] == ["History", "ProgbarLogger"]
    same = CallbackList(with_more.callbacks, add_history=True, add_progbar=True)
    assert same.callbacks == with_more.callbacks
    with pytest.raises(TypeError, match=r"EarlyStopping\(\), got <class"):
        CallbackList([callbacks.EarlyStopping])


def test_a_list_calls_every_hook():
    recorder = Recorder()
    many = CallbackList([recorder])
    for hook in HOOKS:
        arguments = [1] if "batch" in hook or "epoch" in hook else []
        getattr(many, hook)(*arguments, {"loss": 1.0})
        assert recorder.listens(hook) == (hook not in ("on_batch_begin", "on_batch_end"))
    assert [call[0] for call in recorder.calls] == [h for h in HOOKS if recorder.listens(h)]


def test_stopping_ends_the_training():
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    assert regression().fit(X, Y, epochs=5, verbose=0, callbacks=Stop()).epoch == [0, 1]

    class StopAtOnce(callbacks.Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            self.model.stop_training = batch == 1

    stop = StopAtOnce()
    model = regression()
    history = model.fit(X, Y, batch_size=3, epochs=5, verbose=0, callbacks=[stop])
    assert (stop.batches, history.epoch) == (2, [0])
    assert int(model.optimizer.iterations) == 2


def test_an_error_in_a_callback_ends_the_training():
    def fail(epoch, logs):
        raise RuntimeError("enough")

    recorder, model = Recorder(), regression()
    failing = callbacks.LambdaCallback(on_epoch_end=fail)
    with pytest.raises(RuntimeError, match="enough"):
        model.fit(X, Y, epochs=5, verbose=0, callbacks=[recorder, failing])
    assert recorder.calls[-1][0] == "on_epoch_end"


# One callback after another.


def test_history():
    model = regression(metrics=["mae"])
    history = model.fit(X, Y, epochs=3, verbose=0, validation_split=0.5)
    assert model.history is history
    assert set(history.history) == {"loss", "mae", "val_loss", "val_mae"}
    assert all(type(v) is float for values in history.history.values() for v in values)
    assert history.epoch == [0, 1, 2]
    mine = callbacks.History()
    assert model.fit(X, Y, epochs=1, verbose=0, callbacks=[mine]) is mine


@pytest.mark.parametrize("patience", [0, 1, 2, 3])
def test_early_stopping(patience):
    stopper = callbacks.EarlyStopping(monitor="loss", patience=patience)
    for _ in range(2):  # it can be used again
        epochs = drive(stopper, [10.0, 9.0, 8.0, 9.0, 8.9, 8.8, 8.7, 8.6, 8.5], "loss")
        assert stopper.stopped_epoch == epochs - 1 == 2 + max(patience, 1)
        assert (stopper.best, stopper.best_epoch) == (8.0, 2)


RUNS = {  # options, values, epochs, the epoch whose weights are there in the end
    "better all the time": ({}, [3.0, 2.0, 1.0], 3, 2),
    "delta": ({"min_delta": 0.5}, [3.0, 2.0, 1.9, 1.0], 3, 1),
    "max": ({"mode": "max", "patience": 2}, [1.0, 3.0, 2.0, 2.0, 9.0], 4, 1),
    "baseline": ({"baseline": 0.5, "patience": 5}, [0.9, 0.8, 0.7, 0.71, 0.72, 0.73], 5, 2),
    "baseline reached": ({"baseline": 0.8, "patience": 2}, [0.9, 0.7, 0.8, 0.8], 4, 1),
    "start later": ({"start_from_epoch": 2, "patience": 1}, [0.1, 0.2, 5.0, 4.0, 4.1], 5, 3),
    "never started": ({"start_from_epoch": 9}, [1.0, 2.0], 2, 1),
    "not at the first epoch": ({"baseline": 0.1}, [1.0, 2.0], 2, 0),
    "nan first": ({"patience": 2}, [math.nan, 2.0, 3.0, 3.0], 4, 1),
    "nan": ({"patience": 2}, [2.0, math.nan, math.nan, 1.0], 3, 0),
}


@pytest.mark.parametrize("name", RUNS)
def test_early_stopping_goes_back_to_the_best_weights(name):
    options, values, epochs, best = RUNS[name]
    for restore in (True, False):
        model = Stub()
        stopper = callbacks.EarlyStopping(restore_best_weights=restore, **options)
        assert drive(stopper, values, model=model) == epochs
        assert model.weights == [best if restore else epochs - 1]


@pytest.mark.parametrize("name", [name for name in RUNS if name != "nan first"])
def test_early_stopping_is_that_of_keras(name):
    keras = pytest.importorskip("keras_reference").keras
    options, values, epochs, _ = RUNS[name]
    theirs = keras.callbacks.EarlyStopping(restore_best_weights=True, **options)
    model = Stub()
    assert drive(theirs, values, model=model) == epochs
    ours = callbacks.EarlyStopping(restore_best_weights=True, **options)
    again = Stub()
    drive(ours, values, model=again)
    assert again.weights == model.weights
    for attribute in ("best_epoch", "stopped_epoch", "wait"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert ours.best == theirs.best


def test_early_stopping_says_what_it_does(capsys):
    drive(callbacks.EarlyStopping(verbose=1, restore_best_weights=True), [1.0, 2.0])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Epoch 2: early stopping", "The weights of epoch 1, the best, are restored"]


DIRECTIONS = {
    "loss": "less",
    "val_loss": "less",
    "head_loss": "less",
    "val_mse": "less",
    "mean_absolute_error": "less",
    "hinge": "less",
    "acc": "greater",
    "val_accuracy": "greater",
    "sparse_categorical_accuracy": "greater",
    "val_auc": "greater",
    "f1_score": "greater",
    "precision_1": "greater",
    "true_positives": "greater",
    "val_false_negatives": "less",
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_what_is_better(name):
    monitor = callbacks.MonitorCallback(name)
    monitor._set_monitor_op()
    assert monitor.monitor_op is getattr(fastnn.ops, DIRECTIONS[name])


def test_classes_and_mode_say_what_is_better():
    model = Stub()
    model.metrics = [metrics.Accuracy(name="odd")]
    monitor = callbacks.MonitorCallback("val_odd")
    monitor.set_model(model)
    monitor._set_monitor_op()
    assert monitor.monitor_op is fastnn.ops.greater
    for callback in (callbacks.EarlyStopping("odd"), callbacks.ReduceLROnPlateau("odd")):
        with pytest.raises(ValueError, match=r"more or less of 'odd' is better; say mode="):
            drive(callback, [1.0], "odd")
    drive(callbacks.EarlyStopping("odd", mode="min"), [1.0], "odd")
    with pytest.warns(UserWarning, match="EarlyStopping mode 'low' is unknown"):
        callbacks.EarlyStopping(mode="low")


def test_what_is_not_there_is_warned_of(tmp_path):
    message = r"monitors 'val_loss', which .* are loss, mae.*: pass validation_data to fit, or mon"
    for callback in (
        callbacks.EarlyStopping(),
        callbacks.ReduceLROnPlateau(),
        callbacks.ModelCheckpoint(tmp_path / "model", save_best_only=True),
    ):
        model = regression(metrics=["mae"])
        with pytest.warns(UserWarning, match=f"{type(callback).__name__} {message}"):
            model.fit(X, Y, verbose=0, callbacks=[callback])
    assert os.path.exists(tmp_path / "model")
    misspelt = r"'val_acuracy', which is not there; available are loss, mae"
    with pytest.warns(UserWarning, match=misspelt):
        model.fit(X, Y, verbose=0, callbacks=[callbacks.EarlyStopping("val_acuracy")])


PLATEAUS = {  # options, values, learning rates after each epoch
    "patience 1": ({"patience": 1}, [1.0, 1.0, 1.0], [0.1, 0.01, 0.001]),
    "better": ({"patience": 1}, [3.0, 2.0, 1.0], [0.1, 0.1, 0.1]),
    "too little better": ({"patience": 2, "factor": 0.5}, [1.0, 0.99995, 0.9999], [0.1, 0.1, 0.05]),
    "lowest": ({"patience": 1, "min_lr": 0.05}, [1.0, 1.0, 1.0], [0.1, 0.05, 0.05]),
    "cooldown": ({"patience": 1, "cooldown": 2}, [1.0] * 5, [0.1, 0.01, 0.01, 0.001, 0.001]),
    "max": ({"patience": 1, "mode": "max"}, [1.0, 2.0, 1.0], [0.1, 0.1, 0.01]),
}


@pytest.mark.parametrize("name", PLATEAUS)
def test_reduce_lr_on_plateau(name):
    options, values, expected = PLATEAUS[name]
    callback = callbacks.ReduceLROnPlateau(**options)
    rates = []
    model = Stub()
    for n in range(1, len(values) + 1):
        model = Stub()
        drive(callback, values[:n], model=model)
        rates.append(float(model.optimizer.learning_rate))
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras itself
@pytest.mark.parametrize("name", PLATEAUS)
def test_reduce_lr_on_plateau_is_that_of_keras(name):
    keras = pytest.importorskip("keras_reference").keras
    options, values, expected = PLATEAUS[name]
    model = Stub()
    model.optimizer = keras.optimizers.SGD(0.1)
    drive(keras.callbacks.ReduceLROnPlateau(**options), values, model=model)
    np.testing.assert_allclose(float(model.optimizer.learning_rate), expected[-1], rtol=1e-6)


def test_learning_rates_in_history(capsys):
    plateau = callbacks.ReduceLROnPlateau(monitor="loss", patience=1, min_delta=100, verbose=1)
    history = regression(optimizers.SGD(0.1)).fit(X, Y, epochs=3, verbose=0, callbacks=[plateau])
    np.testing.assert_allclose(history.history["learning_rate"], [0.1, 0.1, 0.01])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Epoch 2: ReduceLROnPlateau reducing learning rate to 0.01")
    with pytest.raises(ValueError, match="factor must be a number in \\[0, 1\\)"):
        callbacks.ReduceLROnPlateau(factor=1.0)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda epoch: 1 / (2 + epoch),
        lambda epoch, rate: 1 / (2 + epoch),
        lambda epoch: np.float64(1 / (2 + epoch)),
        lambda epoch: fastnn.constant(1 / (2 + epoch), "float64"),
    ],
)
def test_learning_rate_scheduler(schedule, capsys):
    callback = callbacks.LearningRateScheduler(schedule, verbose=1)
    model = regression()
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    assert history.history["learning_rate"] == [1 / 2, 1 / 3]
    assert float(model.optimizer.learning_rate) == 1 / 3
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "Epoch 1: LearningRateScheduler setting learning rate to 0.5"


def test_learning_rate_scheduler_from_the_rate_before():
    model = regression(optimizers.SGD(0.5))
    halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[halve])
    assert float(model.optimizer.learning_rate) == 0.0625


@pytest.mark.parametrize("answer", ["0.1", None, True, [0.1]])
def test_schedules_that_give_no_number(answer):
    callback = callbacks.LearningRateScheduler(lambda epoch: answer)
    with pytest.raises(ValueError, match="the schedule must give a number for epoch 0, got"):
        regression().fit(X, Y, verbose=0, callbacks=[callback])


def test_errors_inside_a_schedule_are_seen():
    def schedule(epoch, rate):
        return rate + "0.1"

    with pytest.raises(TypeError, match="unsupported operand"):
        regression().fit(X, Y, verbose=0, callbacks=[callbacks.LearningRateScheduler(schedule)])


def test_a_schedule_of_the_optimizer_stays():
    decay = optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    for callback in (
        callbacks.LearningRateScheduler(lambda epoch: 0.1),
        callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=100),
    ):
        with pytest.raises(TypeError, match="learning rate"):
            regression(optimizers.SGD(decay)).fit(X, Y, epochs=2, verbose=0, callbacks=[callback])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_terminate_on_nan(value):
    y = Y.copy()
    y[7] = value
    model = regression()
    options = {"batch_size": 3, "epochs": 4, "shuffle": False, "verbose": 0}
    with pytest.warns(UserWarning, match=r"step 2 .*the targets .* of sample 7"):
        history = model.fit(X, y, **options, callbacks=[callbacks.TerminateOnNaN()])
    assert history.epoch == [0]
    assert int(model.optimizer.iterations) == 2
    with pytest.raises(RuntimeError, match=r"step 2 .*correct the sample"):
        regression().fit(X, y, **options, callbacks=[callbacks.TerminateOnNaN(True)])
    good = regression(optimizers.SGD(0.0))
    assert (
        len(good.fit(X, Y, epochs=2, verbose=0, callbacks=[callbacks.TerminateOnNaN()]).epoch) == 2
    )


def rows(path, separator=","):
    with open(path, newline="") as file:
        return list(csv.reader(file, delimiter=separator))


def test_csv_logger(tmp_path):
    path = tmp_path / "log.tsv"
    model = regression(metrics=["mae"])
    logger = callbacks.CSVLogger(path, separator="\t")
    history = model.fit(X, Y, epochs=2, verbose=0, validation_split=0.5, callbacks=[logger])
    head, *lines = rows(path, "\t")
    assert head == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    for epoch, line in enumerate(lines):
        expected = [history.history[name][epoch] for name in head[1:]]
        assert list(map(float, line)) == [epoch, *expected]
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[callbacks.CSVLogger(str(path))])
    assert rows(path)[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert rows(path)[1][3:] == ["NA", "NA"]
    assert len(rows(path)) == 2
    appending = callbacks.CSVLogger(path, append=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[appending])
    assert [row[0] for row in rows(path)] == ["epoch", "0", "0", "1"]


def test_csv_logger_writes_other_things_too(tmp_path):
    logger = callbacks.CSVLogger(tmp_path / "log")
    drive(logger, [np.array([1.5, 2.0]), "text", 3], "val_x")
    assert [row[1] for row in rows(tmp_path / "log")] == ["val_x", '"[1.5, 2.0]"', "text", "3"]


def test_lambda_callback():
    seen = []
    callback = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((epoch, sorted(logs))),
        on_train_end=lambda logs: seen.append("end"),
        on_test_begin=lambda logs: seen.append("test"),
        other="kept",
    )
    assert callback.other == "kept"
    regression().fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[callback])
    assert seen == ["test", (0, ["loss", "val_loss"]), "test", (1, ["loss", "val_loss"]), "end"]
    assert callbacks.LambdaCallback().on_epoch_end(0) is None
    with pytest.raises(TypeError, match="no hook 'on_epoch_ends'; did you mean 'on_epoch_end'"):
        callbacks.LambdaCallback(on_epoch_ends=print)


# Files.


def test_model_checkpoint_every_epoch(tmp_path, capsys):
    path = tmp_path / "new" / "model-{epoch:02d}-{val_loss:.2f}.keras"
    model = regression()
    callback = callbacks.ModelCheckpoint(path, verbose=1)
    history = model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[callback])
    values = history.history["val_loss"]
    names = [f"model-{epoch + 1:02d}-{value:.2f}.keras" for epoch, value in enumerate(values)]
    assert sorted(os.listdir(tmp_path / "new")) == names
    assert "Epoch 2: saved to " in capsys.readouterr().out
    last = models.load_model(tmp_path / "new" / names[1])
    assert last.predict(X).tobytes() == model.predict(X).tobytes()


def test_model_checkpoint_saves_the_best(tmp_path):
    class Saved(Stub):
        def save(self, path):
            saved.append(self.weights[0])

    saved = []
    path = os.fspath(tmp_path / "model")
    for options, expected in (
        ({}, [0, 2]),
        ({"initial_value_threshold": 2.5}, [2]),
        ({"mode": "max"}, [0, 1, 3]),
        ({"save_best_only": False}, [0, 1, 2, 3]),
    ):
        saved.clear()
        options = {"save_best_only": True, **options}
        drive(callbacks.ModelCheckpoint(path, **options), [3.0, 4.0, 2.0, 5.0], model=Saved())
        assert saved == expected


def test_model_checkpoint_every_so_many_batches(tmp_path):
    model = regression()
    path = tmp_path / "{epoch}-{batch}.weights.h5"
    callback = callbacks.ModelCheckpoint(path, save_freq=3, save_weights_only=True)
    model.fit(X, Y, batch_size=3, epochs=2, verbose=0, callbacks=[callback])
    assert sorted(os.listdir(tmp_path)) == ["1-3.weights.h5", "2-2.weights.h5"]
    model.load_weights(tmp_path / "2-2.weights.h5")


def test_model_checkpoint_refuses(tmp_path):
    refusal = r'save_freq \(if not "epoch"\) must be a positive integer'
    for frequency in ("batch", 0, 1.5, True, -1):
        with pytest.raises(ValueError, match=refusal):
            callbacks.ModelCheckpoint("x", save_freq=frequency)
        with pytest.raises(ValueError, match=refusal):
            callbacks.BackupAndRestore("x", save_freq=frequency)
    callback = callbacks.ModelCheckpoint(tmp_path / "{val_loss}")
    with pytest.raises(KeyError, match="asks for 'val_loss'; available are epoch, loss"):
        regression().fit(X, Y, verbose=0, callbacks=[callback])
    for folder in ("", None):
        with pytest.raises(ValueError, match="backup_dir is empty"):
            callbacks.BackupAndRestore(folder)


# What is shown.


def test_lines(capsys):
    model = regression(optimizers.SGD(1e-5))
    rates = callbacks.LearningRateScheduler(lambda epoch, rate: rate)
    model.fit(X, Y, epochs=2, verbose=2, validation_data=(X, Y), callbacks=[rates])
    lines = capsys.readouterr().out.splitlines()
    assert [line[:12] for line in lines] == ["Epoch 1/2 - ", "Epoch 2/2 - "]
    assert " - val_loss: " in lines[0]
    assert lines[0].endswith(" - learning_rate: 1.0000e-05")
    model.evaluate(X, Y, verbose=2)
    model.predict(X, verbose=2)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "Evaluation",
        "Prediction",
    ]


@pytest.mark.parametrize("bad", [3, "yes", None])
def test_verbose_is_checked(bad):
    model = regression()
    with pytest.raises(ValueError, match="verbose must be"):
        model.fit(X, Y, verbose=bad)


def test_no_bar_is_left_after_an_error(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    def fail(epoch, logs):
        raise RuntimeError

    bar = callbacks.ProgbarLogger()
    failing = callbacks.LambdaCallback(on_epoch_end=fail)
    with pytest.raises(RuntimeError):
        regression().fit(X, Y, callbacks=[failing, bar])
    assert bar._bar is None
    assert "Epoch 1/1" in capsys.readouterr().out


def test_hooks_of_a_list_take_their_arguments_by_name():
    heard = []
    told = callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: heard.append((epoch, logs)),
        on_train_batch_end=lambda batch, logs: heard.append((batch, logs)),
    )
    both = callbacks.CallbackList([told])
    both.on_epoch_begin(epoch=3)
    both.on_train_batch_end(batch=4, logs={"loss": 1.0})
    assert heard == [(3, {}), (4, {"loss": 1.0})]


def test_a_bar_counts_the_batches_of_the_training_alone(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    data = [(X[:4], Y[:4])] * 5

    class Unsized:  # of which only a pass tells the length
        def __iter__(self):
            return iter(data)

    bar, seen = callbacks.ProgbarLogger(), []
    noting = callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(bar._steps),
        on_test_end=lambda logs: seen.append(bar._done),
    )
    regression().fit(Unsized(), epochs=2, validation_data=Unsized(), callbacks=[bar, noting])
    assert seen == [None, 5, 5, 5]
    assert "Epoch 2/2" in capsys.readouterr().out


@pytest.mark.parametrize("eagerly", [False, True])
def test_the_outputs_of_each_batch_of_a_prediction(eagerly):
    model = regression(metrics=["mae"])
    model.run_eagerly = eagerly
    heard = []
    hook = callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: heard.append(logs))
    found = model.predict(X, batch_size=5, callbacks=[hook])
    assert [list(logs) for logs in heard] == [["outputs"]] * 3
    np.testing.assert_array_equal(np.concatenate([logs["outputs"] for logs in heard]), found)


def test_an_evaluation_inside_an_evaluation():
    model = regression()
    expected = model.evaluate(X, Y, batch_size=12, verbose=0)
    heard = []

    class Again(callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            heard.append(model.evaluate(X, Y, batch_size=12, verbose=0))

    model.evaluate(X, Y, batch_size=12, verbose=0, callbacks=[Again()])
    assert heard == [expected]


@pytest.mark.parametrize("method", ["evaluate", "test_on_batch"])
def test_what_a_callback_measures_is_not_of_the_epoch(method):
    def history(measured):
        class Measure(callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if measured:
                    getattr(self.model, method)(X, Y + 100)

        fastnn.utils.set_random_seed(1)
        model = regression(optimizers.SGD(0.1))
        return model.fit(X, Y, 2, epochs=2, verbose=0, callbacks=[Measure()]).history

    assert history(measured=True) == history(measured=False)


def test_a_backup_leaves_what_else_is_in_its_folder(tmp_path):
    (tmp_path / "mine").write_text("kept")
    for folder, left in ((tmp_path, ["mine"]), (tmp_path / "own", None)):
        backup = callbacks.BackupAndRestore(folder)
        regression(optimizers.SGD(0.1)).fit(X, Y, verbose=0, callbacks=[backup])
        there = [path.name for path in folder.iterdir()] if folder.exists() else None
        assert there == left


@pytest.mark.parametrize("endless", [False, True])
def test_a_backup_of_a_training_on_batches(tmp_path, endless):
    """The model of the second try has no weights before its first batch."""

    class Batches(fastnn.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]

    def training(seed, *others):
        fastnn.utils.set_random_seed(seed)
        data = itertools.cycle(Batches()) if endless else Batches()
        model = regression(optimizers.SGD(0.1, momentum=0.9))
        model.fit(data, epochs=4, steps_per_epoch=3, verbose=0, callbacks=others)
        return model.get_weights()

    def fail_then(epoch, logs):
        if epoch == 1:
            raise RuntimeError("power failure")

    backup, fails = (
        callbacks.BackupAndRestore(tmp_path / "own"),
        callbacks.LambdaCallback(on_epoch_end=fail_then),
    )
    with pytest.raises(RuntimeError, match="power failure"):
        training(1, backup, fails)
    for found, expected in zip(training(2, backup), training(1), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("eagerly", [False, True])
def test_compile_between_two_batches_is_refused(eagerly):
    class Recompiling(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.compile("sgd", "mse", run_eagerly=eagerly)

    model = regression()
    with pytest.raises(RuntimeError, match="compiled anew between two batches: call compile in"):
        model.fit(X, Y, 4, verbose=0, callbacks=[Recompiling()])
    model.fit(X, Y, verbose=0)


def test_averages_of_what_learns_from_the_last_epoch_on():
    class Unfreezing(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.layers[0].trainable = True

    model = fastnn.Sequential([layers.Dense(4, trainable=False), layers.Dense(1)])
    model.compile(optimizers.SGD(0.1, use_ema=True), "mse")
    model.fit(X, Y, verbose=0, callbacks=[Unfreezing()])
    average = model.optimizer._model_variables_moving_average[0]
    np.testing.assert_array_equal(model.layers[1].kernel, average)
    assert len(model.trainable_weights) == 4


def test_patience_begins_anew_after_a_reduction():
    model = Stub(1.0)
    plateau = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2)
    drive(plateau, [1.0] * 6, "loss", model)
    assert float(model.optimizer.learning_rate) == 0.25


def test_nan_is_no_improvement_on_nan():
    assert drive(callbacks.EarlyStopping(patience=1), [math.nan] * 4) == 2


def test_the_sign_of_min_delta_does_not_count():
    assert drive(callbacks.EarlyStopping(min_delta=-0.5, patience=1), [2.0, 1.9, 1.8, 1.7]) == 2


def test_arguments_that_are_no_names_and_functions():
    with pytest.raises(TypeError, match=r"by its name, such as \"val_loss\", got 3"):
        callbacks.EarlyStopping(3)
    with pytest.raises(TypeError, match=r"needs a function of the epoch, got 0\.1"):
        callbacks.LearningRateScheduler(0.1)
