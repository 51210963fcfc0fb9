"""The regressor learns, is the same every time, and its file and its scores say the same everywhere."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from facestats import tables
from facestats.attractiveness.mlp import build_network, load_pretrained, load_regressor, save_untrained
from facestats.attractiveness.scores import (
    MAX_REFERENCE,
    blend,
    reference_distribution,
    to_decile,
    to_pct,
    to_score,
)
from facestats.attractiveness.table import score_table
from facestats.attractiveness.training import train_regressor
from facestats.errors import InputError, ModelError

D = 24
QUICK = {"hidden": [16], "epochs": 5, "seed": 3}
WEIGHTS = {"geometric": 0.6, "holistic": 0.4}


def noisy_line(n, seed):
    """Ratings around 4 that depend on features of very different scales; the noise leaves r of about 0.95."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, D))
    slopes = np.random.default_rng(99).normal(size=D) / np.sqrt(D)
    y = 4 + x @ slopes + 0.3 * rng.normal(size=n)
    return (x * np.logspace(-3, 3, D) + 5).astype(np.float32), y


@pytest.fixture(scope="module")
def data():
    return *noisy_line(400, 0), *noisy_line(100, 1)


@pytest.fixture(scope="module")
def model(data):
    return train_regressor(*data, epochs=60)


@pytest.fixture
def served(data):
    """A trained model as the pipeline saves it."""
    model = train_regressor(*data, **QUICK)
    model.scale, model.reference = (1.0, 7.0), reference_distribution(model.predict(data[0]))
    return model


# Training

def test_it_learns_what_it_can_see(model):
    x, y = noisy_line(300, 2)
    predicted = model.predict(x)
    assert np.corrcoef(predicted, y)[0, 1] > 0.85
    assert abs(predicted.mean() - y.mean()) < 0.15  # in rating units
    assert (predicted.dtype, predicted.shape) == (np.float64, (300,))


def test_it_learns_what_no_line_can(data):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 2)).astype(np.float32)
    y = 50 + 10 * np.sign(x[:, 0] * x[:, 1])
    model = train_regressor(x[:600], y[:600], x[600:750], y[600:750], hidden=32, dropout=0.0, lr=0.01,
                            weight_decay=0.01, epochs=40)
    assert np.corrcoef(model.predict(x[750:]), y[750:])[0, 1] > 0.8


def test_the_best_epoch_is_kept_and_training_stops_after_patience(data):
    x, y, x_val, y_val = data
    losses = []
    model = train_regressor(x[:40], y[:40], x_val, y_val, hidden=64, dropout=0.0, lr=0.01, epochs=200, patience=7,
                            on_epoch=lambda epoch, train, val: losses.append((epoch, val)))
    best = min(range(len(losses)), key=lambda i: losses[i][1])
    assert [epoch for epoch, _ in losses] == list(range(1, best + 1 + 7 + 1))  # numbered from 1
    assert len(losses) < 200
    kept = np.mean((model.predict(x_val) - y_val) ** 2) / np.std(y[:40], ddof=1) ** 2
    assert kept == pytest.approx(losses[best][1], rel=1e-4)
    assert losses[-1][1] > 1.01 * losses[best][1]  # else the last would do as well


def test_at_most_so_many_epochs(data):
    epochs = []
    train_regressor(*data, hidden=4, epochs=3, on_epoch=lambda epoch, *_: epochs.append(epoch))
    assert epochs == [1, 2, 3]


def test_the_seed_decides_and_nothing_else(data):
    torch.manual_seed(1)
    first = train_regressor(*data, **QUICK).predict(data[2])
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert train_regressor(*data, **QUICK).predict(data[2]).tobytes() == first.tobytes()
    assert torch.equal(torch.get_rng_state(), before)
    assert not np.allclose(train_regressor(*data, **QUICK | {"seed": 4}).predict(data[2]), first)


