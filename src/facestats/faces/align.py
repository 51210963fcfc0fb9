"""Where the crop of a face lies in its photo, and cutting it out."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

# Corners of the eyes in the mesh: the person's right eye (left in the image), then the left one.
EYE_CORNERS = ((33, 133), (362, 263))
_FACE = 2.5  # a face's size in eye distances
_DROP = 0.25  # the crop's centre below the middle of the eyes, in eye distances
_SUPPORT = 3  # px around a crop that bicubic sampling may touch
_NEARLY = 0.8  # down to this scale bicubic sampling alone shows no jagged edges


@dataclass(frozen=True)
class CropTransform:
    """A square in a photo: centre (x, y) px, side px, and clockwise turn, radians."""

    x: float
    y: float
    side: float
    angle: float

    def scaled(self, factor: float) -> "CropTransform":
        """The same square in the photo enlarged by `factor`."""
        return CropTransform(self.x * factor, self.y * factor, self.side * factor, self.angle)


def eye_centers(points: np.ndarray) -> np.ndarray:
    """Middle of each eye's corners: (2, d), the image's left one first, of landmarks (468, d)."""
    return np.stack([points[list(pair)].mean(axis=0) for pair in EYE_CORNERS])


def crop_transform(
    landmarks: np.ndarray, width: int, height: int, margin: float, align: str
) -> CropTransform:
    """The square that becomes the face's crop.

    With the eye distance d, the face is taken as 2.5 d large and the side is 2.5 d · (1 + 2 · margin). The
    eye centres come to x = 0.5 ± d / (2 side), y = 0.5 - 0.25 d / side of it.

    Parameters
    ----------
    landmarks : (468, ≥2), fractions of the photo
    width, height : px of the photo
    margin : on each side, share of the face's size
    align : 'eyes' turns the square so that the eyes are level; 'none' keeps it upright on the same centre
    """
    left, right = eye_centers(landmarks[:, :2].astype(np.float64) * (width, height))
    dx, dy = right - left
    distance = math.hypot(dx, dy)
    angle = math.atan2(dy, dx)
    x, y = (left + right) / 2 + _DROP * distance * np.array([-math.sin(angle), math.cos(angle)])
    side = max(distance * _FACE * (1 + 2 * margin), 1.0)
    return CropTransform(float(x), float(y), side, angle if align == "eyes" else 0.0)


def center_square(width: int, height: int) -> CropTransform:
    """The largest upright square in the middle of a photo."""
    return CropTransform(width / 2, height / 2, float(min(width, height)), 0.0)


def to_crop_frame(landmarks: np.ndarray, width: int, height: int, crop: CropTransform) -> np.ndarray:
    """Landmarks (468, 3), fractions of the photo -> of the crop, float32; z in the scale of x."""
    x = landmarks[:, 0].astype(np.float64) * width - crop.x
    y = landmarks[:, 1].astype(np.float64) * height - crop.y
    cos, sin = math.cos(crop.angle), math.sin(crop.angle)
    turned = np.stack([x * cos + y * sin, y * cos - x * sin], axis=1) / crop.side + 0.5
    return np.column_stack([turned, landmarks[:, 2] * (width / crop.side)]).astype(np.float32)


def align_face(rgb: np.ndarray, crop: CropTransform, size: int) -> np.ndarray:
    """Cut a square out of a photo and scale it.

    Two steps: the region is shrunk with antialiasing to about 1:1, then turned and placed by bicubic
    sampling. Sampling alone would leave jagged edges of every photo with larger faces. Outside of the photo
    its edge is repeated: black bars would shift the embedding.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
    crop : the square, px of `rgb`
    size : side of the result, px

    Returns
    -------
    (size, size, 3) uint8
    """
    height, width = rgb.shape[:2]
    cos, sin = math.cos(crop.angle), math.sin(crop.angle)
    shrink = min(1.0, size / crop.side)
    reach = crop.side / 2 * (abs(cos) + abs(sin)) + _SUPPORT / shrink
    x0, x1 = _inside(crop.x - reach, crop.x + reach, width)
    y0, y1 = _inside(crop.y - reach, crop.y + reach, height)
    region = Image.fromarray(rgb[y0:y1, x0:x1])
    if shrink < _NEARLY:
        small = (max(1, round((x1 - x0) * shrink)), max(1, round((y1 - y0) * shrink)))
        # reducing_gap: a cheap box average while more than twice too large. Hamming takes 5 ms from 1,024 to
        # 512 px, Lanczos 13; against a 4 × supersampled crop they reach 48 and 50 dB.
        region = region.resize(small, Image.Resampling.HAMMING, reducing_gap=2.0)
    zoom_x, zoom_y = region.width / (x1 - x0), region.height / (y1 - y0)

    # From here on coordinates are those of the shrunk region, its edge repeated as far as the square reaches.
    x, y = (crop.x - x0) * zoom_x, (crop.y - y0) * zoom_y
    left, right = _missing(x, reach * zoom_x, region.width)
    top, bottom = _missing(y, reach * zoom_y, region.height)
    if left or right or top or bottom:
        region = Image.fromarray(
            np.pad(np.asarray(region), ((top, bottom), (left, right), (0, 0)), mode="edge")
        )
    step = crop.side / size
    a, b = cos * step * zoom_x, -sin * step * zoom_x
    d, e = sin * step * zoom_y, cos * step * zoom_y
    c = x + left - (a + b) * size / 2
    f = y + top - (d + e) * size / 2
    out = region.transform((size, size), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BICUBIC)
    return np.asarray(out)


def _inside(low: float, high: float, length: int) -> tuple[int, int]:
    """Whole pixels of an interval that lie within 0 … length, at least one."""
    start = min(max(math.floor(low), 0), length - 1)
    return start, max(min(math.ceil(high), length), start + 1)


def _missing(center: float, reach: float, length: int) -> tuple[int, int]:
    """How many px an interval sticks out of 0 … length, before and after."""
    return max(0, math.ceil(reach - center)), max(0, math.ceil(center + reach - length))
