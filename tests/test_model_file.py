"""The model file and checkpoints of others: the same model comes back, and what is no model is named."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from facestats.attractiveness.mlp import load_regressor, save_untrained
from facestats.attractiveness.pretrained import load_pretrained
from facestats.attractiveness.training import train_regressor
from facestats.errors import InputError, ModelError
from rated import QUICK, D


def test_a_model_file_gives_back_the_same_model(served, rated, tmp_path):
    served.save(tmp_path / "a" / "m.pt")
    again = load_regressor(tmp_path / "a" / "m.pt")
    assert again.predict(rated[2]).tobytes() == served.predict(rated[2]).tobytes()
    assert (again.scale, again.network.hidden, again.dimension) == ((1.0, 7.0), [16], D)
    assert again.reference.tobytes() == served.reference.tobytes()
    assert torch.load(tmp_path / "a" / "m.pt", weights_only=True)["trained"] is True


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
    assert (model.scale, model.network.hidden) == ((1.0, 5.0), [256, 64])
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


@pytest.mark.parametrize(("x", "expected"), [
    (np.zeros(D), r"a matrix \(n, 24\), this is \(24,\); one face is a matrix of one row"),
    ([["a"] * D], r"a matrix of numbers \(n, 24\) \(could not convert string"), ([[1], [1, 2]], r"a matrix of numbers .*np\.stack"),
    (pd.Series([np.zeros(D), np.zeros(D)]), r"a matrix of numbers .*np\.stack"), (None, "not NoneType"),
])
def test_what_is_no_matrix_of_numbers_is_named(served, x, expected):
    with pytest.raises(InputError, match=expected):
        served.predict(x)
