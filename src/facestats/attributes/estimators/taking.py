"""Fitted estimators of scikit-learn taken apart: what they learned, by its structure.

It looks at names of classes and at attributes, never at methods: so it takes what lives in memory
and what is left of a pickle (`unpickle.Remains`), by whatever version of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from facestats.attributes.estimators.kinds import (
    ACTIVATIONS,
    KERNELS,
    METRICS,
    TREE_ARRAYS,
    WEIGHTS,
    Node,
)
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
OWN = ("TreeClassifier", "CalibratedClassifier")  # what the others become
NO_PROBABILITIES = (
    "has margins and no probabilities: the logistic function of its margin stands in, until "
    "labelled faces calibrate it"
)


class Parts(NamedTuple):
    """An estimator taken apart.

    Attributes
    ----------
    classes : ndarray, optional
        As the estimator has them, in the order of its probabilities; None of a regression.
    dimension : int, optional
        Numbers that go in; None where no array says it.
    notes : list of str
        What the one who converts it should know.
    """

    node: Node
    classes: np.ndarray | None
    dimension: int | None
    notes: list[str]

    @classmethod
    def of(
        cls, node: Node, classes: np.ndarray | None, dimension: int | None, notes: list[str]
    ) -> Parts:
        """With the dimension that the first array says, else the one given."""
        found = _dimension(node)
        return cls(node, classes, dimension if found is None else found, notes)


def name_of(estimator: Any) -> str:
    """Name of the class."""
    return estimator.name if isinstance(estimator, Remains) else type(estimator).__name__


def state_of(estimator: Any) -> dict[str, Any]:
    """Attributes of an estimator, or what a pickle says that they are."""
    state = (
        estimator.state if isinstance(estimator, Remains) else getattr(estimator, "__dict__", {})
    )
    return state if isinstance(state, dict) else {}


def take_apart(estimator: Any) -> Parts:
    """What a fitted classifier, regression or pipeline learned.

    Raises
    ------
    ModelError
        It is of another kind, or was not fitted: says its name and which kinds there are.
    """
    notes: list[str] = []
    try:
        steps = take_steps(_steps(estimator))
        head, classes = _head(estimator_of(estimator), notes)
    except _Missing as error:
        raise ModelError(
            f"{name_of(error.estimator)} has no {error.attribute}: it was not fitted, or was "
            "saved by a version too far away"
        ) from None
    except (
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise ModelError(f"{name_of(estimator)} can't be taken apart ({error})") from None
    state = state_of(estimator_of(estimator))
    dimension = state.get("n_features_in_", state.get("n_features_"))
    return Parts.of(
        Node("pipeline", {}, {}, [*steps, head]),
        classes,
        None if dimension is None else int(dimension),
        notes,
    )


def take_steps(transformers: Iterable[Any]) -> list[Node]:
    """Transformers taken apart, in this order; see `take_apart`."""
    return [part for transformer in transformers if (part := _step(transformer)) is not None]


class _Missing(Exception):
    def __init__(self, estimator: Any, attribute: str):
        self.estimator, self.attribute = estimator, attribute


def _get(estimator: Any, *names: str) -> Any:
    """The first attribute that there is, of several that versions called it."""
    state = state_of(estimator)
    for name in names:
        if state.get(name) is not None:
            return state[name]
    raise _Missing(estimator, names[0])


def _array(estimator: Any, *names: str) -> np.ndarray:
    value = np.asarray(_get(estimator, *names))
    if value.dtype.kind not in "fiub":
        raise MisfitError(f"{names[0]} of {name_of(estimator)} has no numbers")
    return np.ascontiguousarray(
        value, dtype=value.dtype if value.dtype in (np.float32, np.float64) else np.float64
    ).reshape(value.shape)


def _whole(values: Any) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.int64)


def _refuse(estimator: Any, what: str = "can't be stored as arrays") -> ModelError:
    return ModelError(
        f"{name_of(estimator) or 'this'} {what}; what can: "
        f"{', '.join((*CLASSIFIERS, *LINES[:7], 'Pipeline', *WRAPPERS))}. Train one of "
        "these on what yours answers"
    )


def _steps(estimator: Any) -> list[Any]:
    """What stands before the last step, pipelines inside of pipelines too."""
    if name_of(estimator) in WRAPPERS:
        return _steps(_get(estimator, WRAPPERS[name_of(estimator)]))
    if name_of(estimator) != "Pipeline":
        return []
    inner = [
        step for _, step in _get(estimator, "steps") if step is not None and step != "passthrough"
    ]
    found: list[Any] = []
    for step in inner[:-1]:
        found += [*_steps(step), estimator_of(step)]
    return found + (_steps(inner[-1]) if inner else [])


def estimator_of(estimator: Any) -> Any:
    """The last step of a pipeline, the best of a search."""
    if name_of(estimator) in WRAPPERS:
        return estimator_of(_get(estimator, WRAPPERS[name_of(estimator)]))
    if name_of(estimator) == "Pipeline":
        inner = [
            step
            for _, step in _get(estimator, "steps")
            if step is not None and step != "passthrough"
        ]
        if not inner:
            raise _Missing(estimator, "steps")
        return estimator_of(inner[-1])
    return estimator


def _step(step: Any) -> Node | None:
    """A transformer."""
    name, state = name_of(step), state_of(step)
    if name in SCALERS:
        mean, scale = _scaling(step, name, state)
        return Node("standard scaler", {}, {"mean": mean, "scale": scale})
    if name == "Normalizer":
        return Node("normalizer", {"norm": state.get("norm", "l2")})
    if name in ("PCA", "TruncatedSVD"):
        components = _array(step, "components_")
        variance = (
            _array(step, "explained_variance_") if name == "PCA" else np.ones(len(components))
        )
        mean = _array(step, "mean_") if name == "PCA" else np.zeros(components.shape[1])
        return Node(
            "principal components",
            {"whiten": bool(state.get("whiten", False))},
            {"mean": mean, "components": components, "variance": np.maximum(variance, 0)},
        )
    if name == "FunctionTransformer" and state.get("func") is None:
        return None
    raise _refuse(
        step,
        "as a step of a pipeline can't be stored as arrays (StandardScaler, MinMaxScaler, "
        "MaxAbsScaler, RobustScaler, Normalizer, PCA "
        "and TruncatedSVD can)",
    )


def _scaling(step: Any, name: str, state: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """What is subtracted, and what is divided by then."""
    if state.get("clip"):
        raise _refuse(step, "with clip=True can't be stored as arrays")
    if name == "MinMaxScaler":
        factor = _array(step, "scale_").astype(np.float64)
        return -_array(step, "min_") / factor, 1 / factor
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
            raise _Missing(step, "scale_")
        return np.zeros(int(d)), np.ones(int(d))
    if scale is None:
        mean = np.asarray(mean, dtype=np.float64)
        return mean, np.ones(len(mean))
    mean = np.zeros(len(scale)) if mean is None else np.asarray(mean, dtype=np.float64)
    return mean, np.asarray(scale, dtype=np.float64)


def _head(model: Any, notes: list[str]) -> tuple[Node, np.ndarray | None]:
    """The classifier or regression at the end, and its classes."""
    name = name_of(model)
    if name in LINES:
        coef = _array(model, "coef_")
        if coef.ndim > 1 and coef.shape[0] != 1:
            raise _refuse(model, f"of {coef.shape[0]} numbers at once can't be stored as arrays")
        intercept = np.ravel(state_of(model).get("intercept_", 0.0))
        return Node(
            "ridge regression",
            {},
            {
                "coef": coef.ravel(),
                "intercept": np.asarray(intercept[0], dtype=np.float64).reshape(()),
            },
        ), None
    takers = {
        **dict.fromkeys(SOFTMAX, _logistic),
        **dict.fromkeys(MARGINS, _margins),
        **dict.fromkeys(("SVC", "NuSVC"), _support_vectors),
        **dict.fromkeys(TREES, _forest),
        **dict.fromkeys(FORESTS, _forest),
        "MLPClassifier": _perceptron,
        "KNeighborsClassifier": _neighbours,
        "GaussianNB": _gaussian,
        "GradientBoostingClassifier": _boosted,
        "CalibratedClassifierCV": _calibrated,
        "OneVsRestClassifier": _one_against_rest,
    }
    if name in OWN and not isinstance(model, Remains):
        takers |= {"TreeClassifier": _own_trees, "CalibratedClassifier": _own_calibrated}
    if name not in takers:
        raise _refuse(model)
    holder = {
        "OneVsRestClassifier": "label_binarizer_",
        "RidgeClassifier": "_label_binarizer",
        "RidgeClassifierCV": "_label_binarizer",
    }.get(name)
    classes = np.asarray(_get(_get(model, holder) if holder else model, "classes_"))
    if classes.ndim != 1 or len(classes) < 2:
        raise MisfitError(f"{len(classes)} classes, 2 are needed")
    return takers[name](model, len(classes), notes), classes


def _line(kind: str, coef: np.ndarray, intercept: Any, k: int) -> Node:
    rows = 1 if k == 2 else k
    coef = coef.reshape(rows, -1) if coef.ndim == 1 else coef
    intercept = np.broadcast_to(np.asarray(intercept, dtype=np.float64).ravel(), (rows,)).copy()
    return Node(
        "logistic regression" if k == 2 else kind, {}, {"coef": coef, "intercept": intercept}
    )


def _logistic(model: Any, k: int, notes: list[str]) -> Node:
    state = state_of(model)
    coef, intercept = _array(model, "coef_"), state.get("intercept_", 0.0)
    way = state.get("multi_class", "auto")
    if name_of(model) == "LinearDiscriminantAnalysis" or (
        way == "auto" and state.get("solver") != "liblinear"
    ):
        way = "softmax"
    elif way == "multinomial" and k == 2:  # once, a softmax of the margin and its negative
        coef, intercept = 2 * coef, 2 * np.asarray(intercept, dtype=np.float64)
    return _line(
        "logistic regression" if way in ("softmax", "multinomial") else "one against rest",
        coef,
        intercept,
        k,
    )


def _margins(model: Any, k: int, notes: list[str]) -> Node:
    if state_of(model).get("loss") not in ("log", "log_loss"):
        notes.append(f"{name_of(model)} {NO_PROBABILITIES}")
    return _line(
        "one against rest", _array(model, "coef_"), state_of(model).get("intercept_", 0.0), k
    )


def _one_against_rest(model: Any, k: int, notes: list[str]) -> Node:
    each = [estimator_of(inner) for inner in _get(model, "estimators_")]
    if any(name_of(inner) not in (*SOFTMAX, *MARGINS) for inner in each):
        raise _refuse(
            model,
            f"of {', '.join(sorted({name_of(inner) for inner in each}))} can't be stored as arrays",
        )
    lines = [_head(inner, notes)[0].arrays for inner in each]
    return _line(
        "one against rest",
        np.concatenate([line["coef"] for line in lines]),
        np.concatenate([line["intercept"] for line in lines]),
        k,
    )


def _perceptron(model: Any, k: int, notes: list[str]) -> Node:
    weights, biases = list(_get(model, "coefs_")), list(_get(model, "intercepts_"))
    activation = _choice(model, "activation", ACTIVATIONS, "relu")
    arrays = {f"weights{i}": np.asarray(w, dtype=np.float64) for i, w in enumerate(weights)}
    return Node(
        "perceptron",
        {"activation": activation, "layers": len(weights)},
        arrays | {f"biases{i}": np.asarray(b, dtype=np.float64) for i, b in enumerate(biases)},
    )


def _choice(model: Any, attribute: str, known: Iterable[str], default: str) -> str:
    value = state_of(model).get(attribute, default)
    if not isinstance(value, str) or value not in known:
        shown = name_of(value) if isinstance(value, Remains) or callable(value) else value
        raise _refuse(model, f"with {attribute}={shown!s:.60} can't be stored as arrays")
    return str(value)


def _support_vectors(model: Any, k: int, notes: list[str]) -> Node:
    state = state_of(model)
    kernel = _choice(model, "kernel", KERNELS, "rbf")
    if state.get("_sparse"):
        raise _refuse(model, "trained on a sparse matrix can't be stored as arrays")
    slope, shift = (
        np.ravel(state.get(f"_prob{x}", state.get(f"prob{x}_", ()))).astype(np.float64)
        for x in "AB"
    )
    node = Node(
        "support vectors",
        {
            "kernel": kernel,
            "degree": int(state.get("degree", 3)),
            "gamma": float(_get(model, "_gamma")),
            "coef0": float(state.get("coef0", 0.0)),
            "probability": bool(len(slope)),
        },
        {
            "vectors": _array(model, "support_vectors_"),
            "coefficients": _array(model, "_dual_coef_"),
            "intercept": _array(model, "_intercept_"),
            "counts": _whole(_get(model, "_n_support", "n_support_")),
            "slope": slope,
            "shift": shift,
        },
    )
    if len(slope):
        return node
    notes.append(f"{name_of(model)} {NO_PROBABILITIES}")
    return Node(
        "calibrated",
        {"method": "margin", "parts": 1, "curves": 1 if k == 2 else k},
        {},
        [Node("pipeline", {}, {}, [node])],
    )


def _neighbours(model: Any, k: int, notes: list[str]) -> Node:
    state = state_of(model)
    metric, power = (
        _choice(
            model,
            "metric",
            (*METRICS, "euclidean", "l2", "manhattan", "l1", "cityblock"),
            "minkowski",
        ),
        int(state.get("p") or 2),
    )
    if metric not in METRICS:
        metric, power = "minkowski", 2 if metric in ("euclidean", "l2") else 1
    return Node(
        "nearest neighbours",
        {
            "neighbours": int(_get(model, "n_neighbors")),
            "weights": _choice(model, "weights", WEIGHTS, "uniform"),
            "metric": metric,
            "power": power,
        },
        {
            "vectors": _array(model, "_fit_X").astype(np.float64),
            "answers": _whole(np.ravel(_get(model, "_y"))),
        },
    )


def _gaussian(model: Any, k: int, notes: list[str]) -> Node:
    return Node(
        "gaussian",
        {},
        {
            "means": _array(model, "theta_"),
            "variances": _array(model, "var_", "sigma_"),
            "priors": _array(model, "class_prior_"),
        },
    )


def _tree_arrays(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of one tree (n,) by field, and their values (n, classes)."""
    tree = _get(model, "tree_")
    state = state_of(tree) or (tree.__getstate__() if not isinstance(tree, Remains) else {})
    if "nodes" not in state:
        raise _Missing(model, "tree_")
    values = np.asarray(state["values"], dtype=np.float64)
    return np.asarray(state["nodes"]), values.reshape(len(values), -1)


