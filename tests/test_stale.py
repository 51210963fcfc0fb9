"""`doctor` says what a run will compute, and why."""

import json
from pathlib import Path

import pytest
import yaml

from facestats.cli.doctor_stale import (
    _reasons,
    describe_lost_outs,
    describe_stages,
    lost_outs,
    stale_stages,
)
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.place import find_store
from facestats.rows.recipes import recipes

LAYOUT = [
    {"changed deps": {"stages/embed.py": "modified", "src/facestats/clip": "deleted"}},
    "changed command",
]


def test_reasons_in_words():
    assert list(_reasons(LAYOUT, Path())) == ["another command", "changed code"]
    entries = [
        {"changed deps": {"params.yaml": {"mlp.hidden": "modified", "mlp.seed": "new"}}},
        {"changed outs": {"models/regressor.pt": "deleted"}},
    ]
    assert list(_reasons(entries, Path())) == [
        "params.yaml: mlp.hidden, mlp.seed",
        "models/regressor.pt deleted",
    ]
    assert list(_reasons([{"changed deps": {"data/raw": "modified"}}], Path())) == [
        "data/raw modified"
    ]
    assert list(_reasons(["changed checksum"], Path())) == ["never run"]


def test_stages_with_the_same_reasons_share_a_line():
    assert describe_stages({}) == ["dvc repro: nothing to compute"]
    stale = {f"select@{i}": ["changed code"] for i in range(10)} | {"mlp": ["another command"]}
    assert describe_stages(stale) == [
        "dvc repro runs 11 stages, and what follows from them:",
        f"  changed code: {', '.join(f'select@{i}' for i in range(8))} and 2 more",
        "  another command: mlp",
    ]


def test_a_fresh_clone_does_not_bury_what_is_wrong_with_the_photos():
    stale = {f"stage_{i}": [f"out_{i} not in cache", "a", "b", "c", "d"] for i in range(40)}
    _, *lines = describe_stages(stale)
    assert lines[0] == "  out_0 not in cache, a, b and 2 more: stage_0"
    assert lines[10:] == ["  and 30 more stages; `dvc status` names all"]


def test_without_dvc_nothing_is_stale_and_nothing_lost(tmp_path):
    assert stale_stages(tmp_path) == {}
    assert lost_outs(tmp_path) == describe_lost_outs([]) == []


def test_a_commit_of_another_machine_that_can_not_be_brought_back(project):
    assert lost_outs(project.folder) == []
    lock = project.read("dvc.lock")
    elsewhere = yaml.safe_load(lock)
    scores = "data/processed/metadata/attractiveness_scores.parquet"
    (out,) = [o for o in elsewhere["stages"]["score"]["outs"] if o["path"] == scores]
    out["md5"] = "0" * 32
    path = project.folder / "dvc.lock"
    path.write_text(yaml.safe_dump(elsewhere), encoding="utf-8")
    project.commit("a run of another machine")
    assert lost_outs(project.folder) == []  # a fresh clone: a run or a pull brings it
    path.write_bytes(lock)
    assert lost_outs(project.folder) == [scores]
    (line,) = describe_lost_outs([scores])
    assert line.startswith(f"DVC's cache lacks 1 file of the last commit ({scores} …)")
    facts = json.loads(project.facestats("doctor", "--json").stdout)
    assert line in [warning["message"] for warning in facts["warnings"]]
    assert facts["stale"] == stale_stages(project.folder)


def test_a_composite_that_is_merely_new_has_not_changed_its_code(project):
    project.set_params({"composites.young": {"filter": {"age_range": [18, 30]}, "render": {}}})
    stale = stale_stages(project.folder)
    assert stale["select@young"] == stale["composite@young"] == ["never run"]
    assert all("never run" not in stale[name] for name in stale if "@young" not in name)


@pytest.mark.thorough
@pytest.mark.slow
def test_a_project_of_an_earlier_version_is_told_what_will_be_computed_again(project):
    assert "dvc repro: nothing to compute" in project.facestats("doctor").stdout
    lock = yaml.safe_load(project.read("dvc.lock"))
    for stage in lock["stages"].values():  # paths by position and files of the library, as in 0.1
        stage["cmd"] = stage["cmd"].replace("--", "")
        for dep in stage["deps"]:
            dep["path"] = dep["path"].replace("src/facestats/clip", "src/facestats/clip/encoder.py")
    (project.folder / "dvc.lock").write_text(yaml.safe_dump(lock), encoding="utf-8")
    project.set_params({"mlp.epochs": 6})
    for recipe in recipes(find_store(find_dvc_cache(project.folder))):
        recipe.rename(recipe.with_name(recipe.name[::-1]))
    lines = project.facestats("doctor").stdout.splitlines()
    start = "  another command, params.yaml: mlp: "
    (trained,) = [line.removeprefix(start) for line in lines if line.startswith(start)]
    assert sorted(trained.split(", ")) == ["crossvalidate", "train_attractiveness"]
    assert [line.split(":")[0] for line in lines if "none fits this version's" in line] == [
        "  rows of preprocess",
        "  rows of embed",
    ]
    facts = json.loads(project.facestats("doctor", "--json").stdout)
    assert facts["stale"].keys() == lock["stages"].keys()
    assert facts["stale"]["embed"] == ["another command", "changed code"]
