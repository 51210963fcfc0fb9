"""The models and scores of one further trait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facestats.core import tables
from facestats.core.files import write_json
from facestats.core.stats.identity import IDENTITY, several_faces, training_rows
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.geometry.fitting import FittedGeometry, fit_geometry
from facestats.geometry.params import Geometry
from facestats.geometry.shapes import LandmarkTable
from facestats.labels.tables import LABELS, SPLITS
from facestats.labels.traits import PREFIX
from facestats.scores.blending import save_blend
from facestats.scores.fitting import FittedRegressor, fit_regressor
from facestats.scores.params import Mlp
from facestats.scores.scoring import ScoredFaces, score_faces
from facestats.traits.tables import MAIN, ONE_TRAIT


@dataclass
class FittedTrait:
    """The models of a trait, and the scores that they give every face.

    Attributes
    ----------
    name : str
        Of the trait.
    regressor : FittedRegressor
        Of the holistic score.
    geometry : FittedGeometry
        Of the geometric score.
    scored : ScoredFaces
        All scores, named as those of the main trait, and the verdicts on them.
    scale : (float, float), optional
        Ends of the raters' scale.
    """

    name: str
    regressor: FittedRegressor
    geometry: FittedGeometry
    scored: ScoredFaces
    scale: tuple[float, float] | None

    @property
    def warnings(self) -> list[str]:
        """What the user should know, each with the trait's name."""
        texts = [*self.regressor.warnings, *self.geometry.warnings, *self.scored.warnings]
        return [f"{self.name}: {text}" for text in texts]

    def write(self, folder: Path) -> None:
        """Write models, scores and what is known of the training into a folder of their own."""
        folder.mkdir(parents=True, exist_ok=True)
        self.regressor.save(folder / "regressor.pt")
        self.geometry.model.save(folder / "geometry.safetensors")
        save_blend(folder / "blend.json", self.scored.weights, self.scale, self.scored.verdicts)
        facts = {"trained": self.regressor.model is not None, "why": self.regressor.why}
        write_json(folder / "training.json", facts | self.regressor.counts)
        own = self.scored.table.rename(columns={main: name for name, main in MAIN.items()})
        doubts = {f"{self.name}_decile": text for text in self.scored.doubts().values()}
        tables.write(
            own[[*ONE_TRAIT.fields]],
            folder / ONE_TRAIT.name,
            ONE_TRAIT,
            tables.doubts_metadata(doubts),
        )

    def summary(self) -> str:
        """Count the faces with each score, in one line."""
        return f"{self.name}: {self.scored.summary()}"


def read_rows(
    trait: str, names: pd.Index, labels: Path, splits: Path, faces: Path, ages: pd.DataFrame
) -> pd.DataFrame:
    """Read what decides which faces a trait's scores learn from, as `identity.training_rows`.

    Parameters
    ----------
    trait : str
    names : Index
        Filenames, in the order of the embeddings.
    labels, splits, faces : Path
        The tables.
    ages : DataFrame
        `age_check.parquet`.
    """
    split, column = tables.read_for(names, splits, SPLITS)["split"], PREFIX + trait
    known = tables.read_for(names, labels, LABELS, ["person", column])
    accepted = tables.read(faces, FACES, IDENTITY).dropna(subset="filename")
    return training_rows(known.rename(columns={column: "rating"}), split, accepted, ages)


def fit_trait(
    name: str,
    options: tuple[Mlp, Geometry, Mapping[str, float] | str],
    embeddings: EmbeddingTable,
    shapes: LandmarkTable,
    crops: Path,
    faces: pd.DataFrame,
    ages: pd.DataFrame,
    scale: tuple[float, float] | None,
) -> FittedTrait:
    """Train holistic and geometric score of a trait, and score every face.

    Parameters
    ----------
    name : str
        Of the trait.
    options : (Mlp, Geometry, mapping or str)
        The sections `mlp` (its `pretrained` is of the main trait, and not used) and `geometry` of
        `params.yaml`, and `score.weights`.
    embeddings : EmbeddingTable
        Of n faces.
    shapes : LandmarkTable
        Of the same faces, in any order.
    crops : Path
        Folder of the face crops.
    faces : DataFrame (n rows)
        As `read_rows` gives them.
    ages : DataFrame
        `age_check.parquet`.
    scale : (float, float), optional
        Ends of the raters' scale.

    Returns
    -------
    FittedTrait
    """
    mlp, of_geometry, weights = options
    mlp = mlp.model_copy(update={"pretrained": None})
    regressor = fit_regressor(mlp, embeddings, faces, scale, name="the holistic score")
    rows = faces.reindex(shapes.rows["filename"])
    rows["rating"] = rows["rating"].mask(rows["minor"])
    geometry = fit_geometry(of_geometry, shapes, crops, rows)
    scored = score_faces(
        embeddings,
        regressor.model,
        weights,
        faces.assign(person=several_faces(faces["group"])),
        regressor.out_of_fold.set_index("filename")["attractiveness_raw"],
        geometry.rows.set_index("filename").reindex(embeddings.names),
        ages.set_index("filename"),
        scale,
        geometry.model.why,
    )
    return FittedTrait(name, regressor, geometry, scored, scale)
