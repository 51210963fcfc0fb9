"""Folders and keys of any name in params.yaml reach a stage unchanged, and no shell reads them."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from facestats.__main__ import main
from facestats.cli.importing import _setting as setting
from facestats.errors import ParamsError
from facestats.params.project import check_params
from programs import run_program
from resources import ROOT

FOLDERS = [
    "my photos",
    "Photos (1)",
    "R&D",
    "O'Brien",
    "a;b",
    "what?",
    "*",
    "[2024] {x} <y> | #1!",
    "Söhne",
    "顔",
    "a%20b",
    "x=1",
    "./-x",
    "../photos",
    "a:b",
    "@b",
]
UNTAMED = [
    "data/labels$(touch x)",
    "a`touch x`",
    'a"b',
    "a\\b",
    "a\nb",
    "a\0b",
    "a\x1b[31m",
    "$HOME",
    "${key}",
    "a\u2028b",
    "a\x85b",
]
NAMES = [
    "a;touch x",
    "$(touch x)",
    "a b",
    "a/b",
    "../x",
    "a\nb",
    "-x",
    "a'b",
    "a.b",
    "",
    "ä",
    "a@b",
    "1",
]


@pytest.fixture
def raw():
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("key", ["images", "labels", "manual_labels"])
def test_folders_may_be_called_as_people_call_them(raw, key):
    elsewhere = {"../photos"} if key == "manual_labels" else set()
    for folder in {*FOLDERS} - elsewhere:
        raw["data"][key] = folder
        assert getattr(check_params(raw).data, key) == folder


@pytest.mark.long
@pytest.mark.parametrize("path", UNTAMED)
def test_what_no_quoting_tames_is_refused_with_the_character(raw, path):
    bad = re.search(r"[$`\"\\\0-\x1f\x85\u2028]", path)[0]
    for section, key in (
        ("data", "images"),
        ("data", "labels"),
        ("data", "manual_labels"),
        ("landmarker", "source"),
        ("clip", "variant"),
        ("mlp", "pretrained"),
    ):
        with pytest.raises(
            ParamsError,
            match=rf"^params.yaml: {section}\.{key} = .*a path can't contain "
            f"{re.escape(repr(bad))}, which can.t be quoted",
        ) as caught:
            check_params(raw | {section: raw[section] | {key: path}})
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("~/photos", r"write the whole path, or \./~/photos"),
        ("-rf", r"write \./-rf"),
        ("s3://bucket/x", "a URL"),
        (" photos", "begin or end with a blank"),
    ],
)
def test_paths_that_mean_something_else_to_others_are_refused(raw, path, why):
    raw["data"]["images"] = path
    with pytest.raises(ParamsError, match=why):
        check_params(raw)


@pytest.mark.parametrize("path", ["/home/me/.bashrc", "../x.csv", "a/../../x.csv", ".."])
def test_labels_by_hand_lie_in_the_project_for_they_are_written(raw, path):
    raw["data"]["manual_labels"] = path
    with pytest.raises(ParamsError, match=r"manual_labels.* has to lie in the project folder"):
        check_params(raw)
    raw["data"]["manual_labels"] = "a/../own/by hand.csv"
    check_params(raw)


@pytest.mark.long
@pytest.mark.parametrize(
    "revision",
    [
        "../../x",
        "a/../../x",
        "/etc/x",
        "a//b",
        "..",
        "a..b",
        "",
        "-x",
        "a\nb",
        "a\x1b",
        "a b",
        "~",
        "x" * 201,
    ],
)
def test_a_revision_is_one_and_no_path(raw, revision):
    with pytest.raises(ParamsError, match=r"clip\.revision = .* is not possible"):
        check_params(raw | {"clip": raw["clip"] | {"revision": revision}})
    for good in ("main", "v1.0", "refs/pr/1", "0123456789abcdef", "feature/x-y_z+1"):
        assert check_params(raw | {"clip": raw["clip"] | {"revision": good}}).clip.revision == good


def test_a_mistake_below_a_hostile_key_is_told_on_one_line(raw):
    women = raw["composites"]["women"]
    with pytest.raises(ParamsError) as caught:
        check_params(
            raw
            | {
                "composites": {"a\nerror: b\x1b[31m": women | {"filtr": {}}},
                "continua": {},
                "differences": {},
            }
        )
    assert all(
        line.startswith("params.yaml: ") and line.isprintable()
        for line in str(caught.value).splitlines()
    )


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_keys_that_become_folders_and_stages_are_plain(raw, name):
    for section in ("composites", "continua", "differences"):
        with pytest.raises(
            ParamsError, match=r"is not possible: (a name can't hold ['\"]|string should match)"
        ) as caught:
            check_params(raw | {section: {name: next(iter(raw[section].values()))}})
        assert all(line.isprintable() for line in str(caught.value).splitlines())
    raw["attributes"]["targets"][name] = {"kind": "regression"}
    with pytest.raises(ParamsError, match="is not possible"):
        check_params(raw)


def test_no_command_line_holds_a_value_of_params():
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    own = {name for entry in pipeline["vars"] for name in entry}
    commands = [stage.get("do", stage)["cmd"] for stage in pipeline["stages"].values()]
    assert len(commands) > 15
    assert {
        name for command in commands for name in re.findall(r"\$\{([^}]*)\}", command)
    } == own - {"lib"}
    assert not any(re.search(r"\$(?!\{)", command) for command in commands)


SCRIPT = """
from facestats.run.stage import StageItem, run_stage


