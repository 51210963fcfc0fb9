"""`facestats models convert`: somebody's pickled classifier becomes arrays that answer the same,
and nothing of the pickle is run.
"""

import gzip
import json
import pickle
import runpy
import shutil
import sys
import zlib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from documented import block
from facestats.__main__ import main
from facestats.attributes.calibration import Calibration
from facestats.attributes.model import AttributeModel
from facestats.attributes.pretrained import convert, load_pretrained, use_pretrained
from facestats.attributes.training import set_threshold
from facestats.core import tables
from facestats.core.fingerprint import sha256_file
from facestats.errors import InputError, ModelError, ParamsError
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS
from facestats.params.project import check_params
from programs import run_program
from resources import ROOT, names, text

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


# What it answers


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_file_answers_as_the_classifier_does(tmp_path, kind, k):
    theirs, x = fitted(kind, k), unit(k, 60, seed=1)[0]
    model, notes = convert(dump(theirs, tmp_path / "clf.pkl"), "gender")
    assert (model.classes, notes) == (list(WORDS[k]), [])
    model.save(tmp_path / "clf.safetensors")
    again = AttributeModel.load(tmp_path / "clf.safetensors")
    np.testing.assert_allclose(again.predict_proba(x), theirs.predict_proba(x), atol=1e-9)
    np.testing.assert_allclose(again.pipeline.predict_proba(x), theirs.predict_proba(x), atol=1e-9)
    assert (again.predict(x) == theirs.predict(x)).all()
    assert (again.pipeline.predict(x) == theirs.predict(x)).all()
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (
        tmp_path / "clf.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize(
    "theirs",
    [
        LinearSVC(random_state=0),
        RidgeClassifier(),
        SVC(),
        SVC(kernel="linear", decision_function_shape="ovo"),
        SVC(kernel="poly", degree=2, coef0=1),
        make_pipeline(StandardScaler(), SGDClassifier(random_state=0)),
    ],
)
def test_margins_without_probabilities_keep_their_answers_and_say_so(tmp_path, theirs, k):
    (x, y), (other, _) = unit(k), unit(k, 60, seed=1)
    model, notes = convert(dump(theirs.fit(x, WORDS[k][y]), tmp_path / "clf.pkl"), "gender")
    assert len(notes) == 1
    assert "has margins and no probabilities" in notes[0]
    assert (
        model.predict(other) == theirs.predict(other)
    ).mean() > 0.98  # of an SVC with ties between votes, another class
    shares = model.predict_proba(other)
    assert np.allclose(shares.sum(axis=1), 1)
    if k == 2:
        np.testing.assert_allclose(
            shares[:, 1], 1 / (1 + np.exp(-theirs.decision_function(other))), atol=1e-9
        )


def test_support_vectors_with_probabilities_keep_these(tmp_path):
    for k in (2, 4):
        (x, y), (other, _) = unit(k), unit(k, 60, seed=1)
        theirs = SVC(probability=True, random_state=0)
        with pytest.warns(FutureWarning):
            theirs.fit(x, y)
        model, _ = convert(dump(theirs, tmp_path / "clf.pkl"), "gender", list(WORDS[k]))
        np.testing.assert_allclose(
            model.predict_proba(other), theirs.predict_proba(other), atol=1e-9
        )


def test_a_regression_is_converted_too(tmp_path):
    x, y = unit(4)
    theirs = make_pipeline(StandardScaler(), LinearRegression()).fit(x, y * 10.0)
    model, _ = convert(dump(theirs, tmp_path / "age.pkl"), "age")
    assert (model.kind, model.classes) == ("regression", [])
    np.testing.assert_allclose(model.predict(x), theirs.predict(x), atol=1e-9)


# Files of other times


