"""docs/experiments.md, walked through from top to bottom."""

import re
import time

import pytest

from documented import run_documented
from project import Project, executed

pytestmark = pytest.mark.slow

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

    reached = {"train_attractiveness", "crossvalidate", "score", "traits", "evaluate"}
    assert executed(say("one")) == reached
    say("back")
    assert "hidden: 256" not in project.read("params.yaml").decode()
    assert "up to date" in project.dvc("status").stdout
    say("grid")
    queue = wait_for_the_queue(say)
    assert queue.count("Success") == 2, queue
    assert executed(say("logs")) == reached

    shown = say("compare")
    compared, *tables = shown.split("\nPath ")[0].split(" Experiment ")
    assert re.search(r"^wide \(\w{7}\), compared with main \(\w{7}\)$", compared, re.MULTILINE)
    assert "drawn in compare.pdf" in compared
    assert re.search(r"^best.val_loss chooses (main|grid-1|grid-2): ", compared, re.MULTILINE)
    tables = [part for part in tables if "wide" in part]
    assert len(tables) == 2
    for table in tables:
        assert "…" not in table  # nothing is cut off at 80 columns
        assert {"grid-1", "grid-2", "wide"} <= set(re.findall(r"\[([\w-]+)\]", table))
        assert re.search(r"\[wide\].* 256 ", table)
    headlines = re.search(r"^Path .*\nmetrics/summary.json .*", shown, re.MULTILINE)[0]
    assert max(map(len, headlines.splitlines())) < 210
    assert (
        len(re.findall(r"^params.yaml +mlp.hidden +\[256, 64\] +256", shown, re.MULTILINE)) == 2
    )  # `exp diff`, `params diff`
    assert re.search(r"^metrics/attractiveness.json +test.mlp.mae.value ", shown, re.MULTILINE)
    assert "plots/index.html" in shown

    kept = say("keep")
    assert executed(kept) == set()
    assert "hidden: 256" in project.read("params.yaml").decode()
    assert "hidden: 64" in project.git("show", "narrow:params.yaml").stdout

    hub = str(tmp_path / "hub.git")
    run_documented(project, "docs/experiments.md", "push", {"/srv/facestats.git": hub})
    other = Project.at(tmp_path)
    other.folder.mkdir()
    taken = run_documented(other, "docs/experiments.md", "pull", {"/srv/facestats.git": hub})
    assert "grid-1" in taken
    assert re.search(r"\[wide\].* 256 ", taken)
    assert re.search(r"^params.yaml +mlp.hidden +\[256, 64\] +256", taken, re.MULTILINE)

    say("artifact")
    assert project.read("published.pt") == project.read("models/attractiveness_regressor.pt")
