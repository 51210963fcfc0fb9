"""Classifiers of scikit-learn as somebody else's pickles, for the tests of their conversion."""

import pickle

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from facestats.attributes.model import AttributeModel
from facestats.attributes.pretrained import convert, load_pretrained

D = 24


def unit(k: int, n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of overlapping classes, and the number of each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(k, D))
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    x = centres[y] + rng.normal(size=(n, D)) * 1.5
    return x / np.linalg.norm(x, axis=1, keepdims=True), y


WORDS = {2: np.array(["female", "male"]), 4: np.array(["Asian", "Black", "Latino", "White"])}


KINDS = {
    "logistic regression": LogisticRegression(),
    "logistic regression, cross-validated": LogisticRegressionCV(
        Cs=2, cv=2, use_legacy_attributes=False, l1_ratios=(0,)
    ),
    "linear discriminants": LinearDiscriminantAnalysis(),
    "SGD": SGDClassifier(loss="log_loss", random_state=0),
    "one against rest": OneVsRestClassifier(LogisticRegression()),
    "perceptron": MLPClassifier((8, 5), max_iter=5, random_state=0),
    "perceptron, tanh": MLPClassifier((5,), activation="tanh", max_iter=5, random_state=0),
    "nearest neighbours": KNeighborsClassifier(5),
    "nearest neighbours, cosine": KNeighborsClassifier(5, weights="distance", metric="cosine"),
    "gaussian": GaussianNB(),
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "forest": RandomForestClassifier(5, random_state=0),
    "extra trees": ExtraTreesClassifier(5, random_state=0),
    "boosted trees": GradientBoostingClassifier(n_estimators=5, random_state=0),
    "calibrated margins": CalibratedClassifierCV(LinearSVC(random_state=0), cv=2),
    "calibrated shares": CalibratedClassifierCV(GaussianNB(), cv=2, method="isotonic"),
    "calibrated support vectors": CalibratedClassifierCV(SVC(), cv=2, ensemble=False),
    "pipeline": make_pipeline(StandardScaler(), PCA(6, whiten=True), LogisticRegression()),
    "pipeline in a pipeline": make_pipeline(
        make_pipeline(MinMaxScaler(), RobustScaler()),
        make_pipeline(MaxAbsScaler(), Normalizer(), GaussianNB()),
    ),
    "grid search": GridSearchCV(
        make_pipeline(StandardScaler(with_mean=False), LogisticRegression()),
        {"logisticregression__C": [0.1, 1]},
        cv=2,
    ),
}


def fitted(kind: str, k: int):
    x, y = unit(k)
    return KINDS[kind].fit(x, WORDS[k][y])


def dump(content, path) -> object:
    path.write_bytes(pickle.dumps(content))
    return path


def converted(tmp_path, words=("female", "male")) -> AttributeModel:
    x, y = unit(2, 400)
    model, _ = convert(
        dump(LinearSVC(random_state=0).fit(x, y), tmp_path / "clf.pkl"), "other", list(words)
    )
    model.save(tmp_path / "clf.safetensors")
    return load_pretrained(tmp_path / "clf.safetensors", "gender", "classification", D)
