"""Checkpoints of others: any perceptron that was saved as a state dict rates as its own module
does; what is none is refused by name.
"""

import argparse
import os
import zipfile
from collections import OrderedDict
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from facestats.errors import ModelError
from facestats.scores.pretrained import load_pretrained
from facestats.scores.regressor import load_regressor

SCALE = (1.0, 5.0)


def perceptron(*widths, between=(nn.ReLU,), bias=True):
    """Linear layers of these widths in eval mode, with these modules between them."""
    torch.manual_seed(len(widths))
    layers = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias=bias), *(make() for make in between)]
    return nn.Sequential(*layers[: len(layers) - len(between)]).eval()


def dropout():
    return nn.Dropout(0.5)


def ratings(net, x):
    with torch.inference_mode():
        return net(torch.from_numpy(x).double()).squeeze(1).numpy()


def inputs(dimension):
    x = np.random.default_rng(0).normal(size=(9, dimension))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def check(path, net, dimension=512):
    """The file rates as the module does, here and after it was saved as a model of this project."""
    x = inputs(dimension)
    model = load_pretrained(path, dimension, SCALE)
    assert np.abs(model.predict(x) - ratings(net.double(), x)).max() < 1e-5
    model.save(path.with_name("again.pt"))
    assert (
        load_regressor(path.with_name("again.pt")).predict(x).tobytes()
        == model.predict(x).tobytes()
    )


def renamed(state, names):
    """A state dict whose layers are called so, in the order of their numbers."""
    layers = sorted({key.rpartition(".")[0] for key in state}, key=int)
    return OrderedDict(
        (f"{name}.{part}", state[f"{layer}.{part}"])
        for layer, name in zip(layers, names, strict=True)
        for part in ("weight", "bias")
        if f"{layer}.{part}" in state
    )


DEEP = (512, 256, 256, 1)
LAYOUTS = {
    "net.0/2/4": ["net.0", "net.2", "net.4"],
    "net.0/3/5": ["net.0", "net.3", "net.5"],
    "no prefix": ["0", "2", "4"],
    "fc": ["fc1", "fc2", "fc3"],
    "regressor": ["regressor.layers.0", "regressor.layers.1", "regressor.layers.2"],
    "blocks": [f"layers.{i}.linear" for i in range(3)],
    "ten": ["head.8", "head.9", "head.10"],
    "compiled": ["_orig_mod.net.0", "_orig_mod.net.3", "_orig_mod.net.6"],
    "parallel": ["module.net.0", "module.net.3", "module.net.6"],
    "two names": ["body.0", "body.3", "head"],
    "words": ["in", "between", "last"],
    "backbone": ["backbone.head.0", "backbone.head.3", "backbone.head.6"],
}


@pytest.mark.long
@pytest.mark.parametrize("names", LAYOUTS.values(), ids=LAYOUTS)
def test_layers_of_any_name_are_taken_in_the_order_of_their_numbers(tmp_path, names):
    net = perceptron(*DEEP)
    state = renamed(net.state_dict(), names)
    torch.save(state, tmp_path / "torch.pth")
    check(tmp_path / "torch.pth", net)
    save_file(state, tmp_path / "m.safetensors")  # sorts by name, as text
    check(tmp_path / "m.safetensors", net)
    if all(any(map(str.isdigit, name)) for name in names):
        torch.save(OrderedDict(reversed(state.items())), tmp_path / "reversed.pt")
        check(tmp_path / "reversed.pt", net)


@pytest.mark.long
@pytest.mark.parametrize(
    "between", [(nn.ReLU, dropout), (dropout, nn.ReLU), (nn.ReLU, nn.Identity, dropout)], ids=len
)
@pytest.mark.parametrize(
    "widths", [DEEP, (512, 1), (16, 300, 7, 7, 7, 1), (16, *[8] * 12, 1)], ids=str
)
def test_whatever_has_no_weights_may_stand_between(tmp_path, between, widths):
    net = perceptron(*widths, between=between)
    torch.save(net.state_dict(), tmp_path / "m.pt")
    check(tmp_path / "m.pt", net, widths[0])


