"""The targets of a request to forget: the photos it names, their copies, and similar photos."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from facestats.cli import forget_cache
from facestats.cli import forget_traces as traces
from facestats.cli.forget_journal import (
    Unfinished,
    is_below,
    merged,
)
from facestats.cli.forget_names import called_so
from facestats.core.crops import Crops
from facestats.core.layout import CROPS, FACES_TABLE
from facestats.core.photo_files import face_filename, printable
from facestats.errors import InputError
from facestats.labels.mentions import Mentions
from facestats.machine.faults import fault, is_fault
from facestats.machine.output import shell_words
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.folder import is_absent
from facestats.rows.interface import StorePath

_COLUMNS = ["image", "filename", "sha256", "duplicate_of", "near_duplicate_of"]


@dataclass
class Place:
    """The places in a project that hold photos, labels and rows.

    `outs` are what stages write, and `min_age` is `score.min_age`.
    """

    root: Path
    outs: list[Path]
    photos: Path
    labels: Path
    manual: Path
    ratings: Path
    cache: DvcCache | None
    store: StorePath | None
    min_age: int | None = None

    @property
    def has_photos(self) -> bool:
        """Whether the photos are here; a folder that was kept back is not."""
        return self.photos.is_dir()

    def above_names(self) -> list[str]:
        """Folders that may precede a photo's or a face's name."""
        own = (
            [self.photos.relative_to(self.root).as_posix()]
            if self.photos.is_relative_to(self.root)
            else []
        )
        return [self.photos.as_posix(), *own, CROPS.as_posix(), "faces", "landmarks/tem"]


@dataclass
class Targets:
    """What the project holds of the photos to forget.

    Attributes
    ----------
    images : list of str
        Paths below the image folder, sorted.
    files : list of Path
        Those that exist, with their `.dvc` files.
    sha256 : set of str
        Of the photos' bytes.
    search : Search
        What to look for afterwards.
    objects : set of str
        MD5 of their pictures in DVC's cache.
    named : dict of str to set of str
        By label file, the names that it gives to them.
    notes : list of str
        How names were read.
    alike : list of str
        Photos that stay and may show the same people, with the reason.
    staying : set of str
        Photos that stay and are called like one that goes, in whatever folder.
    unprotected : list of str
        Which copies that stay lose the only label that keeps a child's picture from a score.
    """

    images: list[str]
    files: list[Path]
    sha256: set[str]
    search: traces.Search
    objects: set[str]
    named: dict[str, set[str]]
    notes: list[str] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)
    staying: set[str] = field(default_factory=set)
    unprotected: list[str] = field(default_factory=list)


def names_before(place: Place, cache_too: bool) -> set[str]:
    """Photos of the last run and, where asked, of every version in DVC's cache."""
    names = set(_last_run(place)["image"])
    if not cache_too:
        return names
    assert place.cache is not None  # `--cache` asks for one
    return names | forget_cache.listed_names(place.cache)


def photos_meant(
    mentions: Mentions, options: argparse.Namespace, unfinished: Unfinished | None
) -> set[str]:
    """The photos that the command names, and those of the command that it resumes."""
    try:
        images = {
            *mentions.images(options.images, options.allow_missing),
            *mentions.photos_of(options.person, options.allow_missing),
        }
    except InputError:  # the label files that named them may be gone already
        if unfinished is None:
            raise
        images = set()
    return images.union(unfinished.images if unfinished else ())


def with_earlier(targets: Targets, earlier: Unfinished) -> Targets:
    """Add what an earlier command still knew to the targets."""
    named = {
        name: names.union(earlier.named.get(name, ())) for name, names in targets.named.items()
    }
    return replace(
        targets,
        sha256=targets.sha256.union(earlier.sha256),
        objects=targets.objects.union(earlier.objects),
        named=named,
        unprotected=[],  # the earlier command has looked, and some labels may be gone by now
        search=merged(targets.search, earlier.search),
    )


def find_targets(
    place: Place, images: set[str], here: set[str], mentions: Mentions, persons: list[str]
) -> Targets:
    """Collect everything known about the photos to forget, their exact copies included."""
    table = _last_run(place)
    sizes = traces.sizes_of(place.photos / image for image in sorted(here))
    photos = {image: path for image in here if (path := place.photos / image) in sizes}
    wanted = {sizes[photos[image]] for image in images & photos.keys()}
    same_size = {image: path for image, path in photos.items() if sizes[path] in wanted}
    found = traces.bytes_of(same_size.values())
    sha256 = {found[photos[image]].sha256 for image in images & photos.keys()}
    copies = {image for image, path in same_size.items() if found[path].sha256 in sha256} - images
    images |= copies
    sha256 |= set(table.loc[table["image"].isin(list(map(printable, images))), "sha256"].dropna())
    objects: set[str] = set()
    earlier: list[Path] = []
    if place.cache:  # earlier versions under the same name have rows of their own
        objects = forget_cache.pictures(place.cache, images) & forget_cache.all_objects(place.cache)
        earlier = [place.cache.object(md5) for md5 in sorted(objects)]
    before = traces.bytes_of(earlier)
    search = _search(place, images, found, before, sha256, mentions, persons)
    files = [place.photos / image for image in sorted(images & here)]
    files += [  # `dvc checkout` would bring the photo back
        path
        for image in sorted(filter(is_below, images))
        if (path := place.photos / f"{image}.dvc").is_file()
    ]
    targets = Targets(
        sorted(images),
        files,
        sha256 | {known.sha256 for known in before.values()},
        search,
        objects,
        {str(file.path): mentions.names(file, images) for file in mentions.files},
    )
    targets.notes = mentions.notes + [
        line for file in mentions.files for line in mentions.liberties(file, images)
    ]
    targets.notes += [
        f"{image} is not in {place.photos} (any more)" for image in sorted(images - here)
    ]
    shown = {image: name for name, photos_of in mentions.people().items() for image in photos_of}
    targets.notes += [
        f"{image} has the same bytes and goes, too"
        + (f"; label files say that it shows {shown[image]}" if image in shown else "")
        for image in sorted(copies)
    ]
    targets.staying = called_so(images, here - images)
    targets.alike = _alike(place, images, here, table, mentions, persons)
    targets.unprotected = unprotected_copies(place, images, here, mentions)
    return targets