def _joined(
    trees: list[Any],
    shares: bool,
    columns: list[int],
    scale: float,
    start: np.ndarray,
    boosted: bool,
) -> Node:
    roots, parts, at = (
        [],
        {name: [] for name in ("feature", "threshold", "left", "right", "values")},
        0,
    )
    for tree in trees:
        nodes, values = _tree_arrays(tree)
        inner = nodes["left_child"] >= 0
        parts["feature"].append(np.where(inner, nodes["feature"], 0))
        parts["threshold"].append(np.where(inner, nodes["threshold"], 0.0))
        parts["left"].append(np.where(inner, nodes["left_child"] + at, -1))
        parts["right"].append(np.where(inner, nodes["right_child"] + at, -1))
        parts["values"].append(
            values / values.sum(axis=1, keepdims=True) if shares else scale * values[:, 0]
        )
        roots.append(at)
        at += len(nodes)
    joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    whole = {name: _whole(joined[name]) for name in ("feature", "left", "right")}
    return Node(
        "trees",
        {"boosted": boosted},
        {
            **joined,
            **whole,
            "threshold": joined["threshold"].astype(np.float64),
            "start": start,
            "roots": _whole(roots),
            "column": _whole(columns),
        },
    )


def _forest(model: Any, k: int, notes: list[str]) -> Node:
    trees = list(_get(model, "estimators_")) if name_of(model) in FORESTS else [model]
    return _joined(trees, True, [0] * len(trees), 1.0, np.zeros(k), False)


