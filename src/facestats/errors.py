"""The errors that a user can meet. Each message says what was wrong, where, and what to do about it."""

import errno
import re
from collections.abc import Iterable

_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNUSABLE = (errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENOTEMPTY,
             errno.ENAMETOOLONG)


class FaceStatsError(Exception):
    """A mistake or a lack that the user can mend. Stages print it without a traceback and exit with 1."""


class ParamsError(FaceStatsError):
    """`params.yaml` holds an unknown key, a wrong type or an impossible value."""


class InputError(FaceStatsError):
    """A file or a folder that the user gave is missing or not what was expected."""


class LabelError(InputError):
    """A label file has a value that can't be used: names file, line, column and value."""


class TableError(FaceStatsError):
    """A table lacks a column or has one of the wrong type."""


class ModelError(FaceStatsError):
    """Model weights can't be had, or are not what they should be."""


class MisfitError(ValueError):
    """Why the content of a file makes no model; a `ModelError` around it names the file and the way out."""


class ImageError(FaceStatsError):
    """One image can't be used; its text is the `reason` in `faces.parquet`."""


class WithheldError(FaceStatsError):
    """A face gets no score, for it may be that of a child, or nothing can tell; see `score.min_age` and `score.require_age_check`."""


class DoubtWarning(UserWarning):
    """Something about a photo makes what was computed from it doubtful; the text says what. A Python warning, no error."""


def of_file(error: OSError) -> str | None:
    """The message for a file that can't be used as it is, or a full disk; None where neither is the case."""
    where = error.filename2 or error.filename  # of two, the second is the copy's target
    if error.errno in _FULL:
        return f"the disk is full ({where or 'no file named'}); free some space and run again"
    if error.errno in _UNUSABLE and where is not None:
        return (f"{where} can't be used: {error.strerror}. Look whether it is there, a file where a file is expected and a folder where "
                "a folder is, and whether you may read and write it")
    return None


def number_of(n: int, noun: str) -> str:
    """`1 face`, `2 faces`: how messages count; the word that takes the plural comes last."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def alike(messages: Iterable[str]) -> list[tuple[str, int]]:
    """The first of messages that differ by their numbers alone, and how many there are; most frequent first."""
    groups: dict[str, list[str]] = {}
    for message in messages:
        groups.setdefault(re.sub(r"\d+(\.\d+)?", "0", message), []).append(message)
    return sorted(((group[0], len(group)) for group in groups.values()), key=lambda found: -found[1])
