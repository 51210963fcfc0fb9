"""Runs that are killed or interrupted at random moments: the next one goes on, and ends in the same
bytes.

FACESTATS_TEST_SEED sets the seed of the moments; a failing test prints the one that it had.
"""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from clips import picture, random_clip
from facestats.checkpoints.variants import fetch_clip
from processes import PATIENCE, Repro, row_counts, wait_until_none_is_left
from programs import stage_command, start_program
from project import Project
from resources import ROOT, read_yaml, write_yaml
from seeds import SEED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="looks for processes in /proc"),
]

# Stages that are killed, how often, and what is next to them: of the others the files are there, as
# of any stage that is up to date, and no run needs to look at them.
KILLS = {"preprocess": 1, "embed": 1}
KEPT = ("fetch_clip", "fetch_landmarker", "preprocess", "embed")
ALL = SEED in os.environ  # `make soak`
if ALL:
    KILLS = {"preprocess": 4, "embed": 2, "train_attractiveness": 2, "composite": 2}
    KEPT += ("labels", "split", "age_check", "train_attractiveness", "select", "composite")
ROW_STAGES = ("preprocess", "embed")
# Stages that are not behind one that is killed.
NOT_NEEDED = ("composites_manifest", "evaluate", "model_card", "rejected", "report", "serving")
STARTS = 2.0  # seconds of imports before a stage that is not a copy of the warm parent works
SAVE_EVERY = 0.2  # seconds, instead of two: less work has to be done again
SAVED_AFTER = 2.2  # seconds, on a busy machine
SIDE = 96  # pixels of a crop
PHOTOS, COPIES = 70, 2  # of each photo, the same picture in other bytes: work for seconds
DAMAGED_LOCKS = (".dvc/tmp/rwlock", "dvc.lock")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Project, dict[str, float]]:
    """A project after a run that nobody disturbed, and how long its stages took: `finished[0]` is
    left as it is.
    """
    project = Project(tmp_path_factory.mktemp("finished"))
    store = project.folder / "src/facestats/rows/store.py"
    text = store.read_text()
    assert "_SAVE_EVERY = 2.0 " in text
    store.write_text(text.replace("_SAVE_EVERY = 2.0 ", f"_SAVE_EVERY = {SAVE_EVERY} "))
    run_own_code(project)
    project.add_drawn_faces(n=PHOTOS, seed=7)
    for path in sorted((project.folder / "data/raw").glob("face_*.jpg")):
        for copy in range(1, COPIES):
            path.with_stem(f"{path.stem}_{copy}").write_bytes(path.read_bytes() + bytes(copy))
    project.dvc("add", "-q", "data/raw")
    clip = random_clip(
        tmp_path_factory.mktemp("clip"),
        vision={
            "hidden_size": 384,
            "intermediate_size": 1536,
            "num_hidden_layers": 6,
            "num_attention_heads": 6,
            "image_size": 224,
            "patch_size": 32,
            "projection_dim": 48,
        },
    )
    targets = read_yaml(project.read("params.yaml"))["attributes"]["targets"]
    project.set_params(
        {
            "clip.variant": str(clip),
            "clip.batch_size": 8,
            "zeroshot": {},
            "attributes.targets": {"gender": targets["gender"]},
            "mlp.epochs": 100,
            "mlp.patience": 100,
            "composites": {"women": {"filter": {"gender": "female"}, "render": {"align": "warp"}}},
            "continua": {},
            "differences": {},
        }
    )
    stages = read_yaml(project.read("dvc.yaml"))["stages"]
    project.keep_stages(
        *(name for name in stages if (name not in NOT_NEEDED if ALL else name in KEPT))
    )  # every run would pay for them
    project.commit("a small project")
    seconds = dict.fromkeys(KILLS, STARTS)
    script = ""
    for line in project.dvc("repro").stdout.splitlines():
        if line.startswith("> python stages/"):
            script = line.removeprefix("> python stages/").partition(".py")[0]
        elif script in seconds and (took := re.search(r" seconds=([\d.]+)$", line)):
            seconds[script] += float(took[1])
    assert min(seconds.values()) > STARTS
    project.keep_stages(*KEPT)
    project.commit("a run that nobody disturbed")
    return project, seconds


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy in which the stages to kill have never run, neither here nor in the run cache.

    All others are up to date.
    """
    return copy_without(finished, tmp_path, *KILLS)


def copy_without(finished, folder: Path, *scripts: str) -> Project:
    project = run_own_code(finished[0].copy(folder / "copy"))
    forget(project, *scripts)
    project.commit("stages to do")
    return project


def run_own_code(project: Project) -> Project:
    """Have the project's programs import the library from its own folder."""
    project.environment["PYTHONPATH"] = str(project.folder / "src")
    return project


