"""The models in use: read when the server starts, and again after each run, whole or not at all."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pandas as pd
import torch

from facestats.core import tables
from facestats.core.layout import COMPOSITES_MANIFEST, FINAL_TABLE
from facestats.errors import FaceStatsError, ModelError
from facestats.faces.landmarks import Landmarker
from facestats.groups.tables import FINAL, FLAGS_SHA256
from facestats.prompts.text import TextEncoder
from facestats.serving.composites_manifest import CompositesManifest
from facestats.serving.loading import current_models
from facestats.serving.manifest import Identity, identity
from facestats.serving.models import Models
from facestats.serving.parts import Encoding
from facestats.serving.run_manifest import RunMetrics, read_metrics

TABLE_SHA256 = "sha256"  # among the attributes of a table: of the file that it was read from
METRICS = ("attractiveness", "attributes")  # files of held-out figures, by their names


class BatchEncoder:
    """An encoder that embeds up to `size` pictures in one forward pass of one shape.

    Parameters
    ----------
    encoder : ImageEncoder
    padding : bool, default True
        Whether a pass has `size` places, whatever their number. Without it a pass is as small as
        its pictures, if a comparison on this machine finds the same bits; else it is padded, too.
    """

    def __init__(self, encoder: Any, padding: bool = True):
        self.encoder, self.size, self.side = encoder, encoder.batch_size, encoder.side
        self.padding = True
        self.padding = padding or not self._same_without()

    def embed(self, pixels: list[np.ndarray]) -> np.ndarray:
        """Embed pictures, uint8 (side, side, 3); gives float32 (n, d), unit norm."""
        places = self.size if self.padding else len(pixels)
        batch = np.zeros((places, self.side, self.side, 3), np.uint8)
        np.stack(pixels, out=batch[: len(pixels)])
        embeddings = self.encoder.tower(torch.from_numpy(batch)).cpu().numpy()[: len(pixels)]
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

    def _same_without(self) -> bool:
        shape = (self.size, self.side, self.side, 3)
        pictures = list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
        padded = self.embed(pictures)
        self.padding = False
        return all(
            np.array_equal(self.embed(pictures[:n]), padded[:n]) for n in range(1, self.size)
        )


@dataclass(frozen=True, eq=False)
class Run:
    """All that answers one request, of one run.

    Attributes
    ----------
    models : Models
    encoder : BatchEncoder
    landmarkers : queue of Landmarker
        One a thread; a thread takes one and gives it back.
    text : TextEncoder or FaceStatsError
        The text tower, or why there is none.
    faces : DataFrame or FaceStatsError
        `attributes_final.parquet` by filename, or why there is none. Its `attrs` have the sha256
        of the flags of its run.
    models_before : Models, optional
        Those of the final table, where it is still that of the run before.
    """

    models: Models
    encoder: BatchEncoder
    landmarkers: SimpleQueue[Landmarker]
    text: TextEncoder | FaceStatsError
    faces: pd.DataFrame | FaceStatsError
    models_before: Models | None = None

    @property
    def models_of_table(self) -> Models:
        """The models of the final table's run: what is said of its rows is said of these."""
        return self.models_before or self.models

    @property
    def names_agree(self) -> bool:
        """Whether a face's name means the same to the models as to the final table."""
        theirs = self.models_of_table.parts.manifest.parts
        ours = self.models.parts.manifest.parts
        return all(ours.get(part) == theirs.get(part) for part in ("faces", "embeddings"))

    def texts(self) -> TextEncoder:
        """The text tower, or its error."""
        return _or_raise(self.text)

    def table(self) -> pd.DataFrame:
        """The final table, or its error."""
        return _or_raise(self.faces)

    def metrics(self) -> RunMetrics:
        """The held-out figures of the models in use."""
        return read_metrics(self.models.root, self.models.parts.manifest.parts, METRICS)


@dataclass(frozen=True, eq=False)
class _Table:
    """What was read of the final table, or the error, and for which file and models."""

    identities: tuple[Identity, Identity]
    models: Models
    value: pd.DataFrame | FaceStatsError
    models_before: Models | None


