"""Which files are photos to look at, and what their faces are called."""

import os
from pathlib import Path, PurePosixPath

from facestats.errors import InputError

SUFFIX = ".jpg"
_MAX_NAME = 255  # bytes of one path part on every common file system


def list_images(folder: str | Path) -> list[str]:
    """Every file below a folder that is not hidden, whatever its name ends in.

    Links are followed, a folder that is met again below itself is not; links that lead nowhere are listed, so
    that their rows can say so.

    Returns
    -------
    Sorted paths relative to `folder`, POSIX style.

    Raises
    ------
    InputError
        The folder is missing, unreadable, no folder, or holds no file.
    """
    folder = Path(folder)
    expected = "expected a folder with photos, in folders of any depth"
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; {expected}. `data.images` in params.yaml names it")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; {expected}. `data.images` in params.yaml names it")
    found = sorted(_walk(folder, "", (_identity(folder),)))
    if not found:
        raise InputError(
            f"{folder} holds no file that is not hidden; {expected}. `data.images` in params.yaml names it"
        )
    return found


def face_filename(image: str) -> str:
    """Path of an image's face: the image's own, with `.jpg` appended unless it ends in `.jpg` already."""
    return image if image.endswith(SUFFIX) else image + SUFFIX


def check_names(images: list[str]) -> dict[str, str]:
    """Reasons against images whose faces can't have the name that `face_filename` gives them.

    `a.png` and `a.png.jpg` both want `a.png.jpg`: the latter, whose own name it is, keeps it.

    Parameters
    ----------
    images : paths as `list_images` returns them

    Returns
    -------
    image -> reason, of the images that have to be rejected
    """
    reasons = {}
    taken = set(images)
    folders = {str(parent) for image in images for parent in PurePosixPath(image).parents}
    for image in images:
        name = face_filename(image)
        if not _is_utf8(image):
            reasons[image] = "its name is not valid UTF-8"
        elif name != image and name in taken:
            reasons[image] = f"its face would have the name of another image, {name}"
        elif name in folders:
            reasons[image] = f"its face would have the name of a folder, {name}"
        elif len(name.rpartition("/")[2].encode()) > _MAX_NAME:
            reasons[image] = (
                f"its face's name, with {SUFFIX} appended, would be longer than {_MAX_NAME} bytes"
            )
    return reasons


def printable(image: str) -> str:
    r"""The name as it can stand in a table: bytes that are not UTF-8 as `\xff`."""
    return image.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _walk(folder: Path, prefix: str, above: tuple):
    """Relative paths of the files below a folder; `above` are the folders on the way to it."""
    try:
        entries = list(os.scandir(folder))
    except PermissionError:
        raise InputError(
            f"{folder}: no permission to list this folder; `chmod u+rx` it, or move it away"
        ) from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            is_folder = entry.is_dir()
        except OSError:  # a link to itself
            is_folder = False
        if not is_folder:
            yield prefix + entry.name
        elif (identity := _identity(entry.path)) not in above:
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", (*above, identity))


def _identity(path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
