"""`forget` killed (SIGKILL) at any step: the same command goes on, and at the end nothing names or
shows the person, the journal included.
"""

import hashlib
import json
import os
import shutil
import signal

import dvc.config
import dvc.config_schema
import dvc.fs  # noqa: F401
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from facestats.__main__ import main
from facestats.cli import forget, forget_cache
from facestats.cli.doctor_inputs import examine_inputs
from facestats.cli.forget_journal import Journal, unfinished_command
from facestats.params.project import load_params
from facestats.rows.store import RowStore
from processes import run_in_fork
from resources import ROOT

pytestmark = pytest.mark.long
ANNA = ("anna/one.jpg", "anna/deep/two.jpg", "three.png")
OTHERS = ("other.jpg", "album/more.jpg")
CHANGES = ("unlink", "rename", "replace", "rmdir")  # of `os`: all that a step ends with
COLUMNS = {"key": pa.string(), "sha256": pa.string(), "crop": pa.string()}


def picture(name: str) -> bytes:
    return f"a picture of {name}".encode()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def put(cache, data: bytes, suffix: str = "") -> str:
    path = cache / "files/md5" / md5(data)[:2] / (md5(data)[2:] + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return md5(data) + suffix


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with photos, labels, rows and DVC's cache.

    Nothing but the cache and the labels knows the names.
    """
    root = tmp_path_factory.mktemp("made") / "project"
    (root / "data/labels").mkdir(parents=True)
    (root / ".dvc").mkdir()
    for name in ANNA + OTHERS:
        (root / "data/raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data/raw" / name).write_bytes(picture(name))
    shutil.copyfile(ROOT / "dvc.yaml", root / "dvc.yaml")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"images": "data/raw", "labels": "data/labels"}
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (root / "data/manual_labels.csv").write_text(
        "image,age\nThree.PNG,31\nother.jpg,20\n"
    )  # called as people call it
    (root / "data/labels/labels.csv").write_text(
        "image,person\n" + "".join(f"{name},anna\n" for name in ANNA) + "other.jpg,bert\n"
    )
    (root / "data/labels/ratings.csv").write_text(
        "image,rater,rating\nanna/one.jpg,r,3\nother.jpg,r,2\n"
    )
    cache = root / ".dvc/cache"
    put(
        cache,
        json.dumps(
            [{"relpath": name, "md5": put(cache, picture(name))} for name in ANNA + OTHERS]
        ).encode(),
        ".dir",
    )
    for stage in ("preprocess", "embed"):
        columns = COLUMNS if stage == "preprocess" else {"key": pa.string()}
        with RowStore(root / ".dvc/facestats-rows", stage, "a" * 64, columns) as rows:
            for name in ANNA + OTHERS:
                crop = rows.files.save(b"crop of " + name.encode(), root / "crop.jpg")
                row = {
                    "key": f"{stage} {name}",
                    "sha256": hashlib.sha256(picture(name)).hexdigest(),
                    "crop": crop,
                }
                rows.add({column: row[column] for column in columns})
    (root / "crop.jpg").unlink()
    return root


def run_dvc(root, *arguments) -> int:
    """What DVC does of it, without its start of a second: the outs, and the cache's files one by
    one.
    """
    cache = root / ".dvc/cache"
    if arguments[0] == "repro":
        left = sorted(
            path.relative_to(root / "data/raw").as_posix()
            for path in (root / "data/raw").rglob("*")
            if path.is_file()
        )
        table = root / "faces.parquet"
        pd.DataFrame(
            {"image": left, "key": [f"preprocess {name}" for name in left], "filename": left}
        ).to_parquet(table)
        put(cache, table.read_bytes())
        (root / "dvc.lock").write_text(
            f"schema: '2.0'\nstages: {{preprocess: {{cmd: python stages/preprocess.py, outs: "
            f"[{{path: faces.parquet, hash: md5, md5: {md5(table.read_bytes())}}}]}}}}"
        )
    else:
        kept = {
            md5(path.read_bytes())
            for path in [*(root / "data/raw").rglob("*.*"), root / "faces.parquet"]
            if path.is_file()
        }
        for path in sorted(cache.glob("files/md5/*/*")):
            if path.parent.name + path.name not in kept:
                path.unlink()
    return 0


def forget_and_die(root, at: int, *arguments: str) -> bool:
    """The command in a process that is killed right before its change number `at`.

    Returns whether it came to that.
    """
    code = run_in_fork(_forget, root, at, arguments)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def _forget(root, at: int, arguments: tuple[str, ...]) -> int:
    done = 0

    def counted(change):
        def counting(*args, **options):
            nonlocal done
            done += 1
            if done == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*args, **options)

        return counting

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    forget_cache._dvc = run_dvc
    return main(["forget", *arguments, "--root", str(root)])


def traces(root) -> list[str]:
    """Files and folders that name or show her."""
    secrets = [
        b"anna",
        b"three.png",
        b"Three.PNG",
        *map(picture, ANNA),
        *(b"crop of " + name.encode() for name in ANNA),
        *(hashlib.sha256(picture(name)).hexdigest().encode() for name in ANNA),
    ]
    leftovers = []
    for path in root.rglob("*"):
        content = b""
        if path.is_file():
            content = (
                path.read_bytes()
                if path.suffix != ".parquet"
                else pd.read_parquet(path).to_csv().encode()
            )
        if any(secret in content or secret in path.name.encode() for secret in secrets):
            leftovers.append(str(path.relative_to(root)))
    return leftovers


def everything(root) -> dict[str, str]:
    files = {
        str(path.relative_to(root)): path
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }
    return {name: md5(path.read_bytes()) for name, path in files.items()}


@pytest.fixture(scope="module")
def at_once(made, tmp_path_factory):
    """What is left where nothing comes between."""
    root = tmp_path_factory.mktemp("at_once") / "project"
    shutil.copytree(made, root)
    assert len(traces(root)) > 10
    assert forget_and_die(root, -1, "--person", "anna", "--cache") is False
    assert traces(root) == []
    return everything(root)


@pytest.mark.first_cases(3)
@pytest.mark.parametrize("at", range(3, 36, 3))
def test_the_same_command_goes_on_after_a_kill(made, at_once, tmp_path, at):
    root = tmp_path / "project"
    shutil.copytree(made, root)
    command = ("--person", "anna", "--cache")
    if not forget_and_die(root, at, *command):
        pytest.skip(f"the command makes fewer than {at} changes")
    if Journal(root).path.exists():
        assert "forget --person anna --cache" in unfinished_command(root)
        assert Journal(root).path.stat().st_mode & 0o777 == 0o600
        assert at % 2 or forget_and_die(root, 4, *command)  # and once more
    if traces(root):
        assert forget_and_die(root, -1, *command) is False
    assert traces(root) == []
    assert everything(root) == at_once


def test_a_kill_before_the_last_word_leaves_the_journal(made, tmp_path, monkeypatch, capsys):
    root = tmp_path / "project"
    shutil.copytree(made, root)
    command = ["forget", "--person", "anna", "--root", str(root)]

    def kill(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(forget, "_still_there", kill)
        with pytest.raises(SystemExit):
            main(command)
    assert Journal(root).path.exists()
    capsys.readouterr()
    assert main(command) in (0, 1)
    assert "going on with what is unfinished" in capsys.readouterr().out
    assert not Journal(root).path.exists()


def test_names_of_label_files_lead_nowhere_else(made, tmp_path):
    """Taken as they are with --allow-missing: neither an import's file nor an empty folder
    elsewhere goes, also after a kill.
    """
    root = tmp_path / "project"
    shutil.copytree(made, root)
    names = [
        "../../../outside/x.jpg",
        str(tmp_path / "outside/empty/y.jpg"),
        "../../../outside/empty/z.jpg",
    ]
    (root / "data/labels/labels.csv").write_text(
        "image,person\nanna/one.jpg,anna\n" + "".join(f"{name},anna\n" for name in names)
    )
    (tmp_path / "outside/empty").mkdir(parents=True)
    (tmp_path / "outside/x.jpg.dvc").write_text("mine")
    command = ("--person", "anna", "--allow-missing")
    assert forget_and_die(root, 9, *command)
    assert forget_and_die(root, -1, *command) is False
    assert not (root / "data/raw/anna/one.jpg").exists()
    assert (root / "data/labels/labels.csv").read_text() == "image,person\n"
    assert (tmp_path / "outside/x.jpg.dvc").exists()
    assert (tmp_path / "outside/empty").is_dir()


def test_another_command_is_told_of_the_unfinished_one(made, tmp_path, capsys):
    root = tmp_path / "project"
    shutil.copytree(made, root)
    assert forget_and_die(root, 9, "--person", "anna", "--cache")
    before = everything(root)
    for arguments in (
        ["other.jpg"],
        ["--person", "anna"],
        ["--person", "bert", "--cache"],
        ["--person", "anna", "other.jpg", "--cache"],
    ):
        assert main(["forget", *arguments, "--root", str(root)]) == 2
        assert (
            "give it first, as it was: `python -m facestats forget --person anna --cache`"
            in capsys.readouterr().err
        )
    assert everything(root) == before
    assert [
        finding.message
        for finding in examine_inputs(root, load_params(root / "params.yaml")).warnings
        if finding.kind == "forget"
    ]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"request": {}}',
        "7",
        "\x00",
        '{"request": {"images": [], "persons": [], "cache": true, "remote": null}, "images": '
        '[7], "sha256": [], "objects": [], "named": {}, "search": {"images": [], "names": '
        '[], "persons": [], "sha256": {}, "sizes": null, "git_objects": {}}}',
    ],
)
def test_a_damaged_journal_is_named_and_nothing_is_touched(made, tmp_path, capsys, content):
    root = tmp_path / "project"
    shutil.copytree(made, root)
    journal = Journal(root).path
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.write_text(content)
    before = everything(root)
    assert main(["forget", "--person", "anna", "--root", str(root)]) == 2
    assert (
        f"{journal}, which keeps what an earlier `forget` has still to do, is damaged"
        in capsys.readouterr().err
    )
    assert everything(root) == before


SOUND = {
    "request": {"images": [], "persons": ["anna"], "cache": False, "remote": None},
    "images": ["anna/one.jpg"],
    "sha256": [],
    "objects": [],
    "named": {},
    "search": {
        "images": [],
        "names": [],
        "persons": [],
        "sha256": {},
        "sizes": None,
        "git_objects": {},
    },
}


@pytest.mark.thorough
@pytest.mark.long
@pytest.mark.timeout(60)
def test_a_doctored_journal_ends_in_a_message(made, tmp_path, capsys):
    root = tmp_path / "project"
    shutil.copytree(made, root)
    journal = Journal(root).path
    journal.parent.mkdir(parents=True, exist_ok=True)
    doctored = [
        SOUND | {name: value}
        for name in ("named", "images", "objects")
        for value in (None, 7, "x", [7], {"x": 7}, {"x": [[1]]}, ["\ud800"])
    ]
    doctored += [
        SOUND | {"search": SOUND["search"] | {name: value}}
        for name in SOUND["search"]
        for value in (7, "x", [None], {"x": ["y"]})
    ]
    doctored += [
        SOUND | {"request": SOUND["request"] | change}
        for change in ({"cache": []}, {"remote": 7}, {"images": None}, {"persons": "anna"})
    ]
    before = everything(root)
    for content in doctored:
        journal.write_text(json.dumps(content))
        assert main(["forget", "--person", "anna", "--root", str(root)]) == 2, content
        assert "is damaged" in capsys.readouterr().err
    for make in (
        lambda: os.mkfifo(journal),
        lambda: journal.symlink_to("/dev/zero"),
        lambda: journal.symlink_to(root / "params.yaml"),
        journal.mkdir,
    ):
        journal.unlink()
        make()
        assert main(["forget", "--person", "anna", "--root", str(root)]) == 2
        assert "is damaged" in capsys.readouterr().err
    journal.rmdir()
    assert everything(root) == before
    journal.write_text(json.dumps(SOUND))
    assert Journal(root).read().images == ["anna/one.jpg"]