@pytest.mark.long
def test_a_classifier_of_an_older_version_is_taken_by_its_numbers(tmp_path):
    x, y = unit(4)
    softmax = LogisticRegression().fit(x, y)
    each = np.exp(-softmax.decision_function(x))
    against_rest = 1 / (1 + each)
    against_rest /= against_rest.sum(axis=1, keepdims=True)
    for changes, expected in (
        ({"multi_class": "auto", "solver": "lbfgs"}, softmax.predict_proba(x)),
        ({"multi_class": "multinomial"}, softmax.predict_proba(x)),
        ({"multi_class": "ovr"}, against_rest),
        ({"multi_class": "auto", "solver": "liblinear"}, against_rest),
    ):
        old = LogisticRegression().fit(x, y)
        vars(old).update(changes)
        for gone in ("n_features_in_", "n_iter_", "l1_ratio"):
            vars(old).pop(gone, None)
        content = pickle.dumps(old).replace(
            b"_sklearn_version\x94\x8c\x051.9.1", b"_sklearn_version\x94\x8c\x050.2.1"
        )
        assert b"0.2.1" in content
        (tmp_path / "clf.pkl").write_bytes(
            content.replace(b"sklearn.linear_model._logistic", b"sklearn.linear_model.xlogistic")
        )  # no module of today
        np.testing.assert_allclose(
            convert(tmp_path / "clf.pkl", "x")[0].predict_proba(x), expected, atol=1e-9
        )

    old = GaussianNB().fit(x, y)
    vars(old)["sigma_"] = vars(old).pop("var_")
    np.testing.assert_allclose(
        convert(dump(old, tmp_path / "clf.pkl"), "x")[0].predict_proba(x),
        GaussianNB().fit(x, y).predict_proba(x),
        atol=1e-9,
    )
    calibrated = CalibratedClassifierCV(GaussianNB(), cv=2).fit(x, y)
    expected = calibrated.predict_proba(x)
    for member in calibrated.calibrated_classifiers_:
        vars(member)["base_estimator"], vars(member)["calibrators_"] = (
            vars(member).pop("estimator"),
            vars(member).pop("calibrators"),
        )
    np.testing.assert_allclose(
        convert(dump(calibrated, tmp_path / "clf.pkl"), "x")[0].predict_proba(x),
        expected,
        atol=1e-9,
    )


@pytest.mark.parametrize(
    "write",
    [
        *(
            lambda m, p, protocol=protocol: p.write_bytes(pickle.dumps(m, protocol))
            for protocol in (0, 2, 5)
        ),
        joblib.dump,
        *(
            lambda m, p, how=how: joblib.dump(m, p, compress=how)
            for how in (3, ("bz2", 3), ("lzma", 3), ("xz", 3))
        ),
        *(
            lambda m, p, pack=pack: p.write_bytes(pack(pickle.dumps(m)))
            for pack in (gzip.compress, zlib.compress)
        ),
    ],
)
def test_any_protocol_and_any_packing_is_read(tmp_path, write):
    theirs, x = fitted("forest", 4), unit(4)[0]
    write(theirs, tmp_path / "clf")
    model, _ = convert(tmp_path / "clf", "ethnicity")
    np.testing.assert_allclose(model.predict_proba(x), theirs.predict_proba(x), atol=1e-9)


