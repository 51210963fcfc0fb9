"""The scores of all faces: computing them, judging them, and their tables."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.attributes.tables import CLEAN
from facestats.core import tables
from facestats.core.files import replacing, write_bytes
from facestats.core.stats.scale import DECILE, to_decile, to_pct, to_score
from facestats.core.stats.shared import coded, read_shared
from facestats.core.stats.verdict import Verdict, crossvalidated_evidence, judge_scores
from facestats.core.tables import AGE_COLUMNS
from facestats.core.tables.blocks import BLOCK
from facestats.core.tables.embeddings import Embeddings, EmbeddingTable
from facestats.core.tables.names import positions
from facestats.core.tables.steps import Source, in_step
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS
from facestats.machine.output import visible
from facestats.scores.blending import BlendWeights, blend_weights, save_blend
from facestats.scores.regressor import Regressor
from facestats.scores.tables import SCORES, SCORES_WITH_ATTRIBUTES

_SCORES = (
    "attractiveness_raw",
    "attractiveness_score",
    "attractiveness_pct",
    "geometric_score",
    "combined_score",
    "geometry_zscore",
)
_OUT_OF_FOLD = ("out_of_fold", "geometric_out_of_fold")


def score_table(
    filenames: pd.Index,
    embeddings: Embeddings,
    model: Regressor | None,
    split: pd.Series,
    out_of_fold: pd.Series | None = None,
    geometry: pd.DataFrame | None = None,
    scale: tuple[float, float] | None = None,
    ages: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Score every face.

    Parameters
    ----------
    filenames : Index
        N names, the rows of `embeddings` (n, d), which may stay on disk.
    model : Regressor, optional
        None: every score is null.
    split : Series
        `train`, `val`, `test` or `excluded` of each face.
    out_of_fold : Series, optional
        By filename, out-of-fold predictions; they replace the model's.
    geometry : DataFrame, optional
        By filename, `geometric_raw` (ratings), `geometry_zscore` and `geometric_out_of_fold`;
        faces that it lacks have none.
    scale : (float, float), optional
        Ends of the raters' scale, for `geometric_raw`; None: nobody rated, and geometric scores
        are null.
    ages : DataFrame, optional
        By filename, `score_withheld` (why a face gets no score, null where it gets one) and
        `age_checked`; None: nobody's age was checked.

    Returns
    -------
    DataFrame
        As `scores.tables.SCORES`. `combined_score`, which needs weights, is null.
    """
    n = len(filenames)
    columns: dict[str, Any] = {"filename": filenames.array}
    columns |= {name: np.full(n, np.nan) for name in _SCORES[:3]}
    columns[DECILE] = pd.array(np.zeros(n, np.int32), dtype="Int32")
    columns |= {name: np.full(n, np.nan) for name in _SCORES[3:]}
    columns |= {"split": split.array, **{name: np.zeros(n, bool) for name in _OUT_OF_FOLD}}
    if model is not None:
        _add_holistic(columns, filenames, model, embeddings, out_of_fold)
    if geometry is not None:
        _add_geometric(columns, geometry.reindex(filenames), scale)
    for column in AGE_COLUMNS:
        columns[column] = (
            pd.Series(np.nan, range(n), dtype="object")
            if ages is None
            else ages[column].reindex(filenames)
        ).array
    withheld = ~pd.isna(columns["score_withheld"])
    for name in _SCORES:
        columns[name][withheld] = np.nan
    for name in _OUT_OF_FOLD:
        columns[name][withheld] = False
    columns[DECILE][slice(None) if model is None else withheld] = pd.NA
    return pd.DataFrame(columns, copy=False)