@pytest.mark.long
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda s, o: {"state_dict": s, "epoch": 3, "optimizer": o},
        lambda s, o: {
            "epoch": np.int64(3),
            "best": np.float64(0.1),
            "model_state_dict": s,
            "optimizer_state_dict": o,
        },
        lambda s, o: {
            "model": {"state_dict": s},
            "args": argparse.Namespace(lr=0.1),
            "lr_scheduler": {"weight": torch.ones(2)},
        },
        lambda s, o: {"model": s, "ema": {k: v + 1 for k, v in s.items()}},
        lambda s, o: {"weights": s},
        lambda s, o: dict(s),
        lambda s, o: {k: nn.Parameter(v) for k, v in s.items()},
    ],
)
def test_wrappers_and_what_stands_beside_are_looked_through(tmp_path, wrap, legacy):
    net = perceptron(*DEEP, between=(nn.ReLU, dropout))
    optimiser = torch.optim.AdamW(net.parameters())
    net(torch.from_numpy(inputs(512))).sum().backward()
    optimiser.step()
    torch.save(
        wrap(net.state_dict(), optimiser.state_dict()),
        tmp_path / "m.ckpt",
        _use_new_zipfile_serialization=not legacy,
    )
    check(tmp_path / "m.ckpt", net)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
def test_other_precisions_and_layers_without_bias(tmp_path, dtype, bias):
    net = perceptron(*DEEP, bias=bias).to(dtype)
    torch.save(net.state_dict(), tmp_path / "m.pt")
    save_file(net.state_dict(), tmp_path / "m.safetensors")
    check(tmp_path / "m.pt", net)
    check(tmp_path / "m.safetensors", net)


@pytest.mark.parametrize("header", [0x80, 0x180, 0x4B50])
def test_no_length_of_a_header_is_taken_for_a_pickle(tmp_path, header):
    state = {"0.weight": torch.zeros(1, 16), "0.bias": torch.ones(1)}
    path = tmp_path / "net.safetensors"
    save_file(state, path)
    whole = path.read_bytes()
    before = int.from_bytes(whole[:8], "little")
    padded = whole[8 : 8 + before] + b" " * (header - before)
    path.write_bytes(header.to_bytes(8, "little") + padded + whole[8 + before :])
    assert load_pretrained(path, 16, (0, 100)).predict(np.zeros((1, 16)))[0] == pytest.approx(1)


def test_weights_whose_rating_is_too_large_are_refused_when_they_are_loaded(tmp_path):
    """Each is finite; the stage ended only when it scored."""
    net = perceptron(512, 8, 8, 1)
    torch.save({k: torch.full_like(v, 1e30) for k, v in net.state_dict().items()}, tmp_path / "m")
    with pytest.raises(ModelError, match="its numbers are so large that a rating is not finite"):
        load_pretrained(tmp_path / "m", 512, (1, 7))


