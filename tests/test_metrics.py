"""Metrics against formulas in float64: weights, several batches, thresholds, refusals."""

import copy
import pickle
import re

import numpy as np
import pytest

import fastnn
from fastnn import Sequential, layers, losses, metrics, ops, optimizers

SIZES = (32, 32, 7, 1)


def divided(a, b):
    return a / b if b else 0.0


class TestMean:
    @pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1,)], ids=str)
    @pytest.mark.parametrize("weights", [None, "number", "samples", "column", "values"])
    def test_of_values(self, shape, weights, rng, dtype):
        mean, total, count = metrics.Mean(), 0.0, 0.0
        for n in SIZES:
            values = rng.normal(size=(n, *shape)).astype(dtype)
            w = {
                None: lambda: None,
                "number": lambda: 0.25,
                "samples": lambda n=n: rng.random(n),
                "column": lambda n=n: rng.random((n, *(1 for _ in shape))),
                "values": lambda n=n: rng.random((n, *shape)),
            }[weights]()
            mean.update_state(values, w)
            full = np.ones(n) if w is None else np.asarray(w, np.float64)
            full = full.reshape(*full.shape, *[1] * (values.ndim - full.ndim))
            full = np.broadcast_to(full, values.shape)
            total += (values.astype(np.float64) * full).sum() / np.prod(shape)
            count += full.sum() / np.prod(shape)
        tolerance = 2e-6 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(mean.total.numpy(), total, rtol=tolerance, atol=tolerance * 50)
        np.testing.assert_allclose(mean.count.numpy(), count, rtol=tolerance)
        np.testing.assert_allclose(float(mean.result()), total / count, rtol=1e-5, atol=1e-6)

    def test_adds_the_means_of_batches_in_float64(self, rng):
        """So that an epoch's averages do not lose digits, however many batches it has."""
        mean, total = metrics.Mean(), 0.0
        for n in SIZES:
            values = rng.random(n).astype(np.float32)
            mean.update_state(values)
            total += float(fastnn.reduce_mean(values)) * n
        assert float(mean.total) == total
        assert float(mean.count) == sum(SIZES)
        assert float(mean.result()) == total / sum(SIZES)

    def test_of_numbers(self):
        mean = metrics.Mean()
        for value, samples in ((1.0, 3), (4.0, 1)):
            mean.update_state(value, sample_weight=samples)
        assert float(mean.result()) == 7 / 4
        mean.update_state(2.0, sample_weight=[0.5, 0.5, 1.0])
        assert float(mean.result()) == 11 / 6

    def test_of_nothing(self):
        mean = metrics.Mean()
        assert float(mean.result()) == 0
        mean.update_state(np.zeros((0, 3)))
        assert float(mean.result()) == 0
        assert float(mean([1.0, 5.0], [0.0, 0.0])) == 0

    def test_passes_nan_on(self):
        assert np.isnan(float(metrics.Mean()([1.0, np.nan])))

    @pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 3, 1), (1, 4)], ids=str)
    def test_weights_that_do_not_fit(self, shape):
        with pytest.raises(ValueError, match=r"sample_weight has shape .* \(4,\)"):
            metrics.Mean().update_state(np.ones(4), np.ones(shape))

    def test_sum(self, rng):
        values, weights, total = rng.random((5, 2)), rng.random(5), metrics.Sum()
        total.update_state(values, weights)
        total.update_state(values)
        expected = (values * weights[:, None]).sum() + values.sum()
        np.testing.assert_allclose(float(total.result()), expected, rtol=1e-12)


