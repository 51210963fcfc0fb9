"""Whether a CLIP's tokenizer takes the steps of CLIP's own, by what its files say.

How long such a one takes follows from the text. Any other `tokenizer.json` is a program: its steps
may double a text again and again, or search it without end, in ways that no list exhausts. Such a
tokenizer is asked where time and memory are limited.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CLASSES = (None, "CLIPTokenizer", "CLIPTokenizerFast")
_SIZE = 1 << 24  # bytes of a file; CLIP's have 1 to 4 MB
_TOKENS = 100_000  # of a vocabulary; CLIP's has 49,408
_ADDED = 64  # tokens beside the vocabulary; CLIP's has 2
_LETTERS = 64  # of such a token
_PIECES = 8  # of a template, whose tokens go around a text's
_NUMBER = 1 << 17  # tokens that a text is cut or filled up to; ids
_STEPS = 8  # of a normalizer
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
# Where transformers' CLIPTokenizer and its CLIPConverter split a text.
_SPLITS = (_WORDS, r"<\|startoftext\|>|<\|endoftext\|>|" + _WORDS)
_SPACES = {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}
_BYTES = {"type", "add_prefix_space", "trim_offsets", "use_regex"}
_TOKEN = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special", "__type"}
_SPECIAL = {"bos_token", "eos_token", "unk_token", "pad_token"}
# Of tokenizer_config.json, as transformers 4 and 5 write it for a CLIP.
_SETTINGS = {
    *("add_prefix_space", "backend", "clean_up_tokenization_spaces", "do_lower_case", "errors"),
    *("is_local", "local_files_only", "model_max_length", "name_or_path", "processor_class"),
    *("special_tokens_map_file", "tokenizer_class", "padding_side", "truncation_side"),
    *("max_length", "stride", "truncation_strategy", "pad_to_multiple_of", "pad_token_type_id"),
}


def is_plain(folder: Path) -> bool:
    """Whether the tokenizer of a checkpoint is as CLIP's own, so that `CLIPTokenizer` reads it.

    Raises
    ------
    ValueError
        A file is no JSON object.
    """
    named = {
        name: _read(folder / name)
        for name in ("config.json", "tokenizer_config.json", "special_tokens_map.json")
    }
    settings, tokens = named["tokenizer_config.json"], named["special_tokens_map.json"]
    config = named["config.json"]
    if settings is None or tokens is None or config is None or _has_more(folder):
        return False
    if (settings.get("tokenizer_class") or config.get("tokenizer_class")) not in CLASSES:
        return False
    if not _are_settings(settings) or not _are_settings(tokens):
        return False
    if (folder / "tokenizer.json").is_file():
        program = _read(folder / "tokenizer.json")
        return program is not None and _are_steps(program)
    vocabulary = _read(folder / "vocab.json")
    merges = folder / "merges.txt"
    return vocabulary is not None and _is_vocabulary(vocabulary) and merges.stat().st_size <= _SIZE


def _read(path: Path) -> dict[str, Any] | None:
    """The object in a file of JSON: none if there is no file; None for one larger than usual."""
    if not path.is_file():
        return {}
    if path.stat().st_size > _SIZE:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        return None
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is a {type(content).__name__}, expected an object")
    return content


def _has_more(folder: Path) -> bool:
    """Whether transformers would read further files."""
    return any(
        path.name == "added_tokens.json" or "chat_template" in path.name
        for path in folder.iterdir()
    )


def _are_settings(settings: dict[str, Any]) -> bool:
    return all(
        (key in _SETTINGS and _is_scalar(value))
        or (key in _SPECIAL and (value is None or _is_token(value)))
        or (key == "added_tokens_decoder" and _are_tokens(value, dict))
        or (key in ("additional_special_tokens", "extra_special_tokens") and _are_extra(value))
        for key, value in settings.items()
    )


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _is_token(value: object) -> bool:
    """Whether this is a token beside the vocabulary, as text or with its settings."""
    if isinstance(value, dict):
        if not set(value) <= _TOKEN:
            return False
        value = value.get("content")
    return isinstance(value, str) and 0 < len(value) <= _LETTERS


def _are_tokens(value: object, kind: type) -> bool:
    if not isinstance(value, kind) or not isinstance(value, dict | list) or len(value) > _ADDED:
        return False
    return all(map(_is_token, value.values() if isinstance(value, dict) else value))


def _are_extra(value: object) -> bool:
    return not value or _are_tokens(value, list)


def _are_steps(program: dict[str, Any]) -> bool:
    """Whether `tokenizer.json` holds CLIP's steps alone."""
    known = {"version", "truncation", "padding", "added_tokens", "decoder", "model"}
    return (
        set(program) <= known | {"normalizer", "pre_tokenizer", "post_processor"}
        and _is_length(program.get("truncation"))
        and _is_length(program.get("padding"))
        and _are_tokens(program.get("added_tokens", []), list)
        and _is_normalizer(program.get("normalizer"))
        and _is_pre_tokenizer(program.get("pre_tokenizer"))
        and _is_post_processor(program.get("post_processor"))
        and (program.get("decoder") is None or _is_bytes(program["decoder"]))
        and _is_model(program.get("model"))
    )