def with_statistics(net):
    """The module with BatchNorms that have seen something."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            for values, low in (
                (module.running_mean, -1),
                (module.running_var, 0.5),
                (module.weight, 0.5),
                (module.bias, -1),
            ):
                values.data.uniform_(low, 2)
    return net.eval()


def test_a_batch_norm_whose_place_is_known_becomes_part_of_its_layer(tmp_path):
    torch.manual_seed(0)
    nets = [
        nn.Sequential(
            nn.BatchNorm1d(32),
            nn.Linear(32, 16),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(16, 1),
        ),
        nn.Sequential(
            nn.Linear(32, 16),
            nn.ReLU(),
            nn.BatchNorm1d(16),
            nn.Linear(16, 8, bias=False),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Linear(8, 1),
        ),
    ]
    for net in map(with_statistics, nets):
        torch.save(net.state_dict(), tmp_path / "m.pt")
        check(tmp_path / "m.pt", net, 32)
    torch.save(
        nn.Sequential(
            nn.Linear(32, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 1)
        ).state_dict(),
        tmp_path / "m.pt",
    )
    with pytest.raises(
        ModelError,
        match="2 is a BatchNorm, and whether it stands before or behind a ReLU can't be told",
    ):
        load_pretrained(tmp_path / "m.pt", 32, SCALE)


PLAIN = renamed(perceptron(*DEEP).state_dict(), ["net.0", "net.3", "net.5"])


def only(module):
    return OrderedDict((f"net.{key}", value) for key, value in module.state_dict().items())


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            PLAIN | {"net.3.weight": torch.zeros(256, 99)},
            "net.3 takes 99 numbers, but net.0 before it gives 256",
        ),
        (
            PLAIN | {"net.5.weight": torch.zeros(2, 256), "net.5.bias": torch.zeros(2)},
            "net.5, the last layer, gives 2 numbers; expected 1",
        ),
        (
            PLAIN | {"net.0.bias": torch.zeros(99)},
            r"net\.0\.bias has the shape \[99\], but net\.0\.weight has 256 outputs",
        ),
        (
            PLAIN | {"net.1.weight": torch.zeros(256), "net.1.bias": torch.zeros(256)},
            r"also holds net\.1 \(a LayerNorm",
        ),
        (
            only(nn.Sequential(nn.Conv2d(3, 4, 2), nn.Linear(4, 1))),
            r"net\.0 \(a convolution, or another layer with a weight of 4 dimensions\)",
        ),
        (
            only(nn.Sequential(nn.MultiheadAttention(8, 2), nn.Linear(8, 1))),
            r"net\.0\.in_proj_weight",
        ),
        (only(nn.Sequential(nn.LSTM(8, 4), nn.Linear(4, 1))), r"net\.0\.weight_ih_l0"),
        (
            only(
                nn.Sequential(
                    nn.utils.parametrizations.weight_norm(nn.Linear(8, 1)), nn.Linear(1, 1)
                )
            ),
            r"parametrizations",
        ),
        (PLAIN | {"temperature": torch.ones(1)}, "also holds temperature; only a plain perceptron"),
        (
            {
                "a.0.weight": torch.zeros(8, 4),
                "b.0.weight": torch.zeros(8, 4),
                "head.weight": torch.zeros(1, 8),
            },
            "not in one row",
        ),
        (
            PLAIN | {"net.3.weight": PLAIN["net.3.weight"] * torch.nan},
            r"net\.3\.weight is empty, or holds numbers that are not finite",
        ),
        (PLAIN | {"net.0.weight": 3}, r"net\.0 \(its weight is a int, not a matrix\)"),
        (
            PLAIN | {"net.0.weight": torch.zeros(256, 512, dtype=torch.int8)},
            r"net\.0\.weight holds numbers of the type int8",
        ),
        ({"x": torch.zeros(2)}, "no weights of layers in it, its keys are x"),
        ({}, "its keys are none"),
        (
            {"first": PLAIN, "second": PLAIN},
            r"several models \(first, second\); save one, under state_dict",
        ),
        (
            {"best": perceptron(4, 1)},
            r"best \(torch\.nn\.modules\.container\.Sequential\) is a whole object, which "
            "could run code; save the state dict alone",
        ),
        (
            perceptron(4, 1),
            r"holds a whole object \(torch\.nn\.modules\.container\.Sequential\), which "
            r"could run code.*torch\.save\(model\.state_dict\(\), path\)",
        ),
        (
            {"net.0.weight": torch.zeros(1).expand(10**9, 512)},
            r"net\.0\.weight says that it has the shape \[1000000000, 512\], but the file "
            "does not hold",
        ),
        (
            {"net.0.weight": torch.zeros(10**6, 10**9, device="meta")},
            "the file does not hold that many numbers",
        ),
        ({"note": bytearray(8), **PLAIN}, "can't be read as a checkpoint"),
    ],
)
def test_what_is_no_perceptron_is_refused_by_name(tmp_path, state, expected):
    torch.save(state, tmp_path / "p.pth")
    with pytest.raises(ModelError, match=expected) as error:
        load_pretrained(tmp_path / "p.pth", 512, SCALE)
    assert "p.pth" in str(error.value)


@pytest.mark.parametrize(
    ("dimension", "scale", "expected"),
    [
        (
            256,
            SCALE,
            r"p\.pt takes embeddings of 512 dimensions, but this CLIP variant gives 256; "
            r"choose the clip\.variant",
        ),
        (512, None, r"p\.pt does not say which scale its ratings have; set labels\.rating_scale"),
    ],
)
def test_a_perceptron_for_other_embeddings_or_without_a_scale_is_refused(
    tmp_path, dimension, scale, expected
):
    torch.save(PLAIN, tmp_path / "p.pt")
    with pytest.raises(ModelError, match=rf"mlp\.pretrained .*{expected}"):
        load_pretrained(tmp_path / "p.pt", dimension, scale)


def test_an_order_that_can_not_be_told_is_refused_where_the_file_has_none(tmp_path):
    net = perceptron(8, 4, 4, 4, 1)
    state = renamed(net.state_dict(), ["start", "right", "left", "end"])
    torch.save(state, tmp_path / "m.pt")
    check(tmp_path / "m.pt", net, 8)
    save_file(state, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match=r"in which order .* can't be told: number the names"):
        load_pretrained(tmp_path / "m.safetensors", 8, SCALE)


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_containers_that_hold_each_other_are_looked_into_once(tmp_path, kind):
    """1.5 kB were 100**7 ways."""
    nested = torch.zeros(1)
    for _ in range(7):
        parts = [nested] * 100
        nested = dict(enumerate(parts)) if kind is dict else kind(parts)
    torch.save({"optimizer": nested, "state_dict": PLAIN}, tmp_path / "m.pt")
    assert load_pretrained(tmp_path / "m.pt", 512, SCALE).dimension == 512
    torch.save({"state_dict": nested}, tmp_path / "m.pt")
    with pytest.raises(ModelError, match="no weights of layers in it"):
        load_pretrained(tmp_path / "m.pt", 512, SCALE)
    itself = {}
    itself["model"] = itself
    torch.save(itself, tmp_path / "m.pt")
    with pytest.raises(ModelError, match="no weights of layers in it"):
        load_pretrained(tmp_path / "m.pt", 512, SCALE)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"1.weight": torch.ones(1)}, r"1 is no BatchNorm: its numbers have the shapes"),
        ({"1.bias": torch.ones(5)}, r"1 is no BatchNorm: its numbers have the shapes"),
        ({"1.running_mean": torch.ones(4, 1)}, r"1 is no BatchNorm: its numbers have the shapes"),
        ({"1.running_var": torch.ones(())}, r"1 is no BatchNorm: its numbers have the shapes"),
        ({"1.running_var": -torch.ones(4)}, r"1 is no BatchNorm: its running_var is negative"),
        (
            {"0.weight": torch.full((4, 8), 1e300, dtype=torch.float64)},
            "numbers that are not finite",
        ),
        ({"1.weight": torch.full((4,), 1e38)}, "make numbers that are not finite"),
    ],
)
def test_a_batch_norm_that_is_none_is_named(tmp_path, change, expected):
    net = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1)).eval()
    state = net.state_dict()
    state["0.weight"].fill_(100.0)
    torch.save(state | change, tmp_path / "m.pt")
    with pytest.raises(ModelError, match=expected):
        load_pretrained(tmp_path / "m.pt", 8, SCALE)


class Command:
    def __reduce__(self):
        return os.mkdir, ("ran",)


class Printed:
    def __reduce__(self):
        return print, ("ran",)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "content",
    [Command(), {"state_dict": PLAIN, "epoch": Command()}, {"net.0.weight": Printed()}, Printed()],
)
def test_no_file_runs_code(tmp_path, monkeypatch, capsys, content, legacy):
    monkeypatch.chdir(tmp_path)
    torch.save(content, "m.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match=r"could run code|not a matrix"):
        load_pretrained(tmp_path / "m.pt", 512, SCALE)
    torch.save(
        {"state_dict": PLAIN, "epoch": Printed()}, "m.pt", _use_new_zipfile_serialization=not legacy
    )
    assert (
        load_pretrained(tmp_path / "m.pt", 512, SCALE).dimension == 512
    )  # what stands beside may be anything, and is nothing here
    assert os.listdir(tmp_path) == ["m.pt"]
    assert capsys.readouterr().out == ""


def test_a_packed_archive_is_refused(tmp_path):
    torch.save(PLAIN, tmp_path / "m.pt")
    with (
        zipfile.ZipFile(tmp_path / "m.pt") as archive,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    with pytest.raises(ModelError, match="can't be read as a checkpoint"):
        load_pretrained(tmp_path / "packed.pt", 512, SCALE)


def test_a_program_is_refused(tmp_path):
    torch.save(PLAIN, tmp_path / "m.pt")
    with zipfile.ZipFile(tmp_path / "m.pt", "a") as archive:
        archive.writestr("m/constants.pkl", b"")  # as torch.jit.save has it
    with pytest.raises(ModelError, match=r"is a program \(TorchScript\)"):
        load_pretrained(tmp_path / "m.pt", 4, SCALE)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.pt")
    with pytest.raises(ModelError, match="is no file"):
        load_pretrained(tmp_path / "m.pt", 512, SCALE)


def test_a_layer_of_thousands_of_digits_is_refused(tmp_path):
    """Python makes no number of more than 4,300; only safetensors takes such a name."""
    save_file({f"net.{'9' * 5000}.weight": torch.zeros(1, 8)}, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="a name of 5,011 letters; 1,000 are the most"):
        load_pretrained(tmp_path / "m.safetensors", 8, SCALE)