class TestMetric:
    def test_own(self):
        class Largest(metrics.Metric):
            def __init__(self, scale=1.0, **options):
                super().__init__(**options)
                self.scale = scale
                self.inner = metrics.Mean(name="inner")
                self.largest = self.add_weight(name="largest", initializer="zeros")
                self.batches = self.add_variable((2,), "ones", dtype="int32")

            def update_state(self, y_true, y_pred, sample_weight=None):
                self.inner.update_state(y_pred)
                self.largest.assign(ops.maximum(self.largest, self.scale * ops.reduce_max(y_pred)))

            def result(self):
                return {"largest": self.largest.value, "mean": self.inner.result()}

        first, second = Largest(), Largest(scale=2.0, name="second", dtype="float64")
        assert (first.name, first.largest.dtype, second.largest.dtype) == (
            "largest",
            np.float32,
            np.float64,
        )
        assert first.largest.path == "largest/largest"
        assert [v.shape for v in first.variables] == [(), (2,), (), ()]
        assert not any(v.trainable for v in first.variables)
        result = second([0.0], np.array([1.0, 3.0]))
        assert {k: float(v) for k, v in result.items()} == {"largest": 6.0, "mean": 2.0}
        assert second.get_config() == {"scale": 2.0, "name": "second", "dtype": "float64"}
        assert Largest.from_config(second.get_config()).scale == 2.0
        second.reset_state()
        assert not any(v.numpy().any() for v in second.variables)

    def test_unfinished(self):
        class Nothing(metrics.Metric):
            pass

        class NoSuper(metrics.Metric):
            def __init__(self):
                self.total = self.add_weight()

        with pytest.raises(NotImplementedError, match="must define update_state"):
            Nothing()(1, 2)
        with pytest.raises(NotImplementedError, match="must define result"):
            Nothing().result()
        with pytest.raises(AttributeError, match=r"begin with super\(\).__init__\(\)"):
            NoSuper()

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    @pytest.mark.parametrize("make", [metrics.BinaryAccuracy, metrics.AUC, metrics.F1Score])
    def test_copies(self, copied, make):
        metric = make()
        metric.update_state([[1.0, 0.0]], [[0.3, 0.7]])
        other = copied(metric)
        other.update_state([[1.0, 0.0]], [[0.9, 0.2]])
        metric.update_state([[1.0, 0.0]], [[0.9, 0.2]])
        np.testing.assert_array_equal(metric.result(), other.result())
        assert not set(map(id, metric.variables)) & set(map(id, other.variables))


class TestNames:
    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("acc", "acc"),
            ("MSE", "MSE"),
            ("AUC", "AUC"),
            ("root_mean_squared_error", "root_mean_squared_error"),
            (losses.mean_squared_error, "mean_squared_error"),
            (losses.MeanSquaredError(), "mean_squared_error"),
            (metrics.BinaryAccuracy, "binary_accuracy"),
            (metrics.TopKCategoricalAccuracy(k=3, name="top_3_accuracy"), "top_3_accuracy"),
            ({"class_name": "LogCoshError", "config": {}}, "logcosh"),
        ],
        ids=str,
    )
    def test_to_metric(self, given, name):
        metric = metrics.to_metric(given)
        assert isinstance(metric, metrics.Metric)
        assert metric.name == name

    def test_get(self):
        assert metrics.get(None) is None
        assert isinstance(metrics.get("KLDivergence"), metrics.KLDivergence)
        assert isinstance(metrics.get("f1_score"), metrics.F1Score)
        assert metrics.get("top_k_categorical_accuracy") is metrics.top_k_categorical_accuracy
        with pytest.raises(ValueError, match="did you mean 'precision'"):
            metrics.get("precison")

    def test_a_function_in_a_configuration(self):
        metric = metrics.MeanMetricWrapper(losses.huber, delta=2.0)
        again = metrics.deserialize(metrics.serialize(metric))
        assert (again.fn, again.name, again.delta) == (losses.huber, "huber", 2.0)


