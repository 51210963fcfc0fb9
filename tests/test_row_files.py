"""The files of rows (face crops): one copy until DVC has it, none afterwards, none damaged."""

import os

import pytest

from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import RowFiles
from facestats.rows.recipes import release_all


@pytest.fixture
def files(tmp_path):
    return RowFiles(
        tmp_path / "store/preprocess" / ("a" * 32), DvcCache(tmp_path, tmp_path / "cache")
    )


def commit(files: RowFiles, md5: str):
    """As DVC does: the object read-only."""
    target = files.cache.object(md5)
    target.parent.mkdir(parents=True)
    target.write_bytes((files.recipe / "files" / md5).read_bytes())
    target.chmod(0o444)
    return target


def test_a_saved_file_is_one_file_under_two_names(files, tmp_path):
    md5 = files.save(b"crop", tmp_path / "out/a.jpg")
    files.save(b"crop", tmp_path / "out/a.jpg")
    assert files.place(md5, tmp_path / "out/b.jpg")
    assert {
        os.stat(path).st_ino
        for path in (files.recipe / "files" / md5, tmp_path / "out/a.jpg", tmp_path / "out/b.jpg")
    } == {os.stat(files.recipe / "files" / md5).st_ino}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.jpg"]


def test_a_file_is_kept_only_until_dvc_has_it_and_found_there_afterwards(files, tmp_path):
    md5 = files.save(b"crop", tmp_path / "out/a.jpg")
    release_all(tmp_path / "store", files.cache)
    assert (files.recipe / "files" / md5).exists()
    kept = commit(files, md5)
    release_all(tmp_path / "store", files.cache)
    assert not (files.recipe / "files" / md5).exists()
    assert files.place(md5, tmp_path / "out/b.jpg")
    assert (tmp_path / "out/b.jpg").read_bytes() == b"crop"
    assert (
        os.stat(tmp_path / "out/b.jpg").st_ino != os.stat(kept).st_ino
    )  # who edits it does not edit the cache


def test_a_damaged_file_is_not_placed(files, tmp_path):
    md5 = files.save(b"crop", tmp_path / "out/a.jpg")
    (tmp_path / "out/a.jpg").write_bytes(b"drawn on")  # in place: the store's file is the same one
    assert files.place(md5, tmp_path / "out/b.jpg") is False
    assert not (tmp_path / "out/b.jpg").exists()


def test_where_links_are_impossible_files_are_copied(files, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    md5 = files.save(b"crop", tmp_path / "out/a.jpg")
    assert files.place(md5, tmp_path / "out/b.jpg")
    assert (tmp_path / "out/a.jpg").read_bytes() == (tmp_path / "out/b.jpg").read_bytes() == b"crop"
