"""Remove people on request: their photos, what the label files say of them, and
their rows in the row store.

IMAGE is a path below `data.images`, a path to the file, or the name of a face,
as label files may write it, too; exact copies of the photo go with it. Where a
photo is not found, nothing is removed. The next `dvc repro` makes outs without
them, and models that have never seen them. DVC's cache and remotes still hold
the earlier outs: --cache runs `dvc repro`, then removes from the cache
everything that the project as it is now does not use (`dvc gc --workspace`),
which is every earlier version, all other branches and all experiments, for the
person may be in each; --remote does the same to a remote.

A command that was stopped or killed is given again as it was, and goes on: what
it had found is kept until all of it is done.

What is left is looked for and named: copies elsewhere in the project, photos
that look or are called alike, files that name them, what git holds, data that
`dvc update` would bring back. What no command can undo is said at the end.

examples:
  python -m facestats forget album/one.jpg --dry-run
  python -m facestats forget album/one.jpg data/raw/two.jpg
  python -m facestats forget --person anna
  python -m facestats forget album/one.jpg --cache --remote storage

exit code: 0 done, 1 some of it is left (said which), 2 wrong usage or a photo
that is not found (nothing was touched)
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from facestats.cli import forget_cache
from facestats.cli import forget_traces as traces
from facestats.cli.doctor_inputs import made_by_stages
from facestats.cli.forget_journal import (
    Journal,
    Request,
    Unfinished,
    is_below,
    merged,
    remove_half_written,
)
from facestats.cli.labels import find_root
from facestats.core.layout import CROPS, METADATA
from facestats.core.photo_files import face_filename, list_images, printable
from facestats.errors import FaceStatsError, InputError, number_of
from facestats.labels.removal import LabelFile, Mentions, read_label_files
from facestats.machine.output import print_line, shell_words
from facestats.params.project import load_params
from facestats.rows.dvc_cache import DvcCache, find_dvc_cache
from facestats.rows.removal import forget_rows
from facestats.rows.store import find_store

HELP = (
    "remove people on request: photos, labels, rows; with --cache also from DVC's cache and a "
    "remote"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="photo to forget")
    parser.add_argument(
        "--person",
        action="append",
        default=[],
        metavar="NAME",
        help="all photos with this `person` in a label file; may be repeated",
    )
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="go on where a photo that a label file names is gone already",
    )
    parser.add_argument(
        "--cache", action="store_true", help="run `dvc repro`, then `dvc gc --workspace`"
    )
    parser.add_argument("--remote", metavar="NAME", help="with --cache: the same for this remote")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would go and what is left, remove nothing"
    )
    parser.add_argument(
        "--root",
        type=Path,
        help="project folder (default: the nearest upwards that has params.yaml)",
    )


@dataclass
class Place:
    """Where the project keeps what is to go; `outs` are what stages write."""

    root: Path
    outs: list[Path]
    photos: Path
    labels: Path
    manual: Path
    cache: DvcCache | None
    store: Path | None


@dataclass
class Found:
    """What the project holds of the photos to forget.

    Attributes
    ----------
    images : paths below the image folder, sorted
    files : those of them that are there
    sha256 : of the photos' bytes
    wanted : what to look for afterwards
    objects : MD5 of their pictures in DVC's cache
    named : by label file, the names that it gives to them
    notes : how names were read
    alike : photos that stay and may show the same people, with the reason
    """

    images: list[str]
    files: list[Path]
    sha256: set[str]
    wanted: traces.Wanted
    objects: set[str]
    named: dict[str, set[str]]
    notes: list[str] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)


def run(options: argparse.Namespace) -> int:
    if not options.images and not options.person:
        raise InputError("name an IMAGE or a --person to forget")
    if options.remote and not options.cache:
        raise InputError(
            "--remote goes with --cache: the remote is left with what the project uses after `dvc "
            "repro`"
        )
    root = find_root(options.root)
    params = load_params(root / "params.yaml")
    outs = made_by_stages(root)
    if made := next((out for out in outs if Path(params.data.images).is_relative_to(out)), None):
        raise InputError(
            f"data.images = {params.data.images} is drawn by a stage, which makes {made} anew: "
            "there is nobody to forget; set data.images to the folder of your photos"
        )
    cache = find_dvc_cache(root)
    if options.cache:
        forget_cache.check(root, cache, options.remote)
    place = Place(
        root,
        [root / out for out in outs],
        root / params.data.images,
        root / params.data.labels,
        root / params.data.manual_labels,
        cache,
        find_store(cache),
    )
    journal, request = (
        Journal(root),
        Request(options.images, options.person, options.cache, options.remote),
    )
    unfinished = journal.resume(request)
    labels = read_label_files(place.labels, place.manual)
    here = (
        list_images(place.photos) if place.photos.is_dir() and any(place.photos.iterdir()) else []
    )
    mentions = Mentions(
        labels,
        here,
        _names_before(place, options.cache).union(unfinished.images if unfinished else ()),
        place.photos,
    )
    found = _find(place, _meant(mentions, options, unfinished), set(here), mentions, options.person)
    if unfinished:
        print("going on with what is unfinished of this command")
        found = _with_earlier(found, unfinished)
    _check(place, found, labels)

    for line in found.notes:
        print_line(line)
    if not options.dry_run:
        journal.write(
            Unfinished(
                request,
                found.images,
                sorted(found.sha256),
                sorted(found.objects),
                {name: sorted(names) for name, names in found.named.items()},
                found.wanted,
            )
        )
        remove_half_written([path for file in labels for path in {file.path, file.path.resolve()}])
    busy = _remove(place, found, labels, not options.dry_run)
    for line in found.alike:
        print_line(f"warning: {line}")
    for recipe, why in busy.items():
        print_line(
            f"warning: {recipe} {why} and was left; give the same command again when that is over"
        )
    left = 0
    made_anew = options.cache and not busy and not options.dry_run
    if made_anew:
        assert cache is not None  # `--cache` asks for one
        left = forget_cache.forget(
            root, cache, place.store, found.images, options.remote, found.objects
        )
    left += _look_around(place, found, labels, made_anew, journal)
    if not options.dry_run and place.store and place.store.is_dir():
        rows = sum(
            forget_rows(
                place.store,
                cache,
                found.sha256,
                [face_filename(image) for image in found.images],
                write=False,
            )[0].values()
        )
        if rows:
            print_line(
                f"warning: {rows} rows of them are in {place.store} again, as of a run that went "
                "on meanwhile; give the same command once it has ended"
            )
        left += rows
        busy |= {place.store: "was written meanwhile"} if rows else {}
    if not options.dry_run and not busy:
        journal.remove()
    if options.dry_run:
        print(
            "nothing removed (--dry-run)"
            + (f"; without it: {forget_cache.explain(options.remote)}" if options.cache else "")
        )
    elif not options.cache:
        print(_next_steps(place))
    for line in _still_there(place, found, options):
        print_line(line)
    return 1 if (left or busy) and not options.dry_run else 0


def _names_before(place: Place, cache_too: bool) -> set[str]:
    """Photos of the last run and, where asked, of every version in DVC's cache."""
    names = set(_last_run(place)["image"])
    if not cache_too:
        return names
    assert place.cache is not None  # `--cache` asks for one
    return names | forget_cache.listed_names(place.cache)


