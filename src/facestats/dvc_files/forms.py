"""The forms in which DVC writes what it later takes paths, hashes and commands from.

DVC believes these files: a hash may be a path, a listing may name files outside of its folder, and
keys that FaceStats' pipeline never needs (`cloud`, `checksum`, `etag`) replace the hash that one
reads. So whatever DVC would not have written here is refused, instead of what is known to be bad.
Texts are read with DVC's own readers, within limits of size and nesting.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facestats.params.names import HIDDEN_FROM_DVC
from facestats.rows.dvc_cache import is_md5

MOST_YAML = 2 << 20  # bytes of an entry, dvc.lock or a .dvc file; this project's dvc.lock has 70 kB
MOST_LISTING = 256 << 20  # bytes, of some two million photos
SHOWN = 120  # characters of a name

_MOST_EXPANDED = 2 * MOST_YAML  # with each alias counted as what it stands for
_MOST_DEPTH = 50
_MOST_KEYS = 5000  # of one mapping
_MOST_ITEM = 1 << 15  # characters of a file in a listing: a path of 4096 bytes, each as \u00e9
_BAD_PARTS = frozenset(("", ".", "..", ".git", ".hg", ".dvc"))  # DVC lists none of the last three
_FACTS = frozenset(("md5", "size", "nfiles", "isexec"))
_OUT = _FACTS | {"path", "hash"}  # no `files`, which DVC writes for versioned clouds alone
_OUT_OF_DVC_FILE = _OUT | {
    *("cache", "push", "remote", "persist"),
    *("desc", "type", "labels", "meta"),
}
_DEP_OF_DVC_FILE = _OUT | {"etag", "checksum", "repo"}
_DVC_FILE = frozenset(("md5", "outs", "deps", "frozen", "wdir", "desc", "meta"))
_HASHES = ("md5", "md5-dos2unix")
_JSON = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")


class ForeignError(Exception):
    """DVC has not written this file, or it can't be checked; the text is the reason."""


class DamagedListingError(ForeignError):
    """DVC refuses this listing, too."""


@dataclass(frozen=True)
class Out:
    """An out, as a file of DVC's names it.

    Attributes
    ----------
    path : str
        Relative to the file's folder.
    md5 : str or None
        Its hash, which ends in `.dir` for a folder.
    legacy : bool
        Whether the hash is DVC 2's, with objects one folder higher.
    """

    path: str
    md5: str | None
    legacy: bool


def read_regular(path: Path, limit: int) -> bytes:
    """Read a file that is no link, pipe or device, and has at most `limit` bytes.

    Raises
    ------
    ForeignError
        It is something else, larger or can't be read.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise ForeignError("is no regular file")
            data = file.read(limit + 1)
    except OSError as error:
        if path.is_symlink():
            raise ForeignError("is a link, and DVC writes none") from None
        raise ForeignError(f"can't be read ({error.strerror})") from None
    if len(data) > limit:
        raise ForeignError(f"is larger than {limit >> 20} MiB, so that it can't be checked")
    return data


def load_yaml(data: bytes) -> Any:
    """Read YAML as DVC reads it, once its nesting and its aliases are known to be harmless.

    Raises
    ------
    ForeignError
        It is no YAML for DVC, or takes more memory or time than what DVC writes.
    """
    from dvc.utils.serialize import parse_yaml
    from ruamel.yaml import YAML

    try:
        text = data.decode("utf-8")
        _weigh(YAML(typ="safe").parse(text))
        return parse_yaml(text, "")
    except ForeignError:
        raise
    except Exception as error:  # any text can make DVC's reader raise anything
        raise ForeignError(f"can't be checked: it is no YAML ({type(error).__name__})") from None


def entry_outs(data: bytes, prefix: str, key: str) -> list[Out]:
    """The outs of an entry of the run cache.

    Parameters
    ----------
    data : bytes
        Its content.
    prefix, key : str
        The names of its folders: the start of the key, and the key, which is the hash of the
        command, the inputs and the paths of the outs.

    Raises
    ------
    ForeignError
        It is no entry, not the one of that name, or its outs are not as DVC writes them.
    """
    from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
    from dvc.utils import dict_sha256

    content = load_yaml(data)
    try:
        entry = COMPILED_LOCK_FILE_STAGE_SCHEMA(content)
        outs = entry.get("outs", [])
        hashed = entry | {"outs": [out["path"] for out in outs]}
        named = dict_sha256(hashed, exclude=HIDDEN_FROM_DVC)
    except Exception as error:  # Invalid, or what can't be hashed
        raise ForeignError(f"is no entry of the run cache ({type(error).__name__})") from None
    if (named[:2], named) != (prefix, key):
        raise ForeignError(
            "this entry of the run cache was changed or cut off after DVC wrote it, and `dvc "
            "repro` would write whatever files it names"
        )
    return _stage_outs(entry)


def lock_outs(data: bytes) -> list[Out]:
    """The outs of a dvc.lock; raises ForeignError where they are not as DVC writes them."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    content = load_yaml(data)
    try:
        lock = COMPILED_LOCKFILE_SCHEMA(content)
    except (Invalid, AttributeError, TypeError, RecursionError):
        raise ForeignError("can't be checked: it is empty, damaged or no dvc.lock") from None
    _refuse_keys(lock, frozenset(("schema", "stages")), "it")
    return [out for stage in lock.get("stages", {}).values() for out in _stage_outs(stage)]