# Names of classes


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [
        (np.array([0, 1]), None, ["0", "1"]),
        (np.array([0, 1]), ["male", "female"], ["male", "female"]),
        (np.array([0.0, 1.0]), None, ["0", "1"]),
        (np.array([False, True]), None, ["False", "True"]),
        (np.array(["f", "m"], dtype=object), None, ["f", "m"]),
        (np.array([b"f", b"m"]), None, ["f", "m"]),
        (np.array(["f", "m"]), ["female", "male"], ["female", "male"]),
    ],
)
def test_classes_are_called_as_given_or_as_they_are(tmp_path, own, given, expected):
    x, y = unit(2)
    theirs = LogisticRegression().fit(x, y)
    theirs.classes_ = own
    model, notes = convert(dump(theirs, tmp_path / "clf.pkl"), "gender", given)
    assert model.classes == expected
    assert (model.predict(x) == np.array(expected, dtype=object)[y]).mean() > 0.7
    assert any("--classes" in note for note in notes) == (expected == ["0", "1"])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda clf, scaler, encoder: {"model": clf, "label_encoder": encoder, "version": 3},
        lambda clf, scaler, encoder: {
            "state": {"clf": clf},
            "classes": ["Asian", "Black", "Latino", "White"],
        },
        lambda clf, scaler, encoder: (clf, encoder),
        lambda clf, scaler, encoder: {
            "clf": clf,
            "id2label": {0: "Asian", 1: "Black", 2: "Latino", 3: "White"},
        },
        lambda clf, scaler, encoder: {
            "clf": clf,
            "label_map": {"White": 3, "Asian": 0, "Black": 1, "Latino": 2},
        },
    ],
)
def test_a_dict_gives_its_classifier_and_the_names_beside_it(tmp_path, wrap):
    x, y = unit(4)
    encoder = LabelEncoder().fit(WORDS[4])
    theirs = LogisticRegression().fit(x, y)
    model, _ = convert(dump(wrap(theirs, None, encoder), tmp_path / "clf.pkl"), "ethnicity")
    assert (model.predict(x) == WORDS[4][theirs.predict(x)]).all()


def test_a_scaler_beside_the_classifier_comes_before_it_and_is_named(tmp_path):
    x, y = unit(2)
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression().fit(scaler.transform(x), WORDS[2][y])
    model, notes = convert(dump({"scaler": scaler, "clf": theirs}, tmp_path / "clf.pkl"), "gender")
    np.testing.assert_allclose(
        model.predict_proba(x), theirs.predict_proba(scaler.transform(x)), atol=1e-9
    )
    assert notes == ["before clf comes what lies beside it: scaler (StandardScaler)"]


# What is refused


