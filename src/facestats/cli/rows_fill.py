"""`rows fill`: compute missing rows of photos and faces, also on many machines at once."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import psutil

from facestats.core.layout import CLIP, CROPS, EMBEDDINGS, FACES_TABLE, LANDMARKER
from facestats.core.photo_files import printable, refuse_links_out
from facestats.errors import FaultError, InputError
from facestats.faces import preprocess
from facestats.faces.crop import PreprocessConfig
from facestats.faces.filling import FilledPhotos, fill_photos
from facestats.machine.output import print_line
from facestats.params.project import load_params
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import RowFiles
from facestats.rows.fill import FilledRows, row_summary
from facestats.rows.interface import host_hash
from facestats.rows.shard import Shard
from facestats.rows.store import RowStore

Filled = TypeVar("Filled")
NOT_KEPT = (
    "the row store can't be written, so rows that are computed here would be lost; mend its "
    "permissions, or name another folder with FACESTATS_ROWS"
)
_SCRATCH = "facestats-fill-"

if TYPE_CHECKING:
    from facestats.params.project import Params


def fill_rows(root: Path, cache: DvcCache | None, stage: str | None, shard: Shard) -> Iterator[str]:
    """Compute the rows of a shard that nobody has; without a stage, of photos and their faces.

    The faces of a photo then are of its own shard, whatever their keys.

    Yields
    ------
    str
        The line that ends each stage.

    Raises
    ------
    InputError
        There are no photos or faces, or the store can't be written.
    ModelError
        The files of a model are missing or broken.
    """
    params = load_params(root / "params.yaml")
    if stage == "embed":
        yield _fill_faces(root, params, cache, root / CROPS, shard, shard.has)
        return
    began = time.monotonic()
    photos, files = _fill_photos(root, params, cache, shard)
    yield _line(preprocess.STAGE, shard, photos.rows, began, rejected=photos.rejected)
    if stage is None:
        with _scratch(root / ".dvc" / "tmp" if cache else None) as folder:
            placed = [files.place(crop, folder / f"{crop}.jpg") for crop in photos.crops]
            if any(placed):
                yield _fill_faces(root, params, cache, folder, shard, lambda _: True)
        if not all(placed):
            raise FaultError(
                f"{placed.count(False)} faces were removed from the row store meanwhile; fill again"
            )
    if photos.failed:
        raise FaultError(failures(photos.failed))


@contextmanager
def _scratch(above: Path | None) -> Iterator[Path]:
    """A folder for this process's faces; those of killed processes of this machine go."""
    if above:
        above.mkdir(exist_ok=True, parents=True)
        for folder in above.glob(f"{_SCRATCH}{host_hash()}.*"):
            pid = folder.name.split(".")[1]
            if pid.isdecimal() and not psutil.pid_exists(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)
    prefix = f"{_SCRATCH}{host_hash()}.{os.getpid()}."
    with tempfile.TemporaryDirectory(prefix=prefix, dir=above) as folder:
        yield Path(folder)


def _fill_photos(
    root: Path, params: Params, cache: DvcCache | None, shard: Shard
) -> tuple[FilledPhotos, RowFiles]:
    images, models = root / params.data.images, root / LANDMARKER
    refuse_links_out(images, cache and cache.folder)
    config = PreprocessConfig(**params.preprocess.cutting())
    with preprocess.open_photo_rows(config, models, cache, _warn, together=True) as rows:
        return _keeping(
            rows,
            lambda: fill_photos(
                images,
                config,
                models,
                rows,
                shard.has,
                lambda: preprocess.committed_rows(cache, root / FACES_TABLE, root / CROPS),
            ),
        ), rows.files


def _fill_faces(
    root: Path,
    params: Params,
    cache: DvcCache | None,
    folder: Path,
    shard: Shard,
    is_wanted: Callable[[str], bool],
) -> str:
    from facestats.clip import embed
    from facestats.clip.load import load_encoder

    began = time.monotonic()
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; `dvc repro preprocess` makes it, or fill both stages at "
            "once: `rows fill` without a stage"
        )
    encoder = load_encoder(root / CLIP, params.clip.precision, params.clip.batch_size)
    with embed.open_face_rows(encoder, cache, _warn, together=True) as rows:
        filled = _keeping(
            rows,
            lambda: embed.fill_faces(
                folder,
                encoder,
                rows,
                is_wanted,
                lambda: embed.committed_rows(cache, root / EMBEDDINGS, encoder.dimension),
            ),
        )
    return _line(embed.STAGE, shard, filled, began)


def failures(failed: dict[str, str]) -> str:
    """The message about photos that could not be processed, each with its reason."""
    (name, reason), *others = sorted(failed.items())
    more = f", nor have {len(others)} more" if others else ""
    return (
        f"{printable(name)} has no row ({reason}){more}. All others have theirs; mend that, and "
        "fill again"
    )


def _keeping(rows: RowStore, fill: Callable[[], Filled]) -> Filled:
    """Fill rows, if they are kept."""
    filled = fill() if rows.keeps else None
    if filled is None or not rows.keeps:
        raise InputError(NOT_KEPT)
    return filled


def _line(stage: str, shard: Shard, filled: FilledRows, began: float, **more: int) -> str:
    counts = row_summary(len(filled.places), **filled.counts(), **more)
    seconds = time.monotonic() - began
    return f"{stage} shard={shard.number}/{shard.count} {counts} seconds={seconds:.1f}"


def _warn(message: str) -> None:
    print_line(f"warning: {message}", sys.stderr)
