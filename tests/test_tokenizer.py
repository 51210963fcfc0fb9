"""CLIP's own steps of a tokenizer are taken here, others in a process with limits."""

import base64
import json
import resource
import shutil
import struct
from pathlib import Path

import pytest

from clips import write_tokenizer
from facestats.core.layout import TINY
from facestats.errors import ModelError
from facestats.machine.child import Children
from facestats.machine.limits import Limits
from facestats.prompts import tokenizer
from facestats.prompts.plain import is_plain
from facestats.prompts.tokenizer import Tokenizer

TEXTS = ["a photo of a woman", "Größe:  12!", "x" * 300, "", "<|startoftext|> they're 30 — 你好"]
LIMITS = Limits(2, 1 << 28)
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
ANY = {"tokenizer_class": "PreTrainedTokenizerFast"}  # takes the steps of tokenizer.json
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
DOUBLED = {"type": "Sequence", "pretokenizers": [BYTES] * 40}
BACKTRACKS = r"((\w|\s)+)+[,:]\w"
TINYS = json.loads((TINY / "tokenizer.json").read_text(encoding="utf-8"))
PIECE = {"Sequence": {"id": "A", "type_id": 0}}
TEMPLATE = {"type": "TemplateProcessing", "single": [PIECE], "pair": [PIECE], "special_tokens": {}}


def split(pattern: str) -> dict:
    regex = {"Regex": pattern}
    return {"type": "Split", "pattern": regex, "behavior": "Isolated", "invert": False}


def replace(content: str, pattern: str = "a") -> dict:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def normalizers(*steps: dict) -> dict:
    return {"type": "Sequence", "normalizers": list(steps)}


def precompiled(times: int) -> dict:
    """A map of `a` to many of them, in the format of sentencepiece: a double array, then texts."""
    units = [0] * 0x200
    units[0] = 0x100 << 10  # where the nodes below the root lie
    units[0x100 ^ ord("a")] = ord("a") | 1 << 8 | 3 << 10  # a leaf, two places behind
    charsmap = struct.pack("<I512I", 2048, *units) + b"a" * times + b"\0"
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()}


@pytest.fixture
def folder(tmp_path):
    """The tokenizer of tiny, to change."""
    for name in FILES:
        shutil.copy(TINY / name, tmp_path / name)
    return tmp_path


def change(path: Path, **values) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | values), encoding="utf-8")


