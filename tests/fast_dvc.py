"""Less of DVC's own work between two stages, for the copies of the warm parent; what it writes is
the same.

After every stage DVC reads all of dvc.lock with comments and layout and writes it anew, 0.35 s of a
processor for the 32 stages of the small project; before every stage it parses params.yaml several
times. A third of what `dvc repro` takes where nothing changed goes to reading the same YAML, the
same expressions in dvc.yaml and the same lock of paths again. tests/test_warm.py holds the files
against those of a fresh DVC.
"""

import contextlib
import hashlib
import io
import json
import os
import pickle
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import voluptuous
from dvc import dvcfile, rwlock, schema
from dvc.parsing import interpolate
from dvc.stage import serialize
from dvc.utils import strictyaml
from dvc.utils.serialize import _yaml

HEAD = "schema: '2.0'\nstages:\n"
PLACES = (  # where a function of DVC's is called from
    (dvcfile.Lockfile, "dump_stages"),
    (_yaml, "parse_yaml"),
    (strictyaml, "parse_yaml"),
    (interpolate, "parse_expr"),
    (rwlock, "json"),
    (schema, "vol"),
    (strictyaml, "validate"),
)
_own = [getattr(place, name) for place, name in PLACES]
_dump_all, _parse, _check = (
    dvcfile.Lockfile.dump_stages,
    _yaml.parse_yaml,
    strictyaml.validate,
)
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


_SCHEMAS: dict[int, tuple[object, voluptuous.Schema]] = {}
_JSON = SimpleNamespace(**{**vars(json), "dump": _dump_json})
_VOL = SimpleNamespace(Schema=_schema)
_NAMES = {
    id(schema.COMPILED_SINGLE_STAGE_SCHEMA): "single",
    id(schema.COMPILED_MULTI_STAGE_SCHEMA): "multi",
    id(schema.COMPILED_LOCKFILE_SCHEMA): "lock",
}
