"""`forget` removes nothing of other projects, and ends on whatever lies among the tables."""

import io
import time
import zipfile

import pytest

from facestats.cli.forget_cache import check
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
