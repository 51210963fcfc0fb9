"""Attribute models that were trained elsewhere: converting them, and using them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.attributes.calibration import Calibration
from facestats.attributes.estimators.nodes import Node
from facestats.attributes.estimators.preprocessing_steps import (
    CLASSIFIERS,
    LINES,
    TRANSFORMERS,
    WRAPPERS,
    name_of,
    state_of,
    take_steps,
)
from facestats.attributes.estimators.sklearn_kinds import put_together
from facestats.attributes.estimators.take_apart import DAMAGE, Parts, take_apart
from facestats.attributes.estimators.unpickle import Remains, read_pickle
from facestats.attributes.model import AttributeModel, numeric_labels
from facestats.attributes.training import ENOUGH, Training
from facestats.core.fingerprint import sha256_file
from facestats.core.tables import UNKNOWN, is_known
from facestats.errors import InputError, ModelError

# Keys under which files keep the names of classes.
CLASS_KEYS = (
    "classes",
    "class_names",
    "labels",
    "label_names",
    "target_names",
    "names",
    "id2label",
    "label_map",
    "idx_to_class",
    "int_to_label",
)
N_PROBES = 64  # random unit vectors that a converted model has to answer with finite numbers
ENCODERS = ("LabelEncoder", "LabelBinarizer")
ESTIMATORS = (*CLASSIFIERS, *LINES, *WRAPPERS, "Pipeline")


def convert(
    path: Path, target: str, classes: list[str] | None = None
) -> tuple[AttributeModel, list[str]]:
    """Turn a pickled classifier into a model of this project.

    Parameters
    ----------
    path : Path
        Pickle or joblib file with a classifier, a regression or a pipeline of scikit-learn, alone
        or in a dict, with or without a LabelEncoder beside it.
    target : str
        Attribute that it predicts, such as `gender`.
    classes : list of str, optional
        Names of its classes, in the order of its `classes_`. By default the names in the file.

    Returns
    -------
    model : AttributeModel
    notes : list of str
        For the user who converts it.

    Raises
    ------
    ModelError
        The file is unreadable, or its content can't be stored as arrays.
    InputError
        `classes` does not name each of the model's classes once.
    """
    content = read_pickle(path)
    try:
        return _converted(path, content, target, classes)
    except DAMAGE as error:
        raise ModelError(f"{path} can't be taken apart ({error})") from None


def _converted(
    path: Path, content: Any, target: str, classes: list[str] | None
) -> tuple[AttributeModel, list[str]]:
    contents = list(_find(content))
    estimators = [(place, item) for place, item in contents if name_of(item) in ESTIMATORS]
    if not estimators:
        take_apart(content)  # raises: names what it is, and which kinds can be stored
    if len(estimators) > 1:
        raise ModelError(
            f"{path} holds {len(estimators)} estimators "
            f"({', '.join(f'{place}: {name_of(item)}' for place, item in estimators)}); save "
            "one of them alone"
        )
    ((place, estimator),) = estimators
    transformers = [(place, item) for place, item in contents if name_of(item) in TRANSFORMERS]
    parts = take_apart(estimator)
    notes = list(parts.notes)
    if transformers:
        steps = take_steps([item for _, item in transformers])
        parts = Parts.of(
            Node("pipeline", {}, {}, [*steps, *parts.node.parts]),
            parts.classes,
            parts.dimension,
            notes,
        )
        notes.append(
            f"before {place} comes what lies beside it: "
            f"{', '.join(f'{beside} ({name_of(item)})' for beside, item in transformers)}"
        )
    return _put_together(path, target, estimator, parts, contents, content, classes, notes), notes


def _put_together(
    path: Path,
    target: str,
    estimator: Any,
    parts: Parts,
    contents: list,
    content: Any,
    classes: list[str] | None,
    notes: list[str],
) -> AttributeModel:
    """Build the model of an estimator that was taken apart, and check that it answers."""
    model = AttributeModel(
        target,
        "regression" if parts.classes is None else "classification",
        penalty_from="pretrained",
    )
    if parts.classes is not None:
        model.classes = _names(path, parts.classes, contents, content, classes, notes)
    if parts.dimension is None:
        raise ModelError(
            f"{path} does not say how many numbers its {name_of(estimator)} takes; save it with a "
            "newer scikit-learn"
        )
    try:
        model.pipeline = put_together(
            parts.node, np.asarray(model.classes, dtype=object), parts.dimension
        )
    except ValueError as error:
        raise ModelError(
            f"{path}: its {name_of(estimator)} does not fit together ({error})"
        ) from None
    _probe(path, model, parts.dimension)
    return model


def load_pretrained(path: Path, target: str, kind: str, dimension: int) -> AttributeModel:
    """Read a model file of this project, to be used instead of training; see `convert`.

    Parameters
    ----------
    path : Path
        `attributes.targets.<target>.pretrained`.
    target : str
        Attribute that it predicts.
    kind : str
        `classification` or `regression`, as the target is.
    dimension : int
        Of the embeddings.

    Returns
    -------
    AttributeModel

    Raises
    ------
    ModelError
        The file is missing or none of this project, holds no trained model, or the model has
        another kind or takes other embeddings.
    """
    name = f"attributes.targets.{target}.pretrained"
    if not path.exists():
        raise ModelError(
            f"{name}: {path}: no such file; `dvc pull` brings it if it is under DVC, `python -m "
            "facestats models convert` makes one of a pickled classifier"
        )
    if path.suffix != ".safetensors":
        raise ModelError(
            f"{name}: {path} is no .safetensors file; `python -m facestats models convert {path}` "
            "makes one of a pickled classifier"
        )
    model = AttributeModel.load(path)
    if not model.trained:
        raise ModelError(f"{name}: {path} holds no trained model: {model.why}")
    if model.kind != kind:
        raise ModelError(
            f"{name}: {path} is a {model.kind}, but attributes.targets.{target}.kind is {kind}"
        )
    if model.dimension != dimension:
        raise ModelError(
            f"{name}: {path} takes embeddings of {model.dimension} dimensions, but this CLIP "
            f"variant gives {dimension}; choose the clip.variant that it was trained on"
        )
    # What was chosen for its own data is not taken over.
    return AttributeModel(
        target,
        kind,
        model.pipeline,
        classes=model.classes,
        calibration=model.calibration,
        penalty_from="pretrained",
        pretrained=sha256_file(path),
    )


def use_pretrained(model: AttributeModel, embeddings: np.ndarray, labels: pd.Series) -> Training:
    """Use a model that was trained elsewhere; labelled train faces calibrate it, if enough.

    Parameters
    ----------
    model : AttributeModel
        As `load_pretrained` reads it.
    embeddings : ndarray (n, d)
        Of the train faces, none of which the model was trained on.
    labels : Series (n,)
        Their labels, null where unknown.

    Returns
    -------
    Training

    Raises
    ------
    ModelError
        None of the labels is one of its classes.
    """
    if model.kind == "regression":
        known = numeric_labels(model.target, labels).notna().to_numpy()
        predicted = model.predict(embeddings[known]) if known.any() else np.empty(0)
        return Training(model, pd.DataFrame({model.target: predicted}, index=labels.index[known]))
    labelled = is_known(labels).to_numpy()
    known = labelled & labels.isin(model.classes).to_numpy()
    if labelled.any() and not known.any():
        raise ModelError(
            f"attributes.targets.{model.target}.pretrained: the model says "
            f"{', '.join(model.classes)}, the labels say "
            f"{', '.join(sorted(set(labels[labelled].astype(str)))[:8])}; convert it again with "
            "--classes, the labels' words for its classes in the order of its own"
        )
    columns = [f"{model.target}_prob_{name}" for name in model.classes]
    if not known.any():
        return Training(
            model, pd.DataFrame(columns=columns, index=labels.index[:0], dtype="float64")
        )
    if known.sum() >= ENOUGH:
        model.calibration = None
        actual = pd.Index(model.classes).get_indexer(labels[known])
        model.calibration = Calibration.fit(
            model.predict_proba(embeddings[known]), actual, np.ones(len(model.classes))
        )
    return Training(
        model,
        pd.DataFrame(
            model.predict_proba(embeddings[known]), index=labels.index[known], columns=columns
        ),
    )


def _find(content: Any, where: str = "the file", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Find estimators, transformers and label encoders in dicts, lists and objects."""
    if name_of(content) in (*ESTIMATORS, *TRANSFORMERS, *ENCODERS):
        yield where, content
    elif depth < 3:
        inside: list[tuple[Any, Any]] = []
        if isinstance(content, dict):
            inside = list(content.items())
        elif isinstance(content, list | tuple) and len(content) < 100:
            inside = list(enumerate(content))
        elif isinstance(content, Remains) and "sklearn" not in content.module:
            inside = [
                *state_of(content).items(),
                *(item for item in content.items if isinstance(item, tuple) and len(item) == 2),
            ]
        for key, value in inside:
            yield from _find(
                value, f"{key!s:.40}" if depth == 0 else f"{where}.{key!s:.40}", depth + 1
            )


