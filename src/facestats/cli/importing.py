"""Bring a dataset into the layout of the pipeline and put it under DVC.

Writes `raw/` (images) and `labels/` below --into, runs `dvc add` on both and
`git add` on the two .dvc files, since temporary and queued runs see only what git
tracks. `push: false` in raw.dvc keeps the photos off every remote until you
remove it. If an import was stopped, give the same command again. The dataset's
own files are only read. docs/datasets.md describes each dataset.

examples:
  python -m facestats import --list
  python -m facestats import omi path/to/omi
  python -m facestats import utkface path/to/UTKFace --link --limit 5000
  python -m facestats import 3dsk path/to/3dsk --append
  python -m facestats import folder path/to/people --as person
  python -m facestats import csv path/to/table.csv --image file --gender "sex:0=female,1=male"

exit code: 0 imported or there already, 2 wrong usage, or a dataset that can't be
taken (both folders are as before)
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from facestats.core.files import read_bytes, write_text
from facestats.dvc_files.cache import require_sound_cache
from facestats.dvc_files.forms import ForeignError, dvc_file_outs, listed_files, load_yaml
from facestats.errors import FaceStatsError, InputError, suggestion
from facestats.importers.appending import AlreadyThereError
from facestats.importers.tree import is_archive
from facestats.labels.dataset import FACTS
from facestats.machine.git import read_git
from facestats.machine.output import print_line
from facestats.rows.dvc_cache import DvcCache, find_dvc_cache

if TYPE_CHECKING:
    from facestats.importers.content import Dataset

HELP = "bring a dataset into data/raw and data/labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dataset", nargs="?", metavar="NAME", help="which dataset (--list shows them)"
    )
    parser.add_argument(
        "source", type=Path, nargs="?", metavar="DIR", help="folder that holds it, unpacked"
    )
    parser.add_argument("--list", action="store_true", help="list the datasets, and do nothing")
    parser.add_argument(
        "--into",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="where raw/ and labels/ are made (default: %(default)s)",
    )
    parser.add_argument(
        "--link", action="store_true", help="hard links instead of copies, on the same disk"
    )
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="N",
        help="only N photos, by a hash of their names: the same every time",
    )
    parser.add_argument(
        "--append", action="store_true", help="add the dataset to the imported one that is there"
    )
    parser.add_argument(
        "--partial", action="store_true", help="accept a dataset most of whose photos are missing"
    )
    parser.add_argument(
        "--trait",
        nargs="+",
        action="extend",  # `--trait attractive --trait trustworthy` is both
        default=[],
        metavar="TRAIT",
        help="traits to take: rated ones, of which the first is `rating`, or attributes",
    )
    own = parser.add_argument_group("folder and csv")
    own.add_argument(
        "--as",
        dest="subfolders",
        default="",
        metavar="COLUMN",
        help="what the subfolders of `folder` are: person, gender, ethnicity, or any name",
    )
    own.add_argument(
        "--scale",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="ends of the scale of the ratings of `csv`",
    )
    own.add_argument("--table", default="", help="the table of `csv`, if there are several")
    for column in ("image", "gender", "ethnicity", "age", "rating", "person"):
        own.add_argument(
            f"--{column}",
            metavar="COLUMN",
            help=f"the table's column of {column}, perhaps with codes: sex:0=female,1=male",
        )


def _positive(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of photos, 1 or more")
    return int(text)


def run(options: argparse.Namespace) -> int:
    from facestats.importers.placing import importing_alone
    from facestats.importers.registry import DATASETS, overview

    if options.list:
        print(overview())
        return 0
    dataset = _named(options, DATASETS)
    with importing_alone(options.into / "labels"):
        _import(dataset, options)
    return 0


def _import(dataset: Dataset, options: argparse.Namespace) -> None:
    from facestats.importers.content import Choices
    from facestats.importers.registry import KNOWN
    from facestats.importers.run import import_dataset

    raw, labels = options.into / "raw", options.into / "labels"
    cache = find_dvc_cache()
    if cache:
        require_sound_cache(cache.root)
    if options.link:
        _require_copies()
    columns = {
        column: value
        for column in ("image", "gender", "ethnicity", "age", "rating", "person")
        if (value := getattr(options, column))
    }
    source, table = options.source, options.table
    if dataset.name == "csv" and source.is_file() and not is_archive(source.name):
        source, table = source.parent, source.name
    try:
        done = import_dataset(
            dataset,
            KNOWN,
            source,
            options.into,
            Choices(
                tuple(options.trait),
                options.subfolders,
                columns,
                table,
                tuple(options.scale) if options.scale else None,
            ),
            link=options.link,
            limit=options.limit,
            partial=options.partial,
            append=options.append,
            again=not options.append and not _is_tracked(raw, labels),
            by_hand=_files_by_hand(labels) if options.append else (),
        )
    except AlreadyThereError:
        if not (_is_new_to_dvc(labels / FACTS, cache) or _is_unstaged(raw, labels)):
            raise
        print(f"{raw} and {labels} hold {dataset.name} of an import that was stopped")
    else:
        print(done.report(raw, labels))
    _put_under_dvc(raw, labels)
    print(
        "next:\n"
        f"  dvc exp run -S {_setting('data.images', raw)} -S {_setting('data.labels', labels)}\n"
        "or set data.images and data.labels in params.yaml and run `dvc repro`"
    )


def _files_by_hand(labels: Path) -> list[Path]:
    """Those of the project here, if it has its labels in this folder."""
    from facestats.params.project import load_params

    try:
        data = load_params(Path("params.yaml")).data
    except FaceStatsError:
        return []
    if Path(data.labels).resolve() != labels.resolve():
        return []
    return [Path(data.manual_labels), Path(data.manual_ratings)]


def _named(options: argparse.Namespace, datasets: Mapping[str, Dataset]) -> Dataset:
    """The dataset that is meant.

    Raises
    ------
    InputError
        None is named, or one that there is not; a choice that it does not have.
    """
    name = options.dataset
    if not name or (name in datasets and options.source is None):
        raise InputError("name a dataset and its folder (`facestats import --list` shows them)")
    if name not in datasets:
        near = suggestion(name, [*datasets])
        raise InputError(f"{name!r} is no dataset (`facestats import --list` shows them).{near}")
    if options.trait and not datasets[name].has_traits:
        some = [other.name for other in datasets.values() if other.has_traits]
        raise InputError(
            f"--trait is for {', '.join(some[:-1])} and {some[-1]}; {name} has no choice of traits"
        )
    if options.scale and name != "csv":
        raise InputError("--scale is for `import csv`; other datasets have scales of their own")
    if options.scale and not options.scale[0] < options.scale[1]:
        raise InputError("--scale: the lower end comes first, as in --scale 1 7")
    if options.subfolders and name != "folder":
        raise InputError("--as is for `import folder`")
    return datasets[name]


def _require_copies() -> None:
    """Refuse --link where DVC would put the dataset's own files into its cache, and lock them."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "config", "cache.type"], capture_output=True, text=True
        )
    except OSError:
        return
    kinds = done.stdout.strip()
    if done.returncode == 0 and re.search(r"hardlink|symlink", kinds):
        raise InputError(
            f"--link with DVC's cache.type {kinds}: `dvc add` would make the dataset's own files "
            "read-only links into its cache; leave --link out"
        )


