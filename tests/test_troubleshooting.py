"""docs/troubleshooting.md quotes messages that exist: its own project's, and DVC's where a row says
so.
"""

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from documented import read
from resources import ROOT

QUOTES = re.compile(r"^\| (`[^|]+?)( \(DVC\))?(?: (?:of|after) [^|]*)? \|", re.MULTILINE)
SHORTEST = 6  # letters of a fixed part of a message that say enough to be found
OF_DVC = (
    "rwlock.py",
    "lock.py",
    "exceptions.py",
    "output.py",
    "repo/reproduce.py",
    "repo/experiments/queue/celery.py",
    "utils/serialize/_yaml.py",
)
OF_DVC_DATA = "index/checkout.py"


def strings(path: Path) -> Iterator[str]:
    """Every string of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def ours() -> str:
    folders = (ROOT / "src/facestats", ROOT / "stages")
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    return "\n".join(text for path in paths for text in strings(path))


@pytest.fixture(scope="module")
def dvcs() -> str:
    packages = ("dvc", "dvc_data", "omegaconf")
    dvc, dvc_data, omegaconf = (Path(find_spec(name).origin).parent for name in packages)
    paths = [*(dvc / name for name in OF_DVC), dvc_data / OF_DVC_DATA, omegaconf / "dictconfig.py"]
    return "\n".join(text for path in paths for text in strings(path))


def quoted_parts(of_dvc: bool) -> list[str]:
    """The fixed parts of the messages in the first column."""
    return [
        part.strip(" '")
        for cell, mark in QUOTES.findall(read("docs/troubleshooting.md"))
        if bool(mark) == of_dvc
        for message in re.findall("`([^`]+)`", cell)
        for part in message.split("…")
        if len(part.strip(" '")) >= SHORTEST
    ]


@pytest.mark.long
@pytest.mark.parametrize(("of_dvc", "least"), [(False, 30), (True, 8)])
def test_every_quoted_message_is_in_the_source(of_dvc, least, ours, dvcs):
    parts = quoted_parts(of_dvc)
    assert len(parts) >= least
    assert [part for part in parts if part not in (dvcs if of_dvc else ours)] == []