def forget(project: Project, *scripts: str) -> None:
    shutil.rmtree(project.folder / ".dvc/cache/runs", ignore_errors=True)
    for script in scripts:
        shutil.rmtree(project.folder / ".dvc/facestats-rows" / script, ignore_errors=True)
    lock = read_yaml(project.read("dvc.lock"))
    for name, facts in lock["stages"].items():
        if name.partition("@")[0] in scripts:
            for out in facts.pop("outs"):
                path = project.folder / out["path"]
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            del facts["deps"]
    (project.folder / "dvc.lock").write_text(write_yaml(lock))


def stored(project: Project, script: str) -> tuple[set[str], set[str]]:
    """Keys and crops of the rows that are in the store by now."""
    keys, crops = set(), set()
    for path in (project.folder / f".dvc/facestats-rows/{script}").glob("*/[0-9a-f]*.parquet"):
        try:
            rows = pq.read_table(path).to_pydict()
        except FileNotFoundError:  # merged with another one in this moment
            return stored(project, script)
        keys |= set(rows["key"])
        crops |= set(rows.get("crop", ()))
    return keys, crops


def crops(project: Project) -> list[Path]:
    return [
        path
        for path in (project.folder / "data/processed/preproc").rglob("*.jpg")
        if path.is_file()
    ]


def crops_before(project: Project, moment: float) -> set[str]:
    """MD5 of the crops that were written before a moment."""
    return {
        hashlib.md5(path.read_bytes()).hexdigest()
        for path in crops(project)
        if path.stat().st_mtime < moment
    }


def mend(project: Project, output: str) -> bool:
    """Do what `doctor` says if a killed DVC left one of its own files cut off.

    False if that is not what went wrong.
    """
    findings = project.facestats("doctor", "--inputs", check=False).stdout
    named = [name for name in DAMAGED_LOCKS if f"{name} is empty or damaged" in findings]
    assert not named or any(word in output for word in ("JSON structure is corrupted", "dvc.lock"))
    if "dvc.lock" in named:
        project.git("checkout", "dvc.lock")
    if ".dvc/tmp/rwlock" in named:
        (project.folder / ".dvc/tmp/rwlock").unlink()
    return bool(named)


class CheckedRun(Repro):
    """A run that has to reuse the rows that were stored before it (`check_reuse`), and counts them
    in `reused`.
    """

    def __init__(self, project: Project, reused: Counter, undisturbed: bool = False):
        self.before = rows_by_now(project)
        self._reused = reused
        super().__init__(project, undisturbed=undisturbed)

    def wait(self) -> tuple[int, str]:
        code, output = super().wait()
        self._reused.update(check_reuse(self.before, output))
        return code, output


def start(project: Project, script: str, reused: Counter) -> tuple[CheckedRun, int]:
    """A run in the moment when it starts a stage, and the stage's process."""
    for _ in range(10):
        run = CheckedRun(project, reused)
        if stage := run.wait_for(script):
            return run, stage
        code, output = run.wait()
        if not mend(project, output):
            assert code == 0, output
            forget(project, script)  # a kill came too late: the stage is done
    raise AssertionError(f"{script} does not start")


def wait_until_rows_are_saved(project: Project, script: str, run: Repro) -> None:
    while run.running() and not stored(project, script)[0]:
        time.sleep(0.05)
    assert stored(project, script)[0]


def check_reuse(before: dict[str, set[str]], output: str) -> Counter:
    """Stages that ended well have reused the rows that were saved before the run.

    Returns how many those were.
    """
    reused = Counter()
    for script in ROW_STAGES:
        if counts := row_counts(output, script):
            assert counts["rows"] == counts["reused"] + counts["computed"]
            assert counts["reused"] >= len(before[script])
            reused[script] = len(before[script])
    return reused


def finish(project: Project, reused: Counter) -> None:
    """Run to the end."""
    for _ in range(3):
        code, output = CheckedRun(project, reused, undisturbed=True).wait()
        if not code:
            return
        assert mend(project, output), output
    raise AssertionError(output)


def rows_by_now(project: Project) -> dict[str, set[str]]:
    return {script: stored(project, script)[0] for script in ROW_STAGES}


@pytest.mark.soak
def test_kills_at_random_moments_lose_nothing(finished, project, seed):
    """A kill hits if the stage is still to do afterwards.

    Before the first one of a stage that works row by row, rows are saved: the run that ends the
    stage, which may be any later one, has rows to reuse.
    """
    untouched, seconds = finished
    chance = random.Random(seed)
    hits, reused = Counter(), Counter()
    for script, kills in KILLS.items():
        longest = seconds[script]
        while hits[script] < kills:
            run, stage = start(project, script, reused)
            lock = project.read("dvc.lock")
            if script in ROW_STAGES and not run.before[script]:
                wait_until_rows_are_saved(project, script, run)
                time.sleep(chance.uniform(0, 1))
            else:
                time.sleep(chance.uniform(0, 0.8 * longest))
            now, how = run.stage(), chance.choice(["stage", "dvc", "both"])
            run.kill(
                *{
                    "stage": [now[1] if now else run.pid],
                    "dvc": [run.pid],
                    "both": [stage, run.pid],
                }[how]
            )
            old = time.time() - SAVED_AFTER
            print(f"{script}: kill -9 of {how} while {now[0] if now else 'DVC'} ran")
            if script == "preprocess":
                assert crops_before(project, old) <= stored(project, script)[1]
            run.wait()
            if now and now[0] == script and project.read("dvc.lock") == lock:
                hits[script] += 1
            else:
                longest *= 0.7
    finish(project, reused)
    assert hits.total() >= sum(KILLS.values())
    assert all(reused[script] > 0 for script in ROW_STAGES)
    assert project.read("dvc.lock") == untouched.read("dvc.lock")
    wait_until_none_is_left(project)
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."


