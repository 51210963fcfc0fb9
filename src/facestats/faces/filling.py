"""Photos to stored rows: what `preprocess` and `rows fill` have in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from facestats.core.photo_files import check_names, list_images
from facestats.core.tables.parquet import without_room
from facestats.errors import FaultError, ImageError
from facestats.faces.crop import PreprocessConfig
from facestats.faces.crop_store import CropStore, KeptCrops
from facestats.faces.keys import limited_recipe, recipe_hash, row_key
from facestats.faces.landmarks import Landmarker
from facestats.faces.photo import (
    BY_BYTES,
    BY_LIMITS,
    BY_MACHINE,
    PhotoTask,
    limits_of,
    over_limit,
)
from facestats.faces.tasks import process_task, set_up
from facestats.machine.faults import starting_threads
from facestats.machine.limits import CrashError, OverLimitError
from facestats.machine.pool import KilledError, Processes, count_workers
from facestats.photos.source import hash_photo
from facestats.rows.bucket import BucketError
from facestats.rows.fill import FilledRows, fill
from facestats.rows.store import RowStore

STAGE = "preprocess"
_AHEAD = 64  # files that threads fetch or hash ahead
_OF_PHOTO = (OverLimitError, CrashError)
_OF_MACHINE = (KilledError, FaultError)


@dataclass(frozen=True)
class FilledPhotos:
    """Rows of photos, and the photos that have none.

    Attributes
    ----------
    rows : FilledRows
        Of the photos that are wanted and could be hashed.
    names : list of str
        Of these photos, in the order of `rows.places`.
    unreadable : dict of str to str
        Files that are no photos by their size or kind, each with the reason.
    failed : dict of str to str
        Photos of which nothing is known, each with the reason; those that were hashed before they
        failed are among the rows, as rejected ones.
    """

    rows: FilledRows
    names: list[str]
    unreadable: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def crops(self) -> list[str]:
        """MD5 of the crops of accepted photos, sorted, each once."""
        taken = self.rows.table["crop"].take(pa.array(self.rows.places))
        return sorted({*taken.drop_null().to_pylist()})

    @property
    def rejected(self) -> int:
        """Number of photos whose rows are rejected."""
        return (
            self.rows.table["status"].take(pa.array(self.rows.places)).to_pylist().count("rejected")
        )


class PhotoFiller:
    """Computes and stores the rows of one batch of photos after another; a context manager.

    Its processes, with their models, stay between batches.

    Parameters
    ----------
    config : PreprocessConfig
    model_dir : str or Path
        Folder of the landmarker's three files.
    rows : RowStore
        The open row store.
    workers : int or None, optional
        Processes, see `preprocess_folder`.
    crops : CropStore or None, optional
        Where the crops go; None leaves them in the row store alone.
    stops : bool, default False
        Whether the first photo at which the machine fails ends the fill by its error; else it is
        named among those that have failed.

    Raises
    ------
    ModelError
        The landmarker's files are missing or broken.
    """

    def __init__(
        self,
        config: PreprocessConfig,
        model_dir: str | Path,
        rows: RowStore,
        workers: int | None = None,
        crops: CropStore | None = None,
        stops: bool = False,
    ):
        Landmarker(model_dir)  # raises for a broken file, of which a process would only die
        self._config, self._rows, self._workers = config, rows, workers
        self._crops = crops or KeptCrops(rows.files)
        self._named = () if stops else _OF_MACHINE
        self.recipe = recipe_hash(config, model_dir)
        self._limited = limited_recipe(self.recipe, config)
        self._copies = TemporaryDirectory(prefix="facestats-photos-")
        self._processes = Processes(
            process_task,
            count_workers(0, workers),
            set_up,
            (config, str(model_dir), self._crops.files, self._copies.name),
            limits_of(config),
        )

    def __enter__(self) -> PhotoFiller:
        return self

    def __exit__(self, *error) -> None:
        with self._copies:  # removed when no process is left
            self._processes.__exit__(*error)

    def fill(
        self,
        photos: Mapping[str, str | None],
        path_of: Callable[[str], Path],
        is_wanted: Callable[[str], bool] = lambda _: True,
        earlier: Callable[[], pa.Table | None] = lambda: None,
        bar: bool = True,
    ) -> FilledPhotos:
        """Fill the rows of photos whose keys are wanted.

        Parameters
        ----------
        photos : mapping of str to (str or None)
            The sha256 (hex) of each photo, by its name; None: it is hashed here.
        path_of : callable
            The file of a photo, by its name; called in threads.
        is_wanted : callable, optional
            Whether the row with a key is to be there.
        earlier : callable, optional
            See `RowStore.lookup`.
        bar : bool, default True
            Whether to show progress on a terminal.
        """
        unreadable: dict[str, str] = {}
        failed: dict[str, str] = {}
        sha256, keys = {}, {}
        for name, found in self._hashed(photos, path_of):
            if isinstance(found, FaultError):
                failed[name] = str(found)
            elif isinstance(found, ImageError):
                unreadable[name] = str(found)
            elif is_wanted(key := row_key(found, self.recipe)):
                sha256[name], keys[name] = found, key
        filled = fill(
            self._rows,
            keys,
            lambda missing: self._compute(missing, sha256, path_of, failed, bar),
            earlier,
            other_keys=lambda name: row_key(sha256[name], self._limited),
            holds=self._within_limit,
            place=self._place,
            packed=without_room,
        )
        return FilledPhotos(filled, list(keys), unreadable, failed)

    def _hashed(
        self, photos: Mapping[str, str | None], path_of: Callable[[str], Path]
    ) -> Iterator[tuple[str, str | ImageError | FaultError]]:
        """For each photo its sha256, or why it can't be read."""

        def digest(name: str) -> str | ImageError | FaultError:
            try:
                return photos[name] or hash_photo(path_of(name), self._config.max_megabytes)
            except ImageError as error:
                return error
            except FaultError as error:
                if not self._named:
                    raise
                return error

        with starting_threads(), ThreadPoolExecutor() as pool:
            yield from zip(photos, _ahead(pool, digest, photos), strict=True)

    def _compute(
        self,
        missing: dict[str, list[str]],
        sha256: dict[str, str],
        path_of: Callable[[str], Path],
        failed: dict[str, str],
        bar: bool,
    ) -> Iterator[dict]:
        """The row of each photo, in order, with the key under which it holds."""

        def over(task: PhotoTask, error: Exception) -> dict:
            if isinstance(error, BucketError):  # no fault of the photo: no crop can be kept
                raise error
            if isinstance(error, OverLimitError | CrashError):
                reason = over_limit(self._config, error)
            else:
                reason = str(error)
                failed.setdefault(names[task.sha256], reason)
            rejected = {"status": "rejected", "reason": reason, "basis": BY_MACHINE}
            return rejected | {"sha256": task.sha256}

        def task(same: list[str]) -> PhotoTask:
            name = same[0]
            try:
                path = str(path_of(name))
            except (ImageError, FaultError) as error:
                if not self._named:
                    raise
                failed[name], path = str(error), ""
            return PhotoTask(path, sha256[name], tuple(map(str, self._crops.targets(same))))

        names = {sha256[same[0]]: same[0] for same in missing.values()}
        self._processes.most = count_workers(len(missing), self._workers)
        with starting_threads(), ThreadPoolExecutor() as pool:
            results = self._processes.map(
                _ahead(pool, task, missing.values()),
                over,
                lambda task: task.source,
                (*_OF_PHOTO, *self._named),
            )
            hidden = None if bar and missing else True
            progress = tqdm(results, STAGE, len(missing), unit="photo", disable=hidden)
            for key, row in zip(missing, progress, strict=True):
                by_basis = {BY_BYTES: key, BY_LIMITS: row_key(row["sha256"], self._limited)}
                yield row | {"key": by_basis.get(row.pop("basis"))}

    def _within_limit(self, stored: pa.Table) -> np.ndarray:
        """Whether each photo has no more pixels than this run allows; the row's may have."""
        sides = (stored[side].to_numpy().astype(float) for side in ("width", "height"))
        return ~(np.multiply(*sides) > self._config.max_pixels)

    def _place(self, name: str, stored: pa.Table, row: int) -> bool:
        crop = stored["crop"][row].as_py()
        return crop is None or self._crops.place(name, crop)


def fill_photos(
    images: Path,
    config: PreprocessConfig,
    model_dir: Path,
    rows: RowStore,
    is_wanted: Callable[[str], bool],
    earlier: Callable[[], pa.Table | None] = lambda: None,
) -> FilledPhotos:
    """Compute and store the rows of the photos of a folder whose keys are wanted, and their crops.

    Parameters and errors are those of `preprocess_folder`; see `PhotoFiller.fill`.
    """
    names = list_images(images)
    unusable = check_names(names)
    readable = [name for name in names if name not in unusable]
    with PhotoFiller(config, model_dir, rows) as filler:
        return filler.fill(dict.fromkeys(readable), lambda name: images / name, is_wanted, earlier)


def _ahead(pool: ThreadPoolExecutor, function: Callable, items: Iterable) -> Iterator:
    """Yield `function(item)` of each item, in order, a few of them computed ahead in threads."""
    left = iter(items)
    waiting = deque(pool.submit(function, item) for item in islice(left, _AHEAD))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(function, item) for item in islice(left, 1))
        yield result