class TestAccuracies:
    @pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
    def test_top_k(self, k, rng, dtype):
        scores = rng.integers(0, 3, (50, 5)).astype(dtype)
        labels = rng.integers(0, 5, 50)
        above = (scores > np.take_along_axis(scores, labels[:, None], 1)).sum(axis=1)
        for y in (labels, labels[:, None], labels.astype(np.uint8)):
            found = metrics.sparse_top_k_categorical_accuracy(y, scores, k=k)
            np.testing.assert_array_equal(found, (above < k).astype(dtype), strict=True)
        found = metrics.top_k_categorical_accuracy(np.eye(5)[labels], scores, k=k)
        np.testing.assert_array_equal(found, above < k)

    def test_top_k_of_other_numbers(self):
        scores = [[np.nan, 1.0, 2.0], [0.0, -np.inf, np.inf], [0.0, -np.inf, np.inf], [0, 0, 0]]
        found = metrics.sparse_top_k_categorical_accuracy([0, 2, 1, 7], scores, k=2)
        np.testing.assert_array_equal(found, [0, 1, 0, 0])

    def test_top_k_of_sorted_classes(self):
        ranked = [[2, 0, 1], [2, 0, 1]]
        metric = metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True)
        assert float(metric([0, 1], ranked)) == 0.5

    @pytest.mark.parametrize(
        ("y_true", "y_pred", "name"),
        [
            ([1, 0], [[0.7], [0.2]], "binary"),
            ([[1], [0]], [[0.7], [0.2]], "binary"),
            ([1, 0], [[0.7, 0.3], [0.2, 0.8]], "sparse_categorical"),
            ([[1], [0]], [[0.7, 0.3], [0.2, 0.8]], "sparse_categorical"),
            ([[1.0, 0.0], [0.5, 0.5]], [[0.7, 0.3], [0.2, 0.8]], "categorical"),
        ],
    )
    def test_by_shapes(self, y_true, y_pred, name):
        for short, long, family in (
            ("acc", f"{name}_accuracy", metrics),
            ("ce", f"{name}_crossentropy", losses),
        ):
            expected = metrics.Mean()(getattr(family, long)(y_true, y_pred))
            assert float(metrics.to_metric(short)(y_true, y_pred)) == float(expected)

    def test_samples_without_an_axis_of_their_own(self):
        metric = metrics.BinaryAccuracy()
        assert float(metric([1, 1, 0, 0], [0.98, 1, 0, 0.6], [1, 0, 0, 1])) == 0.5
        assert float(metrics.Accuracy()([[1], [2]], [1, 3])) == 0.5

    def test_targets_of_one_axis_fewer_are_not_spread(self):
        metric = metrics.MeanMetricWrapper(lambda y, p: abs(y - p))
        metric.update_state(fastnn.constant([1.0, 5.0]), fastnn.constant([[1.0], [2.0]]))
        assert float(metric.result()) == 1.5

    def test_a_mean_of_the_batch_counts_for_its_samples(self):
        metric = metrics.MeanMetricWrapper(lambda y, p: ops.reduce_mean(p), name="own")
        metric.update_state(np.zeros(3), np.full(3, 2.0))
        metric.update_state(np.zeros(1), np.full(1, 6.0))
        assert float(metric.result()) == 3.0
        metric.update_state(np.zeros(2), np.full(2, 1.0), sample_weight=[0.5, 0.5])
        assert float(metric.result()) == 13 / 5


