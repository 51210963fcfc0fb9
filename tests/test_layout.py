"""The layout of the source: imports lead downwards, and a stage's deps are what its script
imports.
"""

import ast
import re
from pathlib import Path

import pytest
import yaml

from facestats.clip.embed import ROW_CODE as EMBEDDING_CODE
from facestats.core import layout
from facestats.faces.keys import ROW_CODE as CROP_CODE
from imports import MODULES, PACKAGE, closure, graph, imported
from resources import ROOT

# Each floor stands on those before it; within one, packages do not import each other.
FLOORS = (
    ("errors",),
    ("machine",),
    ("core",),
    ("params",),
    ("rows", "photos", "sample", "checkpoints"),
    ("faces", "clip", "neighbours"),
    ("landmarker", "prompts", "labels"),
    ("importers", "attributes"),
    ("age", "clusters", "scores", "geometry"),
    ("crossvalidation",),
    ("traits",),
    ("groups",),
    ("composites",),
    ("pairs", "comparison", "evaluation"),
    ("stimuli",),
    ("report",),
    ("params.project",),
    ("serving", "run"),
    ("service", "export", "dvc_files"),
    ("app",),
    ("cli",),
    ("__main__",),
)
FLOOR = {package: number for number, floor in enumerate(FLOORS) for package in floor}
# How a stage runs and speaks, and what is in params.yaml: no dep, for nothing that is written
# follows from it.
NO_DEPS = ("errors", "machine", "params", "run")
# Schemas and sections of other packages: what they say is checked when a file is read, and changes
# no content.
DECLARATIONS = ("tables", "params")
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES = {name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()}


def package(name: str) -> str:
    return name if name in FLOOR else name.partition(".")[0]


def library_deps(stage: dict) -> list[str]:
    """The library's folders and files among a stage's deps, relative to it."""
    return [dep.removeprefix("${lib}/") for dep in stage["deps"] if dep.startswith("${lib}")]


def is_below(name: str, dep: str) -> bool:
    path = MODULES[name].relative_to(PACKAGE).as_posix()
    return path == dep or path.startswith(dep + "/")


@pytest.mark.long
def test_imports_lead_downwards():
    upwards = [
        f"{name} imports {other}"
        for name, others in graph().items()
        for other in others
        if name and other and package(name) != package(other)
        if FLOOR[package(other)] >= FLOOR[package(name)]
    ]
    assert upwards == []


def test_the_table_of_packages_has_these_floors():
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = contributing.partition("### Packages")[2].partition("## To add")[0]
    rows = re.findall(r"^\|([^|]*`[^|]*)\|", table, re.MULTILINE)
    floors = [{*re.findall(r"`([\w.]+)`", row)} for row in rows]
    left_out = {"__main__", "params.project"}  # the command line's start; a sentence names it
    assert floors == [{*floor} for floor in reversed(FLOORS) if not {*floor} <= left_out]


@pytest.mark.long
def test_modules_do_not_import_each_other_in_a_circle():
    circles = [name for name in MODULES if name and name in closure(graph()[name])]
    assert circles == []


@pytest.mark.long
@pytest.mark.parametrize("name", STAGES)
def test_the_deps_of_a_stage_are_what_its_script_imports(name):
    deps = library_deps(STAGES[name])
    script = next(dep for dep in STAGES[name]["deps"] if dep.startswith("stages/"))
    assert STAGES[name]["cmd"].split()[:2] == ["python", script]

    def is_no_dep(module: str) -> bool:
        if package(module) in NO_DEPS or package(module).startswith("params"):
            return True
        return module.rpartition(".")[2] in DECLARATIONS and not any(
            is_below(module, dep) for dep in deps
        )

    reached = closure(imported(ROOT / script), is_no_dep)
    files = {dep for dep in deps if (PACKAGE / dep).is_dir() or (PACKAGE / dep).is_file()}
    assert files == set(deps)
    uncovered = {module for module in reached if not any(is_below(module, dep) for dep in deps)}
    assert uncovered == set(), f"{script} imports them, and they are no deps of {name}"
    without_code = {dep for dep in deps if not list((PACKAGE / dep).glob("**/*.py"))}
    unused = {
        dep
        for dep in set(deps) - without_code
        if not any(is_below(module, dep) for module in reached) and not dep.endswith(".py")
    }
    assert unused == set(), f"deps of {name} that {script} does not import"


