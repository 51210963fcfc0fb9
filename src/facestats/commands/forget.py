"""Remove people on request: their photos, what the label files say of them, and
their rows in the row store.

IMAGE is a path below `data.images`, a path to the file, or the name of a face;
exact copies of the photo go with it. The next `dvc repro` makes outs without
them, and models that have never seen them. DVC's cache and remotes still hold
the earlier outs: --cache runs `dvc repro`, then removes from the cache
everything that the project as it is now does not use (`dvc gc --workspace`),
which is every earlier version, all other branches and all experiments, for the
person may be in each; --remote does the same to a remote. What no command can
undo is said at the end.

examples:
  python -m facestats forget album/one.jpg --dry-run
  python -m facestats forget album/one.jpg data/raw/two.jpg
  python -m facestats forget --person anna
  python -m facestats forget album/one.jpg --cache --remote storage

exit code: 0 done, 1 some of it is left (said which), 2 wrong usage or an
unknown image (nothing was touched)
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from facestats.commands import forget_cache
from facestats.commands.doctor import made_by_stages
from facestats.commands.labels import METADATA, find_root
from facestats.data.removal import LabelFile, alike, other_mentions, read_label_files, resolve_images
from facestats.errors import InputError
from facestats.faces.files import face_filename, list_images
from facestats.params import load_params
from facestats.rows.dvc_cache import DvcCache, find_dvc_cache
from facestats.rows.removal import forget_rows
from facestats.rows.store import find_store

HELP = "remove people on request: photos, labels, rows; with --cache also from DVC's cache and a remote"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="photo to forget")
    parser.add_argument("--person", action="append", default=[], metavar="NAME", help="all photos with this `person` in a label file; may be repeated")
    parser.add_argument("--cache", action="store_true", help="run `dvc repro`, then `dvc gc --workspace`")
    parser.add_argument("--remote", metavar="NAME", help="with --cache: the same for this remote")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")
    parser.add_argument("--root", type=Path, help="project folder (default: the nearest upwards that has params.yaml)")


@dataclass
class Found:
    """What the project holds of the photos to forget.

    Attributes
    ----------
    images : paths below the image folder, sorted
    files : those of them that are there
    sha256 : of the photos' bytes
    alike : photos that stay and may show the same people, with the reason
    """

    images: list[str]
    files: list[Path]
    sha256: set[str]
    alike: list[str] = field(default_factory=list)


def run(options: argparse.Namespace) -> int:
    if not options.images and not options.person:
        raise InputError("name an IMAGE or a --person to forget")
    if options.remote and not options.cache:
        raise InputError("--remote goes with --cache: the remote is left with what the project uses after `dvc repro`")
    root = find_root(options.root)
    params = load_params(root / "params.yaml")
    folder = root / params.data.images
    if made := next((out for out in made_by_stages(root) if Path(params.data.images).is_relative_to(out)), None):
        raise InputError(f"data.images = {params.data.images} is drawn by a stage, which makes {made} anew: there is nobody to forget; "
                         "set data.images to the folder of your photos")
    cache = find_dvc_cache(root)
    if options.cache:
        forget_cache.check(root, cache, options.remote)
    labels = read_label_files(root / params.data.labels, root / params.data.manual_labels)
    found = _find(options, root, folder, labels, cache)
    store = find_store(cache)
    if not options.dry_run:
        _check_links(found.files, folder, cache)

    verb = "would be removed" if options.dry_run else "removed"
    busy: list[Path] = []
    if store and store.is_dir():
        counts, busy = forget_rows(store, cache, found.sha256, [face_filename(image) for image in found.images], not options.dry_run)
        for stage, count in counts.items():
            whose = " (all that no other face of the last run uses: such a row does not say whose it is)" if stage == "embed" and count else ""
            print(f"{store}: {count} rows of {stage} {verb}{whose}")
    for file in labels:
        if lines := file.lines(found.images):
            if not options.dry_run:
                file.remove(found.images)
            print(f"{file.path}: {len(lines)} {'line' if len(lines) == 1 else 'lines'} {verb}")
    for path in found.files:
        if not options.dry_run:
            _unlink(path, folder)
        print(f"{path}: {verb}")
    for path, image in other_mentions(root / params.data.labels, found.images):
        print(f"warning: {path} names {image} and is read by no stage; look through it yourself")
    for line in found.alike:
        print(f"warning: {line}")
    for recipe in busy:
        print(f"warning: {recipe} is in use by a run and was left; give the same command again when it has ended")
    if options.dry_run:
        print("nothing removed (--dry-run)" + (f"; without it: {forget_cache.explain(options.remote)}" if options.cache else ""))
        return 0
    if options.cache and not busy:
        return forget_cache.forget(root, cache, store, found.images, options.remote, root / params.data.manual_labels)
    print(_rest(found.images, folder, root / params.data.manual_labels, cache is not None))
    return 1 if busy else 0


def _find(options, root: Path, folder: Path, labels: list[LabelFile], cache: DvcCache | None) -> Found:
    """The photos that are meant, and all that is known of them."""
    there = set(list_images(folder)) if folder.is_dir() and any(folder.iterdir()) else set()
    table = _last_run(root / METADATA / "faces.parquet")
    known = there | set(table["image"])
    persons: dict[str, set[str]] = {}
    by_face = {face_filename(image): image for image in sorted(known)}
    for file in labels:
        names = file.table[file.key] if file.key == "image" else file.table[file.key].map(lambda name: by_face.get(name, name))
        known |= set(names)
        for image, person in zip(names, file.table.get("person", ()), strict=False):
            persons.setdefault(person, set()).add(image)
    persons.pop("", None)
    if options.cache:  # forgotten before: only the cache still knows
        known |= forget_cache.listed_names(cache)
    for name in options.person:
        if name not in persons:
            raise InputError(f"--person {name}: no label file names such a person{alike(name, persons)}; nothing was removed")
    images = set(resolve_images(options.images, known, folder)).union(*(persons[name] for name in options.person))

    sizes = {(folder / image).stat().st_size for image in images & there}
    bytes_of = {image: _sha256(folder / image) for image in there if image in images or (folder / image).stat().st_size in sizes}
    wanted = {bytes_of[image] for image in images & there}
    images |= {image for image, digest in bytes_of.items() if digest in wanted}
    wanted |= set(table.loc[table["image"].isin(images), "sha256"].dropna())
    for md5 in forget_cache.pictures(cache, images) if cache else ():  # earlier versions under the same name have rows of their own
        if (path := cache.object(md5)).is_file():
            wanted.add(_sha256(path))
    faces = {face_filename(image) for image in images}
    same = {image: name for name, shown in persons.items() if shown & images for image in sorted(shown & known - images)}
    near = table[table["near_duplicate_of"].isin(faces) & ~table["image"].isin(images)]["image"].tolist()
    of = table[table["image"].isin(images)]["near_duplicate_of"].dropna()
    near += table[table["filename"].isin(of) & ~table["image"].isin(images)]["image"].tolist()
    notes = [f"{image} shows {name}, too, by the label files, and stays; --person {name} takes all" for image, name in same.items()]
    notes += [f"{image} looks almost like a photo that goes, and stays; name it, too, if it is of the same person" for image in sorted({*near} - {*same})]
    return Found(sorted(images), [folder / image for image in sorted(images & there)], wanted, notes)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _last_run(path: Path) -> pd.DataFrame:
    """The table of the last run, as far as it is wanted here; empty if there is none."""
    columns = ["image", "filename", "sha256", "near_duplicate_of"]
    try:
        return pd.read_parquet(path, columns=columns)
    except (OSError, ValueError):
        return pd.DataFrame(columns=columns, dtype="str")


def _check_links(files: list[Path], folder: Path, cache: DvcCache | None) -> None:
    """Refuse photos that lie behind a link to another folder: they are somebody's originals."""
    inside = [folder.resolve(), *([cache.folder.resolve()] if cache else [])]
    outside = [path for path in files if not any(path.resolve().is_relative_to(place) for place in inside)]
    if outside:
        raise InputError("\n".join([f"{path} is a link to {path.resolve()}, or lies behind one; remove the photo there, and the link" for path in outside]
                                   + ["nothing was removed"]))


def _unlink(path: Path, folder: Path) -> None:
    """Remove a photo, and the folders that are empty then."""
    path.unlink()
    for parent in path.parents:
        if parent == folder or any(parent.iterdir()):
            break
        parent.rmdir()


def _rest(images: list[str], folder: Path, manual: Path, dvc: bool) -> str:
    """What still holds the people, and the way out of each."""
    again = f"python -m facestats forget {shlex.join(images)} --cache --remote NAME"
    return "\n".join([
        "next:",
        "  dvc repro                  # outs without them, models that have never seen them",
        f"  git add -u && git commit   # the new {folder.name}.dvc and dvc.lock",
        *(["still there:",
           "  in DVC's cache and on remotes, earlier versions of the photos, faces, tables, models and composites. This removes them:",
           f"    {again}   # --remote only if you have one"] if dvc else []),
        forget_cache.beyond_reach(manual),
    ])
