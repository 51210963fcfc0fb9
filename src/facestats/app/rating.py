"""A study by the page Rate: its traits and scale, who has agreed, which face is next."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from facestats.app.labelling import is_removed, labeller, params_of, require_same_photo
from facestats.app.query import Query
from facestats.app.recent import Recent
from facestats.app.site import Choices, Shown, address
from facestats.core import tables
from facestats.core.layout import METADATA
from facestats.errors import FaceStatsError, InputError
from facestats.labels.cells import is_empty
from facestats.labels.columns import plain
from facestats.labels.csv_text import IMPORT_ID, visible
from facestats.labels.dataset import read_dataset
from facestats.labels.manual import alone, own_file
from facestats.labels.rated_by_hand import AGAIN, HEADER, add_line, rows_by_hand, take_line
from facestats.labels.rater_names import MEAN_RATER_NAMES
from facestats.labels.tables import LABELS
from facestats.labels.traits import MAIN
from facestats.serving.manifest import identity

CONSENTS = "consents.csv"  # beside the ratings
CONSENT_HEADER = ("rater", "time", "sha256")
MOST_POINTS = 11  # of a scale that is shown as buttons
LONGEST_TIME = 86_400.0  # seconds
KEPT_ORDERS = 64  # of raters
DIGITS = 9  # of a place in the order that is believed; Python reads no number of 4,301


@dataclass(frozen=True)
class Study:
    """What is rated.

    Attributes
    ----------
    traits : list of str
        As the file has them; '' is the main one without a name.
    scale : (float, float)
    path : Path
        The file of `data.manual_ratings`.
    """

    traits: list[str]
    scale: tuple[float, float]
    path: Path

    @property
    def points(self) -> list[int]:
        """The answers, if they are few and whole; else empty."""
        low, high = self.scale
        whole = float(low).is_integer() and float(high).is_integer()
        return [*range(int(low), int(high) + 1)] if whole and high - low < MOST_POINTS else []


def read_study(root: Path) -> Study:
    """The study of a project.

    Raises
    ------
    InputError, ParamsError, LabelError
        No scale is set, and none is known, or another one since the last run.
    """
    params = params_of(root)
    path = own_file(root, "data.manual_ratings", params.data.manual_ratings)
    table, facts = root / METADATA / LABELS.name, {}
    known = None
    with suppress(FaceStatsError, OSError):
        facts, known = tables.file_metadata(table), tables.rating_scale(table)
    scale = params.labels.rating_scale
    if not isinstance(scale, str):
        ends = float(scale[0]), float(scale[1])
    elif known:
        ends = known
    else:
        raise InputError(
            "nobody has rated yet, so the scale is not known: write labels.rating_scale: [1, 7], "
            "or the ends of your scale, into params.yaml"
        )
    dataset = read_dataset(root / params.data.labels) if isinstance(scale, str) else None
    if dataset and dataset.scale and known and dataset.scale != known:
        raise InputError(
            f"the ratings were on a scale from {known[0]:g} to {known[1]:g} in the last run, and "
            f"are from {dataset.scale[0]:g} to {dataset.scale[1]:g} by now; run `dvc repro` first"
        )
    traits = [*params.score.traits] or [facts.get("trait", "")]
    return Study(traits, ends, path)


def check_rater(name: str, there: set[str]) -> str:
    """A rater's name as the file has it.

    Raises
    ------
    InputError
        It is empty, no name, or differs from another only in case or blanks.
    """
    name = labeller(name)
    no_name = is_empty(name) or plain(name) in MEAN_RATER_NAMES or IMPORT_ID.match(name)
    if no_name or not plain(name):
        raise InputError(f"{name!r} is no name of a rater; write your name or a code of yours")
    if name not in there and _letters(name) in map(_letters, there):
        raise InputError(
            f"there is a rater whose name is {name!r} in other letters or with other blanks; if "
            "that is you, write it as you did before, else write another name"
        )
    return name


def _letters(name: str) -> str:
    return "".join(name.casefold().split())


@dataclass(frozen=True)
class Left:
    """What a rater has still to judge.

    Attributes
    ----------
    rows : ndarray of int
        Row numbers of faces, in the order in which they are shown.
    repeat : bool
        Whether these were judged once.
    done, total : int
        Judgements that were given, and that are asked for in all.
    order : int
        Number of the next judgement.
    last : str or None
        The photo that was judged last.
    """

    rows: np.ndarray
    repeat: bool
    done: int
    total: int
    order: int
    last: str | None


class Rating:
    """Raters of one project.

    Parameters
    ----------
    root : Path
        The project folder.
    choices : Choices
    """

    def __init__(self, root: Path, choices: Choices):
        self.root, self.choices = root, choices
        # Faces that were put behind the others, by rater and trait, in their order.
        self._skipped: dict[tuple[str, str], dict[str, None]] = {}
        self._orders: Recent[tuple[np.ndarray, np.ndarray]] = Recent(KEPT_ORDERS)
        self._rows: Recent[list[dict[str, str]]] = Recent(len((HEADER, CONSENT_HEADER)))

    def begin(self, shown: Shown, name: str, trait: str, agreed: bool) -> dict[str, Any]:
        """What a rater sees first: their next face, or the question whether they agree."""
        study = self._study(trait)
        with alone(study.path.resolve().parent):
            rows = self._read(study.path)
            rater, has_agreed = self._rater(study, rows, name)
            if not has_agreed:
                if not agreed:
                    return {"rater": rater, "agreed": False}
                self._agree(study, rater)
        return self._answer(shown, rows, rater, trait)

    def rate(
        self,
        shown: Shown,
        name: str,
        trait: str,
        face: str,
        rating: float,
        seconds: float,
        repeat: bool,
    ) -> dict[str, Any]:
        """Write one judgement, and give the next face.

        Raises
        ------
        InputError
            It is none of the scale, of a face that is not asked for, or by somebody who has not
            agreed.
        """
        study = self._study(trait)
        low, high = study.scale
        if not low <= rating <= high or (study.points and not rating.is_integer()):
            raise InputError(f"{rating:g} is no answer; expected {low:g} to {high:g}")
        require_same_photo(self.root, shown, face)
        if not 0 <= seconds <= LONGEST_TIME:
            raise InputError("the time of the answer is none")
        with alone(study.path.resolve().parent):
            rows, rater = self._rows_of_rater(study, name)
            left = self._left(shown, rows, rater, trait)
            if shown.faces.row(face) not in left.rows or repeat != left.repeat:
                raise InputError("this face was rated already, perhaps in another window")
            row = {
                "rater": rater,
                "image": shown.faces.images[face],
                "trait": trait,
                "rating": f"{rating:.15g}",
                "order": str(left.order),
                "seconds": f"{seconds:.3f}",
                "repeat": str(int(repeat)),
            }
            add_line(study.path, HEADER, row)
            rows = [*rows, row]
            self._rows.put((study.path, identity(study.path)), rows)
        return self._answer(shown, rows, rater, trait)

    def skip(self, shown: Shown, name: str, trait: str, face: str) -> dict[str, Any]:
        """Put a face behind all others, as long as this server runs, and give the next."""
        study = self._study(trait)
        with alone(study.path.resolve().parent):
            rows, rater = self._rows_of_rater(study, name)
            skipped = self._skipped.setdefault((rater, trait), {})
            if shown.faces.row(face) in self._left(shown, rows, rater, trait).rows:
                skipped.pop(face, None)
                skipped[face] = None
        return self._answer(shown, rows, rater, trait)

    def undo(self, shown: Shown, name: str, trait: str, face: str) -> dict[str, Any]:
        """Take a rater's last judgement out of the file, and give its face again.

        Raises
        ------
        InputError
            The last one is of another face by now.
        """
        study = self._study(trait)
        with alone(study.path.resolve().parent):
            self._rows.clear()  # a line is found by its text in the file, not by what was given
            rows, rater = self._rows_of_rater(study, name)
            own = _own(rows, rater, trait)
            if not own or visible(own[-1]["image"]) != visible(shown.faces.images.get(face, "")):
                raise InputError("this is not your last judgement any more; look again")
            take_line(study.path, own[-1])
            rows = self._read(study.path)
            self._skipped.get((rater, trait), {}).pop(face, None)
        return self._answer(shown, rows, rater, trait, face)

    def _study(self, trait: str) -> Study:
        if self.choices.consent is None:
            raise InputError("this server was started without --consent, so nobody is asked")
        study = read_study(self.root)
        if trait not in study.traits:
            raise InputError("this trait is none of the study's")
        return study

    def _rater(self, study: Study, rows: list[dict[str, str]], name: str) -> tuple[str, bool]:
        """A rater's name as the files have it, and whether they have agreed to this text."""
        consents = self._read(self._consents(study), CONSENT_HEADER)
        rater = check_rater(name, {row["rater"] for row in [*rows, *consents]})
        return rater, any(
            (row["rater"], row["sha256"]) == (rater, self._hash()) for row in consents
        )

    def _read(self, path: Path, header: Sequence[str] = HEADER) -> list[dict[str, str]]:
        """The lines of a file, read again where it is another one; nobody changes them."""
        return self._rows.get((path, identity(path)), lambda: rows_by_hand(path, header))

    def _rows_of_rater(self, study: Study, name: str) -> tuple[list[dict[str, str]], str]:
        """All lines of the file, and the name of a rater who has agreed."""
        rows = self._read(study.path)
        rater, has_agreed = self._rater(study, rows, name)
        if not has_agreed:
            raise InputError("the consent was not given, or its text is another one now")
        return rows, rater

    def _left(self, shown: Shown, rows: list[dict[str, str]], rater: str, trait: str) -> Left:
        """What a rater has still to judge."""
        own = _own(rows, rater, trait)
        order, twice = self._order(shown, rater, trait)
        first = _without(order, shown, [row for row in own if not _is_repeat(row)])
        second = _without(twice, shown, [row for row in own if _is_repeat(row)])
        left = first if len(first) else second
        while len(left) and is_removed(self.root, self._image(shown, left[0])):
            left = left[1:]
        if skipped := self._skipped.get((rater, trait)):
            last = shown.faces.rows_of(skipped)
            left = np.concatenate([left[~np.isin(left, last)], last[np.isin(last, left)]])
        total = len(order) + len(twice)
        return Left(
            left,
            repeat=not len(first) and len(second) > 0,
            done=total - len(first) - len(second),
            total=total,
            order=1 + max([len(own), *map(_place, own[-1:])]),
            last=visible(own[-1]["image"]) if own else None,
        )

    def _image(self, shown: Shown, row: int) -> str:
        (name,) = shown.faces.names(np.array([row], np.int32))
        return shown.faces.images[name]

    def _order(self, shown: Shown, rater: str, trait: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the faces in a rater's order, and of those that are shown again."""

        def draw() -> tuple[np.ndarray, np.ndarray]:
            faces = rows_to_rate(shown)
            seed = [*hashlib.sha256(f"{rater}\0{trait}".encode()).digest()]
            generator = np.random.default_rng(seed)
            order, twice = (generator.permutation(len(faces)) for _ in range(2))
            return faces[order], faces[twice[: self._repeats(len(faces))]]

        return self._orders.get((shown.version, rater, trait), draw)

    def _answer(
        self,
        shown: Shown,
        rows: list[dict[str, str]],
        rater: str,
        trait: str,
        face: str | None = None,
    ) -> dict[str, Any]:
        """What the page shows next: `face`, or the first that is left."""
        left = self._left(shown, rows, rater, trait)
        names = shown.faces.names(left.rows[:2])
        names = names if face is None else [face, *(name for name in names if name != face)]
        last = shown.faces.as_read[0].get(left.last or "")
        return {
            "rater": rater,
            "agreed": True,
            "face": {"name": names[0], "address": address(names[0])} if names else None,
            "upcoming": address(names[1]) if len(names) > 1 else None,
            "repeat": left.repeat,
            "done": left.done,
            "total": left.total,
            "last": None if last is None else shown.faces.name(last),
        }

    def _repeats(self, faces: int) -> int:
        return round(self.choices.repeats * faces)

    def _agree(self, study: Study, rater: str) -> None:
        time = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"rater": rater, "time": time, "sha256": self._hash()}
        add_line(self._consents(study), CONSENT_HEADER, row)

    def _consents(self, study: Study) -> Path:
        """The file of consents, beside the ratings."""
        path = study.path.with_name(CONSENTS)
        return own_file(self.root, "the consents", str(path.relative_to(self.root)))

    def _hash(self) -> str:
        return hashlib.sha256((self.choices.consent or "").encode()).hexdigest()


