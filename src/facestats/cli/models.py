"""Turn a pickled classifier of your own into a model file of this project.

A pickle is a program: its maker decides what happens when it is read. It is read
only with --trust, which says that you know who made the file. Even then nothing
that it names is run: numbers, texts and arrays are read, everything else is left
aside. The result is a .safetensors file with arrays and JSON, which can't run
anything; set it as `pretrained` of its target in params.yaml.

examples:
  python -m facestats models convert gender_clf.pkl --trust
  python -m facestats models convert clf.joblib.gz --trust --target gender --classes female,male

exit code: 0 written or there already, 2 wrong usage or a file that can't be used
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from facestats.cli.forget_journal import remove_half_written
from facestats.core.layout import PRETRAINED
from facestats.errors import InputError
from facestats.machine.output import print_line

if TYPE_CHECKING:
    from facestats.attributes.model import AttributeModel

HELP = "turn a pickled classifier into a safe model file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    command = actions.add_parser(
        "convert",
        help=HELP,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="pickle or joblib file with a scikit-learn classifier or pipeline",
    )
    command.add_argument(
        "--trust",
        action="store_true",
        help="read the file, since you know who made it",
    )
    command.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="OUT",
        help=f"file to write (default: FILE's name with .safetensors, in {PRETRAINED})",
    )
    command.add_argument(
        "--target",
        metavar="NAME",
        help="the target that it predicts, such as gender (default: FILE's name without _clf)",
    )
    command.add_argument(
        "--classes",
        metavar="A,B,…",
        help="names of its classes as in your labels, in the classifier's order",
    )


def run(options: argparse.Namespace) -> int:
    from facestats.attributes.pretrained import convert

    path: Path = options.file
    if not options.trust:
        raise InputError(
            f"{path} was not read: a pickle can run whatever its maker put in. Convert it with "
            "--trust if you know who made it, and that nobody else could change it since"
        )
    stem = re.sub(
        r"(\.(pkl|pickle|joblib|sav|gz|bz2|xz|z|lzma))+$", "", path.name, flags=re.IGNORECASE
    )
    out = options.out or PRETRAINED / f"{stem}.safetensors"
    if out.suffix != ".safetensors":
        raise InputError(f"-o {out}: a model file ends with .safetensors")
    target = options.target or stem.removesuffix("_clf")
    classes = (
        None if options.classes is None else [name.strip() for name in options.classes.split(",")]
    )
    model, notes = convert(path, target, classes)
    if not _is_saved(model, out):
        model.save(out)
    for note in notes:
        print_line(f"note: {note}")
    kind = f"classes {', '.join(model.classes)}" if model.classes else "a number"
    print_line(f"{out}: {target}, {kind}, from embeddings of {model.dimension} numbers")
    print_line(
        f"next: attributes.targets.{target}.pretrained: {out} in params.yaml, then `dvc repro`"
    )
    return 0


def _is_saved(model: AttributeModel, out: Path) -> bool:
    """Whether a killed command has written this very file; what it left half-written is removed.

    Raises
    ------
    InputError
        The file has another content.
    """
    remove_half_written([out])
    if not out.exists():
        return False
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.safetensors")
        new = (Path(folder) / "model.safetensors").read_bytes()
    if not out.is_file() or out.read_bytes() != new:
        raise InputError(f"{out} is there already; name another file with -o, or remove it first")
    return True