class TestNumbers:
    def test_root_of_the_mean_of_all(self, rng):
        metric, squares, sum_of_weights = metrics.RootMeanSquaredError(), 0.0, 0.0
        for n in SIZES:
            y, p, w = rng.normal(size=n), rng.normal(size=(n, 1)), rng.random(n)
            metric.update_state(y, p, w)
            squares += (w * (y - p[:, 0]) ** 2).sum()
            sum_of_weights += w.sum()
        expected = np.sqrt(squares / sum_of_weights)
        np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-12)

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("how", [None, "uniform_average", "variance_weighted_average"])
    def test_r2(self, how, weighted, rng):
        metric = metrics.R2Score(how)
        y, p = rng.normal(1000, 1, size=(60, 3)), rng.normal(1000, 1, size=(60, 3))
        w = rng.random(60) if weighted else np.ones(60)
        for part in np.array_split(np.arange(60), 4):
            metric.update_state(y[part], p[part], w[part] if weighted else None)
        mean = (w[:, None] * y).sum(axis=0) / w.sum()
        variances = (w[:, None] * (y - mean) ** 2).sum(axis=0)
        scores = 1 - (w[:, None] * (y - p) ** 2).sum(axis=0) / variances
        expected = {
            None: scores,
            "uniform_average": scores.mean(),
            "variance_weighted_average": (scores * variances).sum() / variances.sum(),
        }[how]
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)

    def test_r2_of_targets_that_do_not_vary(self, rng):
        for value, n in zip(100 * rng.random(400), range(2, 402), strict=True):
            metric, y = metrics.R2Score(), np.full((n, 1), value)
            metric.update_state(y, rng.random((n, 1)), rng.random(n))
            assert float(metric(y[1:], rng.random((n - 1, 1)))) == 0
            metric.reset_state()
            assert np.isnan(metric(y, y))

    @pytest.mark.parametrize("start", [0, 1e4, 1.7e9, -1e12])
    def test_r2_of_targets_far_from_zero(self, start, rng):
        y, noise = start + np.arange(30.0)[:, None], rng.normal(size=(30, 1))
        metric = metrics.R2Score()
        for part in np.array_split(np.arange(30), 3):
            metric.update_state(y[part], y[part] + noise[part])
        errors = (y + noise) - y
        expected = 1 - (errors**2).sum() / ((y - y.mean()) ** 2).sum()
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-9)

    def test_r2_does_not_see_what_weighs_nothing(self):
        y, w = np.arange(8.0)[:, None], np.ones(8)
        y[0], w[0] = 1e15, 0
        expected = 1 - 7 * 0.25 / ((y[1:] - y[1:].mean()) ** 2).sum()
        np.testing.assert_allclose(metrics.R2Score()(y, y + 0.5, w), expected, rtol=1e-12)

    def test_r2_of_targets_that_are_not_finite(self):
        with np.errstate(invalid="ignore"):
            assert np.isnan(metrics.R2Score()([[np.inf], [0.0], [1.0]], np.zeros((3, 1))))

    def test_r2_adjusted(self):
        y, p = np.array([[1.0], [2.0], [4.0], [3.0]]), np.array([[1.5], [2.0], [3.0], [3.0]])
        plain = 1 - 1.25 / 5
        for variables, expected in ((1, 1 - (1 - plain) * 3 / 2), (3, plain), (9, plain)):
            metric = metrics.R2Score(num_regressors=variables)
            np.testing.assert_allclose(float(metric(y, p)), expected, rtol=1e-12)

    def test_no_column_meets_a_row(self):
        """(n, 1) and (n,) are n pairs, not n * n."""
        y, p = np.array([0.0, 1.0, 2.0]), np.array([[1.0], [1.0], [1.0]])
        for name, expected in (
            ("MeanSquaredError", 2 / 3),
            ("MeanAbsoluteError", 2 / 3),
            ("RootMeanSquaredError", np.sqrt(2 / 3)),
            ("Accuracy", 1 / 3),
            ("R2Score", 0),
        ):
            for first, second in ((y, p), (y[:, None], p), (y[:, None], p[:, 0])):
                if name != "R2Score" or second.ndim == 2:
                    found = float(getattr(metrics, name)()(first, second))
                    assert found == pytest.approx(expected)


