"""The runs that `compare` takes: the workspace, commits, branches and experiments."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from facestats.cli.compare_checks import check_predictions, plain_params, val_loss
from facestats.core import tables
from facestats.core.layout import METRICS
from facestats.crossvalidation.tables import CROSSVALIDATED
from facestats.dvc_files.forms import ForeignError, load_yaml
from facestats.errors import InputError, number_of, suggestion
from facestats.labels.tables import SPLITS
from facestats.machine.git import read_git
from facestats.machine.output import shell_words
from facestats.rows.dvc_cache import DvcCache, find_dvc_cache, is_md5, md5_of_table

WORKSPACE = "workspace"
LOCK, PARAMS, STAGE = "dvc.lock", "params.yaml", CROSSVALIDATED.stage
SUMMARY = METRICS / "summary.json"
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(.+)")
_MISSING = object()
_SHOWN = 3  # parameters that a message names


@dataclass(frozen=True)
class Run:
    """What a run predicted, and what it was made with.

    Attributes
    ----------
    name : str
        As it was given.
    commit : str or None
        Hash of the commit; None for the workspace.
    table : DataFrame
        As `crossvalidation.tables.CROSSVALIDATED`.
    params : dict
        `params.yaml` by dotted key.
    val_loss : float or None
        `best.val_loss` of `metrics/summary.json`; None where it is not stored.
    val : frozenset of str or None
        Faces that `val_loss` was measured among; None where the splits are not here.
    """

    name: str
    commit: str | None
    table: pd.DataFrame
    params: dict[str, Any]
    val_loss: float | None
    val: frozenset[str] | None

    def title(self) -> str:
        """Its name, and the commit unless that is the name."""
        if self.commit is None or self.commit.startswith(self.name):
            return self.name
        return f"{self.name} ({self.commit[:7]})"


def read_run(root: Path, name: str) -> Run:
    """Read the predictions of a run.

    Parameters
    ----------
    root : Path
        The project folder.
    name : str
        `workspace`, a commit, branch or tag, or an experiment.

    Raises
    ------
    InputError
        There is no such run or project, it has no predictions, they are not here, or those in the
        workspace are not of its parameters.
    """
    cache = find_dvc_cache(root) if (root / "dvc.yaml").is_file() else None
    if cache is None:
        raise InputError(
            f"{root / 'dvc.yaml'}: no such file; run this from the folder that holds it"
        )
    return _workspace(root) if name == WORKSPACE else _committed(root, cache, name)


def changed_params(a: Run, b: Run) -> dict[str, tuple[Any, Any]]:
    """Values of both runs by dotted key, where they differ; None where a run lacks the key."""
    keys = sorted(a.params.keys() | b.params.keys())
    pairs = {key: (a.params.get(key), b.params.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _workspace(root: Path) -> Run:
    table = root / CROSSVALIDATED.location
    if not table.exists():
        raise InputError(
            f"{table}: no such table; `dvc repro {STAGE}` makes it, or `dvc checkout` brings it"
        )
    content, lock = _file(root / PARAMS), _stages(_file(root / LOCK), LOCK)
    params = plain_params(_yaml(content, PARAMS), PARAMS)
    if why := _why_stale(table, lock, params):
        raise InputError(f"the workspace is stale: {why}")
    return Run(
        WORKSPACE,
        None,
        check_predictions(tables.read(table, CROSSVALIDATED), str(table)),
        dict(_flat(params)),
        val_loss(_file(root / SUMMARY), str(SUMMARY)),
        _val([root / SPLITS.location]),
    )


def _committed(root: Path, cache: DvcCache, name: str) -> Run:
    commit = _commit_of(root, name)

    def content(path: str | Path) -> bytes:
        return _git(root, "show", f"{commit}:./{Path(path).as_posix()}")

    stages = _stages(content(LOCK), f"{LOCK} of {name}")
    if STAGE not in stages:
        raise InputError(
            f"{name} has no cross-validated predictions: its dvc.lock has no stage `{STAGE}`. It "
            "is from before that stage, or its run was not committed"
        )
    paths = _cached(cache, stages, CROSSVALIDATED.location)
    if not paths:
        raise InputError(
            f"the cross-validated predictions of {name} are not in DVC's cache: `dvc fetch "
            "--all-commits` brings those of commits, `dvc exp pull` those of an experiment"
        )
    where = f"{PARAMS} of {name}"
    params = plain_params(_yaml(content(PARAMS), where), where)
    return Run(
        name,
        commit,
        check_predictions(_read(paths, CROSSVALIDATED), f"{CROSSVALIDATED.name} of {name}"),
        dict(_flat(params)),
        val_loss(content(SUMMARY), f"{SUMMARY} of {name}"),
        _val(_cached(cache, stages, SPLITS.location)),
    )


def _commit_of(root: Path, name: str) -> str:
    """The commit that git, or else DVC, knows by this name."""
    wanted = ("rev-parse", "--verify", "--quiet", "--end-of-options")
    commit = _git(root, *wanted, f"{name}^{{commit}}").strip().decode()
    if re.fullmatch(r"[0-9a-f]{40,64}", commit):  # `^main` would give one with a `^`
        return commit
    head = _git(root, *wanted, "HEAD^{commit}").strip().decode()
    if not head and name == "HEAD":
        raise InputError(f"{root.resolve()} has no commit yet: `git add -A && git commit -m start`")
    listed = _git(root, "for-each-ref", "--format=%(objectname) %(refname)").decode(
        errors="replace"
    )
    refs = [line.partition(" ")[::2] for line in listed.splitlines()]
    experiments = [
        (match[3], match[1] + match[2], commit)
        for commit, ref in refs
        if (match := _EXPERIMENT.fullmatch(ref))
    ]
    by_baseline = {baseline: commit for own, baseline, commit in experiments if own == name}
    if len(by_baseline) == 1 or head in by_baseline:
        return by_baseline.get(head) or next(iter(by_baseline.values()))
    if by_baseline:
        commits = " or ".join(commit[:7] for commit in by_baseline.values())
        raise InputError(
            f"{name} is the name of {number_of(len(by_baseline), 'experiment')}, none of them of "
            f"this commit: give the commit of one, {commits}"
        )
    branches = [
        ref.split("/", 2)[2] for _, ref in refs if ref.startswith(("refs/heads/", "refs/tags/"))
    ]
    known = [WORKSPACE, "HEAD", *branches, *(own for own, _, _ in experiments)]
    raise InputError(
        f"{name} is no commit, branch, tag or experiment of {root.resolve()}, nor `{WORKSPACE}`."
        + suggestion(name, known)
    )


def _git(root: Path, *arguments: str) -> bytes:
    """The output of a git command; empty where it fails."""
    try:
        done = read_git(root, *arguments)
    except FileNotFoundError:
        raise InputError("there is no git, which commits and experiments are read with") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"`git {arguments[0]}` did not end; give the command again") from None
    if b"dubious ownership" in done.stderr:
        raise InputError(
            f"git reads no project of another user; if you trust {root.resolve()}: `git config "
            f"--global --add safe.directory {shell_words([str(root.resolve())])}`"
        )
    return b"" if done.returncode else done.stdout


def _file(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _yaml(data: bytes, where: str) -> Any:
    try:
        return load_yaml(data) if data.strip() else {}
    except ForeignError as error:
        raise InputError(f"{where} {error}") from None


def _stages(data: bytes, where: str) -> dict[str, dict[str, Any]]:
    """The stages of a dvc.lock; those that are not as DVC writes them count as missing."""
    content = _yaml(data, where)
    stages = content.get("stages") if isinstance(content, dict) else None
    return {
        str(name): entry
        for name, entry in (stages if isinstance(stages, dict) else {}).items()
        if isinstance(entry, dict)
    }


def _entries(stage: Mapping[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    """Path and MD5 of each of a stage's `deps` or `outs`."""
    listed = stage.get(kind)
    for item in listed if isinstance(listed, list) else ():
        path, md5 = (item.get("path"), item.get("md5")) if isinstance(item, dict) else (None, None)
        if isinstance(path, str) and is_md5(md5):
            yield path, md5


