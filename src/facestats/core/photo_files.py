"""The photos of a folder, and the names of their faces."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from facestats.core.shards import about_shards, contents, is_shard, list_members
from facestats.errors import InputError
from facestats.machine.faults import fault, patiently
from facestats.machine.output import is_utf8

SUFFIX = ".jpg"
_MAX_NAME = 255  # bytes of one path part on every common file system
_MAX_DEPTH = 200  # nested folders; DVC and programs that delete them fail at a thousand


def list_images(folder: str | Path, ignored_too: bool = False) -> list[str]:
    """List every file below a folder that is not hidden, whatever its extension.

    Members of shards are listed as `shard.tar/member`, see `core.shards`; what WebDataset and
    img2dataset write beside a photo or a shard is not.

    These are the files that DVC hashes: links to files are followed; folders that are links or DVC
    projects are listed like files and not entered; broken links are listed, so that their rows can
    give the reason. `folder` itself may be a link.

    Parameters
    ----------
    folder : str or Path
        The folder of photos.
    ignored_too : bool
        Whether to list files, too, that a `.dvcignore` of the project hides from DVC.

    Returns
    -------
    list of str
        Sorted paths relative to `folder`, POSIX style.

    Raises
    ------
    InputError
        The folder is missing, unreadable, not a folder, or holds no file.
    """
    folder = Path(folder)
    expected = "expected a folder with photos, in folders of any depth"
    if not folder.exists():
        raise InputError(
            f"{folder}: no such folder; {expected}. `data.images` in params.yaml names it"
        )
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; {expected}. `data.images` in params.yaml names it")
    files = _walk(folder, "", None if ignored_too else _dvcs_filter(folder))
    images = sorted(image for file in files for image in _photos_of(folder, file))
    if not images:
        raise InputError(
            f"{folder} holds no file that is not hidden; {expected}. `data.images` in params.yaml "
            "names it"
        )
    return images


def _photos_of(folder: Path, file: str) -> list[str]:
    """Names of the photos in a file: its own, or of a shard those of its members.

    A shard with which anything is wrong is listed, too, so that its row can give the reason.
    """
    path = folder / file
    if not is_shard(path):
        return [file]
    try:
        members = patiently(list_members, path)
    except OSError as error:
        raise fault(path, error) from None
    own = [file] if contents(path).problem or not members else []
    return [*own, *(f"{file}/{member}" for member in members)]


def links_out(folder: str | Path, cache: str | Path | None) -> dict[str, str]:
    """Find links to files outside of a folder, hidden ones, too.

    `dvc add` copies the files behind them into its cache, and `dvc push` to the remote: a link that
    came with somebody's photos could give away a private file.

    Parameters
    ----------
    folder : str or Path
        It may itself be a link. Other links to folders are not followed, as DVC does not.
    cache : str or Path or None
        DVC's cache, to which links may lead (`cache.type symlink`).

    Returns
    -------
    dict of str to str
        For each link, by its path relative to `folder`, the message about it.
    """
    top = os.path.realpath(folder)
    messages, left = {}, [""]
    while left:
        prefix = left.pop()
        try:
            entries = list(os.scandir(os.path.join(top, prefix)))
        except OSError:  # DVC can't list it either
            continue
        for entry in entries:
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                left.append(f"{name}/")
            elif (
                entry.is_symlink()
                and os.path.isfile(entry.path)
                and (message := _leads_out(folder, name, cache))
            ):
                messages[name] = message
    return dict(sorted(messages.items()))


def _leads_out(folder: str | Path, name: str, cache: str | Path | None) -> str | None:
    """Say that a file lies neither in the folder nor in DVC's cache; None where it does."""
    path = Path(folder, name)
    target = Path(os.path.realpath(path))
    if any(target.is_relative_to(os.path.realpath(place)) for place in (folder, cache) if place):
        return None
    return (
        f"{printable(str(path))} is a link to {printable(str(target))}, outside of the folder: "
        "`dvc add` would copy that file, and `dvc push` share it; put a copy in its place, or "
        "remove it"
    )


def refuse_link_out(folder: str | Path, name: str, cache: str | Path | None) -> None:
    """Refuse a photo that a link, in whatever part of its path, leads out of its folder.

    Raises
    ------
    InputError
        It lies neither in the folder nor in DVC's cache.
    """
    if message := _leads_out(folder, name, cache):
        raise InputError(message)


def refuse_links_out(folder: str | Path, cache: str | Path | None) -> None:
    """Refuse a folder with links to files outside of it; see `links_out`.

    Raises
    ------
    InputError
        There is one.
    """
    if messages := list(links_out(folder, cache).values()):
        more = len(messages) - 1
        hint = f". {more} more: see `python -m facestats doctor`" if more else ""
        raise InputError(messages[0] + hint)


def face_filename(image: str) -> str:
    """Path of an image's face: the image's own, with `.jpg` appended unless it ends so."""
    return image if image.endswith(SUFFIX) else image + SUFFIX


def check_names(images: list[str]) -> dict[str, str]:
    """Find images whose faces can't have the name that `face_filename` gives them.

    The faces of `a.png` and `a.png.jpg` would both be `a.png.jpg`: the latter keeps its name.

    Parameters
    ----------
    images : list of str
        Paths as `list_images` returns them.

    Returns
    -------
    dict of str to str
        The reason for rejecting an image, by image.
    """
    reasons = {}
    taken = set(images)
    folders = {str(parent) for image in images for parent in PurePosixPath(image).parents}
    for image in images:
        name = face_filename(image)
        if not is_utf8(image):
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
    r"""The name as tables hold it: bytes that are not UTF-8 as `\xff`."""
    return image.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _dvcs_filter(
    folder: Path,
) -> Callable[[str, list[str], list[str]], tuple[list[str], list[str]]] | None:
    """DVC's filter of the names in a folder by `.dvcignore` files; None if there are none."""
    path = Path(os.path.abspath(folder))
    root = next((above for above in (path, *path.parents) if (above / ".dvc").is_dir()), None)
    if root is None or not any(
        (above / ".dvcignore").exists()
        for above in (path, *path.parents)
        if above.is_relative_to(root)
    ):
        return None
    from dvc.fs import localfs
    from dvc.ignore import DvcIgnoreFilter

    return DvcIgnoreFilter(localfs, str(root))


def _walk(folder: Path, prefix: str, choose) -> Iterator[str]:
    """Relative paths of the files below a folder, and of folders that DVC does not enter."""
    if prefix.count("/") > _MAX_DEPTH:
        raise InputError(
            f"{str(folder)[:_MAX_NAME]}… lies in more than {_MAX_DEPTH} folders within folders; "
            "move its photos further up"
        )
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except PermissionError:
        raise InputError(
            f"{folder}: no permission to list this folder; `chmod u+rx` it, or move it away"
        ) from None
    folders = {
        entry.name
        for entry in entries
        if entry.is_dir(follow_symlinks=False)
        and not os.path.isdir(os.path.join(entry.path, ".dvc"))
    }
    about = about_shards(folder, [entry.name for entry in entries if entry.name not in folders])
    others = [entry.name for entry in entries if entry.name not in {*folders, *about}]
    if choose:
        kept, others = choose(os.path.abspath(folder), list(folders), others)
        folders = set(kept)
    yield from (prefix + name for name in others)
    for name in folders:
        yield from _walk(folder / name, f"{prefix}{name}/", choose)