class TestDecisions:
    @pytest.fixture
    def batches(self, rng):
        return [
            (rng.integers(0, 2, (n, 3)), rng.integers(0, 11, (n, 3)) / 10, rng.random(n))
            for n in SIZES
        ]

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(
        "thresholds", [None, 0.3, np.float32(0.5), [0.0, 0.5, 1.0], [0.2, 0.9]], ids=str
    )
    def test_counts(self, thresholds, weighted, batches):
        y, p, w = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        p = p.astype(np.float32)
        w = np.broadcast_to(w[:, None] if weighted else np.ones((len(y), 1)), y.shape)
        levels = np.ravel(0.5 if thresholds is None else thresholds).astype(np.float32)
        counts = {
            f"{truth}{sign}": np.array(
                [
                    w[((p > t) == (sign == "Positives")) & ((y == 1) == positive)].sum()
                    for t in levels
                ]
            )
            for truth, sign, positive in (
                ("True", "Positives", True),
                ("False", "Positives", False),
                ("True", "Negatives", False),
                ("False", "Negatives", True),
            )
        }
        expected = {
            **counts,
            "Precision": [
                divided(a, a + b)
                for a, b in zip(counts["TruePositives"], counts["FalsePositives"], strict=True)
            ],
            "Recall": [
                divided(a, a + b)
                for a, b in zip(counts["TruePositives"], counts["FalseNegatives"], strict=True)
            ],
        }
        for name, values in expected.items():
            metric = getattr(metrics, name)(thresholds)
            for labels, scores, weights in batches:
                scores = scores.astype(np.float32)
                metric.update_state(labels, scores, weights if weighted else None)
            found = np.atleast_1d(metric.result())
            np.testing.assert_allclose(found, values, rtol=1e-6, err_msg=name)
            assert np.ndim(metric.result()) == (len(levels) > 1)

    @pytest.mark.parametrize("k", [1, 2, 4])
    def test_first_k(self, k, rng):
        """Of equal scores the first ones count."""
        y, p = rng.integers(0, 2, (40, 4)), rng.integers(0, 3, (40, 4)) / 2
        first = np.argsort(-p, axis=1, kind="stable")[:, :k]
        chosen = np.zeros_like(y)
        np.put_along_axis(chosen, first, 1, axis=1)
        hits = (y * chosen).sum()
        assert float(metrics.Precision(top_k=k)(y, p)) == pytest.approx(hits / chosen.sum())
        assert float(metrics.Recall(top_k=k)(y, p)) == pytest.approx(hits / y.sum())
        of_class = metrics.Precision(top_k=k, class_id=2)(y, p)
        expected = divided((y * chosen)[:, 2].sum(), chosen[:, 2].sum())
        assert float(of_class) == pytest.approx(expected)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_area_is_the_chance_that_a_positive_scores_higher(self, weighted, rng):
        """As Mann and Whitney's U counts it, where no threshold falls on a score."""
        y, p = rng.integers(0, 2, 300), (rng.integers(0, 50, 300) + 0.5) / 50
        w = rng.random(300) if weighted else np.ones(300)
        pairs = w[y == 1][:, None] * w[y == 0]
        higher = np.sign(p[y == 1][:, None] - p[y == 0]) / 2 + 0.5
        metric = metrics.AUC(num_thresholds=51)
        for part in np.array_split(np.arange(300), 7):
            metric.update_state(y[part], p[part], w[part] if weighted else None)
        expected = (pairs * higher).sum() / pairs.sum()
        np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-6)

    def test_areas_of_one_point(self):
        """By hand: two positives at 0.9 and 0.4, two negatives at 0.6 and 0.1; threshold 0.5."""
        y, p = [1, 0, 1, 0], [0.9, 0.6, 0.4, 0.1]
        for curve, areas in (("ROC", (0.25, 0.5, 0.75)), ("PR", (0.25, 0.5, 0.5))):
            for method, area in zip(("minoring", "interpolation", "majoring"), areas, strict=True):
                metric = metrics.AUC(3, curve=curve, summation_method=method)
                assert float(metric(y, p)) == pytest.approx(area)

    def test_areas_of_several_outputs(self, rng):
        y, p = rng.integers(0, 2, (50, 3)), rng.random((50, 3))
        each = [float(metrics.AUC()(y[:, i], p[:, i])) for i in range(3)]
        of_all = metrics.AUC(multi_label=True)(y, p)
        weighted = metrics.AUC(multi_label=True, num_labels=3, label_weights=[1, 2, 5])(y, p)
        np.testing.assert_allclose(float(of_all), np.mean(each), rtol=1e-12)
        np.testing.assert_allclose(float(weighted), np.dot(each, [1, 2, 5]) / 8, rtol=1e-12)

    def test_logits(self, rng):
        y, logits = rng.integers(0, 2, 50), rng.normal(size=50)
        of_logits = metrics.AUC(from_logits=True)(y, logits)
        assert float(of_logits) == float(metrics.AUC()(y, 1 / (1 + np.exp(-logits))))

    def test_best_rates(self, rng):
        y, p = rng.integers(0, 2, 200), rng.random(200).astype(np.float32)
        levels = (np.arange(200) / 199).astype(np.float32)
        above = p > levels[:, None]
        tp, fp = (above * y).sum(axis=1), (above * (1 - y)).sum(axis=1)
        recall, specificity = tp / y.sum(), 1 - fp / (1 - y).sum()
        precision = np.array([divided(a, a + b) for a, b in zip(tp, fp, strict=True)])
        for make, rate, floor in (
            (metrics.SensitivityAtSpecificity, recall, specificity),
            (metrics.SpecificityAtSensitivity, specificity, recall),
            (metrics.PrecisionAtRecall, precision, recall),
            (metrics.RecallAtPrecision, recall, precision),
        ):
            for least in (0.0, 0.3, 0.55, 1.0):
                expected = max(rate[floor >= least], default=0)
                assert float(make(least)(y, p)) == pytest.approx(expected)

    @pytest.mark.parametrize("average", [None, "macro", "micro", "weighted"])
    def test_f_scores(self, average, batches):
        y, p, w = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        w = w[:, None]
        axis = None if average == "micro" else 0
        decided = p > 0.45
        tp = (w * y * decided).sum(axis=axis)
        precision, recall = tp / (w * decided).sum(axis=axis), tp / (w * y).sum(axis=axis)
        scores = 5 * precision * recall / (4 * precision + recall)
        targets = (w * y).sum(axis=0)
        expected = {
            "macro": np.mean(scores),
            "weighted": (scores * targets).sum() / targets.sum() if axis == 0 else None,
        }.get(average, scores)
        metric = metrics.FBetaScore(average, 2.0, 0.45)
        for batch in batches:
            metric.update_state(*batch)
        np.testing.assert_allclose(metric.result(), expected, rtol=2e-6)

    def test_f1_of_the_most_probable_class(self):
        y, p = np.eye(3)[[0, 1, 1, 2]], [[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0, 1, 0], [0, 0, 0]]
        np.testing.assert_allclose(metrics.F1Score()(y, p), [2 / 3, 2 / 3, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.BinaryAccuracy(threshold="a"), "threshold must be a number, such"),
        (lambda: metrics.TopKCategoricalAccuracy(k=0), "k must be a positive integer, got 0"),
        (lambda: metrics.Precision(1.5), "thresholds must be numbers in [0, 1], got 1.5"),
        (lambda: metrics.BinaryAccuracy(threshold=None), "threshold must be a number, such"),
        (lambda: metrics.TruePositives([]), "thresholds must be numbers in [0, 1], got []"),
        (lambda: metrics.Precision(top_k=4)(np.ones((2, 3)), np.ones((2, 3))), "top_k=4 of 3"),
        (lambda: metrics.Recall(class_id=3)(np.ones((2, 3)), np.ones((2, 3))), "class_id=3 of"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds must be 2 or more, got 1"),
        (lambda: metrics.AUC(num_thresholds=3.5), "num_thresholds must be a positive integer"),
        (lambda: metrics.Precision(top_k=1.5), "top_k must be a positive integer, got 1.5"),
        (lambda: metrics.AUC(curve="RO"), "curve must be one of"),
        (lambda: metrics.AUC(curve=3), "curve must be one of"),
        (lambda: metrics.AUC(summation_method="x"), "summation_method one of"),
        (lambda: metrics.AUC(num_labels=2), "num_labels is for multi_label=True"),
        (lambda: metrics.AUC(multi_label=True)([1, 0], [0.5, 0.5]), "it must be (n, labels)"),
        (lambda: metrics.PrecisionAtRecall(1.1), "recall must be a number in [0, 1], got 1.1"),
        (lambda: metrics.F1Score("mean"), "average must be one of"),
        (lambda: metrics.FBetaScore(beta=0.0), "beta must be a positive number, got 0.0"),
        (lambda: metrics.F1Score(threshold=0.0), "threshold must be a number in (0, 1]"),
        (lambda: metrics.F1Score()([1.0], [1.0]), "must have shape (n, classes)"),
        (lambda: metrics.R2Score("mean"), "class_aggregation must be one of"),
        (
            lambda: metrics.R2Score(num_regressors=-1),
            "num_regressors must be an integer and not negative",
        ),
        (lambda: metrics.R2Score(num_regressors=1.5), "num_regressors must be an integer"),
        (lambda: metrics.R2Score()([1.0], [1.0]), "must have shape (n, outputs)"),
        (lambda: metrics.MeanSquaredError()(np.ones(3), np.ones((3, 2))), "(3,) and y_pred (3, 2)"),
        (lambda: metrics.Precision()(np.ones(2), np.ones(3)), "shape (2,) and y_pred (3,)"),
        (lambda: metrics.Accuracy()(np.ones(2), np.ones(3)), "have shape (2,) where"),
        (
            lambda: metrics.TopKCategoricalAccuracy()([0, 1], np.ones((2, 3))),
            "have shape (2,) where the predictions call for (2, 3)",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


class TestInFit:
    def test_an_epoch_is_one_batch_of_all(self, rng):
        """Without training, batches of any size give what all samples at once give."""
        x, y = rng.random((50, 4)).astype(np.float32), rng.integers(0, 2, 50)
        names = ["acc", "AUC", "precision", "root_mean_squared_error", "bce", "false_negatives"]
        model = Sequential([layers.Dense(1, "sigmoid")])
        model.compile("sgd", "binary_crossentropy", metrics=names)
        model.optimizer.learning_rate = 1e-30
        history = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history
        assert set(history) == {"loss", *names}
        predicted = model.predict(x)
        for name in names:
            expected = float(metrics.to_metric(name)(y, predicted))
            np.testing.assert_allclose(history[name], [expected] * 2, rtol=1e-6)

    def test_several_numbers(self, rng):
        x, y = rng.random((50, 4)).astype(np.float32), np.eye(3)[rng.integers(0, 3, 50)]
        model = Sequential([layers.Dense(3, "softmax")])
        model.compile("sgd", "categorical_crossentropy", metrics=[metrics.F1Score()])
        history = model.fit(x, y, validation_split=0.2, epochs=2, verbose=0).history
        assert [values.shape for values in history["val_f1_score"]] == [(3,)] * 2
        measured = model.evaluate(x, y, verbose=0, return_dict=True)
        expected = metrics.F1Score()(y, model.predict(x))
        np.testing.assert_allclose(measured["f1_score"], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "crossentropy"])
def test_outputs_of_one_unit_for_targets_of_an_axis_less(name):
    """They are binary, whatever the length of the axis before."""
    p = np.random.default_rng(0).uniform(0.1, 0.9, (6, 4, 1)).astype(np.float32)
    y = np.random.default_rng(1).integers(0, 2, (6, 4))
    measured = metrics.to_metric(name)(fastnn.constant(y), fastnn.constant(p))
    q = p[..., 0].astype(float)
    right = ((q > 0.5) == y).mean()
    entropy = -np.log(np.where(y, q, 1 - q)).mean()
    np.testing.assert_allclose(measured, right if name == "accuracy" else entropy, rtol=1e-6)


@pytest.mark.parametrize("n", [4, 5])
@pytest.mark.parametrize("column", [False, True])
def test_a_weight_for_each_sample_of_more_axes(n, column):
    """Shape (n,) or (n, 1), also where another axis is as long as the batch."""
    rng = np.random.default_rng(2)
    p, y = rng.random((n, 4, 1)), rng.integers(0, 2, (n, 4, 1))
    weights = np.arange(n, dtype=float)
    given = weights[:, None] if column else weights
    found = metrics.BinaryAccuracy()(y, p, sample_weight=given)
    each = ((p > 0.5) == y).mean(axis=(1, 2))
    np.testing.assert_allclose(found, (each * weights).sum() / weights.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    "metric", [metrics.F1Score(), metrics.R2Score(), metrics.AUC(multi_label=True)]
)
def test_a_result_before_the_first_batch_is_refused(metric):
    with pytest.raises(ValueError, match=f"{metric.name!r} has no result before the first batch"):
        metric.result()


def test_logits_are_above_0():
    metric = metrics.BinaryAccuracy(threshold=0)
    metric.update_state([1.0, 0.0, 1.0, 1.0], [0.2, -3.0, -0.1, 5.0])
    assert float(metric.result()) == 0.75


def test_a_function_of_no_module():
    found = {}
    exec("def error(y_true, y_pred):\n    return abs(y_true - y_pred)", found)
    found["error"].__module__ = None
    metric = metrics.to_metric(found["error"])
    metric.update_state(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    assert float(metric.result()) == 0.5


@pytest.mark.parametrize("name", ["accuracy", "Accuracy", "ACC"])
def test_accuracy_is_of_the_kind_that_the_data_tell(name):
    x, y = np.array([[0.2], [0.9], [0.7], [0.1]]), np.array([0, 1, 0, 0])
    model = Sequential([layers.Identity()])
    model.compile(loss="binary_crossentropy", metrics=[name])
    assert model.evaluate(x, y, verbose=0)[1] == 0.75


@pytest.mark.parametrize("eagerly", [False, True])
def test_metrics_of_layers_are_reported_and_begin_anew(eagerly):
    class Watched(layers.Layer):
        def __init__(self):
            super().__init__()
            self.mean = metrics.Mean(name="mean_output")

        def call(self, inputs):
            self.mean.update_state(inputs)
            return inputs

    watched = Watched()
    model = Sequential([layers.Dense(1, kernel_initializer="ones", use_bias=False), watched])
    model.compile(optimizers.SGD(0.125), "mse", run_eagerly=eagerly)
    x = np.ones((4, 1), np.float32)
    history = model.fit(x, np.zeros((4, 1)), epochs=3, verbose=0).history
    assert history["mean_output"] == [1, 0.75, 0.5625]
    assert float(watched.mean.result()) == 0.5625
    assert model.metrics_names == ["loss", "mean_output"]


def test_metrics_of_an_inner_model_that_was_compiled_are_its_own():
    inner = Sequential([layers.Dense(3)])
    inner.compile("sgd", "mse", metrics=["mae"])
    model = Sequential([inner, layers.Dense(1)])
    model.compile("sgd", "mse")
    assert model.metrics_names == ["loss"]
    x, y = np.ones((8, 2)), np.ones((8, 1))
    expected = float(np.mean((np.asarray(model(x)) - 1) ** 2))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-6)


def test_metrics_of_one_name_are_warned_of():
    class Watched(layers.Layer):
        def __init__(self):
            super().__init__()
            self.mean = metrics.Mean(name="seen")

        def call(self, inputs):
            self.mean.update_state(inputs)
            return inputs + 1

    model = Sequential([Watched(), Watched(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match=r"several losses and metrics are called \['seen'\]"):
        model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0)
