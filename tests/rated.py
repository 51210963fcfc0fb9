"""Made-up rated faces for the tests of the regressor."""

import numpy as np

D = 24
QUICK = {"hidden": [16], "ensemble": 2, "epochs": 5, "seed": 3}


def noisy_line(n, seed):
    """Ratings around 4 that depend on features of very different scales.

    The noise leaves r of about 0.95.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, D))
    slopes = np.random.default_rng(99).normal(size=D) / np.sqrt(D)
    y = 4 + x @ slopes + 0.3 * rng.normal(size=n)
    return (x * np.logspace(-3, 3, D) + 5).astype(np.float32), y


def no_line(n, seed):
    """Ratings around 50 that depend on the product of two features, which no line can see."""
    x = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)
    return x, 50 + 10 * np.sign(x[:, 0] * x[:, 1])


def r(model, x, y):
    return np.corrcoef(model.predict(x), y)[0, 1]
