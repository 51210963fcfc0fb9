"""The steps before the classifier of a fitted pipeline, and reading attributes of estimators.

Only names of classes and attributes are read, never methods: `take_apart` says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from facestats.attributes.estimators.nodes import Node
from facestats.attributes.estimators.unpickle import Remains
from facestats.errors import MisfitError, ModelError

SOFTMAX = ("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis")
MARGINS = (
    "LinearSVC",
    "SGDClassifier",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "Perceptron",
    "PassiveAggressiveClassifier",
)
LINES = (
    "Ridge",
    "RidgeCV",
    "LinearRegression",
    "Lasso",
    "LassoCV",
    "LassoLarsCV",
    "ElasticNet",
    "ElasticNetCV",
    "BayesianRidge",
    "ARDRegression",
    "HuberRegressor",
    "SGDRegressor",
    "LinearSVR",
    "TheilSenRegressor",
)
FORESTS = ("RandomForestClassifier", "ExtraTreesClassifier")
TREES = ("DecisionTreeClassifier", "ExtraTreeClassifier")
SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
WRAPPERS = {
    "GridSearchCV": "best_estimator_",
    "RandomizedSearchCV": "best_estimator_",
    "HalvingGridSearchCV": "best_estimator_",
    "HalvingRandomSearchCV": "best_estimator_",
    "FrozenEstimator": "estimator",
}
TRANSFORMERS = (*SCALERS, "Normalizer", "PCA", "TruncatedSVD")
CLASSIFIERS = (
    *SOFTMAX,
    *MARGINS,
    "SVC",
    "NuSVC",
    "MLPClassifier",
    "KNeighborsClassifier",
    "GaussianNB",
    *TREES,
    *FORESTS,
    "GradientBoostingClassifier",
    "CalibratedClassifierCV",
    "OneVsRestClassifier",
)
OWN = ("TreeClassifier", "CalibratedClassifier")  # `own`: trees and calibrated ones become these
NO_PROBABILITIES = (
    "counts by its margins: the logistic function of a margin stands for a probability, until "
    "labelled faces calibrate it"
)


def name_of(estimator: Any) -> str:
    """Name of an estimator's class."""
    return estimator.name if isinstance(estimator, Remains) else type(estimator).__name__


def state_of(estimator: Any) -> dict[str, Any]:
    """Attributes of an estimator, or those that a pickle gives it."""
    state = (
        estimator.state if isinstance(estimator, Remains) else getattr(estimator, "__dict__", {})
    )
    return state if isinstance(state, dict) else {}


def take_steps(transformers: Iterable[Any]) -> list[Node]:
    """Take transformers apart, in this order; see `take_apart`."""
    return [part for transformer in transformers if (part := take_step(transformer)) is not None]


class MissingError(Exception):
    """An estimator lacks an attribute that fitting would have given it."""

    def __init__(self, estimator: Any, attribute: str):
        self.estimator, self.attribute = estimator, attribute


def get_value(estimator: Any, *names: str) -> Any:
    """Get an attribute under the first of its names in different versions."""
    state = state_of(estimator)
    for name in names:
        if state.get(name) is not None:
            return state[name]
    raise MissingError(estimator, names[0])


def get_array(estimator: Any, *names: str) -> np.ndarray:
    value = np.asarray(get_value(estimator, *names))
    if value.dtype.kind not in "fiub":
        raise MisfitError(f"{names[0]} of {name_of(estimator)} has no numbers")
    return np.ascontiguousarray(
        value, dtype=value.dtype if value.dtype in (np.float32, np.float64) else np.float64
    ).reshape(value.shape)


def whole_numbers(values: Any) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.int64)


def refusal(estimator: Any, what: str = "can't be stored as arrays") -> ModelError:
    return ModelError(
        f"{name_of(estimator) or 'this'} {what}; what can: "
        f"{', '.join((*CLASSIFIERS, *LINES[:7], 'Pipeline', *WRAPPERS))}. Train one of "
        "these on what yours answers"
    )


def steps_before(estimator: Any) -> list[Any]:
    """List the steps before the last one, also of pipelines inside pipelines."""
    if name_of(estimator) in WRAPPERS:
        return steps_before(get_value(estimator, WRAPPERS[name_of(estimator)]))
    if name_of(estimator) != "Pipeline":
        return []
    inner = _steps_of(estimator)
    steps: list[Any] = []
    for step in inner[:-1]:
        steps += [*steps_before(step), estimator_of(step)]
    return steps + (steps_before(inner[-1]) if inner else [])


def _steps_of(pipeline: Any) -> list[Any]:
    """The steps of a pipeline that do something."""
    steps = (step for _, step in get_value(pipeline, "steps"))
    return [step for step in steps if step is not None and step != "passthrough"]


def estimator_of(estimator: Any) -> Any:
    """Get the last step of a pipeline, or the best estimator of a search."""
    if name_of(estimator) in WRAPPERS:
        return estimator_of(get_value(estimator, WRAPPERS[name_of(estimator)]))
    if name_of(estimator) == "Pipeline":
        inner = _steps_of(estimator)
        if not inner:
            raise MissingError(estimator, "steps")
        return estimator_of(inner[-1])
    return estimator


def take_step(step: Any) -> Node | None:
    """Take one transformer apart; None for one that does nothing."""
    name, state = name_of(step), state_of(step)
    if name in SCALERS:
        mean, scale = _scaling(step, name, state)
        return Node("standard scaler", {}, {"mean": mean, "scale": scale})
    if name == "Normalizer":
        return Node("normalizer", {"norm": state.get("norm", "l2")})
    if name in ("PCA", "TruncatedSVD"):
        components = get_array(step, "components_")
        variance = (
            get_array(step, "explained_variance_") if name == "PCA" else np.ones(len(components))
        )
        mean = get_array(step, "mean_") if name == "PCA" else np.zeros(components.shape[1])
        return Node(
            "principal components",
            {"whiten": bool(state.get("whiten", False))},
            {"mean": mean, "components": components, "variance": np.maximum(variance, 0)},
        )
    if name == "FunctionTransformer" and state.get("func") is None:
        return None
    raise refusal(
        step,
        "as a step of a pipeline can't be stored as arrays (StandardScaler, MinMaxScaler, "
        "MaxAbsScaler, RobustScaler, Normalizer, PCA and TruncatedSVD can)",
    )


def _scaling(step: Any, name: str, state: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """What a scaler subtracts, and then divides by."""
    if state.get("clip"):
        raise refusal(step, "with clip=True can't be stored as arrays")
    if name == "MinMaxScaler":
        factor = get_array(step, "scale_").astype(np.float64)
        return -get_array(step, "min_") / factor, 1 / factor
    centre = {"StandardScaler": ("mean_",), "RobustScaler": ("center_",)}.get(name, ("nothing",))
    mean = (
        state.get(centre[0])
        if state.get("with_mean", True) and state.get("with_centering", True)
        else None
    )
    scale = (
        state.get("scale_", state.get("std_"))
        if state.get("with_std", True) and state.get("with_scaling", True)
        else None
    )
    if mean is None and scale is None:
        d = state.get("n_features_in_")
        if d is None:
            raise MissingError(step, "scale_")
        return np.zeros(int(d)), np.ones(int(d))
    if scale is None:
        mean = np.asarray(mean, dtype=np.float64)
        return mean, np.ones(len(mean))
    mean = np.zeros(len(scale)) if mean is None else np.asarray(mean, dtype=np.float64)
    return mean, np.asarray(scale, dtype=np.float64)
