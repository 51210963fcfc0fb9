"""`rows fill --photos`: rows of photos that a list names, by path or by `s3://` address."""

import hashlib
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from facestats.__main__ import main
from facestats.cli import rows_engine
from facestats.cli.rows_fill import fill_rows
from facestats.cli.rows_photos import PhotoSources, read_photos
from facestats.errors import FaultError, InputError
from facestats.rows.shard import Shard
from listed import bare_project, stored_crops, stored_rows
from servers import s3

pytestmark = pytest.mark.long
N = 6
ALL = Shard()


@pytest.fixture(scope="module")
def filled(tmp_path_factory, clip_models) -> Path:
    """A project, with the rows of all its photos in `rows`, as `rows fill` without a list has
    computed them.
    """
    root = bare_project(tmp_path_factory.mktemp("listed"), clip_models["tiny"], N)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACESTATS_ROWS", str(root / "rows"))
        lines = list(fill_rows(root, None, None, Shard()))
    assert [line.partition(" seconds")[0] for line in lines] == [
        f"{stage} shard=0/1 rows={N} reused=0 computed={N} rejected=0"
        for stage in ("preprocess", "embed")
    ]
    return root


@pytest.fixture
def project(filled, tmp_path, monkeypatch) -> Path:
    """A copy of it with an empty store."""
    root = shutil.copytree(filled, tmp_path / "project", ignore=shutil.ignore_patterns("rows"))
    monkeypatch.setenv("FACESTATS_ROWS", str(root / "rows"))
    return root


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_list(root: Path, uris: list[str], hashes: list[str | None] | None = None) -> Path:
    columns = {"uri": uris} | ({"sha256": hashes} if hashes else {})
    pd.DataFrame(columns).to_parquet(root / "list.parquet")
    return root / "list.parquet"


def fill_listed(root: Path, path: Path, shard: Shard = ALL, stage: str | None = None):
    return [
        line.partition(" seconds")[0]
        for line in rows_engine.fill_listed(root, None, stage, shard, path)
    ]


def same_rows(one: Path, other: Path) -> bool:
    return stored_crops(one) == stored_crops(other) and all(
        stored_rows(one, stage).equals(stored_rows(other, stage))
        for stage in ("preprocess", "embed")
    )


def test_rows_of_a_list_are_those_of_the_folder(filled, project):
    photos = sorted((project / "photos").iterdir())
    uris = [
        *map(str, photos[:3]),
        *(f"photos/{path.name}" for path in photos[3:]),
        "photos/000.jpg",
    ]
    path = write_list(project, uris, [*map(sha256, photos[:2]), *[None] * 5])
    rows = 0
    for number in range(2):
        lines = fill_listed(project, path, Shard(number, 2))
        assert len(lines) == 2
        rows += int(lines[0].partition("rows=")[2].split()[0])
    assert rows == N + 1  # one has two names
    assert same_rows(filled / "rows", project / "rows")


def test_a_photo_with_a_hash_and_a_row_is_not_read(project):
    photos = sorted((project / "photos").iterdir())
    path = write_list(project, list(map(str, photos)), list(map(sha256, photos)))
    fill_listed(project, path)
    shutil.rmtree(project / "photos")
    assert fill_listed(project, path) == [
        f"{stage} shard=0/1 rows={N} reused={N} computed=0 rejected=0 failed=0"
        for stage in ("preprocess", "embed")
    ]