def test_hidden_is_a_number_or_a_list(data):
    one, listed = (train_regressor(*data, **QUICK | {"hidden": h}) for h in (16, [16]))
    assert one.predict(data[2]).tobytes() == listed.predict(data[2]).tobytes()

    def widths(hidden):
        return [layer.out_features for layer in build_network(D, hidden, 0.1) if isinstance(layer, nn.Linear)]

    assert [widths(h) for h in (16, [16], [32, 8], [])] == [[16, 1], [16, 1], [32, 8, 1], [1]]


def test_a_feature_that_never_moved_in_training_cannot_drown_the_others(data):
    x, y, x_val, y_val = (part.copy() for part in data)
    x[:, 3] = x_val[:, 3] = 0.1
    model = train_regressor(x, y, x_val, y_val, **QUICK)
    before, x_val[:, 3] = model.predict(x_val), 0.1001
    assert np.abs(model.predict(x_val) - before).max() < 0.01


@pytest.mark.parametrize(("change", "expected"), [
    (lambda x, y, xv, yv: (np.where(np.arange(D) == 2, np.nan, x), y, xv, yv), "train: .* not finite"),
    (lambda x, y, xv, yv: (x, y, xv, np.where(np.arange(100) == 7, np.inf, yv)), "val: .* not finite"),
    (lambda x, y, xv, yv: (x, np.full(400, 5.0), xv, yv), "all 400 train ratings are 5;"),
    (lambda x, y, xv, yv: (x[:7], np.full(7, 0.1), xv, yv), r"all 7 train ratings are 0\.1;"),
    (lambda x, y, xv, yv: (x[:1], y[:1], xv, yv), "all 1 train ratings"),
    (lambda x, y, xv, yv: (x, y[:-1], xv, yv), r"train: .*\(400, 24\).*\(399,\)"),
    (lambda x, y, xv, yv: (x, y[:, None], xv, yv), r"\(400, 1\); expected \(n, d\) and \(n,\)"),
    (lambda x, y, xv, yv: (x[0], y[:1], xv, yv), "train: features have the shape"),
    (lambda x, y, xv, yv: (x, y, xv[:0], yv[:0]), "val: no rated faces"),
    (lambda x, y, xv, yv: (x, y, xv[:, 1:], yv), "train has 24 features, val 23"),
])
def test_data_that_nothing_can_be_learned_from_is_named(data, change, expected):
    with pytest.raises(InputError, match=expected):
        train_regressor(*change(*data), **QUICK)


# Model files

def test_a_model_file_gives_back_the_same_model(served, data, tmp_path):
    served.save(tmp_path / "a" / "m.pt")
    again = load_regressor(tmp_path / "a" / "m.pt")
    assert again.predict(data[2]).tobytes() == served.predict(data[2]).tobytes()
    assert (again.scale, again.hidden, again.dimension) == ((1.0, 7.0), [16], D)
    assert again.reference.tobytes() == served.reference.tobytes()
    assert torch.load(tmp_path / "a" / "m.pt", weights_only=True)["trained"] is True


def test_training_twice_gives_the_same_bytes_under_any_name(served, data, tmp_path):
    again = train_regressor(*data, **QUICK)
    again.scale, again.reference = served.scale, served.reference
    served.save(tmp_path / "one.pt")
    again.save(tmp_path / "another_name.pt")
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "another_name.pt").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_may_say_that_nothing_was_trained(tmp_path):
    save_untrained(tmp_path / "m.pt", "3 rated faces in train")
    assert load_regressor(tmp_path / "m.pt") is None
    with pytest.raises(ModelError, match="no trained model: 3 rated faces in train"):
        load_pretrained(tmp_path / "m.pt", D, (1, 7))


class Exploit:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("content", [None, b"text", {"weights": torch.zeros(2)}, [1], {"net.0.weight": Exploit()}])
def test_a_file_that_is_no_model_is_named(tmp_path, content, capsys):
    if isinstance(content, bytes):
        (tmp_path / "m.pt").write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / "m.pt")
    for load in (load_regressor, lambda path: load_pretrained(path, D, (1, 7))):
        with pytest.raises(ModelError, match=r"m\.pt"):
            load(tmp_path / "m.pt")
    assert capsys.readouterr().out == ""