def _is_length(step: object) -> bool:
    """Whether a text is cut or filled up to a length that a model may read."""
    if step is None:
        return True
    if not isinstance(step, dict):
        return False
    numbers = [value for value in step.values() if not isinstance(value, str)]
    if isinstance(step.get("strategy"), dict):
        numbers.remove(step["strategy"])
        numbers += step["strategy"].values()
    return all(value is None or _is_number(value, _NUMBER) for value in numbers)


def _is_number(value: object, most: int) -> bool:
    return isinstance(value, int) and 0 <= value <= most


def _sequence(step: object, kind: str) -> list:
    """The steps of a sequence; one for a single step, none for null."""
    if isinstance(step, dict) and step.get("type") == "Sequence" and set(step) == {"type", kind}:
        return step[kind] if isinstance(step[kind], list) else [None]
    return [] if step is None else [step]


def _is_normalizer(normalizer: object) -> bool:
    steps = _sequence(normalizer, "normalizers")
    others = [step for step in steps if step not in ({"type": "NFC"}, {"type": "Lowercase"})]
    return len(steps) <= _STEPS and others in ([], [_SPACES])


def _is_pre_tokenizer(pre_tokenizer: object) -> bool:
    steps = _sequence(pre_tokenizer, "pretokenizers")
    splits = [step for step in steps if not _is_bytes(step)]
    return len(splits) <= 1 and len(steps) - len(splits) <= 1 and all(map(_is_split, splits))


def _is_bytes(step: object) -> bool:
    return isinstance(step, dict) and step.get("type") == "ByteLevel" and set(step) <= _BYTES


def _is_split(step: object) -> bool:
    return (
        isinstance(step, dict)
        and step.get("type") == "Split"
        and set(step) <= {"type", "pattern", "behavior", "invert"}
        and step.get("pattern") in [{"Regex": pattern} for pattern in _SPLITS]
    )


def _is_post_processor(step: object) -> bool:
    if step is None or _is_bytes(step):
        return True
    if not isinstance(step, dict):
        return False
    if step.get("type") == "RobertaProcessing":
        ends = [step.get("sep"), step.get("cls")]
        return set(step) <= {"type", "sep", "cls", "trim_offsets", "add_prefix_space"} and all(
            isinstance(end, list) and len(end) == 2 and _is_token(end[0]) for end in ends
        )
    return (
        step.get("type") == "TemplateProcessing"
        and set(step) <= {"type", "single", "pair", "special_tokens"}
        and _is_template(step)
    )


def _is_template(step: dict[str, Any]) -> bool:
    tokens = step.get("special_tokens")
    if not isinstance(tokens, dict) or len(tokens) > _PIECES:
        return False
    lists = [step.get("single"), step.get("pair")]
    for token in tokens.values():
        if not isinstance(token, dict):
            return False
        lists += [token.get("ids"), token.get("tokens")]
    return all(isinstance(each, list) and len(each) <= _PIECES for each in lists)


def _is_model(model: object) -> bool:
    return (
        isinstance(model, dict)
        and model.get("type") == "BPE"
        and model.get("dropout") is None
        and not model.get("continuing_subword_prefix")
        and model.get("end_of_word_suffix") in (None, "", "</w>")
        and _is_vocabulary(model.get("vocab"))
        and isinstance(model.get("merges"), list)
    )


def _is_vocabulary(vocabulary: object) -> bool:
    return isinstance(vocabulary, dict) and len(vocabulary) <= _TOKENS
