"""Data of the shapes, dtypes and class counts of well-known sets, small and made up.

Only the digits are real: they are the sample of MNIST in the package.
"""

import numpy as np

from fastnn.datasets import mnist


def digits():
    """Images as rows of float32 in [0, 1]; labels as they come."""
    (x, y), (x_test, y_test) = mnist.load_sample()
    x = x.reshape((len(x), 28 * 28)).astype("float32") / 255
    x_test = x_test.reshape((len(x_test), 28 * 28)).astype("float32") / 255
    return (x, y), (x_test, y_test)


def texts(count, classes, words, seed):
    """Word lists as an object array: half of a text's words are drawn from its class's own."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    favourites = np.random.default_rng(0).integers(4, words, (classes, 40))
    data = np.empty(count, dtype=object)
    for i, label in enumerate(labels):
        length = int(rng.integers(20, 120))
        common = rng.integers(4, words, length // 2)
        own = rng.choice(favourites[label], length - length // 2)
        data[i] = [1, *map(int, common), *map(int, own)]
    return data, labels


def reviews(count=600, words=500):
    """Like imdb: two classes, int64 labels."""
    return texts(count, 2, words, seed=1), texts(count, 2, words, seed=2)


def newswires(count=1200, words=800):
    """Like reuters: 46 classes, int64 labels."""
    return texts(count, 46, words, seed=3), texts(count // 4, 46, words, seed=4)


def multi_hot(sequences, words):
    """Rows of float64 with a one at each word that occurs."""
    rows = np.zeros((len(sequences), words))
    for row, sequence in zip(rows, sequences, strict=True):
        row[sequence] = 1.0
    return rows


def houses():
    """Like boston_housing: 13 features of very different scales, prices in thousands, float64."""
    rng = np.random.default_rng(5)
    scales = 10.0 ** rng.integers(-2, 3, 13)
    weights = rng.normal(size=13) / scales
    x = np.abs(rng.normal(size=(506, 13))) * scales
    prices = x @ weights
    prices = 5 + 45 * (prices - prices.min()) / (prices.max() - prices.min())
    y = prices + rng.normal(size=506)
    return (x[:404], y[:404]), (x[404:], y[404:])


def two_clouds(count=500):
    """Two clouds of points in the plane as (2n, 2) and their targets as (2n, 1), float32."""
    rng = np.random.default_rng(6)
    spread = [[1, 0.5], [0.5, 1]]
    below = rng.multivariate_normal([0, 3], spread, count)
    above = rng.multivariate_normal([3, 0], spread, count)
    x = np.vstack((below, above)).astype(np.float32)
    y = np.vstack((np.zeros((count, 1), "float32"), np.ones((count, 1), "float32")))
    return x, y
