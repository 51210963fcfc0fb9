"""Penalties chosen inside train, probabilities that can be trusted, and a threshold for the
precision that is wanted.
"""

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from facestats.attributes.calibration import Calibration, choose_threshold
from facestats.attributes.training import set_threshold, train_classifier, train_regression
from facestats.core.stats.classification import calibration_error, calibration_with_interval
from facestats.core.stats.folds import class_folds, group_folds
from facestats.errors import InputError
from resources import blobs, names, text


def drawn(n, d=40, seed=0, rare=0.5):
    """Embeddings of which one number decides, with noise: many useless dimensions, so that the
    penalty matters.
    """
    rng = np.random.default_rng(seed)
    dog = rng.random(n) < rare
    x = rng.normal(size=(n, d))
    x[:, 0] += np.where(dog, 1.0, -1.0)
    return x.astype(np.float32), text(np.where(dog, "dog", "cat"))


# Penalty


@pytest.mark.long
def test_the_penalty_follows_the_noise():
    easy = blobs({"cat": 60, "dog": 60}, spread=0.3)
    hard = drawn(150, d=200)
    result = {
        name: train_classifier("pet", *data, 5).model
        for name, data in (("easy", easy), ("hard", hard))
    }
    assert result["hard"].penalty < 0.1 < result["easy"].penalty
    assert {model.penalty_from for model in result.values()} == {"cross-validation"}
    fixed = train_classifier("pet", *hard, 5, 3.0).model
    assert (fixed.penalty, fixed.penalty_from) == (3.0, "params.yaml")


@pytest.mark.long
def test_the_chosen_penalty_beats_its_neighbours_on_new_faces():
    x, labels = drawn(150)
    new, actual = drawn(4000, seed=1)

    def loss(c):
        model = train_classifier("pet", x, labels, 5, c).model
        return -np.log(
            model.predict_proba(new)[np.arange(4000), (actual == "dog").astype(int)]
        ).mean()

    chosen = loss("auto")
    assert chosen < loss(10.0) - 0.02
    assert chosen < min(loss(10.0**power) for power in (-4, -3, -2, -1, 0, 1)) + 0.02


@pytest.mark.long
def test_the_penalty_of_a_regression_is_that_of_ridge_in_cross_validation():
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 60)).astype(np.float32)
    y = pd.Series(3 * x[:, 0] + rng.normal(0, 9, 300))
    alphas = 10.0 ** np.arange(-1, 5.1, 0.5)
    folds = group_folds(np.arange(300))
    reference = RidgeCV(alphas, cv=folds, scoring="neg_mean_squared_error").fit(
        StandardScaler().fit_transform(x.astype(float)), y
    )
    assert train_regression("height", x, y, 5).model.penalty == pytest.approx(reference.alpha_)
    assert train_regression("height", x, y, 5, 7.0).model.penalty == 7.0


def test_no_person_straddles_folds():
    who = np.concatenate([np.repeat(np.arange(20), 3), np.arange(20, 50)])
    for folds in (class_folds(np.repeat(["a", "b"], 45), who), group_folds(who)):
        assert len(folds) == 5
        assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(90))
        assert all(not set(who[train]) & set(who[held_out]) for train, held_out in folds)


@pytest.mark.long
def test_faces_of_one_person_are_no_evidence():
    """Ten persons, twenty nearly equal faces each, and labels by chance: with persons known,
    nothing can be learned.
    """
    rng = np.random.default_rng(0)
    x = (np.repeat(rng.normal(size=(10, 30)), 20, axis=0) + rng.normal(0, 0.01, (200, 30))).astype(
        np.float32
    )
    labels, persons = (
        text(np.repeat(["cat", "dog"] * 5, 20)),
        text(np.repeat([f"p{i}" for i in range(10)], 20)),
    )
    blind = train_classifier("pet", x, labels, 5).out_of_fold["pet_prob_dog"]
    assert ((blind > 0.5) == (labels == "dog")).mean() > 0.95
    knowing = train_classifier("pet", x, labels, 5, groups=persons).out_of_fold["pet_prob_dog"]
    assert ((knowing > 0.5) == (labels == "dog")).mean() < 0.8


