"""An import from beginning to end: find, read, choose, and put in place."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facestats.core.files import csv_text, write_json
from facestats.errors import InputError, number_of
from facestats.importers.appending import (
    Earlier,
    is_rated,
    joined,
    read_earlier,
    refuse_other_scale,
)
from facestats.importers.content import NO_PHOTO, Choices, Content, Dataset
from facestats.importers.croissant import croissant
from facestats.importers.placing import (
    in_place,
    mend,
    place_photos,
    refuse_filled,
    replacing_folders,
)
from facestats.importers.tree import Tree, is_archive, is_photo, listed
from facestats.machine.output import one_line

FACTS, CROISSANT = "dataset.json", "dataset.croissant.json"
SAMPLED, SURELY = 200, 10  # photos whose largest, so many times, tells that all will fit
MOST_NAMES = 1000  # of what was left out, in dataset.json
STANDARD = ("image", "gender", "ethnicity", "age", "rating", "person", "split_official")


@dataclass
class Imported:
    """What an import has brought in.

    Attributes
    ----------
    images, labels, judgements : int
    dataset : dict
        `dataset.json` of this dataset.
    notes : list of str
    left_out : dict of str to list of str
    """

    images: int
    labels: int
    judgements: int
    dataset: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def report(self, raw: Path, labels: Path) -> str:
        """Lines on what came in and what did not."""
        dataset = self.dataset
        lines = [
            f"{dataset['title']}: {self.images} images in {raw}, {self.labels} labels and "
            f"{self.judgements} judgements in {labels}",
            f"licence: {dataset['licence']}"
            + f" ({dataset['licence_link']})" * bool(dataset["licence_link"]),
            *([f"cite: {dataset['citation']}"] if dataset["citation"] else []),
            *self.notes,
            *(
                f"left out: {len(names)} × {reason}: {listed(names)}"
                for reason, names in self.left_out.items()
            ),
        ]
        return "\n".join(map(one_line, lines))


def import_dataset(
    dataset: Dataset,
    others: Mapping[str, Dataset],
    source: Path,
    into: Path,
    choices: Choices | None = None,
    *,
    link: bool = False,
    limit: int | None = None,
    partial: bool = False,
    append: bool = False,
    again: bool = False,
    by_hand: Collection[Path] = (),
) -> Imported:
    """Write `into/raw/` (images) and `into/labels/` (labels.csv, ratings.csv, dataset.json).

    Both folders appear whole or not at all, whenever the import is stopped. The dataset's own files
    are only read.

    Parameters
    ----------
    dataset : Dataset
    others : mapping of str to Dataset
        All known datasets, to say which one a folder looks like.
    source : Path
        The folder that holds the dataset, at any depth. Links in it are not followed.
    into : Path
        `raw` and `labels` below it must not exist yet, or be empty.
    choices : Choices, optional
    link : bool
        Hard links instead of copies.
    limit : int, optional
        Import so many photos, those with the lowest hashes of their names.
    partial : bool
        Accept a dataset most of whose photos are missing.
    append : bool
        Add the dataset to the imported one that is there.
    again : bool
        Accept folders that hold just what this import would write, as one that was stopped left
        them.
    by_hand : collection of Path
        The project's files of labels and ratings by hand, which stay on the scale that they have.

    Returns
    -------
    Imported

    Raises
    ------
    InputError
        The folder is another dataset, incomplete or damaged, or a target is not empty.
    """
    if not again and not append:
        for target in (into / "raw", into / "labels"):
            refuse_filled(target)
    if append:
        mend(into)
    before = in_place(into) if append else None
    tree, content = _read(dataset, others, Tree(source), choices or Choices())
    _check_whole(tree, dataset, content, partial)
    _choose(content, limit)
    dataset_facts = _facts(dataset, tree, content, limit)
    earlier = read_earlier(into, dataset_facts, content.photos) if append else Earlier()
    refuse_other_scale(earlier, content, by_hand)
    _require_space(tree, content, into, link)
    with replacing_folders(into, again, before) as folders:
        merged, all_facts = joined(earlier, content, dataset_facts)
        for name, table in (("labels.csv", merged.labels), ("ratings.csv", merged.ratings)):
            if table is not None:
                (folders["labels"] / name).write_bytes(
                    csv_text(table).encode(errors="backslashreplace")
                )
        write_json(folders["labels"] / FACTS, all_facts)
        write_json(folders["labels"] / CROISSANT, croissant(all_facts, merged, folders["labels"]))
        earlier.carry_over(folders)
        place_photos(tree, merged.photos, folders["raw"], link)
        refuse_other_scale(earlier, content, by_hand)  # somebody may have rated meanwhile
    n_judged = 0 if content.ratings is None else len(content.ratings)
    skipped = {
        reason: names
        for reason, names in (
            ("hidden files of a system", tree.skipped),
            ("names that are not UTF-8; rename them", tree.unnamed),
        )
        if names
    }
    return Imported(
        len(content.photos),
        len(content.labels),
        n_judged,
        dataset_facts,
        merged.notes,
        {**content.left_out, **skipped},
    )


def _read(
    dataset: Dataset, others: Mapping[str, Dataset], whole: Tree, choices: Choices
) -> tuple[Tree, Content]:
    """Read the dataset where it lies; where photos lie beside its tables' folder, further up."""
    tree = find_root(whole, dataset, others)
    content = dataset.read(tree, choices)
    while not content.photos and tree.top != whole.top:
        tree = Tree(tree.top.parent)
        content = dataset.read(tree, choices)
    content.notes[:0] = tree.notes
    return tree, content


