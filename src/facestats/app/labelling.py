"""Labels by hand as the pages give them: which faces, which classes, writing and taking back."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.app.cards import SOURCES, cards_of, shown_value
from facestats.app.journal import Entry, Journal, label_without, standing
from facestats.app.query import Query
from facestats.app.recent import Recent
from facestats.app.site import Shown, words
from facestats.attributes.known_classes import check_label, known_classes
from facestats.core import tables
from facestats.core.layout import FACES_TABLE, METADATA
from facestats.core.tables import UNKNOWN
from facestats.errors import FaceStatsError, InputError, ModelError
from facestats.faces.tables import FACES
from facestats.labels.cells import number, one_form
from facestats.labels.csv_text import read_csv
from facestats.labels.manual import Change, labels_by_hand, merge_labels, own_file, same_label
from facestats.machine.output import one_line
from facestats.params.project import Params, load_params
from facestats.photos.source import hash_photo, is_photo
from facestats.serving.answers import SENSITIVE_COLUMNS
from facestats.serving.manifest import Identity, identity

TEMPLATE = METADATA / "labels_template.csv"
CONTRADICTS = "contradicts_"
LISTS = ("proposed", "doubtful", "faces")
MOST = 400  # faces of a list
LAST = 50  # changes that the page shows
LONGEST_NAME = 100  # characters of who labels


class ChangedError(InputError):
    """Somebody else has labelled the face meanwhile."""


@dataclass(frozen=True)
class Attribute:
    """What can be labelled.

    Attributes
    ----------
    name : str
    classes : list of str or None
        None: a number.
    """

    name: str
    classes: list[str] | None


class Labelling:
    """The labels by hand of one project.

    Parameters
    ----------
    root : Path
        The project folder.
    ethnicity : bool
        Whether ethnicity may be shown and labelled.
    """

    def __init__(self, root: Path, ethnicity: bool):
        self.root, self.ethnicity = root, ethnicity
        self.journal = Journal(root)
        self._by_hand: Recent[dict[str, dict[str, str]]] = Recent(1)

    def file(self) -> Path:
        """The file of `data.manual_labels`; raises `InputError` or `ParamsError`."""
        return own_file(self.root, "data.manual_labels", params_of(self.root).data.manual_labels)

    def attributes(self, shown: Shown) -> list[Attribute]:
        """What can be labelled: the project's targets, and all else that has an answer."""
        targets = params_of(self.root).attributes.targets
        names = [name for name in self._names(shown) if self._may_show(name)]
        with_classes = [name for name in names if not _is_number(name, targets, shown)]
        classes = known_classes(self.root, self.file(), with_classes)
        return [Attribute(name, classes.get(name)) for name in names]

    def _names(self, shown: Shown) -> list[str]:
        answered = (c.removesuffix("_final") for c in shown.faces.columns if _final(c))
        return [*dict.fromkeys([*params_of(self.root).attributes.targets, *answered])]

    def rows(self, shown: Shown, which: str, column: str, query: Query) -> list[int]:
        """Row numbers of the faces of a list that are not labelled yet, in its order."""
        if which == "faces":
            return [int(row) for row in shown.faces.select(query).rows[:MOST]]
        if which == "doubtful":
            names = shown.facts.flagged(CONTRADICTS + column)
        else:
            names = self._proposed()
        by_hand = self._labels(shown)
        left = standing(self.journal.entries())
        unsure = {e.filename for e in left if e.column == column and not e.new and not e.old}
        rows = [
            shown.faces.row(name)
            for name in names
            if column not in by_hand.get(name, {}) and name not in unsure
        ]
        return [row for row in rows if row is not None][:MOST]

    def _labels(self, shown: Shown) -> dict[str, dict[str, str]]:
        """The labels by hand, by face and column; read again where the file is another one."""
        path = self.file()
        return self._by_hand.get(
            (shown.version, path, identity(path)),
            lambda: labels_by_hand(
                path, shown.faces.faces_by_image, shown.faces.photos, self._names(shown)
            ),
        )

    def _proposed(self) -> list[str]:
        sheet = read_csv(self.root / TEMPLATE)
        return [] if sheet is None else [*sheet.table.get("filename", [])]

    def faces(self, shown: Shown, rows: list[int], column: str) -> list[dict[str, Any]]:
        """Faces as the page has them: what is said of them, and by whom."""
        by_hand = self._labels(shown)
        numbers = np.array(rows, np.int32)
        names = [f"{column}_{end}" for end in ("final", "source", "said")]
        cells = shown.faces.values(numbers, [n for n in names if n in shown.faces.columns])
        faces = []
        for card, cell in zip(cards_of(shown, numbers), cells, strict=True):
            source = cell.get(f"{column}_source") or ""
            value = cell.get(f"{column}_final")
            known = source not in ("", "unknown") and value not in (None, UNKNOWN)
            faces.append(
                {
                    "name": card["name"],
                    "address": card["address"],
                    "now": shown_value(f"{column}_final", value) if known else "not known",
                    "source": SOURCES.get(source, source) if known else "",
                    "by_hand": by_hand.get(card["name"], {}).get(column, ""),
                    "doubts": [
                        _doubt(flag)
                        for flag in shown.facts.flags_of(card["name"]) or ()
                        if flag["reason"] == CONTRADICTS + column
                    ],
                }
            )
        return faces

    def waiting(self, shown: Shown, filename: str) -> list[tuple[str, str]]:
        """Attributes and labels by hand of a face that the run in use does not have yet."""
        by_hand = self._labels(shown).get(filename, {})
        names = [name for name in by_hand if self._may_show(name)]
        names = [name for name in names if f"{name}_final" in shown.faces.columns]
        rows = np.array([shown.faces.row(filename)], np.int32)
        columns = [f"{name}_{end}" for name in names for end in ("final", "source")]
        columns = [column for column in columns if column in shown.faces.columns]
        (cell,) = shown.faces.values(rows, columns)
        return [
            (words(name), by_hand[name])
            for name in names
            if cell.get(f"{name}_source", "manual") != "manual"
            or not _same(name, cell.get(f"{name}_final"), by_hand[name])
        ]

    def label(
        self,
        shown: Shown,
        filename: str,
        attribute: Attribute,
        text: str,
        before: str,
        new: bool,
        who: str,
        browser: str,
    ) -> Entry:
        """Write one label.

        Parameters
        ----------
        shown : Shown
        filename : str
        attribute : Attribute
        text : str
            The label; empty: somebody is unsure, which the journal keeps.
        before : str
            The label by hand that they saw.
        new : bool
            Whether a new class is meant.
        who, browser : str
            See `Entry`.

        Raises
        ------
        ChangedError
            The file has another label by now.
        InputError, LabelError
            It is no label (or ethnicity, where it may not be shown), or the file can't be written.
        """
        photo = require_same_photo(self.root, shown, filename)
        who = labeller(who)
        label = check_label(attribute.name, text, attribute.classes, new) if text else ""
        with self.journal.alone():
            old = self._write(shown, filename, attribute.name, label, before) if label else ""
            entry = self._entry(filename, photo, attribute.name, old, label, who, browser)
            self.journal.append(entry)
        return entry

    def undo(self, shown: Shown, id_: str, who: str, browser: str) -> Entry:
        """Take a label back; see `label` for what is raised."""
        with self.journal.alone():
            found = [entry for entry in standing(self.journal.entries()) if entry.id == id_]
            if not found:
                raise InputError("this label was taken back already, or never given here")
            (last,) = found
            if not self._may_show(last.column):
                raise InputError("this server was started without --allow-ethnicity")
            photo = require_same_photo(self.root, shown, last.filename)
            if last.photo and photo not in ("", last.photo):
                raise InputError("this label is of an earlier photo of this name")
            old = label_without(last, self.journal.entries())
            if old != last.new:
                self._write(shown, last.filename, last.column, old, last.new)
            entry = self._entry(
                last.filename, photo, last.column, last.new, old, labeller(who), browser, last.id
            )
            self.journal.append(entry)
        return entry

    def _entry(
        self,
        filename: str,
        photo: str,
        column: str,
        old: str,
        new: str,
        who: str,
        browser: str,
        undoes: str = "",
    ) -> Entry:
        file = params_of(self.root).data.manual_labels
        when, own = datetime.now(UTC).isoformat(timespec="seconds"), secrets.token_hex(8)
        return Entry(own, filename, column, old, new, who, when, browser, undoes, file, photo)

    def _write(self, shown: Shown, filename: str, column: str, label: str, before: str) -> str:
        """Write a label; the file's own before."""

        def check(changes: list[Change]) -> None:
            (change,) = changes
            if change.changed and not same_label(column, change.old or "", before):
                others = [
                    entry.who
                    for entry in self.journal.entries()
                    if (entry.filename, entry.column) == (filename, column)
                ]
                by = f" by {others[-1]}" if others and others[-1] else ""
                raise ChangedError(
                    f"{column} of this face is {change.old or 'without a label'} by now{by}; look "
                    "again, then decide"
                )

        answers, faces = {filename: {column: label}}, shown.faces
        (change,) = merge_labels(
            self.file(), answers, faces.images, check=check, photos=faces.photos
        )
        return change.old or ""

    def changes(self, shown: Shown) -> list[Entry]:
        """The last labels by the pages that stand, the latest first."""
        left = standing(self.journal.entries())[::-1]
        return [entry for entry in left if self._may_show(entry.column)][:LAST]

    def _may_show(self, name: str) -> bool:
        return self.ethnicity or not f"{name}_final".startswith(SENSITIVE_COLUMNS)


