"""The process that reads texts for `prompts.tokenizer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.utils import logging

from facestats.machine.child import Message, answer_calls
from facestats.machine.limits import is_own_limit
from facestats.prompts.tokenizer import MOST_IDS, load

_KEPT = 2  # tokenizers, each of some 100 MB
_LONGEST = 500  # characters of an error


def main(seconds: float, memory: float) -> None:
    """Read texts until there are no more."""
    logging.set_verbosity_error()
    tokenizers: dict[str, Any] = {}

    def answer(head: dict[str, Any], _: bytearray) -> Message:
        try:
            return _answer(tokenizers, head), b""
        except MemoryError:
            if not is_own_limit(int(memory)):
                raise
            return {"over": "memory"}, b""
        except BaseException as error:  # a panic of the tokenizers library is no Exception
            return {"error": str(error)[:_LONGEST]}, b""

    answer_calls(answer, seconds, memory)


def _answer(tokenizers: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
    folder = head["folder"]
    if folder not in tokenizers:
        while len(tokenizers) >= _KEPT:
            del tokenizers[next(iter(tokenizers))]
        tokenizers[folder] = load(AutoTokenizer, Path(folder))
    if "text" not in head:
        context, end = tokenizers[folder].model_max_length, tokenizers[folder].eos_token_id
        return {
            "context": context if isinstance(context, int | float) else str(context),
            "end": end,
        }
    ids = tokenizers[folder](head["text"])["input_ids"]
    if len(ids) > MOST_IDS:
        raise ValueError(f"it makes {len(ids):,} tokens of it")
    return {"ids": ids}
