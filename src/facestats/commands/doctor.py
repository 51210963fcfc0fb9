"""Say what is installed, which device is used, whether the model hub answers,
whether the row store is sound (each of its files is read), and what is wrong
with the inputs.

Some files stop DVC itself: a link to itself or a file without read permission
among the photos, and its own lock files where it was killed while it wrote
them. They are named here, before DVC meets them.

examples:
  python -m facestats doctor
  python -m facestats doctor --inputs           only what would stop a run, as `make repro` does
  python -m facestats doctor --images data/raw --labels data/labels   photos and labels that params.yaml does not name yet
  python -m facestats doctor --remote storage   whether a remote has all files of the current outs, undamaged (reads each)
  python -m facestats doctor --remote storage --mend   remove what is damaged there, so that `dvc push` brings it anew

exit code: 0 all well, 1 something would stop a run, or the remote lacks
something
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import psutil
import yaml

from facestats.commands.doctor_remote import examine
from facestats.commands.doctor_surroundings import say_of_hub, say_of_rows
from facestats.data.labels import join_labels
from facestats.errors import FaceStatsError, InputError
from facestats.faces.files import face_filename, list_images, printable
from facestats.params import Params, load_params

HELP = "check the set-up and the inputs"
SHOWN = 10  # files named one by one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--inputs", action="store_true", help="only look for what would stop a run")
    parser.add_argument("--images", metavar="DIR", help="look at the photos there (default: data.images of params.yaml)")
    parser.add_argument("--labels", metavar="DIR", help="look at the label files there (default: data.labels of params.yaml)")
    parser.add_argument("--remote", metavar="NAME", help="look through a DVC remote instead")
    parser.add_argument("--mend", action="store_true", help="with --remote: remove damaged objects that this clone can push again")
    parser.add_argument("--root", type=Path, default=Path(), help="project folder (default: the working directory)")


def run(options: argparse.Namespace) -> int:
    if options.remote:
        problems = examine(options.root, options.remote, options.mend)
        for problem in problems:
            print(f"problem: {problem}")
        return 1 if problems else 0
    if options.mend:
        raise InputError("--mend goes with --remote NAME: it removes what is damaged there")
    params = load_params(options.root / "params.yaml")
    named = {key: value for key, value in (("images", options.images), ("labels", options.labels)) if value}
    params = params.model_copy(update={"data": params.data.model_copy(update=named)})
    if not options.inputs:
        _print_versions(options.root)
        _print_models(options.root, params)
        print(say_of_hub())
        for line in say_of_rows(options.root):
            print(line)
    problems = find_problems(options.root, params)
    for problem in problems:
        print(f"problem: {problem}")
    if not problems and not options.inputs:
        print(f"inputs: nothing wrong found in {params.data.images} and {params.data.labels}")
    return 1 if problems else 0


def find_problems(root: Path, params: Params) -> list[str]:
    """What would stop a run, each with the way out."""
    problems = _cut_off(root)
    made = made_by_stages(root)
    for key, value in (("data.images", params.data.images), ("data.labels", params.data.labels)):
        folder = root / value
        if any(Path(value).is_relative_to(out) for out in made):
            continue  # a stage makes it
        if not folder.exists():
            problems.append(f"{key} = {value}: there is no such folder; make it, or `dvc pull`, or set {key}")
        elif not folder.is_dir():
            problems.append(f"{key} = {value} is a file, expected a folder")
        else:
            problems += [f"{key}: {problem}" for problem in _unreadable(folder)]
            if key == "data.images" and not any(p.is_file() for p in folder.rglob("*")):
                problems.append(f"{key} = {value} is empty; put photos into it")
    if not (root / params.data.manual_labels).is_file():
        problems.append(f"data.manual_labels = {params.data.manual_labels}: there is no such file; "
                        "make one with the header line filename,gender,ethnicity,age,rating,person")
    if not problems and not any(Path(params.data.images).is_relative_to(out) for out in made):
        problems += _wrong_labels(root, params)
    return problems


def _cut_off(root: Path) -> list[str]:
    """What a killed DVC has left in its own files, which it writes in place."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    found = []
    lock = root / "dvc.lock"
    try:
        if lock.is_file():
            COMPILED_LOCKFILE_SCHEMA(yaml.load(lock.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (yaml.YAMLError, Invalid):
        found.append(f"{lock} is empty or damaged: DVC was killed while it wrote it, or git left a conflict in it; `git checkout dvc.lock` "
                     "brings the last one committed, and what was computed since comes out of DVC's cache or is computed again")
    holders = root / ".dvc" / "tmp" / "rwlock"
    try:
        held = json.loads(holders.read_bytes()) if holders.is_file() else {}
        entries = [*held.get("write", {}).values(), *(entry for many in held.get("read", {}).values() for entry in many)]
        processes = {int(entry["pid"]) for entry in entries}
    except (ValueError, TypeError, KeyError, AttributeError):
        return [*found, f"{holders} is empty or damaged: DVC was killed while it wrote it; remove it while no DVC runs"]
    strangers = sorted(pid for pid in processes if _is_stranger(pid))
    if strangers:
        found.append(f"{holders} says that DVC runs as process {strangers[0]}, which is dead or another program by now; remove the file while no DVC runs")
    return found


def _is_stranger(pid: int) -> bool:
    """Whether there is a process that blocks DVC, and is not DVC."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:  # as in a container whose first process buries no children
            return True
        return not any("dvc" in Path(part).parts or Path(part).stem == "dvc" for part in process.cmdline())
    except psutil.Error:  # gone: DVC sees that for itself
        return False


def _unreadable(folder: Path) -> list[str]:
    """Files that DVC could not read, whatever they hold."""
    found = []
    for base, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            path = Path(base, name)
            if printable(name) != name:
                found.append(f"{printable(str(path))} has a name that is not valid UTF-8; rename it")
            elif path.is_symlink() and not path.exists():
                target = os.readlink(path)
                what = "a link to itself" if (path.parent / target).absolute() == path.absolute() else f"a link to nothing ({target})"
                found.append(f"{path} is {what}; remove it")
            elif not (path.is_file() or path.is_dir()):
                found.append(f"{path} is no regular file (a pipe, a socket or a device); remove it")
            elif not os.access(path, os.R_OK):
                found.append(f"{path} can't be read; `chmod u+r` it or remove it")
    if len(found) > SHOWN:
        return [*found[:SHOWN], f"and {len(found) - SHOWN} more files that can't be read"]
    return found


def _wrong_labels(root: Path, params: Params) -> list[str]:
    """What the stage `labels` will refuse, known before any image is looked at."""
    images = list_images(root / params.data.images)
    every_image = pd.DataFrame({"image": images, "filename": [face_filename(image) for image in images]})
    try:
        joined = join_labels(every_image.drop_duplicates("filename"), root / params.data.labels,
                             root / params.data.manual_labels, params.labels.rating_scale,
                             params.labels.drop_raters)
    except FaceStatsError as error:
        return [str(error)]
    for warning in joined.warnings:
        print(f"warning: {warning}")
    return []


def made_by_stages(root: Path) -> list[Path]:
    """Paths that stages make; of one that goes by a key of params.yaml, the folders above it."""
    try:
        content = yaml.load((root / "dvc.yaml").read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        stages = [stage.get("do") or stage for stage in content["stages"].values()]
    except (OSError, KeyError, AttributeError, TypeError, yaml.YAMLError):
        return []
    own = {f"${{{name}}}": str(value) for group in content.get("vars", ()) if isinstance(group, dict) for name, value in group.items()}
    outs = [str(out if isinstance(out, str) else next(iter(out))) for stage in stages for out in stage.get("outs", ())]
    paths = [re.sub(r"\$\{\w+\}", lambda name: own.get(name[0], name[0]), out).partition("${")[0] for out in outs]
    return [Path(path) for path in dict.fromkeys(paths) if path]


def _print_versions(root: Path) -> None:
    print(f"python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} processors")
    try:
        requirements = (root / "requirements.txt").read_text(encoding="utf-8")
    except OSError:
        requirements = ""
    for name, pinned in re.findall(r"^([\w.-]+)==(\S+)", requirements, flags=re.MULTILINE):
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "not installed"
        print(f"  {name} {installed}" + ("" if installed.split("+")[0] == pinned else f"  (requirements.txt pins {pinned})"))


def _print_models(root: Path, params: Params) -> None:
    from facestats.clip.encoder import choose_device, choose_precision

    device = choose_device()
    print(f"device: {device.type}, precision {choose_precision(params.clip.precision, device)}")
    for folder, stage in (("models/clip", "fetch_clip"), ("models/landmarker", "fetch_landmarker")):
        there = (root / folder).is_dir()
        print(f"{folder}: {'there' if there else f'not there; `dvc repro {stage}` or `dvc pull` brings it'}")
    print(f"clip.variant: {params.clip.variant}")
