"""The regressor learns what a line can and what none can, never loses to ridge regression, and is
the same every time.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from facestats.core.stats.folds import shuffled_folds
from facestats.errors import InputError
from facestats.scores.correction import left_out_parts
from facestats.scores.params import Mlp
from facestats.scores.ridge import fit_averaged_ridge
from facestats.scores.training import train_regressor
from rated import QUICK, D, no_line, noisy_line, r


def made_up(n, d, noise, seed):
    """Unit-norm features, ratings along a line; `noise` as a multiple of the line's variance."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) / np.sqrt(1 + np.arange(d) / 4)
    y = x @ rng.normal(size=d)
    return x / np.linalg.norm(x, axis=1, keepdims=True), y + np.sqrt(noise) * y.std() * rng.normal(
        size=n
    )


def thirds(x, y, train, val):
    return (x[:train], y[:train], x[train : train + val], y[train : train + val]), (
        x[train + val :],
        y[train + val :],
    )


def ridge_r(x, y, x_test, y_test, standardise=True):
    model = make_pipeline(*[StandardScaler()] * standardise, RidgeCV(np.logspace(-4, 5, 37))).fit(
        x, y
    )
    return np.corrcoef(model.predict(x_test), y_test)[0, 1]


def test_it_learns_what_it_can_see(rated):
    model = train_regressor(*rated, **QUICK)
    x, y = noisy_line(300, 2)
    predicted = model.predict(x)
    assert np.corrcoef(predicted, y)[0, 1] > 0.9
    assert abs(predicted.mean() - y.mean()) < 0.1  # in rating units
    assert (predicted.dtype, predicted.shape) == (np.float64, (300,))


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize(
    ("rows", "dimension", "noise"), [(260, 40, 1.0), (260, 300, 1.0), (700, 128, 9.0)]
)
def test_it_does_not_lose_to_ridge_regression_where_a_line_is_all_there_is(rows, dimension, noise):
    differences = []
    for seed in range(5):
        train, test = thirds(
            *made_up(rows + 2000, dimension, noise, seed), int(rows * 0.8), int(rows * 0.2)
        )
        differences.append(
            r(train_regressor(*train, hidden=[32], ensemble=4), *test) - ridge_r(*train[:2], *test)
        )
    assert np.mean(differences) > -0.005


@pytest.mark.long
def test_principal_components_keep_the_weight_of_their_variance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2300, 200)) * np.logspace(1, -2, 200)
    y = x[:, :20] @ rng.normal(size=20) + 20 * rng.normal(size=2300)
    train, test = thirds(x, y, 240, 60)
    model = train_regressor(*train, hidden=[32], ensemble=4)
    assert r(model, *test) > ridge_r(*train[:2], *test, standardise=False) - 0.01
    assert r(model, *test) > ridge_r(*train[:2], *test) + 0.1  # what equal weights give


@pytest.mark.long
def test_it_learns_what_no_line_can():
    x, y = no_line(900, 0)
    train, test = thirds(x, y, 600, 150)
    model = train_regressor(
        *train, hidden=32, ensemble=4, dropout=0.0, lr=0.01, weight_decay=0.01, epochs=40
    )
    assert abs(ridge_r(*train[:2], *test)) < 0.3
    assert r(model, *test) > 0.8


@pytest.mark.long
def test_its_defaults_beat_a_line_where_half_of_what_is_to_be_seen_bends():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2800, 32))
    y = (
        x[:, :8].sum(1) / np.sqrt(8)
        + x[:, 0] * x[:, 1]
        + np.abs(x[:, 2])
        + 0.5 * rng.normal(size=2800)
    )
    train, test = thirds(x, y, 700, 150)
    assert r(train_regressor(*train, epochs=30), *test) > ridge_r(*train[:2], *test) + 0.05


@pytest.mark.long
def test_ratings_that_mean_nothing_teach_nothing(rated):
    """Of 20 deals, the mean r must lie within 3 standard errors of 0.

    One r of 400 faces has 0.05.
    """
    x, y, x_val, y_val = rated
    test = noisy_line(400, 2)
    result = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        result.append(
            r(
                train_regressor(x, rng.permutation(y), x_val, rng.permutation(y_val), **QUICK),
                test[0],
                rng.permutation(test[1]),
            )
        )
    assert abs(np.mean(result)) < 3 * 0.05 / np.sqrt(20)
    assert np.std(result) < 0.1