def _search(
    place: Place,
    images: set[str],
    photos: dict[Path, traces.Bytes],
    earlier: dict[Path, traces.Bytes],
    sha256: set[str],
    mentions: Mentions,
    persons: list[str],
) -> traces.Search:
    """What else may hold the photos: `photos` and `earlier` are their files, now and before."""
    exported = {str(PurePosixPath(face_filename(image)).with_suffix(".tem")) for image in images}
    names = {*images, *map(face_filename, images), *exported}.union(
        *(mentions.names(file, images) for file in mentions.files)
    )
    crops = Crops.of(place.root / CROPS)
    faces = {image: crops.path(face_filename(image)) for image in images}
    found = photos | traces.bytes_of(faces.values())
    own = [
        (image, found[path])
        for image in sorted(images)
        for path in (place.photos / image, faces[image])
        if path in found
    ]
    by_hash = dict.fromkeys(sha256, "a photo that went") | {
        known.sha256: "an earlier version" for known in earlier.values()
    }
    by_hash |= {known.sha256: image for image, known in reversed(own)}
    sizes = {known.size for known in [*earlier.values(), *(known for _, known in own)]}
    return traces.Search(
        sorted(images),
        names,
        set(persons),
        by_hash,
        sizes if all(place.photos / image in photos for image in images) else None,
        {known.git: image for image, known in own},
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
    """Photos of the last run in the same group of copies as one of these, without these."""
    table = table.dropna(subset="filename").drop_duplicates("filename")
    leader = table["duplicate_of"].fillna(table["filename"])
    leader = leader.map(table.set_index("filename")["near_duplicate_of"]).fillna(leader)
    groups = set(leader[table["image"].isin(list(map(printable, images)))].dropna())
    return set(table.loc[leader.isin(groups), "image"]) - images


def require_photos(place: Place, targets: Targets) -> None:
    """Raise `InputError` where the outs name the people and nothing here can make other ones."""
    known = set() if place.has_photos else {*_last_run(place)["image"]}
    if named := [name for name in map(printable, targets.images) if name in known]:
        raise InputError(
            f"{named[0]} is in the outs, which can be made without it only where the photos are, "
            f"and {place.photos} is missing. `dvc checkout` brings it. Where it was kept back "
            "(push: false), give this command where it is, and push; then, here, after `git pull` "
            "and `dvc pull --allow-missing`; nothing was removed"
        )


def unprotected_copies(
    place: Place, images: set[str], here: set[str], mentions: Mentions
) -> list[str]:
    """Say which copies would get scores as the only label goes by which they show a child.

    Parameters
    ----------
    place : Place
    images : set of str
        The photos that go.
    here : set of str
        All photos that there are.
    mentions : Mentions
    """
    if place.min_age is None:
        return []
    ages = mentions.ages()
    minors = {image for image, age in ages.items() if age < place.min_age}
    if minors.isdisjoint(images):
        return []
    table = _last_run(place, ["image", "copy_group"]).dropna()
    groups = table.set_index("image")["copy_group"]
    photos = {printable(image): image for image in sorted({*here, *images, *ages})}
    members: dict[str, list[str]] = {}
    for shown, group in groups[groups.duplicated(keep=False)].items():
        if image := photos.get(str(shown)):
            members.setdefault(group, []).append(image)
    lines = []
    for copies in members.values():
        young = minors.intersection(copies)
        staying = [image for image in copies if image in here - images]
        left = [image for image in staying if image not in ages]
        if young & images and left and young.isdisjoint(staying):
            lines.append(
                f"the label of {min(young & images)} as under {place.min_age} (score.min_age) "
                f"keeps copies of the picture from scores, and they have none of their own: "
                f"{', '.join(left)}. Name them, too, or label their age first"
            )
    return lines


def _last_run(place: Place, columns: list[str] = _COLUMNS) -> pd.DataFrame:
    """Columns of the last run's table of faces; empty without a run."""
    tables = place.cache.tables("preprocess") if place.cache else []
    for paths in [[place.root / FACES_TABLE], *tables]:
        try:
            table = pd.concat([pd.read_parquet(path, columns=columns) for path in paths])
            return table.drop_duplicates("image")
        except (OSError, ValueError) as error:  # missing or damaged
            if isinstance(error, OSError) and is_fault(error) and not is_absent(error):
                raise fault(paths[0], error) from None
    return pd.DataFrame(columns=columns, dtype="str")