def _add_holistic(
    columns: dict[str, Any],
    filenames: pd.Index,
    model: Regressor,
    embeddings: Embeddings,
    out_of_fold: pd.Series | None,
) -> None:
    """Put the holistic score into the columns, out of fold where there is such a prediction."""
    assert model.scale is not None
    assert model.reference is not None
    raw = model.predict(embeddings)
    if out_of_fold is not None:
        known = out_of_fold.dropna()
        places = positions(filenames, known.index)
        unseen = places >= 0
        columns["out_of_fold"] = unseen
        raw[unseen] = known.to_numpy(float)[places[unseen]]
    columns["attractiveness_raw"] = raw
    columns["attractiveness_score"] = to_score(raw, model.scale)
    columns["attractiveness_pct"] = to_pct(raw, model.reference)
    columns[DECILE] = pd.array(to_decile(columns["attractiveness_pct"]), dtype="Int32")


def _add_geometric(
    columns: dict[str, Any], geometry: pd.DataFrame, scale: tuple[float, float] | None
) -> None:
    """Put the geometric score and the z-score of the same rows into the columns."""
    columns["geometry_zscore"] = geometry["geometry_zscore"].to_numpy(float, copy=True)
    if scale is None:
        return
    raw = geometry["geometric_raw"].to_numpy(float)
    columns["geometric_score"] = to_score(raw, scale)
    is_out_of_fold = geometry["geometric_out_of_fold"].eq(True).to_numpy()
    columns["geometric_out_of_fold"] = np.isfinite(raw) & is_out_of_fold


@dataclass
class ScoredFaces:
    """The scores of all faces, and the verdicts on them.

    Attributes
    ----------
    table : DataFrame
        As `scores.tables.SCORES`, without `image`.
    weights : BlendWeights
        Of the combined score.
    verdicts : dict of Verdict
        By score.
    warnings : list of str
        What the user should know.
    scale : (float, float), optional
        Ends of the raters' scale.
    """

    table: pd.DataFrame
    weights: BlendWeights
    verdicts: dict[str, Verdict]
    warnings: list[str]
    scale: tuple[float, float] | None = None

    def doubts(self) -> dict[str, str]:
        """The doubt about the holistic score, by the name of its column; empty without one."""
        text = self.verdicts["holistic"].text if "holistic" in self.verdicts else None
        return {"attractiveness": text} if text else {}

    def write(self, metadata: Path, array: Path, blend: Path) -> None:
        """Write the tables of the scores, the index of their rows, their array, and the weights.

        Parameters
        ----------
        metadata : Path
            Folder of the tables; `attributes_clean.parquet` is there.
        array : Path
            `attractiveness_scores.npy`.
        blend : Path
            `blend.json`: weights and verdicts, for single photos.
        """
        doubts = tables.doubts_metadata(self.doubts())
        joined = metadata / SCORES_WITH_ATTRIBUTES.name
        with (
            tables.writing(metadata / SCORES.name, SCORES, doubts) as of_scores,
            tables.writing(joined, SCORES_WITH_ATTRIBUTES) as of_both,
        ):
            for read in in_step(scores=self.table, clean=Source(metadata / CLEAN.name, CLEAN)):
                few = read["scores"].select_dtypes("category")
                scores = read["scores"].astype(dict.fromkeys(few, "str"))
                both = scores.merge(read["clean"], on="filename", how="left")
                of_scores.write(both[[*scores, "image"]])
                of_both.write(both)
        write_index(metadata / "feature_index.json", self.table["filename"])
        write_bytes(array, array_bytes(self.table["attractiveness_score"]))
        save_blend(blend, self.weights, self.scale, self.verdicts)

    def summary(self) -> str:
        """Count the faces with each score, in one line; a second has the learned weights."""
        counts = {
            "rows": len(self.table),
            "scored": self.table["attractiveness_score"].notna().sum(),
            "geometric": self.table["geometric_score"].notna().sum(),
            "combined": self.table["combined_score"].notna().sum(),
            "withheld": self.table["score_withheld"].notna().sum(),
            "out_of_fold": self.table["out_of_fold"].sum(),
        }
        line = " ".join(f"{name}={n}" for name, n in counts.items())
        if not self.weights.learned or self.weights.why:
            return line
        return (
            f"{line}\n  weights learned from {self.weights.n_val} val faces: "
            f"geometric {self.weights.geometric:.3f}, holistic {self.weights.holistic:.3f}"
        )


