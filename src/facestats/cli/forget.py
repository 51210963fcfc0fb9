"""Remove people on request: their photos, labels and rows in the row store.

IMAGE is a path below `data.images` with its folders, a path to the file, or the
name of a face. Exact copies of the photo are removed with it.
If a photo is not found, nothing is removed. The next `dvc repro` makes outs
without them, and models that have never seen them. DVC's cache and remotes still
hold the earlier outs: --cache runs `dvc repro`, then removes from the cache
everything that the project does not use now (`dvc gc --workspace`): all earlier
versions, other branches and experiments, since the person may be in any of them.
--remote does the same to a remote.

After a stop or kill, give the same command again: it goes on where it was.

Remaining traces are listed: copies elsewhere in the project, photos that look
similar or have a similar name, files that name the photos, git's history, data
that `dvc update` would bring back, and what no command can undo.

examples:
  python -m facestats forget album/one.jpg --dry-run
  python -m facestats forget album/one.jpg data/raw/two.jpg
  python -m facestats forget --person anna
  python -m facestats forget album/one.jpg --cache --remote storage

exit code: 0 done, 1 some of it is left (listed), 2 wrong usage, a photo that is not
found, or something that can't go without harm (nothing was removed)
"""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path

from facestats.app.journal import Journal as LabelJournal
from facestats.cli import forget_cache
from facestats.cli import forget_traces as traces
from facestats.cli.forget_around import look_around
from facestats.cli.forget_journal import (
    Journal,
    Request,
    Unfinished,
    is_below,
    remove_half_written,
)
from facestats.cli.forget_leftovers import remove_leftovers
from facestats.cli.forget_targets import (
    Place,
    Targets,
    find_targets,
    names_before,
    photos_meant,
    require_photos,
    with_earlier,
)
from facestats.cli.indexes import forget_indexes
from facestats.cli.labels import find_root
from facestats.core.photo_files import face_filename, list_images, printable
from facestats.core.shard_removal import drop_members
from facestats.core.shards import contents, find_member, is_shard
from facestats.dvc_files.cache import require_sound_cache
from facestats.dvc_files.places import made_by_stages
from facestats.errors import FaceStatsError, InputError, number_of
from facestats.importers.placing import begun, clear_stopped, importing_alone, stopped
from facestats.labels.files import read_sheet
from facestats.labels.mentions import Mentions
from facestats.labels.removal import LabelFile, read_label_files
from facestats.labels.traits import first_trait
from facestats.machine.output import print_line, shell_words
from facestats.params.project import load_params
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.interface import StorePath
from facestats.rows.place import find_store
from facestats.rows.removal import forget_rows

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
    parser.add_argument(
        "--remote",
        metavar="NAME",
        type=str.lower,  # as DVC keeps it
        help="with --cache: the same for this remote",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would go and what is left, remove nothing"
    )
    parser.add_argument(
        "--root",
        type=Path,
        help="project folder (default: the nearest upwards that has params.yaml)",
    )


def run(options: argparse.Namespace) -> int:
    if not options.images and not options.person:
        raise InputError("name an IMAGE or a --person to forget")
    if options.remote and not options.cache:
        raise InputError(
            "--remote goes with --cache: the remote is left with what the project uses after `dvc "
            "repro`"
        )
    place = _find_place(options)
    journal = Journal(place.root)
    if options.dry_run:
        if before := stopped(place.labels):
            raise InputError(
                f"an import was stopped half way: {before} holds what there was before it. Give "
                "the import again, which ends or undoes it first, as does this command without "
                "--dry-run; nothing was looked at"
            )
        return _forget(place, journal, options)
    with journal.alone(), importing_alone(place.labels):
        half_way = stopped(place.labels)
        clear_stopped(place.labels)
        if half_way:
            print_line("an import had been stopped half way, and was ended or undone first")
        return _forget(place, journal, options)