def test_the_best_epoch_is_kept_and_training_stops_after_patience():
    train, _ = thirds(*no_line(500, 0), 300, 200)
    losses = []
    model = train_regressor(
        *train,
        hidden=64,
        ensemble=2,
        dropout=0.0,
        lr=0.02,
        epochs=300,
        patience=7,
        calibration="none",
        on_epoch=lambda epoch, train, val: losses.append((epoch, val)),
    )
    best = min(range(len(losses)), key=lambda i: losses[i][1])
    assert [epoch for epoch, _ in losses] == list(range(best + 7 + 1))  # epoch 0 is the line alone
    assert 0 < best < 300 - 7
    model.correction_factor = 1.0  # the losses are those of the whole correction
    kept = np.mean((model.predict(train[2]) - train[3]) ** 2) / np.std(train[1]) ** 2
    assert kept == pytest.approx(losses[best][1], rel=1e-4)
    assert losses[-1][1] > losses[best][1]


def test_at_most_so_many_epochs(rated):
    epochs = []
    train_regressor(
        *rated, hidden=4, ensemble=2, epochs=3, on_epoch=lambda epoch, *_: epochs.append(epoch)
    )
    assert epochs == [0, 1, 2, 3]


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        {"hidden": 8},
        {"hidden": [32, 8]},
        {"ensemble": 1},
        {"ensemble": 3},
        {"dropout": 0.2},
        {"lr": 0.003},
        {"weight_decay": 0.01},
        {"batch_size": 16},
        {"epochs": 2},
        {"schedule": "cosine"},
        {"loss": "huber"},
        {"seed": 4},
        {"calibration": "isotonic"},
    ],
    ids=str,
)
def test_every_option_changes_the_result_and_leaves_a_model(change):
    train, test = thirds(*no_line(800, 1), 500, 150)
    usual = {
        "hidden": 32,
        "ensemble": 2,
        "dropout": 0.1,
        "lr": 0.01,
        "weight_decay": 0.1,
        "epochs": 12,
        "calibration": "none",
    }
    model, changed = train_regressor(*train, **usual), train_regressor(*train, **usual | change)
    assert not np.allclose(model.predict(test[0]), changed.predict(test[0]), atol=1e-3)
    assert r(changed, *test) > 0.5