def _meant(
    mentions: Mentions, options: argparse.Namespace, unfinished: Unfinished | None
) -> set[str]:
    """The photos that the command names, and those that it had found when it was killed."""
    try:
        images = {
            *mentions.images(options.images, options.allow_missing),
            *mentions.photos_of(options.person, options.allow_missing),
        }
    except InputError:  # what named them is gone already
        if unfinished is None:
            raise
        images = set()
    return images.union(unfinished.images if unfinished else ())


def _with_earlier(found: Found, earlier: Unfinished) -> Found:
    """What is there, with what the earlier command still knew of it."""
    named = {name: names.union(earlier.named.get(name, ())) for name, names in found.named.items()}
    return replace(
        found,
        sha256=found.sha256.union(earlier.sha256),
        objects=found.objects.union(earlier.objects),
        named=named,
        wanted=merged(found.wanted, earlier.wanted),
    )


def _find(
    place: Place, images: set[str], here: set[str], mentions: Mentions, persons: list[str]
) -> Found:
    """All that is known of the photos that are meant."""
    table = _last_run(place)
    photos = {image: path for image in here if (path := place.photos / image).is_file()}
    sizes = {photos[image].stat().st_size for image in images & photos.keys()}
    same_size = [
        image for image, path in photos.items() if image in images or path.stat().st_size in sizes
    ]
    digests = {image: traces.sha256_of(photos[image]) for image in same_size}
    sha256 = {digests[image] for image in images & photos.keys()}
    copies = {image for image, digest in digests.items() if digest in sha256} - images
    images |= copies
    sha256 |= set(table.loc[table["image"].isin(list(map(printable, images))), "sha256"].dropna())
    objects: set[str] = set()
    earlier: list[Path] = []
    if place.cache:  # earlier versions under the same name have rows of their own
        objects = forget_cache.pictures(place.cache, images) & forget_cache.all_objects(place.cache)
        earlier = [place.cache.object(md5) for md5 in sorted(objects)]
    wanted = _wanted(place, images, here, photos, earlier, sha256, mentions, persons)
    files = [place.photos / image for image in sorted(images & here)]
    files += [
        path
        for image in sorted(filter(is_below, images))
        if (path := place.photos / f"{image}.dvc").is_file()
    ]  # `dvc checkout` would bring the photo back
    found = Found(
        sorted(images),
        files,
        sha256 | {traces.sha256_of(path) for path in earlier},
        wanted,
        objects,
        {str(file.path): mentions.names(file, images) for file in mentions.files},
    )
    found.notes = mentions.notes + [
        line for file in mentions.files for line in mentions.liberties(file, images)
    ]
    found.notes += [
        f"{image} is not in {place.photos} (any more)" for image in sorted(images - here)
    ]
    shown = {image: name for name, photos_of in mentions.people().items() for image in photos_of}
    found.notes += [
        f"{image} has the same bytes and goes, too"
        + (f"; label files say that it shows {shown[image]}" if image in shown else "")
        for image in sorted(copies)
    ]
    found.alike = _alike(place, images, here, table, mentions, persons)
    return found


