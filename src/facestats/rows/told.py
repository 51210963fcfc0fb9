"""A note beside a recipe, `<recipe>.told`: of how many rows from elsewhere somebody has been told.

Old stores have rows of which nobody knows the machine. To say so at every run would help nobody.
"""

from __future__ import annotations

import json
from contextlib import suppress

from facestats.rows.interface import StoreFolder

_MOST = 10_000  # bytes


def is_news(stage: StoreFolder, recipe: str, where: str, count: int) -> bool:
    """Whether a run has found more rows from elsewhere than any before it, which is noted.

    Parameters
    ----------
    stage : StoreFolder
        The stage's folder; in one that can't be written, all is news.
    recipe : str
        Name of the recipe's folder.
    where : str
        Kind of this machine.
    count : int
        Number of rows that are not known to be of it.
    """
    name, told = f"{recipe}.told", {}
    with suppress(OSError, ValueError, RecursionError):
        told = json.loads(stage.read(name, _MOST))
    told = told if isinstance(told, dict) else {}
    before = told.get(where)
    if isinstance(before, int) and count <= before:
        return False
    with suppress(OSError):
        stage.write(name, json.dumps(told | {where: count}).encode())
    return True