@pytest.mark.long
def test_the_seed_decides_and_nothing_else(rated):
    torch.manual_seed(1)
    first = train_regressor(*rated, **QUICK)
    torch.manual_seed(2)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(3 - min(threads, 2))
    again = train_regressor(*rated, **QUICK)
    torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)
    for one, other in zip(
        first.network.state_dict().values(), again.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
    assert torch.equal(first.slopes, again.slopes)


def test_rows_in_another_order_get_the_same_predictions(rated):
    model, order = train_regressor(*rated, **QUICK), np.random.default_rng(0).permutation(400)
    assert model.predict(rated[0][order]) == pytest.approx(model.predict(rated[0])[order], abs=1e-9)
    assert model.predict(rated[0][7:8]) == pytest.approx(model.predict(rated[0])[7:8], abs=1e-6)


@pytest.mark.long
def test_the_order_of_the_faces_that_teach_decides_nothing():
    train, test = thirds(*no_line(500, 0), 300, 200)
    orders = [np.random.default_rng(seed).permutation(len(y)) for seed, y in enumerate(train[1::2])]
    shuffled = [part[orders[i // 2]] for i, part in enumerate(train)]
    models = [
        train_regressor(*parts, hidden=16, ensemble=3, epochs=10) for parts in (train, shuffled)
    ]
    assert models[0].correction_factor > 0
    assert (models[0].predict(test[0]) == models[1].predict(test[0])).all()


@pytest.mark.long
@pytest.mark.parametrize(("factor", "offset"), [(1e-3, 0.0), (100.0, -3e4)])
def test_the_unit_of_the_ratings_does_not_matter(rated, factor, offset):
    x, y, x_val, y_val = rated
    usual = train_regressor(*rated, **QUICK).predict(x_val)
    other = train_regressor(
        x, y * factor + offset, x_val, y_val * factor + offset, **QUICK
    ).predict(x_val)
    assert (other - offset) / factor == pytest.approx(usual, abs=1e-3)


@pytest.mark.long
def test_a_feature_that_never_moved_in_training_cannot_drown_the_others(rated):
    x, y, x_val, y_val = (part.copy() for part in rated)
    x[:, 3] = x_val[:, 3] = 0.1
    model = train_regressor(x, y, x_val, y_val, **QUICK)
    before, x_val[:, 3] = model.predict(x_val), 0.1001
    assert np.abs(model.predict(x_val) - before).max() < 0.01


def test_features_that_never_move_give_the_mean_rating(rated):
    _, y, _, y_val = rated
    model = train_regressor(np.full((400, 3), 0.5), y, np.full((100, 3), 0.5), y_val, **QUICK)
    assert model.predict(np.full((2, 3), 0.5)) == pytest.approx([y.mean()] * 2, abs=0.2)


@pytest.mark.long
@pytest.mark.parametrize("rows", [20, 400, 20_000])
def test_ratings_that_lie_on_a_line_are_found_exactly(rows):
    x = np.random.default_rng(0).normal(size=(rows + 20, 6)).astype(np.float32)
    y = x @ np.arange(6.0)
    model = train_regressor(x[:-10], y[:-10], x[-10:], y[-10:], **QUICK | {"epochs": 1})
    assert model.predict(x) == pytest.approx(y, abs=0.05 * y.std())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda x, y, xv, yv: (np.where(np.arange(D) == 2, np.nan, x), y, xv, yv),
            "train: .* not finite",
        ),
        (
            lambda x, y, xv, yv: (x, np.where(np.arange(400) == 7, np.nan, y), xv, yv),
            "train: .* not finite",
        ),
        (
            lambda x, y, xv, yv: (x, y, xv, np.where(np.arange(100) == 7, np.inf, yv)),
            "val: .* not finite",
        ),
        (lambda x, y, xv, yv: (x, np.full(400, 5.0), xv, yv), "all 400 train ratings are 5;"),
        (
            lambda x, y, xv, yv: (x, np.where(y > np.median(y), 3.3, np.nextafter(3.3, 4)), xv, yv),
            r"all 400 train ratings are 3\.3;",
        ),
        (lambda x, y, xv, yv: (x[:7], np.full(7, 0.1), xv, yv), r"all 7 train ratings are 0\.1;"),
        (
            lambda x, y, xv, yv: (x[:2], y[:2], xv, yv),
            "2 rated faces in train and 100 in val; 20 and 5 are needed",
        ),
        (lambda x, y, xv, yv: (x, y, xv[:4], yv[:4]), "400 rated faces in train and 4 in val"),
        (lambda x, y, xv, yv: (x, y[:-1], xv, yv), r"train: .*\(400, 24\).*\(399,\)"),
        (lambda x, y, xv, yv: (x, y[:, None], xv, yv), r"\(400, 1\); expected \(n, d\) and \(n,\)"),
        (lambda x, y, xv, yv: (x[0], y[:1], xv, yv), "train: features have the shape"),
        (lambda x, y, xv, yv: (x, y, xv[:0], yv[:0]), "val: no rated faces"),
        (lambda x, y, xv, yv: (x, y, xv[:, 1:], yv), "train has 24 features, val 23"),
        (
            lambda x, y, xv, yv: (x[:, :0], y, xv[:, :0], yv),
            r"train: features have the shape \(400, 0\)",
        ),
        (
            lambda x, y, xv, yv: (x, ["good"] * len(y), xv, yv),
            "train: features must be a matrix of numbers .*could not convert",
        ),
        (
            lambda x, y, xv, yv: (pd.Series(list(x)), y, xv, yv),
            r"train: features must be .*; np\.stack makes a matrix of a column of vectors",
        ),
        (
            lambda x, y, xv, yv: (x, y, xv, None),
            r"val: features have the shape \(100, 24\) and ratings \(\)",
        ),
    ],
)
def test_data_that_nothing_can_be_learned_from_is_named(rated, change, expected):
    with pytest.raises(InputError, match=expected):
        train_regressor(*change(*rated), **QUICK)


@pytest.mark.parametrize(
    "option", [{"loss": "mae"}, {"schedule": "step"}, {"calibration": "platt"}]
)
def test_an_option_that_does_not_exist_is_named(rated, option):
    with pytest.raises(
        InputError,
        match=f"{next(iter(option))} = '{next(iter(option.values()))}' is not possible: input "
        "should be '",
    ):
        train_regressor(*rated, **QUICK | option)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (
            {"ensemble": 0},
            "ensemble = 0 is not possible: input should be greater than or equal to 1",
        ),
        ({"batch_size": 0}, "batch_size = 0 is not possible"),
        ({"batch_size": 2.5}, r"batch_size = 2\.5 is not possible"),
        ({"epochs": "3"}, "epochs = '3' is not possible: input should be a valid integer"),
        ({"dropout": 1.0}, r"dropout = 1\.0 is not possible: input should be less than 1"),
        ({"dropout": None}, "dropout = None"),
        ({"hidden": [16, 0]}, r"hidden\.1 = 0 is not possible"),
        ({"hidden": "16"}, "hidden = '16'"),
        ({"hidden": None}, "hidden = None"),
        ({"lr": -1.0}, r"lr = -1\.0"),
        ({"lr": float("nan")}, "lr = nan"),
        ({"weight_decay": -1.0}, r"weight_decay = -1\.0"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": None}, "seed = None"),
    ],
)
def test_an_option_out_of_range_is_named(rated, option, expected):
    with pytest.raises(InputError, match=expected):
        train_regressor(*rated, **QUICK | option)