class Payload:
    """Touches a file when it is unpickled in the ordinary way."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda bad, clf: bad,
        lambda bad, clf: {"model": clf, "extra": bad},
        lambda bad, clf: vars(clf).update(C=bad) or clf,
        lambda bad, clf: np.array([bad, clf], dtype=object),
    ],
)
@pytest.mark.parametrize("write", [lambda m, p: p.write_bytes(pickle.dumps(m)), joblib.dump])
def test_nothing_that_a_pickle_names_is_run_even_with_trust(
    tmp_path, monkeypatch, capsys, wrap, write
):
    monkeypatch.chdir(tmp_path)
    write(
        wrap(Payload(tmp_path / "touched"), LogisticRegression().fit(*unit(2))),
        tmp_path / "gender_clf.pkl",
    )
    main(["models", "convert", "gender_clf.pkl", "--trust"])
    assert not (tmp_path / "touched").exists()
    pickle.loads(
        (tmp_path / "gender_clf.pkl").read_bytes()
    ) if write is not joblib.dump else joblib.load("gender_clf.pkl")
    assert (tmp_path / "touched").exists()  # an ordinary reader does run it


class Claim:
    """An array or a type that says what it does not hold.

    Numpy's own reader ends with the process, or takes the memory.
    """

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


RECONSTRUCT = np.zeros(1).__reduce__()[0]


@pytest.mark.parametrize(
    "claim",
    [
        Claim(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (10**12,), np.dtype("f8"), False, b"xx")),
        Claim(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (-1,), np.dtype("f8"), False, b"")),
        Claim(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (1,), np.dtype("O"), False, b"12345678")),
        Claim(
            np.dtype,
            ("f8", False, True),
            (3, "<", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 63),
        ),
        Claim(np.dtype, ("V8",), (3, "|", None, ("a",), {"a": (np.dtype("f8"), 10**9)}, 8, 1, 0)),
        Claim(bytes, (10**12,)),
        Claim(list, (range(10**12),)),
        Claim(bytearray, (10**12,)),
    ],
)
def test_memory_that_a_pickle_only_speaks_of_is_not_touched(tmp_path, claim):
    x, y = unit(2)
    theirs = LogisticRegression().fit(x, y)
    arrays = (
        claim
        if not isinstance(claim.reduced[0], type) or claim.reduced[0] is not np.dtype
        else Claim(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, (1,), claim, False, b"12345678"))
    )
    theirs.coef_ = arrays
    with pytest.raises(ModelError, match=r"clf\.pkl|LogisticRegression"):
        convert(dump(theirs, tmp_path / "clf.pkl"), "gender")


@pytest.mark.long
def test_damaged_pickles_are_an_error_or_a_model(tmp_path):
    rng = np.random.default_rng(0)
    good = [
        pickle.dumps(fitted(kind, 2), protocol)
        for kind, protocol in (("pipeline", 5), ("tree", 2), ("calibrated margins", 4))
    ]
    for trial in range(150):
        bad = bytearray(good[trial % 3])
        bad[rng.integers(len(bad))] = rng.integers(256)
        (tmp_path / "clf.pkl").write_bytes(bad if trial % 5 else bad[: rng.integers(len(bad))])
        try:
            assert isinstance(convert(tmp_path / "clf.pkl", "gender")[0], AttributeModel)
        except (ModelError, InputError):
            continue


def test_without_trust_nothing_is_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    dump(fitted("gaussian", 2), tmp_path / "gender_clf.pkl")
    monkeypatch.setattr(
        "facestats.attributes.pretrained.read_pickle", lambda path: pytest.fail("it was read")
    )
    assert main(["models", "convert", "gender_clf.pkl"]) == 2
    said = capsys.readouterr().err
    assert "gender_clf.pkl was not read: a pickle can run whatever its maker put in" in said
    assert "--trust" in said
    assert [path.name for path in tmp_path.iterdir()] == ["gender_clf.pkl"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            lambda: AdaBoostClassifier(n_estimators=2).fit(*unit(2)),
            "AdaBoostClassifier can't be stored as arrays; what can: LogisticRegression",
        ),
        (
            lambda: make_pipeline(FunctionTransformer(np.sqrt), GaussianNB()),
            "FunctionTransformer as a step of a pipeline",
        ),
        (lambda: LogisticRegression(), "LogisticRegression has no classes_: it was not fitted"),
        (lambda: {"weights": [1, 2]}, "dict can't be stored as arrays"),
        (
            lambda: {"a": fitted("gaussian", 2), "b": fitted("tree", 2)},
            "holds 2 estimators (a: GaussianNB, b: DecisionTreeClassifier)",
        ),
        (lambda: b"text", "bytes can't be stored"),
        (
            lambda: (
                vars(fitted("logistic regression", 2)).update(coef_=np.zeros((3, D)))
                or KINDS["logistic regression"]
            ),
            "does not fit together",
        ),
        (
            lambda: (
                vars(fitted("logistic regression", 2)).update(coef_=np.full((1, D), np.nan))
                or KINDS["logistic regression"]
            ),
            "not finite",
        ),
        (
            lambda: (
                vars(fitted("nearest neighbours", 2)).update(metric=np.linalg.norm)
                or KINDS["nearest neighbours"]
            ),
            "KNeighborsClassifier with metric=",
        ),
    ],
)
def test_what_can_not_be_converted_is_named(tmp_path, content, expected):
    with pytest.raises(ModelError) as error:
        convert(dump(content(), tmp_path / "clf.pkl"), "gender")
    assert expected in str(error.value)
    KINDS["nearest neighbours"].metric = "minkowski"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\x80\x05",
        b"\x1f\x8b\x08zz",
        b"\x04\x22\x4d\x18zz",
        b"\x78\x9czz",
        b"BZhzz",
        b"PK\x03\x04",
        b"((((",
    ],
)
def test_a_file_that_is_no_pickle_is_named(tmp_path, content):
    (tmp_path / "clf.pkl").write_bytes(content)
    with pytest.raises(ModelError, match=r"clf\.pkl"):
        convert(tmp_path / "clf.pkl", "gender")
    with pytest.raises(ModelError, match="no such file"):
        convert(tmp_path / "none.pkl", "gender")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--classes", "female"],
            "--classes names female, but gender_clf.pkl has 2 classes: female, male",
        ),
        (["--classes", "a,a"], "--classes names a, a"),
        (["-o", "x.joblib"], "a model file ends with .safetensors"),
        (["-o", "there.safetensors"], "there.safetensors is there already"),
        (["--classes", "a,\x1b[31m"], "gives each a printable name"),
    ],
)
def test_wrong_words_are_named(tmp_path, monkeypatch, capsys, words, expected):
    monkeypatch.chdir(tmp_path)
    dump(fitted("gaussian", 2), tmp_path / "gender_clf.pkl")
    (tmp_path / "there.safetensors").write_text("mine")
    assert main(["models", "convert", "gender_clf.pkl", "--trust", *words]) == 2
    assert expected in capsys.readouterr().err
    assert (tmp_path / "there.safetensors").read_text() == "mine"


# What becomes of it


def converted(tmp_path, words=("female", "male")) -> AttributeModel:
    x, y = unit(2, 400)
    model, _ = convert(
        dump(LinearSVC(random_state=0).fit(x, y), tmp_path / "clf.pkl"), "other", list(words)
    )
    model.save(tmp_path / "clf.safetensors")
    return load_pretrained(tmp_path / "clf.safetensors", "gender", "classification", D)


def test_a_pretrained_model_is_calibrated_on_labelled_faces_and_abstains(tmp_path):
    model, (x, y) = converted(tmp_path), unit(2, 300, seed=5)
    labels = text(WORDS[2][y])
    labels.index = names(300)
    labels[:20] = "unknown"
    labels[20:25] = "another"
    answers = model.predict(x)
    trained = use_pretrained(model, x[:200], labels[:200])
    assert isinstance(model.calibration, Calibration)
    assert (model.predict(x) == answers).all()
    assert (len(trained.out_of_fold), list(trained.out_of_fold)) == (
        175,
        ["gender_prob_female", "gender_prob_male"],
    )
    set_threshold(trained, 0.95, labels[:200], x[200:], labels[200:])
    assert 0 < model.abstain_below < 1
    assert model.threshold_from == "100 val faces"
    assert (model.source, model.choices()["penalty_from"], len(model.pretrained)) == (
        "pretrained",
        "pretrained",
        64,
    )


def test_the_stage_takes_it_in_place_of_training_and_measures_it(tmp_path, monkeypatch, params):
    monkeypatch.chdir(tmp_path)
    n, files = 200, [f"f{i:03}.jpg" for i in range(200)]
    x, y = unit(2, n, seed=5)
    split = np.resize(["train", "val", "test"], n)
    tables.write(
        pd.DataFrame(
            {
                "image": files,
                "filename": files,
                "sha256": [f"{i:064}" for i in range(n)],
                "status": "ok",
                "copy_group": files,
                "copy_rank": 1,
            }
        ).reindex(columns=[c for c in FACES.columns if c != "box"]),
        "faces.parquet",
        FACES,
        vectors={"box": np.zeros((n, 4))},
    )
    tables.write(
        pd.DataFrame({"filename": files, "gender": WORDS[2][y]}).reindex(
            columns=list(LABELS.columns)
        ),
        "labels.parquet",
        LABELS,
    )
    tables.write(pd.DataFrame({"filename": files, "split": split}), "splits.parquet", SPLITS)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel(), pa.float32()), D)
    pq.write_table(
        pa.table({"filename": files, "embedding": vectors, "key": files}), "embeddings.parquet"
    )
    converted(tmp_path)
    (tmp_path / "data/pretrained").mkdir(parents=True)
    (tmp_path / "clf.safetensors").rename(tmp_path / "data/pretrained/gender_clf.safetensors")
    params["attributes"]["targets"]["gender"]["pretrained"] = (
        "data/pretrained/gender_clf.safetensors"
    )
    stage = runpy.run_path(str(ROOT / "stages/train_attribute.py"))
    said = stage["main"](
        check_params(params),
        stage["StageItem"]("gender"),
        *map(
            Path,
            (
                "embeddings.parquet",
                "faces.parquet",
                "labels.parquet",
                "splits.parquet",
                "models",
                "oof",
                "metrics",
            ),
        ),
    )
    assert said == "pretrained, calibrated on 67 train faces, measured on 66 test faces"
    model = AttributeModel.load(Path("models/gender_clf.safetensors"))
    assert (model.target, model.source, model.n_train, model.classes) == (
        "gender",
        "pretrained",
        0,
        ["female", "male"],
    )
    measured = json.loads(Path("metrics/gender.json").read_text())
    right = (model.predict(x) == WORDS[2][y])[split == "test"].mean()
    assert (measured["test"]["n"], measured["test"]["accuracy"]) == (66, pytest.approx(right))
    assert measured["pretrained_sha256"] == sha256_file("data/pretrained/gender_clf.safetensors")


def test_dvc_watches_the_folder_of_pretrained_models():
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["train_attribute"]["do"]
    assert {"data/pretrained", "${lib}/attributes", "${lib}/core"} <= set(stage["deps"])
    assert (ROOT / "data/pretrained/README.md").is_file()


def test_without_labels_its_own_probabilities_count(tmp_path):
    model = converted(tmp_path)
    trained = use_pretrained(model, np.empty((0, D)), text([]))
    set_threshold(trained, 0.9, text([]), np.empty((0, D)), text([]))
    assert (model.calibration, model.abstain_below) == (None, 0.9)


def test_a_pretrained_model_that_does_not_fit_is_named(tmp_path):
    model = converted(tmp_path, ["F", "M"])
    with pytest.raises(
        ModelError,
        match=r"the model says F, M, the labels say female, male; convert it again with --classes",
    ):
        use_pretrained(model, unit(2)[0], text(WORDS[2][unit(2)[1]]))
    for kind, dimension, expected in (
        ("regression", D, "is a classification, but"),
        ("classification", 512, "24 dimensions, but this CLIP variant gives 512"),
    ):
        with pytest.raises(ModelError, match=expected):
            load_pretrained(tmp_path / "clf.safetensors", "gender", kind, dimension)
    with pytest.raises(ModelError, match=r"none\.safetensors: no such file"):
        load_pretrained(tmp_path / "none.safetensors", "gender", "classification", D)
    with pytest.raises(ModelError, match=r"is no \.safetensors file"):
        load_pretrained(tmp_path / "clf.pkl", "gender", "classification", D)


@pytest.mark.parametrize(
    "path", ["clf.safetensors", "data/pretrained/../clf.safetensors", "data/pretrained/clf.pkl"]
)
def test_a_pretrained_model_lies_where_dvc_watches(params, path):
    params["attributes"]["targets"]["gender"]["pretrained"] = path
    with pytest.raises(ParamsError, match=r"attributes\.targets\.gender.*pretrained"):
        check_params(params)
    params["attributes"]["targets"]["gender"]["pretrained"] = "data/pretrained/clf.safetensors"
    assert (
        check_params(params).attributes.targets["gender"].pretrained
        == "data/pretrained/clf.safetensors"
    )


@pytest.fixture
def params():
    return yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.mark.long
def test_the_documented_command_makes_a_file_that_the_library_reads(tmp_path):
    dump(fitted("logistic regression", 2), tmp_path / "gender_clf.pkl")
    script = block("docs/attributes.md", "own classifier").text
    done = run_program(
        ["bash", "-euc", script.replace("python ", f"{sys.executable} ", 1)], tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    model = AttributeModel.load(tmp_path / "data/pretrained/gender_clf.safetensors")
    assert (model.target, model.classes) == ("gender", ["female", "male"])
    assert (
        "next: attributes.targets.gender.pretrained: data/pretrained/gender_clf.safetensors"
        in done.stdout
    )
    shutil.copyfile(tmp_path / "gender_clf.pkl", tmp_path / "gender_clf.safetensors")
    with pytest.raises(ModelError):
        AttributeModel.load(tmp_path / "gender_clf.safetensors")
