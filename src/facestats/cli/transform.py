"""Move faces in their photos: along the difference of two composites, towards
symmetry, away from a mean, or on to another face. The photo keeps its size, and
all that lies further from the face than about an eye distance.

Beside the pictures goes a sheet, stimuli.csv: how each was made, and its
measurements and scores before and after.

examples:
  python -m facestats transform photo.jpg --along women_minus_men --shape 0.5 --output out.jpg
  python -m facestats transform photos --along women_minus_men --colour -0.5 --output out
  python -m facestats transform photo.jpg --symmetric shape --amount 0.5 --output even.png
  python -m facestats transform photo.jpg --caricature 0.5 --mean women --output more.jpg
  python -m facestats transform photo.jpg --along score --orthogonal age --shape 1 --output up.jpg
  python -m facestats transform photo.jpg --to women --steps 5 --output towards

exit code: 0 all done, 1 some not (their row has `error`), 2 wrong usage
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from facestats.core.files import temporary_name, write_bytes, write_csv
from facestats.core.photo_files import list_images
from facestats.errors import InputError
from facestats.machine.output import print_line

HELP = "move faces in shape, colour and texture: stimuli"
SUFFIXES = (".jpg", ".jpeg", ".png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image file, or a folder")
    ways = parser.add_mutually_exclusive_group(required=True)
    ways.add_argument("--along", metavar="DIFFERENCE", help="a difference of params.yaml, or score")
    ways.add_argument("--symmetric", metavar="WHAT", help="shape, colour or both")
    ways.add_argument(
        "--caricature", type=float, metavar="SHARE", help="exaggerate what differs from --mean"
    )
    ways.add_argument("--to", metavar="FACE", help="a photo, or a composite's name: a continuum")
    parser.add_argument("--shape", type=float, default=0.0, help="-2 to 2 (default: 0)")
    parser.add_argument("--colour", type=float, default=0.0, help="-2 to 2 (default: 0)")
    parser.add_argument("--texture", type=float, default=0.0, help="-2 to 2 (default: 0)")
    parser.add_argument(
        "--amount", type=float, default=1.0, help="of --symmetric; 1 is wholly (default: 1)"
    )
    parser.add_argument("--mean", metavar="COMPOSITE", help="what --caricature leads away from")
    parser.add_argument(
        "--orthogonal",
        metavar="ATTRIBUTES",
        help="attributes to keep constant along score, as gender,age",
    )
    parser.add_argument("--steps", type=int, default=7, help="pictures of --to (default: 7)")
    parser.add_argument(
        "--output", required=True, metavar="OUT", help="a .jpg or .png file, or a folder"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument(
        "--root", help="project folder whose models are used (default: the nearest upwards)"
    )


def run(options: argparse.Namespace) -> int:
    from facestats.params.errors import checked_options
    from facestats.serving.loading import load_to_decode
    from facestats.serving.stimuli import Mover
    from facestats.serving.stimulus_files import SHEET, check_free, write_stimuli
    from facestats.stimuli.params import How

    out = Path(options.output)
    if options.to is not None:
        return _continuum(options, out)
    given = {name: getattr(options, name) for name in How.model_fields}
    given["orthogonal"] = [name for name in (options.orthogonal or "").split(",") if name]
    how = checked_options(How, given)
    models = load_to_decode(options.root)
    mover = Mover(models, how)
    one = len(options.images) == 1 and not Path(options.images[0]).is_dir()
    if one and out.suffix.lower() in SUFFIXES:
        photos = [(options.images[0], models.photo(options.images[0]), out)]
        sheet = out.with_suffix(".csv")
    else:
        photos, sheet = list(_photos(models, options.images, out)), out / SHEET
    check_free([sheet, *(target for _, _, target in photos)], options.overwrite)
    failed, folder = 0, sheet.parent
    with _whole(out, folder, options.overwrite) as temporary:
        drawn = [(name, source, temporary / t.relative_to(folder)) for name, source, t in photos]
        for row in write_stimuli(mover, drawn, temporary / sheet.name):
            failed += row["error"] is not None
            done = row["error"] or row["stimulus"] + _scores(row)
            print_line(f"{row['image']}: {done}", sys.stderr)
    if failed == len(photos):
        return 1
    print_line(str(sheet))
    return 1 if failed else 0


@contextmanager
def _whole(out: Path, folder: Path, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder in `folder`, and move what was written there to its place at the end.

    A run that stops leaves nothing that another one would have to replace, and what came there
    meanwhile stays, unless it may be replaced.
    """
    from facestats.export.folder import remove_half_written
    from facestats.serving.stimulus_files import check_free

    new, temporary = not folder.exists(), temporary_name(folder / out.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_half_written(folder / out.name)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
    except OSError as error:
        error.filename = str(out)
        raise
    try:
        yield temporary
        written = sorted(path for path in temporary.rglob("*") if path.is_file())
        check_free((folder / path.relative_to(temporary) for path in written), overwrite)
        for path in written:
            target = folder / path.relative_to(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # not empty
            if new:
                folder.rmdir()


def _scores(row: dict[str, Any]) -> str:
    """The geometric score before and after."""
    if "geometric" not in row:
        return ""
    return f" (geometric score {row['geometric_before']:.1f} to {row['geometric']:.1f})"


def _photos(models: Any, images: list[str], out: Path) -> Any:
    """Name, source and target of each photo, folders entered."""
    from facestats.serving.stimulus_files import stimulus_name

    if out.suffix.lower() in SUFFIXES:
        raise InputError(f"{out} names a file, but there are several photos; name a folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is no folder; name another --output")
    seen: dict[Path, str] = {}
    for image in images:
        folder = Path(image)
        names = list_images(folder) if folder.is_dir() else [None]
        for name in names:
            source = str(folder / name) if name else image
            target = out / stimulus_name(name or folder.name)
            if target in seen:
                raise InputError(
                    f"{seen[target]} and {source} would both be written to {target}; transform "
                    "them one after the other into different folders"
                )
            seen[target] = source
            yield source, models.photo(source) if not name else source, target


def _continuum(options: argparse.Namespace, out: Path) -> int:
    import pandas as pd

    from facestats.pairs.continuum import shares
    from facestats.serving.loading import load
    from facestats.serving.stimuli import check_steps, draw_continuum, withheld_end
    from facestats.serving.stimulus_files import SHEET, check_free, compared
    from facestats.stimuli.photo import encoded

    if len(options.images) != 1 or Path(options.images[0]).is_dir():
        raise InputError("--to leads from one face to another: give one photo, or one composite")
    if out.suffix.lower() in SUFFIXES or (out.exists() and not out.is_dir()):
        raise InputError(f"{out} is no folder; a continuum is several pictures")
    steps = check_steps(options.steps)
    targets = [out / f"{i:02}.png" for i in range(steps)]
    check_free([out / SHEET, *targets], options.overwrite)
    models, start = load(options.root), options.images[0]
    pictures = draw_continuum(models, start, options.to, steps)
    withheld = withheld_end(models, start, options.to)
    rows = []
    with _whole(out, out, options.overwrite) as temporary:
        for target, picture, share in zip(targets, pictures, shares(steps), strict=True):
            write_bytes(temporary / target.name, encoded(picture, ".png"))
            row = {"image": start, "to": options.to, "share": share, "stimulus": target.name}
            rows.append(row | compared(models, pictures[0], picture, withheld, False))
        write_csv(temporary / SHEET, pd.DataFrame(rows))
    print_line(str(out / SHEET))
    return 0
