"""The models in use: read when the server starts, and again after each run, whole or not at all."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pandas as pd

from facestats.core import tables
from facestats.core.files import read_json
from facestats.core.layout import METADATA
from facestats.errors import FaceStatsError, InputError, ModelError, TableError
from facestats.faces.landmarks import Landmarker
from facestats.groups.tables import FINAL
from facestats.prompts.text import TextEncoder
from facestats.serving.loading import current_models
from facestats.serving.manifest import Identity, identity
from facestats.serving.models import Models
from facestats.serving.parts import Encoding

METRICS = ("attractiveness", "attributes")  # files of held-out figures, by their names


@dataclass(frozen=True, eq=False)
class Run:
    """All that answers one request, of one run.

    Attributes
    ----------
    models : Models
    landmarkers : queue of Landmarker
        One a thread; a thread takes one and gives it back.
    text : TextEncoder or FaceStatsError
        The text tower, or why there is none.
    faces : DataFrame or FaceStatsError
        `attributes_final.parquet` by filename, or why there is none.
    """

    models: Models
    landmarkers: SimpleQueue[Landmarker]
    text: TextEncoder | FaceStatsError
    faces: pd.DataFrame | FaceStatsError

    def texts(self) -> TextEncoder:
        """The text tower, or its error."""
        return _or_raise(self.text)

    def table(self) -> pd.DataFrame:
        """The final table, or its error."""
        return _or_raise(self.faces)

    def metrics(self) -> dict[str, Any]:
        """The held-out figures of the project, by file; None where it is missing."""
        figures: dict[str, Any] = {}
        for name in METRICS:
            try:
                figures[name] = read_json(self.models.root / "metrics" / f"{name}.json")
            except InputError:
                figures[name] = None
        return figures


@dataclass(frozen=True, eq=False)
class _Table:
    """What was read of the final table, or the error, and for which file and models."""

    identity: Identity
    models: Models
    value: pd.DataFrame | FaceStatsError


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
    """

    def __init__(self, root: Path, encoding: Encoding, threads: int):
        self.root, self.encoding, self.threads = root, encoding, threads
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
        if before is not None and models is before.models:
            return Run(models, before.landmarkers, before.text, faces)
        folder = models.root / next(iter(models.parts.manifest.parts["landmarker"]))
        landmarkers: SimpleQueue[Landmarker] = SimpleQueue()
        same = before is not None and models.landmarker is before.models.landmarker
        if before is not None and same:
            landmarkers = before.landmarkers
        else:
            for _ in range(self.threads):
                landmarkers.put(Landmarker(folder.parent))
        run = Run(models, landmarkers, self._text(models, before), faces)
        _warm_up(models)
        return run

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
        path = self.root / METADATA / FINAL.name
        now, before = identity(path), self._table
        if before is not None and before.identity == now and before.models is models:
            return before.value
        value: pd.DataFrame | FaceStatsError
        try:
            table = tables.read_all(path, FINAL).set_index("filename", drop=False)
            if not table.index.isin(models.images.index).all():
                raise TableError(f"{FINAL.name} is of another run than the models")
            value = table
        except FaceStatsError as error:
            value = error
            if before is not None and isinstance(before.value, pd.DataFrame):
                value = before.value
        self._table = _Table(now, models, value)
        return value


def _warm_up(models: Models) -> None:
    """Load what is loaded late, so that the first request does not wait for it."""
    encoder = models.encoder
    grey = np.full((encoder.side, encoder.side, 3), 128, np.uint8)
    embed_batch(encoder, [grey])
    for name in ("regressor", "geometry", "blend", "attribute_models", "embeddings", "names"):
        try:
            getattr(models, name)
        except FaceStatsError:  # said to those who ask for it
            continue


def embed_batch(encoder: Any, pixels: list[np.ndarray]) -> np.ndarray:
    """Embed up to `batch_size` inputs, uint8 (side, side, 3), in one padded forward pass.

    Returns
    -------
    np.ndarray
        Float32 (n, d), unit norm.
    """
    import torch

    batch = np.zeros((encoder.batch_size, encoder.side, encoder.side, 3), np.uint8)
    np.stack(pixels, out=batch[: len(pixels)])
    embeddings = encoder.tower(torch.from_numpy(batch)).cpu().numpy()[: len(pixels)]
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def _or_raise(value: Any) -> Any:
    if isinstance(value, FaceStatsError):
        raise type(value)(*value.args)
    return value
