"""Taking fitted scikit-learn estimators apart, into nodes of facts and arrays.

Only names of classes and attributes are read, never methods. So it takes objects in memory as well
as the content of a pickle (`unpickle.Remains`), of any version of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from facestats.attributes.estimators.nodes import Node
from facestats.attributes.estimators.preprocessing_steps import (
    FORESTS,
    LINES,
    MARGINS,
    NO_PROBABILITIES,
    OWN,
    SOFTMAX,
    TREES,
    MissingError,
    estimator_of,
    get_array,
    get_value,
    name_of,
    refusal,
    state_of,
    steps_before,
    take_steps,
    whole_numbers,
)
from facestats.attributes.estimators.sklearn_kinds import (
    ACTIVATIONS,
    KERNELS,
    METRICS,
    TREE_ARRAYS,
    WEIGHTS,
)
from facestats.attributes.estimators.unpickle import Remains
from facestats.errors import MisfitError, ModelError

MOST = 65_536  # numbers of an embedding
# What a pickle ends in whose arrays and names fit no estimator.
DAMAGE = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


class Parts(NamedTuple):
    """An estimator taken apart.

    Attributes
    ----------
    node : Node
        What it learned.
    classes : ndarray, optional
        The estimator's own, in the order of its probabilities; None for a regression.
    dimension : int, optional
        Number of inputs; None where no array tells it.
    notes : list of str
        For the user who converts it.
    """

    node: Node
    classes: np.ndarray | None
    dimension: int | None
    notes: list[str]

    @classmethod
    def of(
        cls, node: Node, classes: np.ndarray | None, dimension: int | None, notes: list[str]
    ) -> Parts:
        """Build it with the dimension of the first array, else with the one given.

        Raises
        ------
        ModelError
            An array has too few dimensions, or the dimension is none that embeddings have.
        """
        try:
            counted = _dimension(node)
        except LookupError:
            raise ModelError("an array has too few dimensions: its file is damaged") from None
        dimension = dimension if counted is None else counted
        if dimension is not None and not 0 < dimension <= MOST:
            raise ModelError(f"it takes vectors of more than {MOST:,} numbers, or of none")
        return cls(node, classes, dimension, notes)


def take_apart(estimator: Any) -> Parts:
    """Take a fitted classifier, regression or pipeline apart.

    Parameters
    ----------
    estimator : object
        In memory, or from a pickle.

    Returns
    -------
    Parts

    Raises
    ------
    ModelError
        It is of another kind, or was not fitted; the message lists the kinds.
    """
    notes: list[str] = []
    try:
        steps = take_steps(steps_before(estimator))
        head, classes = _head(estimator_of(estimator), notes)
        state = state_of(estimator_of(estimator))
        dimension = state.get("n_features_in_", state.get("n_features_"))
        return Parts.of(
            Node("pipeline", {}, {}, [*steps, head]),
            classes,
            None if dimension is None else int(dimension),
            notes,
        )
    except MissingError as error:
        raise ModelError(
            f"{name_of(error.estimator)} has no {error.attribute}: it was not fitted, or was "
            "saved by a version of scikit-learn that is too old or too new"
        ) from None
    except DAMAGE as error:
        raise ModelError(f"{name_of(estimator)} can't be taken apart ({error})") from None


def _head(model: Any, notes: list[str]) -> tuple[Node, np.ndarray | None]:
    """Take the classifier or regression at the end apart; gives its node and its classes."""
    name = name_of(model)
    if name in LINES:
        coef = get_array(model, "coef_")
        if coef.ndim > 1 and coef.shape[0] != 1:
            raise refusal(model, f"of {coef.shape[0]} numbers at once can't be stored as arrays")
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
        raise refusal(model)
    holder = {
        "OneVsRestClassifier": "label_binarizer_",
        "RidgeClassifier": "_label_binarizer",
        "RidgeClassifierCV": "_label_binarizer",
    }.get(name)
    classes = np.asarray(get_value(get_value(model, holder) if holder else model, "classes_"))
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
    coef, intercept = get_array(model, "coef_"), state.get("intercept_", 0.0)
    way = state.get("multi_class", "auto")
    if name_of(model) == "LinearDiscriminantAnalysis" or (
        way == "auto" and state.get("solver") != "liblinear"
    ):
        way = "softmax"
    elif way == "multinomial" and k == 2:  # in old versions, a softmax of the margin and −margin
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
        "one against rest", get_array(model, "coef_"), state_of(model).get("intercept_", 0.0), k
    )


def _one_against_rest(model: Any, k: int, notes: list[str]) -> Node:
    estimators = [estimator_of(inner) for inner in get_value(model, "estimators_")]
    names = {name_of(inner) for inner in estimators}
    if not names <= {*SOFTMAX, *MARGINS}:
        raise refusal(model, f"of {', '.join(sorted(names))} can't be stored as arrays")
    lines = [_head(inner, notes)[0].arrays for inner in estimators]
    return _line(
        "one against rest",
        np.concatenate([line["coef"] for line in lines]),
        np.concatenate([line["intercept"] for line in lines]),
        k,
    )


def _perceptron(model: Any, k: int, notes: list[str]) -> Node:
    weights, biases = list(get_value(model, "coefs_")), list(get_value(model, "intercepts_"))
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
        raise refusal(model, f"with {attribute}={shown!s:.60} can't be stored as arrays")
    return str(value)


def _support_vectors(model: Any, k: int, notes: list[str]) -> Node:
    state = state_of(model)
    kernel = _choice(model, "kernel", KERNELS, "rbf")
    if state.get("_sparse"):
        raise refusal(model, "trained on a sparse matrix can't be stored as arrays")
    slope, shift = (
        np.ravel(state.get(f"_prob{x}", state.get(f"prob{x}_", ()))).astype(np.float64)
        for x in "AB"
    )
    node = Node(
        "support vectors",
        {
            "kernel": kernel,
            "degree": int(state.get("degree", 3)),
            "gamma": float(get_value(model, "_gamma")),
            "coef0": float(state.get("coef0", 0.0)),
            "probability": bool(len(slope)),
        },
        {
            "vectors": get_array(model, "support_vectors_"),
            "coefficients": get_array(model, "_dual_coef_"),
            "intercept": get_array(model, "_intercept_"),
            "counts": whole_numbers(get_value(model, "_n_support", "n_support_")),
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
            "neighbours": int(get_value(model, "n_neighbors")),
            "weights": _choice(model, "weights", WEIGHTS, "uniform"),
            "metric": metric,
            "power": power,
        },
        {
            "vectors": get_array(model, "_fit_X").astype(np.float64),
            "answers": whole_numbers(np.ravel(get_value(model, "_y"))),
        },
    )


def _gaussian(model: Any, k: int, notes: list[str]) -> Node:
    return Node(
        "gaussian",
        {},
        {
            "means": get_array(model, "theta_"),
            "variances": get_array(model, "var_", "sigma_"),
            "priors": get_array(model, "class_prior_"),
        },
    )


def _tree_arrays(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of one tree (n,) by field, and their values (n, classes)."""
    tree = get_value(model, "tree_")
    state = state_of(tree) or (tree.__getstate__() if not isinstance(tree, Remains) else {})
    if "nodes" not in state:
        raise MissingError(model, "tree_")
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
    """Join trees into one node."""
    parts = {name: [] for name in ("feature", "threshold", "left", "right", "values")}
    roots, start_of_tree = [], 0
    for tree in trees:
        nodes, values = _tree_arrays(tree)
        inner = nodes["left_child"] >= 0
        parts["feature"].append(np.where(inner, nodes["feature"], 0))
        parts["threshold"].append(np.where(inner, nodes["threshold"], 0.0))
        parts["left"].append(np.where(inner, nodes["left_child"] + start_of_tree, -1))
        parts["right"].append(np.where(inner, nodes["right_child"] + start_of_tree, -1))
        parts["values"].append(
            values / values.sum(axis=1, keepdims=True) if shares else scale * values[:, 0]
        )
        roots.append(start_of_tree)
        start_of_tree += len(nodes)
    joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    whole = {name: whole_numbers(joined[name]) for name in ("feature", "left", "right")}
    return Node(
        "trees",
        {"boosted": boosted},
        {
            **joined,
            **whole,
            "threshold": joined["threshold"].astype(np.float64),
            "start": start,
            "roots": whole_numbers(roots),
            "column": whole_numbers(columns),
        },
    )