def _wanted(
    place: Place,
    images: set[str],
    here: set[str],
    photos: dict[str, Path],
    earlier: list[Path],
    sha256: set[str],
    mentions: Mentions,
    persons: list[str],
) -> traces.Wanted:
    names = {*images, *map(face_filename, images)}.union(
        *(mentions.names(file, images) for file in mentions.files)
    )
    own = [
        (image, path)
        for image in sorted(images)
        for path in (photos.get(image), place.root / CROPS / face_filename(image))
        if path and path.is_file()
    ]
    by_hash = dict.fromkeys(sha256, "a photo that went") | {
        traces.sha256_of(path): "an earlier version" for path in earlier
    }
    by_hash |= {traces.sha256_of(path): image for image, path in reversed(own)}
    sizes = {path.stat().st_size for path in [*earlier, *(path for _, path in own)]}
    return traces.Wanted(
        sorted(images),
        names,
        set(persons),
        by_hash,
        sizes if images <= photos.keys() else None,
        {traces.git_name(path): image for image, path in own},
    )


def _alike(
    place: Place,
    images: set[str],
    here: set[str],
    table: pd.DataFrame,
    mentions: Mentions,
    persons: list[str],
) -> list[str]:
    """Photos that stay and may show the same people, each with the reason."""
    people = mentions.people()
    same = {
        image: name
        for name, shown in people.items()
        if shown & images
        for image in sorted((shown & here) - images)
    }
    notes = [
        f"{image} shows {name}, too, by the label files, and stays; --person {name} takes all"
        for image, name in same.items()
    ]
    spelt = sorted(
        other
        for other in people
        for name in persons
        if other != name and other.casefold().split() == name.casefold().split()
    )
    notes += [
        f"label files name {other}, too; if that is the same person, --person "
        f"{shell_words([other])} as well"
        for other in spelt
    ]
    near = sorted((near_copies(table, images) & here) - same.keys())
    notes += [
        f"{image} looks almost like a photo that goes, and stays; name it, too, if it is of the "
        "same person"
        for image in near
    ]
    called = [
        image for image in traces.called_alike(images, sorted(here)) if image not in {*near, *same}
    ]
    notes += [
        f"{image} is called like a photo that goes, and stays; name it, too, if it is of the same "
        "person"
        for image in called[: traces.SHOWN]
    ]
    notes += (
        [f"and {len(called) - traces.SHOWN} more that are called so"]
        if len(called) > traces.SHOWN
        else []
    )
    new = len(here - images - set(table["image"]))
    if new:
        notes.append(
            f"which photos look like one that goes is not known for {new} of those that stay: they "
            "are newer than the last run; `dvc repro`, given before this command, finds it out"
        )
    return notes


