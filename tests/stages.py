"""Stages called in this process, whose imports are done; `stage_command` (tests/programs.py) starts
them as programs.
"""

from facestats.run.stage import StageItem

import contextlib
import inspect
import io
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from facestats.params.project import load_params
from project import Project
from resources import ROOT, read_yaml


def call_stage(script: str, folder: Path, **options: Any) -> str:
    """Call a stage's `main` in a folder, with its `params.yaml`; returns what it warned of.

    What `run_stage` adds, such as the words for an error, is left out.
    """
    return _call(_main(script), folder, options)[1]


def call_stages(project: Project, *names: str) -> list[str]:
    """Call stages such as `select@women` with the words that DVC has called them with; returns the
    line that each ends with.
    """
    lock, lines = read_yaml(project.read("dvc.lock"))["stages"], []
    for name in names:
        _, script, *words = shlex.split(lock[name]["cmd"])
        options: dict[str, Any] = {
            option.removeprefix("--").replace("-", "_"): value
            for option, value in zip(words[::2], words[1::2], strict=True)
        }
        main = _main(Path(script).stem)
        taken = list(inspect.signature(main, eval_str=True).parameters.values())[1:]
        for parameter in taken:
            if parameter.annotation is StageItem:
                options[parameter.name] = StageItem(name.partition("@")[2])
        known = {parameter.name for parameter in taken}
        given = {key: options[key] for key in options if key in known}
        lines.append(_call(main, project.folder, given)[0])
    return lines


def stages_of(project: Project) -> list[str]:
    """All stages that have run, with their keys, in the order of dvc.yaml, which is that of a
    run.
    """
    order = list(read_yaml(project.read("dvc.yaml"))["stages"])
    lock = read_yaml(project.read("dvc.lock"))["stages"]
    return sorted(lock, key=lambda name: order.index(name.partition("@")[0]))


def inputs(project: Project, name: str) -> dict[str, bytes]:
    """All files that a stage reads but code: DVC runs it again where one of them has changed."""
    lock = read_yaml(project.read("dvc.lock"))["stages"]
    deps = [project.folder / dep["path"] for dep in lock[name]["deps"]]
    data = [path for path in deps if path.relative_to(project.folder).parts[0] not in CODE]
    return {
        str(path.relative_to(project.folder)): path.read_bytes()
        for dep in data
        for path in ([dep] if dep.is_file() else sorted(dep.rglob("*")))
        if path.is_file()
    }


CODE = ("src", "stages")


def _main(script: str) -> Callable:
    return runpy.run_path(str(ROOT / f"stages/{script}.py"))["main"]


def _call(main: Callable, folder: Path, options: dict[str, Any]) -> tuple[str, str]:
    threads, errors = torch.get_num_threads(), io.StringIO()
    paths = {name: Path(path) if type(path) is str else path for name, path in options.items()}
    try:
        with contextlib.chdir(folder), contextlib.redirect_stderr(errors):
            line = main(load_params(), **paths)
    finally:
        torch.set_num_threads(threads)
    return line or "", errors.getvalue()