@pytest.mark.long
@pytest.mark.parametrize(
    ("start", "code", "others"),
    [
        # The pool maps, `rows` stores, the names of models are hashed beside their bytes, and
        # `decoder` hands photos to a process that runs this very code.
        (
            "faces.photo",
            CROP_CODE,
            {"rows", "machine", "errors", "core.files", "faces.models", "photos.decoder"},
        ),
        ("clip.encoder", EMBEDDING_CODE, {"machine", "errors", "core"}),
    ],
)
def test_the_key_of_a_row_hashes_the_files_that_compute_it(start, code, others):
    def is_other(module: str) -> bool:
        return any(module == other or module.startswith(other + ".") for other in others)

    computing = {
        MODULES[module].relative_to(PACKAGE).as_posix()
        for module in closure({start}, is_other)
        if module.rpartition(".")[2] not in DECLARATIONS
    }
    assert computing == {name for name in code if name.endswith(".py")}
    assert [name for name in code if not (PACKAGE / name).is_file()] == []


def test_a_stage_records_the_names_of_what_a_user_names():
    """Else an edit between DVC's start and the stage's would be forgotten when it is taken back."""
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))[
        "stages"
    ].items():
        own = stage.get("do", stage)
        named = re.findall(r"\$\{(data\.\w+)\}", " ".join(own.get("deps", ())))
        assert {*named} <= {*own.get("params", ())}, name


def test_files_stay_small_enough_to_read():
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 480
    assert len((ROOT / "dvc.lock").read_text(encoding="utf-8").splitlines()) <= 2790
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in MODULES.values()
        if (lines := path.read_text(encoding="utf-8").count("\n")) > 500
    }
    assert long == {}


def test_every_package_says_what_it_holds():
    silent = [
        path.parent.name
        for path in PACKAGE.rglob("__init__.py")
        if not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == []


def test_stage_scripts_are_short():
    long = {
        path.name: lines
        for path in sorted(Path(ROOT / "stages").glob("*.py"))
        if (lines := path.read_text(encoding="utf-8").count("\n")) > 50
    }
    assert long == {}


def _lines_of_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its head and docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.long
def test_functions_fit_a_screen():
    long = [
        f"{path.relative_to(ROOT).as_posix()}, line {node.lineno}: {node.name} has {lines} lines"
        for path in (*MODULES.values(), *sorted((ROOT / "stages").glob("*.py")))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := _lines_of_body(node)) > 60
    ]
    assert long == []


def _outs(stage: dict) -> list[str]:
    """Paths of a stage's outs, with the values of `vars` put in."""
    outs = [*stage.get("outs", ()), *stage.get("metrics", ()), *stage.get("plots", ())]
    paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
    variables = {name: value for group in PIPELINE["vars"] for name, value in group.items()}
    for name, value in variables.items():
        paths = [path.replace(f"${{{name}}}", value) for path in paths]
    return paths


def test_the_paths_of_the_layout_are_outs_of_the_pipeline():
    outs = [Path(out) for stage in STAGES.values() for out in _outs(stage)]
    paths = {name: path for name, path in vars(layout).items() if isinstance(path, Path)}
    for name in ("PACKAGE", "TINY", "PRETRAINED"):  # part of the package, and the user's own
        del paths[name]
    assert {"METADATA", "CROPS", "SERVING", "REPORT", "WARNINGS"} <= set(paths)
    missing = [
        str(path) for path in paths.values() if not any(out.is_relative_to(path) for out in outs)
    ]
    assert missing == []


@pytest.mark.long
def test_paths_of_outs_stand_in_the_layout_alone():
    """A message may name one; code that goes there takes it from `core/layout.py`."""
    again, out = [], r"(data|models|metrics)(/[\w.<>-]+)+/?"
    for name, path in MODULES.items():
        source = path.read_text(encoding="utf-8")
        if name == "core.layout" or not re.search(out, source):
            continue
        for node in ast.walk(ast.parse(source)):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and re.fullmatch(out, text):
                again.append(f"{name}, line {node.lineno}: {text}")
    assert again == []
