"""Less of DVC's own work between two stages, for the copies of the warm parent; what it writes is
the same.

After every stage DVC reads all of dvc.lock with comments and layout and writes it anew, 0.35 s of a
processor for the 32 stages of the small project; before every stage it parses params.yaml several
times. A third of what `dvc repro` takes where nothing changed goes to reading the same YAML, the
same expressions in dvc.yaml and the same lock of paths again, a quarter to hashing the same folders
and to looking for parameters in all of params.yaml. A third of `dvc exp run` goes to writing git's
index after each stage, though no file of it has changed. tests/test_warm.py holds the files against
those of a fresh DVC.
"""

import contextlib
import copy
import hashlib
import io
import json
import os
import pickle
import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from stat import S_ISREG
from types import SimpleNamespace

import dpath
import voluptuous
from dulwich.index import IndexEntry, cleanup_mode
from dulwich.worktree import WorkTree
from dvc import dvcfile, output, rwlock, schema
from dvc.dependency import param
from dvc.dependency.base import Dependency
from dvc.parsing import interpolate
from dvc.stage import serialize
from dvc.utils import strictyaml
from dvc.utils.serialize import _yaml
from dvc_objects.fs.base import FileSystem

HEAD = "schema: '2.0'\nstages:\n"
PLACES = (  # where a function of DVC's is called from
    (dvcfile.Lockfile, "dump_stages"),
    (_yaml, "parse_yaml"),
    (strictyaml, "parse_yaml"),
    (interpolate, "parse_expr"),
    (rwlock, "json"),
    (schema, "vol"),
    (strictyaml, "validate"),
    (param, "dpath"),
    (FileSystem, "isin"),
    (output.Output, "_get_hash_meta"),
    (WorkTree, "stage"),
    (output, "get_cloud_fs"),
)
_own = [vars(place)[name] for place, name in PLACES]
_dump_all, _parse, _check = (
    dvcfile.Lockfile.dump_stages,
    _yaml.parse_yaml,
    strictyaml.validate,
)
_is_in, _hash_of, _stage_all = FileSystem.isin, output.Output._get_hash_meta, WorkTree.stage
_place_of = output.get_cloud_fs
_shared: Path | None = None


def install(shared: str | None = None) -> None:
    """Replace functions of DVC's in this process.

    Parameters
    ----------
    shared : a folder of this run of the tests, where one process keeps for others what it parsed
    """
    global _shared
    _shared = Path(shared) if shared else None
    expression = cache(interpolate.parse_expr)
    new = (_dump_stages, _parse_yaml, _parse_yaml, expression, _JSON, _VOL, _validate)
    new += (_DPATH, staticmethod(_is_below), _hash, _stage, _place)
    for (place, name), function in zip(PLACES, new, strict=True):
        setattr(place, name, function)


def uninstall() -> None:
    """Take DVC's own functions again."""
    for (place, name), function in zip(PLACES, _own, strict=True):
        setattr(place, name, function)


def _dump_stages(self: dvcfile.Lockfile, stages: list, **options) -> None:
    """Write the text of these stages alone into dvc.lock."""
    blocks = _blocks(self.path)
    if not blocks:
        return _dump_all(self, stages, **options)
    before = dict(blocks)
    for stage in stages:
        stream = io.StringIO()
        _yaml._dump({"schema": "2.0", "stages": serialize.to_lockfile(stage, **options)}, stream)
        block = stream.getvalue().removeprefix(HEAD)
        blocks[_first_line(block)] = block
    if blocks != before:
        dvcfile.logger.info("Updating lock file '%s'", self.relpath)
    with self.repo.fs.open(self.path, "w+", encoding="utf-8") as file:
        file.write(HEAD + "".join(blocks.values()))
    if blocks != before:
        self.repo.scm_context.track_file(self.relpath)
    return None