def _names(
    path: Path,
    own: np.ndarray,
    contents: list,
    content: Any,
    classes: list[str] | None,
    notes: list[str],
) -> list[str]:
    """Name the classes: by `classes`, a LabelEncoder or a list in the file, or as they are."""
    if classes is not None:
        if len(classes) != len(own) or len(set(classes)) != len(own):
            raise InputError(
                f"--classes names {', '.join(classes)}, but {path} has {len(own)} classes: "
                f"{', '.join(map(_text, own))}; name each of them, in this order"
            )
        names = classes
    else:
        names = [_text(name) for name in own]
        if own.dtype.kind in "iufb" and (by_number := _names_in_file(contents, content)):
            numbers = own.astype(int)
            if all(n in by_number for n in numbers):
                names = [_text(by_number[n]) for n in numbers]
        if all(name.lstrip("-").isdigit() for name in names):
            notes.append(
                f"its classes are called {', '.join(names)}; if your labels have words for them, "
                "convert it again with --classes"
            )
    if not all(name and name.isprintable() and name != UNKNOWN for name in names) or len(
        set(names)
    ) != len(names):
        raise InputError(
            f"{path}: its classes are called {', '.join(map(ascii, names))[:200]}; --classes "
            "gives each a printable name of its own"
        )
    return names