# Somebody's checkpoint

class Plain(nn.Module):
    """The module that a bare state dict comes from."""

    def __init__(self, d=512, out=1):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, out))


@pytest.fixture
def plain():
    torch.manual_seed(0)
    return Plain()


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state, "epoch": 3},
                                  lambda state: {k: v.double() for k, v in state.items()}])
def test_a_bare_state_dict_gives_what_its_module_gives(plain, tmp_path, wrap):
    torch.save(wrap(plain.state_dict()), tmp_path / "p.pth")
    model = load_pretrained(tmp_path / "p.pth", 512, (1.0, 5.0))
    x = np.random.default_rng(0).normal(size=(9, 512)).astype(np.float32)
    with torch.inference_mode():
        expected = plain.net(torch.from_numpy(x)).squeeze(1).numpy()
    assert np.allclose(model.predict(x), expected, atol=1e-6)
    assert (model.scale, model.hidden) == ((1.0, 5.0), [256, 64])
    model.save(tmp_path / "again.pt")
    assert load_regressor(tmp_path / "again.pt").predict(x).tobytes() == model.predict(x).tobytes()


@pytest.mark.parametrize(("change", "dimension", "scale", "expected"), [
    (lambda s: s, 256, (1, 5), ["512 dimensions", "gives 256", "clip.variant"]),
    (lambda s: s, 512, None, ["does not say which scale", "labels.rating_scale"]),
    (lambda s: s | {"extra.weight": torch.zeros(1)}, 512, (1, 5), ["unexpected keys", "net.0.weight"]),
    (lambda s: {k: v for k, v in s.items() if k != "net.2.bias"}, 512, (1, 5), ["unexpected keys"]),
    (lambda s: {k.replace("net", "layers"): v for k, v in s.items()}, 512, (1, 5), ["layers.0.bias"]),
    (lambda s: s | {"net.2.weight": torch.zeros(64, 99)}, 512, (1, 5), ["layers do not fit"]),
    (lambda s: Plain(out=2).state_dict(), 512, (1, 5), ["layers do not fit"]),
    (lambda s: s | {"net.0.weight": 3}, 512, (1, 5), ["net.0.weight"]),
])
def test_a_checkpoint_that_cannot_be_used_is_named(plain, tmp_path, change, dimension, scale, expected):
    torch.save(change(plain.state_dict()), tmp_path / "p.pth")
    with pytest.raises(ModelError) as error:
        load_pretrained(tmp_path / "p.pth", dimension, scale)
    for text in ["mlp.pretrained", "p.pth", *expected]:
        assert text in str(error.value)


def test_a_model_file_of_this_project_is_a_checkpoint_too(served, data, tmp_path):
    served.save(tmp_path / "m.pt")
    assert load_pretrained(tmp_path / "m.pt", D, None).scale == (1.0, 7.0)
    served.scale = None  # saved through the library, which does not ask for a scale
    served.save(tmp_path / "m.pt")
    assert load_pretrained(tmp_path / "m.pt", D, (0.0, 10.0)).scale == (0.0, 10.0)
    with pytest.raises(ModelError, match="does not say which scale"):
        load_pretrained(tmp_path / "m.pt", D, None)


def test_vectors_of_another_variant_are_refused(served):
    for x in (np.zeros((2, D + 1)), np.zeros(D)):
        with pytest.raises(ModelError, match=r"vectors of 24 numbers.*another CLIP variant"):
            served.predict(x)


# Scores

def test_the_ends_of_the_scale_are_0_and_100_and_nothing_lies_beyond():
    assert to_score(np.array([0.0, 1, 4, 7, 9]), (1, 7)).tolist() == [0, 0, 50, 100, 100]
    assert to_score(np.array([-2.0]), (-3, 1)).tolist() == [25]


def test_a_percentile_is_the_share_below():
    reference = np.arange(100.0)
    assert to_pct(np.array([49.5, 0.0, 99.0, 24.5]), reference) == pytest.approx([0.5, 0.005, 0.995, 0.25])
    assert to_pct(np.array([1.0]), np.array([0.0, 1, 1, 1, 2])) == pytest.approx([0.5])


