"""The row store in an S3-compatible bucket, also one that is slow, broken, full, or gone."""

import asyncio
import re
import shutil
import time
from functools import partial

import pyarrow as pa
import pytest

from facestats.__main__ import main
from facestats.errors import FaultError
from facestats.rows import bucket as buckets
from facestats.rows import merging, store
from facestats.rows.address import parse_address
from facestats.rows.bucket import BucketError
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import RowFiles
from facestats.rows.place import open_below
from facestats.rows.recipes import read_rows, recipes
from facestats.rows.removal import forget_rows
from facestats.rows.rewriting import rewrite, unique_rows
from facestats.rows.segments import list_segments
from facestats.rows.store import RowStore
from facestats.rows.usage import measure, prune
from facestats.sample import write_sample
from faulty_s3 import through_faults
from resources import landmarker_dir, write_params
from servers import s3

pytestmark = pytest.mark.server

COLUMNS = {"key": pa.string(), "sha256": pa.string(), "crop": pa.string()}
PLACES = iter(range(1000))


@pytest.fixture(scope="module")
def server():
    with s3() as address, through_faults(address) as faults:
        yield faults


@pytest.fixture
def faults(server, monkeypatch):
    """The proxy before a bucket, as this process reaches it."""
    for name, value in {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ACCESS_KEY_ID": "a key",
        "AWS_SECRET_ACCESS_KEY": "a secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "2",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(buckets, "_ANSWER", 0.5)
    monkeypatch.setattr(asyncio, "sleep", partial(_a_tenth, asyncio.sleep))
    monkeypatch.setattr(store, "_SAVE_EVERY", 0)
    buckets._client_of.cache_clear()
    server.fault = lambda method, key: None
    server.requests.clear()
    yield server
    server.fault = lambda method, key: None
    buckets._client_of.cache_clear()


async def _a_tenth(sleep, seconds, result=None):
    """Between a request that failed and the next, botocore and s3fs wait a second."""
    return await sleep(seconds / 10, result)


@pytest.fixture
def place(faults, monkeypatch):
    """A prefix that nothing lies below, where FACESTATS_ROWS is."""
    place = parse_address(f"s3://our-bucket/rows/{next(PLACES)}")
    monkeypatch.setenv("FACESTATS_ROWS", str(place))
    return place


def opened(place, warnings=None, **options):
    warn = print if warnings is None else warnings.append
    return RowStore(place, "preprocess", "a" * 64, COLUMNS, warn=warn, **options)


def row(key: str) -> dict:
    return {"key": key, "sha256": f"photo of {key}", "crop": None}


def put(place, *keys, **options):
    """Add rows; returns what the run has warned of."""
    warnings = []
    with opened(place, warnings, **options) as rows:
        for key in keys:
            rows.add(row(key))
    return warnings


def stored(place) -> list[str]:
    rows = read_rows(place, "preprocess", "a" * 64, COLUMNS).to_pylist()
    assert all(one == row(one["key"]) for one in rows)
    return sorted(one["key"] for one in rows)


def objects(place) -> list[str]:
    """All keys below a place, as the server has them."""
    below = buckets._client().listing
    found = []
    for name, size in below(place):
        found += [name] if size is not None else [f"{name}/{key}" for key in objects(place / name)]
    return sorted(found)


def the_folder(place):
    return open_below(place, "preprocess", "a" * 32)


# --- a bucket that is well ------------------------------------------------------------------------


@pytest.mark.long
def test_rows_are_found_merged_and_removed_and_nothing_else_is_left(place, monkeypatch, tmp_path):
    monkeypatch.setattr(merging, "_MANY", 2)
    for number in range(5):
        assert put(place, str(number), where="cpu") == []
    with opened(place) as rows:
        found = rows.lookup([str(number) for number in range(9)])
    assert sorted(found["key"].to_pylist()) == sorted(map(str, range(5)))
    assert len([name for name in objects(place) if name.endswith(".parquet")]) <= 3
    assert len({name.rpartition(".")[0] for name in objects(place)}) * 2 == len(objects(place))
    assert [str(recipe) for recipe in recipes(place)] == [f"{place}/preprocess/{'a' * 32}"]
    assert measure(place, None)["preprocess"].rows == 5
    assert forget_rows(place, None, ["photo of 3"], []) == ({"preprocess": 1}, {})
    assert stored(place) == sorted(str(number) for number in range(5) if number != 3)
    (tmp_path / "dvc.lock").write_text("stages: {preprocess: {outs: [{path: x, md5: abcdef}]}}")
    assert prune(place, DvcCache(tmp_path, tmp_path / "cache")) == {}
    assert objects(place) == []


@pytest.mark.long
def test_two_prefixes_do_not_touch(place, tmp_path):
    put(place, "a")
    put(place / "below", "b")
    (tmp_path / "dvc.lock").write_text("stages: {preprocess: {outs: [{path: x, md5: abcdef}]}}")
    prune(place, DvcCache(tmp_path, tmp_path / "cache"))
    assert (stored(place), stored(place / "below")) == ([], ["b"])


@pytest.mark.long
def test_files_of_rows_are_kept_placed_and_removed(place, tmp_path):
    cache = DvcCache(tmp_path, tmp_path / "cache")
    with opened(place, cache=cache) as rows:
        md5 = rows.files.save(b"crop", tmp_path / "out/a.jpg")
        rows.add(row("a") | {"crop": md5})
    cache.object(md5).parent.mkdir(parents=True)
    shutil.copyfile(tmp_path / "out/a.jpg", cache.object(md5))
    with opened(place, cache=cache):
        pass
    files = RowFiles(place / "preprocess" / ("a" * 32))  # of somebody with another cache
    assert files.place(md5, tmp_path / "out/b.jpg")
    assert (tmp_path / "out/b.jpg").read_bytes() == files.read(md5) == b"crop"
    assert not files.place("0" * 32, tmp_path / "out/c.jpg")
    assert forget_rows(place, None, ["photo of a"], []) == ({"preprocess": 1}, {})
    assert objects(place) == []


@pytest.mark.long
def test_objects_of_others_are_no_rows(place):
    put(place, "a")
    with the_folder(place) as folder:
        folder.write(f"{'0' * 64}.parquet", b"")
        folder.write(f"{'1' * 64}.parquet", b"PAR1")
        folder.write("notes.parquet", b"mine")
        folder.write(f".{'0' * 32}.{'0' * 16}.1", b"")  # another machine's
    warnings = []
    with opened(place, warnings) as rows:
        assert rows.lookup(["a"])["key"].to_pylist() == ["a"]
    assert len([text for text in warnings if "is left out" in text]) == 3
    assert stored(place) == ["a"]


@pytest.mark.long
def test_a_merge_does_not_bring_back_what_is_removed_meanwhile(place):
    put(place, "a")
    put(place, "b")

    def change(rows):
        assert forget_rows(place, None, ["photo of a"], [])[0] == {"preprocess": 1}
        return rows

    with the_folder(place) as folder:
        with pytest.raises(FaultError, match="others remove rows meanwhile"):
            rewrite(folder, list_segments(folder), change, tries=1)
        assert stored(place) == ["b"]
        assert len(objects(place)) == 2


@pytest.mark.long
def test_a_merge_whose_mark_is_removed_while_it_writes_takes_its_rows_back(place, faults):
    """The other one has looked for new segments before this one is there."""
    put(place, "a")
    put(place, "b")
    with the_folder(place) as folder:
        before = list_segments(folder)

        def remove_marks(method, key):
            if method == "PUT" and key.endswith(".parquet"):
                faults.fault = lambda method, key: None
                folder.remove_temporary(everyones=True)

        faults.fault = remove_marks
        with pytest.raises(FaultError, match="others remove rows meanwhile"):
            rewrite(folder, before, unique_rows, tries=1)
        assert list_segments(folder) == before


@pytest.mark.long
@pytest.mark.parametrize("what", ["PUT", "HEAD"])
def test_a_merge_that_does_not_know_whether_it_wrote_takes_its_rows_back(place, faults, what):
    put(place, "a")
    put(place, "b")
    with the_folder(place) as folder:
        before = list_segments(folder)
        written = []

        def lose(method, key):
            if key.endswith(".parquet") and method == "PUT":
                written.append(key)
            return "unanswered" if written and method == what else None

        faults.fault = lose
        with pytest.raises(FaultError):
            rewrite(folder, before, unique_rows, tries=1)
        assert written
        faults.fault = lambda method, key: None
        buckets._client().try_again()
        assert list_segments(folder) == before


@pytest.mark.long
def test_what_could_not_be_taken_back_is_named(place, faults):
    put(place, "a")
    put(place, "b")
    with the_folder(place) as folder:
        written = []

        def lose(method, key):
            written.extend([key] * (method == "PUT" and key.endswith(".parquet")))
            return "unanswered" if written else None

        faults.fault = lose
        with pytest.raises(FaultError, match=r"may hold rows that `facestats forget` has removed"):
            rewrite(folder, list_segments(folder), unique_rows, tries=1)


@pytest.mark.long
def test_a_listing_of_rows_asks_once_for_each_segment(place, faults):
    for key in "abc":
        put(place, key)
    faults.requests.clear()
    with opened(place) as rows:
        rows.lookup(["none"])
        assert len([key for method, key in faults.requests if method in ("GET", "HEAD")]) <= 8


# --- a bucket that fails --------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.first_cases(2)
@pytest.mark.parametrize("what", ["busy", "broken", "cut", "unanswered", "slow"])
def test_a_put_that_fails_once_is_repeated(place, faults, what):
    faults.fail("PUT", what, times=1)
    assert put(place, "a") == []
    assert stored(place) == ["a"]


@pytest.mark.long
@pytest.mark.first_cases(1)
@pytest.mark.parametrize("what", ["busy", "broken", "cut", "denied"])
def test_a_bucket_that_cant_be_written_is_read_and_the_run_goes_on(place, faults, what):
    put(place, "a")
    before = objects(place)
    faults.fail("PUT", what)
    warnings = []
    with opened(place, warnings) as rows:
        assert not rows.keeps
        assert rows.lookup(["a", "b"])["key"].to_pylist() == ["a"]
        rows.add(row("b"))
    assert len(warnings) == 1
    assert f"the row store {place}/preprocess/{'a' * 32} can't be written (" in warnings[0]
    faults.fault = lambda method, key: None
    buckets._client_of.cache_clear()
    assert objects(place) == before


@pytest.mark.long
@pytest.mark.first_cases(1)
@pytest.mark.parametrize("what", ["busy", "cut", "slow"])
def test_puts_that_begin_to_fail_cost_one_warning_and_no_row_that_is_there(place, faults, what):
    warnings = []
    began = time.monotonic()
    with opened(place, warnings) as rows:
        rows.add(row("a"))
        faults.fail("PUT", what)
        for number in range(50):
            rows.add(row(str(number)))
    assert len(warnings) == 1
    assert "no row is saved, so that a killed run starts anew" in warnings[0]
    assert time.monotonic() - began < 60
    faults.fault = lambda method, key: None
    buckets._client_of.cache_clear()
    assert stored(place) in (["a"], ["0", "a"])  # also where only the answer was late


@pytest.mark.long
def test_a_bucket_that_goes_away_while_it_is_read_costs_one_warning(place, faults):
    for key in "abcdef":
        put(place, key)
    faults.fault = lambda method, key: "cut" if method != "PUT" and key else None
    warnings = []
    with opened(place, warnings) as rows:
        assert len(rows.lookup(list("abcdef"))) == 0
        rows.add(row("g"))
    assert len(warnings) <= 2
    assert "rows that are not read yet are computed again" in warnings[-1]


@pytest.mark.long
def test_an_answer_that_is_cut_off_is_asked_for_again(place, faults):
    put(place, "a")
    left = [1]

    def fault(method, key):
        if method == "GET" and key.endswith(".parquet") and left[0]:
            left[0] = 0
            return "half"
        return None

    faults.fault = fault
    assert stored(place) == ["a"]
    assert left == [0]


@pytest.mark.long
def test_a_full_bucket_is_an_error_like_a_full_disk(place, faults):
    with opened(place) as rows:
        rows.add(row("a"))
        faults.fail("PUT", "full")
        with pytest.raises(BucketError, match="the bucket is full"):
            rows.add(row("b"))
        faults.fault = lambda method, key: None
    assert stored(place) == ["a", "b"]  # there was room again


@pytest.mark.long
def test_a_bucket_that_lets_nothing_be_removed_does_not_seem_to(place, faults):
    put(place, "a")
    faults.fail("DELETE", "denied")
    counts, left = forget_rows(place, None, ["photo of a"], [])
    assert counts == {}
    assert "can't be written (the bucket refuses these keys (" in next(iter(left.values()))


@pytest.mark.thorough
@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_bucket_that_refuses_reading_does_not_seem_empty(place, faults, capsys, after):
    for key in ("x", "y"):
        put(place, key, where=key)
    asked = iter(range(1000))
    faults.fault = lambda method, key: "denied" if next(asked) >= after else None
    assert main(["rows"]) == 2
    assert "rows=" not in capsys.readouterr().out


def test_crops_in_a_bucket_that_is_gone_are_written_where_they_go(place, faults, tmp_path):
    with opened(place) as rows:
        faults.fault = lambda method, key: "cut"
        md5 = rows.files.save(b"crop", tmp_path / "a.jpg")
        began = time.monotonic()
        for number in range(100):
            rows.files.save(b"crop", tmp_path / f"{number}.jpg")
        assert time.monotonic() - began < 5  # nobody asks each time
        assert rows.files.place(md5, tmp_path / "b.jpg") is False
    assert (tmp_path / "99.jpg").read_bytes() == b"crop"


# --- what a user sees -----------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    ("where", "keys", "why"),
    [
        ("s3://no-such-bucket/rows", "a key", "there is no bucket no-such-bucket; check the addr"),
        ("s3://our-bucket/rows", "", "the bucket refuses these keys ("),
    ],
)
def test_commands_say_what_is_wrong_with_a_bucket(faults, monkeypatch, capsys, where, keys, why):
    monkeypatch.setenv("FACESTATS_ROWS", where)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    if not keys:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert main(["rows"]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.thorough
def test_a_clock_that_is_an_hour_off_is_named(place, faults, capsys):
    faults.fault = lambda method, key: "skewed"
    assert main(["rows"]) == 2
    assert f"error: {place}: this machine's clock is wrong (" in capsys.readouterr().err
    (warning,) = put(place, "a")
    assert "can't be written (this machine's clock is wrong (" in warning


@pytest.mark.long
def test_a_server_that_is_not_there_is_named(faults, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("FACESTATS_ROWS", "s3://our-bucket/rows")
    assert main(["rows"]) == 2
    assert "error: s3://our-bucket/rows: the bucket does not answer (" in capsys.readouterr().err
    warnings = put(parse_address("s3://our-bucket/rows"), "a")
    assert len(warnings) == 1


@pytest.mark.long
def test_a_profile_that_is_not_there_is_named(faults, monkeypatch, capsys):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("FACESTATS_ROWS", "s3://our-bucket/rows")
    assert main(["rows"]) == 2
    assert "(The config profile (nobody) could not be found)" in capsys.readouterr().err


@pytest.mark.thorough
@pytest.mark.long
def test_a_fill_whose_bucket_goes_away_stops_and_goes_on_later(place, faults, tmp_path, capsys):
    """Crops could be kept nowhere: no photo is computed in vain, and none is called bad."""
    write_sample(tmp_path / "drawn", n=6, size=96, seed=3, progress=False)
    write_params(
        tmp_path, {"preprocess": {"size": 96}, "data": {"images": str(tmp_path / "drawn/images")}}
    )
    (tmp_path / "models").mkdir()
    (tmp_path / "models/landmarker").symlink_to(landmarker_dir())
    words = ["rows", "fill", "preprocess", "--root", str(tmp_path)]

    def fault(method, key):
        return "busy" if method == "PUT" and "/files/" in key and "/files/." not in key else None

    faults.fault = fault
    assert main(words) == 2
    message = capsys.readouterr().err
    assert re.search(r"^error: s3://our-bucket/.*: the bucket does not answer \(", message, re.M)
    assert "has no row" not in message
    faults.fault = lambda method, key: None
    assert main(words) == 0
    computed = re.search(r"rows=(\d+) reused=0 computed=\1 ", capsys.readouterr().out)
    assert computed
    assert main(words) == 0
    assert f"rows={computed[1]} reused={computed[1]} computed=0 " in capsys.readouterr().out
