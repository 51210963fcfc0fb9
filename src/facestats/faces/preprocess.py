"""A folder of photos to aligned faces and the table `faces.parquet`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from facestats.core import tables
from facestats.core.crops import Crops
from facestats.core.photo_files import check_names, face_filename, list_images, printable
from facestats.core.tables.parquet import take_rows
from facestats.errors import InputError, alike
from facestats.faces.comparison import read_thumbnail
from facestats.faces.crop import PreprocessConfig
from facestats.faces.crop_store import FILES, open_store
from facestats.faces.dedup import find_near_duplicates, first_of_group
from facestats.faces.filling import STAGE, PhotoFiller
from facestats.faces.keys import recipe_hash
from facestats.faces.landmarks import Landmarker
from facestats.faces.tables import FACES
from facestats.machine.kind import kind_of_machine
from facestats.rows.checks import check_photo_rows
from facestats.rows.crops import committed_crops
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.fill import FilledRows
from facestats.rows.store import RowStore, open_rows

# Copies with more than this share of the sharpest one's sharpness, and of the largest one's size,
# count as equal to it.
SHARP, LARGE = 0.25, 0.9
BEST_BY = ("sharpness", "face_size", "bits_per_pixel")
_PLACE = "place"  # number of a photo's row among those that were filled
_TOGETHER = 8192  # photos whose landmarks are in a table at a time
REASONS = 5  # named in the warning about photos that are left out
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
    filled, frame = _fill(images, out_dir, config, model_dir, workers, rows, earlier, store)
    attrs, frame = frame.attrs, _with_landmarks(frame, filled)
    frame.attrs |= attrs
    return frame


def write_faces(
    path: Path,
    images: str | Path,
    out_dir: str | Path,
    config: PreprocessConfig,
    model_dir: str | Path,
    rows: RowStore,
    earlier: Callable[[], pa.Table | None] = lambda: None,
    store: str = FILES,
) -> pd.DataFrame:
    """`preprocess_folder` into the table at `path`, of which a block has its landmarks at a time.

    Returns what `preprocess_folder` does, without landmarks.
    """
    filled, frame = _fill(images, out_dir, config, model_dir, None, rows, earlier, store)
    rows.save()  # where that fails, the table stays as it is
    with tables.writing(path, FACES) as writer:
        for start in range(0, len(frame), _TOGETHER):
            writer.write(_with_landmarks(frame.iloc[start : start + _TOGETHER], filled))
    return frame.drop(columns=_PLACE)


def _fill(
    images: str | Path,
    out_dir: str | Path,
    config: PreprocessConfig,
    model_dir: str | Path,
    workers: int | None,
    rows: RowStore | None,
    earlier: Callable[[], pa.Table | None],
    store: str,
) -> tuple[FilledRows, pd.DataFrame]:
    """Rows with landmarks, and the table without them; `place` is the number of a photo's row."""
    images, out_dir = Path(images), Path(out_dir)
    names = list_images(images)
    if out_dir.resolve().is_relative_to(images.resolve()):
        raise InputError(
            f"{out_dir} lies in the folder of the photos, {images}: its faces would be photos "
            "next time"
        )
    if rows is None:
        Landmarker(model_dir)  # names the way out where a file is missing
        rows = RowStore(None, STAGE, recipe_hash(config, model_dir), ROW_COLUMNS)
    reasons = check_names(names)
    readable = dict.fromkeys(name for name in names if name not in reasons)
    crops = open_store(store, out_dir, rows.files)
    with PhotoFiller(config, model_dir, rows, workers, crops, stops=True) as filler:
        done = filler.fill(readable, lambda name: images / name, earlier=earlier)
    places = done.rows.places
    table = done.rows.table.drop_columns("landmarks").take(pa.array(places))
    md5 = table["crop"].to_pylist()
    crops.finish({name: one for name, one in zip(done.names, md5, strict=True) if one})
    frame = _by_image(table, places, done.names, reasons | done.unreadable)
    _mark_copies(frame, out_dir, config.size)
    frame.attrs |= done.rows.counts()
    return done.rows, frame


def _with_landmarks(frame: pd.DataFrame, filled: FilledRows) -> pd.DataFrame:
    """Some rows of the table, with their landmarks."""
    known = frame[_PLACE].notna().to_numpy()
    places = frame.loc[known, _PLACE].to_numpy(np.int64)
    taken = take_rows(filled.table.select(["landmarks"]), places)
    landmarks = np.full(len(frame), None, object)
    landmarks[known] = taken["landmarks"].to_pandas()
    return frame.assign(landmarks=landmarks)[[*FACES.columns]]


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


def _by_image(
    table: pa.Table, places: np.ndarray, names: list[str], reasons: dict[str, str]
) -> pd.DataFrame:
    """One table of the rows in the order of `names`, and of the photos that were not read."""
    columns = {
        name: table[name].to_pandas() if name == "box" else table[name].to_pylist()
        for name in table.column_names
        if name != "crop"
    }
    columns[_PLACE] = places
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
    known = [name for name in FACES.columns if name != "landmarks"]
    frame = frame.reindex(columns=[*known, _PLACE]).astype(object)
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
