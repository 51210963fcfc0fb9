"""The tokenizer of `tiny`: lower-case byte pairs in CLIP's layout, learned from captions."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
_SUFFIX = "</w>"
_BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())


def learn_tokenizer(captions: Iterable[str], size: int, context: int) -> CLIPTokenizer:
    """Learn merges from captions; any other text falls back to bytes, so that nothing is unknown.

    Parameters
    ----------
    size : number of tokens at most: 256 bytes inside and 256 at the end of a word, merges, and the
        two special ones.
    context : longest text in tokens, the special ones included.
    """
    plain = _with_merges([], context).backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix=_SUFFIX))
    learner.normalizer, learner.pre_tokenizer = plain.normalizer, plain.pre_tokenizer
    # All letters as special tokens: equal counts are decided by token ids, and those of letters
    # that the learner finds by itself come in another order every time.
    letters = [*_BYTES, *(byte + _SUFFIX for byte in _BYTES)]
    trainer = trainers.BpeTrainer(
        vocab_size=size, end_of_word_suffix=_SUFFIX, special_tokens=letters, show_progress=False
    )
    learner.train_from_iterator(captions, trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    return _with_merges(merges[: size - 2 * len(_BYTES) - 2], context)


def _with_merges(merges: list[tuple[str, str]], context: int) -> CLIPTokenizer:
    tokens = [
        *_BYTES,
        *(byte + _SUFFIX for byte in _BYTES),
        *(left + right for left, right in merges),
        START,
        END,
    ]
    return CLIPTokenizer(
        vocab={token: i for i, token in enumerate(dict.fromkeys(tokens))},
        merges=merges,
        model_max_length=context,
    )