def dvc_file_outs(data: bytes) -> tuple[list[Out], str]:
    """The outs of a `.dvc` file, and the folder that their paths start from.

    Raises
    ------
    ForeignError
        It holds a command, or is not as `dvc add` and `dvc import` write it.
    """
    from dvc.schema import COMPILED_SINGLE_STAGE_SCHEMA
    from voluptuous import Invalid

    content = load_yaml(data)
    if isinstance(content, dict) and content.get("cmd"):
        raise ForeignError("holds a command, which `dvc repro` would run")
    if isinstance(content, dict):
        _refuse_keys(content, _DVC_FILE, "it")
    try:
        stage = COMPILED_SINGLE_STAGE_SCHEMA(content)
    except (Invalid, AttributeError, TypeError, RecursionError):
        raise ForeignError("can't be checked: it is damaged or no `.dvc` file") from None
    deps = stage.get("deps") or ()
    if deps and stage.get("frozen") is not True:
        raise ForeignError("is not frozen: `dvc repro` would copy its deps into its outs")
    for dep in deps:
        _check_data(dep, _DEP_OF_DVC_FILE, "dep")
    outs = [_checked_out(out, _OUT_OF_DVC_FILE) for out in stage.get("outs") or ()]
    if deps and any(out.md5 is None for out in outs):
        raise ForeignError(
            f"is an import that was never fetched: `dvc fetch` would copy whatever lies at "
            f"{shortened(deps[0]['path'])}; `dvc update` it, if it is yours"
        )
    return outs, stage.get("wdir") or "."


def listed_files(data: bytes) -> Iterator[tuple[str, str]]:
    """Path and MD5 of each file that the listing of a folder names.

    One file after the other, so that no listing takes more memory than its bytes.

    Raises
    ------
    ForeignError
        It is no listing, or names what DVC never lists.
    """
    try:
        yield from map(_checked_file, _items(data.decode("utf-8")))
    except (ValueError, RecursionError):
        raise DamagedListingError("is no listing of a folder") from None


