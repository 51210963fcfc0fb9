"""A folder of faces becomes a table of embeddings."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from PIL import Image
from tqdm import tqdm

from facestats.clip.encoder import ImageEncoder, read_face
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.core.crops import Crops
from facestats.core.fingerprint import code_sha256, sha256_json, versions
from facestats.core.tables.blocks import BLOCK
from facestats.core.tables.parquet import opened, vectors_of
from facestats.errors import FaultError, InputError, TableError
from facestats.machine.faults import patiently, starting_threads
from facestats.machine.kind import kind_of_machine
from facestats.rows.checks import check_face_rows
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.fill import FilledRows, fill
from facestats.rows.store import RowStore, open_rows

STAGE = "embed"
# The files that compute a row's bits: no other change makes rows stale. tests/test_layout.py
# compares them with the imports.
ROW_CODE = ("checkpoints/transform.py", "clip/encoder.py", "clip/tower.py")


def list_faces(crops: Crops) -> list[str]:
    """Names of the face crops, POSIX style, sorted.

    Raises
    ------
    InputError
        The folder is missing or holds no face.
    """
    names = crops.names()
    if not names:
        raise InputError(
            f"{crops.folder} holds no faces: `preprocess` accepted no image; its table "
            "faces.parquet says why"
        )
    return names


def row_fingerprint(encoder: ImageEncoder) -> dict:
    """Everything but the face's bytes that an embedding's bits depend on."""
    return {
        "model": encoder.files_sha256,
        "precision": encoder.precision,
        "batch_size": encoder.batch_size,
        "transform": dataclasses.asdict(encoder.transform),
        "device": encoder.device.type,
        "tower": type(encoder.tower).__name__,
        "code": code_sha256(ROW_CODE),
        "versions": versions("torch", "transformers", "pillow", "numpy"),
    }


def recipe_hash(encoder: ImageEncoder) -> str:
    """sha256 (hex) over `row_fingerprint`: which rows of the store may be reused."""
    return sha256_json(row_fingerprint(encoder))


def row_columns(dimension: int) -> dict[str, pa.DataType]:
    """Columns of a stored row."""
    columns = embeddings_schema(dimension).columns
    return {name: columns[name] for name in ("key", "embedding")}


def table_metadata(encoder: ImageEncoder) -> dict[str, str]:
    """Metadata of `embeddings_clip.parquet`: the model that the embeddings were computed with."""
    return {
        "variant": encoder.facts["variant"],
        "revision": encoder.facts["revision"],
        "weights_sha256": encoder.facts["sha256"],
        "precision": encoder.precision,
        "dimension": str(encoder.dimension),
    }


def open_face_rows(
    encoder: ImageEncoder,
    cache: DvcCache | None,
    warn: Callable[[str], None],
    together: bool = False,
) -> RowStore:
    """The project's store with the rows of `embed`; see `RowStore`."""
    device, columns = encoder.device.type, row_columns(encoder.dimension)
    if device == "cuda":
        device += f" {torch.cuda.get_device_name(encoder.device)}"
    recipe, where = recipe_hash(encoder), kind_of_machine(device)
    return open_rows(STAGE, recipe, columns, cache, warn, check_face_rows, where, together=together)


def committed_rows(cache: DvcCache | None, table: Path, dimension: int) -> pa.Table | None:
    """Rows of the last committed run, whose table is in DVC's cache; None if there are none."""
    before = cache.committed_table(table) if cache else []
    return earlier_rows(before, dimension) if before else None


def earlier_rows(files: Sequence[Path], dimension: int) -> pa.Table | None:
    """Rows of an earlier `embeddings_clip.parquet` in DVC's cache; None for another dimension.

    Parameters
    ----------
    files : sequence of Path
        The file, or its parts.
    dimension : int
        Of an embedding.
    """
    columns, read = row_columns(dimension), []
    try:
        for path in files:
            with opened(path) as file:
                read.append(file.read(columns=list(columns)).select(list(columns)))
        rows = pa.concat_tables(read)
    except (TableError, KeyError, pa.ArrowInvalid):
        return None
    return rows if rows.schema.types == list(columns.values()) else None


