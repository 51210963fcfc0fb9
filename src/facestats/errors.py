"""The errors that users meet: each message says what is wrong, where, and what to do about it."""

import difflib
import errno
import os
import re
from collections.abc import Callable, Iterable

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)  # numbers of the system's errors
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
    errno.EAGAIN: "allow more processes (`ulimit -u`), or close other programs, and run again",
}


class FaceStatsError(Exception):
    """A problem that the user can fix. Stages print it without a traceback and exit with 1."""


class ParamsError(FaceStatsError):
    """`params.yaml` has an unknown key, a wrong type or an impossible value."""


class InputError(FaceStatsError):
    """A file or a folder of the user is missing or not what was expected."""


class FaultError(InputError):
    """A disk, the network or memory has failed; the file may be good.

    Attributes
    ----------
    errno : int or None
        Number of the system's error, such as `errno.EIO`, if it has one.
    """

    errno: int | None = None


class LabelError(InputError):
    """A label file has a value that can't be used; the text gives file, line, column and value."""


class TableError(FaceStatsError):
    """A table lacks a column or has one of the wrong type."""


class ModelError(FaceStatsError):
    """Model weights are missing, or not what they should be."""


class MisfitError(ValueError):
    """Why a file's content is not a model; a `ModelError` around it names the file."""


class ImageError(FaceStatsError):
    """One image can't be used; its text is the `reason` in `faces.parquet`."""


class WithheldError(FaceStatsError):
    """A face gets no score, by `score.min_age` or `score.require_age_check`."""


class DoubtWarning(UserWarning):
    """Python warning: something about a photo makes its results doubtful; the text says what."""


class RenamedWarning(FutureWarning):
    """Python warning: a parameter or column has an old name; the text gives the new one."""


def of_file(error: OSError) -> str | None:
    """The message for an error of the system about a file, such as a full disk; None for others."""
    where = error.filename2 or error.filename  # of two, the second is the copy's target
    named = f" ({where})" if where else ""
    if error.errno in FULL_DISK:
        return f"the disk is full{named}; free some space and run again"
    if error.errno in _UNUSABLE and where is not None:
        return (
            f"{where} can't be used: {error.strerror}. Check that it exists, that it is a file or "
            "a folder as expected, and that you may read and write it"
        )
    if error.errno in _LIMITS:
        return f"{os.strerror(error.errno)}{named}: {_LIMITS[error.errno]}"
    if error.errno is not None:
        return (
            f"the system can't read or write {where or 'a file'}: {os.strerror(error.errno)}; fix "
            "that and run again: what is done so far is kept"
        )
    return None


def number_of(n: int, noun: str) -> str:
    """Count in a message: `1 face`, `2 faces`; the last word takes the plural."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


LONGEST_NAME = 500  # characters; comparing two takes time by the product of their lengths


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
        The unknown name.
    known : iterable of str
        All known names.
    most : int
        Largest number of names to return.
    likeness : float
        Least similarity, as `difflib` measures it, 0–1.
    form : callable
        Returns the form in which names are compared; by default without case.

    Returns
    -------
    list of str
        The most similar name first.
    """
    if len(word) > LONGEST_NAME:
        return []
    by_form = {form(name): name for name in known if len(name) <= LONGEST_NAME}
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


def suggestion(word: str, known: Iterable[str]) -> str:
    """Ask for the known name that was probably meant; empty if none is near."""
    return did_you_mean(nearest_names(word, known))


def without_numbers(message: str) -> str:
    """A message with 0 in place of every number, as messages that are alike have it."""
    return re.sub(r"\d+(\.\d+)?", "0", message)


def alike(messages: Iterable[str]) -> list[tuple[str, int]]:
    """The first of messages that differ only in numbers, and their count; most frequent first."""
    groups: dict[str, list[str]] = {}
    for message in messages:
        groups.setdefault(without_numbers(message), []).append(message)
    return sorted(
        ((group[0], len(group)) for group in groups.values()), key=lambda group: -group[1]
    )