@pytest.mark.thorough
@pytest.mark.parametrize("moment", [pytest.param("imports", marks=pytest.mark.thorough), "rows"])
def test_an_orphan_of_a_killed_dvc_does_no_harm(finished, project, moment):
    run = Repro(project, "preprocess")
    assert run.wait_for("preprocess")
    if moment == "rows":
        wait_until_rows_are_saved(project, "preprocess", run)
    run.kill(run.pid)
    run.wait()
    before = rows_by_now(project)
    assert bool(before["preprocess"]) == (moment == "rows")
    project.set_params({"preprocess.size": 64})
    code, output = Repro(project, "preprocess", undisturbed=True).wait()
    assert code == 0 or mend(project, output), output
    wait_until_none_is_left(project)
    assert json.loads(project.dvc("status", "--json", "preprocess").stdout) == {}
    assert len(crops(project)) > 0.95 * PHOTOS * COPIES
    assert {Image.open(path).size for path in crops(project)} == {(64, 64)}

    project.set_params({"preprocess.size": SIDE})
    code, output = Repro(project, "preprocess", undisturbed=True).wait()
    assert code == 0, output
    assert check_reuse(before, output).keys() == {"preprocess"}
    locks = [read_yaml(p.read("dvc.lock"))["stages"]["preprocess"] for p in (finished[0], project)]
    assert locks[0] == locks[1]


def test_an_orphan_does_not_write_what_dvc_has_restored(finished, tmp_path):
    """DVC is back before the orphan has done its imports, and has nothing to run."""
    project = run_own_code(finished[0].copy(tmp_path / "copy"))
    project.set_params({"clip.batch_size": 16})
    run = Repro(project, "embed")
    assert run.wait_for("embed")
    run.kill(run.pid)
    run.wait()
    project.set_params({"clip.batch_size": 8})
    assert project.repro("embed") == set()
    wait_until_none_is_left(project)
    assert json.loads(project.dvc("status", "--json", "embed").stdout) == {}


@pytest.mark.thorough
def test_ctrl_c_stops_runs_that_the_next_one_resumes(finished, tmp_path):
    project, reused = copy_without(finished, tmp_path, *ROW_STAGES), Counter()
    for script in ROW_STAGES:
        run, _ = start(project, script, reused)
        wait_until_rows_are_saved(project, script, run)
        run.interrupt()
        code, output = run.wait()
        assert code != 0
        assert row_counts(output, script) is None  # it did not just run to its end
        assert "Traceback" not in output
        wait_until_none_is_left(project)
        assert stored(project, script)[0]
    finish(project, reused)
    assert all(reused[script] > 0 for script in ROW_STAGES)
    assert project.read("dvc.lock") == finished[0].read("dvc.lock")


@pytest.mark.thorough
def test_ctrl_c_does_not_wait_for_a_batch_that_takes_long(tmp_path):
    """A batch of 512 images through 64 layers: half a minute of work that a thread can not be told
    to stop.
    """
    clip = random_clip(
        tmp_path / "source",
        vision={
            "hidden_size": 256,
            "intermediate_size": 1024,
            "num_hidden_layers": 64,
            "num_attention_heads": 4,
            "image_size": 224,
            "patch_size": 32,
            "projection_dim": 48,
        },
    )
    fetch_clip(str(clip), None, tmp_path / "clip")
    (tmp_path / "faces").mkdir()
    picture((96, 96)).save(tmp_path / "faces/one.jpg")
    (tmp_path / "params.yaml").write_text(
        (ROOT / "params.yaml").read_text().replace("batch_size: 32 ", "batch_size: 512 ")
    )
    paths = {"crops": "faces", "clip": "clip", "embeddings": "embeddings.parquet"}
    paths |= {"half": "e.f16.npy", "rest": "e.rest.npy"}
    command = [sys.executable, *stage_command("embed", **paths)[1:]]
    run = start_program(
        command,
        tmp_path,
        os.environ | {"FACESTATS_ROWS": str(tmp_path / "rows")},
        hears_ctrl_c=True,
    )
    deadline = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("rows/embed/*.lock")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(2)  # now it computes
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=10) == 130
