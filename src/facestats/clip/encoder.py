"""The image tower of a CLIP variant: faces in, unit-norm embeddings out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPVisionModelWithProjection
from transformers.utils import logging

from facestats.clip.transform import ImageTransform
from facestats.errors import ModelError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device() -> torch.device:
    """CUDA where there is one, then Apple's MPS, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def choose_precision(wanted: str, device: torch.device) -> str:
    """What `auto` becomes: the fastest precision that the device computes natively."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "float16"
    if device.type == "cpu":
        can = torch.cpu.get_capabilities()
        return "bfloat16" if can.get("avx512_bf16") or can.get("amx_bf16") else "float32"
    return "float32"


class ImageEncoder:
    """A CLIP variant's image tower with its own image transform.

    Parameters
    ----------
    model_dir : folder in Hugging Face layout, as `fetch_clip` writes it.
    precision : `float32`, `bfloat16`, `float16` or `auto`.
    batch_size : images a forward pass. Every batch has this shape, the last one padded: a row's bits depend on
        the batch's shape, but not on its neighbours.

    Raises
    ------
    ModelError
        The folder does not hold a CLIP model, or not all of its weights.
    """

    def __init__(self, model_dir: Path, precision: str = "float32", batch_size: int = 32):
        self.transform = ImageTransform.load(model_dir)
        self.device = choose_device()
        self.precision = choose_precision(precision, self.device)
        self.batch_size = batch_size
        logging.set_verbosity_error()  # the text tower's weights are left unread on purpose
        logging.disable_progress_bar()
        try:
            self.facts: dict[str, str] = json.loads((model_dir / "facestats.json").read_text(encoding="utf-8"))
            whole = CLIPConfig.from_pretrained(model_dir)
            config = whole.vision_config
            config.projection_dim = whole.projection_dim  # CLIPModel goes by the whole model's, the tower's may differ
            model, found = CLIPVisionModelWithProjection.from_pretrained(
                model_dir, config=config, dtype=DTYPES[self.precision], output_loading_info=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"{model_dir} does not hold a CLIP model ({error}); `dvc repro fetch_clip` makes it") from None
        if found["missing_keys"]:  # transformers would go on with random numbers in their place
            raise ModelError(f"{model_dir}: the weights lack {', '.join(sorted(found['missing_keys'])[:5])}; "
                             "clip.variant must be a whole CLIPModel")
        self.model = model.eval().to(self.device)
        self.dimension: int = model.config.projection_dim

    def encode(self, images: Iterable[Image.Image]) -> np.ndarray:
        """Embed RGB images: float32 array (n, dimension), unit norm."""
        rows = list(self.stream(images))
        return np.stack(rows) if rows else np.empty((0, self.dimension), np.float32)

    def stream(self, items: Iterable, load: Callable[[Any], Image.Image] | None = None) -> Iterator[np.ndarray]:
        """Embed one item after another.

        Parameters
        ----------
        items : RGB images, or whatever `load` makes an RGB image of.
        load : called in threads, a batch ahead of the model, so that decoding does not keep it waiting.

        Yields
        ------
        float32 array (dimension,), unit norm, one an item, in order.
        """
        def prepare(item: Any) -> np.ndarray:
            return self.transform(load(item) if load else item)

        with ThreadPoolExecutor() as pool:
            chunks = (pool.map(prepare, chunk) for chunk in _batches(items, self.batch_size))
            ahead = list(islice(chunks, 1))
            while ahead:
                ahead += islice(chunks, 1)
                yield from self._forward(np.stack(list(ahead.pop(0))))

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        """Unit-norm embeddings of up to `batch_size` inputs (n, 3, height, width)."""
        n = len(pixels)
        if n < self.batch_size:
            pixels = np.concatenate([pixels, np.zeros((self.batch_size - n, *pixels.shape[1:]), np.float32)])
        batch = torch.from_numpy(pixels).to(self.device, DTYPES[self.precision])
        with torch.inference_mode():
            embeddings = self.model(pixel_values=batch).image_embeds.float().cpu().numpy()[:n]
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings / norms


def _batches(items: Iterable, size: int) -> Iterator[list]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