def _setting(key: str, path: Path) -> str:
    """Quote `key=path` for a shell and for DVC's `-S`, which reads quotes of its own."""
    value = path.as_posix()
    return (
        f"{key}={value}"
        if re.fullmatch(r"[\w./-]+", value, re.ASCII)
        else shlex.quote(f'{key}="{value}"')
    )


def _is_new_to_dvc(file: Path, cache: DvcCache | None) -> bool:
    """Whether the .dvc file of a file's folder means another one; False where none can tell.

    `dvc add` writes the one of the photos first: whoever asks for the labels asks for both.
    """
    pointer = file.parent.with_suffix(".dvc")
    if cache is None or not pointer.is_file():
        return cache is not None
    try:
        (out,), _ = dvc_file_outs(read_bytes(pointer))
        listed = dict(listed_files(read_bytes(cache.object(out.md5 or ""))))
        now = hashlib.md5(read_bytes(file), usedforsecurity=False).hexdigest()
    except (OSError, ValueError, FaceStatsError, ForeignError):
        return False
    return listed.get(file.name) != now


def _is_tracked(raw: Path, labels: Path) -> bool:
    """Whether an earlier import has finished, so that git tracks both .dvc files."""
    pointers = raw.with_suffix(".dvc"), labels.with_suffix(".dvc")
    if not all(pointer.is_file() for pointer in pointers) or not _is_kept_back(pointers[0]):
        return False
    names = [str(pointer.absolute()) for pointer in pointers]
    try:
        return read_git(raw.parent, "ls-files", "--error-unmatch", *names).returncode == 0
    except FileNotFoundError:
        return False


