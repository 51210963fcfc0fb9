"""The text tower of a CLIP variant: prompts in, unit-norm embeddings out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import CLIPConfig, CLIPTextModelWithProjection
from transformers.utils import logging

from facestats.checkpoints.settings import check_folder, check_weights
from facestats.clip.encoder import choose_device
from facestats.errors import InputError, ModelError
from facestats.prompts.tokenizer import WAY_OUT, Tokenizer

_SHOWN = 200  # characters of a prompt in a message
BATCH = 8  # prompts a forward pass
# An eos_token_id of 2, as in transformers' old configs: a text is pooled at its highest token.
HIGHEST = 2


class TextEncoder:
    """A CLIP variant's text tower with its own tokenizer.

    Every prompt is padded to the tokenizer's context and every batch to `BATCH`, so that a prompt's
    bits do not depend on the other prompts. It always computes in float32.

    Parameters
    ----------
    model_dir : Path
        Folder in Hugging Face layout, as `fetch_clip` writes it.
    weights_sha256 : str
        Of the weights that made the image embeddings to compare with.

    Attributes
    ----------
    context : int
        Most tokens of a prompt, with those that begin and end it.
    logit_scale : float
        Factor of a cosine before the softmax: e to the power of the model's own logit scale.

    Raises
    ------
    ModelError
        The folder has no tokenizer or no text tower, not all of its weights or others, or the two
        don't fit.
    """

    def __init__(self, model_dir: Path, weights_sha256: str):
        logging.set_verbosity_error()  # the image tower's weights are left unread on purpose
        logging.disable_progress_bar()
        check_folder(model_dir)
        try:
            source = json.loads((model_dir / "facestats.json").read_text(encoding="utf-8"))
            self.tokenizer = Tokenizer(model_dir)
            config: Any = _text_config(model_dir)
            check_weights(model_dir, CLIPTextModelWithProjection, config)
            config.eos_token_id = self._pooled_token(config.eos_token_id, model_dir)
            loaded: Any = CLIPTextModelWithProjection.from_pretrained(
                model_dir, config=config, dtype=torch.float32, output_loading_info=True
            )
            model, loading = loaded
        except (
            OSError,
            ValueError,
            RuntimeError,
            LookupError,
            TypeError,
            AttributeError,
            ArithmeticError,
            ImportError,
            SafetensorError,
            StrictDataclassError,
        ) as error:
            raise ModelError(
                f"{model_dir}: its text tower can't be loaded ({error}); {WAY_OUT}"
            ) from None
        if str(source["sha256"]) != weights_sha256:
            raise ModelError(
                f"{model_dir} holds other weights ({str(source['sha256'])[:12]}) than those that "
                "made the embeddings "
                f"({weights_sha256[:12]}); run `dvc repro`"
            )
        scale = _logit_scale(model_dir)
        missing = sorted(loading["missing_keys"]) or ["logit_scale"] * (scale is None)
        if missing:  # transformers would go on with random numbers in their place
            raise ModelError(
                f"{model_dir}: the weights of the text tower lack {', '.join(missing[:5])}; "
                f"{WAY_OUT}"
            )
        assert scale is not None
        self.logit_scale = scale
        self.context = min(config.max_position_embeddings, self.tokenizer.context)
        self.vocabulary: int = config.vocab_size
        end = self.tokenizer.end
        self._padding = end if end is not None and end < self.vocabulary else 0
        self.device = choose_device()
        self.model = model.eval().to(self.device)

    def _pooled_token(self, configured: int, model_dir: Path) -> int:
        """The token at which a text is pooled.

        That is the config's, but for a config whose token never occurs: transformers would pool the
        first token, which is the same for all texts (`CLIPConfig()` beside a smaller vocabulary is
        such a one).
        """
        ids = self.tokenizer.ids("a face")
        if configured in (HIGHEST, *ids):
            return configured
        if self.tokenizer.end is None or self.tokenizer.end not in ids:
            raise ModelError(
                f"{model_dir}: its tokenizer does not end a text with the token {configured} of "
                "its config, "
                f"so texts can't be pooled; {WAY_OUT}"
            )
        return self.tokenizer.end

    def tokenize(self, prompt: str) -> list[int]:
        """Token ids of a prompt, whole.

        Raises
        ------
        InputError
            More tokens than `context`.
        ModelError
            A token that the text tower does not know.
        """
        ids = self.tokenizer.ids(prompt)
        shown = prompt if len(prompt) <= _SHOWN else f"{prompt[:_SHOWN]}…"
        if len(ids) > self.context:
            raise InputError(
                f"{shown!r} has {len(ids)} tokens with beginning and end, but the text tower reads "
                f"at most {self.context}; shorten it"
            )
        if max(ids, default=0) >= self.vocabulary:
            raise ModelError(
                f"the tokenizer makes token {max(ids)} of {shown!r}, but the text tower knows "
                f"only {self.vocabulary}: the two are not of one model; {WAY_OUT}"
            )
        return ids

    def encode(self, prompts: list[str]) -> np.ndarray:
        """Embed prompts: float32 array (n, dimension), unit norm.

        Raises
        ------
        InputError, ModelError
            See `tokenize`; or an embedding that is not finite.
        """
        rows = [self.tokenize(prompt) for prompt in prompts]
        ids = np.full(
            (-(-len(rows) // BATCH) * BATCH, self.context),
            self._padding,
            dtype=np.int64,
        )
        for row, tokens in zip(ids, rows, strict=False):
            row[: len(tokens)] = tokens  # attention looks back only: padding changes nothing
        with torch.inference_mode():
            batches = [
                self.model(input_ids=torch.from_numpy(batch).to(self.device))
                .text_embeds.float()
                .cpu()
                .numpy()
                for batch in ids.reshape(-1, BATCH, self.context)
            ]
        embeddings = np.concatenate(batches)[: len(rows)]
        if not np.isfinite(embeddings).all():
            raise ModelError(f"the text tower's embeddings are not finite; {WAY_OUT}")
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def _text_config(model_dir: Path):
    whole = CLIPConfig.from_pretrained(model_dir)
    config: Any = whole.text_config
    # CLIPModel goes by the whole model's, the tower's may differ
    config.projection_dim = whole.projection_dim
    return config


def _logit_scale(model_dir: Path) -> float | None:
    with safe_open(model_dir / "model.safetensors", "pt") as weights:
        names = weights.keys()
        return (
            float(weights.get_tensor("logit_scale").double().exp())
            if "logit_scale" in names
            else None
        )
