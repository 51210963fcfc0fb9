"""docs/troubleshooting.md quotes messages that there are."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from resources import ROOT

ROW = re.compile(r"^\| ((?:`[^`]+`(?:, )?)+)( \(DVC\))? \|", re.MULTILINE)


def texts(paths) -> str:
    """All strings of some modules, each on a line, with `…` for what is filled in."""
    found = []
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def parts(message: str) -> list[str]:
    """The fixed parts of a message that say enough to be found."""
    found = [part.strip(" '") for part in message.split("…")]
    return [part for part in found if len(part) >= 6]


@pytest.fixture(scope="module")
def ours() -> str:
    return texts([*(ROOT / "src/facestats").rglob("*.py"), *(ROOT / "stages").glob("*.py")])


@pytest.fixture(scope="module")
def dvcs() -> str:
    folders = [Path(find_spec(name).origin).parent for name in ("dvc", "omegaconf")]
    return texts([folders[0] / name for name in ("rwlock.py", "lock.py", "exceptions.py", "data_cloud.py", "repo/experiments/queue/celery.py")]
                 + [folders[1] / "dictconfig.py"])


def test_every_quoted_message_is_in_the_source(ours, dvcs):
    rows = ROW.findall((ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8"))
    assert len(rows) > 60
    missing, checked = [], 0
    for quoted, dvc in rows:
        for message in re.findall("`([^`]+)`", quoted):
            for part in parts(message):
                checked += 1
                if part not in (dvcs if dvc else ours):
                    missing.append(part)
    assert missing == []
    assert checked > 70


def test_the_way_out_of_the_parameters_is_linked_and_there():
    for page in re.findall(r"\]\(([\w.]+\.md)", (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")):
        assert (ROOT / "docs" / page).is_file()