def test_one_person_a_class_trains_with_a_default_and_says_so():
    x, labels = blobs({"cat": 20, "dog": 20})
    trained = train_classifier("pet", x, labels, 5, groups=labels)
    assert trained.model.trained
    assert trained.model.calibration is None
    assert trained.model.penalty_from == "a default: too few persons to leave some out"
    assert len(trained.out_of_fold) == 0
    set_threshold(trained, 0.9, labels, x[:0], labels[:0])
    assert trained.model.choices()["threshold"] is None
    assert trained.model.abstain_below == np.inf  # nothing shows that it is ever right
    set_threshold(trained, 0.9, labels, x[:2], labels[:2])
    assert trained.model.threshold_from == "2 val faces"


# Calibration


@pytest.mark.long
@pytest.mark.parametrize(
    ("weight", "c"), [(None, 10.0), ("balanced", 10.0), ("balanced", "auto"), ("balanced", 0.0003)]
)
def test_calibration_mends_class_weights_and_wrong_penalties(weight, c):
    x, labels = drawn(600, d=200, rare=0.1)
    new, actual = drawn(5000, d=200, seed=1, rare=0.1)
    model = train_classifier("pet", x, labels, 5, c, weight).model
    shares = model.predict_proba(new)
    answer = model.choose(shares)
    right = np.asarray(model.classes)[answer] == actual
    before = calibration_error(model.uncalibrated(shares).max(axis=1), right)
    after = calibration_error(shares[np.arange(5000), answer], right)
    assert before > 0.09
    assert after < 0.05
    assert shares[:, 1].mean() == pytest.approx(0.1, abs=0.02)  # as many dogs as there are


def test_calibration_never_changes_what_is_answered():
    x, labels = blobs({"cat": 60, "dog": 30, "owl": 12}, spread=2.0)
    model = train_classifier("pet", x, labels, 5, 1.0, "balanced").model
    raw = model.pipeline.predict_proba(x.astype(float))
    assert (model.predict(x) == np.asarray(model.classes)[raw.argmax(axis=1)]).all()
    assert model.uncalibrated(model.predict_proba(x)) == pytest.approx(raw)
    assert (model.predict_proba(x).argmax(axis=1) != raw.argmax(axis=1)).any()


def test_answers_that_are_all_right_leave_the_probabilities_finite():
    raw = np.repeat([[0.99, 0.01], [0.01, 0.99]], 50, axis=0)
    result = Calibration.fit(raw, np.repeat([0, 1], 50), np.ones(2))
    assert 1 < result.slope < 3
    assert (
        Calibration.fit(np.array([[1.0, 0], [0, 1]]), np.array([0, 1]), np.ones(2)).apply(raw).max()
        < 1
    )


def test_the_calibration_error_is_the_distance_of_sure_and_right():
    sure = np.array([0.95, 0.95, 0.65, 0.65, 1.0])
    right = np.array([True, True, True, False, False])
    # 0.9 to 1: three faces, 2.90 said, 2 right; 0.6 to 0.7: two faces, 1.30 said, 1 right
    assert calibration_error(sure, right) == pytest.approx((0.9 + 0.3) / 5)
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 150)
    result = calibration_with_interval(sure, rng.random(150) < sure, 300, 0)
    assert 0 <= result["low"] < result["value"] < result["high"] < 0.2


# Threshold


def test_the_threshold_is_the_lowest_that_gives_the_wanted_precision():
    sure = np.array([0.99, 0.97, 0.95, 0.9, 0.8, 0.7, 0.6, 0.55])
    right = np.array([True, True, True, True, True, False, True, False])
    assert choose_threshold(sure, right, 0.9) == 0.8  # with 0.7 five of six are right
    assert (
        choose_threshold(sure, np.ones(8, bool), 0.9) == 0.8
    )  # with 0.7 the probabilities promise 0.885
    assert choose_threshold(sure, right, 0.5) == 0.5  # all may be answered
    assert choose_threshold(sure, right, 0.7) == 0.55
    assert (
        choose_threshold(sure[:3], right[:3], 0.9) == 0.9
    )  # none here is less sure than 0.95, but another may be
    assert choose_threshold(sure, ~right, 0.9) == np.inf
    assert choose_threshold(sure[:0], right[:0], 0.9) == np.inf
    assert (
        choose_threshold(np.array([0.9, 0.9, 0.9]), np.array([True, False, False]), 0.8) == np.inf
    )  # equals go together
    order = np.random.default_rng(0).permutation(8)
    assert choose_threshold(sure[order], right[order], 0.9) == 0.8


