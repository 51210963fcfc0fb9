"""Photos and labels put in place: whole or not at all, whenever the import is stopped."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from facestats.errors import InputError
from facestats.importers.tree import Tree, open_regular
from facestats.machine.output import one_line

PARTS = ("labels", "raw")  # in the order in which they are exchanged and cleared away
_BLOCK = 1 << 20


@contextmanager
def replacing_folders(into: Path, again: bool, append: bool = False) -> Iterator[dict[str, Path]]:
    """Temporary folders `labels` and `raw`, which take their places when they are complete.

    Parameters
    ----------
    into : Path
        Holds the two folders.
    again : bool
        Accept folders that hold just what is to be put there.
    append : bool
        Replace folders that hold something.
    """
    targets = {part: (into / part).resolve() for part in PARTS}
    temporary = {part: to.with_name(f".importing-{to.name}") for part, to in targets.items()}
    before = {part: _before(to) for part, to in targets.items()}
    mend(into)
    remove(temporary)  # of an import that was stopped
    try:
        for folder in temporary.values():
            folder.mkdir(parents=True)
        yield temporary
        if append:
            _exchange(temporary, targets, before)
            return
        for part, target in targets.items():
            if not (again and same_files(temporary[part], target)):
                refuse_filled(target)
                temporary[part].replace(target)
    finally:
        remove(temporary)


def mend(into: Path) -> None:
    """Undo an exchange that was stopped before the second of the two folders was in place."""
    targets = {part: (into / part).resolve() for part in PARTS}
    before = {part: _before(to) for part, to in targets.items()}
    if not (before["raw"].is_dir() and targets["raw"].exists()):
        for part, target in targets.items():
            if before[part].is_dir():
                shutil.rmtree(target, ignore_errors=True)
                before[part].replace(target)
    remove(before)


def _before(target: Path) -> Path:
    return target.with_name(f".before-{target.name}")


def _exchange(temporary: dict[str, Path], targets: dict[str, Path], before: dict[str, Path]):
    """Put the new folders in the place of the old ones; if that fails, the old ones are back."""
    try:
        for part, target in targets.items():
            if target.exists():
                target.replace(before[part])
            temporary[part].replace(target)
    except BaseException:
        for part, target in targets.items():
            if before[part].is_dir():
                shutil.rmtree(target, ignore_errors=True)
                before[part].replace(target)
        raise
    remove(before)


def refuse_filled(target: Path) -> None:
    """Raise an `InputError` if a folder holds anything."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            f"{target} is not empty; move it away, or choose another place with --into DIR "
            "(--append adds a dataset to an imported one)"
        )


def remove(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)


def same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold the same names and bytes."""
    names = _names(one)
    return (
        other.is_dir()
        and _names(other) == names
        and all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
    )


def _names(folder: Path) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(inner, name), folder)
        for inner, _, names in os.walk(folder)
        for name in names
    )


def place_photos(tree: Tree, photos: Mapping[str, str], raw: Path, link: bool) -> None:
    """Copy photos below `raw`, or make hard links to them.

    Parameters
    ----------
    tree : Tree
        The dataset.
    photos : mapping of str to str
        Path in the dataset by path below `raw`.
    raw : Path
    link : bool
        Hard links. Where the file system has no more of them, a photo is copied.

    Raises
    ------
    InputError
        A photo is no regular file, or two have one name.
    """
    by_folder: dict[str, list[tuple[str, str]]] = defaultdict(list)
    made = {raw}
    for image, path in photos.items():
        folder, _, name = path.rpartition("/")
        by_folder[folder].append((name, image))
    for folder, pairs in by_folder.items():
        with tree.folder(folder) as descriptor:
            for name, image in pairs:
                target = raw / image
                if target.parent not in made:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    made.add(target.parent)
                shown = tree.top / folder / name
                try:
                    if not (link and _link(descriptor, name, target, shown)):
                        copy_photo(descriptor, name, target, shown)
                except FileExistsError:
                    raise InputError(
                        f"two files of the dataset would both be {one_line(image)} here, such as "
                        f"{one_line(str(shown))}; rename or move one of them"
                    ) from None


def copy_photo(folder: int, name: str, target: Path, shown: Path) -> None:
    """Copy a regular file of an open folder."""
    source = open_regular(folder, name, shown)
    try:
        new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            left = os.fstat(source).st_size
            while block := os.read(source, min(max(left, 1), _BLOCK)):
                written = 0
                while written < len(block):
                    written += os.write(new, block[written:])
                left -= len(block)
        finally:
            os.close(new)
    except OSError as error:
        error.filename = error.filename or str(target)
        raise
    finally:
        os.close(source)


def _link(folder: int, name: str, target: Path, shown: Path) -> bool:
    """Make a hard link to a regular file; False if it has as many as can be."""
    source = open_regular(folder, name, shown)
    try:
        known = os.fstat(source)
    finally:
        os.close(source)
    try:
        os.link(name, target, src_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EMLINK:
            return False
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP):
            raise InputError(
                f"--link: {shown} and {target.parent} lie on different disks, or the disk has no "
                "hard links; leave --link out"
            ) from None
        raise
    made = os.lstat(target)
    if not stat.S_ISREG(made.st_mode) or (made.st_dev, made.st_ino) != (known.st_dev, known.st_ino):
        target.unlink()
        raise InputError(f"{shown} changed while it was imported; run again")
    return True