def main(params, name: StageItem, folder: str) -> str:
    return f"{name} {folder} {name.of(params.composites).filter.n}"


if __name__ == "__main__":
    run_stage(main)
"""


@pytest.mark.first_cases(2)
@pytest.mark.parametrize(
    ("by_dvc", "arguments", "code", "expected"),
    [
        ("select@women", ["--folder", "x"], 0, "women x 60"),
        ("../@a/dvc.yaml:select@men", ["--folder", "x"], 0, "men x 60"),
        ("", ["--name", "men", "--folder", "x"], 0, "men x 60"),
        ("select@women", ["--name", "men", "--folder", "x"], 0, "men x 60"),
        ("", ["--folder", "x"], 2, "--name"),
        (
            "",
            ["--name", "nobody", "--folder", "x"],
            1,
            "error: params.yaml has no 'nobody' there; it has women, men",
        ),
    ],
)
@pytest.mark.long
def test_a_stage_learns_its_key_from_dvc_or_by_hand(
    tmp_path, monkeypatch, by_dvc, arguments, code, expected
):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "stage.py").write_text(SCRIPT, encoding="utf-8")
    monkeypatch.setenv("DVC_STAGE", by_dvc)
    # a stage follows its DVC, in DVC's group
    call = (
        "import subprocess, sys; sys.exit(subprocess.call([sys.executable, 'stage.py', "
        "*sys.argv[1:]]))"
    )
    done = run_program([sys.executable, "-c", call, *arguments], tmp_path)
    assert done.returncode == code, done.stderr
    assert expected in done.stdout + done.stderr


@pytest.mark.slow
def test_every_stage_that_reads_a_folder_of_the_user_takes_any_name(project):
    images, labels, manual = (
        "data/O'Brien & Söhne (1)",
        "data/R&D; [labels]? #2",
        "data/by hand*.csv",
    )
    (project.folder / "data/raw").rename(project.folder / images)
    (project.folder / "data/labels").rename(project.folder / labels)
    (project.folder / "data/manual_labels.csv").rename(project.folder / manual)
    for old in ("raw", "labels"):
        (project.folder / f"data/{old}.dvc").unlink()
    project.dvc("add", "-q", images, labels)
    project.keep_stages(
        "fetch_landmarker", "preprocess", "labels", "rejected", "model_card", "report"
    )
    project.set_params({"data.images": images, "data.labels": labels, "data.manual_labels": manual})
    assert {"preprocess", "labels", "rejected", "model_card", "report"} - project.repro() == set()
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."
    assert images in project.read("docs/model_card.md").decode()


@pytest.mark.slow
def test_a_value_that_a_shell_would_run_is_never_run(project):
    attacks = {
        "data.labels": ("labels", "data/labels$(touch x)"),
        "data.manual_labels": ("labels", "a`touch x`"),
        "data.images": ("rejected", 'data/"; touch x; "'),
    }
    for key, (stage, value) in attacks.items():
        (project.folder / value).mkdir(parents=True)
        project.git("checkout", "params.yaml")
        project.set_params({key: value})
        done = project.dvc("repro", "-s", stage, check=False)
        assert done.returncode != 0
        assert f"error: params.yaml: {key} = " in done.stderr
        assert "which can't be quoted" in done.stderr
    project.git("checkout", "params.yaml")
    women = yaml.safe_load(project.read("params.yaml"))["composites"]["women"]
    project.set_params({"composites": {"a;touch x;b": women}, "continua": {}, "differences": {}})
    done = project.dvc("repro", "-s", "select", check=False)
    assert "a name can't hold ';'" in done.stderr
    assert not (project.folder / "x").exists()


@pytest.mark.parametrize("folder", [*FOLDERS, "data/omi/raw"])
def test_commands_that_are_shown_can_be_typed(folder):
    command = f"dvc exp run -S {setting('data.images', Path(folder))}"
    override = OverridesParser.create().parse_override(shlex.split(command)[-1])
    assert override.key_or_group == "data.images"
    assert override.value() == Path(folder).as_posix()


def test_doctor_checks_names_of_folders_by_the_same_rule(tmp_path, capsys):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for option in ("--images", "--labels"):
        assert main(["doctor", "--root", str(tmp_path), option, "data/raw$(touch x)"]) == 2
        assert (
            f"error: {option[2:]} = 'data/raw$(touch x)' is not possible: a path can't contain '$'"
            in capsys.readouterr().err
        )
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(
        text.replace("images: data/sample/images", "images: 'a`b'"), encoding="utf-8"
    )
    assert main(["doctor", "--root", str(tmp_path), "--inputs"]) == 2
    assert (
        "data.images = 'a`b' is not possible: a path can't contain '`'" in capsys.readouterr().err
    )