@pytest.mark.long
@pytest.mark.parametrize("precision", [0.85, 0.95])
def test_answers_to_new_faces_are_right_as_often_as_wanted(precision):
    result = []
    for seed in range(8):
        x, labels = drawn(400, d=10, seed=seed)
        trained = train_classifier("pet", x[:300], labels[:300], 5, 0.01)
        set_threshold(trained, precision, labels[:300], x[300:], labels[300:])
        new, actual = drawn(3000, d=10, seed=100 + seed)
        shares = trained.model.predict_proba(new)
        answered = shares.max(axis=1) >= trained.model.abstain_below
        result.append(((trained.model.predict(new) == actual)[answered].mean(), answered.mean()))
    right, coverage = np.mean(result, axis=0)
    assert right > precision - 0.01
    assert coverage > 0.3
    assert trained.model.threshold_from == "100 val faces"


@pytest.mark.long
def test_without_val_faces_the_threshold_comes_from_train_faces_left_out():
    x, labels = drawn(300, d=10)
    trained = train_classifier("pet", x, labels, 5)
    set_threshold(trained, 0.9, labels, x[:4], text([None, "unknown", None, None]))
    assert (
        trained.model.threshold_from
        == "300 train faces, cross-validated, for no val face has a label"
    )
    assert 0.5 < trained.model.abstain_below < 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("n", "said"),
    [
        (1, "1 val face and 300 train faces, cross-validated, for these are few"),
        (10, "10 val faces"),
    ],
)
def test_a_mistake_on_few_val_faces_does_not_silence_a_model(n, said):
    x, labels = drawn(310, d=10)
    trained = train_classifier("pet", x[:300], labels[:300], 5)
    wrong = labels[300 : 300 + n].map({"cat": "dog", "dog": "cat"})
    wrong.iloc[1:] = trained.model.predict(x[300 : 300 + n])[1:]
    set_threshold(trained, 0.9, labels[:300], x[300 : 300 + n], wrong)
    assert trained.model.threshold_from == said
    assert 0.5 < trained.model.abstain_below < 1


@pytest.mark.long
def test_a_model_that_is_never_right_often_enough_abstains_and_one_without_a_wish_answers():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(200, 5)).astype(np.float32), text(rng.choice(["cat", "dog"], 200))
    trained = train_classifier("pet", x[:150], labels[:150], 5)
    set_threshold(trained, 0.95, labels[:150], x[150:], labels[150:])
    assert trained.model.abstain_below == np.inf
    assert trained.model.choices() | {"penalty": 0} == {
        "penalty": 0,
        "penalty_from": "cross-validation",
        "wanted_precision": 0.95,
        "threshold": None,
        "threshold_from": "50 val faces",
    }
    always = train_classifier("pet", x[:150], labels[:150], 5)
    set_threshold(always, None, labels[:150], x[150:], labels[150:])
    assert (always.model.abstain_below, always.model.wanted_precision) == (0, None)


# Input


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "train",
    [
        lambda x, y: train_classifier("pet", x, y, 5),
        lambda x, y: train_regression("pet", x, y.map({"cat": 1.0, "dog": 2.0}), 5),
    ],
)
def test_an_embedding_that_is_not_finite_is_named(value, train):
    x, labels = blobs({"cat": 20, "dog": 20})
    labels.index = names(40)
    x[7, 1] = value
    with pytest.raises(InputError, match=r"f007\.jpg is not finite \(1 such"):
        train(x, labels)


def test_two_labelled_faces_train_where_that_is_allowed():
    x, labels = blobs({"cat": 1, "dog": 1})
    assert train_classifier("pet", x, labels, 2).model.why.startswith("0 classes")
    result = train_regression("height", x, pd.Series([1.0, 3.0]), 2).model
    assert result.predict(x) == pytest.approx([1, 3], abs=1.1)


@pytest.mark.long
def test_models_do_not_depend_on_the_number_of_threads():
    x, labels = drawn(200, d=96)
    result = []
    for threads in (1, 4):
        with threadpool_limits(threads):
            trained = train_classifier("pet", x, labels, 5, class_weight="balanced")
            result.append(
                (trained.out_of_fold.to_numpy().tobytes(), trained.model.predict_proba(x).tobytes())
            )
            numbers = train_regression("height", x, pd.Series(x[:, 0]), 5)
            result[-1] += (
                numbers.out_of_fold.to_numpy().tobytes(),
                numbers.model.predict(x).tobytes(),
            )
    assert result[0] == result[1]