def _forget(place: Place, journal: Journal, options: argparse.Namespace) -> int:
    request = Request(options.images, options.person, options.cache, options.remote)
    unfinished = journal.resume(request)
    labels = read_label_files(place.labels, place.manual, place.ratings)
    targets = _find_targets(place, options, labels, unfinished)
    if unfinished is None:  # else it has looked, and may have changed that since
        require_photos(place, targets)
        if options.remote and place.cache:
            forget_cache.require_filled(place.root, place.cache, options.remote)
    _check(place, targets, labels)

    for line in targets.notes:
        print_line(line)
    if not options.dry_run:
        journal.write(_unfinished(request, targets))
        remove_half_written([path for file in labels for path in {file.path, file.path.resolve()}])
    busy, cleared = _remove(place, targets, labels, not options.dry_run)
    for line in targets.alike:
        print_line(f"warning: {line}")
    for recipe, why in busy.items():
        print_line(f"warning: {recipe} {why}; give the same command again when that is over")
    left = 0
    made_anew = options.cache and not busy and not options.dry_run
    if made_anew:
        assert place.cache is not None  # `_find_place` has checked that
        left = forget_cache.forget(
            place.root,
            place.cache,
            place.store,
            targets.images,
            options.remote,
            targets.objects,
            place.has_photos,
        )
    write = not options.dry_run
    read = _kept(place, targets, labels, write)
    gone = {journal.path, *cleared, *begun(place.labels).values()}
    left += look_around(place, targets, read, gone, made_anew, write)
    if not options.dry_run and (rows := _rows_again(place, targets)):
        left += rows
        busy[place.store or place.root] = "was written meanwhile"
    if options.dry_run:
        print(
            "nothing removed (--dry-run)"
            + (f"; without it: {forget_cache.explain(options.remote)}" if options.cache else "")
        )
    elif not options.cache:
        print(_next_steps(place))
    for line in _still_there(place, targets, options):
        print_line(line)
    if not options.dry_run and not busy:
        journal.remove()  # after all that is to be told: else a kill would take that away
    return 1 if (left or busy) and not options.dry_run else 0


def _find_place(options: argparse.Namespace) -> Place:
    """Find where the project keeps what to remove.

    Raises
    ------
    InputError
        The photos are drawn by a stage, or the options of the cache can't be met.
    """
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
        require_sound_cache(root)
    return Place(
        root,
        [root / out for out in outs],
        root / params.data.images,
        root / params.data.labels,
        root / params.data.manual_labels,
        root / params.data.manual_ratings,
        cache,
        find_store(cache),
        params.score.min_age,
    )


def _find_targets(
    place: Place,
    options: argparse.Namespace,
    labels: list[LabelFile],
    unfinished: Unfinished | None,
) -> Targets:
    """Collect what the command is about, with what an unfinished one still knew."""
    has_photos = place.has_photos and any(place.photos.iterdir())
    here = list_images(place.photos) if has_photos else []
    before = names_before(place, options.cache).union(unfinished.images if unfinished else ())
    mentions = Mentions(labels, here, before, place.photos)
    images = photos_meant(mentions, options, unfinished)
    if unfinished is None:
        mentions.refuse_unclear(images)
    targets = find_targets(place, images, set(here), mentions, options.person)
    if unfinished is None:
        return targets
    print("going on with what is unfinished of this command")
    return with_earlier(targets, unfinished)


def _unfinished(request: Request, targets: Targets) -> Unfinished:
    return Unfinished(
        request,
        targets.images,
        sorted(targets.sha256),
        sorted(targets.objects),
        {name: sorted(names) for name, names in targets.named.items()},
        targets.search,
    )


def _kept(
    place: Place, targets: Targets, labels: list[LabelFile], write: bool
) -> dict[Path, bytes]:
    """What label files and the pages' journal of labels hold without the lines about them."""
    kept = {}
    for file in labels:
        with suppress(FileNotFoundError):  # removed meanwhile
            names = targets.named[str(file.path)]
            going = not write and file.lines(names)
            kept[file.path] = file.without(names) if going else file.path.read_bytes()
    labelled = LabelJournal(place.root)
    return kept | {labelled.path: labelled.without(_faces(targets))}