def is_removed(root: Path, image: str) -> bool:
    """Whether a photo was removed from the project since the run, as `forget` does.

    Never where the photos are not here, as on a server.
    """
    try:
        photos = root / params_of(root).data.images
    except FaceStatsError:
        return False
    return "\\x" not in image and photos.is_dir() and not is_photo(photos / image)


def is_replaced(root: Path, image: str) -> bool:
    """Whether another photo has this name since the run, as where photos were numbered anew."""
    table = root / FACES_TABLE
    try:
        known = _sha256(table, identity(table)).get(image)
    except FaceStatsError:  # no such table
        return False
    return bool(known) and is_another(root, image, known)


def is_another(root: Path, image: str, known: str) -> bool:
    """Whether the photo of this name has other bytes than those of this sha256."""
    photo = root / params_of(root).data.images / image
    try:
        return is_photo(photo) and hash_photo(photo) != known
    except FaceStatsError:  # none that can be read
        return False


@lru_cache(maxsize=1)
def _sha256(table: Path, _: Identity) -> pd.Series:
    return tables.read(table, FACES, ["image", "sha256"]).set_index("image")["sha256"].dropna()


def require_same_photo(root: Path, shown: Shown, face: str) -> str:
    """The sha256 of the photo of a face; empty where it is not known.

    Raises
    ------
    InputError
        It is not that which is shown: nothing is written of it.
    """
    image = shown.faces.images.get(face, face)
    if is_removed(root, image):
        raise InputError("this photo was removed from the project; reload the page")
    try:
        known = shown.facts.sha256_of(face)
    except ModelError:
        if (root / FACES_TABLE).exists():
            raise InputError("a run is under way; reload the page when it has ended") from None
        return ""  # a server without the photos' table
    if known and is_another(root, image, known):
        raise InputError("another photo has this name by now; `dvc repro`, then reload the page")
    return known or ""


