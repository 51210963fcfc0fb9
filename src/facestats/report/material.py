"""What the report is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from facestats.report.model_card import Run

if TYPE_CHECKING:
    from facestats.params.project import Params


@dataclass(frozen=True)
class Material:
    """Parameters, metrics, tables and the folders that pictures come from.

    Attributes
    ----------
    run : what the model card is written from, too.
    clusters : `metrics/clusters.json`.
    faces : `image`, `status`, `reason`, `duplicate_of`, `near_duplicate_of`, `face_count` of `faces.parquet`.
    final : `filename`, `cluster`, `attractiveness_score`, `rating` and `<attribute>_final` of `attributes_final.parquet`.
    doubts : what is doubtful about its columns, by attribute, and about prompts in general (`zeroshot`).
    flags : `attributes_flags.parquet`.
    proposed : file names of `labels_template.csv`, in its order.
    examples : faces of each cluster by number, the most typical first.
    crops, rejected, composites, metrics : folders.
    """

    params: Params
    run: Run
    clusters: dict
    faces: pd.DataFrame
    final: pd.DataFrame
    flags: pd.DataFrame
    proposed: list[str]
    examples: Mapping[int, list[str]]
    crops: Path
    rejected: Path
    composites: Path
    metrics: Path
    doubts: Mapping[str, str] = field(default_factory=dict)


def without_folder(value: str) -> str:
    """A path that tells nothing of this machine: of an absolute one the last part."""
    return f"…/{Path(value).name}" if value.startswith(("/", "~")) else value
