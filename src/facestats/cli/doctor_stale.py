"""What the next run will compute, and why: stale stages, and rows missing from the row store."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facestats.core.layout import CLIP, LANDMARKER
from facestats.errors import ModelError, number_of
from facestats.machine.output import one_line
from facestats.params.project import Params
from facestats.rows.bucket import BucketError
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.place import find_store
from facestats.rows.recipes import recipes

if TYPE_CHECKING:
    from dvc.repo import Repo

COMMAND, CODE, NEW = "another command", "changed code", "never run"
ROWS = {"preprocess": "photos are cut out", "embed": "faces are embedded"}
SHOWN = 8  # stages that a line names
REASONS, LINES = 3, 10  # that are listed, after a change that reaches nearly everything


def stale_stages(root: Path) -> dict[str, list[str]]:
    """Find the stages that `dvc repro` would run now, without those that only follow from them.

    Parameters
    ----------
    root : Path
        The project folder.

    Returns
    -------
    dict of str to list of str
        The reasons by stage: `never run`, or `another command`, `changed code`, parameters, data,
        outs. Empty where there is no DVC.

    Raises
    ------
    DvcException
        DVC can't tell, as while another run holds its lock.
    """
    with _repository(root) as repo:
        if repo is None:
            return {}
        status = repo.status()
        new = {
            stage.addressing
            for stage in repo.index.stages
            if stage.cmd and not any(out.hash_info for out in stage.outs)
        }
    return {
        name.rpartition(":")[2]: reasons
        for name, entries in status.items()
        if (reasons := [NEW] if name in new else list(_reasons(entries, root)))
    }


def lost_outs(root: Path) -> list[str]:
    """Find outs that the last commit names, other than those here now, and that DVC's cache lacks.

    So it is after the first run of a clone on a machine whose processor computes other last bits:
    `git checkout . && dvc checkout` can't go back to files that this machine never had.

    Parameters
    ----------
    root : Path
        The project folder.

    Returns
    -------
    list of str
        Their paths. Empty where there is no DVC, or no commit.

    Raises
    ------
    DvcException
        DVC can't tell.
    """
    from dvc.repo.brancher import switch
    from dvc.scm import SCMError

    def hashes(repo: Repo) -> dict[str, str]:
        return {str(out): out.hash_info.value for out in repo.index.outs if out.use_cache}

    with _repository(root) as repo:
        if repo is None:
            return []
        here, cache = hashes(repo), repo.cache.local
        try:
            with switch(repo, "HEAD"):
                committed = hashes(repo)
        except SCMError:
            return []
        return [
            path
            for path, value in committed.items()
            if value and value != here.get(path) and not cache.exists(value)
        ]


def _repository(root: Path) -> AbstractContextManager[Repo | None]:
    """DVC's repository, closed at the end; None where there is no pipeline."""
    if not (root / ".dvc").is_dir() or not (root / "dvc.yaml").is_file():
        return nullcontext()
    from dvc.repo import Repo

    return closing(Repo(root))


def _reasons(entries: list[Any], root: Path) -> Iterator[str]:
    """Translate DVC's status of one stage into reasons."""
    changes: dict[str, Any] = {}
    for entry in entries:
        changes |= entry if isinstance(entry, dict) else {entry: {}}
    if "changed command" in changes:
        yield COMMAND
    deps = {_below(path, root): change for path, change in changes.get("changed deps", {}).items()}
    if any(path.startswith(("src/", "stages/")) for path in deps):
        yield CODE
    for path, change in deps.items():
        if isinstance(change, dict):
            yield f"{path}: {', '.join(change)}"
        elif not path.startswith(("src/", "stages/")):
            yield f"{path} {change}"
    for path, change in changes.get("changed outs", {}).items():
        yield f"{_below(path, root)} {change}"
    if "changed checksum" in changes:
        yield NEW


def _below(path: str, root: Path) -> str:
    """The path below the project's folder of what DVC names.

    DVC names it from the working directory where that lies in the project.
    """
    inside = Path.cwd().is_relative_to(root.resolve())
    return Path(os.path.relpath(path, root) if inside else path).as_posix()


def describe_stages(stale: dict[str, list[str]]) -> list[str]:
    """Describe what a run will compute: how many stages, then one line for each set of reasons."""
    if not stale:
        return ["dvc repro: nothing to compute"]
    by_reason: dict[tuple[str, ...], list[str]] = {}
    for name, reasons in stale.items():
        by_reason.setdefault(tuple(reasons), []).append(name)
    lines = [f"dvc repro runs {number_of(len(stale), 'stage')}, and what follows from them:"]
    for reasons, names in list(by_reason.items())[:LINES]:
        lines.append(f"  {_listed(reasons, REASONS)}: {_listed(names, SHOWN)}")
    if left := sum(map(len, list(by_reason.values())[LINES:])):
        lines.append(f"  and {number_of(left, 'more stage')}; `dvc status` names all")
    return lines


def _listed(items: Sequence[str], most: int) -> str:
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return f"{', '.join(items[:most])}{rest}"


def describe_lost_outs(lost: list[str]) -> list[str]:
    """Describe that the last commit can't be brought back here, as one warning or none."""
    if not lost:
        return []
    return [
        f"DVC's cache lacks {number_of(len(lost), 'file')} of the last commit ({lost[0]} …), which "
        "another machine computed: commit this run before `git checkout . && dvc checkout`, or "
        "`dvc pull` them"
    ]


def describe_unsaved(stale: dict[str, list[str]]) -> list[str]:
    """Warn of photos and label files that came or changed since DVC last stored them.

    Parameters
    ----------
    stale : dict of str to list of str
        As of `stale_stages`; a .dvc file of photos or labels is among them.
    """
    paths = [name.removesuffix(".dvc") for name in stale if name.endswith(".dvc")]
    return [
        f"{one_line(path)} has changes that DVC has not stored, which `dvc exp apply` and `dvc "
        f"checkout --force` take away for good; `dvc add {one_line(shlex.quote(path))}` first"
        for path in paths
    ]


def describe_recipes(root: Path, params: Params, stale: dict[str, list[str]]) -> list[str]:
    """Name the row-by-row stages whose stored rows can't be reused."""
    store = find_store(find_dvc_cache(root))
    if store is None:
        return []
    lines = []
    try:
        stored = recipes(store)
    except BucketError:  # as `describe_rows` says
        return []
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
    """The recipe under which a run would store its rows; None without the models."""
    try:
        if stage == "preprocess":
            from facestats.faces import keys
            from facestats.faces.crop import PreprocessConfig

            config = PreprocessConfig(**params.preprocess.cutting())
            return keys.recipe_hash(config, root / LANDMARKER)
        from facestats.clip.embed import recipe_hash
        from facestats.clip.load import load_encoder

        clip = params.clip
        return recipe_hash(load_encoder(root / CLIP, clip.precision, clip.batch_size))
    except (ModelError, OSError):
        return None