@pytest.fixture(scope="module")
def apart():
    """One process for the tests of this module."""
    children = Children("facestats.prompts.tokenizer_process", LIMITS, "a tokenizer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "_children", children)
        patch.setattr(tokenizer, "LIMITS", LIMITS)
        yield children
    children.close()


@pytest.fixture
def no_process(monkeypatch):
    def call(*_):
        raise AssertionError("a process is asked")

    monkeypatch.setattr(Children, "call", call)


# Of usual steps


OPENAI = {  # of openai/clip-vit-base-patch32, as transformers 4 wrote it
    **{
        key: {"content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": True, "__type": "AddedToken"}
        for key in ("unk_token", "eos_token")
    },
    **{"pad_token": "<|endoftext|>", "add_prefix_space": False, "errors": "replace"},
    **{"do_lower_case": True, "name_or_path": "openai/clip-vit-base-patch32"},
    **{"model_max_length": 77, "special_tokens_map_file": "./special_tokens_map.json"},
    "tokenizer_class": "CLIPTokenizer",
}
CONVERTED = TINYS["pre_tokenizer"] | {  # CLIPConverter's, without the words of ends
    "pretokenizers": [
        TINYS["pre_tokenizer"]["pretokenizers"][0]
        | {"pattern": {"Regex": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"}},
        BYTES | {"use_regex": True},
    ]
}


@pytest.mark.parametrize(
    ("steps", "settings"),
    [
        ({}, {}),
        ({"pre_tokenizer": CONVERTED, "padding": None}, OPENAI),
        ({"truncation": {"max_length": 77, "strategy": "LongestFirst", "stride": 0}}, {}),
        ({"padding": TINYS["padding"] | {"strategy": {"Fixed": 77}}}, {}),
        ({"post_processor": BYTES, "normalizer": {"type": "Lowercase"}}, {}),
        ({"post_processor": TEMPLATE, "normalizer": None}, {"tokenizer_class": None}),
        ({}, {"added_tokens_decoder": {"843": TINYS["added_tokens"][0]}}),
    ],
)
def test_clips_own_steps_are_usual(folder, steps, settings):
    change(folder / "tokenizer.json", **steps)
    change(folder / "tokenizer_config.json", **settings)
    assert is_plain(folder)


def test_a_usual_tokenizer_starts_no_process(folder, no_process):
    assert Tokenizer(folder).ids("a woman")


def test_a_vocabulary_with_merges_is_usual_if_its_class_is_clips(tmp_path, no_process):
    write_tokenizer(tmp_path)
    assert is_plain(tmp_path)
    assert Tokenizer(tmp_path).context == 77
    change(tmp_path / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    assert not is_plain(tmp_path)


UNUSUAL = {
    "bytes again and again": {"pre_tokenizer": DOUBLED},
    "bytes while normalizing": {"normalizer": {"type": "ByteLevel"}},
    "another pattern": {"pre_tokenizer": split("(a+)+$")},
    "two splits": {"pre_tokenizer": CONVERTED | {"pretokenizers": [split(r"\s")] * 2}},
    "a map": {"normalizer": precompiled(9)},
    "a replacement": {"normalizer": normalizers({"type": "NFC"}, replace("aa"))},
    "two usual replacements": {"normalizer": normalizers(*TINYS["normalizer"]["normalizers"] * 2)},
    "a step in front": {"normalizer": {"type": "Prepend", "prepend": "a" * 9}},
    "a step that nobody knows": {"pre_tokenizer": {"type": "New"}},
    "sequences in one another": {"normalizer": normalizers(normalizers({"type": "NFC"}))},
    "a template of many pieces": {"post_processor": TEMPLATE | {"single": [PIECE] * 33}},
    "a piece of many tokens": {
        "post_processor": TEMPLATE
        | {"special_tokens": {"<s>": {"id": "<s>", "ids": [1] * 100_000, "tokens": ["a"]}}}
    },
    "two templates": {"post_processor": {"type": "Sequence", "processors": [TEMPLATE] * 2}},
    "another model": {"model": {"type": "Unigram", "vocab": []}},
    "a long prefix": {"model": TINYS["model"] | {"continuing_subword_prefix": "a" * 99}},
    "chance": {"model": TINYS["model"] | {"dropout": 0.5}},
    "long tokens": {"added_tokens": [TINYS["added_tokens"][0] | {"content": "a" * 99}]},
    "a decoder": {"decoder": replace("aa")},
    "filled up without end": {"padding": TINYS["padding"] | {"strategy": {"Fixed": 1 << 40}}},
    "an unknown key": {"new": None},
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_other_steps_are_not(folder, kind):
    change(folder / "tokenizer.json", **UNUSUAL[kind])
    assert not is_plain(folder)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("tokenizer_config.json", ANY),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["a.B", None]}}),
        ("tokenizer_config.json", {"fast_tokenizer_files": ["tokenizer.other.json"]}),
        ("tokenizer_config.json", {"extra_special_tokens": {"a_token": "b"}}),
        ("tokenizer_config.json", {"additional_special_tokens": ["a"] * 65}),
        ("config.json", {"tokenizer_class": "GPT2Tokenizer"}),
    ],
)
def test_other_settings_are_not(folder, name, values):
    change(folder / "tokenizer_config.json", tokenizer_class=None)
    change(folder / name, **values)
    assert not is_plain(folder)


def test_files_larger_than_usual_are_not(folder):
    with (folder / "tokenizer.json").open("a") as file:
        file.write(" " * (1 << 24))
    assert not is_plain(folder)


def test_further_files_of_transformers_are_not(folder):
    (folder / "added_tokens.json").write_text("{}")
    assert not is_plain(folder)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_what_is_no_json_object_is_named(folder, content):
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match=r"Expecting|tokenizer\.json is a list"):
        Tokenizer(folder)


