"""The table of scores, one row a face."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facestats.core.stats.scale import to_decile, to_pct, to_score
from facestats.core.stats.verdict import Verdict, judge_scores
from facestats.core.tables.embeddings import Embeddings, EmbeddingTable
from facestats.scores.blending import BlendWeights, blend_weights
from facestats.scores.regressor import Regressor

_SCORES = (
    "attractiveness_raw",
    "attractiveness_score",
    "attractiveness_pct",
    "geometric_score",
    "combined_score",
    "geometry_zscore",
)


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
        By filename, ratings as predicted by models that never saw the face's own; they take the
        place of the model's.
    geometry : DataFrame, optional
        By filename, `geometric_raw` (ratings), `geometry_zscore` and `geometric_out_of_fold`; a
        face that is not in it has none.
    scale : (float, float), optional
        Ends of the raters' scale, which `geometric_raw` is on; None: nobody rated, and geometric
        scores are null.
    ages : DataFrame, optional
        By filename, `score_withheld` (why a face gets no score, null where it gets one) and
        `age_checked`; None: nobody's age was checked.

    Returns
    -------
    DataFrame
        In the schema `scores.tables.SCORES`, but for `combined_score`, for which weights are
        needed: null here.
    """
    n = len(filenames)
    unseen = (
        pd.Series(np.nan, filenames)
        if out_of_fold is None or model is None
        else out_of_fold.reindex(filenames)
    )
    empty = np.full(n, np.nan)
    table = pd.DataFrame(
        {
            "filename": filenames.to_numpy(),
            "attractiveness_raw": empty,
            "attractiveness_score": empty,
            "attractiveness_pct": empty,
            "attractiveness": pd.array([None] * n, dtype="Int32"),
            "geometric_score": empty,
            "combined_score": empty,
            "geometry_zscore": empty,
        }
    )
    if model is not None:
        assert model.scale is not None
        assert model.reference is not None
        raw = np.where(unseen.notna(), unseen, model.predict(embeddings))
        table["attractiveness_raw"] = raw
        table["attractiveness_score"] = to_score(raw, model.scale)
        table["attractiveness_pct"] = to_pct(raw, model.reference)
        table["attractiveness"] = to_decile(table["attractiveness_pct"])
    table["split"] = split.to_numpy()
    table["out_of_fold"] = unseen.notna().to_numpy()
    table["geometric_out_of_fold"] = False
    if geometry is not None:
        geometry = geometry.reindex(filenames)
        assert geometry is not None
        table["geometry_zscore"] = geometry["geometry_zscore"].to_numpy(float)
        if scale is not None:
            raw = geometry["geometric_raw"].to_numpy(float)
            table["geometric_score"] = to_score(raw, scale)
            table["geometric_out_of_fold"] = (
                np.isfinite(raw) & geometry["geometric_out_of_fold"].eq(True).to_numpy()
            )
    for column in ("score_withheld", "age_checked"):
        table[column] = pd.Series(
            np.nan if ages is None else ages[column].reindex(filenames).to_numpy(),
            index=table.index,
            dtype="object",
        )
    withheld = table["score_withheld"].notna()
    table.loc[withheld, [*_SCORES]] = np.nan
    table.loc[withheld, ["attractiveness"]] = None
    table.loc[withheld, ["out_of_fold", "geometric_out_of_fold"]] = False
    return table


@dataclass
class ScoredFaces:
    """The scores of all faces and what they are worth.

    Attributes
    ----------
    table : DataFrame
        In the schema `scores.tables.SCORES`, without `image`.
    weights : BlendWeights
        Of the combined score.
    verdicts : dict of Verdict
        By score.
    warnings : list of str
        What the user has to know.
    """

    table: pd.DataFrame
    weights: BlendWeights
    verdicts: dict[str, Verdict]
    warnings: list[str]

    def doubt(self) -> str | None:
        """What speaks against the holistic score; None where nothing does, or nobody has one."""
        return self.verdicts["holistic"].text if "holistic" in self.verdicts else None

    def summary(self) -> str:
        """How many faces have which score, in one line, and in a second the learned weights."""
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
) -> ScoredFaces:
    """Give every face all of its scores, and judge these.

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
    verdicts = judge_scores(table, ratings, persons, scale)
    warnings = [f"there is no combined score: {weighting.why}"] if weighting.why else []
    warnings += [verdict.text for verdict in verdicts.values() if verdict.text]
    return ScoredFaces(table, weighting, verdicts, warnings)


def index_text(filenames: pd.Series) -> str:
    """The text of `feature_index.json`.

    Each name's row, as `files.write_json` would write it, but without a loop in Python.
    """
    if filenames.empty:
        return "{}\n"
    places = dict(zip(filenames.tolist(), range(len(filenames)), strict=True))
    # json's encoder is written in C only for text without indent; a line break can't stand inside a
    # JSON string.
    text = json.dumps(places, ensure_ascii=False, separators=(",\n  ", ": "))
    return "{\n  " + text[1:-1] + "\n}\n"


def array_bytes(scores: pd.Series) -> bytes:
    """The scores as a float32 array in the format of NumPy's files."""
    buffer = io.BytesIO()
    np.save(buffer, scores.to_numpy(dtype=np.float32))
    return buffer.getvalue()
