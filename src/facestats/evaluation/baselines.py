"""What a model must beat: the mean rating, and ridge regression on the same embeddings."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from facestats.core.tables.embeddings import sample_rows

PENALTIES = np.logspace(-1, 5, 25)
# Train faces that the penalty is chosen on, drawn at random where there are more: scikit-learn's leave-one-out multiplies
# the whole matrix once a penalty, which was more than half of `evaluate` for 50,000 faces.
CHOSEN_ON = 10_000


def baseline_predictions(
    x_train: np.ndarray, y_train: np.ndarray, x: np.ndarray
) -> dict[str, np.ndarray]:
    """Predictions (n,) for `x` of the models `ridge` (penalty by leave-one-out on up to `CHOSEN_ON` train faces) and `mean`."""
    ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    some = sample_rows(len(x_train), CHOSEN_ON)
    with threadpool_limits(1):
        ridge.fit(x_train[some].astype(np.float64), y_train[some])
        if not some.all():
            ridge = make_pipeline(StandardScaler(), Ridge(ridge[-1].alpha_)).fit(
                x_train.astype(np.float64), y_train
            )
        predicted = ridge.predict(x.astype(np.float64))
    return {"ridge": predicted, "mean": np.full(len(x), y_train.mean())}