def _is_unstaged(raw: Path, labels: Path) -> bool:
    """Whether git knows another content of one of the .dvc files."""
    names = [str(folder.with_suffix(".dvc").absolute()) for folder in (raw, labels)]
    try:
        listed = read_git(raw.parent, "ls-files", "--modified", "--", *names)
    except FileNotFoundError:
        return False
    return listed.returncode == 0 and bool(listed.stdout.strip())


def _is_kept_back(pointer: Path) -> bool:
    """Whether the .dvc file keeps the photos off all remotes."""
    try:
        outs = load_yaml(read_bytes(pointer))["outs"]
        own = [out for out in outs if PurePosixPath(out["path"]).name == pointer.stem]
        return bool(own) and all(out.get("push") is False for out in own)
    except (ForeignError, KeyError, TypeError, AttributeError):
        return False


def _keep_back(pointer: Path) -> None:
    """Write `push: false` into a .dvc file, beside what the user has written there.

    Raises
    ------
    FaceStatsError
        It is no .dvc file.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml, text = YAML(), io.StringIO()
    try:
        content = yaml.load(read_bytes(pointer))
        for out in content["outs"]:
            if PurePosixPath(out["path"]).name == pointer.stem:
                out["push"] = False
    except (YAMLError, KeyError, TypeError):
        raise FaceStatsError(
            f"{pointer} is no .dvc file of a folder; the files are in place: move it away, and "
            "give the same command again"
        ) from None
    yaml.dump(content, text)
    write_text(pointer, text.getvalue())


def _put_under_dvc(raw: Path, labels: Path) -> None:
    pointer = raw.with_suffix(".dvc")
    # Written before `dvc add`, which keeps it: a stop at any moment leaves nothing to push.
    before = pointer.read_bytes() if pointer.is_file() else None
    if before is None:
        write_text(pointer, f"outs:\n- path: {json.dumps(raw.name)}\n  push: false\n")
    elif not _is_kept_back(pointer):
        _keep_back(pointer)
    try:
        _call([sys.executable, "-m", "dvc", "add", str(raw), str(labels)])
    except FaceStatsError:
        if before is None:
            pointer.unlink(missing_ok=True)
        raise
    if not _is_kept_back(pointer):  # DVC wrote it anew for another path
        _keep_back(pointer)
    if not _is_kept_back(pointer):
        raise FaceStatsError(
            f"`dvc push` would share the photos: write `push: false` into {pointer}, below the "
            f"path of {raw}"
        )
    tracked = [pointer, labels.with_suffix(".dvc"), raw.parent / ".gitignore"]
    _call(["git", "add", *(str(path) for path in tracked if path.exists())])
    print_line(
        f"under DVC: {tracked[0]} and {tracked[1]} are staged; commit them. `dvc push` leaves the "
        f"photos out (`push: false` in {tracked[0]})"
    )


def _call(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise FaceStatsError(
            f"`{command[0]}` is not installed; the files are in place, but not under version "
            "control"
        ) from None
    if done.returncode:
        shown = shlex.join(command[2:] if command[0] == sys.executable else command)
        raise FaceStatsError(
            f"`{shown}` failed: {(done.stderr or done.stdout).strip()}\nThe files are in place; "
            "run it by hand in a git repository with `dvc init`"
        )
