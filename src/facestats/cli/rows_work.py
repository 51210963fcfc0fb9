"""What one process of many does for `rows fill`: batches of photos, or of crops, to stored rows."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from facestats.cli.rows_fill import NOT_KEPT
from facestats.cli.rows_photos import PhotoSources
from facestats.core.crops import Crops
from facestats.core.layout import CLIP, CROPS, LANDMARKER
from facestats.core.photo_files import SUFFIX
from facestats.errors import InputError
from facestats.faces import preprocess
from facestats.faces.crop import PreprocessConfig
from facestats.faces.filling import PhotoFiller
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import RowFiles
from facestats.rows.fill import FilledRows
from facestats.rows.place import PLACE
from facestats.rows.store import RowStore

if TYPE_CHECKING:
    from facestats.clip.encoder import ImageEncoder

_PREFIX = "FACESTATS_"  # of the variables of the environment that each process takes over


@dataclass(frozen=True)
class Job:
    """What all processes of a fill have in common.

    Attributes
    ----------
    root : Path
        The project's folder, at the same path on every machine.
    cache : DvcCache or None
    images : Path
        Folder of the project's photos; relative paths of a list begin at `root`.
    config : PreprocessConfig
    precision, batch_size : str, int
        Of the encoder.
    recipe : str
        Of the rows of photos, as the machine that has started the job computes them.
    environment : dict of str to str
        Variables of the environment.
    """

    root: Path
    cache: DvcCache | None
    images: Path
    config: PreprocessConfig
    precision: str
    batch_size: int
    recipe: str
    environment: dict[str, str]

    def encoder(self) -> ImageEncoder:
        """The encoder, loaded."""
        from facestats.clip.load import load_encoder

        return load_encoder(self.root / CLIP, self.precision, self.batch_size)


@dataclass
class Report:
    """Counts of a batch; `failed` has the photos or crops without a row, each with the reason.

    `messages` are for the user; with an `error`, the batch is not done, and no other one can be.
    """

    rows: int = 0
    reused: int = 0
    computed: int = 0
    rejected: int = 0
    elsewhere: int = 0
    node: str = ""
    recipe: str = ""
    error: str = ""
    failed: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Add the counts of another batch."""
        for name in ("rows", "reused", "computed", "rejected", "elsewhere"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failed |= other.failed

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        return cls(**json.loads(text))


def shared_environment() -> dict[str, str]:
    """The variables of this process that decide about rows, with the store's absolute path."""
    found = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    if (place := found.get(PLACE)) and "://" not in place:
        found[PLACE] = str(Path(place).expanduser().absolute())
    return found


class _Work:
    """One kind of rows, computed batch after batch; the store and the models stay open."""

    def __init__(self, job: Job):
        self._job, self._messages = job, []
        os.environ.update(job.environment)
        if not (job.root / "params.yaml").is_file():
            raise InputError(
                f"there is no project at {job.root} here; all machines need it at the same path, "
                "such as on a shared disk"
            )
        self._open = ExitStack()

    def _kept(self, rows: RowStore) -> RowStore:
        """Open a store, whose rows must be kept."""
        rows = self._open.enter_context(rows)
        if not rows.keeps:
            raise InputError(" ".join([*self._messages, NOT_KEPT]))
        return rows

    def _report(self, rows: RowStore, filled: FilledRows, before: int, **more) -> Report:
        """The counts of a batch, once its rows are written."""
        rows.save()
        if not rows.keeps:
            raise InputError(" ".join([*self._messages, NOT_KEPT]))
        messages, self._messages[:] = [*self._messages], []
        counts = filled.counts() | {"elsewhere": rows.elsewhere - before}
        return Report(rows=len(filled.places), messages=messages, **counts, **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error) -> None:
        self._open.close()


class PhotoWork(_Work):
    """Photos to rows and crops."""

    def __init__(self, job: Job, workers: int = 1):
        super().__init__(job)
        models = job.root / LANDMARKER
        self._rows = self._kept(
            preprocess.open_photo_rows(
                job.config, models, job.cache, self._messages.append, together=True
            )
        )
        self._filler = self._open.enter_context(
            PhotoFiller(job.config, models, self._rows, workers)
        )
        if self._filler.recipe != job.recipe:
            raise InputError(
                f"the code, the models in {models} or the libraries' versions here are not those "
                "of the machine that has started the fill, so nobody would find the rows; "
                "install the same on each"
            )

    def __call__(
        self,
        photos: dict[str, str | None],
        is_wanted: Callable[[str], bool] = lambda _: True,
        bar: bool = False,
    ) -> tuple[Report, list[str]]:
        """Fill the rows of photos by their addresses, with sha256 where that is known.

        Returns
        -------
        report : Report
        crops : list of str
            MD5 of the crops.
        """
        before = self._rows.elsewhere
        with PhotoSources(self._job.root, self._job.config.max_megabytes) as sources:
            done = self._filler.fill(photos, sources.path, is_wanted, bar=bar)
        if len(done.failed) == len(photos) > 1:
            raise InputError(
                f"not one of {len(photos)} photos can be read: {min(done.failed.values())}"
            )
        report = self._report(
            self._rows, done.rows, before, rejected=done.rejected, failed=done.failed
        )
        return report, done.crops


class FaceWork(_Work):
    """Crops to embeddings."""

    def __init__(self, job: Job):
        from facestats.clip import embed

        super().__init__(job)
        self._encoder = job.encoder()
        self._recipe = embed.recipe_hash(self._encoder)
        self._rows = self._kept(
            embed.open_face_rows(self._encoder, job.cache, self._messages.append, together=True)
        )
        self._files: RowFiles | None = None

    def __call__(self, crops: list[str]) -> Report:
        """Fill the rows of crops: by their MD5 where they lie in the row store, else their names.

        Parameters
        ----------
        crops : list of str
            MD5 of crops in the row store, or names of crops in the project's folder of crops.
        """
        from facestats.clip import embed

        failed, before = {}, self._rows.elsewhere
        with tempfile.TemporaryDirectory(prefix="facestats-faces-") as folder:
            for number, crop in enumerate(crops):
                if not self._place(crop, Path(folder) / f"{number:06}{SUFFIX}"):
                    failed[crop] = "the crop is gone from the row store"
            if len(failed) == len(crops):
                return Report(failed=failed)
            filled = embed.fill_faces(Path(folder), self._encoder, self._rows, lambda _: True)
        return self._report(self._rows, filled, before, failed=failed, recipe=self._recipe)

    def _place(self, crop: str, target: Path) -> bool:
        if crop.endswith(SUFFIX):
            target.write_bytes(Crops.of(self._job.root / CROPS).read(crop))
            return True
        if self._files is None:
            job = self._job
            with preprocess.open_photo_rows(
                job.config, job.root / LANDMARKER, job.cache, lambda _: None, together=True
            ) as rows:
                self._files = rows.files
        return self._files.place(crop, target)