def _boosted(model: Any, k: int, notes: list[str]) -> Node:
    trees, state = np.asarray(_get(model, "estimators_"), dtype=object), state_of(model)
    sharp = 2.0 if state.get("loss") == "exponential" else 1.0
    begin = state.get("init_")
    if isinstance(begin, str) and begin == "zero":
        start = np.zeros(trees.shape[1])
    elif name_of(begin) == "DummyClassifier":
        shares = np.clip(
            np.ravel(_array(begin, "class_prior_")),
            np.finfo(np.float32).eps,
            1 - np.finfo(np.float32).eps,
        )
        start = np.log(shares) if k > 2 else np.array([np.log(shares[1] / (1 - shares[1]))])
    else:
        raise _refuse(model, f"that begins with {name_of(begin)} can't be stored as arrays")
    return _joined(
        list(trees.ravel()),
        False,
        list(range(trees.shape[1])) * len(trees),
        sharp * float(_get(model, "learning_rate")),
        start,
        True,
    )


def _calibrated(model: Any, k: int, notes: list[str]) -> Node:
    parts, arrays, method = [], {}, str(state_of(model).get("method", "sigmoid"))
    if method not in ("sigmoid", "isotonic"):
        raise _refuse(model, f"with method={method} can't be stored as arrays")
    members = list(_get(model, "calibrated_classifiers_"))
    for i, member in enumerate(members):
        inner = _get(member, "estimator", "base_estimator")
        taken = take_apart(inner)
        notes += [
            note for note in taken.notes if note not in notes and NO_PROBABILITIES not in note
        ]
        if taken.classes is None or len(taken.classes) != k:
            raise MisfitError("its parts do not know the same classes")
        parts.append(_with_margins(taken.node))
        curves = list(_get(member, "calibrators", "calibrators_"))
        for j, curve in enumerate(curves):
            x, y = (
                (("a_",), ("b_",))
                if method == "sigmoid"
                else (("X_thresholds_", "_necessary_X_"), ("y_thresholds_", "_necessary_y_"))
            )
            arrays |= {
                f"x{i}.{j}": np.atleast_1d(_array(curve, *x)),
                f"y{i}.{j}": np.atleast_1d(_array(curve, *y)),
            }
    return Node(
        "calibrated",
        {"method": method, "parts": len(parts), "curves": 1 if k == 2 else k},
        arrays,
        parts,
    )