def embed_faces(
    folder: Path,
    encoder: ImageEncoder,
    rows: RowStore | None = None,
    earlier: Callable[[], pa.Table | None] = lambda: None,
) -> pd.DataFrame:
    """Embed every face below `folder`.

    Parameters
    ----------
    folder : Path
        Folder of the face crops.
    encoder : ImageEncoder
        The encoder.
    rows : RowStore or None, optional
        An open row store, whose rows are not computed again; None computes all.
    earlier : callable, optional
        Gives the rows of the last committed run, see `earlier_rows`.

    Returns
    -------
    pd.DataFrame
        `filename`, `embedding` (float32, unit norm) and `key`, sorted by `filename`. `.attrs`
        counts the rows taken from the store (`reused`), those of them that are not known to be of
        this kind of machine (`elsewhere`), and the others (`computed`).

    Raises
    ------
    InputError
        There are no faces, or an embedding is not finite.
    """
    rows = rows or RowStore(None, STAGE, recipe_hash(encoder), row_columns(encoder.dimension))
    keys = _keys(folder, encoder)
    filled = _fill(folder, encoder, rows, keys, earlier)
    frame = pd.DataFrame(
        {
            "filename": list(keys),
            "embedding": list(vectors_of(filled.take()["embedding"])),
            "key": list(keys.values()),
        }
    )
    frame.attrs |= filled.counts()
    return frame


def write_embeddings(
    path: Path,
    folder: Path,
    encoder: ImageEncoder,
    rows: RowStore,
    earlier: Callable[[], pa.Table | None] = lambda: None,
) -> dict[str, int]:
    """Embed every face below `folder` and write the table, of which a block is copied at a time.

    Other parameters and errors are those of `embed_faces`.

    Returns
    -------
    dict of str to int
        The number of rows by where they are from, as in the `.attrs` of `embed_faces`.
    """
    keys = _keys(folder, encoder)
    filled = _fill(folder, encoder, rows, keys, earlier)
    rows.save()  # where that fails, the table stays as it is
    named = iter(keys.items())
    with tables.writing(
        path, embeddings_schema(encoder.dimension), table_metadata(encoder)
    ) as writer:
        for start in range(0, len(keys), BLOCK):
            frame = pd.DataFrame(islice(named, BLOCK), columns=["filename", "key"])
            taken = filled.take(start, start + BLOCK)
            writer.write(frame, {"embedding": vectors_of(taken["embedding"])})
    return filled.counts()


def fill_faces(
    folder: Path,
    encoder: ImageEncoder,
    rows: RowStore,
    is_wanted: Callable[[str], bool],
    earlier: Callable[[], pa.Table | None] = lambda: None,
) -> FilledRows:
    """Compute and store the rows of the faces below `folder` whose keys are wanted.

    Parameters and errors are those of `embed_faces`.
    """
    keys = {name: key for name, key in _keys(folder, encoder).items() if is_wanted(key)}
    return _fill(folder, encoder, rows, keys, earlier)


def _keys(folder: Path, encoder: ImageEncoder) -> dict[str, str]:
    """The key of each face's row, by the face's name, sorted."""
    crops = Crops.of(folder)
    names, fingerprint = list_faces(crops), row_fingerprint(encoder)

    def key_of(name: str) -> str:
        return _row_key(fingerprint, patiently(crops.read, name))

    with starting_threads(), ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(key_of, names), strict=True))


def _row_key(fingerprint: dict, data: bytes) -> str:
    """The key of a face's row by the face's bytes."""
    return sha256_json({**fingerprint, "face": hashlib.sha256(data).hexdigest()})


@dataclasses.dataclass(frozen=True)
class _Face:
    """A face whose bytes have been read."""

    data: bytes

    def read_bytes(self) -> bytes:
        return self.data


def _fill(
    folder: Path,
    encoder: ImageEncoder,
    rows: RowStore,
    keys: dict[str, str],
    earlier: Callable[[], pa.Table | None],
) -> FilledRows:
    try:
        return fill(rows, keys, lambda missing: _compute(missing, folder, encoder), earlier)
    except OSError as error:
        if error.errno is not None:  # the system's; Pillow's has none
            raise
        raise InputError(
            f"a face in {folder} can't be read as an image; `dvc repro -f preprocess` cuts the "
            "faces anew"
        ) from None


def _compute(
    missing: dict[str, list[str]], folder: Path, encoder: ImageEncoder
) -> Iterator[dict[str, Any]]:
    """The row of each key; faces of equal bytes are computed once."""
    if not missing:
        return
    items = [(key, same[0]) for key, same in missing.items()]
    crops, fingerprint = Crops.of(folder), row_fingerprint(encoder)

    def read(item: tuple[str, str]) -> Image.Image:
        key, name = item
        data = patiently(crops.read, name)
        if _row_key(fingerprint, data) != key:  # `rows fill` keeps nobody from `dvc checkout`
            raise FaultError(f"{folder / name} was changed while faces were embedded; run again")
        face: Any = _Face(data)
        return read_face(face)

    embeddings = encoder.stream(items, read)
    progress = tqdm(embeddings, STAGE, len(items), unit="face", disable=None)
    for (key, name), embedding in zip(items, progress, strict=True):
        if not np.isfinite(embedding).all():
            raise InputError(
                f"{name}: its embedding is not finite; float16 can overflow, "
                "try clip.precision=float32"
            )
        yield {"key": key, "embedding": embedding}