def _rows_again(place: Place, targets: Targets) -> int:
    """Count their rows that a run has stored meanwhile, with a warning."""
    if place.store is None or not place.store.is_dir():
        return 0
    counts, _ = forget_rows(place.store, place.cache, targets.sha256, _faces(targets), write=False)
    rows = sum(counts.values())
    if rows:
        print_line(
            f"warning: {rows} rows of them are in {place.store} again, as of a run that went "
            "on meanwhile; give the same command once it has ended"
        )
    return rows


def _faces(targets: Targets) -> list[str]:
    """The faces' names as tables hold them."""
    return [printable(face_filename(image)) for image in targets.images]


def _check(place: Place, targets: Targets, labels: list[LabelFile]) -> None:
    """Refuse what would fail half-way, photos behind a link, and what takes children's labels.

    Photos behind a link are somebody's originals.

    Raises
    ------
    InputError
        Names every file that could not be removed or written.
    """
    inside = [place.photos.resolve(), *([place.cache.folder.resolve()] if place.cache else [])]
    mistakes = [*targets.unprotected]
    holders: dict[Path, Path] = {}
    for photo in targets.files:
        shard = find_member(photo)
        holders.setdefault(shard[0] if shard else photo, photo)
    for path, photo in holders.items():
        if path != photo and (problem := contents(path).problem):
            mistakes.append(f"{path}, which holds {photo}, can't be written anew: {problem}")
        if path == photo and is_shard(path) and (n := len(contents(path).places)):
            mistakes.append(
                f"{path} is a shard, and holds {number_of(n, 'photo')} that can be used: name "
                "them, or copy the shard again"
            )
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
    named = [(file, targets.named[str(file.path)]) for file in labels]
    mistakes += [
        why
        for file, names in named
        if file.lines(names) and (why := _led_out(place, file) or file.obstacle(names))
    ]
    try:
        LabelJournal(place.root).forget(_faces(targets), write=False)
    except (InputError, OSError) as error:
        mistakes.append(str(error))
    if mistakes:
        raise InputError("\n".join([*mistakes, "nothing was removed"]))


def _led_out(place: Place, file: LabelFile) -> str | None:
    """Why labels by hand are not changed: somebody's project may link them to a file of one's own.

    Links in the folder of `data.labels` are followed, as its files may lie with the photos.
    """
    target = file.path.resolve()
    inside = [place.root.resolve(), *([place.cache.folder.resolve()] if place.cache else [])]
    if not file.by_hand or any(target.is_relative_to(folder) for folder in inside):
        return None
    return (
        f"a file by hand: {file.path} leads out of the project folder to {target}; put that "
        "file itself there, or remove the lines about them yourself and add --allow-missing"
    )


