"""docs/experiments.md, walked through from top to bottom."""

import re
import time

import pytest

from documented import run_documented
from project import Project, executed

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

# What a model needs to be measured; composites and the like cost the time of `dvc`, and nothing
# new.
STAGES = (
    "fetch_clip",
    "fetch_landmarker",
    "preprocess",
    "embed",
    "labels",
    "split",
    "train_attribute",
    "zeroshot",
    "attributes",
    "age_check",
    "train_attractiveness",
    "geometry",
    "crossvalidate_geometry",
    "crossvalidate",
    "score",
    "trait",
    "traits",
    "serving",
    "evaluate",
)
PATIENCE = 300  # seconds that a busy machine may take


def wait_for_the_queue(say) -> str:
    deadline = time.monotonic() + PATIENCE
    while re.search("Running|Queued", status := say("queue")) and time.monotonic() < deadline:
        time.sleep(5)  # asking takes DVC a second of the processors that the queue needs
    return status


def test_the_page_does_what_it_says(project, tmp_path):
    project.keep_stages(*STAGES)
    project.set_params({"mlp.ensemble": 3})  # of eight, 36 rated faces trust no correction
    project.repro()
    project.commit("stages")

    def say(name: str, **places: str) -> str:
        return run_documented(project, "docs/experiments.md", name, places)

    after = {"crossvalidate", "score", "traits", "serving", "evaluate"}
    assert executed(say("one")) == {"geometry", "crossvalidate_geometry"} | after
    say("back")
    assert "appearance: false" not in project.read("params.yaml").decode()
    assert "up to date" in project.dvc("status").stdout
    say("grid")
    queue = wait_for_the_queue(say)
    assert queue.count("Success") == 2, queue
    assert executed(say("logs")) == {"train_attractiveness"} | after

    shown = say("compare")
    compared, *tables = shown.split("\nPath ")[0].split(" Experiment ")
    assert re.search(r"^shape \(\w{7}\), compared with main \(\w{7}\)$", compared, re.MULTILINE)
    assert "drawn in compare.pdf" in compared
    assert "\n    geometric score, r " in compared  # not among `the same predictions`
    assert re.search(r"^best.val_loss chooses (main|grid-1|grid-2): ", compared, re.MULTILINE)
    tables = [part for part in tables if "shape" in part]
    assert len(tables) == 2
    for table in tables:
        assert "…" not in table  # nothing is cut off at 80 columns
        assert {"grid-1", "grid-2", "shape"} <= set(re.findall(r"\[([\w-]+)\]", table))
        assert re.search(r"\[shape\].* False ", table)
    headlines = re.search(r"^Path .*\nmetrics/summary.json .*", shown, re.MULTILINE)[0]
    assert max(map(len, headlines.splitlines())) < 210
    changed = r"^params.yaml +geometry.appearance +True +False"
    assert len(re.findall(changed, shown, re.MULTILINE)) == 2  # `exp diff`, `params diff`
    figure = r"^metrics/attractiveness.json +test.geometric.mae.value "
    assert re.search(figure, shown, re.MULTILINE)
    assert "plots/index.html" in shown

    kept = say("keep")
    assert executed(kept) == set()
    assert "appearance: false" in project.read("params.yaml").decode()
    assert "ensemble: 1\n" in project.git("show", "single:params.yaml").stdout

    hub = str(tmp_path / "hub.git")
    run_documented(project, "docs/experiments.md", "push", {"/srv/facestats.git": hub})
    other = Project.at(tmp_path)
    other.folder.mkdir()
    taken = run_documented(other, "docs/experiments.md", "pull", {"/srv/facestats.git": hub})
    assert "grid-1" in taken
    assert re.search(r"\[shape\].* False ", taken)
    assert re.search(changed, taken, re.MULTILINE)

    say("artifact")
    assert project.read("published.pt") == project.read("models/attractiveness_regressor.pt")
