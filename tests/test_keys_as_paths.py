"""A key of params.yaml that leads to another folder: refused before DVC removes anything."""

import copy
import logging
import shutil

import pytest
import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo

from resources import ROOT

STAGES = {
    "composites": "select",
    "continua": "continuum",
    "differences": "difference",
    "stimuli": "stimuli",
    "attributes.targets": "train_attribute",
}
UP = "../" * 60


@pytest.fixture
def repo(tmp_path, monkeypatch):
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    folder = tmp_path / "home/project"
    folder.mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(logging.getLogger("dvc"), "disabled", True)
    Repo.init(no_scm=True).close()
    for place in ("..", ".", "data", "data/processed", "data/interim", "models", "metrics"):
        (folder / place / "kept").mkdir(parents=True)
        for name in (
            "kept/a",
            "kept.json",
            "kept.parquet",
            "kept_clf.joblib",
            "kept_confusion.csv",
            "kept_confusion.png",
        ):
            (folder / place / name).write_text("kept")
    for own in (
        "data/interim/warnings",
        "data/interim/keys",
        "data/processed/composites",
        "data/processed/stimuli",
        "models/attributes",
        "metrics/attributes",
    ):
        (folder / own).mkdir()
    return folder


def kept(folder):
    return {path for path in folder.parent.rglob("*kept*") if ".dvc" not in path.parts}


KEYS = [
    "../kept",
    UP + "{}/kept",
    "../../kept",
    "a/../../../kept",
    "..",
    "../..",
    UP + "{}/project/data/kept",
    "a/b",
    ".",
    "../keys/kept",
    "../warnings/kept",
]


@pytest.mark.first_cases(6)
@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of DVC
@pytest.mark.parametrize(
    ("section", "key"),
    [
        (section, key)
        for section in STAGES
        for key in (KEYS if section == "composites" else KEYS[:2])
    ],
)
def test_a_key_that_leads_elsewhere_removes_nothing(repo, section, key):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    items, key = raw, key.format(repo.parent.as_posix().lstrip("/"))
    for part in section.split("."):
        items = items[part]
    items[key] = copy.deepcopy(next(iter(items.values()), {}))
    (repo / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    before = kept(repo)
    with (
        pytest.raises(DvcException, match=r"ignored by .dvcignore|overlap|already specified|same"),
        Repo(str(repo)) as project,
    ):
        project.reproduce(f"{STAGES[section]}@{key}", downstream=True)
    # `--single-item` compares outs with no other out (docs/sharing.md). Outside of the project that
    # can do harm; in the two folders of small outs there is nothing of the user's.
    outside = repo.parent.as_posix().lstrip("/") + "/kept"
    if key not in (UP + outside, "../keys/kept", "../warnings/kept"):
        with (
            pytest.raises(DvcException, match=r"ignored by .dvcignore"),
            Repo(str(repo)) as project,
        ):
            project.reproduce(f"{STAGES[section]}@{key}", single_item=True, force=True)
        with (
            pytest.raises(DvcException, match=r"ignored by .dvcignore"),
            Repo(str(repo)) as project,
        ):
            project.checkout(force=True)
    assert kept(repo) == before


def test_plain_keys_are_taken(repo):
    with Repo(str(repo)) as project:
        assert {stage.name for stage in project.index.stages} >= {
            "select@women",
            "train_attribute@age",
            "continuum@women_to_men",
        }
        project.index.check_graph()


def test_every_out_with_a_key_is_guarded():
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage, facts in pipeline.items():
        if "foreach" not in facts:
            assert "${key}" not in str(facts.get("outs")) + str(facts.get("plots"))
            continue
        key = "${item}" if facts["foreach"] == "${score.traits}" else "${key}"  # a list has no keys
        outs = [
            out if isinstance(out, str) else next(iter(out))
            for out in [*facts["do"]["outs"], *facts["do"].get("plots", ())]
        ]
        guards = {f"${{interim}}/warnings/{key}/{stage}.stage.json"}
        if stage in ("select", "trait"):  # what they write lies beside the warnings: DVC refuses
            folder = {"select": "data/interim/members", "trait": "${interim}/traits"}[stage]
            assert f"{folder}/{key}" in outs  # overlapping outs
        else:
            guards.add(f"${{interim}}/keys/{key}/{stage}.stage.json")
        assert guards < set(outs)
        two_deep = [
            out for out in outs if not out.startswith("${") and out.count("/") == 2
        ]  # a guard must lie as deep as what it guards
        assert not two_deep or any(out.endswith("${key}_confusion.csv") for out in two_deep)
        assert all(out.startswith("${") or out.count("/") in (2, 3) for out in outs)
