"""Less of DVC's own work between two stages, for the copies of the warm parent; what it writes is
the same.

After every stage DVC reads all of dvc.lock with comments and layout and writes it anew, 0.35 s of a
processor for the 32 stages of the small project; before every stage it parses params.yaml several
times. tests/test_warm.py holds the files against those of a fresh DVC.
"""

import io
import pickle
import re
from functools import cache

from dvc import dvcfile
from dvc.stage import serialize
from dvc.utils import strictyaml
from dvc.utils.serialize import _yaml

HEAD = "schema: '2.0'\nstages:\n"
_dump_all, _parse = dvcfile.Lockfile.dump_stages, _yaml.parse_yaml


def install() -> None:
    """Replace two functions of DVC's in this process."""
    dvcfile.Lockfile.dump_stages = _dump_stages
    _yaml.parse_yaml = strictyaml.parse_yaml = _parse_yaml


def uninstall() -> None:
    """Take DVC's own functions again."""
    dvcfile.Lockfile.dump_stages = _dump_all
    _yaml.parse_yaml = strictyaml.parse_yaml = _parse


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
    return pickle.dumps(_parse(text, path))