def near_copies(table: pd.DataFrame, images: set[str]) -> set[str]:
    """Photos of the last run whose face belongs to the same group of copies as that of one of
    these, themselves left out.
    """
    table = table.dropna(subset="filename").drop_duplicates("filename")
    leader = table["duplicate_of"].fillna(table["filename"])
    leader = leader.map(table.set_index("filename")["near_duplicate_of"]).fillna(leader)
    groups = set(leader[table["image"].isin(list(map(printable, images)))].dropna())
    return set(table.loc[leader.isin(groups), "image"]) - images


def _last_run(place: Place) -> pd.DataFrame:
    """The table of the last run, as far as it is wanted here; empty if there is none."""
    columns = ["image", "filename", "sha256", "duplicate_of", "near_duplicate_of"]
    tables = place.cache.tables("preprocess") if place.cache else []
    for path in [place.root / METADATA / "faces.parquet", *tables]:
        try:
            table = pd.read_parquet(path, columns=columns)
            return table.drop_duplicates("image")
        except (OSError, ValueError):
            continue
    return pd.DataFrame(columns=columns, dtype="str")


def _check(place: Place, found: Found, labels: list[LabelFile]) -> None:
    """Refuse what would fail half-way, and photos behind a link to another folder: they are
    somebody's originals.

    Raises
    ------
    InputError
        Names every file that could not be removed or written.
    """
    inside = [place.photos.resolve(), *([place.cache.folder.resolve()] if place.cache else [])]
    mistakes = []
    for path in found.files:
        if path.exists() and not any(path.resolve().is_relative_to(folder) for folder in inside):
            mistakes.append(
                f"{path} is a link to {path.resolve()}, or lies behind one; remove the photo "
                "there, and the link"
            )
        elif not os.access(path.parent, os.W_OK | os.X_OK):
            mistakes.append(
                f"{path.parent} can't be written to, so {path.name} could not be removed; `chmod "
                "u+wx` it"
            )
    named = [(file, found.named[str(file.path)]) for file in labels]
    mistakes += [
        why for file, names in named if file.lines(names) and (why := file.obstacle(names))
    ]
    if mistakes:
        raise InputError("\n".join([*mistakes, "nothing was removed"]))


def _remove(place: Place, found: Found, labels: list[LabelFile], write: bool) -> dict[Path, str]:
    """Remove rows, photos and, at last, the lines by which the photos are found; returns the
    recipes that were left, with the reason.
    """
    verb = "removed" if write else "would be removed"
    busy: dict[Path, str] = {}
    if place.store and place.store.is_dir():
        counts, busy = forget_rows(
            place.store,
            place.cache,
            found.sha256,
            [face_filename(image) for image in found.images],
            write,
        )
        for stage, count in counts.items():
            whose = (
                " (all that no other face of the last run uses: such a row does not say whose it "
                "is)"
                if stage == "embed" and count
                else ""
            )
            print_line(f"{place.store}: {count} rows of {stage} {verb}{whose}")
    try:
        for path in found.files:
            if write:
                path.unlink(
                    missing_ok=True
                )  # gone already under its other name, where a folder has two
            print_line(f"{path}: {verb}")
        if write:
            _remove_empty_folders(place.photos, found.images)
        for file in labels:
            names = found.named[str(file.path)]
            if lines := file.lines(names):
                if write:
                    file.remove(names, place.cache.folder if place.cache else None)
                places = number_of(len(lines), "column" if file.by_column else "line")
                print_line(f"{file.path}: {places} {verb}")
    except OSError as error:
        raise FaceStatsError(
            f"{error.filename} can't be removed or written ({error.strerror}); what is named above "
            "is gone, the rest is left. Mend it and give the same command again"
        ) from None
    return busy


