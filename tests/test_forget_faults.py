"""`forget` takes no failing disk for a missing trace, and no unread journal for a damaged one."""

import errno
import os
import subprocess
from types import SimpleNamespace

import pytest

from facestats.checkpoints import settings
from facestats.cli import forget_cache, forget_contents, forget_targets, forget_traces
from facestats.cli import forget_journal as journal
from facestats.errors import FaceStatsError, FaultError
from facestats.machine import faults
from facestats.rows.dvc_cache import DvcCache

FAULTS = [errno.EIO, errno.EMFILE]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(faults, "PAUSES", (0,))


def failing(number: int):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [*FAULTS, errno.EACCES])
def test_a_journal_that_cannot_be_read_is_not_damaged(tmp_path, monkeypatch, number):
    """The message for a damaged one says to remove it."""
    monkeypatch.setattr(journal, "read_regular", failing(number))
    with pytest.raises(FaultError, match="no fault of the file"):
        journal.Journal(tmp_path).read()


@pytest.mark.parametrize("number", [*FAULTS, errno.EACCES])
def test_a_table_of_the_last_run_that_cannot_be_read_is_not_empty(tmp_path, monkeypatch, number):
    """The hashes in it say which rows are the person's."""
    place = SimpleNamespace(root=tmp_path, cache=None)
    assert forget_targets._last_run(place).empty
    monkeypatch.setattr(forget_targets.pd, "read_parquet", failing(number))
    with pytest.raises(FaultError, match=r"faces\.parquet can't be read"):
        forget_targets._last_run(place)


def test_a_listing_that_cannot_be_read_is_not_without_pictures(tmp_path, monkeypatch):
    cache = DvcCache(tmp_path, tmp_path)
    listing = cache.object("0" * 32 + ".dir")
    listing.parent.mkdir(parents=True)
    listing.write_text("damaged")
    assert forget_cache.listed_names(cache) == set()
    monkeypatch.setattr(type(listing), "read_bytes", failing(errno.EIO))
    with pytest.raises(FaultError, match=r"\.dir can't be read"):
        forget_cache.listed_names(cache)


def test_without_the_new_table_nothing_is_known_to_be_gone(tmp_path):
    with pytest.raises(FaceStatsError, match="the table of faces that `dvc repro` wrote is not"):
        forget_cache._current(DvcCache(tmp_path, tmp_path))


@pytest.mark.parametrize("number", FAULTS)
def test_a_file_that_cannot_be_read_is_not_without_traces(tmp_path, monkeypatch, number):
    path = tmp_path / "notes.csv"
    path.write_text("anna")
    search = forget_traces.Search([], set(), set(), {}, None)
    monkeypatch.setattr(type(path), "stat", failing(number))
    with pytest.raises(FaultError, match=r"notes\.csv can't be read"):
        forget_traces.same_bytes([path], search)
    monkeypatch.setattr(forget_contents.os, "open", failing(number))
    with pytest.raises(FaultError, match=r"notes\.csv can't be read"):
        forget_contents.files_that_name([path], forget_contents.Names(search.finder([], [])))


def test_a_file_of_somebody_else_is_named_and_one_that_is_gone_is_not(
    tmp_path, monkeypatch, capsys
):
    search = forget_traces.Search([], set(), set(), {}, None)
    assert forget_traces.same_bytes([tmp_path / "gone.jpg"], search) == {}
    assert capsys.readouterr().out == ""
    (tmp_path / "a.jpg").write_bytes(b"photo")
    monkeypatch.setattr(forget_traces, "sha256_of", failing(errno.EACCES))
    assert forget_traces.same_bytes([tmp_path / "a.jpg"], search) == {}
    assert "a.jpg can't be read (Permission denied) and was not" in capsys.readouterr().out


def test_a_history_that_takes_too_long_is_not_without_traces(tmp_path, monkeypatch):
    def endless(command, **_):
        raise subprocess.TimeoutExpired(command, 600)

    monkeypatch.setattr(forget_traces.subprocess, "run", endless)
    with pytest.raises(FaceStatsError, match="`git rev-list` did not end, so that git's history"):
        forget_traces._git(tmp_path, "rev-list", "--all")


def test_settings_that_cannot_be_read_are_not_without_programs(tmp_path, monkeypatch):
    """Read a second later, they named one that nobody had checked."""
    settings.check_folder(tmp_path)  # its reader names what is missing
    monkeypatch.setattr(type(tmp_path), "read_text", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        settings.check_folder(tmp_path)
