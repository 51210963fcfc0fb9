"""What `run_stage` does at the beginning and the end of a stage's process."""

import sys
from pathlib import Path

import pytest

from programs import run_program
from resources import ROOT

SCRIPT = """
from facestats.run.stage import run_stage

import atexit
import gc
import multiprocessing
import sys
import tempfile
import threading
import time
from pathlib import Path

DURING_IMPORTS = gc.isenabled()


def late(text: str) -> None:
    time.sleep(0.5)
    Path("thread.txt").write_text(text)


def main(params, in_worker: int) -> str:
    folder = tempfile.TemporaryDirectory(dir=".")
    atexit.register(lambda: Path("atexit.txt").write_text(str(Path(folder.name).is_dir())))
    threading.Thread(target=late, args=["done"]).start()
    sys.stdout.write(f"collects: {DURING_IMPORTS} {gc.isenabled()}")
    if in_worker:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print("", pool.apply(gc.isenabled), end="")
    print()
    return "all done"


if __name__ == "__main__":
    run_stage(main)
"""


@pytest.mark.long
@pytest.mark.parametrize(("in_worker", "collects"), [("0", "False True"), ("1", "False True True")])
def test_a_stage_ends_with_all_that_it_has_to_do(tmp_path: Path, in_worker, collects):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "stage.py").write_text(SCRIPT, encoding="utf-8")
    done = run_program([sys.executable, "stage.py", "--in-worker", in_worker], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, last = done.stdout.splitlines()  # a file's buffer is written out
    assert first == f"collects: {collects}"
    assert last.startswith("all done seconds=")
    assert (tmp_path / "thread.txt").read_text() == "done"
    assert (tmp_path / "atexit.txt").read_text() == "True"
    assert not any(path.is_dir() for path in tmp_path.iterdir() if path.name != "__pycache__"), (
        "a temporary folder is left"
    )


@pytest.mark.long
def test_what_people_import_leaves_the_garbage_collection_alone():
    script = (
        "import gc, facestats, facestats.serving.composites, facestats.cli.doctor; "
        "print(gc.isenabled())"
    )
    assert run_program([sys.executable, "-c", script]).stdout == "True\n"
