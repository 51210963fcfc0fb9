"""Malformed checkpoint folders: an error names the file; no library shows a traceback."""

import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

from facestats.checkpoints.variants import check_variant, fetch_clip
from facestats.clip.load import load_encoder
from facestats.core.layout import TINY
from facestats.errors import ModelError
from facestats.prompts.text import TextEncoder


def changed(name: str, **values) -> Callable[[Path], None]:
    """Sets keys of a JSON file, `None` removes one; `a__b` is the key b in a."""

    def change(folder: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text(encoding="utf-8"))
        for key, value in values.items():
            place, (*above, last) = content, key.split("__")
            for part in above:
                place = place[part]
            if value is None:
                del place[last]
            else:
                place[last] = value
        path.write_text(json.dumps(content), encoding="utf-8")

    return change


def replaced(name: str, data: bytes | None) -> Callable[[Path], None]:
    """Other bytes in the place of a file; None: a folder."""

    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        if data is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(data)

    return change


def header(change: Callable[[dict], None]) -> Callable[[Path], None]:
    """Changes what the header of the weights says."""

    def write(folder: Path) -> None:
        data = (folder / "model.safetensors").read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        content = json.loads(data[8 : 8 + size])
        change(content)
        text = json.dumps(content).encode()
        (folder / "model.safetensors").write_bytes(
            struct.pack("<Q", len(text)) + text + data[8 + size :]
        )

    return write


def first(content: dict) -> dict:
    return content[
        next(name for name in sorted(content) if name != "__metadata__" and "vision_model" in name)
    ]


