"""The image tower of a CLIP variant: faces in, unit-norm embeddings out."""

from __future__ import annotations

import io
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.utils import logging

from facestats.checkpoints.transform import ImageTransform
from facestats.clip.tower import StoppedError, choose_tower
from facestats.core.fingerprint import sha256_file
from facestats.errors import ModelError
from facestats.machine.faults import patiently, starting_threads

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device() -> torch.device:
    """CUDA where there is one, then Apple's MPS, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def choose_precision(precision: str, device: torch.device) -> str:
    """The precision; for `auto`, the fastest one that the device computes natively."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "float16"
    if device.type == "cpu":
        can = torch.cpu.get_capabilities()
        return "bfloat16" if can.get("avx512_bf16") or can.get("amx_bf16") else "float32"
    return "float32"


def read_face(path: Path) -> Image.Image:
    """A face crop as an RGB image."""
    return Image.open(io.BytesIO(patiently(path.read_bytes))).convert("RGB")


def vision_config(model_dir: Path) -> CLIPVisionConfig:
    """The settings of a checkpoint's image tower, with the projection of the whole model.

    CLIPModel goes by the latter, from which the tower's own may differ.
    """
    whole = CLIPConfig.from_pretrained(model_dir)
    config: Any = whole.vision_config
    config.projection_dim = whole.projection_dim
    return config


class ImageEncoder:
    """A CLIP variant's image tower with its own image transform.

    Parameters
    ----------
    model_dir : Path
        Folder in Hugging Face layout, as `fetch_clip` writes it.
    precision : str, default 'float32'
        `float32`, `bfloat16`, `float16` or `auto`.
    batch_size : int, default 32
        Images a forward pass. Every batch has this shape, the last one padded: a row's bits depend
        on the batch's shape, but not on its neighbours.

    Raises
    ------
    ModelError
        The folder does not hold a CLIP model, or not all of its weights; of `encode` and `stream`:
        its transform makes images of another size than its tower takes.
    """

    def __init__(self, model_dir: Path, precision: str = "float32", batch_size: int = 32):
        self.transform = ImageTransform.load(model_dir)
        self.device = choose_device()
        self.precision = choose_precision(precision, self.device)
        self.batch_size = batch_size
        logging.set_verbosity_error()  # the text tower's weights are left unread on purpose
        logging.disable_progress_bar()
        try:
            self.facts: dict[str, str] = json.loads(
                (model_dir / "facestats.json").read_text(encoding="utf-8")
            )
            self.files_sha256 = {
                name: sha256_file(model_dir / name) for name in ("config.json", "model.safetensors")
            }
            loaded: Any = CLIPVisionModelWithProjection.from_pretrained(
                model_dir,
                config=vision_config(model_dir),
                dtype=torch.float32,
                output_loading_info=True,
            )
            model, loading = loaded
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"{model_dir} does not hold a CLIP model ({error}); `dvc repro fetch_clip` makes it"
            ) from None
        # transformers would go on with random numbers in their place
        if missing := sorted(loading["missing_keys"]):
            raise ModelError(
                f"{model_dir}: the weights lack {', '.join(missing[:5])}; "
                "clip.variant must be a whole CLIPModel"
            )
        self.dimension: int = model.config.projection_dim
        self.side: int = model.config.image_size
        dtype = DTYPES[self.precision]
        factor, offset = map(torch.from_numpy, self.transform.affine())
        self.tower = choose_tower(model, dtype, self.device, batch_size, factor, offset)

    def encode(self, images: Iterable[Image.Image]) -> np.ndarray:
        """Embed RGB images: float32 array (n, dimension), unit norm."""
        rows = list(self.stream(images))
        return np.stack(rows) if rows else np.empty((0, self.dimension), np.float32)

    def stream(
        self, items: Iterable, load: Callable[[Any], Image.Image] | None = None
    ) -> Iterator[np.ndarray]:
        """Embed one item after another.

        On the processor each core takes whole batches, and decodes and embeds them in one thread:
        no core waits for another one's share of a product, nor for a decoder. Where there are fewer
        batches than cores, the cores are shared out among them. On another device the cores decode,
        a batch ahead of the device.

        Parameters
        ----------
        items : Iterable
            RGB images, or whatever `load` makes an RGB image of.
        load : callable or None, optional
            Called in threads, up to two batches a core ahead of what is yielded.

        Yields
        ------
        np.ndarray
            Float32 array (dimension,), unit norm, one an item, in order.
        """
        prepare = (
            (lambda item: self.transform.pixels(load(item))) if load else self.transform.pixels
        )
        batches = _batches(items, self.batch_size)
        return (
            self._on_cores(batches, prepare)
            if self.device.type == "cpu"
            else self._on_device(batches, prepare)
        )

    def _on_cores(
        self, batches: Iterator[list], prepare: Callable[[Any], np.ndarray]
    ) -> Iterator[np.ndarray]:
        cores, stop = torch.get_num_threads(), threading.Event()
        first = list(islice(batches, cores))
        workers = max(len(first), 1)
        threads = max(cores // workers, 1)

        def embed(batch: list) -> np.ndarray:
            pixels = []
            for item in batch:
                if stop.is_set():  # Ctrl-C must not wait for a batch
                    raise StoppedError
                pixels.append(prepare(item))
            return self._forward(pixels, stop.is_set)

        pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,))
        try:
            with starting_threads():
                batches = chain(first, batches)
                ahead = deque(pool.submit(embed, batch) for batch in islice(batches, 2 * workers))
                while ahead:
                    rows = ahead.popleft().result()
                    ahead.extend(pool.submit(embed, batch) for batch in islice(batches, 1))
                    yield from rows
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            # the workers' number became the default of threads to come
            torch.set_num_threads(cores)

    def _on_device(
        self, batches: Iterator[list], prepare: Callable[[Any], np.ndarray]
    ) -> Iterator[np.ndarray]:
        with starting_threads(), ThreadPoolExecutor(os.cpu_count()) as pool:
            chunks = (pool.map(prepare, batch) for batch in batches)
            ahead = list(islice(chunks, 1))
            while ahead:
                ahead += islice(chunks, 1)
                yield from self._forward(list(ahead.pop(0)))

    def _forward(
        self, pixels: list[np.ndarray], stopped: Callable[[], bool] = lambda: False
    ) -> np.ndarray:
        """Unit-norm embeddings of up to `batch_size` inputs, uint8 (height, width, 3)."""
        if any(p.shape != (self.side, self.side, 3) for p in pixels):
            raise ModelError(
                "the transform of this CLIP model makes inputs of "
                f"{pixels[0].shape[1]}×{pixels[0].shape[0]} px, its image "
                f"tower takes {self.side}×{self.side}; preprocessor_config.json and config.json "
                "don't fit"
            )
        batch = np.zeros((self.batch_size, self.side, self.side, 3), np.uint8)
        np.stack(pixels, out=batch[: len(pixels)])
        embeddings = self.tower(torch.from_numpy(batch), stopped).cpu().numpy()[: len(pixels)]
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def _batches(items: Iterable, size: int) -> Iterator[list]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
