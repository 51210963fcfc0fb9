"""Landmarks and images made for tests of composites: no models, no photos."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from facestats.composites.contours import FACE_OVAL, LEFT_CORNERS, RIGHT_CORNERS
from facestats.composites.shapes import mirrored

SIZE = 96
NOSE = 4
MIDDLE = 0.5


def shape(dx=0.0, dy=0.0, turn=0.0, scale=1.0, seed=0):
    """468 landmarks (468, 3) around the middle, mirror images of each other, the eyes level and 0.2
    apart, the outline an ellipse; then bent a little (seeds other than 0), turned, scaled and
    moved.
    """
    random = np.random.default_rng(0)
    radius, angle = 0.17 * np.sqrt(random.random(468)), random.uniform(0, 2 * np.pi, 468)
    points = np.column_stack([radius * np.cos(angle), 1.3 * radius * np.sin(angle)])
    angles = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    points[FACE_OVAL] = np.column_stack([0.2 * np.sin(angles), -0.26 * np.cos(angles)])
    for corners, x in ((RIGHT_CORNERS, -0.1), (LEFT_CORNERS, 0.1)):
        points[list(corners)] = [[x - 0.03, -0.08], [x + 0.03, -0.08]]
    points[NOSE] = 0, 0.05
    points = (points + mirrored(points + MIDDLE) - MIDDLE) / 2
    if seed:
        bend = np.random.default_rng(seed).uniform(-0.6, 0.6, (3, 2))
        points = (
            points
            + np.column_stack([points[:, 0] ** 2, points.prod(axis=1), points[:, 1] ** 2]) @ bend
        )
    turned = (
        points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * scale
    )
    return np.column_stack([turned + [MIDDLE + dx, MIDDLE + dy], np.zeros(468)]).astype(np.float32)


def dots(*points, size=SIZE, sigma=2.5):
    """Bright spots on black, at points given as shares of the side."""
    y, x = np.mgrid[:size, :size] + 0.5
    image = sum(
        np.exp(-((x - px * size) ** 2 + (y - py * size) ** 2) / (2 * sigma**2)) for px, py in points
    )
    return np.repeat((255 * image.clip(0, 1)).astype(np.uint8)[:, :, None], 3, axis=2)


def own_places(size=SIZE):
    """An image whose every pixel holds its own place (x, y, and 0), as shares of the side."""
    ramp = (np.arange(size, dtype=np.float32) + 0.5) / size
    return np.dstack([*np.meshgrid(ramp, ramp), np.zeros((size, size), np.float32)])


def noise(seed, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def smooth(seed, size=SIZE):
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC))


def write_faces(folder: Path, *faces) -> pd.DataFrame:
    """Faces (image, landmarks[, yaw]) as files without loss, and their table as `average_faces`
    takes it.
    """
    rows = []
    for i, (image, landmarks, *yaw) in enumerate(faces):
        path = folder / f"{i:03}.jpg"
        Image.fromarray(image).save(path, "PNG")  # Pillow goes by the content
        rows.append((path.name, path, landmarks, yaw[0] if yaw else 0.0))
    return pd.DataFrame(
        {
            "filename": [r[0] for r in rows],
            "path": [r[1] for r in rows],
            "landmarks": pd.Series([r[2] for r in rows], dtype=object),
            "yaw": [r[3] for r in rows],
        }
    )