def read_rated(names: pd.Index, metadata: Path) -> pd.DataFrame:
    """Read what scores are judged by.

    Parameters
    ----------
    names : Index
        n filenames, in the order of the embeddings.
    metadata : Path
        Folder of the tables.

    Returns
    -------
    DataFrame (n rows)
        `rating`, `person` and `split`, as `score_faces` takes them.
    """
    faces = tables.read_for(names, metadata / LABELS.name, LABELS, ["rating", "person"])
    shared = read_shared(metadata / FACES.name, FACES, faces["person"])
    split = read_texts(names, metadata / SPLITS.name, SPLITS, ["split"])["split"]
    return faces.assign(person=coded(names, shared), split=split)


def read_texts(
    names: pd.Index, path: Path, schema: tables.Schema, columns: list[str]
) -> pd.DataFrame:
    """See `tables.read_for`; columns of few different texts become categories."""
    return tables.read_for(names, path, schema, columns).astype("category")


def score_faces(
    embeddings: EmbeddingTable,
    model: Regressor | None,
    weights: Mapping[str, float] | str,
    faces: pd.DataFrame,
    out_of_fold: pd.Series,
    geometry: pd.DataFrame,
    ages: pd.DataFrame,
    scale: tuple[float, float] | None,
    missing: str | None = None,
    crossvalidated: Mapping | None = None,
) -> ScoredFaces:
    """Give every face all of its scores, and a verdict on each score.

    Parameters
    ----------
    embeddings : EmbeddingTable
        Of n faces.
    model, out_of_fold, geometry, ages, scale
        See `score_table`.
    weights : mapping or str
        Shares of `geometric` and `holistic` in the combined score, or `learned`.
    faces : DataFrame (n rows)
        `split`, `rating` (null where nobody rated) and `person` (whose face it is; null where a
        face is a person of its own).
    missing : str, optional
        Why there are no geometric scores, where it is known.
    crossvalidated : mapping, optional
        `rating` of `metrics/crossvalidated.json`, to judge the scores by.

    Returns
    -------
    ScoredFaces
    """
    split, ratings, persons = faces["split"], faces["rating"], faces["person"]
    table = score_table(
        embeddings.names, embeddings, model, split, out_of_fold, geometry, scale, ages
    )
    weighting = blend_weights(weights, table, ratings, scale, missing)
    combined = weighting(table["geometric_score"], table["attractiveness_score"])
    table = table.assign(combined_score=combined)
    evidence = crossvalidated_evidence(crossvalidated) if crossvalidated else None
    verdicts = judge_scores(table, ratings, persons, scale, evidence)
    warnings = [f"there is no combined score: {weighting.why}"] if weighting.why else []
    warnings += [verdict.text for verdict in verdicts.values() if verdict.text]
    return ScoredFaces(table, weighting, verdicts, warnings, scale)


def write_index(path: Path, filenames: pd.Series) -> None:
    """Write `feature_index.json`: the row of each name.

    It is what `files.write_json` would write, but without a loop in Python, block by block.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(b"{")
        for start in range(0, len(filenames), BLOCK):
            names = filenames.iloc[start : start + BLOCK]
            places = dict(zip(names.tolist(), range(start, start + len(names)), strict=True))
            # json encodes in C only without indent; no line break occurs inside a JSON string.
            text = visible(json.dumps(places, ensure_ascii=False, separators=(",\n  ", ": ")))
            comma = "," if start else ""
            file.write(f"{comma}\n  {text[1:-1]}".encode(errors="backslashreplace"))
        file.write(b"\n}\n" if len(filenames) else b"}\n")


def array_bytes(scores: pd.Series) -> bytes:
    """Write the scores as a float32 array in NumPy's file format."""
    buffer = io.BytesIO()
    np.save(buffer, scores.to_numpy(dtype=np.float32))
    return buffer.getvalue()
