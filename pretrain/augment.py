"""Strong augmentation of face crops: crop, colour, blur, noise, occlusion, JPEG."""

from __future__ import annotations

import io

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

_SCALES = (
    1 / 32,
    1 / 16,
    1 / 8,
    1 / 4,
    1 / 2,
    1,
)  # of the noise: side of a grain, shares of the picture's resolution
_BLURS = 4  # the batch is blurred in so many groups of one width each


def augment(
    faces: torch.Tensor, side: int, rim: float, strength: dict, rng: np.random.Generator
) -> torch.Tensor:
    """Random views of face crops.

    Parameters
    ----------
    faces : uint8 (n, 3, h, h), crops with their rim.
    side : of the views, px.
    rim : share by which `faces` are larger than the pipeline's crop.
    strength : params `train.augment`.
    rng : where all randomness comes from.

    Returns
    -------
    float32 (n, 3, side, side), 0 to 1.
    """
    n = len(faces)
    views = _crop(faces.float() / 255, side, rim, strength, rng)
    views = _colour(views, strength["colour"], rng)
    views = _occlude(views, strength["occlusion"], rng)
    views = _blur(views, strength["blur"], rng)
    views = views + _pink_noise(n, side, strength["noise"], rng)
    return _jpeg(views.clamp_(0, 1), strength["jpeg"], rng)


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def _crop(
    images: torch.Tensor, side: int, rim: float, strength: dict, rng: np.random.Generator
) -> torch.Tensor:
    """Shift, zoom, turn, stretch and mirror."""
    n = len(images)
    zoom = (
        np.exp(rng.normal(0, strength["zoom"], (n, 1)))
        * np.exp(rng.normal(0, strength["zoom"] / 3, (n, 2)))
        / (1 + rim)
    )
    angle = np.radians(rng.normal(0, strength["turn"], n))
    mirror = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    shift = rng.normal(0, strength["shift"], (n, 2))
    theta = np.stack(
        [
            np.stack([zoom[:, 0] * cos * mirror, -zoom[:, 1] * sin, shift[:, 0]], 1),
            np.stack([zoom[:, 0] * sin * mirror, zoom[:, 1] * cos, shift[:, 1]], 1),
        ],
        1,
    )
    grid = F.affine_grid(_tensor(theta), [n, 3, side, side], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _colour(images: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    """Brightness, contrast, saturation, tint and gamma; sometimes grey."""
    n = len(images)
    saturation = np.clip(rng.normal(1, strength, n), 0, 2)
    saturation[rng.random(n) < 0.1] = 0
    grey = np.full((3, 3), 1 / 3)
    mix = saturation[:, None, None] * np.eye(3) + (1 - saturation)[:, None, None] * grey
    gain = np.exp(rng.normal(0, 0.6 * strength, (n, 1)) + rng.normal(0, 0.25 * strength, (n, 3)))
    contrast = np.exp(rng.normal(0, 0.7 * strength, (n, 1, 1)))
    matrix = mix * gain[:, :, None] * contrast
    flat = images.flatten(2)
    mean = flat.mean(dim=(1, 2), keepdim=True)
    offset = mean * _tensor(gain.mean(1) * (1 - contrast[:, 0, 0]))[:, None, None]
    return torch.baddbmm(offset.expand(-1, 3, 1), _tensor(matrix), flat).reshape(images.shape)


def _occlude(images: torch.Tensor, share: float, rng: np.random.Generator) -> torch.Tensor:
    """Cover a rectangle, at most a sixth of the picture, with a flat colour or a piece of another
    picture.
    """
    n, _, side, _ = images.shape
    for i in np.flatnonzero(rng.random(n) < share):
        height, width = (rng.uniform(0.1, 0.4, 2) * side).astype(int)
        top, left = int(rng.integers(side - height)), int(rng.integers(side - width))
        patch = images[i, :, top : top + height, left : left + width]
        if rng.random() < 0.5:
            patch[:] = _tensor(rng.random((3, 1, 1)))
        else:
            y, x = int(rng.integers(side - height)), int(rng.integers(side - width))
            patch[:] = images[int(rng.integers(n)), :, y : y + height, x : x + width].clone()
    return images


def _blur(images: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    """Gaussian blur of random width on half of the pictures."""
    order = rng.permutation(len(images))[: len(images) // 2]
    for group in np.array_split(order, _BLURS):
        sigma = float(rng.uniform(0.3, strength))
        radius = max(1, int(np.ceil(2 * sigma)))
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        kernel = _tensor(kernel / kernel.sum())
        chosen = images[group].flatten(0, 1)[:, None]
        chosen = F.conv2d(
            F.pad(chosen, (radius, radius, 0, 0), mode="replicate"), kernel[None, None, None]
        )
        chosen = F.conv2d(
            F.pad(chosen, (0, 0, radius, radius), mode="replicate"), kernel[None, None, :, None]
        )
        images[group] = chosen[:, 0].unflatten(0, (len(group), 3))
    return images


def _pink_noise(n: int, side: int, strength: float, rng: np.random.Generator) -> torch.Tensor:
    """Noise at several scales, mixed for each picture anew; the coarse scales are coloured."""
    seed = torch.Generator().manual_seed(int(rng.integers(2**62)))
    amplitudes = strength * rng.gamma(0.5, 1.0, (len(_SCALES), n, 1, 1, 1))
    noise = torch.zeros(n, 3, 1, 1)
    for share, amplitude in zip(_SCALES, amplitudes, strict=True):
        cells = round(side * share)
        grain = torch.randn(n, 1, cells, cells, generator=seed)
        if share < 0.5:
            grain = grain + 0.5 * torch.randn(n, 3, cells, cells, generator=seed)
        noise = F.interpolate(
            noise, (cells, cells), mode="bilinear", align_corners=False
        ) + grain * _tensor(amplitude)
    return noise


def _jpeg(images: torch.Tensor, share: float, rng: np.random.Generator) -> torch.Tensor:
    """Compress some pictures, quality 10 to 70."""
    for i in np.flatnonzero(rng.random(len(images)) < share):
        pixels = (images[i].permute(1, 2, 0) * 255).to(torch.uint8).numpy()
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=int(rng.integers(10, 71)))
        images[i] = torch.from_numpy(np.array(Image.open(out))).permute(2, 0, 1) / 255
    return images
