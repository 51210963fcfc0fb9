"""The labelled faces of a project: who counts, who teaches, and whose face each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.age.tables import AGE_CHECK
from facestats.core import tables
from facestats.core.stats.identity import IDENTITY, count_once, training_rows
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, PREFIX, SPLITS

RATING = "rating"
EXCLUDED = "excluded"


@dataclass
class Project:
    """The faces of a project, rows in the order of its embeddings, by filename.

    Attributes
    ----------
    embeddings : EmbeddingTable
    rows : DataFrame (n rows)
        As `identity.training_rows` gives it.
    labels : DataFrame (n rows)
        The table of labels.
    faces : DataFrame
        Accepted faces with the columns `identity.IDENTITY`.
    scale : (float, float), optional
        Ends of the raters' scale; None where nobody rated.
    """

    embeddings: EmbeddingTable
    rows: pd.DataFrame
    labels: pd.DataFrame
    faces: pd.DataFrame
    scale: tuple[float, float] | None

    @classmethod
    def read(cls, embeddings: Path, metadata: Path) -> Project:
        """Read the tables.

        Parameters
        ----------
        embeddings : Path
            `embeddings_clip.parquet`.
        metadata : Path
            Folder of the other tables.
        """
        vectors = EmbeddingTable(embeddings)
        names = vectors.names
        labels = tables.read_for(names, metadata / LABELS.name, LABELS)
        faces = tables.read(metadata / FACES.name, FACES, IDENTITY).dropna(subset="filename")
        rows = training_rows(
            labels[["rating", "person"]],
            tables.read_for(names, metadata / SPLITS.name, SPLITS)["split"],
            faces,
            tables.read(metadata / AGE_CHECK.name, AGE_CHECK),
        )
        scale = tables.rating_scale(metadata / LABELS.name)
        return cls(vectors, rows, labels, faces, scale)

    def rated(self, column: str) -> RatedFaces:
        """The faces with a rating that counts or teaches.

        Parameters
        ----------
        column : str
            `rating`, or that of a trait.
        """
        ratings = pd.to_numeric(self.labels.get(column, pd.Series(np.nan, self.rows.index)))
        split = self.rows["split"]
        ratings = ratings.mask(self.rows["minor"] | (split == EXCLUDED)).rename(column)
        once = count_once(ratings.to_frame(), self.faces)[column]
        chosen = ratings.notna()
        return RatedFaces(
            chosen.to_numpy(),
            ratings[chosen].astype(float),
            (once.notna() & self.rows["scored"])[chosen],
            self.rows["group"][chosen],
            stop_share(split[chosen]),
        )


@dataclass(frozen=True)
class RatedFaces:
    """Faces with a rating: `chosen` (bool) among all, and by filename what is known of them.

    `measured`: which of them count; the others teach only.
    """

    chosen: np.ndarray
    ratings: pd.Series
    measured: pd.Series
    groups: pd.Series
    stop_share: float


def stop_share(split: pd.Series) -> float:
    """Share of val among the labelled faces of train and val."""
    n_val, n_train = ((split == part).sum() for part in ("val", "train"))
    return float(n_val / max(n_val + n_train, 1))


def rated_columns(traits: Sequence[str]) -> list[str]:
    """The ratings that are scored: `rating`, and those of further traits of `score.traits`."""
    return [RATING, *(PREFIX + trait for trait in traits[1:])]
