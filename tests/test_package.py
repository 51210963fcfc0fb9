"""The package as others install it: what it needs, which files are in it, and one version in all
places.
"""

import ast
import re
import shlex
import shutil
import sys
import sysconfig
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import facestats
from programs import run_program
from resources import ROOT
from services import with_a_score

SECONDS = 120  # of one command on a busy machine; each takes a few on an idle one
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Needed beside what is imported: transformers reads the tokenizer with it, and leaves it to its
# users to ask for it.
UNIMPORTED = {"tokenizers"}
# Imported for what other packages bring: DVC, and s3fs of the extra `remotes`, have it.
BROUGHT = {"colorama", "fsspec", "ruamel"}
# Extras whose packages are imported where they are used, and may be missing on a machine of tests.
OPTIONAL = {"faiss": "index", "ray": "ray", "s3fs": "remotes"}


def imported(folder: Path) -> set[str]:
    """Packages that the Python files of a folder import, wherever in the file, but for optional
    ones.
    """
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        only_types = {
            line
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and node.lineno not in only_types:
                modules = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                )
                names |= {module.split(".")[0] for module in modules}
    return names - sys.stdlib_module_names - {"facestats"}


def requirements(lines: list[str]) -> dict[str, Requirement]:
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(one.name): one for one in parsed}


def pinned(name: str) -> dict[str, str]:
    """Version by package, of a file of pins."""
    text = (ROOT / name).read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)(?:\[\w+\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {canonicalize_name(package): version for package, version in pins}


@pytest.mark.long
def test_what_is_imported_is_declared():
    modules = packages_distributions()
    packages = {
        canonicalize_name(modules[name][0])
        for name in imported(ROOT / "src") | imported(ROOT / "stages")
        if name not in BROUGHT | OPTIONAL.keys()
    }
    extras = PROJECT["optional-dependencies"]
    for name, extra in OPTIONAL.items():
        assert any(package.startswith(name) for package in requirements(extras[extra]))
    declared = [*PROJECT["dependencies"], *extras["serve"]]
    assert packages == requirements(declared).keys() - UNIMPORTED


def test_pins_lie_in_the_declared_ranges():
    pins = pinned("requirements.txt") | pinned("requirements-remotes.txt")
    pins |= pinned("tests/requirements-servers.txt")
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for name in extras for line in extras[name])]
    for name, requirement in requirements(lines).items():
        assert requirement.specifier.contains(pins[name]), requirement


def test_the_lock_has_all_pins_with_hashes():
    lock = pinned("requirements.lock")
    pins = pinned("requirements.txt")
    assert {name: lock.get(name) for name in pins if name != "torch"} == {
        name: version for name, version in pins.items() if name != "torch"
    }
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    packages = re.split(r"\n(?=[\w.-]+==)", text)[1:]
    assert len(packages) == len(lock)
    assert all("--hash=sha256:" in package for package in packages)


def test_one_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert cited["version"] == facestats.__version__
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == facestats.__version__


@pytest.mark.thorough
@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(built, tmp_path):
    source, environment = tmp_path / "source", tmp_path / "environment"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run_program(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source],
        check=True,
        seconds=SECONDS,
    )
    (wheel,) = tmp_path.glob("facestats-*.whl")
    run_program(
        [sys.executable, "-m", "venv", "--without-pip", environment], check=True, seconds=SECONDS
    )
    python = environment / "bin/python"
    run_program(
        [*pip, "--python", python, "install", "--no-deps", "--no-index", wheel],
        check=True,
        seconds=SECONDS,
    )
    packages = next((environment / "lib").glob("python3*/site-packages"))
    files = {
        path.relative_to(ROOT / "src")
        for path in (ROOT / "src/facestats").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert not {path for path in files if not (packages / path).is_file()}
    # The packages of the tests, but for this one: an editable install's own .pth is not read from
    # there.
    (packages / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")

    project = built.copy(tmp_path / "copy")
    variables = {k: v for k, v in project.environment.items() if k != "PYTHONPATH"} | {
        "PATH": f"{environment / 'bin'}:{project.environment['PATH']}"
    }

    def run(*command):
        return run_program(command, project.folder, variables, check=True, seconds=SECONDS).stdout

    assert run("facestats", "--version") == f"facestats {facestats.__version__}\n"
    where = run("python", "-c", "import facestats; print(facestats.__file__)")
    assert Path(where.strip()).is_relative_to(packages)
    photos = sorted((project.folder / "data/raw").glob("face_*.jpg"))
    (photo,) = with_a_score(project.folder, photos, 1)
    own = project.facestats("score", str(photo)).stdout
    assert run("facestats", "score", str(photo)) == own
    assert '"score": ' in own
    final = "data/processed/metadata/attributes_final.parquet"
    before = project.read(final)
    (project.folder / final).unlink()
    lock = yaml.safe_load(project.read("dvc.lock"))
    run(*shlex.split(lock["stages"]["finalize"]["cmd"]))
    assert project.read(final) == before
