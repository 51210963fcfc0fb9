"""The kinds of estimators: the shapes of their arrays, and how scikit-learn's object is built.

Shapes are written in letters: `d` inputs, `k` classes, `m` rows of a decision function (1 for two
classes, else k), `p` pairs of classes, `r` is k - 1, and `e` is 0. Any other word stands for the
size that it has where it occurs first in an estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from facestats.attributes.estimators.nodes import (
    MOST_PARTS,
    Kind,
    Node,
    Sizes,
    flag,
    number,
    one_of,
    whole,
)
from facestats.errors import MisfitError

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
KERNELS = ("linear", "poly", "rbf", "sigmoid")
METRICS = ("minkowski", "cosine")
WEIGHTS = ("uniform", "distance")
LEAST_SCALE = 1e-300
MOST_LAYERS = 100


def _fitted(estimator: BaseEstimator, **attributes: Any) -> BaseEstimator:
    for name, value in attributes.items():
        setattr(estimator, name, value)
    return estimator


def _standard(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.preprocessing import StandardScaler

    scale = node.arrays["scale"]
    return _fitted(
        StandardScaler(),
        mean_=node.arrays["mean"],
        scale_=scale,
        var_=scale**2,
        n_features_in_=sizes["d"],
    )


def _not_zero(node: Node, sizes: Sizes) -> None:
    if not (np.abs(node.arrays["scale"]) > LEAST_SCALE).all():
        raise MisfitError("a scale is 0")


def _normalizer(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.preprocessing import Normalizer

    return _fitted(Normalizer(norm=node.facts["norm"]), n_features_in_=sizes["d"])


def _pca(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.decomposition import PCA

    arrays = node.arrays
    return _fitted(
        PCA(sizes["c"], whiten=node.facts["whiten"]),
        mean_=arrays["mean"],
        components_=np.asfortranarray(arrays["components"]),
        explained_variance_=arrays["variance"],
        n_components_=sizes["c"],
        n_features_in_=sizes["d"],
    )


def _no_negative_variance(node: Node, sizes: Sizes) -> None:
    if (node.arrays["variance"] < 0).any():
        raise MisfitError("a variance is below 0")


def _logistic(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.linear_model import LogisticRegression

    return _fitted(
        LogisticRegression(),
        coef_=node.arrays["coef"],
        intercept_=node.arrays["intercept"],
        classes_=classes,
        n_features_in_=sizes["d"],
    )


def _one_against_rest(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    estimators = [
        _fitted(
            LogisticRegression(),
            coef_=coef[None],
            intercept_=intercept[None],
            classes_=np.array([0, 1]),
            n_features_in_=sizes["d"],
        )
        for coef, intercept in zip(node.arrays["coef"], node.arrays["intercept"], strict=True)
    ]
    return _fitted(
        OneVsRestClassifier(LogisticRegression()),
        estimators_=estimators,
        label_binarizer_=_binarizer(classes),
        classes_=classes,
        n_features_in_=sizes["d"],
    )


def _binarizer(classes: np.ndarray) -> BaseEstimator:
    from sklearn.preprocessing import LabelBinarizer

    return _fitted(
        LabelBinarizer(),
        classes_=classes,
        y_type_="binary" if len(classes) == 2 else "multiclass",
        sparse_input_=False,
    )


def _ridge(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.linear_model import Ridge

    return _fitted(
        Ridge(),
        coef_=node.arrays["coef"],
        intercept_=float(node.arrays["intercept"]),
        n_features_in_=sizes["d"],
    )


def _perceptron(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.neural_network import MLPClassifier

    layers = node.facts["layers"]
    weights = [node.arrays[f"weights{i}"] for i in range(layers)]
    return _fitted(
        MLPClassifier([w.shape[1] for w in weights[:-1]], activation=node.facts["activation"]),
        coefs_=weights,
        intercepts_=[node.arrays[f"biases{i}"] for i in range(layers)],
        n_layers_=layers + 1,
        n_outputs_=sizes["m"],
        out_activation_="logistic" if sizes["m"] == 1 else "softmax",
        classes_=classes,
        _label_binarizer=_binarizer(classes),
        n_features_in_=sizes["d"],
    )


def _layers(facts: Mapping[str, Any]) -> dict[str, str]:
    width = ["d", *(f"h{i}" for i in range(1, facts["layers"])), "m"]
    return {f"weights{i}": f"{width[i]} {width[i + 1]}" for i in range(facts["layers"])} | {
        f"biases{i}": width[i + 1] for i in range(facts["layers"])
    }


def _support_vectors(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.svm import SVC

    arrays, facts = node.arrays, node.facts
    count = arrays["counts"].astype(np.int32)
    svc = SVC(
        kernel=facts["kernel"],
        degree=facts["degree"],
        gamma=float(facts["gamma"]),
        coef0=float(facts["coef0"]),
    )
    svc.probability = facts["probability"]
    sign = -1 if len(classes) == 2 else 1
    return _fitted(
        svc,
        support_=np.arange(sizes["v"], dtype=np.int32),
        support_vectors_=np.ascontiguousarray(arrays["vectors"]),
        _n_support=count,
        _dual_coef_=arrays["coefficients"],
        dual_coef_=sign * arrays["coefficients"],
        _intercept_=arrays["intercept"],
        intercept_=sign * arrays["intercept"],
        _probA=arrays["slope"],
        _probB=arrays["shift"],
        _gamma=float(facts["gamma"]),
        _sparse=False,
        classes_=classes,
        class_weight_=np.ones(len(classes)),
        shape_fit_=(sizes["v"], sizes["d"]),
        fit_status_=0,
        n_features_in_=sizes["d"],
    )


def _counts_fit(node: Node, sizes: Sizes) -> None:
    count = node.arrays["counts"]
    if (count < 0).any() or (count > sizes["v"]).any() or count.sum() != sizes["v"]:
        raise MisfitError(f"counts of support vectors do not add up to {sizes['v']}")
    if node.facts["gamma"] < 0:
        raise MisfitError("gamma is below 0")


def _neighbours(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.neighbors import KNeighborsClassifier

    facts = node.facts
    estimator = KNeighborsClassifier(
        facts["neighbours"], weights=facts["weights"], metric=facts["metric"], p=facts["power"]
    )
    # Each class occurs (`_answers_fit`), so that columns are in the order of the classes' numbers.
    return _fitted(estimator.fit(node.arrays["vectors"], node.arrays["answers"]), classes_=classes)


def _answers_fit(node: Node, sizes: Sizes) -> None:
    if not np.array_equal(np.unique(node.arrays["answers"]), np.arange(sizes["k"])):
        raise MisfitError(f"answers are not those of {sizes['k']} classes")
    if node.facts["neighbours"] > sizes["v"]:
        raise MisfitError(f"{node.facts['neighbours']} neighbours of {sizes['v']} vectors")


def _gaussian(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.naive_bayes import GaussianNB

    arrays = node.arrays
    return _fitted(
        GaussianNB(),
        theta_=arrays["means"],
        var_=arrays["variances"],
        class_prior_=arrays["priors"],
        class_count_=arrays["priors"],
        classes_=classes,
        epsilon_=0.0,
        n_features_in_=sizes["d"],
    )


def _gaussian_fits(node: Node, sizes: Sizes) -> None:
    if (node.arrays["variances"] <= 0).any() or (node.arrays["priors"] <= 0).any():
        raise MisfitError("a variance or a class's share is not above 0")


TREE_ARRAYS = {
    "*feature": "n",
    "threshold": "n",
    "*left": "n",
    "*right": "n",
    "values": "n o",
    "start": "o",
    "*roots": "t",
    "*column": "t",
}


def _trees(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from facestats.attributes.estimators.own_classifiers import TreeClassifier

    return TreeClassifier(
        **node.arrays, boosted=node.facts["boosted"], classes=classes, n_features=sizes["d"]
    )


def _trees_fit(node: Node, sizes: Sizes) -> None:
    arrays, n = node.arrays, sizes["n"]
    number, left, right = np.arange(n), arrays["left"], arrays["right"]
    inner = left >= 0
    # Children follow their parent, so that every path through a tree ends, inside the tree.
    if (
        (left[inner] <= number[inner]).any()
        or (right[inner] <= number[inner]).any()
        or (left >= n).any()
        or (right >= n).any()
    ):
        raise MisfitError("a branch leads out of its tree, or back")
    if ((arrays["feature"][inner] < 0) | (arrays["feature"][inner] >= sizes["d"])).any():
        raise MisfitError(f"a tree looks at a number that is none of the {sizes['d']}")
    if (
        (arrays["roots"] < 0).any()
        or (arrays["roots"] >= n).any()
        or (arrays["column"] < 0).any()
        or (arrays["column"] >= sizes["o"]).any()
    ):
        raise MisfitError("a tree does not begin where it is said to")
    if sizes["o"] != (sizes["m"] if node.facts["boosted"] else sizes["k"]):
        raise MisfitError(f"trees for {sizes['o']} values, expected one a class")


def _calibrated(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from facestats.attributes.estimators.own_classifiers import CalibratedClassifier

    margins = node.facts["method"] == "margin"
    curves = [
        []
        if margins
        else [(node.arrays[f"x{i}.{j}"], node.arrays[f"y{i}.{j}"]) for j in range(sizes["m"])]
        for i in range(len(node.parts))
    ]
    return CalibratedClassifier(
        [put_together(part, classes, sizes["d"]) for part in node.parts],
        node.facts["method"],
        curves,
        classes,
        sizes["d"],
    )


def _curves(facts: Mapping[str, Any]) -> dict[str, str]:
    if facts["method"] == "margin":
        return {}
    return {
        f"{axis}{i}.{j}": f"t{i}.{j}"
        for i in range(facts["parts"])
        for j in range(facts["curves"])
        for axis in "xy"
    }


def _curves_fit(node: Node, sizes: Sizes) -> None:
    if node.facts["parts"] != len(node.parts) or node.facts["curves"] != sizes["m"]:
        raise MisfitError(
            f"calibration of {node.facts['parts']} estimators, found {len(node.parts)}"
        )
    for name, x in node.arrays.items():
        if node.facts["method"] == "sigmoid" and len(x) != 1:
            raise MisfitError(f"{name} has {len(x)} numbers, expected 1")
        if not len(x):
            raise MisfitError(f"{name} is empty")
        if node.facts["method"] == "isotonic" and name[0] == "x" and (np.diff(x) < 0).any():
            raise MisfitError(f"{name} does not ascend")


def _pipeline(node: Node, classes: np.ndarray, sizes: Sizes) -> BaseEstimator:
    from sklearn.pipeline import make_pipeline

    steps, d = [], sizes["d"]
    for place, part in enumerate(node.parts):
        inner = _checked_sizes(part, classes, d)
        out = KINDS[part.kind].out
        if (out is None) != (place == len(node.parts) - 1):
            raise MisfitError(f"{part.kind} stands at place {place + 1} of {len(node.parts)}")
        steps.append(KINDS[part.kind].build(part, classes, inner))
        d = inner[out] if out else d
    return make_pipeline(*steps)


def _at_least_one_part(node: Node, sizes: Sizes) -> None:
    if not node.parts:
        raise MisfitError("it is empty")


def _fixed_shapes(**shapes: str) -> Callable[[Mapping[str, Any]], Mapping[str, str]]:
    return lambda facts: shapes


_NORMS = one_of("l1", "l2", "max")
KINDS = {
    "pipeline": Kind(
        facts={}, arrays=_fixed_shapes(), build=_pipeline, check=_at_least_one_part, parts=True
    ),
    "standard scaler": Kind(
        facts={},
        arrays=_fixed_shapes(mean="d", scale="d"),
        build=_standard,
        check=_not_zero,
        out="d",
    ),
    "normalizer": Kind(facts={"norm": _NORMS}, arrays=_fixed_shapes(), build=_normalizer, out="d"),
    "principal components": Kind(
        facts={"whiten": flag},
        arrays=_fixed_shapes(mean="d", components="c d", variance="c"),
        build=_pca,
        check=_no_negative_variance,
        out="c",
    ),
    "logistic regression": Kind(
        facts={}, arrays=_fixed_shapes(coef="m d", intercept="m"), build=_logistic
    ),
    "one against rest": Kind(
        facts={}, arrays=_fixed_shapes(coef="m d", intercept="m"), build=_one_against_rest
    ),
    "ridge regression": Kind(facts={}, arrays=_fixed_shapes(coef="d", intercept=""), build=_ridge),
    "perceptron": Kind(
        facts={"activation": one_of(*ACTIVATIONS), "layers": whole(1, MOST_LAYERS)},
        arrays=_layers,
        build=_perceptron,
    ),
    "support vectors": Kind(
        facts={
            "kernel": one_of(*KERNELS),
            "degree": whole(0, 100),
            "gamma": number,
            "coef0": number,
            "probability": flag,
        },
        arrays=lambda facts: (
            {"vectors": "v d", "coefficients": "r v", "intercept": "p", "*counts": "k"}
            | dict.fromkeys(("slope", "shift"), "p" if facts["probability"] else "e")
        ),
        build=_support_vectors,
        check=_counts_fit,
    ),
    "nearest neighbours": Kind(
        facts={
            "neighbours": whole(1, 1_000_000),
            "weights": one_of(*WEIGHTS),
            "metric": one_of(*METRICS),
            "power": whole(1, 100),
        },
        arrays=lambda facts: {"vectors": "v d", "*answers": "v"},
        build=_neighbours,
        check=_answers_fit,
    ),
    "gaussian": Kind(
        facts={},
        arrays=_fixed_shapes(means="k d", variances="k d", priors="k"),
        build=_gaussian,
        check=_gaussian_fits,
    ),
    "trees": Kind(
        facts={"boosted": flag},
        arrays=lambda facts: TREE_ARRAYS | {"values": "n" if facts["boosted"] else "n o"},
        build=_trees,
        check=_trees_fit,
    ),
    "calibrated": Kind(
        facts={
            "method": one_of("sigmoid", "isotonic", "margin"),
            "parts": whole(1, MOST_PARTS),
            "curves": whole(1, 10_000),
        },
        arrays=_curves,
        build=_calibrated,
        check=_curves_fit,
        parts=True,
    ),
}


def _checked_sizes(node: Node, classes: np.ndarray, d: int) -> Sizes:
    """Check a node, but for its parts, and give its sizes."""
    if node.kind not in KINDS:
        raise MisfitError(f"{node.kind!r:.40} is no kind of estimator")
    kind, k = KINDS[node.kind], len(classes)
    for name, check in kind.facts.items():
        try:
            check(node.facts.get(name))
        except MisfitError as error:
            raise MisfitError(f"{node.kind}: {name}: {error}") from None
    sizes = Sizes(d=d, k=k, m=1 if k == 2 else k, p=k * (k - 1) // 2, r=k - 1, e=0)
    shapes = kind.arrays(node.facts)
    names = {name.lstrip("*") for name in shapes}
    missing = sorted(names - {*node.arrays})
    if missing:
        raise MisfitError(f"{node.kind}: {', '.join(missing)[:80]} is missing")
    unknown = sorted(({*node.facts} - {*kind.facts}) | ({*node.arrays} - names))
    if node.parts and not kind.parts:
        unknown.append("parts")
    if unknown:
        raise MisfitError(f"{node.kind}: {', '.join(map(str, unknown))[:80]} is unknown")
    for name, shape in shapes.items():
        array = node.arrays[name.lstrip("*")]
        if (array.dtype.kind == "i") != (name[0] == "*"):
            raise MisfitError(f"{node.kind}: {name.lstrip('*')} has the type {array.dtype}")
        sizes.check(f"{node.kind}: {name.lstrip('*')}", array, shape)
    kind.check(node, sizes)
    return sizes


def put_together(node: Node, classes: np.ndarray, dimension: int) -> BaseEstimator:
    """Build scikit-learn's estimator, with the predictions of the one that was taken apart.

    Parameters
    ----------
    node : Node
        As `take_apart.take_apart` or `nodes.from_file` gives it.
    classes : ndarray
        Its classes, in the order of its probabilities; empty for a regression.
    dimension : int
        Number of inputs.

    Returns
    -------
    BaseEstimator

    Raises
    ------
    MisfitError
        Unknown kinds or keys, shapes that do not fit each other, numbers that make no estimator.
    """
    sizes = _checked_sizes(node, classes, dimension)
    return KINDS[node.kind].build(node, classes, sizes)