def _with_margins(node: Node) -> Node:
    """A pipeline that is to be calibrated.

    Its margins count, not what stands in for probabilities.
    """
    last = node.parts[-1]
    bare = last.parts if last.kind == "calibrated" and last.facts["method"] == "margin" else [last]
    return Node(
        "pipeline",
        {},
        {},
        [*node.parts[:-1], *(bare[0].parts if bare[0].kind == "pipeline" else bare)],
    )


def _own_trees(model: Any, k: int, notes: list[str]) -> Node:
    return Node(
        "trees",
        {"boosted": model.boosted},
        {name: getattr(model, name) for name in (key.lstrip("*") for key in TREE_ARRAYS)},
    )


def _own_calibrated(model: Any, k: int, notes: list[str]) -> Node:
    arrays = {
        f"{axis}{i}.{j}": array
        for i, curves in enumerate(model.curves)
        for j, pair in enumerate(curves)
        for axis, array in zip("xy", pair, strict=True)
    }
    parts = [_with_margins(take_apart(estimator).node) for estimator in model.estimators]
    return Node(
        "calibrated",
        {"method": model.method, "parts": len(parts), "curves": 1 if k == 2 else k},
        arrays,
        parts,
    )


def _dimension(node: Node) -> int | None:
    """Numbers that go in, as the first array says that has them."""
    for part in node.parts or [node]:
        if part.kind in ("pipeline", "calibrated"):
            if (found := _dimension(Node("pipeline", parts=part.parts))) is not None:
                return found
        elif part.kind != "normalizer":
            side = {
                "standard scaler": ("mean", 0),
                "principal components": ("components", 1),
                "perceptron": ("weights0", 0),
                "gaussian": ("means", 1),
                "support vectors": ("vectors", 1),
                "nearest neighbours": ("vectors", 1),
                "logistic regression": ("coef", 1),
                "one against rest": ("coef", 1),
                "ridge regression": ("coef", 0),
            }.get(part.kind)
            return part.arrays[side[0]].shape[side[1]] if side else None
    return None