@pytest.mark.long
@pytest.mark.parametrize("hidden", [np.int64(8), (8,), np.array([8]), [np.int64(8)], range(8, 9)])
def test_options_may_be_of_numpy_or_a_tuple(rated, hidden):
    model = train_regressor(
        *rated, **QUICK | {"hidden": hidden, "lr": np.float32(1e-3), "epochs": np.int64(1)}
    )
    assert model.network.hidden == [8]


def test_a_training_that_diverges_is_an_error_not_a_model():
    x, y = no_line(60, 0)
    with pytest.raises(InputError, match="diverged in epoch"):
        train_regressor(x[:40], y[:40], x[40:], y[40:], hidden=8, lr=1e30, epochs=50)


def test_an_embedding_that_is_not_finite_gets_no_score(served):
    with pytest.raises(InputError, match="not finite"):
        served.predict(np.full((2, D), np.nan))


@pytest.mark.long
def test_no_person_is_in_two_parts_of_a_training(rated):
    """Copies of a face on both sides would praise a correction that remembers."""
    x, y, x_val, _ = rated
    alone = train_regressor(
        *rated, **QUICK, persons=(np.arange(len(x)), np.arange(len(x_val)) + 1e6)
    )
    again = train_regressor(*rated, **QUICK)
    assert np.array_equal(alone.predict(x_val), again.predict(x_val))
    who = np.repeat(np.arange(100), 4)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    ridge = fit_averaged_ridge(z.astype(float), y - y.mean(), x.std(axis=0).astype(float))
    parts = left_out_parts(z.astype(float), y - y.mean(), who, ridge, Mlp(ensemble=8))
    assert len(np.unique(parts.part)) == 8
    assert all(len(np.unique(parts.part[who == person])) == 1 for person in range(100))
    one = left_out_parts(z.astype(float), y - y.mean(), who * 0, ridge, Mlp(ensemble=8))
    assert (one.part == -1).all()
    assert one.seen.shape == one.residuals.shape == (8, len(x))
    for fitted, left_out in shuffled_folds(who, 3):
        assert not set(who[fitted]) & set(who[left_out])
        assert len(fitted) + len(left_out) == len(who)
    with pytest.raises(InputError, match="400 rows, but 3 persons"):
        train_regressor(*rated, persons=([1, 2, 3], np.arange(len(x_val))))