def find_root(tree: Tree, dataset: Dataset, others: Mapping[str, Dataset]) -> Tree:
    """The folder of a tree that is the dataset: where the first marker lies, the others below it.

    Raises
    ------
    InputError
        There is none; the message says which part is missing, or what the folder looks like.
    """
    roots = _roots(tree.files, dataset.markers[0])
    for root in roots:
        below = [path[len(root) :] for path in tree.files if path.startswith(root)]
        if all(_matches(below, marker) for marker in dataset.markers[1:]):
            return tree if not root else Tree(tree.top / root)
    alike = [other.title for other in others.values() if _looks_like(tree.files, other)]
    bare = not any(is_photo(path) for path in tree.files)
    archives = [path for path in tree.files if is_archive(path) and bare]
    part = (
        dataset.markers[0]
        if not roots
        else next(marker for marker in dataset.markers[1:] if not _matches(tree.files, marker))
    )
    hint = (
        f"; it looks like {alike[0]}"
        if alike
        else f"; it holds {listed(archives)}: unpack it first"
        if archives
        else f": {_readable(part)} is missing; get the whole dataset"
    )
    raise InputError(
        f"{tree.top} is not {dataset.title}{hint} (expected {' '.join(dataset.layout.split())})"
    )


def _looks_like(files: list[str], dataset: Dataset) -> bool:
    return all(_matches(files, marker) for marker in dataset.markers)


def _roots(files: list[str], marker: str) -> list[str]:
    """Folders (as prefixes of paths) below which a file matches, the least deep first."""
    pattern = re.compile(rf"(?:^|(?<=/))(?:{marker})$", re.IGNORECASE)
    roots = {path[: match.start()] for path in files if (match := pattern.search(path))}
    return sorted(roots, key=lambda root: (root.count("/"), root))


def _matches(files: list[str], marker: str) -> bool:
    pattern = re.compile(rf"(?:^|/)(?:{marker})$", re.IGNORECASE)
    return any(pattern.search(path) for path in files)


def _readable(marker: str) -> str:
    """A file that a marker matches, as people write it: of several, the first."""
    text = marker.replace("(?:.*/)?", "").replace(r"\d{4}", "0001").replace(r"\d{5}", "00001")
    text = re.sub(r"\(\?:([^|()]*)[^()]*\)\??", r"\1", text)  # (?:train|val) is train
    text = text.partition("|")[0]
    for pattern, name in ((r"(\()?\[\^/\][+*](?(1)\))", "…"), (r"\[\\?(\w)[^]]*\]\+?", r"\1")):
        text = re.sub(pattern, name, text)
    for pattern, name in (
        (" ?", ""),
        (r"\.?", "."),
        (r"\.", "."),
        (r"\1", "…"),
        (r"\d{17}", "1"),
        (r"\d+", "1"),
    ):
        text = text.replace(pattern, name)
    return text