def _blocks(path: str) -> dict[str, str]:
    """The text of each stage in dvc.lock; empty where it is not as DVC writes it."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (FileNotFoundError, UnicodeDecodeError):
        return {}
    blocks = re.split(r"^(?=  \S)", text.removeprefix(HEAD), flags=re.MULTILINE)[1:]
    plain = text.startswith(HEAD) and "#" not in text and text.endswith("\n")
    if not plain or not all(_first_line(block).endswith(":") for block in blocks):
        return {}
    return {_first_line(block): block for block in blocks}


def _first_line(block: str) -> str:
    return block.partition("\n")[0]


def _parse_yaml(text: str | bytes, path: str, typ: str = "safe"):
    return pickle.loads(_parsed(text, path)) if typ == "safe" else _parse(text, path, typ)


@cache
def _parsed(text: str | bytes, path: str) -> bytes:
    return _once("parsed", text, lambda: pickle.dumps(_parse(text, path)))


def _validate(data, schema, text: str | None = None, path=None, rev=None):
    name = _NAMES.get(id(schema))
    if text is None or name is None:
        return _check(data, schema, text, path, rev)

    def check() -> bytes:
        _check(data, schema, text, path, rev)  # or raise
        return b"valid"

    _once(name, text, check)
    return data


def _once(name: str, text: str | bytes, make: Callable[[], bytes]) -> bytes:
    """What one process made of a text, for all of them."""
    if not _shared:
        return make()
    raw = text.encode() if isinstance(text, str) else text
    kept = _shared / f"{hashlib.sha256(raw).hexdigest()}.{name}"
    with contextlib.suppress(OSError):
        return kept.read_bytes()
    made = make()
    with contextlib.suppress(OSError):  # a disk that is full, or another user
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(made)
        new.rename(kept)
    return made


def _dump_json(content, file) -> None:
    file.write(json.dumps(content))  # `json.dump` writes the same in small pieces, by Python


def _schema(source) -> voluptuous.Schema:
    """DVC compiles the schema of a stage anew for each stage; there are two."""
    if id(source) not in _SCHEMAS:
        _SCHEMAS[id(source)] = source, voluptuous.Schema(source)  # kept, and so is its `id`
    return _SCHEMAS[id(source)][1]


def _get(content, key: str, separator: str):
    """Looks at the value alone; DVC's, at everything."""
    found = content
    for name in key.split(separator):
        if not (isinstance(found, dict) and name in found and _NAME.fullmatch(name)):
            return dpath.get(content, key, separator=separator)
        found = found[name]
    return found


def _is_below(path: str, folder: str) -> bool:
    if not (path.startswith("/") and folder.startswith("/")) or _ODD.search(f"{path}\n{folder}"):
        return _is_in(path, folder)
    return path.startswith(f"{folder}/")


def _hash(self: output.Output):
    """A folder of code is what many stages depend on."""
    if not isinstance(self, Dependency) or not os.path.isdir(self.fs_path):
        return _hash_of(self)
    files = tuple(_files(self.fs_path))
    known = _FOLDERS.get(self.fs_path)
    if known is None or known[0] != files:
        newest = max((changed for _, _, changed, _ in files), default=0)
        known = files, _hash_of(self)
        if time.time_ns() - newest < _SETTLED:  # it may change again and look the same
            return known[1]
        _FOLDERS[self.fs_path] = known
    return copy.copy(known[1][0]), known[1][1]


def _files(folder: str) -> Iterator[tuple[str, int, int, int]]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _files(entry.path)
        facts = entry.stat()
        yield entry.path, facts.st_ino, facts.st_ctime_ns, facts.st_size


def _place(config: dict, url: str, **options) -> tuple:
    """The file system of a path, and what it is called there."""
    if options or "://" in url or config.get("core", {}).get("checksum_jobs"):
        return _place_of(config, url=url, **options)
    if url not in _PATHS:
        _PATHS[url] = _place_of(config, url=url)
    system, facts, path = _PATHS[url]
    return system, dict(facts), path


def _stage(self: WorkTree, paths, config=None) -> None:
    """Git's index is written anew where a file has other bytes than the one in there."""
    paths = [*map(os.fsencode, [paths] if isinstance(paths, (str, bytes)) else paths)]
    place = self._repo.index_path()
    with contextlib.suppress(OSError):
        facts = os.stat(place)
        stamp = facts.st_ino, facts.st_mtime_ns, facts.st_size
        if _INDEX.get(place, ((), {}))[0] != stamp:
            _INDEX[place] = stamp, dict(self._repo.open_index(config=config).items())
        root, entries = os.fsencode(self.path), _INDEX[place][1]
        if all(_is_staged(os.path.join(root, path), entries.get(path)) for path in paths):
            return
    _stage_all(self, paths, config)


def _is_staged(path: bytes, entry: object) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return entry is None
    if not (isinstance(entry, IndexEntry) and entry.mode == cleanup_mode(mode) and S_ISREG(mode)):
        return False
    content = Path(os.fsdecode(path)).read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return not entry.extended_flags and blob.hexdigest().encode() == entry.sha


_NAME = re.compile(r"[^\W\d][\w -]*")  # neither a pattern nor a number
_ODD = re.compile("//|/[.]{1,2}(/|$)|/$", re.MULTILINE)  # not as `normpath` writes it
_SETTLED = 50_000_000  # nanoseconds; files whose times differ by less may look the same
_FOLDERS: dict[str, tuple] = {}  # their files, and the hash that DVC made of them
_PATHS: dict[str, tuple] = {}
_INDEX: dict[str, tuple] = {}  # facts of git's index, and its entries
_DPATH = SimpleNamespace(get=_get)
_SCHEMAS: dict[int, tuple[object, voluptuous.Schema]] = {}
_JSON = SimpleNamespace(**{**vars(json), "dump": _dump_json})
_VOL = SimpleNamespace(Schema=_schema)
_NAMES = {
    id(schema.COMPILED_SINGLE_STAGE_SCHEMA): "single",
    id(schema.COMPILED_MULTI_STAGE_SCHEMA): "multi",
    id(schema.COMPILED_LOCKFILE_SCHEMA): "lock",
}
