"""An export's folder is whole or not at all, and nothing of others is removed with it."""

import os
import shutil

import pytest

from facestats.errors import InputError
from facestats.export.folder import RECORD, remove_half_written, whole


def test_an_export_is_whole_or_not_there(tmp_path):
    with whole(tmp_path / "out") as folder:
        (folder / "a").write_text("1")

    def interrupted():
        with whole(tmp_path / "out") as folder:
            (folder / "a").write_text("2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "out/a").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_killed_exports_left_is_removed(tmp_path):
    """Of a killed process alone, of this folder alone, and never through a link."""
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    with whole(folder) as place:
        (place / "a").write_text("1")
        own = place.name.rpartition(".")[0]
    dead = 999_999_999
    kept = {"out", "elsewhere", "link", f"{own}.{os.getpid()}", f"{own}.{dead}.txt", f".x.{dead}"}
    kept |= {f"{own}.{dead - 1}", f"{own}.{dead - 2}.old"}
    for name in (*sorted(kept - {"link", f"{own}.{dead - 1}"}), f"{own}.{dead}"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / f"{own}.{dead - 1}").symlink_to(elsewhere)
    remove_half_written(folder)
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert (elsewhere / "mine.txt").exists()


@pytest.mark.parametrize("there", [True, False])
def test_an_earlier_export_that_a_killed_one_moved_returns(tmp_path, there):
    folder = tmp_path / "out"
    with whole(folder) as place:
        (place / "a").write_text("1")
        own = place.name.rpartition(".")[0]
    shutil.copytree(folder, tmp_path / f"{own}.999999999.old")
    if not there:
        shutil.rmtree(folder)
    remove_half_written(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (folder / "a").read_text() == "1"


def test_what_came_while_an_export_ran_is_not_replaced(tmp_path):
    folder = tmp_path / "export"
    with whole(folder) as place:
        (place / "faces.csv").write_text("1")
    with pytest.raises(InputError, match=r"mine\.txt came while the"), whole(folder, True):
        (folder / "mine.txt").write_text("mine")
    assert sorted(path.name for path in folder.iterdir()) == [
        "export.json",
        "faces.csv",
        "mine.txt",
    ]
    assert list(tmp_path.iterdir()) == [folder]


def test_an_earlier_export_half_removed_by_a_killed_one_is_removed(tmp_path, monkeypatch):
    """Its record goes last: without that, its tables were taken for somebody's own."""
    folder = tmp_path / "out"
    with whole(folder) as place:
        for name in ("a", "z"):
            (place / name).write_text("1")
        own = place.name.rpartition(".")[0]
    old = tmp_path / f"{own}.999999999.old"
    shutil.copytree(folder, old)
    with monkeypatch.context() as killed:
        killed.setattr(shutil, "rmtree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            remove_half_written(folder)
    assert [path.name for path in old.iterdir()] == [RECORD]
    remove_half_written(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nor_is_a_folder_that_the_kill_had_emptied(tmp_path):
    folder = tmp_path / "out"
    with whole(folder) as place:
        for name in ("img/a.png", "a"):
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_text("1")
        own = place.name.rpartition(".")[0]
    old = tmp_path / f"{own}.999999999.old"
    shutil.copytree(folder, old)
    (old / "img/a.png").unlink()
    (old / "mine").mkdir()
    remove_half_written(folder)
    assert (old / "a").exists()  # somebody made a folder there
    (old / "mine").rmdir()
    remove_half_written(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def interrupt(*_, **__):
    raise KeyboardInterrupt
