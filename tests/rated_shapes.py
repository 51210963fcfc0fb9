"""Made-up faces whose ratings hang on one way in which their shapes differ, and on the tone of
their skin.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from facestats.core.landmarks import LEFT, MIDLINE, N_LANDMARKS, RIGHT

SIZE = 96  # px of a crop


def symmetric_points(seed: int) -> np.ndarray:
    """Points (468, 3) that are their own mirror image about x = 0: x and y in an oval from -0.3 to
    0.3, and z.
    """
    rng = np.random.default_rng(seed)
    angle, away = (
        rng.uniform(np.pi / 2, 1.5 * np.pi, len(RIGHT)),
        0.3 * np.sqrt(rng.uniform(size=len(RIGHT))),
    )
    points = np.zeros((N_LANDMARKS, 3))
    points[RIGHT] = np.column_stack(
        [away * np.cos(angle), away * np.sin(angle), rng.uniform(-0.1, 0.1, len(RIGHT))]
    )
    points[LEFT] = points[RIGHT] * (-1, 1, 1)
    points[MIDLINE, 1], points[MIDLINE, 2] = (
        np.linspace(-0.3, 0.3, len(MIDLINE)),
        rng.uniform(-0.1, 0.1, len(MIDLINE)),
    )
    return points


def turned(points: np.ndarray, degrees: float, axis: str = "z") -> np.ndarray:
    """Points (…, 3) turned about an axis."""
    a, (i, j) = np.radians(degrees), {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    rotated = np.array(points, dtype=np.float64)
    rotated[..., i] = np.cos(a) * points[..., i] - np.sin(a) * points[..., j]
    rotated[..., j] = np.sin(a) * points[..., i] + np.cos(a) * points[..., j]
    return rotated


def made_up(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks float32 (n, 468, 3) of turned, scaled and shifted faces, tones (n,) and ratings
    (n,).

    Half of the ratings' variance comes from the shape, half from the tone.
    """
    rng = np.random.default_rng(seed)
    along, tone = rng.normal(size=(2, n))
    shapes = symmetric_points(0) + 0.02 * along[:, None, None] * symmetric_points(1) / 0.3
    shapes += 0.02 * rng.normal(size=n)[:, None, None] * symmetric_points(2) / 0.3 + rng.normal(
        0, 0.001, shapes.shape
    )
    for row in range(n):
        shapes[row] = turned(shapes[row], rng.normal(0, 8), "z") * rng.uniform(0.9, 1.1)
    shapes[:, :, :2] += 0.5 + rng.normal(0, 0.02, (n, 1, 2))
    return shapes.astype(np.float32), tone, 50 + 7 * along + 7 * tone


def draw(tone: float, seed: int) -> np.ndarray:
    """A crop uint8 (SIZE, SIZE, 3) whose red says the tone; the rest is noise."""
    pixels = np.random.default_rng(seed).normal(128, 12, (SIZE, SIZE, 3))
    pixels[..., 0] += 12 * tone
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def write_crops(folder: Path, names: list[str], tones: np.ndarray) -> list[Path]:
    """The crops as JPEG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, (name, tone) in enumerate(zip(names, tones, strict=True)):
        Image.fromarray(draw(tone, i)).save(folder / name, quality=95, subsampling=0)
    return [folder / name for name in names]