def _check_whole(tree: Tree, dataset: Dataset, content: Content, partial: bool) -> None:
    missing = content.left_out.get(NO_PHOTO, [])
    if not content.photos and (there := [path for path in tree.files if is_photo(path)]):
        raise InputError(
            f"{tree.top}: the labels of {dataset.title} fit none of "
            f"{number_of(len(there), 'photo')} there, such as {listed(there)}; get the whole "
            "dataset"
        )
    if not content.photos:
        raise InputError(
            f"{tree.top} holds no photo of {dataset.title}; get the whole dataset (expected "
            f"{' '.join(dataset.layout.split())})"
        )
    if len(missing) > len(content.photos) and not partial:
        raise InputError(
            f"{tree.top}: {number_of(len(missing), 'photo')} of "
            f"{len(missing) + len(content.photos)} are missing, such as {listed(missing)}; get "
            "the rest, or import what is there with --partial"
        )


def _choose(content: Content, limit: int | None) -> None:
    """Keep the photos with the lowest hashes of their names, and labels of photos that are there.

    The names' hashes are the same every time.
    """
    names = sorted(content.photos)
    if limit is not None and limit < len(names):
        by_hash = sorted(names, key=lambda name: hashlib.sha256(os.fsencode(name)).digest())
        names = sorted(by_hash[:limit])
        content.notes.append(
            f"--limit: {limit} of {len(content.photos)} photos, by hash of their names"
        )
    content.photos = {name: content.photos[name] for name in names}
    rows = content.labels[content.labels["image"].isin(content.photos)]
    if rows["image"].duplicated().any():
        again = rows.loc[rows["image"].duplicated(), "image"]
        content.leave_out("a further row on one photo", again)
        rows = rows.drop_duplicates("image")
    first = [name for name in STANDARD if name in rows]
    rows = rows[[*first, *(name for name in rows if name not in first)]]
    content.labels = rows.sort_values("image", ignore_index=True)
    if content.ratings is not None:
        judged = content.ratings[content.ratings["image"].isin(content.photos)]
        content.ratings = judged.reset_index(drop=True) if len(judged) else None


def _facts(dataset: Dataset, tree: Tree, content: Content, limit: int | None) -> dict[str, Any]:
    """`dataset.json`."""
    return {
        "name": dataset.name,
        "title": dataset.title,
        "version": content.version or None,
        "licence": dataset.licence,
        "licence_link": dataset.licence_link,
        "citation": " ".join(dataset.citation.split()),
        "files": len(content.photos),
        "labels": len(content.labels),
        "judgements": 0 if content.ratings is None else len(content.ratings),
        "rating_scale": list(content.scale) if content.scale else None,
        "rating_trait": content.trait if content.trait and is_rated(content) else None,
        "limit": limit,
        "label_files": dict(sorted(tree.read_files.items())),
        "left_out": [
            {"reason": reason, "n": len(names), "names": sorted(names)[:MOST_NAMES]}
            for reason, names in content.left_out.items()
        ],
        "notes": content.notes,
    }


def _require_space(tree: Tree, content: Content, into: Path, link: bool) -> None:
    """Raise an `OSError` before anything is written if the photos would not fit."""
    if link:
        return
    place = into.resolve()
    while not place.exists():
        place = place.parent
    free, paths = shutil.disk_usage(place).free, [*content.photos.values()]
    some = paths[:: max(1, len(paths) // SAMPLED)]
    if len(paths) * max(os.lstat(tree.top / path).st_size for path in some) * SURELY < free:
        return
    needed = sum(os.lstat(tree.top / path).st_size for path in paths)
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"the photos need more than the {free >> 20} MiB that are free; choose another disk "
            "with --into DIR, or --link, or fewer with --limit",
            str(place),
        )