def shortened(text: str) -> str:
    """A text of at most `SHOWN` characters, in quotes."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def _items(text: str) -> Iterator[Any]:
    def skip(at: int, signs: str) -> tuple[int, str]:
        at = _end_of_blank(text, at)
        if text[at : at + 1] not in tuple(signs):
            raise ValueError
        return _end_of_blank(text, at + 1), text[at]

    at, sign = skip(0, "[")
    if text[at : at + 1] == "]":
        at, sign = skip(at, "]")
    while sign != "]":
        try:
            item, length = _JSON.raw_decode(text[at : at + _MOST_ITEM])
        except ValueError:
            if len(text) - at <= _MOST_ITEM:
                raise
            raise ForeignError(  # DVC may be able to read it
                "is a listing that can't be checked: one of its files takes more than "
                f"{_MOST_ITEM} characters, or is damaged"
            ) from None
        yield item
        at, sign = skip(at + length, ",]")
    if at < len(text):
        raise ValueError


def _end_of_blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    assert match is not None  # it matches nothing, too
    return match.end()


def _checked_file(item: Any) -> tuple[str, str]:
    if not isinstance(item, dict) or not isinstance(name := item.get("relpath"), str):
        raise DamagedListingError("is no listing of a folder")
    if "\0" in name or not _BAD_PARTS.isdisjoint(name.casefold().split("/")):
        raise ForeignError(
            f"this listing of a folder names {shortened(name)}, where DVC would write a file"
        )
    _refuse_keys(item, _FACTS | {"relpath"}, shortened(name))
    if not is_md5(md5 := item.get("md5")) or md5.endswith(".dir"):
        raise ForeignError(
            f"the hash of {shortened(name)} is no MD5, so that DVC would read another file"
        )
    return name, md5


def _stage_outs(stage: dict[str, Any]) -> list[Out]:
    for dep in stage.get("deps", ()):  # of them, too, DVC looks up the hash in the cache
        _check_data(dep, _OUT, "dep")
    return [_checked_out(out, _OUT) for out in stage.get("outs", ())]


def _checked_out(out: dict[str, Any], known: frozenset[str]) -> Out:
    from dvc.fs import known_implementations

    _check_data(out, known, "out")
    path = out["path"]
    scheme, colon, _ = path.partition(":")
    if "\0" in path or "://" in path or (colon and scheme.lower() in known_implementations):
        raise ForeignError(f"its out {shortened(path)} lies outside of the project")
    return Out(path, out.get("md5"), out.get("hash") != "md5")


def _check_data(data: dict[str, Any], known: frozenset[str], kind: str) -> None:
    """Raise `ForeignError` where an out or a dep has a hash, or a key, that DVC may follow."""
    path, md5 = data.get("path"), data.get("md5")
    shown = shortened(str(path))
    _refuse_keys(data, known, f"its {kind} {shown}")
    if not isinstance(path, str):
        raise ForeignError(f"one of its {kind}s has no path")
    if (md5 is not None and not is_md5(md5)) or data.get("hash", "md5") not in _HASHES:
        raise ForeignError(f"the hash of {shown} is no MD5, so that DVC would read another file")


def _refuse_keys(content: dict[Any, Any], known: frozenset[str], whose: str) -> None:
    if unknown := sorted(map(str, content.keys() - known)):
        raise ForeignError(
            f"{whose} has {shortened(unknown[0])}, which DVC does not write for this pipeline and "
            "may follow"
        )


def _weigh(events: Iterable[Any]) -> None:
    """Raise `ForeignError` where reading, hashing or printing a text would have no end.

    Sizes count each alias as what it stands for: 1 kB of them could become 10 GB.
    """
    from ruamel.yaml.events import (
        AliasEvent,
        CollectionEndEvent,
        CollectionStartEvent,
        MappingStartEvent,
        NodeEvent,
        ScalarEvent,
    )

    sizes: dict[str, int] = {}
    above: list[list[Any]] = [[None, 0, 0, False]]  # anchor, size, children, mapping
    for event in events:
        if isinstance(event, CollectionStartEvent):
            above.append([event.anchor, 1, 0, isinstance(event, MappingStartEvent)])
            if len(above) > _MOST_DEPTH:
                raise ForeignError("is nested deeper than what DVC writes")
            continue
        if isinstance(event, CollectionEndEvent):
            anchor, size, _, _ = above.pop()
        elif isinstance(event, ScalarEvent):
            anchor, size = event.anchor, 1 + len(event.value)
        elif isinstance(event, AliasEvent):
            if event.anchor not in sizes:
                raise ForeignError("holds an alias of itself or of nothing")
            anchor, size = None, sizes[event.anchor]
        else:
            assert not isinstance(event, NodeEvent)
            continue
        if anchor is not None:
            sizes[anchor] = size
        parent = above[-1]
        parent[1] += size
        parent[2] += 1
        if parent[1] > _MOST_EXPANDED or (parent[3] and parent[2] > 2 * _MOST_KEYS):
            raise ForeignError("is larger, with its aliases, than what DVC writes")