def _remove_empty_folders(photos: Path, images: list[str]) -> None:
    """Remove the folders that photos were in and that are empty now."""
    for image in filter(is_below, images):
        for above in Path(image).parents[:-1]:
            folder = photos / above
            if folder.is_symlink() or (folder.exists() and any(folder.iterdir())):
                break
            if folder.exists():
                folder.rmdir()


def _look_around(
    place: Place, found: Found, labels: list[LabelFile], made_anew: bool, journal: Journal
) -> int:
    """Name what else in the project folder holds or names them; returns how many files hold them
    and will stay.

    `made_anew`: the outs are those of a run without them, so that what still holds them there is
    made by no stage any more.
    """
    left_out = {place.cache.folder, place.cache.root / ".dvc" / "cache"} if place.cache else set()
    left_out |= {place.store} if place.store else set()
    places = [
        place.root,
        *(
            folder
            for folder in (place.photos, place.labels)
            if not folder.is_relative_to(place.root)
        ),
    ]
    gone = {path.absolute() for path in (*found.files, journal.path)}
    paths = [
        path
        for folder in places
        for path in traces.files_of_project(folder, left_out)
        if path.absolute() not in gone
    ]
    made = (
        set()
        if made_anew
        else {path for path in paths if any(path.is_relative_to(out) for out in place.outs)}
    )
    same = traces.same_bytes(paths, found.wanted)
    for path, image in same.items():
        if path not in made:
            print_line(
                f"warning: {path} has the same bytes as {image}, and stays; remove it yourself"
            )
    in_outs = sorted(made & same.keys())
    if in_outs:
        print_line(
            f"outs hold {number_of(len(in_outs), 'picture')} of them "
            f"({in_outs[0]}{', …' if in_outs[1:] else ''}); `dvc repro` replaces what stages still "
            "make"
        )
    pattern = found.wanted.pattern(_folders(place))
    read = {file.path for file in labels}
    for path, name in traces.files_that_name(
        [path for path in paths if path not in made | read], pattern
    ):
        print_line(
            f"warning: {path} names {name} and is read by no stage; look through it yourself"
        )
    for folder in forget_cache.temporary(place.root, found.images):
        print_line(
            f"warning: {folder} was left by a temporary or queued run; `dvc queue remove --all`, "
            "then remove the folder"
        )
    return len(same.keys() - made)


def _folders(place: Place) -> list[str]:
    """What may stand before a photo's or a face's name."""
    own = (
        [place.photos.relative_to(place.root).as_posix()]
        if place.photos.is_relative_to(place.root)
        else []
    )
    return [place.photos.as_posix(), *own, CROPS.as_posix(), "faces"]


def _next_steps(place: Place) -> str:
    return "\n".join(
        [
            "next:",
            "  dvc repro                  # outs without them, models that have never seen them; "
            "`dvc checkout` before it would bring the photos back",
            f"  git add -u && git commit   # the new {place.photos.name}.dvc and dvc.lock",
        ]
    )


def _still_there(place: Place, found: Found, options: argparse.Namespace) -> list[str]:
    """What still holds the people, and the way out of each."""
    lines = []
    if place.cache and not options.cache:
        again = f"python -m facestats forget {shell_words(found.images)} --cache"
        remotes = forget_cache.remotes(place.cache.root)
        lines += [
            "still there:",
            f"  DVC's cache: {number_of(len(found.objects), 'picture')} of them, and earlier "
            "tables, models and composites. This removes them:",
            f"    {again}",
        ]
        lines += [
            f"  the remote {name}, as far as they were pushed: the same with --remote {name}"
            for name in remotes
        ]
    elif place.cache:
        lines += [
            f"the remote {name} was not looked at; give the same command with --remote {name}"
            for name in forget_cache.remotes(place.cache.root)
            if name != options.remote
        ]
    held = traces.imports(place.root, [place.photos / image for image in found.images])
    lines += [f"warning: {line}" for line in held]
    if line := traces.experiments(place.root):
        lines.append(f"warning: {line}")
    lines += [
        f"warning: {line}"
        for line in traces.history(place.root, found.wanted, found.wanted.pattern(_folders(place)))
    ]
    return [*lines, *forget_cache.beyond_reach(place.manual).split("\n")]