PREPROCESSOR, CONFIG, WEIGHTS = "preprocessor_config.json", "config.json", "model.safetensors"
MALFORMED: dict[str, Callable[[Path], None]] = {
    "config is missing": lambda folder: (folder / CONFIG).unlink(),
    "config is empty": replaced(CONFIG, b""),
    "config is cut off": replaced(CONFIG, b'{"model_type": "clip", "vision'),
    "config is a list": replaced(CONFIG, b"[]"),
    "config is a folder": replaced(CONFIG, None),
    "config is no UTF-8": replaced(CONFIG, b'{"model_type": "clip\xff"}'),
    "config is nested deeply": replaced(CONFIG, b"[" * 100_000),
    "config has a huge number": replaced(
        CONFIG, b'{"model_type": "clip", "projection_dim": ' + b"9" * 5000 + b"}"
    ),
    "vision_config is missing": changed(CONFIG, vision_config=None),
    "vision_config is a list": changed(CONFIG, vision_config=[1]),
    "vision_config is null": replaced(CONFIG, b'{"model_type": "clip", "vision_config": null}'),
    "text_config is a text": changed(CONFIG, text_config="small"),
    "hidden_size is a text": changed(CONFIG, vision_config__hidden_size="large"),
    "hidden_size is 0": changed(CONFIG, vision_config__hidden_size=0),
    "hidden_size is negative": changed(CONFIG, vision_config__hidden_size=-8),
    "hidden_size is huge": changed(CONFIG, vision_config__hidden_size=2**40),
    "layers are huge": changed(CONFIG, vision_config__num_hidden_layers=10**7),
    "heads do not divide": changed(CONFIG, vision_config__num_attention_heads=7),
    "heads are 0": changed(CONFIG, vision_config__num_attention_heads=0),
    "patch is 0": changed(CONFIG, vision_config__patch_size=0),
    "patch is larger": changed(CONFIG, vision_config__patch_size=4096),
    "image_size is a text": changed(CONFIG, vision_config__image_size="224"),
    "channels are 4": changed(CONFIG, vision_config__num_channels=4),
    "activation is unknown": changed(CONFIG, vision_config__hidden_act="magic"),
    "dtype is unknown": changed(CONFIG, dtype="float7"),
    "dtype is a function of torch": changed(CONFIG, dtype="load"),
    "projection is another": changed(CONFIG, projection_dim=3),
    "weights are empty": replaced(WEIGHTS, b""),
    "weights are a folder": replaced(WEIGHTS, None),
    "weights are cut off": lambda folder: (folder / WEIGHTS).write_bytes(
        (folder / WEIGHTS).read_bytes()[:5000]
    ),
    "header is too long": lambda folder: (folder / WEIGHTS).write_bytes(
        struct.pack("<Q", 2**60) + b"{}"
    ),
    "header lies about offsets": header(
        lambda content: first(content).update(data_offsets=[0, 10**12])
    ),
    "header lies about shapes": header(lambda content: first(content).update(shape=[3, 3])),
    "header has an unknown dtype": header(lambda content: first(content).update(dtype="F7")),
    "preprocessor is a list": replaced(PREPROCESSOR, b"[]"),
    "preprocessor is cut off": replaced(PREPROCESSOR, b"{"),
    "preprocessor is a folder": replaced(PREPROCESSOR, None),
    "mean of length 2": changed(PREPROCESSOR, image_mean=[0.5, 0.5]),
    "mean is a text": changed(PREPROCESSOR, image_mean="half"),
    "std is 0": changed(PREPROCESSOR, image_std=[0, 0, 0]),
    "size is 0": changed(
        PREPROCESSOR, size={"shortest_edge": 0}, crop_size={"height": 0, "width": 0}
    ),
    "size is a text": changed(PREPROCESSOR, size="224"),
    "size is huge": changed(PREPROCESSOR, size={"shortest_edge": 10**9}),
    "crop_size is a list": changed(PREPROCESSOR, crop_size=[64, 64]),
    "crop_size is negative": changed(PREPROCESSOR, crop_size={"height": -64, "width": 64}),
    "resample is unknown": changed(PREPROCESSOR, resample=77),
    "resample is no whole number": changed(PREPROCESSOR, resample=3.0),
    "resample is a text": changed(PREPROCESSOR, resample="bicubic"),
    "rescale_factor is a text": changed(PREPROCESSOR, rescale_factor="1/255"),
    "tokenizer is cut off": replaced("tokenizer.json", b'{"version": "1.0", "tru'),
    "tokenizer is a list": replaced("tokenizer.json", b"[]"),
    "tokenizer has no model": replaced("tokenizer.json", b"{}"),
    "tokenizer_config is wrong": replaced(
        "tokenizer_config.json", b'{"tokenizer_class": 7, "model_max_length": "many"}'
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_checkpoint_is_an_error_that_says_so(kind, tmp_path):
    folder = tmp_path / "given"
    shutil.copytree(TINY, folder)
    MALFORMED[kind](folder)
    check_variant(str(folder))  # says what is wrong, or that nothing can be told yet
    with pytest.raises(ModelError, match=r"clip|config|safetensors") as raised:
        _use(folder, tmp_path / "clip")
    assert len(str(raised.value)) < 2000


def lacking(pattern: str) -> Callable[[Path], None]:
    """Removes weights whose name fits."""

    def change(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        kept = {name: value for name, value in weights.items() if not re.search(pattern, name)}
        assert len(kept) < len(weights)
        save_file(kept, folder / WEIGHTS, {"format": "pt"})

    return change


@pytest.mark.long
@pytest.mark.parametrize(
    ("pattern", "sizes"),
    [
        ("vision_model.*mlp", {"vision_config__intermediate_size": 2**20}),
        ("vision_model.*mlp", {"vision_config__num_hidden_layers": 300}),
        (
            "vision_model.embeddings",
            {"vision_config__image_size": 1024, "vision_config__patch_size": 1},
        ),
        ("token_embedding", {"text_config__vocab_size": 2**22}),
        ("text_model.*mlp", {"text_config__intermediate_size": 2**20}),
    ],
)
def test_missing_weights_are_named_before_they_are_drawn_at_random(
    pattern, sizes, tmp_path, monkeypatch
):
    """A checkpoint of 1 MB took 5.5 GB and 50 s."""
    folder, out = tmp_path / "given", tmp_path / "clip"
    shutil.copytree(TINY, folder)
    lacking(pattern)(folder)
    changed(CONFIG, **sizes)(folder)
    facts = fetch_clip(str(folder), None, out)

    def load(*_, **__):
        raise AssertionError("the model is built")

    for tower in (CLIPVisionModelWithProjection, CLIPTextModelWithProjection):
        monkeypatch.setattr(tower, "from_pretrained", load)
    image = "vision" in next(iter(sizes))
    with pytest.raises(ModelError, match=r"the weights lack .*of the shapes that config\.json"):
        load_encoder(out) if image else TextEncoder(out, facts["sha256"])


@pytest.mark.parametrize("key", ["vocab_size", "max_position_embeddings"])
def test_a_text_tower_has_limits_too(key, tmp_path):
    folder = tmp_path / "clip"
    facts = fetch_clip("tiny", None, folder)
    changed(CONFIG, **{f"text_config__{key}": 10**8})(folder)
    with pytest.raises(ModelError, match=rf"text_config\.{key} is 100000000, expected a whole"):
        TextEncoder(folder, facts["sha256"])


@pytest.mark.parametrize("place", ["", "text_config__", "vision_config__"])
def test_no_tower_takes_its_attention_from_a_hub(place, tmp_path):
    folder = tmp_path / "clip"
    facts = fetch_clip("tiny", None, folder)
    changed(CONFIG, **{f"{place}attn_implementation": "somebody/kernel"})(folder)
    for load in (lambda: load_encoder(folder), lambda: TextEncoder(folder, facts["sha256"])):
        with pytest.raises(ModelError, match="may name a program to run"):
            load()


def _use(folder: Path, out: Path) -> None:
    """All that the pipeline does with a checkpoint."""
    facts = fetch_clip(str(folder), None, out)
    load_encoder(out, batch_size=2).encode([Image.new("RGB", (64, 64))])
    TextEncoder(out, facts["sha256"]).encode(["a face"])


@pytest.mark.long
def test_the_checkpoint_that_they_were_made_from_is_none_of_them(tmp_path):
    _use(TINY, tmp_path / "clip")
