"""Photos and labels put in place: whole or not at all, whenever the import is stopped."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from facestats.core.files import read_json, replacing, write_json
from facestats.errors import InputError
from facestats.faces.params import MOST_MEGABYTES
from facestats.importers.tree import Tree, open_regular, regular
from facestats.labels.manual import alone
from facestats.machine.output import one_line

PARTS = ("labels", "raw")  # in the order in which they are exchanged and cleared away
Facts = dict[str, tuple[int, int]]  # size and time of each file of a folder
_BLOCK = 1 << 20


@contextmanager
def importing_alone(labels: Path) -> Iterator[None]:
    """Keep imports and `forget` away from each other, by a lock whose file goes with the command.

    A folder would not do: merges lock that of the labels by hand, and an import takes minutes.

    Parameters
    ----------
    labels : Path
        The folder of the label files.

    Raises
    ------
    InputError
        Another such command is at work there.
    """
    path = _importing(labels.resolve()).with_suffix(".lock")
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _open_lock(path)
    except OSError:  # where nothing can be written, and no import, the command says so itself
        yield
        return
    try:
        _lock(lock, path, labels)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                for folder in made:
                    folder.rmdir()
    finally:
        os.close(lock)


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except PermissionError:  # another user's, which may be locked, but not written
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)


def _lock(lock: int, path: Path, labels: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(path)):
            return
    except (BlockingIOError, FileNotFoundError):
        pass  # held by another import, or removed by one in this moment
    except OSError:
        return  # a file system without locks
    raise InputError(
        f"another import or `forget` is at work on {labels}; nothing was changed by this one. Give "
        "the command again when that has ended"
    )


def in_place(into: Path) -> dict[str, Facts]:
    """What there is of both folders, by which `replacing_folders` sees a change."""
    return {part: _facts((into / part).resolve()) for part in PARTS}


def _facts(folder: Path) -> Facts:
    found = {name: _facts_of(folder / name) for name in _names(folder)}
    return {name: facts for name, facts in found.items() if facts is not None}


def _facts_of(file: Path) -> tuple[int, int] | None:
    """Size and time of a file; None if there is none."""
    try:
        facts = os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return facts.st_size, facts.st_mtime_ns


@contextmanager
def replacing_folders(
    into: Path, again: bool, before: Mapping[str, Facts] | None = None
) -> Iterator[dict[str, Path]]:
    """Temporary folders `labels` and `raw`, which take their places when they are complete.

    Parameters
    ----------
    into : Path
        Holds the two folders.
    again : bool
        Accept folders that hold just what is to be put there.
    before : mapping, optional
        Of `in_place`: replace the folders, if this is still what they hold.

    Raises
    ------
    InputError
        A folder holds something, or something else than before.
    """
    targets = {part: (into / part).resolve() for part in PARTS}
    temporary = {part: _importing(to) for part, to in targets.items()}
    mend(into)
    remove(temporary)  # of an import that was stopped
    try:
        for folder in temporary.values():
            folder.mkdir(parents=True)
        yield temporary
        if before is not None:
            with alone(targets["labels"]):
                _exchange(temporary, targets, before)
            remove({part: _before(to) for part, to in targets.items()})
            return
        for part, target in targets.items():
            if not (again and same_files(temporary[part], target)):
                refuse_filled(target)
                temporary[part].replace(target)
    finally:
        remove(temporary)
        if not _before(targets["raw"]).is_dir():  # else the photos of before are not gone through
            _journal(targets).unlink(missing_ok=True)


def stopped(labels: Path) -> Path | None:
    """The folder of the labels or photos from before an import that was stopped half way.

    None if none was. `labels` is the folder of the label files.
    """
    into = _into(labels)
    folders = (_before((into / part).resolve()) for part in PARTS) if into else ()
    return next((folder for folder in folders if folder.is_dir()), None)


def clear_stopped(labels: Path) -> None:
    """Bring an import that was stopped to its end or beginning, as the next one would.

    Parameters
    ----------
    labels : Path
        The folder of the label files.

    Raises
    ------
    InputError
        As `mend`.
    """
    if into := _into(labels):
        mend(into)
        remove(begun(labels))


def begun(labels: Path) -> dict[str, Path]:
    """Where an import makes what it is going to put in place, by part; see `clear_stopped`."""
    into = _into(labels)
    return {part: _importing((into / part).resolve()) for part in PARTS} if into else {}


def _into(labels: Path) -> Path | None:
    """The folder into which an import would have put these labels."""
    aliases = [labels.parent, labels.resolve().parent]
    return next((one for one in aliases if (one / "labels").resolve() == labels.resolve()), None)


def mend(into: Path) -> None:
    """Undo an exchange that was stopped before the second of the two folders was in place.

    Raises
    ------
    InputError
        The new labels were changed or the photos made anew since, so that undoing it would lose
        that; or something else has the name of a temporary folder.
    """
    targets = {part: (into / part).resolve() for part in PARTS}
    before = {part: _before(to) for part, to in targets.items()}
    journal = _journal(targets)
    for folder in (*before.values(), *map(_importing, targets.values())):
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise InputError(f"{folder} is in the way of an import; move it away")
    raw = targets["raw"]
    finished = before["raw"].is_dir() and raw.exists() and not _importing(raw).is_dir()
    if not finished:
        labels = targets["labels"]
        if before["raw"].is_dir() and raw.exists():
            raise InputError(
                f"an import was stopped half way, and {raw} was made anew since; {before['raw']} "
                f"holds the photos from before it. Move {raw} away, and import again"
            )
        written = _noted(journal).get("labels")
        if before["labels"].is_dir() and labels.exists() and _digests(labels) != written:
            raise InputError(
                f"an import was stopped half way, and {labels} was changed since; "
                f"{before['labels']} holds the labels from before it. Keep one of the two as "
                f"{labels}, move the other away, and import again"
            )
        for part, target in targets.items():
            if before[part].is_dir():
                shutil.rmtree(target, ignore_errors=True)
                before[part].replace(target)
    elif photos := _noted(journal).get("photos"):
        facts = {name: (int(size), int(time)) for name, (size, time) in photos.items()}
        _follow(facts, before["raw"], raw)
    journal.unlink(missing_ok=True)
    remove(before)


def _importing(target: Path) -> Path:
    return target.with_name(f".importing-{target.name}")


def _before(target: Path) -> Path:
    return target.with_name(f".before-{target.name}")


def _journal(targets: dict[str, Path]) -> Path:
    """What the labels are that an exchange puts in place, and what the photos were before it."""
    return _importing(targets["labels"]).with_suffix(".json")


def _noted(journal: Path) -> dict:
    """What the journal says, empty where there is none; earlier versions noted labels alone."""
    if not journal.is_file():
        return {}
    noted = read_json(journal)
    return noted if "photos" in noted else {"labels": noted}


def _digests(folder: Path) -> dict[str, str]:
    """What each file of a folder holds: its sha256, or where it leads."""
    return {
        name: os.readlink(path)
        if (path := folder / name).is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for name in _names(folder)
    }


def _exchange(
    temporary: dict[str, Path], targets: dict[str, Path], before: Mapping[str, Facts]
) -> None:
    """Put the new folders in the place of the old ones; if that fails, the old ones are back."""
    old = {part: _before(to) for part, to in targets.items()}
    for part, target in targets.items():  # a look at each photo takes seconds: nothing is moved yet
        _refuse_changed(target, target, before[part])
    facts = {"labels": _digests(temporary["labels"]), "photos": before["raw"]}
    write_json(_journal(targets), facts)
    try:
        for part, target in targets.items():
            if target.exists():
                target.replace(old[part])
            temporary[part].replace(target)
        # Only now nobody finds them under their names.
        _refuse_changed(targets["labels"], old["labels"], before["labels"])
    except BaseException:
        for part, target in targets.items():
            if old[part].is_dir():
                if target.exists():
                    target.replace(temporary[part])
                old[part].replace(target)
        raise
    _follow(before["raw"], old["raw"], targets["raw"])
    _journal(targets).unlink(missing_ok=True)


def _follow(before: Facts, old: Path, new: Path) -> None:
    """Bring what came, went or was replaced in the old photos up to the exchange into the new.

    Nothing is taken out of the old folder: this may be stopped, and done again by `mend`.
    """
    now = _facts(old)
    for name in {name for name, _ in before.items() ^ now.items()}:
        if (new / name).is_dir():
            continue
        there = _facts_of(new / name)
        is_as_before = name in before and there == before[name]
        if name not in now:
            if is_as_before:
                (new / name).unlink(missing_ok=True)
        elif there is None or is_as_before or (name not in before and there[1] < now[name][1]):
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            with replacing(new / name) as copy:
                _link_or_copy(old / name, copy)


def _refuse_changed(target: Path, now: Path, before: Facts) -> None:
    """Raise an `InputError` if a folder, which lies at `now`, holds something else than before."""
    if changed := {name for name, _ in before.items() ^ _facts(now).items()}:
        raise InputError(
            f"{one_line(str(target / min(changed)))} was changed during the import, which would "
            "lose that; nothing was changed by the import. Give the command again"
        )


def carry_over(old: Path, new: Path) -> None:
    """Put all that a folder holds into a new one, but for the files that this has already.

    Files become hard links, or copies where there are none; links stay links.
    """
    left = [""]
    while left:
        inner = left.pop()
        with os.scandir(old / inner) as entries:
            for entry in entries:
                path = os.path.join(inner, entry.name)
                to = new / path
                if entry.is_dir(follow_symlinks=False):
                    to.mkdir(exist_ok=True)
                    left.append(path)
                elif entry.is_symlink() and not os.path.lexists(to):
                    os.symlink(os.readlink(entry.path), to)
                elif not os.path.lexists(to):
                    _link_or_copy(old / path, to)


def _link_or_copy(file: Path, to: Path) -> None:
    try:
        os.link(file, to, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        regular(os.lstat(file), str(file))
        shutil.copy2(file, to)


def refuse_filled(target: Path) -> None:
    """Raise an `InputError` if a folder holds anything."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            f"{target} is not empty; move it away, or choose another place with --into DIR "
            "(--append adds a dataset to an imported one)"
        )


