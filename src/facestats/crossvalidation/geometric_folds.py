"""Predictions of the geometric score of each fold, as one stage hands them to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from facestats.core import tables
from facestats.crossvalidation.tables import GEOMETRIC


@dataclass
class GeometricFolds:
    """Predictions of the faces that a fold's models have not learned from.

    Attributes
    ----------
    table : DataFrame
        As `tables.GEOMETRIC`, without `target`.
    chance : list of float
        Mean r of the folds on permuted ratings.
    observed : float, optional
        Mean r of the folds.
    why : str, optional
        Why there is no geometric score.
    """

    table: pd.DataFrame
    chance: list[float] = field(default_factory=list)
    observed: float | None = None
    why: str | None = None

    def of(self, repeat: int, fold: int, names: pd.Index) -> pd.DataFrame:
        """`geometric_raw` and `geometry_zscore` of some faces as one fold predicts them."""
        rows = self.table[(self.table["repeat"] == repeat) & (self.table["fold"] == fold)]
        return rows.set_index("filename").reindex(names)


def save_geometric(path: Path, by_target: Mapping[str, GeometricFolds]) -> None:
    """Write predictions of several targets; see `load_geometric`."""
    details = {
        target: {"chance": folds.chance, "observed": folds.observed, "why": folds.why}
        for target, folds in by_target.items()
    }
    parts = [folds.table.assign(target=target) for target, folds in by_target.items()]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    tables.write(
        table.reindex(columns=list(GEOMETRIC.columns)),
        path,
        GEOMETRIC,
        {"facts": json.dumps(details, sort_keys=True)},
    )


def load_geometric(path: Path) -> dict[str, GeometricFolds]:
    """Read what `save_geometric` wrote, by target."""
    table = tables.read(path, GEOMETRIC)
    facts = json.loads(tables.file_metadata(path)["facts"])
    return {
        target: GeometricFolds(table[table["target"] == target].drop(columns="target"), **own)
        for target, own in facts.items()
    }
