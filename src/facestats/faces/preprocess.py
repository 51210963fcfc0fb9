"""A folder of photos to aligned faces and the table `faces.parquet`."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from facestats.core import tables
from facestats.core.crops import Crops
from facestats.core.photo_files import check_names, face_filename, list_images, printable
from facestats.core.tables.parquet import without_room
from facestats.errors import ImageError, InputError, alike
from facestats.faces.comparison import read_thumbnail
from facestats.faces.crop import PreprocessConfig
from facestats.faces.crop_store import FILES, CropStore, open_store
from facestats.faces.dedup import find_near_duplicates, first_of_group
from facestats.faces.keys import limited_recipe, recipe_hash, row_key
from facestats.faces.landmarks import Landmarker
from facestats.faces.photo import (
    BY_BYTES,
    BY_LIMITS,
    BY_MACHINE,
    PhotoTask,
    limits_of,
    over_limit,
    set_up,
)
from facestats.faces.tables import FACES
from facestats.faces.tasks import process_task
from facestats.machine.faults import starting_threads
from facestats.machine.kind import kind_of_machine
from facestats.machine.limits import CrashError, OverLimitError
from facestats.machine.pool import count_workers, ordered_map
from facestats.photos.source import hash_photo
from facestats.rows.checks import check_photo_rows
from facestats.rows.crops import committed_crops
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import RowFiles
from facestats.rows.fill import fill
from facestats.rows.store import RowStore, open_rows

STAGE = "preprocess"
# Copies with more than this share of the sharpest one's sharpness, and of the largest one's size,
# count as equal to it.
SHARP, LARGE = 0.25, 0.9
BEST_BY = ("sharpness", "face_size", "bits_per_pixel")
REASONS = 5  # named in the warning about photos that are left out
_TOGETHER = 1000  # photos that threads hash at a time
# Columns that depend on more than the image's bytes.
_BY_NAME = ("image", "filename", "duplicate_of", "near_duplicate_of", "copy_group", "copy_rank")
# Columns of a stored row: those that depend on the image's bytes alone, and the MD5 of its crop.
ROW_COLUMNS = {name: kind for name, kind in FACES.columns.items() if name not in _BY_NAME} | {
    "crop": pa.string()
}


def preprocess_folder(
    images: str | Path,
    out_dir: str | Path,
    config: PreprocessConfig,
    model_dir: str | Path,
    workers: int | None = None,
    rows: RowStore | None = None,
    earlier: Callable[[], pa.Table | None] = lambda: None,
    store: str = FILES,
) -> pd.DataFrame:
    """Cut the largest face out of every photo below a folder.

    Parameters
    ----------
    images : str or Path
        Folder of the photos; every file that is not hidden counts as one.
    out_dir : str or Path
        Where the faces go, as `face_filename` names them; `Crops` reads them.
    config : PreprocessConfig
    model_dir : str or Path
        Folder of the landmarker's three files.
    workers : int or None, optional
        Processes; None takes all processors, 0 is for this very process, which decodes photos in
        another one. The result does not depend on it.
    rows : RowStore or None, optional
        An open row store, whose rows are not computed again; None computes all.
    earlier : callable, optional
        Gives the rows of the last committed run, see `earlier_rows`.
    store : str, default 'files'
        `files`: a file for each face | `shards`: a fixed number of tar shards.

    Returns
    -------
    pd.DataFrame
        One row an image, sorted by `image`, rejected ones included, with the columns of
        `faces.parquet`. `.attrs` counts the rows taken from the store (`reused`), those of them
        that are not known to be of this kind of machine (`elsewhere`), and those `computed`;
        images that can't be read, or whose names can't be used, are neither.

    Raises
    ------
    InputError
        There are no images, or `out_dir` lies inside of them.
    ModelError
        The landmarker's files are missing or broken.
    """
    images, out_dir = Path(images), Path(out_dir)
    names = list_images(images)
    if out_dir.resolve().is_relative_to(images.resolve()):
        raise InputError(
            f"{out_dir} lies in the folder of the photos, {images}: its faces would be photos "
            "next time"
        )
    Landmarker(model_dir)  # raises for a broken file, of which a worker would only die
    recipe = recipe_hash(config, model_dir)
    limited = limited_recipe(recipe, config)
    rows = rows or RowStore(None, STAGE, recipe, ROW_COLUMNS)
    reasons = check_names(names)
    keys, sha256 = {}, {}
    for name, (digest, reason) in _digests(
        images, [name for name in names if name not in reasons], config.max_megabytes
    ):
        if reason:
            reasons[name] = reason
        elif digest is not None:
            sha256[name], keys[name] = digest, row_key(digest, recipe)

    def compute(missing: dict[str, list[str]]) -> Iterator[dict]:
        tasks = _tasks(missing, sha256, images, crops)
        return _compute(tasks, list(missing), limited, config, model_dir, rows.files, workers)

    def place(name: str, stored: pa.Table, row: int) -> bool:
        crop = stored["crop"][row].as_py()
        return crop is None or crops.place(name, crop)

    crops = open_store(store, out_dir, rows.files)
    filled = fill(
        rows,
        keys,
        compute,
        earlier,
        other_keys=lambda name: row_key(sha256[name], limited),
        place=place,
        packed=without_room,
    )
    table = filled.table.take(pa.array(filled.places))
    md5 = table["crop"].to_pylist()
    crops.finish({name: one for name, one in zip(keys, md5, strict=True) if one})
    frame = _by_image(table, list(keys), reasons)
    _mark_copies(frame, out_dir, config.size)
    frame.attrs |= filled.counts()
    return frame


def open_photo_rows(
    config: PreprocessConfig,
    model_dir: str | Path,
    cache: DvcCache | None,
    warn: Callable[[str], None],
    together: bool = False,
) -> RowStore:
    """The project's store with the rows of `preprocess`; see `RowStore`."""
    recipe, where = recipe_hash(config, model_dir), kind_of_machine()
    return open_rows(
        STAGE, recipe, ROW_COLUMNS, cache, warn, check_photo_rows, where, together=together
    )


