"""`forget` removes nothing of other projects, and ends on whatever lies among the tables."""

import io
import time
import zipfile

import pytest
import yaml

from facestats.cli.forget_cache import check, not_looked_at, require_filled
from facestats.cli.forget_traces import readable
from facestats.errors import InputError
from facestats.rows.dvc_cache import find_dvc_cache


def project(folder, config=""):
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").write_text(config)
    return folder


def test_a_cache_of_ones_own_is_emptied(tmp_path):
    root = project(tmp_path / "mine")
    (root / ".dvc/cache").mkdir()
    check(root, find_dvc_cache(root), None)


@pytest.mark.parametrize("link", [".dvc", ".dvc/cache"])
def test_a_cache_behind_a_link_is_not_emptied(tmp_path, link):
    root = project(tmp_path / "mine")
    (tmp_path / "shared/cache").mkdir(parents=True)
    if link == ".dvc":
        (root / ".dvc/config").rename(tmp_path / "shared/config")
        (root / ".dvc").rmdir()
        (root / ".dvc").symlink_to(tmp_path / "shared")
    else:
        (root / ".dvc/cache").symlink_to(tmp_path / "shared/cache")
    with pytest.raises(InputError, match="lies outside of this project"):
        check(root, find_dvc_cache(root), None)


def test_a_cache_at_a_remote_is_refused(tmp_path):
    root = project(
        tmp_path / "mine", f"[cache]\nlocal = team\n['remote \"team\"']\nurl = {tmp_path}/shared\n"
    )
    with pytest.raises(InputError, match=r"cache\.local in \.dvc/config puts DVC's cache at a"):
        find_dvc_cache(root)


def workbook(parts, data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(parts):
            archive.writestr(f"xl/worksheets/sheet{number}.xml", data)
    return file.getvalue()


def test_a_workbook_made_to_hang_is_read_at_once():
    start = time.process_time()
    assert readable(workbook(1, b"<" * 1_000_000 + b"<c>anna</c>")).endswith(b"\nanna\n")
    assert time.process_time() - start < 5  # it took hours


@pytest.mark.long
def test_a_workbook_that_unpacks_to_gigabytes_is_read_in_part():
    assert len(readable(workbook(8, b" " * (30 << 20)))) < 130 << 20


@pytest.mark.parametrize("out", ["a.parquet", "{md5: 1}", "{path: [a.parquet]}", "null", "[[]]"])
def test_an_out_of_dvc_lock_that_is_none_is_passed_over(tmp_path, out):
    root = project(tmp_path / "mine")
    (root / "dvc.lock").write_text(
        f"stages:\n  embed:\n    outs:\n    - {out}\n    - path: own.parquet\n"
    )
    cache = find_dvc_cache(root)
    assert list(cache.copies("embed")) == [root / "own.parquet"]
    assert cache.committed(root / "own.parquet") is None


def test_a_remote_that_has_nothing_of_the_last_run_is_not_taken_for_looked_at(tmp_path):
    """As a disk that is not mounted."""
    disk, md5 = tmp_path / "disk", "0" * 32
    remote = f"['remote \"storage\"']\nurl = {disk}\n['remote \"other\"']\nurl = {tmp_path}/other\n"
    root = project(tmp_path / "mine", f"[core]\nno_scm = true\n{remote}")
    (root / ".dvc/cache").mkdir()
    outs = {"path": "a.csv", "hash": "md5", "md5": md5, "size": 1}
    (root / "dvc.lock").write_text(
        yaml.safe_dump({"schema": "2.0", "stages": {"s": {"cmd": "x", "outs": [outs]}}})
    )
    cache = find_dvc_cache(root)
    for there in (False, True):  # no folder, and an empty one
        if there:
            disk.mkdir()
        with pytest.raises(InputError, match="it has nothing of what DVC's cache holds"):
            require_filled(root, cache, "storage")
    (disk / "files/md5" / md5[:2]).mkdir(parents=True)
    (disk / "files/md5" / md5[:2] / md5[2:]).write_bytes(b"x")
    require_filled(root, cache, "storage")
    earlier = root / ".dvc/cache/files/md5/11" / ("1" * 30)  # of an earlier version
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    (disk / "files/md5" / md5[:2]).rename(disk / "files/md5/11")
    (disk / "files/md5/11" / md5[2:]).rename(disk / "files/md5/11" / ("1" * 30))
    require_filled(root, cache, "storage")
    for i in range(2001):  # the one that was pushed is not among the first of a large cache
        (root / ".dvc/cache/files/md5/10").mkdir(exist_ok=True)
        (root / f".dvc/cache/files/md5/10/{i:030}").touch()
    require_filled(root, cache, "storage")
    (line,) = not_looked_at(root, "storage")
    assert "`dvc gc --workspace --force --cloud --remote other` removes" in line
