"""What the next run will compute, and why: stages that DVC holds for stale, and rows that the row
store does not have.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facestats.core.layout import CLIP, LANDMARKER
from facestats.errors import ModelError, number_of
from facestats.params.project import Params
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.store import find_store, recipes

COMMAND, CODE = "another command", "changed code"
ROWS = {"preprocess": "photos are cut out", "embed": "faces are embedded"}
SHOWN = 8  # stages that a line names


def stale_stages(root: Path) -> dict[str, list[str]]:
    """Find the stages that `dvc repro` would run now; those that only follow from them are not
    among them.

    Parameters
    ----------
    root : Path
        The project folder.

    Returns
    -------
    dict of str to list of str
        The reasons by stage: `another command`, `changed code`, parameters, data, outs. Empty where
        there is no DVC.

    Raises
    ------
    DvcException
        DVC can't tell, as while another run holds its lock.
    """
    if not (root / ".dvc").is_dir() or not (root / "dvc.yaml").is_file():
        return {}
    from dvc.repo import Repo

    with contextlib.closing(Repo(root)) as repo:
        status = repo.status()
    return {
        name.rpartition(":")[2]: reasons
        for name, entries in status.items()
        if (reasons := list(_reasons(entries, root)))
    }


def _reasons(entries: list[Any], root: Path) -> Iterator[str]:
    """Why one stage is stale, of what DVC's status says of it."""
    changes: dict[str, Any] = {}
    for entry in entries:
        changes |= entry if isinstance(entry, dict) else {entry: {}}
    if "changed command" in changes:
        yield COMMAND
    deps = {
        Path(os.path.relpath(path, root)).as_posix(): change
        for path, change in changes.get("changed deps", {}).items()
    }
    if any(path.startswith(("src/", "stages/")) for path in deps):
        yield CODE
    for path, change in deps.items():
        if isinstance(change, dict):
            yield f"{path}: {', '.join(change)}"
        elif not path.startswith(("src/", "stages/")):
            yield f"{path} {change}"
    for path, change in changes.get("changed outs", {}).items():
        yield f"{Path(os.path.relpath(path, root)).as_posix()} {change}"
    if "changed checksum" in changes:
        yield "never run"


def say_of_stages(stale: dict[str, list[str]]) -> list[str]:
    """What a run will compute, in lines: first how many stages, then a line for each set of
    reasons.
    """
    if not stale:
        return ["dvc repro: nothing to compute"]
    by_reason: dict[tuple[str, ...], list[str]] = {}
    for name, reasons in stale.items():
        by_reason.setdefault(tuple(reasons), []).append(name)
    lines = [f"dvc repro runs {number_of(len(stale), 'stage')}, and what follows from them:"]
    for reasons, names in by_reason.items():
        shown = ", ".join(names[:SHOWN])
        rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines.append(f"  {', '.join(reasons)}: {shown}{rest}")
    return lines


def say_of_recipes(root: Path, params: Params, stale: dict[str, list[str]]) -> list[str]:
    """Which stages that work row by row can't take the rows that they have stored, for another
    recipe has made them.
    """
    store = find_store(find_dvc_cache(root))
    if store is None:
        return []
    lines = []
    stored = recipes(store)
    for stage, work in ROWS.items():
        names = {path.name for path in stored if path.parent.name == stage}
        recipe = _recipe(stage, root, params) if names and stage in stale else None
        if recipe is not None and recipe[:32] not in names:
            lines.append(
                f"  rows of {stage}: none fits this version's code, parameters and models; all "
                f"{work} again"
            )
    return lines


def _recipe(stage: str, root: Path, params: Params) -> str | None:
    """The recipe that a run would store its rows under; None without the models."""
    try:
        if stage == "preprocess":
            from facestats.faces import keys
            from facestats.faces.crop import PreprocessConfig

            config = PreprocessConfig(**params.preprocess.model_dump())
            return keys.recipe_hash(config, root / LANDMARKER)
        from facestats.clip.embed import recipe_hash
        from facestats.clip.load import load_encoder

        clip = params.clip
        return recipe_hash(load_encoder(root / CLIP, clip.precision, clip.batch_size))
    except (ModelError, OSError):
        return None