def committed_rows(cache: DvcCache | None, table: Path, crops: Path) -> pa.Table | None:
    """Rows of the last committed run, whose outs are in DVC's cache; None if there are none."""
    before = cache.committed_table(table) if cache else []
    return earlier_rows(before, committed_crops(cache, crops)) if cache and before else None


def earlier_rows(files: Sequence[Path], crops: dict[str, str]) -> pa.Table | None:
    """Rows of an earlier `faces.parquet`; None if it lacks a column.

    Parameters
    ----------
    files : sequence of Path
        The earlier file, or its parts, out of DVC's cache.
    crops : dict[str, str]
        MD5 of each crop by its filename, see `committed_crops`.
    """
    columns = [name for name in ROW_COLUMNS if name != "crop"]
    try:
        frame = pd.concat([tables.read(path, FACES, [*columns, "filename"]) for path in files])
    except tables.TableError:
        return None
    frame = frame[
        frame["key"].notna() & (frame["filename"].isna() | frame["filename"].isin(crops.keys()))
    ]
    return pa.Table.from_pandas(
        frame.assign(crop=frame["filename"].map(crops))[list(ROW_COLUMNS)],
        pa.schema(list(ROW_COLUMNS.items())),
        preserve_index=False,
    )


def rejection_warning(faces: pd.DataFrame, images: Path) -> str | None:
    """Warn about photos that are left out.

    Parameters
    ----------
    faces : DataFrame
        `faces.parquet`.
    images : Path
        The image folder.

    Returns
    -------
    str or None
        How many, with the most frequent reasons; None if all were accepted.
    """
    rejected = faces[faces["status"] == "rejected"]
    if len(rejected) == len(faces):
        return (
            f"not one of {len(faces)} photos in {images} was accepted: there is nothing to embed, "
            "and the next stage will say so"
        )
    if rejected.empty:
        return None
    reasons = alike(sorted(rejected["reason"]))
    listed = "; ".join(f"{n}: {reason}" for reason, n in reasons[:REASONS])
    if len(reasons) > REASONS:
        listed += f"; {len(reasons) - REASONS} more reasons"
    return (
        f"{len(rejected)} of {len(faces)} photos are left out ({listed}); faces.parquet and "
        "the report name each"
    )


def _digests(
    images: Path, names: list[str], max_megabytes: float
) -> Iterator[tuple[str, tuple[str | None, str | None]]]:
    """For each image its sha256, or the reason why it can't be read."""

    def digest(name: str) -> tuple[str | None, str | None]:
        try:
            return hash_photo(images / name, max_megabytes), None
        except ImageError as error:
            return None, str(error)

    with starting_threads(), ThreadPoolExecutor() as pool:
        for start in range(0, len(names), _TOGETHER):
            # not all at once: what waits to be taken takes memory
            part = names[start : start + _TOGETHER]
            yield from zip(part, pool.map(digest, part), strict=True)


def _tasks(
    missing: dict[str, list[str]], sha256: dict[str, str], images: Path, crops: CropStore
) -> Iterator[PhotoTask]:
    for same in missing.values():
        yield PhotoTask(
            str(images / same[0]),
            sha256[same[0]],
            tuple(str(crops.target(name)) for name in same),
        )


def _compute(
    tasks: Iterator[PhotoTask],
    keys: list[str],
    limited: str,
    config: PreprocessConfig,
    model_dir: str | Path,
    files: RowFiles,
    workers: int | None,
) -> Iterator[dict]:
    """The row of each photo, in order, with the key under which it holds."""
    if not keys:
        return

    def over(task: PhotoTask, error: OverLimitError | CrashError) -> dict:
        return {
            "sha256": task.sha256,
            "status": "rejected",
            "reason": over_limit(config, error),
            "basis": BY_MACHINE,
        }

    results = ordered_map(
        process_task,
        tasks,
        count_workers(len(keys), workers),
        set_up,
        (config, str(model_dir), files),
        limits_of(config),
        over,
        lambda task: task.source,
    )
    progress = tqdm(results, STAGE, len(keys), unit="photo", disable=None)
    for key, row in zip(keys, progress, strict=True):
        by_basis = {BY_BYTES: key, BY_LIMITS: row_key(row["sha256"], limited)}
        yield row | {"key": by_basis.get(row.pop("basis"))}