@pytest.mark.parametrize("reference", [np.arange(20.0), np.array([1.0, 1, 2, 2, 2, 5, 5]), np.array([3.0]), np.full(9, 3.0)])
def test_a_percentile_has_no_steps(reference):
    raw = np.linspace(reference[0] - 1, reference[-1] + 1, 20_001)
    pct = to_pct(raw, reference)
    assert (np.diff(pct) >= 0).all()
    assert (pct >= 0).all()
    assert (pct <= 1).all()
    assert np.diff(pct).max() <= 1e-3
    # a rounding error around each face of the reference, the first and the last too
    assert np.abs(to_pct(reference + 1e-9, reference) - to_pct(reference - 1e-9, reference)).max() < 1e-8


def test_deciles_hold_a_tenth_each():
    assert to_decile(np.array([0, 0.0999, 0.1, 0.5, 0.8999, 0.9, 1.0])).tolist() == [1, 1, 2, 6, 9, 10, 10]
    reference = reference_distribution(np.random.default_rng(0).normal(size=200))
    assert np.bincount(to_decile(to_pct(reference, reference))).tolist() == [0, *[20] * 10]
    assert to_decile(np.array([0.5])).dtype == np.int32


def test_a_large_reference_is_thinned_without_moving_percentiles():
    values = np.random.default_rng(0).normal(size=50_000)
    thin = reference_distribution(values)
    assert len(thin) == MAX_REFERENCE
    assert np.abs(to_pct(values, thin) - to_pct(values, np.sort(values))).max() < 1e-3
    assert reference_distribution(values[:5]).tolist() == sorted(values[:5])


def test_a_blend_needs_both_parts():
    assert blend(np.array([10.0, np.nan]), np.array([60.0, 60]), WEIGHTS) == pytest.approx([30, np.nan], nan_ok=True)


def table_of(model, x):
    names = pd.Index([f"{i:03}.jpg" for i in range(len(x))])
    return score_table(names, x, model, pd.Series(["test"] * len(x)), WEIGHTS)


def test_one_photo_and_the_whole_table_agree(served, data):
    # twins, so that the reference has ties, and every face of the reference, so that its ends are there
    x = np.concatenate([data[0][:150], data[0][:50]])
    served.reference = reference_distribution(served.predict(x))
    table = table_of(served, x)
    alone = pd.concat([table_of(served, x[i:i + 1]) for i in range(len(x))], ignore_index=True)
    assert np.abs(alone["attractiveness_score"] - table["attractiveness_score"]).max() < 0.01
    assert 100 * np.abs(alone["attractiveness_pct"] - table["attractiveness_pct"]).max() < 0.01


def test_the_table_of_scores_is_one(served, data, tmp_path):
    table = table_of(served, data[0])
    tables.write(table, tmp_path / "s.parquet", tables.SCORES)
    assert table["attractiveness_raw"].to_numpy() == pytest.approx(served.predict(data[0]), abs=1e-5)
    assert set(table["attractiveness"]) == set(range(1, 11))
    order = table.sort_values("attractiveness_raw")
    assert order["attractiveness_pct"].is_monotonic_increasing
    assert order["attractiveness_score"].is_monotonic_increasing
    assert table[["geometric_score", "combined_score", "geometry_zscore"]].isna().all(axis=None)


def test_without_a_model_every_score_is_null(data, tmp_path):
    table = table_of(None, data[0][:3])
    tables.write(table, tmp_path / "s.parquet", tables.SCORES)
    assert table.filter(regex="attractiveness|score").isna().all(axis=None)
    assert table["split"].tolist() == ["test"] * 3


def test_a_training_that_diverges_is_an_error_not_a_model():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)).astype(np.float32), rng.normal(size=60)
    with pytest.raises(InputError, match="diverged in epoch"):
        train_regressor(x[:40], y[:40], x[40:], y[40:], hidden=8, lr=1e30, epochs=50)
