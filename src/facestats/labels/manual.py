"""Merges into the file of labels by hand: it is never half written, and no merge is lost."""

from __future__ import annotations

import fcntl
import os
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facestats.core.files import csv_text
from facestats.errors import InputError, LabelError
from facestats.labels.cells import is_empty, number, without_empty
from facestats.labels.columns import (
    LABELS,
    find_columns,
    find_further,
    is_own,
    key_column,
    names_photo,
)
from facestats.labels.csv_text import WORKBOOKS, read_csv, visible
from facestats.labels.label_file import COLUMNS, NUMBERS
from facestats.labels.names import PhotoNames
from facestats.labels.sheet import Sheet

HEADER = ["filename", *COLUMNS]
PATIENCE = 60.0  # seconds to wait for another merge
_LOOK_EVERY = 0.1  # seconds


@dataclass(frozen=True)
class Change:
    """One label of one face; `old` is the file's own, None if it had none. `new` may be empty."""

    filename: str
    column: str
    old: str | None
    new: str

    @property
    def changed(self) -> bool:
        """Whether the file had another label or none."""
        if self.old is None:
            return self.new != ""
        return not same_label(self.column, self.old, self.new)


def merge_labels(
    path: Path,
    answers: Mapping[str, Mapping[str, str]],
    images: Mapping[str, str],
    write: bool = True,
    check: Callable[[list[Change]], None] | None = None,
    photos: PhotoNames | None = None,
) -> list[Change]:
    """Put labels into the file of labels by hand.

    Other rows, other cells and further columns are kept. The file is UTF-8 with commas, with the
    byte order mark if it had one; a missing file is made. If several rows are about one face, those
    with a label in the column change. Merges at the same time wait for each other. An empty text
    takes a label away, and its row where nothing is left in it.

    Parameters
    ----------
    path : Path
        CSV file with a column `image` or `filename`; a link to one stays a link.
    answers : mapping
        Labels as text, by face and column.
    images : mapping of str to str
        Path of the photo, by face, of all faces. Rows may name them as `PhotoNames` reads them,
        but with their folders, extensions and numbers: a row may be of a photo that is gone.
    write : bool
        False only says what would change.
    check : callable, optional
        Gets the changes before they are written, while nobody else writes; what it raises stops
        them.
    photos : PhotoNames, optional
        Of all `images`, if the caller has them: of 100,000 they take a second to make.

    Returns
    -------
    list of Change
        One for each label, in the order of `answers`.

    Raises
    ------
    LabelError
        The file can't be read as a label file, or has lines or an encoding that would be lost.
    InputError
        The file can't be written, or is an Excel workbook.
    """
    if path.suffix.lower() in WORKBOOKS:
        raise InputError(
            f"{path} is an Excel workbook, which can be read but not merged into; save it as CSV "
            "and name that in data.manual_labels"
        )
    path = path.resolve()
    if not write:
        return _merge(path, answers, images, photos)[1]
    try:
        with alone(path.parent):
            table, changes = _merge(path, answers, images, photos)
            if check:
                check(changes)
            if any(change.changed for change in changes):
                marked = path.exists() and path.read_bytes().startswith(BOM_UTF8)
                replace_file(path, (BOM_UTF8 if marked else b"") + csv_text(table).encode())
    except OSError as error:
        raise InputError(
            f"{path} could not be written ({error.strerror}); it is as it was"
        ) from None
    return changes


def _merge(
    path: Path,
    answers: Mapping[str, Mapping[str, str]],
    images: Mapping[str, str],
    photos: PhotoNames | None,
) -> tuple[pd.DataFrame, list[Change]]:
    """The merged table as text, and the changes."""
    sheet = read_own(path)
    table = (
        pd.DataFrame(columns=HEADER, dtype="str")
        if sheet is None
        else sheet.table.reset_index(drop=True)
    )
    key = key_column(table, path)
    asked = dict.fromkeys(column for labels in answers.values() for column in labels)
    columns = _headers(table, asked, path)
    for header in columns.values():
        if header not in table:
            table[header] = ""
    rows: list[dict[str, str]] = table.to_dict("records")
    if photos is None:
        photos = PhotoNames({*images.values(), *(images.get(name, name) for name in answers)})
    names = _photo_names(table, key)
    readings = photos.read_all(names, explain=0, named=photos.known)
    rows_by_image: dict[str, list[dict[str, str]]] = {}
    for name, row in zip(names, rows, strict=True):
        rows_by_image.setdefault(readings[name].image or name, []).append(row)
    changes = []
    for name, labels in answers.items():
        image = images.get(name, name)
        if image not in rows_by_image and not any(labels.values()):
            changes += [Change(name, column, None, "") for column in labels]
            continue
        if image not in rows_by_image:
            row = dict.fromkeys(table.columns, "") | {key: image if key == "image" else name}
            row |= {
                column: value
                for column, value in (("filename", name), ("image", image))
                if column in row
            }
            _refuse_twin(row[key], image, photos)
            rows_by_image[image] = [row]
            rows.append(row)
        for column, new in labels.items():
            header = columns[column]
            labelled = [
                row for row in rows_by_image[image] if not is_empty(row[header], is_own(column))
            ]
            change = Change(name, column, labelled[0][header] if labelled else None, new)
            changes.append(change)
            if change.changed:
                for row in labelled or rows_by_image[image][:1]:
                    row[header] = new
        if not any(labels.values()):
            empty = [row for row in rows_by_image[image] if not _says_anything(row, key)]
            rows = [row for row in rows if not any(row is other for other in empty)]
    return pd.DataFrame(rows, columns=table.columns, dtype="str"), changes