def _outs(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Stage and MD5 of each out, by path."""
    return {
        path: (name, md5) for name, stage in stages.items() for path, md5 in _entries(stage, "outs")
    }


def _cached(cache: DvcCache, stages: Mapping[str, Mapping[str, Any]], out: str) -> list[Path]:
    """The files of a table in DVC's cache, one or its parts; none where it is not there."""
    _, md5 = _outs(stages).get(out, ("", ""))
    return cache.table(md5) if md5 else []


def _read(paths: Sequence[Path], schema: tables.Schema) -> pd.DataFrame:
    return pd.concat([tables.read(path, schema) for path in paths], ignore_index=True)


def _why_stale(table: Path, stages: Mapping[str, Mapping[str, Any]], params: dict) -> str | None:
    """Why the table is not what these parameters give; None if it is.

    By `dvc.lock` alone, which needs no photos. That code has changed is not noticed.
    """
    outs = _outs(stages)
    if outs.get(CROSSVALIDATED.location, ("", ""))[1] != md5_of_table(table):
        return (
            f"{CROSSVALIDATED.name} is not the one of dvc.lock. `dvc checkout` brings that, `dvc "
            "repro` makes one"
        )
    if STAGE not in stages:
        return f"dvc.lock has no stage `{STAGE}`. `dvc repro` first"
    above, reached = [STAGE], {STAGE}
    while above:
        stage = stages[above.pop()]
        changed = _changed(stage, params)
        if changed:
            return f"{', '.join(changed)} changed after the run. `dvc repro` first"
        for path, md5 in _entries(stage, "deps"):
            parents = (path, *(str(parent) for parent in Path(path).parents))
            own = next((outs[place] for place in parents if place in outs), None)
            if own is None:
                continue
            if path in outs and own[1] != md5:
                return f"{path} changed after the run. `dvc repro` first"
            if own[0] not in reached:
                reached.add(own[0])
                above.append(own[0])
    return None


def _changed(stage: Mapping[str, Any], params: dict) -> list[str]:
    """Keys of params.yaml whose value is not the one that a stage ran with."""
    recorded = stage.get("params")
    own = recorded.get(PARAMS) if isinstance(recorded, dict) else None
    keys = []
    for key, value in own.items() if isinstance(own, dict) else ():
        before, now = (dict(_flat(each, (str(key),))) for each in (value, _value(params, str(key))))
        keys += [one for one in {**before, **now} if before.get(one) != now.get(one)]
    return [*keys[:_SHOWN], *(["…"] if len(keys) > _SHOWN else [])]


def _value(params: Any, key: str) -> Any:
    for part in key.split("."):
        params = params.get(part, _MISSING) if isinstance(params, dict) else _MISSING
    return params


def _flat(params: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Values by dotted key; an empty section is a value."""
    if not isinstance(params, dict) or (above and not params):
        yield ".".join(above), params
        return
    for key, value in params.items():
        yield from _flat(value, (*above, str(key)))


def _val(paths: Sequence[Path]) -> frozenset[str] | None:
    if not all(path.exists() for path in paths) or not paths:
        return None
    splits = _read(paths, SPLITS)
    return frozenset(splits["filename"][splits["split"] == "val"])
