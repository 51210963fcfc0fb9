"""All parts of an export, checked before anything is written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from facestats.core.files import write_csv
from facestats.export.codebook import NAME as CODEBOOK
from facestats.export.codebook import codebook
from facestats.export.columns import describe, read_faces, truths_as_words
from facestats.export.excel import check_fits, write_workbook
from facestats.export.extra import extra
from facestats.export.figures import read_figures
from facestats.export.folder import check_target, remove_half_written, whole
from facestats.export.model import write_models
from facestats.export.shapes import write_embeddings, write_landmarks
from facestats.export.spss_stata import write_dta, write_sav
from facestats.serving.composites_manifest import CompositesManifest
from facestats.serving.manifest import check
from facestats.serving.models import Models

PARTS = ("tables", "landmarks", "embeddings", "model")
FORMATS = ("csv", "xlsx", "sav", "dta")
TABLE = "faces"
LICENCE = "other"  # as the Hub calls one that it has no name for


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes
    ----------
    folder : Path
    lines : list of str
        Each part in words.
    warning : str or None
        What is missing in it.
    """

    folder: Path
    lines: list[str]
    warning: str | None = None


def export(
    models: Models,
    folder: Path,
    parts: Collection[str] = PARTS,
    formats: Collection[str] = FORMATS,
    overwrite: bool = False,
    licence: str = LICENCE,
) -> Exported:
    """Write a project's results in the formats of other programs, whole or not at all.

    Parameters
    ----------
    models : Models
        Of the project.
    folder : Path
        Where they go.
    parts : collection of str
        Of `PARTS`.
    formats : collection of str
        Of the table: of `FORMATS`.
    overwrite : bool
        Replace an earlier export.
    licence : str
        Of the model, for its README.

    Returns
    -------
    Exported

    Raises
    ------
    InputError
        The folder is in use, a package of the extra is missing, or the table does not fit on a
        sheet.
    TableError
        A table is missing.
    ModelError
        There is no model, or a file is of another run.
    """
    remove_half_written(folder)
    check_target(folder, overwrite)
    figures = read_figures(models.root, models.parts.manifest.parts)
    if "model" in parts:
        extra("onnx", "the model's ONNX files", "--only tables,landmarks,embeddings")
    frame = columns = None
    if "tables" in parts:
        if "sav" in formats:
            extra("pyreadstat", "an SPSS file", "--formats csv,xlsx,dta")
        manifest = CompositesManifest.read(models)
        frame = read_faces(models.root)
        manifest.check_final()
        if "xlsx" in formats:
            check_fits(*frame.shape)
        columns = describe(frame, figures)
    lines = []
    with whole(folder, overwrite) as temporary:
        if frame is not None and columns is not None:
            book = codebook(columns, len(frame))
            write_csv(temporary / CODEBOOK, book)
            if "csv" in formats:
                write_csv(temporary / f"{TABLE}.csv", truths_as_words(frame))
            if "xlsx" in formats:
                write_workbook(temporary / f"{TABLE}.xlsx", {TABLE: frame, "codebook": book})
            if "sav" in formats:
                write_sav(temporary / f"{TABLE}.sav", frame, columns)
            if "dta" in formats:
                write_dta(temporary / f"{TABLE}.dta", frame, columns)
            names = ", ".join(f"{TABLE}.{one}" for one in FORMATS if one in formats)
            lines.append(f"{names}: {len(frame)} faces; {CODEBOOK}: {len(columns)} columns")
        if "landmarks" in parts:
            n = write_landmarks(
                temporary / "landmarks", models.root, models.serving["crop"]["size"]
            )
            lines.append(f"landmarks/: of {n} faces as CSV, TPS and .tem")
        if "embeddings" in parts:
            n = write_embeddings(temporary / "embeddings", models.root)
            lines.append(f"embeddings/: of {n} faces")
        if "model" in parts:
            heads = write_models(temporary / "model", models, figures, licence)
            lines.append(f"model/: {', '.join(heads)}")
        # Else a run that began meanwhile may have replaced what was read after the table.
        sources = {"landmarks": "faces", "embeddings": "embeddings", "model": "clip"}
        for part in filter(sources.get, parts):
            check(models.root, models.parts.manifest.parts[sources[part]])
    return Exported(folder, lines, figures.why)
