"""The errors that a user can meet. Each message says what was wrong, where, and what to do about
it.
"""

import difflib
import errno
import os
import re
from collections.abc import Callable, Iterable

_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNUSABLE = (
    errno.ENOENT,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ELOOP,
    errno.ENOTEMPTY,
    errno.ENAMETOOLONG,
)

_LIMITS = {
    errno.EMFILE: "allow more of them (`ulimit -n 8192`) and run again",
    errno.ENFILE: "close other programs and run again",
    errno.ENOMEM: "run again with fewer processors (`taskset -c 0 dvc repro`), or close other "
    "programs",
    errno.EFBIG: "allow larger files (`ulimit -f unlimited`) and run again",
}


class FaceStatsError(Exception):
    """A mistake or a lack that the user can mend. Stages print it without a traceback and exit with
    1.
    """


class ParamsError(FaceStatsError):
    """`params.yaml` holds an unknown key, a wrong type or an impossible value."""


class InputError(FaceStatsError):
    """A file or a folder that the user gave is missing or not what was expected."""


class FaultError(InputError):
    """The machine fails, such as a disk, a network or its memory: nothing is known about the file,
    which may be good.
    """


class LabelError(InputError):
    """A label file has a value that can't be used: names file, line, column and value."""


class TableError(FaceStatsError):
    """A table lacks a column or has one of the wrong type."""


class ModelError(FaceStatsError):
    """Model weights can't be had, or are not what they should be."""


class MisfitError(ValueError):
    """Why the content of a file makes no model; a `ModelError` around it names the file and the way
    out.
    """


class ImageError(FaceStatsError):
    """One image can't be used; its text is the `reason` in `faces.parquet`."""


class WithheldError(FaceStatsError):
    """A face gets no score, for it may be that of a child, or nothing can tell; see `score.min_age`
    and `score.require_age_check`.
    """


class DoubtWarning(UserWarning):
    """Something about a photo makes what was computed from it doubtful; the text says what. A
    Python warning, no error.
    """


class RenamedWarning(FutureWarning):
    """A parameter or a column has the name of an earlier version; the text names the new one. A
    Python warning, no error.
    """


def of_file(error: OSError) -> str | None:
    """The message for a file that can't be used as it is, a full disk or a disk that fails; None
    where it is no error of the system.
    """
    where = error.filename2 or error.filename  # of two, the second is the copy's target
    if error.errno in _FULL:
        return f"the disk is full ({where or 'no file named'}); free some space and run again"
    if error.errno in _UNUSABLE and where is not None:
        return (
            f"{where} can't be used: {error.strerror}. Look whether it is there, a file where a "
            "file is expected and a folder where a folder is, and whether you may read and write "
            "it"
        )
    if error.errno in _LIMITS:
        return f"{os.strerror(error.errno)} ({where or 'no file named'}): {_LIMITS[error.errno]}"
    if error.errno is not None:
        return (
            f"the system can't read or write {where or 'a file'}: {os.strerror(error.errno)}; mend "
            "that and run again: what is done so far is kept"
        )
    return None


def number_of(n: int, noun: str) -> str:
    """`1 face`, `2 faces`: how messages count; the word that takes the plural comes last."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def nearest_names(
    word: str,
    known: Iterable[str],
    most: int = 1,
    likeness: float = 0.6,
    form: Callable[[str], str] = str.casefold,
) -> list[str]:
    """Find the known names that were probably meant.

    Parameters
    ----------
    word : str
        What was given.
    known : iterable of str
        What there is.
    most : int
        Number of names wanted at most.
    likeness : float
        Least similarity, as `difflib` measures it, 0–1.
    form : callable
        What of a name is compared; by default case does not count.

    Returns
    -------
    list of str
        The most similar name first.
    """
    by_form = {form(name): name for name in known}
    near = difflib.get_close_matches(form(word), by_form, n=most, cutoff=likeness)
    return [by_form[name] for name in near]


def did_you_mean(names: Iterable[str], question: str = " Did you mean") -> str:
    """Ask for one of some names, as part of a message.

    Parameters
    ----------
    names : iterable of str
    question : str
        How it begins: by default a new sentence.

    Returns
    -------
    str
        Such as ` Did you mean a or b?`; empty without names.
    """
    shown = " or ".join(names)
    return f"{question} {shown}?" if shown else ""


def alike(messages: Iterable[str]) -> list[tuple[str, int]]:
    """The first of messages that differ by their numbers alone, and how many there are; most
    frequent first.
    """
    groups: dict[str, list[str]] = {}
    for message in messages:
        groups.setdefault(re.sub(r"\d+(\.\d+)?", "0", message), []).append(message)
    return sorted(
        ((group[0], len(group)) for group in groups.values()), key=lambda group: -group[1]
    )
