"""Zero-shot: prompts are read as by transformers; unreadable ones are named by their keys."""

import json
import shutil
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

from clips import (
    BEGIN,
    END,
    TEXT,
    picture,
    random_clip,
    random_clip_that_reads,
    vocabulary,
    write_tokenizer,
)
from facestats.checkpoints.variants import fetch_clip
from facestats.clip.encoder import ImageEncoder
from facestats.core.ranges import range_middles
from facestats.errors import InputError, ModelError, ParamsError
from facestats.params.project import load_params
from facestats.prompts import zeroshot
from facestats.prompts.text import TextEncoder
from facestats.prompts.zeroshot import (
    PromptClassifier,
    embed_classes,
    find_strange_classes,
    load_classifiers,
    probability_table,
    save_classifiers,
)
from resources import ROOT, names, text

TEXTS = [
    "a photo of a woman",
    "a photo of a man",
    "Größe: 12!",
    "a photo of somebody who is in their thirties",
]


def fetch(source, out):
    """The folder that the pipeline would have, and the sha256 of its weights."""
    return out, fetch_clip(str(source), None, out)["sha256"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A fetched model with a text tower, and the sha256 of its weights."""
    folder = tmp_path_factory.mktemp("reader")
    return fetch(random_clip_that_reads(folder / "source"), folder / "model")


@pytest.fixture
def spoiled(reader, tmp_path):
    """A copy of the model to spoil."""
    return shutil.copytree(reader[0], tmp_path / "spoiled"), reader[1]


def clip(folder, images, texts):
    """Unit-norm text features and probabilities of texts for images, by transformers."""
    model, tokenizer = (
        CLIPModel.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    pixels = CLIPImageProcessor.from_pretrained(folder)(images, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        expected = model(pixel_values=pixels, **inputs)
    return expected.text_embeds.numpy(), expected.logits_per_image.softmax(dim=-1).numpy()


def check_against_clip(folder, sha256):
    images = [picture((80, 60), i) for i in range(2)]
    features, expected = clip(folder, images, TEXTS)
    assert (features @ features.T)[0, 1:].max() < 0.999  # else any embedding would do
    encoder = TextEncoder(folder, sha256)
    assert np.abs(encoder.encode(TEXTS) - features).max() < 1e-5
    classifier = embed_classes(encoder, {"what": {prompt: [prompt] for prompt in TEXTS}})["what"]
    probabilities = classifier.predict_proba(ImageEncoder(folder, batch_size=2).encode(images))
    assert np.ptp(expected) > 0.05
    assert np.abs(probabilities - expected).max() < 1e-4


# Against transformers


@pytest.mark.long
def test_probabilities_are_those_of_the_whole_model(reader):
    check_against_clip(*reader)


@pytest.mark.long
def test_tiny_reads_the_prompts_of_params_yaml(clip_models):
    folder = clip_models["tiny"]
    sha256 = json.loads((folder / "facestats.json").read_text())["sha256"]
    check_against_clip(folder, sha256)
    classifiers = embed_classes(
        TextEncoder(folder, sha256), load_params(ROOT / "params.yaml").zeroshot
    )
    assert {"gender", "age", "ethnicity", "glasses", "beard", "smile"} <= set(classifiers)
    assert not any(classifier.alike() for classifier in classifiers.values())


@pytest.mark.long
def test_an_old_config_pools_at_the_highest_token_as_transformers_does(tmp_path):
    known = vocabulary()
    random_clip(tmp_path / "source", text=TEXT | {"vocab_size": len(known), "eos_token_id": 2})
    write_tokenizer(tmp_path / "source")
    check_against_clip(*fetch(tmp_path / "source", tmp_path / "model"))


@pytest.mark.slow
@pytest.mark.thorough
def test_a_full_size_checkpoint_reads_too(tmp_path):
    random_clip(tmp_path / "source", projection=512, vision={}, text={})
    write_tokenizer(tmp_path / "source", begin=49406, end=49407)
    model, sha256 = fetch(tmp_path / "source", tmp_path / "model")
    check_against_clip(model, sha256)
    encoder = TextEncoder(model, sha256)
    assert encoder.tokenize("a woman") == [
        49406,
        vocabulary()["a</w>"],
        vocabulary()["woman</w>"],
        49407,
    ]
    assert (encoder.context, encoder.encode(TEXTS).shape) == (77, (4, 512))
    for folder in ("source", "model"):
        shutil.rmtree(tmp_path / folder)  # a gigabyte


# Prompts


def test_a_text_is_pooled_where_it_ends_even_if_the_config_knows_no_such_token(spoiled):
    folder, sha256 = spoiled
    expected = TextEncoder(folder, sha256).encode(TEXTS)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {
        "eos_token_id": 49407,
        "bos_token_id": 49406,
    }  # CLIPConfig's own, of a larger vocabulary
    (folder / "config.json").write_text(json.dumps(config))
    features, _ = clip(folder, [picture((80, 60))], TEXTS)
    assert (
        np.ptp(features, axis=0).max() < 1e-6
    )  # transformers pools the first token, whatever follows
    assert TextEncoder(folder, sha256).encode(TEXTS).tobytes() == expected.tobytes()


def test_a_prompts_bits_depend_on_no_other_prompt_and_on_no_thread(reader):
    prompts = [f"a photo of person {i}" for i in range(11)]
    encoder = TextEncoder(*reader)
    together = encoder.encode(prompts)
    assert len(np.unique(together, axis=0)) == len(prompts)
    assert encoder.encode(prompts[::-1])[::-1].tobytes() == together.tobytes()
    assert (
        np.concatenate([encoder.encode([prompt]) for prompt in prompts]).tobytes()
        == together.tobytes()
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert encoder.encode(prompts).tobytes() == together.tobytes()
    finally:
        torch.set_num_threads(before)


def test_the_wordings_of_a_class_are_averaged_as_unit_vectors(reader):
    encoder = TextEncoder(*reader)
    rows = encoder.encode(TEXTS).astype(float)
    classifiers = embed_classes(
        encoder, {"a": {"x": TEXTS[:3], "y": TEXTS[3:]}, "b": {"y": TEXTS[1:2], "x": TEXTS[:1]}}
    )
    mean = rows[:3].mean(axis=0)
    assert (
        np.abs(classifiers["a"].embeddings - np.stack([mean / np.linalg.norm(mean), rows[3]])).max()
        < 1e-6
    )
    assert classifiers["b"].classes == ["y", "x"]
    assert np.abs(classifiers["b"].embeddings - rows[[1, 0]]).max() < 1e-6


def test_probabilities_are_a_softmax_at_the_models_temperature():
    classifier = PromptClassifier(["x", "y"], np.eye(2, 3, dtype=np.float32), 10.0)
    shares = classifier.predict_proba(np.array([[0.6, 0.8, 0], [1, 0, 0]], np.float32))
    assert shares == pytest.approx(
        np.array(
            [
                [1 / (1 + np.exp(2)), 1 / (1 + np.exp(-2))],
                [1 / (1 + np.exp(-10)), 1 / (1 + np.exp(10))],
            ]
        ),
        abs=1e-6,
    )
    table = probability_table(
        names(2), np.eye(2, 3, dtype=np.float32), {"hat": classifier, "own": classifier}
    )
    assert list(table.columns) == [
        "filename",
        "hat_prob_x",
        "hat_prob_y",
        "own_prob_x",
        "own_prob_y",
    ]
    assert list(probability_table(names(2), np.eye(2), {}).columns) == ["filename"]


def test_a_prompt_beyond_the_context_is_named_and_never_cut(reader):
    encoder = TextEncoder(*reader)
    longest = " ".join(["a"] * 75)
    assert len(encoder.tokenize(longest)) == 77
    assert np.abs(encoder.encode([longest]) - encoder.encode([longest[:-2]])).max() > 1e-3
    with pytest.raises(ParamsError) as error:
        embed_classes(encoder, {"hat": {"with": ["a"], "without": ["b", f"{longest} a"]}})
    for part in ("zeroshot.hat.without: ", f"'{longest} a'", "has 78 tokens", "at most 77"):
        assert part in str(error.value)
    with pytest.raises(InputError, match="has 78 tokens"):
        encoder.encode(["a", f"{longest} a"])


# Models that can't read


def without(folder, *begin):
    state = load_file(folder / "model.safetensors")
    save_file(
        {k: v for k, v in state.items() if not k.startswith(begin)},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (
            lambda folder: (folder / "vocab.json").unlink(),
            r"has no tokenizer \(tokenizer\.json, or",
        ),
        (
            lambda folder: without(folder, "text_model"),
            r"the weights of the text tower lack text_model\.",
        ),
        (lambda folder: without(folder, "text_projection"), r"lack text_projection\.weight"),
        (lambda folder: without(folder, "logit_scale"), "lack logit_scale"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "text tower can't be loaded"),
        (lambda folder: (folder / "vocab.json").write_text("{"), "text tower can't be loaded"),
        (
            lambda folder: write_tokenizer(folder, begin=1000, end=1001),
            "knows only 523: the two are not of one model",
        ),
    ],
)
def test_a_variant_that_cannot_read_prompts_is_named_with_the_way_out(spoiled, spoil, expected):
    folder, sha256 = spoiled
    spoil(folder)
    with pytest.raises(ModelError, match=expected) as error:
        TextEncoder(folder, sha256).encode(["a"])
    assert "zeroshot: {}" in str(error.value)


def test_the_text_side_of_other_weights_is_refused(reader):
    with pytest.raises(
        ModelError, match=r"holds other weights .* than those that made the embeddings"
    ):
        TextEncoder(reader[0], "0" * 64)


# Files and warnings


def test_saved_prompts_come_back_and_are_the_same_bytes_every_time(tmp_path):
    rng = np.random.default_rng(0)
    classifiers = {
        name: PromptClassifier(
            classes, rng.normal(size=(len(classes), 5)).astype(np.float32), 14.25
        )
        for name, classes in (("smile", ["yes", "no"]), ("age", ["18-29", "30-59", "60+"]))
    }
    for name in ("a", "b"):
        save_classifiers(tmp_path / name, classifiers, "f00")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    again = load_classifiers(tmp_path / "a", "f00")
    assert {name: (c.classes, c.logit_scale) for name, c in again.items()} == {
        "smile": (["yes", "no"], 14.25),
        "age": (["18-29", "30-59", "60+"], 14.25),
    }
    assert all(
        again[name].embeddings.tobytes() == c.embeddings.tobytes()
        for name, c in classifiers.items()
    )
    with pytest.raises(ModelError, match="of other CLIP weights"):
        load_classifiers(tmp_path / "a", "f01")
    save_classifiers(tmp_path / "none", {}, "f00")
    assert load_classifiers(tmp_path / "none", "f00") == {}


@pytest.mark.parametrize("content", [None, b"", b"garbage", b"PK\x03\x04garbage"])
def test_a_missing_or_foreign_file_of_prompts_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "zeroshot.npz").write_bytes(content)
    with pytest.raises(ModelError, match=r"zeroshot\.npz.*dvc repro"):
        load_classifiers(tmp_path / "zeroshot.npz", "f00")


@pytest.mark.parametrize("damaged", ["attributes", "classes", "weights_sha256"])
@pytest.mark.parametrize("length", [1, 2])
def test_letters_beyond_unicode_are_named(tmp_path, damaged, length):
    arrays: dict[str, Any] = {
        "attributes": np.array(["smile", "smile"]),
        "classes": np.array(["yes", "no"]),
        "embeddings": np.eye(2, dtype=np.float32),
        "logit_scale": 1.0,
        "weights_sha256": np.array("f00"),
    }
    arrays[damaged] = np.full((*arrays[damaged].shape, length), 0x7FFFFFFF, np.uint32).view(
        f"U{length}"
    )[..., 0]
    np.savez(tmp_path / "zeroshot.npz", **arrays)
    with pytest.raises(ModelError, match="holds no prompts of this project"):
        load_classifiers(tmp_path / "zeroshot.npz", "f00")


def test_packed_prompts_are_not_unpacked_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(zeroshot, "MOST", 1 << 20)
    np.savez_compressed(tmp_path / "zeroshot.npz", attributes=np.zeros(1 << 24, bool))
    tracemalloc.start()
    with pytest.raises(ModelError, match="it has more than 1 MB unpacked"):
        load_classifiers(tmp_path / "zeroshot.npz", "f00")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_classes_that_no_label_says_are_warned_about():
    labels = pd.DataFrame(
        {
            "gender": text(["female", None, "male"]),
            "age": [20.0, np.nan, 30.0],
            "height": text(["180", None, "9.5"]),
            "hat": text([None, None, None]),
        }
    )
    prompts = {
        "gender": {"female": [], "man": [], "lad": []},
        "age": {"18-29": [], "30+": []},
        "hat": {"red": [], "blue": []},
        "height": {"100-180": [], "180-200": []},
        "smile": {"yes": [], "no": []},
    }
    assert find_strange_classes(prompts, labels) == [
        "zeroshot.gender: no label says man, lad; the labels say female, male"
    ]
    assert find_strange_classes({"gender": {"female": [], "male": []}}, labels) == []


def test_classes_that_the_text_tower_cannot_tell_apart_are_found():
    rows = np.eye(3, 4, dtype=np.float32)[[0, 1, 0]]
    assert PromptClassifier(["x", "y", "z"], rows, 1.0).alike() == [("x", "z")]


# Ranges


@pytest.mark.parametrize(
    ("classes", "middles"),
    [
        (["18-29", "30-44", "45-59", "60-80"], [23.5, 37, 52, 70]),
        (["0-9", "10-19", "20+"], [4.5, 14.5, 24.5]),
        (["60+", "20-39.5", "40-59"], [69.5, 29.75, 49.5]),
    ],
)
def test_a_range_stands_for_its_middle(classes, middles):
    assert range_middles(classes) == middles


@pytest.mark.parametrize(
    "name", ["", "young", "18", "18-", "-18", "29-18", "18–29", "70 +", "more than 70"]
)
def test_what_is_no_range_is_named(name):
    with pytest.raises(ValueError, match="is not a range of numbers; expected one like 18-29"):
        range_middles(["18-29", name])


def test_the_tokenizer_of_these_tests_is_a_byte_pair_tokenizer(reader):
    tokens = list(vocabulary())
    assert [tokens[i] for i in TextEncoder(*reader).tokenizer.ids("Photo of woman's")] == [
        BEGIN,
        "photo</w>",
        "of</w>",
        "woman</w>",
        "'",
        "s</w>",
        END,
    ]
