"""`forget` where the photos are not, for they were kept back: it does all of it, or nothing."""

import shutil

import pandas as pd
import pytest

from facestats.__main__ import main
from facestats.cli import forget_cache
from facestats.core.layout import FACES_TABLE
from test_forget_kills import ANNA, OTHERS, everything, made, run_dvc, traces

__all__ = ["made"]


def write_faces(root, images):
    table = pd.DataFrame({"image": images, "filename": images, "sha256": None})
    (root / FACES_TABLE).parent.mkdir(parents=True, exist_ok=True)
    table.assign(duplicate_of=None, near_duplicate_of=None).to_parquet(root / FACES_TABLE)


@pytest.fixture
def clone(made, tmp_path, monkeypatch):
    """A project whose last run knew all photos; its folder of photos is missing.

    Also the calls of DVC.
    """
    root, asked = tmp_path / "clone", []
    shutil.copytree(made, root)
    run_dvc(root, "repro")
    write_faces(root, [*ANNA, *OTHERS])
    shutil.move(root / "data/raw", tmp_path / "raw")

    def dvc(root, *arguments):
        asked.append(arguments)
        return run_dvc(root, *arguments) if arguments[0] == "gc" else 0

    monkeypatch.setattr(forget_cache, "_dvc", dvc)
    return root, asked


@pytest.mark.parametrize("options", [[], ["--cache"], ["--dry-run"]])
def test_outs_that_nothing_here_can_make_anew_are_no_reason_to_begin(clone, capsys, options):
    clone, _ = clone
    before = everything(clone)
    assert main(["forget", *ANNA, "--allow-missing", *options, "--root", str(clone)]) == 2
    error = capsys.readouterr().err
    assert "anna/deep/two.jpg is in the outs, which can be made without it only where" in error
    assert "`dvc pull --allow-missing`" in error
    assert everything(clone) == before


def test_after_it_was_done_where_the_photos_are_it_is_done_here(clone, tmp_path):
    clone, asked = clone
    for name in ANNA:
        (tmp_path / "raw" / name).unlink()
    shutil.copytree(tmp_path / "raw", clone / "data/raw")
    run_dvc(clone, "repro")  # as `git pull` and `dvc pull` bring it
    write_faces(clone, OTHERS)
    shutil.rmtree(clone / "data/raw")
    words = ["forget", "--person", "anna", "--allow-missing", "--cache", "--root", str(clone)]
    assert main(words) == 0
    assert asked[0] == ("repro", "--allow-missing")
    assert traces(clone) == []
