"""Hashes of files, code and library versions: the parts of a row's key."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]  # src/facestats


def sha256_file(path: str | Path) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def code_sha256(files: tuple[str, ...]) -> str:
    """Hex sha256 over the names and bytes of files of this package, such as `clip/tower.py`."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + (PACKAGE / name).read_bytes() + b"\0")
    return digest.hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Installed version of each package."""
    return {name: version(name) for name in packages}


def sha256_json(content: Any) -> str:
    """Hex sha256 of JSON content, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
