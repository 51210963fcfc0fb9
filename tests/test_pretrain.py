"""The training of `tiny` in `pretrain/`: its parts, its repeatability, and what it put into the
package.
"""

import importlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import warm
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import TINY
from facestats.sample import draw_traits
from programs import run_program

PRETRAIN = Path(__file__).parent.parent / "pretrain"
SHAPE = {
    "image": 32,
    "patch": 8,
    "width": 32,
    "layers": 2,
    "heads": 4,
    "projection": 24,
    "text_width": 16,
    "text_layers": 1,
    "text_heads": 2,
    "context": 64,
    "vocabulary": 700,
}
AUGMENT = {
    "zoom": 0.06,
    "turn": 4.0,
    "shift": 0.04,
    "colour": 0.3,
    "occlusion": 0.5,
    "blur": 1.5,
    "noise": 0.05,
    "jpeg": 0.5,
}


@pytest.fixture(autouse=True)
def _pretrain_on_path(monkeypatch):
    monkeypatch.syspath_prepend(PRETRAIN)


@pytest.fixture
def faces():
    from captions import seen

    return np.stack([seen(draw_traits(np.random.default_rng([7, i]))) for i in range(300)])


def test_every_script_can_be_imported():
    """`evaluate` and `ship` run in `cd pretrain && dvc repro` alone, which no test can wait for."""
    names = sorted(path.stem for path in PRETRAIN.glob("*.py"))
    assert {"draw", "evaluate", "ship", "train"} <= set(names)
    for name in names:
        importlib.import_module(name)


@pytest.mark.long
def test_a_caption_is_true_of_its_face_and_of_no_face_that_it_contradicts(faces):
    from captions import SEEN, describe, fits

    rng = np.random.default_rng(0)
    captions = [describe(face, rng) for face in faces]
    fit = fits(np.stack([c.low for c in captions]), np.stack([c.high for c in captions]), faces)
    assert fit.diagonal().all()
    column = {name: faces[:, SEEN.index(name)] for name in ("male", "glasses", "smile", "age")}
    for caption, fitting in zip(captions, fit, strict=True):
        words = caption.text.replace(",", "").split()
        if "woman" in words:
            assert not column["male"][fitting].any()
        if caption.text.endswith("with glasses"):
            assert column["glasses"][fitting].all()
        if "elderly" in words:
            assert column["age"][fitting].min() > 60
        if "not smiling" in caption.text:
            assert column["smile"][fitting].max() < 0.5
        elif "smiling" in words:
            assert column["smile"][fitting].min() >= 0.5


@pytest.mark.long
def test_captions_come_in_many_wordings_and_the_same_generator_gives_the_same_ones(faces):
    from captions import describe

    texts = [
        [describe(face, rng).text for face in faces]
        for rng in (np.random.default_rng(3), np.random.default_rng(3))
    ]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 0.9 * len(faces)


def test_the_tokenizer_keeps_whole_words_of_captions_and_splits_the_rest_into_bytes(faces):
    from captions import describe
    from tokenizer import learn_tokenizer

    rng = np.random.default_rng(0)
    tokenizer = learn_tokenizer([describe(face, rng).text for face in faces], size=900, context=64)
    assert tokenizer.tokenize("A photo of a Woman") == [
        "a</w>",
        "photo</w>",
        "of</w>",
        "a</w>",
        "woman</w>",
    ]
    assert (
        tokenizer.decode(tokenizer("Žluťoučký 你好 zebra")["input_ids"], skip_special_tokens=True)
        == "žluťoučký 你好 zebra"
    )
    assert len(tokenizer) <= 900


@pytest.mark.long
def test_the_tokenizer_is_learned_alike_every_time_even_where_counts_are_equal(faces):
    from captions import describe
    from tokenizer import learn_tokenizer

    rng = np.random.default_rng(5)
    captions = [describe(face, rng).text for face in faces[:60]]
    assert (
        len({learn_tokenizer(captions, 700, 64).backend_tokenizer.to_str() for _ in range(20)}) == 1
    )


def test_descriptors_do_not_change_in_a_mirror_but_do_with_the_picture():
    from descriptors import oriented_gradients, thumbnail

    pictures = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for describe in (lambda x: thumbnail(x, 8), lambda x: oriented_gradients(x, 8, 8)):
        torch.testing.assert_close(describe(pictures), describe(pictures.flip(3)))
        assert (describe(pictures) - describe(pictures.flip(2))).abs().max() > 0.01


