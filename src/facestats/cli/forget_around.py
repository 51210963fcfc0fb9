"""What a project still holds of the people whom `forget` removes, file by file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from facestats.cli import forget_cache, forget_contents
from facestats.cli import forget_traces as traces
from facestats.cli.forget_names import Finder
from facestats.cli.forget_targets import Place, Targets
from facestats.errors import number_of
from facestats.labels.csv_text import NUMBER
from facestats.machine.output import print_line


def look_around(
    place: Place,
    targets: Targets,
    read: Mapping[Path, bytes],
    gone: Collection[Path],
    made_anew: bool,
    write: bool,
) -> int:
    """Report what else in the project folder holds or names the people.

    Parameters
    ----------
    place : Place
    targets : Targets
    read : mapping of Path to bytes
        The label files, each as it is without the lines about the photos.
    gone : collection of Path
        Files and folders that go beside the photos.
    made_anew : bool
        Whether the outs are those of a run without the people, so that an out that still holds
        them is a leftover.
    write : bool
        Whether the lines and photos were removed.

    Returns
    -------
    int
        The number of files that hold the people and will stay.
    """
    paths = _files(place, {*gone, *(path.absolute() for path in (*targets.files, *gone))})
    made = (
        set()
        if made_anew
        else {path for path in paths if any(path.is_relative_to(out) for out in place.outs)}
    )
    same = traces.same_bytes(paths, targets.search)
    same |= forget_contents.same_members(paths, targets.search, place.photos)
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
    left = [path for path in paths if path not in made | read.keys() | same.keys()]
    finder = targets.search.finder(place.above_names(), targets.staying)
    for line in [
        *forget_contents.still_named(read, _without_numbers(place, targets), write),
        *forget_contents.traces(
            place.root, left, finder, targets.search.images, place.photos, place.outs
        ),
    ]:
        print_line(f"warning: {line}")
    for folder in forget_cache.temporary(place.root, targets.images):
        print_line(
            f"warning: {folder} was left by a temporary or queued run; `dvc queue remove --all`, "
            "then remove the folder"
        )
    return len(same.keys() - made)


def _files(place: Place, gone: set[Path]) -> list[Path]:
    """Files of the project and of its photos and labels elsewhere, but for those that go."""
    left_out = {place.cache.folder, place.cache.root / ".dvc" / "cache"} if place.cache else set()
    left_out |= {place.store} if isinstance(place.store, Path) else set()
    places = [
        place.root,
        *(
            folder
            for folder in (place.photos, place.labels)
            if not folder.is_relative_to(place.root)
        ),
    ]
    return [
        path
        for folder in places
        for path in traces.files_of_project(folder, left_out | gone)
        if path.absolute() not in gone
    ]


def _without_numbers(place: Place, targets: Targets) -> Finder:
    """What finds the names in label files, whose cells may be a number that is nobody's name."""
    search = targets.search
    return Finder.of(
        [image for image in search.images if not NUMBER.fullmatch(image)],
        {name for name in search.names if not NUMBER.fullmatch(name)},
        {name for name in search.persons if not NUMBER.fullmatch(name)},
        place.above_names(),
        targets.staying,
    )