def remove(folders: dict[str, Path]) -> None:
    """Remove folders, whatever is left of them."""
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
    for image, path in photos.items():
        folder, _, name = path.rpartition("/")
        by_folder[folder].append((name, image))
    made, place = {""}, f"{raw}/"  # paths as text: for 50,000 photos, pathlib takes a second more
    for folder, pairs in by_folder.items():
        shown = f"{tree.top / folder}/"
        with tree.folder(folder) as descriptor:
            for name, image in pairs:
                parent = image.rpartition("/")[0]
                if parent not in made:
                    (raw / parent).mkdir(parents=True, exist_ok=True)
                    made.add(parent)
                try:
                    if not (link and _link(descriptor, name, place + image, shown + name)):
                        copy_photo(descriptor, name, place + image, shown + name)
                except FileExistsError:
                    raise InputError(
                        f"two files of the dataset would both be {one_line(image)} here, such as "
                        f"{one_line(shown + name)}; rename or move one of them"
                    ) from None


def copy_photo(folder: int, name: str, target: str, shown: str) -> None:
    """Copy a regular file of an open folder; blocks of zeros become holes, as they may be there.

    Raises
    ------
    InputError
        It is no regular file, or larger than any photo may be.
    """
    source, facts = open_regular(folder, name, shown)
    try:
        if facts.st_size > MOST_MEGABYTES * 10**6:
            raise InputError(
                f"{shown} has {facts.st_size / 10**9:.0f} GB, and no photo may be larger than "
                f"{MOST_MEGABYTES} MB; remove it from the dataset"
            )
        new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            left = facts.st_size
            while left > 0 and (block := os.read(source, min(left, _BLOCK))):
                left -= len(block)
                if not block.strip(b"\0"):
                    os.lseek(new, len(block), os.SEEK_CUR)
                    continue
                written = os.write(new, block)
                while written < len(block):
                    written += os.write(new, block[written:])
            os.ftruncate(new, facts.st_size - left)
        finally:
            os.close(new)
    except OSError as error:
        error.filename = error.filename or target
        raise
    finally:
        os.close(source)


def _link(folder: int, name: str, target: str, shown: str) -> bool:
    """Make a hard link to a regular file; False if it has as many as can be."""
    try:
        os.link(name, target, src_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EMLINK:
            return False
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP):
            regular(os.stat(name, dir_fd=folder, follow_symlinks=False), shown)
            raise InputError(
                f"--link: {shown} and {target} lie on different disks, or the disk has no hard "
                "links; leave --link out"
            ) from None
        raise
    try:
        regular(os.lstat(target), shown)  # of what was linked, whatever the name means by now
    except InputError:
        os.unlink(target)
        raise
    return True
