"""Which files are photos to look at, and what their faces are called."""

import os
from pathlib import Path, PurePosixPath

from facestats.errors import InputError

SUFFIX = ".jpg"
_MAX_NAME = 255  # bytes of one path part on every common file system


def list_images(folder: str | Path) -> list[str]:
    """Every file below a folder that is not hidden, whatever its name ends in.

    What DVC hashes, and nothing else: links to files are followed; folders that are links, or DVC projects of their own, are listed
    like files and not entered, and links that lead nowhere are listed as well, so that their rows can say so. `folder` itself may be a link.

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
    found = sorted(_walk(folder, ""))
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


def _walk(folder: Path, prefix: str):
    """Relative paths of the files below a folder, and of folders that DVC does not enter."""
    try:
        entries = list(os.scandir(folder))
    except PermissionError:
        raise InputError(
            f"{folder}: no permission to list this folder; `chmod u+rx` it, or move it away"
        ) from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False) and not os.path.isdir(os.path.join(entry.path, ".dvc")):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
