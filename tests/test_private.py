"""Folders where somebody else than the user could write, or put another in their place."""

import os

import pytest

from facestats.machine.writable_by_others import find_exposed


@pytest.fixture
def top(tmp_path, monkeypatch):
    """A folder that everybody may enter: what lies in pytest's own is out of their reach."""
    private = (tmp_path, *tmp_path.parents)
    lstat = os.lstat

    def as_if_open(path):
        facts = lstat(path)
        return os.stat_result((0o40755, *facts[1:])) if path in private else facts

    monkeypatch.setattr("facestats.machine.writable_by_others.os.lstat", as_if_open)
    return tmp_path


def test_a_folder_of_ones_own_is_private(top):
    folder = top / "a/b"
    folder.mkdir(parents=True, mode=0o755)
    (top / "a").chmod(0o755)
    assert find_exposed(folder) is None


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o757])
def test_one_that_others_may_write_to_is_not(top, mode):
    (top / "a").mkdir()
    (top / "a").chmod(mode)
    assert find_exposed(top / "a") == top / "a"


def test_others_may_replace_a_folder_where_they_may_write_and_nothing_is_sticky(top):
    folder = top / "a/b"
    folder.mkdir(parents=True)
    (top / "a").chmod(0o777)
    assert find_exposed(folder) == top / "a"
    (top / "a").chmod(0o1777)
    assert find_exposed(folder) is None


def test_what_is_not_there_yet_is_open_but_below_a_closed_folder(top):
    assert find_exposed(top / "a/b") == top / "a"
    (top / "a").mkdir(mode=0o700)
    assert find_exposed(top / "a/b") is None


def test_another_users_folder_and_link_are_not_private(top, monkeypatch):
    (top / "a").mkdir(mode=0o755)
    (top / "real").mkdir(mode=0o777)
    (top / "real").chmod(0o777)
    (top / "link").symlink_to("real")
    assert find_exposed(top / "link") == top / "real"
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    if os.getuid() == 0:
        os.lchown(top / "a", 4712, -1)
        os.lchown(top / "link", 4712, -1)
        (top / "real").chmod(0o755)
        assert find_exposed(top / "a") == top / "a"
        assert find_exposed(top / "link") == top / "link"


def test_a_group_that_has_other_members_is_not_the_users_own(top, monkeypatch):
    (top / "a").mkdir()
    (top / "a").chmod(0o775)
    monkeypatch.setattr("facestats.machine.writable_by_others._is_own_group", lambda group: True)
    assert find_exposed(top / "a") is None
    monkeypatch.setattr("facestats.machine.writable_by_others._is_own_group", lambda group: False)
    assert find_exposed(top / "a") == top / "a"