def _forest(model: Any, k: int, notes: list[str]) -> Node:
    trees = list(get_value(model, "estimators_")) if name_of(model) in FORESTS else [model]
    return _joined(trees, True, [0] * len(trees), 1.0, np.zeros(k), False)


def _boosted(model: Any, k: int, notes: list[str]) -> Node:
    trees, state = np.asarray(get_value(model, "estimators_"), dtype=object), state_of(model)
    sharp = 2.0 if state.get("loss") == "exponential" else 1.0
    begin = state.get("init_")
    if isinstance(begin, str) and begin == "zero":
        start = np.zeros(trees.shape[1])
    elif name_of(begin) == "DummyClassifier":
        shares = np.clip(
            np.ravel(get_array(begin, "class_prior_")),
            np.finfo(np.float32).eps,
            1 - np.finfo(np.float32).eps,
        )
        start = np.log(shares) if k > 2 else np.array([np.log(shares[1] / (1 - shares[1]))])
    else:
        raise refusal(model, f"that begins with {name_of(begin)} can't be stored as arrays")
    return _joined(
        list(trees.ravel()),
        False,
        list(range(trees.shape[1])) * len(trees),
        sharp * float(get_value(model, "learning_rate")),
        start,
        True,
    )


def _calibrated(model: Any, k: int, notes: list[str]) -> Node:
    parts, arrays, method = [], {}, str(state_of(model).get("method", "sigmoid"))
    if method not in ("sigmoid", "isotonic"):
        raise refusal(model, f"with method={method} can't be stored as arrays")
    members = list(get_value(model, "calibrated_classifiers_"))
    for i, member in enumerate(members):
        inner = get_value(member, "estimator", "base_estimator")
        part = take_apart(inner)
        notes += [note for note in part.notes if note not in notes and NO_PROBABILITIES not in note]
        if part.classes is None or len(part.classes) != k:
            raise MisfitError("its parts do not know the same classes")
        parts.append(_with_margins(part.node))
        curves = list(get_value(member, "calibrators", "calibrators_"))
        for j, curve in enumerate(curves):
            x, y = (
                (("a_",), ("b_",))
                if method == "sigmoid"
                else (("X_thresholds_", "_necessary_X_"), ("y_thresholds_", "_necessary_y_"))
            )
            arrays |= {
                f"x{i}.{j}": np.atleast_1d(get_array(curve, *x)),
                f"y{i}.{j}": np.atleast_1d(get_array(curve, *y)),
            }
    return Node(
        "calibrated",
        {"method": method, "parts": len(parts), "curves": 1 if k == 2 else k},
        arrays,
        parts,
    )


def _with_margins(node: Node) -> Node:
    """Give a pipeline that is to be calibrated its margins, without what stands in for shares."""
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
    """Number of inputs, from the first array that tells it."""
    for part in node.parts or [node]:
        if part.kind in ("pipeline", "calibrated"):
            if (inner := _dimension(Node("pipeline", parts=part.parts))) is not None:
                return inner
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
