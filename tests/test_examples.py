"""Tests of the examples and of the picture that they draw, on the sample of MNIST."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import plot
from fastnn.arrays import Array
from fastnn.datasets import mnist
from fastnn.examples import from_scratch
from fastnn.examples.from_scratch import BatchGenerator, NaiveDense, NaiveSequential
from fastnn.examples.mnist import main
from fastnn.layers import Dense
from fastnn.optimizers import SGD

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def only_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("the network is down")

    monkeypatch.setattr(mnist, "load_data", fail)


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test fail if it gets as far as asking for data."""
    for name in ("load_data", "load_sample"):
        monkeypatch.setattr(mnist, name, lambda: pytest.fail("asked for data"))


@pytest.fixture
def no_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)


def refusal(argv: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The message with which the program refuses its options."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.usefixtures("only_sample")
class TestMain:
    def test_falls_back_to_the_sample_and_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        accuracy = main([])
        shown = capsys.readouterr().out
        assert "The full MNIST is not available: the network is down" in shown
        assert "4000 images to train on, 1000 to test on" in shown
        assert "Epoch 5/5" in shown
        assert f"Test accuracy {accuracy:.4f}" in shown
        assert fastnn.isa() in shown
        assert accuracy > 0.85

    def test_from_scratch(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--from-scratch", "--epochs", "4", "--batch-size", "32"]) > 0.85
        assert "Epoch 4/4 - loss: " in capsys.readouterr().out

    @pytest.mark.parametrize("style", [[], ["--from-scratch"]])
    def test_equal_seeds_give_equal_results(self, style: list[str]) -> None:
        options = [*style, "--epochs", "1", "--seed"]
        assert main([*options, "7"]) == main([*options, "7"])

    @pytest.mark.parametrize("name", ["sgd", "Adam", "adagrad"])
    def test_optimizers(self, name: str) -> None:
        assert main(["--optimizer", name, "--epochs", "1", "--batch-size", "32"]) > 0.3

    @pytest.mark.parametrize("style", [[], ["--from-scratch"]])
    def test_plot(self, style: list[str], tmp_path: Path) -> None:
        file = tmp_path / "report.png"
        accuracy = main([*style, "--epochs", "1", "--plot", str(file)])
        assert file.read_bytes().startswith(PNG)
        assert accuracy == main([*style, "--epochs", "1"])

    def test_both_styles_train_alike_from_the_same_seed(self) -> None:
        options = ["--epochs", "2", "--optimizer", "sgd"]
        assert main(options) == pytest.approx(main([*options, "--from-scratch"]), abs=0.01)


@pytest.mark.usefixtures("no_data")
class TestOptions:
    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--epochs", "0", "give a whole number of 1 or more, not '0'"),
            ("--epochs", "2.5", "give a whole number of 1 or more, not '2.5'"),
            ("--batch-size", "-1", "give a whole number of 1 or more, not '-1'"),
            ("--seed", "-1", "give a whole number of 0 or more, not '-1'"),
            ("--optimizer", "rmspropp", "unknown optimizer 'rmspropp'; did you mean 'rmsprop'?"),
        ],
    )
    def test_refuses(
        self, option: str, value: str, message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert f"argument {option}: {message}" in refusal([option, value], capsys)

    def test_refuses_a_picture_that_cannot_be_written(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        message = refusal(["--plot", str(tmp_path / "missing" / "report.png")], capsys)
        assert f"argument --plot: the folder {tmp_path / 'missing'} does not exist" in message

    @pytest.mark.usefixtures("no_matplotlib")
    def test_refuses_a_picture_without_matplotlib(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        message = refusal(["--plot", str(tmp_path / "report.png")], capsys)
        assert 'argument --plot: a picture needs matplotlib: pip install "fastnn[plot]"' in message


def test_example_imports_no_matplotlib() -> None:
    code = "import sys, fastnn.examples.mnist; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


class TestFromScratch:
    def test_one_step_is_the_same_mathematics_as_sequential(self) -> None:
        (images, labels), _ = mnist.load_sample()
        x, y = images[:200].reshape(200, -1).astype(np.float32) / 255, labels[:200]
        model = fastnn.Sequential([Dense(32, activation="relu"), Dense(10, activation="softmax")])
        naive = NaiveSequential(
            [NaiveDense(784, 32, fastnn.nn.relu), NaiveDense(32, 10, fastnn.nn.softmax)]
        )
        expected = model(x)
        for mine, given in zip(naive.weights, model.weights, strict=True):
            mine.assign(given)
        np.testing.assert_allclose(naive(x), expected, rtol=1e-5, atol=1e-7)

        model.compile(SGD(0.5), "sparse_categorical_crossentropy")
        before = model.evaluate(x, y, verbose=0)
        loss = from_scratch.one_training_step(naive, x, y, SGD(0.5))
        model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0)
        assert float(loss) == pytest.approx(before, rel=1e-5)
        for mine, given in zip(naive.weights, model.weights, strict=True):
            np.testing.assert_allclose(mine, given, rtol=1e-5, atol=1e-6)

    def test_batches_are_all_the_pairs_in_a_new_order_each_epoch(self) -> None:
        images, labels = np.arange(100).reshape(50, 2), 2 * np.arange(50)
        batches = BatchGenerator(images, labels, batch_size=24)
        epochs = [list(batches), list(batches)]
        for epoch in epochs:
            assert [len(y) for _, y in epoch] == [24, 24, 2]
            assert all((x[:, 0] == y).all() for x, y in epoch)
            assert sorted(np.concatenate([y for _, y in epoch])) == list(labels)
        assert len(batches) == 3
        assert list(epochs[0][0][1]) != list(epochs[1][0][1])

    def test_refuses_labels_that_do_not_fit(self) -> None:
        with pytest.raises(ValueError, match=r"images has 3 samples and labels has 2; give one"):
            BatchGenerator(np.zeros((3, 2)), np.zeros(2))

    def test_fit_reports_each_epoch(self) -> None:
        x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
        model = NaiveSequential([NaiveDense(4, 2, fastnn.nn.softmax)])
        history = from_scratch.fit(model, x, y, SGD(1.0), 20, 2, validation_data=(x, y))
        assert list(history) == ["loss", "val_accuracy"]
        assert len(history["loss"]) == len(history["val_accuracy"]) == 20
        assert history["loss"][-1] < history["loss"][0]
        assert history["val_accuracy"][-1] == from_scratch.accuracy(model, x, y) == 1


def draw(path: Path, labels: Array, predictions: Array) -> None:
    history = {"loss": [0.5], "accuracy": [0.8]}
    plot.training_report(path, history, np.zeros((len(labels), 4, 3)), labels, predictions)


class TestPlot:
    # 40 right, 1 right, none right: whether there are too many or too few to fill the grid.
    @pytest.mark.parametrize(("count", "shift"), [(40, 0), (1, 0), (40, 1)])
    def test_writes_png(self, count: int, shift: int, tmp_path: Path) -> None:
        labels = np.arange(count, dtype=np.uint8) % 10
        draw(tmp_path / "report.png", labels, np.eye(10)[(labels + shift) % 10])
        assert (tmp_path / "report.png").read_bytes().startswith(PNG)

    def test_writes_the_format_of_the_suffix(self, tmp_path: Path) -> None:
        draw(tmp_path / "report.PDF", np.array([0, 1]), np.eye(2))
        assert (tmp_path / "report.PDF").read_bytes().startswith(b"%PDF")

    def test_shows_curves_digits_and_counts(self, tmp_path: Path) -> None:
        import matplotlib as mpl

        labels = np.array([0, 1, 1, 2])
        with mpl.rc_context({"svg.fonttype": "none"}):  # texts as texts
            draw(tmp_path / "report.svg", labels, np.eye(3)[[0, 1, 2, 2]])
        picture = (tmp_path / "report.svg").read_text()
        for text in ("loss", "accuracy", "0 (0)", "2 (1)", "3 of 4 right (75.00%)", "predicted"):
            assert f"{text}</text>" in picture, text
        assert picture.count("<image") == 2  # the digits, and the matrix
        assert picture.count('id="line2d_') > 2

    def test_counts_confusions_by_true_and_predicted_class(self) -> None:
        labels, predicted = np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 0, 0])
        counts = plot._confusion(labels, np.eye(3)[predicted])
        np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 0, 0], [2, 0, 1]])

    def test_refuses_arrays_that_do_not_fit(self, tmp_path: Path) -> None:
        file = tmp_path / "report.png"
        with pytest.raises(ValueError, match=r"labels \(2,\) and predictions \(3, 3\); they must"):
            draw(file, np.array([0, 1]), np.eye(3))
        with pytest.raises(ValueError, match=r"labels \(0,\) .* with n above 0"):
            draw(file, np.zeros(0, np.int64), np.zeros((0, 10)))
        with pytest.raises(ValueError, match=r"labels\[1\] is 2; 2 classes"):
            draw(file, np.array([0, 2]), np.eye(2))
        assert not file.exists()

    def test_refuses_a_folder_or_an_unknown_format(self, tmp_path: Path) -> None:
        (tmp_path / "folder.png").mkdir()
        with pytest.raises(PermissionError, match=r"folder\.png cannot be written; choose"):
            plot.writable(tmp_path / "folder.png")
        with pytest.raises(ValueError, match=r"report\.foo does not end in a format"):
            plot.writable(tmp_path / "report.foo")

    @pytest.mark.usefixtures("no_matplotlib")
    def test_without_matplotlib_says_what_to_install(self, tmp_path: Path) -> None:
        with pytest.raises(ImportError, match=r'pip install "fastnn\[plot\]"'):
            draw(tmp_path / "report.png", np.array([0, 1]), np.eye(2))