def _own(rows: list[dict[str, str]], rater: str, trait: str) -> list[dict[str, str]]:
    """A rater's lines as they were given; one without a number comes before those that have one."""
    own = [
        row for row in rows if row["rater"] == rater and (row["trait"] or MAIN) == (trait or MAIN)
    ]
    return sorted(own, key=_place)


def _place(row: dict[str, str]) -> int:
    text = row["order"]
    return int(text) if text.isdecimal() and len(text) <= DIGITS else 0


def _is_repeat(row: dict[str, str]) -> bool:
    return row["repeat"].strip().lower() in AGAIN


def _without(rows: np.ndarray, shown: Shown, judged: list[dict[str, str]]) -> np.ndarray:
    """The rows of faces without those that were judged."""
    known, first = shown.faces.as_read
    out = [known.get(visible(one["image"]), -1) for one in judged]
    return rows[~np.isin(first[rows], out)]


def rows_to_rate(shown: Shown) -> np.ndarray:
    """Rows of the faces that are rated: no doubtful one, no copy, nobody who may be a child."""
    rows = shown.faces.select(Query()).rows
    if "score_withheld" in shown.faces.columns:
        withheld = shown.faces.frame["score_withheld"].to_numpy(dtype=object)[rows]
        rows = rows[[value is None or value != value for value in withheld]]
    return rows
