"""Write the results of a project in the formats of other programs.

tables      faces.csv, .xlsx, .sav (SPSS) and .dta (Stata): attributes and scores,
            and codebook.csv, which says what each column is
landmarks   of all faces as CSV, TPS and .tem
embeddings  as .npy, and whose they are
model       a folder that needs no FaceStats: ONNX, safetensors, a model card

The folder is written whole or not at all.

Needs the extra: pip install 'facestats[export]'

examples:
  python -m facestats export
  python -m facestats export ../analysis --only tables --formats csv,sav
  python -m facestats export --overwrite

exit code: 0 written, 2 wrong usage or nothing to export (the folder is as before)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from facestats.errors import InputError, suggestion
from facestats.machine.output import print_line

HELP = "tables, landmarks, embeddings and models for other programs"
DEFAULT = "export"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        help=f"where it goes (default: {DEFAULT} in the project)",
    )
    parser.add_argument(
        "--only", metavar="PARTS", help="of tables,landmarks,embeddings,model (default: all)"
    )
    parser.add_argument(
        "--formats", metavar="FORMATS", help="of the tables: csv,xlsx,sav,dta (default: all)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    parser.add_argument(
        "--license", default="other", help="of the model, for its card (default: other)"
    )
    parser.add_argument(
        "--root", help="project folder whose results are used (default: the nearest upwards)"
    )


def run(options: argparse.Namespace) -> int:
    from facestats.export.project import FORMATS, PARTS, export
    from facestats.serving.loading import load

    parts = _chosen("--only", options.only, PARTS)
    formats = _chosen("--formats", options.formats, FORMATS)
    models = load(options.root)
    folder = Path(options.folder) if options.folder else models.root / DEFAULT
    done = export(models, folder, parts, formats, options.overwrite, options.license)
    print_line(f"{done.folder}")
    for line in done.lines:
        print_line(f"  {line}")
    if done.warning:
        print_line(f"  WARNING: {done.warning}")
    return 0


def _chosen(option: str, text: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """The words of an option, separated by commas."""
    if text is None:
        return known
    words = [word for word in text.replace(" ", ",").split(",") if word]
    for word in words:
        if word not in known:
            hint = suggestion(word, known)
            raise InputError(f"{option}: {word} is none of {', '.join(known)}.{hint}")
    if not words:
        raise InputError(f"{option}: name at least one of {', '.join(known)}")
    return tuple(words)