def test_gradients_tell_the_orientation_of_stripes():
    from descriptors import oriented_gradients

    wave = torch.sin(torch.arange(32) * 0.8)
    upright = wave.expand(32, 32)
    stripes = torch.stack([upright, upright.T])[:, None].expand(2, 3, 32, 32)
    gradients = oriented_gradients(stripes, cell=8, bins=8).unflatten(1, (8, 4, 2)).mean(dim=(2, 3))
    assert gradients.argmax(dim=1).tolist() == [0, 4]  # gradients along x, along y


def test_augmented_views_are_in_range_differ_and_repeat_with_their_generator():
    from augment import augment

    pictures = torch.randint(
        0, 256, (16, 3, 38, 38), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    first, again, other = (
        augment(pictures, 32, 0.2, AUGMENT, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (16, 3, 32, 32)
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.01


@pytest.mark.long
def test_the_short_way_through_the_model_gives_what_transformers_gives(faces):
    from captions import describe
    from model import build_model, embed_images, embed_texts
    from tokenizer import learn_tokenizer

    texts = [describe(face, np.random.default_rng(0)).text for face in faces[:4]]
    tokenizer = learn_tokenizer(texts, 600, 64)
    torch.manual_seed(0)
    model = build_model(SHAPE, tokenizer).eval()
    pixels, tokens = torch.randn(4, 3, 32, 32), tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        whole = model(pixel_values=pixels, **tokens)
        for ours, theirs in (
            (embed_images(model, pixels), whole.image_embeds),
            (embed_texts(model, tokens), whole.text_embeds),
        ):
            torch.testing.assert_close(
                torch.nn.functional.normalize(ours, dim=1), theirs, atol=1e-5, rtol=0
            )


def test_contrast_is_zero_where_the_cosines_tell_what_fits():
    from train import contrast

    fit = torch.tensor([[True, False, False], [False, True, True], [False, True, True]])
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert float(contrast(embeddings, embeddings, fit, torch.tensor(50.0))) == pytest.approx(
        0, abs=1e-5
    )
    assert float(contrast(embeddings.flip(0), embeddings, fit, torch.tensor(50.0))) > 1


@pytest.mark.thorough
def test_training_twice_gives_the_same_bytes(tmp_path):
    for script in PRETRAIN.glob("*.py"):
        shutil.copy(script, tmp_path)
    options = {
        "seed": 0,
        "threads": 2,
        "epochs": 2,
        "batch": 16,
        "passes": 2,
        "lr": 0.001,
        "weight_decay": 0.05,
        "model": SHAPE,
        "keep": {"thumbnail": 8, "cell": 8, "bins": 8, "window": 0.25},
        "weights": {"contrast": 1.0, "thumbnail": 3.0, "gradients": 3.0},
        "augment": AUGMENT,
    }
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump(
            {"draw": {"n": 64, "seed": 5, "drawn": 64, "crop": 32, "rim": 0.2}, "train": options}
        ),
        encoding="utf-8",
    )
    steps = [
        ["draw.py", "faces.parquet"],
        *(
            ["train.py", "faces.parquet", run, f"{run}.json", f"{run}.csv"]
            for run in ("one", "two")
        ),
    ]
    for step, python in zip(steps, (warm.python(), warm.python(), sys.executable), strict=True):
        run_program([python, *step], tmp_path, check=True)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    for name in ("model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), (
            name
        )


def test_the_package_holds_what_the_training_shipped_and_no_more_than_8_mb():
    shipped = json.loads((PRETRAIN / "metrics/shipped.json").read_text(encoding="utf-8"))
    assert {path.name: sha256_file(path) for path in TINY.iterdir()} == shipped
    assert (TINY / "model.safetensors").stat().st_size <= 8_000_000


@pytest.mark.long
def test_the_training_draws_other_faces_than_the_sample():
    params = yaml.safe_load((PRETRAIN / "params.yaml").read_text(encoding="utf-8"))["draw"]
    from facestats.sample.build import cast

    _, sample = cast(480, 0)
    trained = {draw_traits(np.random.default_rng([params["seed"], i])) for i in range(200)}
    assert not trained & set(sample)