def params_of(root: Path) -> Params:
    """The parameters of a project, read again where the file is another one."""
    path = root / "params.yaml"
    return _read_params(path, identity(path))


@lru_cache(maxsize=4)
def _read_params(path: Path, _: Identity) -> Params:
    return load_params(path)


def labeller(name: str) -> str:
    """A person's name as typed; raises `InputError` where it can't be shown on one line."""
    name = one_form(name)
    if len(name) > LONGEST_NAME or one_line(name) != name:
        raise InputError(
            f"a name has {LONGEST_NAME} characters at most, on one line, all of them visible"
        )
    return name


def _same(name: str, value: Any, label: str) -> bool:
    """Whether a value of the table is what a label by hand says."""
    if isinstance(value, float):
        return number(f"{value:.15g}") == number(label)
    return same_label(name, str(value), label)


def _final(column: str) -> bool:
    return column.endswith("_final")


def _is_number(name: str, targets: Mapping[str, Any], shown: Shown) -> bool:
    if name in targets:
        return targets[name].kind == "regression"
    return shown.faces.facet(f"{name}_final").kind == "number"


def _doubt(flag: Mapping[str, Any]) -> str:
    value = flag["value"]
    said = "" if value is None or pd.isna(value) else f" ({value:.3g})"
    return f"the model contradicts the label{said}"
