"""Score photos: one JSON object a line, with `image` and the keys of
`facestats.score_image`; or with --output a table, of a folder, too.

`score` is the holistic score, `geometric` that of the face's shape (with
geometry.appearance also its pixels), `combined` their mean by score.weights.
If one of the last two is missing it is null, and a warning says why. A score
predicts what the raters of the training data would say, not the worth of a
person. Faces that may be under score.min_age get no score: all scores are null,
and `withheld` says why. `age_checked` names what the age was checked by
(manual, label, copy, model); if nothing could, it is null, with a warning.

examples:
  python -m facestats score photo.jpg
  python -m facestats score photos/*.jpg > scores.jsonl
  python -m facestats score photos --output scores.csv --attributes

exit code: 0 all scored, 1 some not (their line has `error` or a `withheld` that
is not null), 2 wrong usage or no trained model
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facestats.core.files import temporary_name
from facestats.errors import ImageError, InputError, WithheldError, number_of
from facestats.machine.output import print_json, print_line, unwritten
from facestats.serving.loading import load_to_decode

HELP = "score photos: one JSON line each, or a table"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="image file; with --output a folder, too"
    )
    parser.add_argument("--output", metavar="FILE", help="a table: .csv, .xlsx or .parquet")
    parser.add_argument("--attributes", action="store_true", help="with --output: attributes, too")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE")
    parser.add_argument(
        "--root", help="project folder whose models are used (default: the nearest upwards)"
    )


def run(options: argparse.Namespace) -> int:
    if options.output is not None:
        return _table(options)
    if options.attributes:
        raise InputError("--attributes needs --output FILE")
    models = load_to_decode(options.root)
    _ = models.regressor  # without a model: one error, rather than one for each photo
    failed = 0
    for image in options.images:
        if Path(image).is_dir():
            raise InputError(f"{image} is a folder: name a table for its scores by --output FILE")
        try:
            score = models.score(image)
            result = score.to_dict()
            failed += score.withheld is not None
        except (ImageError, InputError, WithheldError) as error:
            result = {"error": str(error)}
            failed += 1
        print_json({"image": image, **result})
        if unwritten():  # the reader has gone
            break
    return 1 if failed else 0


def _table(options: argparse.Namespace) -> int:
    from facestats.serving.batch import BATCH, encoding, score_many
    from facestats.serving.loading import load_for

    path = Path(options.output)
    writers = _writers()
    if path.suffix.lower() not in writers:
        raise InputError(f"--output {path}: expected a file {', '.join(writers)}")
    _check_free(path, options.overwrite)
    _check_writable(path)
    one = options.images[0]
    folders = [image for image in options.images if Path(image).is_dir()]
    if folders and len(options.images) > 1:
        raise InputError(f"{folders[0]} is a folder: give it alone, or files only")
    models = load_for(options.root, encoding(BATCH))
    table = score_many(models, one if folders else options.images, options.attributes)
    _check_free(path, options.overwrite)  # it may have come meanwhile
    writers[path.suffix.lower()](path, table)
    failed, withheld = table["error"].notna(), table["withheld"].notna()
    for image, error in table.loc[failed, ["image", "error"]].itertuples(index=False):
        named = error if error.startswith(image) else f"{image}: {error}"
        print_line(named, sys.stderr)
    print_line(
        f"{path}: {number_of(len(table), 'photo')}, {int((~failed & ~withheld).sum())} scored, "
        f"{int(withheld.sum())} withheld, {int(failed.sum())} with an error"
    )
    return 1 if (failed | withheld).any() else 0


def _check_free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists; name another --output, or replace it with --overwrite")


def _check_writable(path: Path) -> None:
    """Check that a file can be written, before what takes time.

    Raises
    ------
    InputError
        The path is a folder, or one of its parents is none.
    OSError
        The system refuses a file there.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file")
    folder = next((parent for parent in path.parents if parent.exists()), Path())
    if not folder.is_dir():
        raise InputError(f"{path} can't be written: {folder} is no folder; name another file")
    temporary = temporary_name(folder / path.name)
    try:
        temporary.unlink(missing_ok=True)
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        error.filename = str(path)
        raise


def _writers() -> dict[str, Callable[[Path, Any], None]]:
    """By the file's ending, how a table is written."""
    from facestats.core.files import replacing, write_csv
    from facestats.export.excel import check_fits, write_workbook

    def workbook(path: Path, table: Any) -> None:
        check_fits(*table.shape)
        write_workbook(path, {"scores": table})

    def parquet(path: Path, table: Any) -> None:
        with replacing(path) as temporary:
            table.to_parquet(temporary, compression="zstd", index=False)

    return {".csv": write_csv, ".xlsx": workbook, ".parquet": parquet}
