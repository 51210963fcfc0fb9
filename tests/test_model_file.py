"""The model file and checkpoints of others: the same model comes back, and what is no model is
named.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from facestats.errors import InputError, ModelError
from facestats.scores.pretrained import load_pretrained
from facestats.scores.regressor import load_regressor, save_untrained
from facestats.scores.training import train_regressor
from rated import QUICK, D


@pytest.mark.long
def test_a_model_file_gives_back_the_same_model(served, rated, tmp_path):
    served.save(tmp_path / "a" / "m.pt")
    again = load_regressor(tmp_path / "a" / "m.pt")
    assert again.predict(rated[2]).tobytes() == served.predict(rated[2]).tobytes()
    assert (again.scale, again.network.hidden, again.dimension) == ((1.0, 7.0), [16], D)
    assert again.reference.tobytes() == served.reference.tobytes()
    assert torch.load(tmp_path / "a" / "m.pt", weights_only=True)["trained"] is True


@pytest.mark.long
def test_training_twice_gives_the_same_bytes_under_any_name(served, rated, tmp_path):
    again = train_regressor(*rated, **QUICK)
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


@pytest.mark.parametrize(
    "content", [None, b"text", {"weights": torch.zeros(2)}, [1], {"net.0.weight": Exploit()}]
)
def test_a_file_that_is_no_model_is_named(tmp_path, content, capsys):
    if isinstance(content, bytes):
        (tmp_path / "m.pt").write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / "m.pt")
    for load in (load_regressor, lambda path: load_pretrained(path, D, (1, 7))):
        with pytest.raises(ModelError, match=r"m\.pt"):
            load(tmp_path / "m.pt")
    assert capsys.readouterr().out == ""


@pytest.mark.long
def test_a_model_file_of_this_project_is_a_checkpoint_too(served, rated, tmp_path):
    served.save(tmp_path / "m.pt")
    assert load_pretrained(tmp_path / "m.pt", D, None).scale == (1.0, 7.0)
    served.scale = None  # saved through the library, which does not ask for a scale
    served.save(tmp_path / "m.pt")
    assert load_pretrained(tmp_path / "m.pt", D, (0.0, 10.0)).scale == (0.0, 10.0)
    with pytest.raises(ModelError, match="does not say which scale"):
        load_pretrained(tmp_path / "m.pt", D, None)


def test_vectors_of_another_variant_are_refused(served):
    with pytest.raises(ModelError, match=r"vectors of 24 numbers.*another CLIP variant"):
        served.predict(np.zeros((2, D + 1)))


@pytest.mark.long
@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.zeros(D), r"a matrix \(n, 24\), this is \(24,\); one face is a matrix of one row"),
        ([["a"] * D], r"a matrix of numbers \(n, 24\) \(could not convert string"),
        ([[1], [1, 2]], r"a matrix of numbers .*np\.stack"),
        (pd.Series([np.zeros(D), np.zeros(D)]), r"a matrix of numbers .*np\.stack"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_named(served, x, expected):
    with pytest.raises(InputError, match=expected):
        served.predict(x)


@pytest.mark.long
@pytest.mark.first_cases(8)
@pytest.mark.parametrize(
    "change",
    [
        {"x_mean": [0.0] * 24},
        {"x_mean": torch.zeros(3)},
        {"x_std": torch.ones(24, dtype=torch.int64)},
        {"x_std": torch.full((24,), torch.nan)},
        {"y_mean": "5"},
        {"y_std": 10**400},
        {"size": [1.0]},
        {"size": torch.ones(3)},
        {"slopes": torch.zeros(23)},
        {"scale": [1, 2, 3]},
        {"scale": 7},
        {"scale": ["low", "high"]},
        {"reference": [1.0]},
        {"reference": torch.zeros(2, 2)},
        {"calibration": None},
        {"calibration": torch.zeros(())},
        {"calibration": {"kind": "magic", "x": torch.zeros(1), "y": torch.zeros(1), "slope": 1.0}},
        {"calibration": {"kind": "none", "x": torch.zeros(0), "y": torch.zeros(0), "slope": 1.0}},
        {"calibration": {"kind": "none", "x": torch.zeros(2), "y": torch.zeros(1), "slope": 1.0}},
        {"calibration": {"kind": "none", "x": [0.0], "y": [0.0], "slope": 1.0}},
        {"calibration": {"kind": "none", "x": torch.zeros(1), "y": torch.zeros(1), "slope": "1"}},
        {"dimension": 10**400},
        {"dimension": -1},
        {"hidden": 8},
        {"hidden": [0]},
        {"members": 2.0},
        {"state_dict": {}},
        {"state_dict": [1]},
    ],
    ids=lambda change: f"{next(iter(change))} {str(next(iter(change.values())))[:20]}",
)
def test_a_model_file_of_wrong_values_is_named(served, tmp_path, change):
    served.save(tmp_path / "m.pt")
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    torch.save(content | change, tmp_path / "m.pt")
    with pytest.raises(ModelError, match=r"m\.pt is a damaged model file|can't be read as a check"):
        load_regressor(tmp_path / "m.pt")
