"""Stage `train`: a small CLIP from drawn faces and what captions say of them.

Reads   data/faces.parquet; params `draw.rim`, `train`
Writes  model/ (Hugging Face layout, weights in half precision), metrics/train.json,
        metrics/loss.csv
Alone   python train.py data/faces.parquet model metrics/train.json metrics/loss.csv

Three losses. Contrast: image and caption of a batch, where every pair that fits is a match, not
only the pair that was drawn together (after UniCL, Yang et al., CVPR 2022). Thumbnail and
gradients: linear heads tell from the embedding what descriptors.py computes of the picture; they
are what carries over to photographs. See README.md for what was tried.
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
import yaml
from PIL import Image
from tqdm import tqdm
from transformers import CLIPModel

from augment import augment
from captions import describe, fits
from descriptors import face_window, oriented_gradients, thumbnail
from facestats.checkpoints.transform import CLIP_TRANSFORM
from model import build_model, embed_images, embed_texts
from tokenizer import learn_tokenizer

# pictures that are augmented at a time: their intermediate results fit the processor's cache
CHUNK = 32
BATCHES = 16  # batches of views that are made, and shuffled, at a time
WARM_UP = 100  # steps
REPORT = 100  # steps a line of the loss curve
PARTS = ("contrast", "thumbnail", "gradients")  # of the loss
MEAN, STD = (
    torch.tensor(CLIP_TRANSFORM[key])[:, None, None] for key in ("image_mean", "image_std")
)


@dataclass
class Views:
    """Augmented pictures (n, 3, h, h) uint8, which faces they show (n,), and their scaled
    descriptors, (n, d) each.
    """

    pixels: torch.Tensor
    rows: np.ndarray
    thumbnails: torch.Tensor
    gradients: torch.Tensor


class ViewMaker:
    """Makes views of faces and describes them in units of the spread over all faces.

    Parameters
    ----------
    faces : uint8 (n, 3, h, h), crops with a rim.
    rim : of the crops.
    options : params `train`.
    rng : where all randomness comes from.
    """

    def __init__(self, faces: torch.Tensor, rim: float, options: dict, rng: np.random.Generator):
        self.faces, self.rim, self.options, self.rng = faces, rim, options, rng
        self.means: tuple[torch.Tensor, ...] = (torch.zeros(()), torch.zeros(()))
        self.scales: tuple[torch.Tensor, ...] = (torch.ones(()), torch.ones(()))
        views = self.make(rng.permutation(len(faces))[:2048])
        described = views.thumbnails, views.gradients
        self.means = tuple(d.mean(0) for d in described)
        self.scales = tuple((d - m).std() for d, m in zip(described, self.means, strict=True))

    def make(self, rows: np.ndarray) -> Views:
        """One view of each of the faces `rows`."""
        keep, pixels, described = self.options["keep"], [], []
        for chunk in np.array_split(rows, math.ceil(len(rows) / CHUNK)):
            views = augment(
                self.faces[chunk],
                self.options["model"]["image"],
                self.rim,
                self.options["augment"],
                self.rng,
            )
            pixels.append((views * 255 + 0.5).to(torch.uint8))
            targets = (
                thumbnail(views, keep["thumbnail"]),
                oriented_gradients(views, keep["cell"], keep["bins"]),
            )
            described.append(
                [(f - m) / s for f, m, s in zip(targets, self.means, self.scales, strict=True)]
            )
        thumbnails, gradients = (torch.cat(part) for part in zip(*described, strict=True))
        return Views(torch.cat(pixels), rows, thumbnails, gradients)

    def batches(self, steps: int) -> Iterator[Views]:
        """`steps` batches: faces in random order, every view `passes` times.

        Those left over for less than `BATCHES` are dealt anew.
        """
        size, order, done = self.options["batch"], np.empty(0, int), 0
        while True:
            if len(order) < size * BATCHES:
                order = self.rng.permutation(len(self.faces))
            rows, order = np.split(order, [size * BATCHES])
            views = self.make(rows)
            for _ in range(self.options["passes"]):
                for pick in np.split(self.rng.permutation(len(rows)), len(rows) // size):
                    if done == steps:
                        return
                    done += 1
                    yield Views(
                        views.pixels[pick],
                        rows[pick],
                        views.thumbnails[pick],
                        views.gradients[pick],
                    )


def load_faces(path: Path) -> tuple[torch.Tensor, np.ndarray]:
    """Pictures, uint8 (n, 3, h, h), and what can be said of them, float32 (n, k) as `captions.seen`
    gives it.
    """
    table = pq.read_table(path)
    pictures = [np.array(Image.open(io.BytesIO(jpeg.as_py()))) for jpeg in table["jpeg"]]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(), np.stack(
        table["seen"].to_numpy()
    )


def contrast(
    images: torch.Tensor, texts: torch.Tensor, fit: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Mean cross-entropy of captions over images and images over captions, above the least that is
    possible.

    Parameters
    ----------
    images, texts : (n, d), unit norm.
    fit : bool (n, n), whether caption i is true of image j.
    scale : what cosines are multiplied by.
    """
    logits, share = scale * texts @ images.T, fit.float()
    total = torch.zeros(())
    for dim in (1, 0):
        target = share / share.sum(dim=dim, keepdim=True)
        entropy = share.sum(dim=dim).log().mean()
        total = total - (target * logits.log_softmax(dim)).sum(dim).mean() - entropy
    return total / 2


