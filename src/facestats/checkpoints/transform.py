"""The image transform of a CLIP variant, read from its `preprocessor_config.json`.

It repeats what transformers' `CLIPImageProcessor` does with Pillow, step by step and without its
overhead: resize, centre crop, rescale, normalise.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from facestats.errors import ModelError

# The image transform that OpenAI's CLIP was trained with (https://github.com/openai/CLIP, clip.py:
# `_transform`), and what a variant means by a key that it leaves out.
CLIP_TRANSFORM = {
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "resample": int(Image.Resampling.BICUBIC),
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "do_convert_rgb": True,
    "image_processor_type": "CLIPImageProcessor",
}


@dataclass(frozen=True)
class ImageTransform:
    """Image to model input.

    Parameters
    ----------
    resize : int or tuple[int, int] or None
        (height, width) px, or the length of the shorter edge; None: no resize.
    crop : tuple[int, int] or None
        (height, width) px of the centre crop; None: no crop.
    resample : int
        Pillow's number of the resampling filter.
    scale, mean, std : float
        Input = (pixel · scale − mean) / std, per channel.
    """

    resize: int | tuple[int, int] | None
    crop: tuple[int, int] | None
    resample: int
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def load(cls, model_dir: Path) -> ImageTransform:
        """Read the transform of the model in `model_dir`.

        Raises
        ------
        ModelError
            The file is missing or has no size that is known.
        """
        path = model_dir / "preprocessor_config.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{path} can't be read ({error}); `dvc repro fetch_clip` makes it"
            ) from None
        config = CLIP_TRANSFORM | {
            key: value for key, value in content.items() if value is not None
        }
        normalise = config["do_normalize"]
        return cls(
            resize=_size(config["size"], path) if config["do_resize"] else None,
            crop=_pair(config["crop_size"], path) if config["do_center_crop"] else None,
            resample=config["resample"],
            scale=config["rescale_factor"] if config["do_rescale"] else 1.0,
            mean=tuple(config["image_mean"]) if normalise else (0.0, 0.0, 0.0),
            std=tuple(config["image_std"]) if normalise else (1.0, 1.0, 1.0),
        )

    def __call__(self, image: Image.Image) -> np.ndarray:
        """float32 array (3, height, width) of an RGB image."""
        factor, offset = self.affine()
        return np.ascontiguousarray((self.pixels(image) * factor - offset).transpose(2, 0, 1))

    def pixels(self, image: Image.Image) -> np.ndarray:
        """uint8 array (height, width, 3) of an RGB image: resized and cropped.

        Not yet rescaled and normalised.
        """
        if self.resize is not None:
            image = image.resize(_target(self.resize, image.size), self.resample)
        pixels = np.asarray(image)
        return pixels if self.crop is None else _centre_crop(pixels, *self.crop)

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """`factor` and `offset`, float32 (3,): input = pixel · factor − offset."""
        std = np.asarray(self.std, np.float32)
        return np.float32(self.scale) / std, np.asarray(self.mean, np.float32) / std


def _target(edge: int | tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) to resize to.

    The longer edge is cut, not rounded, as transformers does.
    """
    if isinstance(edge, tuple):
        return edge[1], edge[0]
    width, height = size
    if width <= height:
        return edge, int(edge * height / width)
    return int(edge * width / height), edge


def _size(size: int | dict, path: Path) -> int | tuple[int, int]:
    if isinstance(size, int):
        return size
    return size["shortest_edge"] if "shortest_edge" in size else _pair(size, path)


def _pair(size: int | dict, path: Path) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    try:
        return size["height"], size["width"]
    except KeyError:
        raise ModelError(
            f"{path}: a size is {size}; expected height and width, or shortest_edge"
        ) from None


def _centre_crop(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Centre crop, with black where the image is smaller than the crop."""
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    if top < 0 or left < 0:
        pad = [
            (max(0, -(-(n - m) // 2)), max(0, (n - m) // 2))
            for m, n in ((pixels.shape[0], height), (pixels.shape[1], width))
        ]
        pixels = np.pad(pixels, [*pad, (0, 0)])
        top, left = max(top, 0), max(left, 0)
    return pixels[top : top + height, left : left + width]