# In a process of its own


@pytest.mark.long
def test_both_ways_give_the_same_ids(folder, apart, monkeypatch, tmp_path_factory):
    given = tmp_path_factory.mktemp("given")
    write_tokenizer(given)
    (given / "config.json").write_text('{"model_type": "clip"}')
    here = [Tokenizer(each) for each in (folder, given)]
    monkeypatch.setattr(tokenizer, "is_plain", lambda _: False)
    there = [Tokenizer(each) for each in (folder, given)]
    shutil.rmtree(given)  # the ids are of the files as they were
    for a, b in zip(here, there, strict=True):
        assert (a.context, a.end) == (b.context, b.end)
        assert [a.ids(text) for text in TEXTS] == [b.ids(text) for text in TEXTS]
        assert a._own is not None
        assert b._own is None


def test_an_unusual_tokenizer_is_read_in_one_process(folder, apart):
    expected = Tokenizer(folder).ids("a woman")
    change(folder / "tokenizer_config.json", **ANY)
    first, second = Tokenizer(folder), Tokenizer(folder)
    assert first.ids("a woman") == second.ids("a woman") == expected
    assert len(apart._idle) == 1


def test_what_can_not_be_loaded_says_why(folder, apart):
    change(folder / "tokenizer.json", normalizer={"type": "New"})
    with pytest.raises(ValueError, match="tokenizer: data did not match"):
        Tokenizer(folder)
    change(folder / "tokenizer.json", normalizer=None)
    change(folder / "tokenizer_config.json", **ANY, model_max_length="many")
    with pytest.raises(ValueError, match="model_max_length is 'many'"):
        Tokenizer(folder)


@pytest.mark.long
@pytest.mark.parametrize("step", [replace("aaaa"), precompiled(4)], ids=["text", "map"])
def test_tokens_without_end_are_no_answer(folder, apart, step):
    change(folder / "tokenizer_config.json", **ANY)
    change(folder / "tokenizer.json", normalizer=normalizers(*[step] * 9))
    with pytest.raises(ModelError, match=r"tokenizer\.json can't read a text \(it makes 262,\d+"):
        Tokenizer(folder).ids("a")


@pytest.mark.long
def test_a_pattern_at_the_end_of_its_retries_is_an_error(folder, apart):
    change(folder / "tokenizer_config.json", **ANY)
    change(folder / "tokenizer.json", pre_tokenizer=split(BACKTRACKS))
    with pytest.raises(ModelError, match=r"tokenizer\.json can't read a text \(.*retry-limit"):
        Tokenizer(folder).ids("a photo of a young woman, who smiles: yes")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "steps",
    [
        {"pre_tokenizer": DOUBLED},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [split(BACKTRACKS)] * 500}},
    ],
    ids=["bytes again and again", "patterns that backtrack"],
)
@pytest.mark.long
def test_a_tokenizer_without_end_is_named_with_the_way_out(folder, apart, steps):
    """40 steps of a few bytes each took all memory."""
    change(folder / "tokenizer_config.json", **ANY)
    change(folder / "tokenizer.json", **steps)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        ModelError, match=r"tokenizer\.json takes more than 2 s .*or ends what reads"
    ):
        Tokenizer(folder).ids("a photo of a woman: yes")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_an_unknown_token_that_is_in_no_vocabulary_is_named(folder):
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = {k: v for k, v in content["model"]["vocab"].items() if not k.startswith("w")}
    merges = [m for m in content["model"]["merges"] if "w" not in str(m).replace("</w>", "")]
    model = content["model"] | {"vocab": vocabulary, "merges": merges}
    change(folder / "tokenizer.json", model=model)
    change(folder / "tokenizer_config.json", unk_token="nowhere")
    assert is_plain(folder)  # it is read in this process
    with pytest.raises(ModelError, match=r"tokenizer\.json can't read a text \(.*nowhere"):
        Tokenizer(folder).ids("a woman")