def learning_rate(step: int, steps: int, highest: float) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    return (
        highest
        * min(1.0, (step + 1) / WARM_UP)
        * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))
    )


def main(faces_path: Path, out: Path, metrics: Path, curve: Path) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    options = params["train"]
    torch.set_num_threads(
        options["threads"]
    )  # the weights' bits depend on it, so it is no matter of the machine
    torch.manual_seed(options["seed"])
    rng = np.random.default_rng(options["seed"])
    faces, seen = load_faces(faces_path)
    shape = options["model"]
    tokenizer = learn_tokenizer(
        (describe(face, rng).text for face in seen), shape["vocabulary"], shape["context"]
    )
    model = build_model(shape, tokenizer)
    with torch.no_grad():
        maker = ViewMaker(faces, params["draw"]["rim"], options, rng)
    heads = [torch.nn.Linear(shape["projection"], len(mean)) for mean in maker.means]
    keep = options["keep"]
    window = face_window(shape["image"] // keep["cell"], keep["bins"], keep["window"])
    parameters = [*model.parameters(), *(p for head in heads for p in head.parameters())]
    optimizer = torch.optim.AdamW(
        parameters, lr=options["lr"], weight_decay=options["weight_decay"], betas=(0.9, 0.98)
    )
    steps = round(options["epochs"] * len(faces) / options["batch"])
    losses = []
    batches = maker.batches(steps)
    for step in tqdm(range(steps), "train", unit="step", disable=None):
        with torch.no_grad():
            views = next(batches)
        captions = [describe(seen[row], rng) for row in views.rows]
        fit = fits(
            np.stack([c.low for c in captions]),
            np.stack([c.high for c in captions]),
            seen[views.rows],
        )
        tokens = tokenizer([c.text for c in captions], padding=True, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16):
            images = embed_images(model, (views.pixels.float() / 255 - MEAN) / STD)
            texts = embed_texts(model, tokens)
        images, texts = F.normalize(images.float(), dim=1), F.normalize(texts.float(), dim=1)
        spread = images * math.sqrt(shape["projection"])
        parts = torch.stack(
            [
                contrast(images, texts, torch.from_numpy(fit), model.logit_scale.exp()),
                F.mse_loss(heads[0](spread), views.thumbnails),
                (window * (heads[1](spread) - views.gradients).square()).mean(),
            ]
        )
        optimizer.zero_grad(set_to_none=True)
        (parts * torch.tensor([options["weights"][name] for name in PARTS])).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, options["lr"])
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=math.log(100))  # as in CLIP
        losses.append(parts.detach().numpy())
        if (step + 1) % REPORT == 0:
            tqdm.write(
                f"step {step + 1} of {steps}: "
                + " ".join(
                    f"{n}={v:.3f}" for n, v in zip(PARTS, np.mean(losses[-REPORT:], 0), strict=True)
                )
            )
    save(model, tokenizer, out)
    write_metrics(model, np.array(losses), metrics, curve)


def save(model: CLIPModel, tokenizer, out: Path) -> None:
    """Write the model in Hugging Face layout: weights as float16, to be loaded as float32."""
    side = model.config.vision_config.image_size
    model.half().save_pretrained(out)
    config_file = out / "config.json"
    config = json.loads(config_file.read_text(encoding="utf-8"))
    write_json(config_file, _as_float32(config))
    tokenizer.save_pretrained(out)
    transform = CLIP_TRANSFORM | {
        "size": {"shortest_edge": side},
        "crop_size": {"height": side, "width": side},
    }
    write_json(out / "preprocessor_config.json", transform)


def write_metrics(model: CLIPModel, losses: np.ndarray, metrics: Path, curve: Path) -> None:
    """The last losses and the sizes as JSON, the curve of the losses as CSV."""
    means = losses[: len(losses) // REPORT * REPORT].reshape(-1, REPORT, len(PARTS)).mean(axis=1)
    table = pd.DataFrame(means.round(5), columns=PARTS)
    table.insert(0, "step", (np.arange(len(table)) + 1) * REPORT)
    curve.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(curve, index=False)
    write_json(
        metrics,
        {
            "parameters": sum(p.numel() for p in model.parameters()),
            "steps": len(losses),
            "logit_scale": round(float(model.logit_scale.float().exp()), 4),
            "loss": {
                name: round(float(value), 5)
                for name, value in zip(PARTS, losses[-REPORT:].mean(axis=0), strict=True)
            },
        },
    )


def _as_float32(config: dict) -> dict:
    """The configuration with every `dtype` replaced: a half-precision model would refuse float32
    images.
    """
    return {
        k: "float32" if k == "dtype" else _as_float32(v) if isinstance(v, dict) else v
        for k, v in config.items()
    }


def write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
