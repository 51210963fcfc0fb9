"""Pickles that run code, claim memory, are damaged or hold something else: nothing is run."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
)
from sklearn.linear_model import (
    LogisticRegression,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
)

from classifiers import KINDS, D, dump, fitted, unit
from facestats.__main__ import main
from facestats.attributes.model import AttributeModel
from facestats.attributes.pretrained import convert
from facestats.errors import InputError, ModelError


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
    output = capsys.readouterr().err
    assert "gender_clf.pkl was not read: a pickle can run whatever its maker put in" in output
    assert "--trust" in output
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