def _by_image(table: pa.Table, names: list[str], reasons: dict[str, str]) -> pd.DataFrame:
    """One table of the rows in the order of `names`, and of the photos that were not read."""
    columns = {
        name: table[name].to_pandas() if name in ("box", "landmarks") else table[name].to_pylist()
        for name in ROW_COLUMNS
        if name != "crop"
    }
    columns["image"] = [printable(name) for name in names]
    columns["filename"] = [
        face_filename(name) if status == "ok" else None
        for name, status in zip(names, columns["status"], strict=True)
    ]
    unusable = [
        {"image": printable(name), "status": "rejected", "reason": reason}
        for name, reason in reasons.items()
    ]
    frame = pd.concat(
        [pd.DataFrame(columns, dtype=object), pd.DataFrame(unusable, dtype=object)],
        ignore_index=True,
    )
    frame = frame.reindex(columns=list(FACES.columns)).astype(object)
    frame = frame.sort_values("image", kind="stable", ignore_index=True)
    return frame.where(frame.notna(), None)


def _mark_copies(frame: pd.DataFrame, crops: Path, size: int) -> None:
    """Fill the columns that tell copies: of accepted rows, in the order of the table.

    `duplicate_of`, `near_duplicate_of`, `copy_group` and `copy_rank`.

    An exact duplicate has only `duplicate_of`: its first copy stands for it among the near
    duplicates.
    """
    accepted = frame.index[frame["status"] == "ok"]
    exact = first_of_group(frame.loc[accepted, "sha256"].tolist())
    for row, first in zip(accepted, exact, strict=True):
        if first is not None:
            frame.at[row, "duplicate_of"] = frame.at[accepted[first], "filename"]
    single = [row for row, first in zip(accepted, exact, strict=True) if first is None]
    files = Crops.of(crops).sources(frame.loc[single, "filename"])
    near = find_near_duplicates(
        [bytes.fromhex(text) for text in frame.loc[single, "perceptual_hash"]],
        lambda face: read_thumbnail(files[face], size),
        frame.loc[single, "sharpness"].to_numpy(dtype=float),
    )
    for row, first in zip(single, near, strict=True):
        if first is not None:
            frame.at[row, "near_duplicate_of"] = frame.at[single[first], "filename"]
    faces = frame.loc[
        accepted,
        [
            "filename",
            "duplicate_of",
            "near_duplicate_of",
            "sharpness",
            "width",
            "height",
            "box",
            "bits_per_pixel",
        ],
    ]
    original = faces["duplicate_of"].fillna(faces["filename"])
    faces["copy_group"] = original.map(faces.set_index("filename")["near_duplicate_of"]).fillna(
        original
    )
    boxes = [
        np.full(4, np.nan) if box is None else np.asarray(box, dtype=float) for box in faces["box"]
    ]
    faces["face_size"] = [box[2] - box[0] for box in boxes]
    faces["face_size"] = faces["face_size"].fillna(faces[["width", "height"]].min(axis=1))
    rank = rank_copies(faces)
    best = faces.loc[rank == 1].set_index("copy_group")["filename"]
    frame.loc[accepted, "copy_group"] = faces["copy_group"].map(best)
    frame.loc[accepted, "copy_rank"] = rank.astype(object)


def rank_copies(faces: pd.DataFrame) -> pd.Series:
    """The place of each face among its copies: 1 for the best one, and for a face without copies.

    The best is the largest of those that are sharp, and of the largest the least compressed; then
    the sharpest, then the first by name. Less than a quarter of the sharpest one's sharpness is
    blurred, less than nine tenths of the largest one's size is smaller.

    Parameters
    ----------
    faces : pd.DataFrame
        `filename`, `copy_group`, and numbers that may be null: `sharpness`, `face_size` (px),
        `bits_per_pixel`.
    """
    rank = pd.Series(1, index=faces.index)
    several = faces[faces["copy_group"].duplicated(keep=False)]
    for _, group in several.groupby("copy_group"):
        left = group.sort_values("filename")
        values = left[list(BEST_BY)].astype(float).fillna(0).to_numpy()
        places = np.arange(len(left))
        for place in range(1, len(left) + 1):
            sharp = places[values[places, 0] >= SHARP * values[:, 0].max()]
            some = sharp if len(sharp) else places
            some = some[values[some, 1] >= LARGE * values[some, 1].max()]
            best = max(some, key=lambda row: (values[row, 2], values[row, 0], -row))
            rank[left.index[best]] = place
            places = places[places != best]
    return rank
