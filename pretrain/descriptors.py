"""What an embedding must keep beyond captions: a thumbnail and oriented gradients.

Both are averaged with those of the mirrored picture: a face is much the same face in a mirror.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F


def thumbnail(images: torch.Tensor, side: int) -> torch.Tensor:
    """Mirror-symmetric thumbnails, float32 (n, 3 · side² / 2), of images (n, 3, h, h), 0 to 1."""
    small = F.interpolate(images, (side, side), mode="area")
    return _symmetric(small)


def oriented_gradients(images: torch.Tensor, cell: int, bins: int) -> torch.Tensor:
    """Mirror-symmetric histograms of oriented gradients, square roots of energies.

    After Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005, with
    smooth bins; as a target for learning after Wei et al., "Masked feature prediction for
    self-supervised visual pre-training", CVPR 2022.

    Parameters
    ----------
    images : (n, 3, h, h), 0 to 1.
    cell : side of a cell, px.
    bins : orientations in half a turn; even.

    Returns
    -------
    float32 (n, bins · (h / cell)² / 2)
    """
    grey = F.pad(images.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    dx = (grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2])[:, 0]
    dy = (grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1])[:, 0]
    magnitude = (dx.square() + dy.square() + 1e-12).sqrt()
    # A gradient's share in a bin falls off as a power of the cosine of the angle between them;
    # opposite directions count the same.
    turns = [math.pi * k / bins for k in range(bins)]
    along = torch.stack([(dx * math.cos(t) + dy * math.sin(t)) / magnitude for t in turns], dim=1)
    planes = magnitude[:, None] * along.square().pow(bins // 2)
    cells = F.avg_pool2d(planes, cell).sqrt()
    # A mirror turns the orientation t into π - t: bin k into bin -k.
    mirrored = cells.flip(3)[:, [(-k) % bins for k in range(bins)]]
    return ((cells + mirrored) / 2)[..., : cells.shape[3] // 2].flatten(1)


def _symmetric(maps: torch.Tensor) -> torch.Tensor:
    return ((maps + maps.flip(3)) / 2)[..., : maps.shape[3] // 2].flatten(1)


def face_window(cells: int, bins: int, width: float) -> torch.Tensor:
    """How much each number of `oriented_gradients` counts: a Gaussian around the middle of the
    face, mean 1.

    Parameters
    ----------
    cells : along a side of the picture.
    width : standard deviation, share of the picture's side. The middle lies on the nose, a little
        below the picture's.
    """
    place = (torch.arange(cells) + 0.5) / cells
    y, x = torch.meshgrid(place - 0.55, place[: cells // 2] - 0.5, indexing="ij")
    window = torch.exp(-(x.square() + y.square()) / width**2)
    return (window / window.mean()).expand(bins, -1, -1).flatten()
