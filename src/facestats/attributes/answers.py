"""All attributes of all faces: predictions, the value that counts, flags, proposals to label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from facestats.attributes import tables as schemas
from facestats.attributes.fairface import label_structure
from facestats.attributes.flags import flag_faces
from facestats.attributes.model import AttributeModel
from facestats.attributes.proposals import propose_labels
from facestats.attributes.resolution import predict_attributes, resolve, target_kinds
from facestats.attributes.zeroshot import (
    doubts_on_photographs,
    fill_gaps,
    thresholds_on_photographs,
    zeroshot_models,
)
from facestats.core.doubts import FACTS, are_photographs, drawn_share, mostly_drawn
from facestats.core.tables import Schema, doubts_metadata
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.prompts.zeroshot import PromptClassifier, find_strange_classes, is_tiny

COPIES = ["copy_group", "copy_rank"]
# Columns of `faces.parquet` that `answer_attributes` reads.
FACE_COLUMNS = ["filename", *FACTS, "image", "duplicate_of", "near_duplicate_of", *COPIES]


@dataclass
class Answers:
    """The attributes of every face.

    Attributes
    ----------
    attributes, predictions, with_manual, clean, flags : DataFrame
        The tables of the stage `attributes`; see `attributes.tables`.
    template : DataFrame
        Faces proposed for labelling.
    serving : dict
        What single photos need: which models are in use, and the share of drawings.
    doubts : dict of str
        Cautions about the answers of prompts, by attribute.
    warnings : list of str
        What the user should know.
    """

    attributes: pd.DataFrame
    predictions: pd.DataFrame
    with_manual: pd.DataFrame
    clean: pd.DataFrame
    flags: pd.DataFrame
    template: pd.DataFrame
    serving: dict[str, Any]
    doubts: dict[str, str]
    warnings: list[str]

    def tables(self) -> list[tuple[pd.DataFrame, Schema, dict[str, str] | None]]:
        """Every parquet table of the stage with its schema and the file's own metadata."""
        doubts = doubts_metadata(self.doubts)
        return [
            (self.attributes, schemas.ATTRIBUTES, None),
            (self.predictions, schemas.PREDICTIONS, doubts),
            (self.with_manual, schemas.WITH_MANUAL, None),
            (self.clean, schemas.CLEAN, doubts),
            (self.flags, schemas.FLAGS, None),
            (label_structure(), schemas.FAIRFACE, None),
        ]

    def summary(self) -> str:
        """Count faces, answers by source, and flags, in one line."""
        sources = [self.clean[column] for column in self.clean if column.endswith("_source")]
        counts = pd.concat(sources).value_counts().sort_index()
        shown = " ".join(f"{name}={n}" for name, n in counts.items())
        return f"faces={len(self.clean)} {shown} flags={len(self.flags)}"


def answer_attributes(
    embeddings: EmbeddingTable,
    trained: dict[str, AttributeModel],
    prompts: Mapping[str, PromptClassifier],
    labels: pd.DataFrame,
    faces: pd.DataFrame,
    out_of_fold: Mapping[str, pd.DataFrame],
    propose: int,
) -> Answers:
    """Answer all attributes of all faces.

    Parameters
    ----------
    embeddings : EmbeddingTable
        Of n faces.
    trained : dict of AttributeModel
        By target, trained or not.
    prompts : mapping of PromptClassifier
        By attribute; they answer where no model was trained.
    labels : DataFrame
        `labels.parquet`, with the names of the targets.
    faces : DataFrame
        Accepted faces with the columns `FACE_COLUMNS`.
    out_of_fold : mapping of DataFrame
        By target, out-of-fold predictions of train faces.
    propose : int
        Faces to propose for labelling.

    Returns
    -------
    Answers
    """
    names, by_name = embeddings.names, faces.set_index("filename")
    warnings = find_strange_classes({name: p.classes for name, p in prompts.items()}, labels)
    drawn = mostly_drawn(faces)
    photographs = are_photographs(by_name, drawn).reindex(names).to_numpy()
    copies = by_name[COPIES].reindex(names)
    labels = labels.set_index("filename")
    kinds, thresholds = target_kinds(trained), None
    prompted = zeroshot_models(prompts, kinds)
    if is_tiny(embeddings.metadata["weights_sha256"]):
        best = photographs & (copies["copy_rank"] == 1).to_numpy()
        thresholds = thresholds_on_photographs(prompted, embeddings, labels.reindex(names), best)
        prompted = zeroshot_models(prompts, kinds, on_photographs=thresholds)
    answering = fill_gaps(trained, prompted)
    doubts = doubts_on_photographs(
        {name: t for name, t in (thresholds or {}).items() if answering[name] is prompted[name]},
        int(photographs.sum()),
    )
    if doubts:
        warnings.append(doubts["zeroshot"])
    attributes, predictions = predict_attributes(names, embeddings, answering, photographs)
    sources = {target: model.source for target, model in answering.items()}
    with_manual, clean = resolve(attributes, labels, target_kinds(answering), sources)
    flags = flag_faces(faces, predictions, with_manual, trained, out_of_fold)
    for table in (attributes, predictions, with_manual, clean, flags):
        table.insert(1, "image", by_name["image"].reindex(table["filename"]).to_numpy())
    template = propose_labels(embeddings, predictions, clean, copies, answering, propose)
    serving = {
        "targets": sorted(trained),
        "drawn": drawn_share(faces),
        "mostly_drawn": drawn,
        "on_photographs": thresholds,
        "doubts": doubts,
    }
    return Answers(
        attributes, predictions, with_manual, clean, flags, template, serving, doubts, warnings
    )