def _names_in_file(contents: list, content: Any) -> dict[int, Any] | None:
    """Names by number, as a LabelEncoder or a list in the file has them."""
    for _, item in contents:
        if name_of(item) in ENCODERS and "classes_" in state_of(item):
            return dict(enumerate(np.asarray(state_of(item)["classes_"]).ravel().tolist()))
    values: dict = {}
    if isinstance(content, dict):
        values = content
    elif isinstance(content, Remains):
        values = state_of(content)
    for key in CLASS_KEYS:
        names = values.get(key)
        if isinstance(names, dict):
            by_number = names if _are_numbers(names) else {v: k for k, v in names.items()}
            if not _are_numbers(by_number):
                return None
            return {int(number): name for number, name in by_number.items()}
        if isinstance(names, list | tuple | np.ndarray):
            return dict(enumerate(np.asarray(names).ravel().tolist()))
    return None


def _are_numbers(keys: Iterable[Any]) -> bool:
    return all(re.fullmatch(r"-?[0-9]{1,9}", str(key)) for key in keys)


def _text(name: Any) -> str:
    """Write a class's name: text as it is, 1.0 as 1."""
    if isinstance(name, bytes):
        return name.decode("utf-8", errors="replace")
    if isinstance(name, float | np.floating) and float(name).is_integer():
        return str(int(name))
    return str(name)


def _probe(path: Path, model: AttributeModel, dimension: int) -> None:
    """Check that a model answers random vectors with finite numbers."""
    vectors = np.random.default_rng(0).normal(size=(N_PROBES, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    try:
        answers = model.predict_proba(vectors) if model.classes else model.predict(vectors)
        finite = bool(np.isfinite(answers).all())
    except (ValueError, ModelError):  # scikit-learn refuses what a step before makes of them
        finite = False
    if not finite:
        raise ModelError(
            f"{path}: it answers with numbers that are not finite; its arrays hold such, or far "
            "too large ones: train it again"
        )
