"""`facestats models convert`: a pickled classifier becomes arrays that answer the same."""

import gzip
import pickle
import shutil
import sys
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    LabelEncoder,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC

from classifiers import KINDS, WORDS, dump, fitted, unit
from documented import block
from facestats.__main__ import main
from facestats.attributes.model import AttributeModel
from facestats.attributes.pretrained import convert
from facestats.core.files import temporary_name
from facestats.core.layout import PRETRAINED
from facestats.errors import ModelError
from programs import run_program


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


@pytest.mark.long
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
    assert "counts by its margins" in notes[0]
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


@pytest.mark.long
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


@pytest.mark.parametrize(
    ("own", "words", "expected"),
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
def test_classes_are_called_as_given_or_as_they_are(tmp_path, own, words, expected):
    x, y = unit(2)
    theirs = LogisticRegression().fit(x, y)
    theirs.classes_ = own
    model, notes = convert(dump(theirs, tmp_path / "clf.pkl"), "gender", words)
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


def test_after_a_kill_the_same_command_succeeds_and_leaves_nothing_half_written(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    dump(fitted("logistic regression", 2), tmp_path / "gender_clf.pkl")
    command = ["models", "convert", "gender_clf.pkl", "--trust"]
    assert main(command) == 0
    out = tmp_path / PRETRAINED / "gender_clf.safetensors"
    before = out.stat()
    half = Path(f"{temporary_name(out)}".rpartition(".")[0] + ".4194305")
    half.write_bytes(b"half")
    assert main(command) == 0  # killed right after the rename
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.stat().st_mtime_ns == before.st_mtime_ns
    capsys.readouterr()
    assert main([*command, "--classes", "a,b"]) == 2
    assert "gender_clf.safetensors is there already; name another" in capsys.readouterr().err
    out.unlink()
    half.write_bytes(b"half")
    assert main(command) == 0
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ("step", "bad"),
    [
        ("standardscaler", np.nan),
        ("standardscaler", np.inf),
        ("standardscaler", -np.inf),
        ("logisticregression", np.nan),
    ],
)
def test_arrays_that_hold_no_numbers(tmp_path, capsys, step, bad):
    x, y = unit(2, 60)
    theirs = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    own = theirs.named_steps[step]
    (own.mean_ if step == "standardscaler" else own.coef_[0])[0] = bad
    path = dump(theirs, tmp_path / "clf.pkl")
    assert main(["models", "convert", str(path), "--trust", "-o", f"{tmp_path}/a.safetensors"]) == 2
    assert "numbers that are not finite" in capsys.readouterr().err
    assert not (tmp_path / "a.safetensors").exists()


def test_a_name_of_no_letters_is_named(tmp_path):
    """NumPy gives a SystemError for it, outside of the reader."""
    encoder = LabelEncoder().fit(["a", "b"])
    encoder.classes_ = np.frombuffer(b"\xff" * 8, "<U1")
    dump({"clf": fitted("logistic regression", 2), "encoder": encoder}, tmp_path / "m.pkl")
    with pytest.raises(ModelError, match="an array holds text that is none"):
        convert(tmp_path / "m.pkl", "gender")


def test_an_array_without_a_dimension_is_named(tmp_path, capsys):
    theirs = GaussianNB().fit(*unit(2, 60))
    theirs.theta_ = np.array(1.0)
    path = dump(theirs, tmp_path / "clf.pkl")
    assert main(["models", "convert", str(path), "--trust", "-o", f"{tmp_path}/a.safetensors"]) == 2
    assert "an array has too few dimensions" in capsys.readouterr().err


def test_a_forest_of_more_numbers_than_embeddings_have_is_named(tmp_path, capsys):
    theirs = RandomForestClassifier(2).fit(*unit(2, 60))
    for dimension in (2**63, 10**5000, 0):
        theirs.n_features_in_ = dimension
        path = dump(theirs, tmp_path / "clf.pkl")
        assert (
            main(["models", "convert", str(path), "--trust", "-o", f"{tmp_path}/a.safetensors"])
            == 2
        )
        assert "vectors of more than 65,536 numbers, or of none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        ({"female": ["F", "woman"]}, True),
        ([["F"], ["M", "man"]], True),
        ({"0" * 5000: "F", "1": "M"}, False),  # no number: the classes stay what they are
    ],
)
def test_odd_names_of_classes_beside_a_classifier_are_named(tmp_path, capsys, names, refused):
    theirs = LogisticRegression().fit(*unit(2, 60))
    path = dump({"model": theirs, "class_names": names}, tmp_path / "clf.pkl")
    out = f"{tmp_path}/a.safetensors"
    code = main(["models", "convert", str(path), "--trust", "-o", out])
    words = capsys.readouterr()
    assert code == (2 if refused else 0)
    assert ("can't be taken apart" in words.err) == refused