def _remove(
    place: Place, targets: Targets, labels: list[LabelFile], write: bool
) -> tuple[dict[StorePath, str], set[Path]]:
    """Remove rows and photos, and last the lines by which the photos are found.

    Returns the recipes that were left, with the reason, and what killed processes had left.
    """
    verb = "removed" if write else "would be removed"
    busy: dict[StorePath, str] = {}
    if place.store and place.store.is_dir():
        counts, busy = forget_rows(
            place.store,
            place.cache,
            targets.sha256,
            _faces(targets),
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
        busy |= forget_indexes(place.root, _faces(targets), write)
        made = [place.root / name for name in ("data", "docs", "metrics", "models")]
        by_hand = [place.manual, place.ratings, LabelJournal(place.root).path]
        cleared = remove_leftovers([place.photos, place.labels, *made], by_hand, place.root, write)
        for path in targets.files:
            if write and not find_member(path):
                path.unlink(missing_ok=True)  # a folder with two names lists a file twice
            print_line(f"{path}: {verb}")
        if write:
            _remove_members(targets.files)
            _remove_empty_folders(place.photos, targets.images)
        for file in labels:
            names = targets.named[str(file.path)]
            cache = place.cache.folder if place.cache else None
            first = _first_trait(file)
            count = file.remove(names, cache) if write else len(file.lines(names))
            if (now := _first_trait(file)) != first:
                print_line(
                    f"warning: the first trait in {file.path} is {now or 'none'} now, no longer "
                    f"{first}; `score.traits: [{first}]` in params.yaml scores that one"
                )
            if count:
                places = number_of(count, "column" if file.by_column else "line")
                target = file.path.resolve() if file.path.is_symlink() else None
                shown = f"{file.path} (a link to {target})" if target else file.path
                print_line(f"{shown}: {places} {verb}")
        labelled = LabelJournal(place.root)
        if count := labelled.forget(_faces(targets), write):
            print_line(f"{labelled.path}: {number_of(count, 'line')} {verb}")
    except OSError as error:
        raise FaceStatsError(
            f"{error.filename} can't be removed or written ({error.strerror}); what is named above "
            "is gone, the rest is left. Mend it and give the same command again"
        ) from None
    return busy, cleared


def _remove_members(photos: list[Path]) -> None:
    """Write shards anew without the photos that lie in them."""
    shards: dict[Path, set[str]] = {}
    for shard, name in filter(None, map(find_member, photos)):
        shards.setdefault(shard, set()).add(name)
    for shard, names in shards.items():
        drop_members(shard, names)
        what = "written anew without them" if shard.exists() else "removed: it held no other photo"
        print_line(f"{shard}: {what}")


def _remove_empty_folders(photos: Path, images: list[str]) -> None:
    """Remove the folders that photos were in and that are empty now."""
    for image in filter(is_below, images):
        for above in Path(image).parents[:-1]:
            folder = photos / above
            if (
                folder.is_symlink()
                or folder.is_file()
                or (folder.exists() and any(folder.iterdir()))
            ):
                break
            if folder.exists():
                folder.rmdir()


def _next_steps(place: Place) -> str:
    return "\n".join(
        [
            "next:",
            "  dvc repro                  # outs without them, models that have never seen them; "
            "`dvc checkout` before it would bring the photos back",
            f"  git add -u && git commit   # the new {place.photos.name}.dvc and dvc.lock",
        ]
    )


def _still_there(place: Place, targets: Targets, options: argparse.Namespace) -> list[str]:
    """List what still holds the people, each with the way out."""
    lines = []
    if place.cache and not options.cache:
        again = f"python -m facestats forget {shell_words(targets.images)} --cache"
        remotes = forget_cache.remotes(place.cache.root)
        lines += [
            "still there:",
            f"  DVC's cache: {number_of(len(targets.objects), 'picture')} of them, and earlier "
            "tables, models and composites. This removes them:",
            f"    {again}",
        ]
        lines += [
            f"  the remote {name}, as far as they were pushed: the same with --remote {name}"
            for name in remotes[:1]
        ]
        lines += [f"  the remote {name}: that command says how" for name in remotes[1:]]
    elif place.cache:
        lines += forget_cache.not_looked_at(place.cache.root, options.remote)
    held = traces.imports(place.root, [place.photos / image for image in targets.images])
    lines += [f"warning: {line}" for line in held]
    if line := traces.experiments(place.root):
        lines.append(f"warning: {line}")
    lines += [
        f"warning: {line}"
        for line in traces.history(
            place.root,
            targets.search,
            targets.search.finder(place.above_names(), targets.staying),
        )
    ]
    return [*lines, *forget_cache.beyond_reach(place.root, place.manual).split("\n")]


def _first_trait(file: LabelFile) -> str:
    sheet = read_sheet(file.path) if file.path.stem.lower() == "ratings" else None
    return "" if sheet is None else first_trait(sheet.table)
