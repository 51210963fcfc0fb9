"""A folder of faces becomes a table of embeddings."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from facestats.clip.encoder import ImageEncoder
from facestats.errors import InputError
from facestats.fingerprint import sha256_file, sha256_json, versions

ROW_CODE = ("embed.py", "encoder.py", "transform.py")  # what computes a row, as in dvc.yaml; the text side is none of it


def list_faces(folder: Path) -> list[str]:
    """Names of the face crops below `folder`, POSIX style, sorted.

    Raises
    ------
    InputError
        The folder is missing or holds no face.
    """
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.jpg") if p.is_file())
    if not names:
        raise InputError(f"{folder} holds no faces: `preprocess` accepted no image; its table faces.parquet says why")
    return names


def row_fingerprint(encoder: ImageEncoder) -> dict:
    """Everything but the face's bytes that an embedding's bits depend on."""
    return {
        "weights": encoder.facts["sha256"], "precision": encoder.precision, "batch_size": encoder.batch_size,
        "transform": dataclasses.asdict(encoder.transform), "device": encoder.device.type,
        "code": {name: sha256_file(Path(__file__).with_name(name)) for name in ROW_CODE},
        "versions": versions("torch", "transformers", "pillow", "numpy"),
    }


def embed_faces(folder: Path, encoder: ImageEncoder) -> pd.DataFrame:
    """Embed every face below `folder`.

    Returns
    -------
    DataFrame with the columns `filename`, `embedding` (float32, unit norm) and `key`, sorted by `filename`.

    Raises
    ------
    InputError
        No faces, or an embedding that is not finite.
    """
    names = list_faces(folder)
    fingerprint = row_fingerprint(encoder)
    keys: dict[str, str] = {}

    def load(name: str) -> Image.Image:
        data = (folder / name).read_bytes()
        keys[name] = sha256_json({**fingerprint, "face": hashlib.sha256(data).hexdigest()})
        return Image.open(io.BytesIO(data)).convert("RGB")

    rows = list(_finite(names, tqdm(encoder.stream(names, load), "embed", len(names), unit="face", disable=None)))
    return pd.DataFrame({"filename": names, "embedding": rows, "key": [keys[n] for n in names]})


def _finite(names: list[str], rows) -> Iterator[np.ndarray]:
    for name, row in zip(names, rows, strict=True):
        if not np.isfinite(row).all():
            raise InputError(f"{name}: its embedding is not finite; float16 can overflow, try clip.precision=float32")
        yield row