class CurrentRun:
    """The run that answers now.

    Parameters
    ----------
    root : Path
        The project folder.
    encoding : Encoding
        Batch shape and precision.
    threads : int
        Number of landmarkers.
    padding : bool, default True
        Of `BatchEncoder`.
    """

    def __init__(self, root: Path, encoding: Encoding, threads: int, padding: bool = True):
        self.root, self.encoding, self.threads, self.padding = root, encoding, threads, padding
        self.run: Run | None = None
        self._table: _Table | None = None
        self._one_at_a_time = threading.Lock()

    def update(self) -> bool:
        """Read the models where a new run is whole; returns whether others are in use now.

        Raises
        ------
        FaceStatsError
            There are none, and there were none before.
        """
        with self._one_at_a_time:
            before = self.run
            try:
                models = current_models(self.root, self.encoding)
            except FaceStatsError:
                if before is None:
                    raise
                return False
            if models is None:
                if before is None:
                    raise ModelError("no models/serving.json in the project folder")
                return False
            faces = self._faces(models)
            if before is not None and models is before.models and faces is before.faces:
                return False
            self.run = self._build(models, faces, before)
            return True

    def _build(
        self, models: Models, faces: pd.DataFrame | FaceStatsError, before: Run | None
    ) -> Run:
        models_before = self._table and self._table.models_before
        if before is not None and models is before.models:
            return replace(before, faces=faces, models_before=models_before)
        folder = models.root / next(iter(models.parts.manifest.parts["landmarker"]))
        landmarkers: SimpleQueue[Landmarker] = SimpleQueue()
        same = before is not None and models.landmarker is before.models.landmarker
        if before is not None and same:
            landmarkers = before.landmarkers
        else:
            for _ in range(self.threads):
                landmarkers.put(Landmarker(folder.parent))
        if before is not None and models.encoder is before.models.encoder:
            encoder = before.encoder
        else:
            encoder = BatchEncoder(models.encoder, self.padding)
        _warm_up(models, encoder)
        text = self._text(models, before)
        return Run(models, encoder, landmarkers, text, faces, models_before)

    def _text(self, models: Models, before: Run | None) -> TextEncoder | FaceStatsError:
        """The text tower; read again only where the weights are others."""
        clip = models.parts.manifest.parts["clip"]
        if before is not None and before.models.parts.manifest.parts["clip"] == clip:
            return before.text
        try:
            folder = (models.root / next(iter(clip))).parent
            return TextEncoder(folder, models.serving["clip"]["weights_sha256"])
        except FaceStatsError as error:
            return error

    def _faces(self, models: Models) -> pd.DataFrame | FaceStatsError:
        """The final table, if its faces are those of the models' run; until then the one before."""
        path = self.root / FINAL_TABLE
        before = self._table
        now = identity(path), identity(self.root / COMPOSITES_MANIFEST)
        if before is not None and before.identities == now and before.models is models:
            return before.value
        value: pd.DataFrame | FaceStatsError
        models_before = None
        try:
            manifest = CompositesManifest.read(models)
            table = tables.read_all(path, FINAL).set_index("filename", drop=False)
            table.attrs[FLAGS_SHA256] = tables.file_metadata(path).get(FLAGS_SHA256)
            manifest.check_final()
            table.attrs[TABLE_SHA256] = manifest.final_sha256()
            value = table
        except FaceStatsError as error:
            value = error
            if (
                before is not None
                and isinstance(before.value, pd.DataFrame)
                and not _scores_a_child(before.value, models)
            ):
                value = before.value
                models_before = before.models_before or before.models
        self._table = _Table(now, models, value, models_before)
        return value


def _scores_a_child(table: pd.DataFrame, models: Models) -> bool:
    """Whether a table of an earlier run has a score of a face that is labelled as too young now."""
    labelled = models.labelled_ages[0]
    young = table.index.isin(labelled.loc[labelled["score_withheld"].notna(), "filename"])
    return bool(young.any()) and (
        "score_withheld" not in table or bool(table.loc[young, "score_withheld"].isna().any())
    )


def _warm_up(models: Models, encoder: BatchEncoder) -> None:
    """Load what is loaded late, so that the first request does not wait for it."""
    encoder.embed([np.full((encoder.side, encoder.side, 3), 128, np.uint8)])
    for name in (
        "regressor",
        "geometry",
        "blend",
        "attribute_models",
        "neighbours",
        "names",
        "irises",
    ):
        try:
            getattr(models, name)
        except FaceStatsError:  # said to those who ask for it
            continue


def _or_raise(value: Any) -> Any:
    if isinstance(value, FaceStatsError):
        raise type(value)(*value.args)
    return value