def test_photos_that_fail_stop_no_other_one(filled, project):
    photos = sorted((project / "photos").iterdir())
    (project / "photos/none.jpg").write_bytes(b"none")
    uris = [*map(str, photos), str(project / "gone.jpg"), str(project / "photos/none.jpg")]
    path = write_list(project, uris, [*map(sha256, photos[1:]), "0" * 64, None, None])
    with pytest.raises(FaultError, match=r"has no row \(.*\), nor have \d more\. All others"):
        fill_listed(project, path)  # hashes of the next photo, one missing, one that is none
    path = write_list(project, uris)
    with pytest.raises(FaultError, match=r"gone\.jpg has no row .*No such file or directory"):
        fill_listed(project, path)
    rows = stored_rows(project / "rows", "preprocess").to_pandas()
    assert sorted(rows["status"]) == ["ok"] * N + ["rejected"]
    assert stored_rows(project / "rows", "embed").equals(stored_rows(filled / "rows", "embed"))
    with pytest.raises(InputError, match="not one of 2 photos can be read"):
        fill_listed(project, write_list(project, ["one.jpg", "two.jpg"]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.parquet", None, "no such file"),
        ("a.parquet", b"uri", "no readable list of photos"),
        ("a.csv", b"", "no readable list of photos"),
        ("a.csv", b"path\na.jpg\n", "no column uri, but path;"),
        ("a.csv", b"uri\n", "lists no photo"),
        ("a.csv", b"uri,sha256\na.jpg,\n,\n", "a row has no uri"),
        ("a.csv", b"uri,sha256\na.jpg,ABC\n", "a sha256 is not 64 hexadecimal digits"),
        ("a.csv", b"uri\nb.jpg\nhttp://here/a.jpg\n", "http://here/a.jpg is neither a path nor"),
    ],
)
def test_a_list_that_is_none_is_an_error(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_photos(tmp_path / name)


def test_addresses_in_a_list_are_text(tmp_path):
    pd.DataFrame({"uri": [[1], [2]]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="uri and sha256 are not text"):
        read_photos(tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_bytes(b"uri,sha256\n007,\n8,%s\n007,\n" % (b"1" * 64))
    photos = read_photos(tmp_path / "a.csv").to_pylist()
    assert photos == [{"uri": "007", "sha256": None}, {"uri": "8", "sha256": "1" * 64}]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--photos", "a.csv"], "go with `rows fill`"),
        (["fill", "embed", "--photos", "a.csv"], "--photos are to be cut first"),
        (["fill", "--address", "auto"], "--address goes with --engine ray"),
        (["fill", "--engine", "ray", "--shard", "0/2"], "--shard goes without Ray"),
        (["fill", "--photos", "none.csv"], "none.csv: no such file"),
    ],
)
def test_options_that_do_not_fit_are_errors(project, capsys, monkeypatch, words, message):
    monkeypatch.chdir(project)
    assert main(["rows", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.thorough
@pytest.mark.server
def test_photos_in_a_bucket_give_the_same_rows(filled, project, monkeypatch):
    with s3() as address:
        import boto3

        for name, value in (
            ("AWS_ENDPOINT_URL", address),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            monkeypatch.setenv(name, value)
        bucket = boto3.client("s3")
        for path in sorted((project / "photos").iterdir()):
            bucket.upload_file(str(path), "our-bucket", f"in/{path.name}")
        bucket.put_object(Bucket="our-bucket", Key="in/empty.jpg", Body=b"")
        uris = [f"s3://our-bucket/in/{number:03}.jpg" for number in range(N)]
        fill_listed(project, write_list(project, uris))
        assert same_rows(filled / "rows", project / "rows")
        others = ["s3://our-bucket/in/empty.jpg", "s3://our-bucket/in/gone.jpg"]
        with pytest.raises(FaultError, match=r"s3://none/a\.jpg has no row .* nor have 1 more"):
            fill_listed(project, write_list(project, uris + others + ["s3://none/a.jpg"]))
        rows = stored_rows(project / "rows", "preprocess").to_pandas()
        assert sorted(rows["status"]) == ["ok"] * N + ["rejected"]  # the empty one
        with PhotoSources(project, 0.001) as sources:  # one byte tells that it is too large
            copy = sources.path(uris[0])
            assert copy.stat().st_size == 1001
        assert not copy.exists()


def test_a_bucket_without_its_package_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with (
        PhotoSources(tmp_path, 1) as sources,
        pytest.raises(InputError, match=r"pip install 'facestats\[remotes\]'"),
    ):
        sources.path("s3://our-bucket/a.jpg")
