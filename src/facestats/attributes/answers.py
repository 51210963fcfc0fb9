"""All attributes of all faces: predictions, the value that counts, flags, proposals to label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from facestats.attributes import tables as schemas
from facestats.attributes.fairface import label_structure
from facestats.attributes.flags import flag_faces
from facestats.attributes.model import AttributeModel
from facestats.attributes.proposals import DRAWN, MOST, propose_labels
from facestats.attributes.resolution import STANDARD, predict_batches, resolve, target_kinds
from facestats.attributes.zeroshot import (
    Model,
    doubts_on_photographs,
    fill_gaps,
    thresholds_on_photographs,
    zeroshot_models,
)
from facestats.core import tables
from facestats.core.doubts import are_photographs, drawn_share, mostly_drawn
from facestats.core.tables import doubts_metadata
from facestats.core.tables.blocks import BLOCK
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.names import look_up
from facestats.prompts.zeroshot import PromptClassifier, find_strange_classes, is_tiny

COPIES = ["copy_group", "copy_rank"]
# Columns of `faces.parquet` that `answer_attributes` reads.
FACE_COLUMNS = ["filename", "image", "drawing", "duplicate_of", "near_duplicate_of", *COPIES]


@dataclass
class Answers:
    """What is known of the attributes once the tables of all faces are written.

    Attributes
    ----------
    flags : int
        Their number.
    template : DataFrame
        Faces proposed for labelling.
    serving : dict
        What single photos need: which models are in use, and the share of drawings.
    warnings : list of str
        What the user should know.
    faces : int
        Their number.
    sources : Series of int
        How many answers are from each source.
    """

    flags: int
    template: pd.DataFrame
    serving: dict[str, Any]
    warnings: list[str]
    faces: int
    sources: pd.Series

    def summary(self) -> str:
        """Count faces, answers by source, and flags, in one line."""
        shown = " ".join(f"{name}={n}" for name, n in self.sources.items())
        line = f"faces={self.faces} {shown} flags={self.flags}"
        return line + (f" weighed_for_labels={DRAWN}" if self.faces > MOST else "")


def answer_attributes(
    embeddings: EmbeddingTable,
    trained: dict[str, AttributeModel],
    prompts: Mapping[str, PromptClassifier],
    labels: pd.DataFrame,
    faces: pd.DataFrame,
    doubtful: Iterable[tuple[str, pd.Series, bool]],
    out_of_fold: Mapping[str, pd.DataFrame],
    propose: int,
    folder: Path,
) -> Answers:
    """Answer all attributes of all faces, and write the tables of the stage.

    Parameters
    ----------
    embeddings : EmbeddingTable
        Of n faces.
    trained : dict of AttributeModel
        By target, trained or not.
    prompts : mapping of PromptClassifier
        By attribute; they answer where no model was trained.
    labels : DataFrame
        See `read_known`, with the names of the targets.
    faces : DataFrame
        Accepted faces with the columns `FACE_COLUMNS`.
    doubtful : iterable
        Doubts about their pictures, by filename; see `core.doubts.doubtful_faces`.
    out_of_fold : mapping of DataFrame
        By target, out-of-fold predictions of train faces.
    propose : int
        Faces to propose for labelling.
    folder : Path
        Where the tables are written.

    Returns
    -------
    Answers
    """
    names, by_name = embeddings.names, faces.set_index("filename")
    warnings = find_strange_classes({name: p.classes for name, p in prompts.items()}, labels)
    drawn = mostly_drawn(faces)
    photographs = are_photographs(by_name, drawn).reindex(names).to_numpy()
    copies = by_name[COPIES].reindex(names)
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
    kept, sources = _write_tables(
        folder, names, by_name["image"].reindex(names), labels, answering,
        predict_batches(names, embeddings, answering, photographs), doubts_metadata(doubts),
    )  # fmt: skip
    del labels
    n_flags = _write_flags(folder, faces, doubtful, kept, trained, out_of_fold)
    serving = {
        "targets": sorted(trained),
        "drawn": drawn_share(faces),
        "mostly_drawn": drawn,
        "on_photographs": thresholds,
        "doubts": doubts,
    }
    del faces, by_name  # a gigabyte, of ten million
    template = propose_labels(
        embeddings, kept["predictions"], kept["clean"], copies, answering, propose
    )
    tables.write(label_structure(), folder / schemas.FAIRFACE.name, schemas.FAIRFACE)
    return Answers(n_flags, template, serving, warnings, len(names), sources)


def _write_flags(
    folder: Path,
    faces: pd.DataFrame,
    doubtful: Iterable[tuple[str, pd.Series, bool]],
    kept: dict[str, pd.DataFrame],
    trained: dict[str, AttributeModel],
    out_of_fold: Mapping[str, pd.DataFrame],
) -> int:
    """Write the table of flags; gives their number. The labels in `kept` are gone afterwards."""
    predictions, labels = kept["predictions"], kept.pop("with_manual")
    flags = flag_faces(faces, doubtful, predictions, labels, trained, out_of_fold)
    del labels
    flags.insert(1, "image", look_up(flags["filename"], faces.set_index("filename")["image"]))
    rows = (flags[start : start + BLOCK] for start in range(0, max(len(flags), 1), BLOCK))
    blocks = (some.assign(reason=some["reason"].astype("str")) for some in rows)
    return tables.write_blocks(blocks, folder / schemas.FLAGS.name, schemas.FLAGS)[0]


def _write_tables(
    folder: Path,
    names: pd.Index,
    images: pd.Series,
    labels: pd.DataFrame,
    models: dict[str, Model],
    predicted: Iterator[tuple[pd.DataFrame, pd.DataFrame]],
    doubts: Mapping[str, str],
) -> tuple[dict[str, pd.DataFrame], pd.Series]:
    """Write the tables of all faces, block by block.

    Parameters
    ----------
    folder : Path
    names, images
        Of n faces.
    labels : DataFrame
        By filename.
    models : dict
        Those that answer, by target.
    predicted : iterator
        Blocks of answers, and of answers with probabilities.
    doubts : mapping
        Metadata of the tables with doubtful columns.

    Returns
    -------
    kept : dict of DataFrame
        `predictions`, `with_manual` and `clean`: the columns that flags and proposals need.
    sources : Series of int
        How many answers are from each source.
    """
    kinds = target_kinds(models)
    own = {target: model.source for target, model in models.items()}
    parts: list[list[pd.DataFrame]] = [[], [], []]
    counts, start = [], 0
    with ExitStack() as stack:
        writers = [
            stack.enter_context(tables.writing(folder / schema.name, schema, facts))
            for schema, facts in (
                (schemas.ATTRIBUTES, None),
                (schemas.PREDICTIONS, doubts),
                (schemas.WITH_MANUAL, None),
                (schemas.CLEAN, doubts),
            )
        ]
        for attributes, predictions in predicted:
            rows = slice(start, start + len(attributes))
            start += len(attributes)
            with_manual, clean = resolve(attributes, labels.reindex(names[rows]), kinds, own)
            frames = attributes, predictions, with_manual, clean
            for writer, frame in zip(writers, frames, strict=True):
                frame.insert(1, "image", images.iloc[rows].to_numpy())
                writer.write(frame)
            for part, frame in zip(parts, frames[1:], strict=True):
                part.append(_needed(frame, models))
            counts.append(_count_sources(clean))
    kept = {}
    for name in ("predictions", "with_manual", "clean"):
        kept[name] = pd.concat(parts.pop(0), ignore_index=True)
        kept[name].insert(0, "filename", names.array)
    kept["clean"].insert(1, "image", images.array)
    return kept, pd.concat(counts).groupby(level=0).sum().sort_index()


def _needed(frame: pd.DataFrame, models: Mapping[str, Model]) -> pd.DataFrame:
    """The columns of trained and standard targets: answers that are numbers, and all else."""
    targets = {*STANDARD, *(name for name, model in models.items() if model.source != "zeroshot")}
    columns = [
        name
        for name in frame.columns[2:]
        if any(name == target or name.startswith(f"{target}_") for target in targets)
        and (name not in targets or frame[name].dtype.kind == "f")
    ]
    return frame[columns].copy()  # a part of a frame keeps all of it in memory


def _count_sources(clean: pd.DataFrame) -> pd.Series:
    sources = [clean[column] for column in clean if column.endswith("_source")]
    return pd.concat(sources).value_counts()