def read_own(path: Path) -> Sheet | None:
    """A CSV file that is written anew, as text; None if there is none.

    Raises
    ------
    LabelError
        It can't be read, or has lines or an encoding that would be lost.
    """
    sheet = read_csv(path)
    if sheet and (lost := [*sheet.notes, *sheet.lost]):
        raise LabelError(
            f"{path} is written anew, and would lose a part of it ({lost[0]}); save it as UTF-8, "
            "with the names of all columns in its first line"
        )
    return sheet


def _headers(table: pd.DataFrame, further: Collection[str], path: Path) -> dict[str, str]:
    """The header of each column that a file or `further` has; the column's name for a new one."""
    headers = find_columns(table.columns, LABELS, path)
    headers.pop("image", None)
    new = [name for name in further if name not in headers]
    return headers | {
        name: name if name in LABELS else find_further(name, table.columns, path) or name
        for name in new
    }


def _photo_names(table: pd.DataFrame, key: str) -> list[str]:
    """What each row calls its photo: a file may name the face beside the photo's path."""
    names = table[key]
    for header in table.columns:
        if header != key and names_photo(header):
            names = names.where(without_empty(names) != "", table[header])
    return names.tolist()


def _refuse_twin(name: str, image: str, photos: PhotoNames) -> None:
    """Refuse a name that is read back as another photo's: invisible signs are taken out then."""
    shown = visible(name)
    if shown != name and photos.read_all([shown], explain=0)[shown].image != image:
        raise InputError(
            f"{ascii(image)[1:-1]} has invisible signs or blanks in its name, without which it "
            f"is read as {shown}, which may be another photo; rename it"
        )


def _says_anything(row: Mapping[str, str], key: str) -> bool:
    return any(cell for name, cell in row.items() if name not in (key, "filename", "image"))


def same_label(column: str, old: str, new: str) -> bool:
    """Whether two texts are the same label."""
    return old == new or (column in NUMBERS and number(old) == number(new))


def labels_by_hand(
    path: Path, faces: Mapping[str, str], photos: PhotoNames, further: Collection[str] = ()
) -> dict[str, dict[str, str]]:
    """The labels of the file as text, by face and column; see `merge_labels`.

    Parameters
    ----------
    path : Path
    faces : mapping of str to str
        The face of each photo.
    photos : PhotoNames
        Of these photos.
    further : collection of str
        Names of further columns, which the file may spell otherwise.

    Raises
    ------
    LabelError
        The file can't be read as a label file.
    """
    sheet = read_csv(path)
    if sheet is None:
        return {}
    key = key_column(sheet.table, path)
    columns = {header: name for name, header in _headers(sheet.table, further, path).items()}
    shown = _photo_names(sheet.table, key)
    readings = photos.read_all(shown, explain=0, named=photos.known)
    found: dict[str, dict[str, str]] = {}
    for name, row in zip(shown, sheet.table.to_dict("records"), strict=True):
        face = faces.get(readings[name].image or "")
        for header, cell in row.items() if face else ():
            if header == key or names_photo(str(header)):
                continue
            column = columns.get(str(header), str(header))
            if not is_empty(cell, is_own(column)):
                found.setdefault(str(face), {}).setdefault(column, cell)
    return found


def own_file(root: Path, key: str, path: str) -> Path:
    """A file that people write to, such as that of `data.manual_labels`.

    Somebody's project must not make a command write to a file of one's own.

    Raises
    ------
    InputError
        A link leads out of the project, or to itself.
    """
    whole = root / path
    try:
        inside = whole.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        raise InputError(f"{key}: {whole} is a link that leads to itself; remove it") from None
    if not inside:
        raise InputError(
            f"{key}: {whole} leads out of the project folder to {whole.resolve()}; "
            "put the file itself there"
        )
    return whole


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Lock the folder, waiting for other merges.

    The lock is on the folder because the file itself is replaced. It ends with the process.

    Raises
    ------
    InputError
        Another process has held the lock for a minute, which is longer than a merge takes; or there
        is no such folder, and it can't be made.
    """
    for _ in range(int(PATIENCE / _LOOK_EVERY) + 1):
        descriptor = _open_folder(folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                break
        except BlockingIOError:
            time.sleep(_LOOK_EVERY)
        except FileNotFoundError:
            pass  # an import is putting another folder in its place
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    else:
        raise InputError(
            f"{folder} has been locked by another process for {PATIENCE:g} s; end it (`fuser "
            f"-v {folder}` names it), then try again"
        )
    try:
        yield
        os.fsync(descriptor)  # brings the rename to the disk
    finally:
        os.close(descriptor)


def _open_folder(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{folder} can't be used as a folder ({error.strerror})") from None


def half_written(path: Path) -> Path:
    """Where `replace_file` writes: what a kill has left there is as good as gone."""
    return path.with_name(f".{path.name}.new")


def replace_file(path: Path, data: bytes) -> None:
    """Write a new file to the disk and rename it: the name always leads to a whole file."""
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    # One name for all processes, which keep others away: what a kill has left goes with the next.
    temporary = half_written(path)
    temporary.unlink(missing_ok=True)  # perhaps a link to another place
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
