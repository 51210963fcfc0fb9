"""Photos in parquet shards and tars of img2dataset: members, or rows with a reason."""

import contextlib
import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from facestats.__main__ import main
from facestats.core import parquet_shards, shards
from facestats.core.photo_files import list_images
from facestats.core.shard_removal import drop_members
from facestats.core.shards import find_member, open_each, read_member, scan
from facestats.errors import FaultError, ImageError
from facestats.faces.crop import PreprocessConfig
from facestats.faces.preprocess import preprocess_folder
from facestats.photos.source import as_source, hash_photo, is_photo, read_photo
from resources import ROOT, landmarker_dir, omi_images

CONFIG = PreprocessConfig(size=96)
SCHEMA = pa.schema(
    [
        ("url", pa.string()),
        ("caption", pa.string()),
        ("key", pa.string()),
        ("status", pa.string()),
        ("error_message", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
    ]
)


def row(key, picture, status="success", error=None):
    """What img2dataset writes of one photo."""
    about = {"url": f"https://example.org/{key}", "caption": "a face", "key": key}
    return about | {"status": status, "error_message": error, "jpg": picture}


def make(path, rows, column="jpg", group=2, **options):
    """A parquet file as img2dataset writes it, in groups of a few rows instead of 100."""
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = SCHEMA.append(pa.field(column, pa.binary()))
    named = [one | {column: one["jpg"]} for one in rows]
    table = pa.Table.from_pylist(named, schema)
    pq.write_table(table, path, row_group_size=group, **options)
    return path


def reason_of(path):
    with pytest.raises(ImageError) as error:
        hash_photo(path)
    return str(error.value)


@pytest.fixture(scope="module")
def jpegs():
    return [path.read_bytes() for path in omi_images(3)]


@pytest.mark.long
def test_photos_in_parquet_give_the_rows_of_the_same_files(tmp_path, jpegs):
    """Beside files, whose rows they share; names are `shard/key.extension`."""
    folder = tmp_path / "photos"
    rows = [
        row("000000002", jpegs[1]),
        row("000000000", jpegs[0]),
        row("000000001", None, "failed_to_download", "HTTP Error 404: Not Found"),
        row("000000003", b"no picture"),
    ]
    make(folder / "sub/00000.parquet", rows)
    (folder / "sub/00000_stats.json").write_text("{}")
    (folder / "a.jpg").write_bytes(jpegs[0])
    shard = "sub/00000.parquet/"
    assert list_images(folder) == ["a.jpg", *(f"{shard}00000000{i}.jpg" for i in range(4))]
    by_workers = [
        preprocess_folder(
            folder, tmp_path / f"crops{workers}", CONFIG, landmarker_dir(), workers=workers
        )
        for workers in (0, 1)
    ]
    assert by_workers[0].astype(str).equals(by_workers[1].astype(str))
    frame = by_workers[0].set_index("image")
    assert frame.loc[f"{shard}000000000.jpg", "key"] == frame.loc["a.jpg", "key"]
    assert frame.loc[f"{shard}000000000.jpg", "duplicate_of"] == "a.jpg"
    assert frame.loc[f"{shard}000000002.jpg", "status"] == "ok"
    assert frame.loc[f"{shard}000000001.jpg", "reason"] == (
        "img2dataset has no picture of it: failed_to_download: HTTP Error 404: Not Found"
    )
    assert "not an image" in frame.loc[f"{shard}000000003.jpg", "reason"]


def test_a_photo_in_parquet_is_read_like_a_file(tmp_path, jpegs):
    pictures = [*jpegs, jpegs[0] + bytes(2_000_000)]
    rows = [row(str(i), picture) for i, picture in enumerate(pictures)]
    shard = make(tmp_path / "a.parquet", rows, "webp")
    path = shard / "1.webp"
    assert find_member(path) == (shard, "1.webp")
    assert read_photo(path) == as_source(path) == jpegs[1]
    (tmp_path / "file").write_bytes(jpegs[1])
    assert hash_photo(path) == hash_photo(tmp_path / "file")
    assert is_photo(path)
    assert not is_photo(shard / "9.webp")
    with pytest.raises(FaultError, match=r"a\.parquet/9\.webp can't be read: No such file"):
        read_photo(shard / "9.webp")
    with pytest.raises(ImageError, match="larger than 1 MB, the limit"):
        read_photo(shard / "3.webp", 1)
    make(shard, [row("1", b"another one")], "webp")  # the places are not those of before
    assert read_photo(path) == b"another one"


def test_a_row_group_is_read_once_for_its_photos(tmp_path, monkeypatch):
    shard = make(tmp_path / "a.parquet", [row(f"{i:02}", b"%d" % i) for i in range(40)], group=10)
    groups, read = [], parquet_shards._pictures
    monkeypatch.setattr(
        parquet_shards,
        "_pictures",
        lambda path, group, *of: groups.append(group) or read(path, group, *of),
    )
    assert [read_photo(shard / f"{i:02}.jpg") for i in range(40)] == [b"%d" % i for i in range(40)]
    assert groups == [0, 1, 2, 3]


def test_rows_that_are_no_photos_have_a_reason(tmp_path):
    """Null bytes, whether or not the file has statistics; one key twice; names that lead out."""
    rows = [row("a", None), row("b", b"1"), row("b", b"2"), row("../c", b"3"), row("d", b"4")]
    for statistics in (True, False):
        shard = make(tmp_path / "a.parquet", rows, write_statistics=statistics)
        assert list_images(tmp_path) == [
            "a.parquet",
            *(f"a.parquet/{n}.jpg" for n in ("a", "b", "d")),
        ]
        assert reason_of(shard / "a.jpg") == "its row holds no picture"
        assert "two members of this name" in reason_of(shard / "b.jpg")
        assert reason_of(shard).endswith("or lead out of the shard, are left out: ../c.jpg")
        assert read_photo(shard / "d.jpg") == b"4"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"key": ["a"], "age": [20]}, "a table without photos: no column of bytes is called jpg"),
        ({"key": ["a"], "jpg": ["text"]}, "a table without photos"),
        ({"jpg": [b"1"]}, "pictures in its column jpg, but no one column `key`"),
        ({"key": ["a"], "jpg": [b"1"], "png": [b"2"]}, "pictures in 2 columns, jpg, png"),
        ({"key": [None], "jpg": [b"1"]}, "row 1 of row group 1 has no key"),
        ({"key": pa.array([], pa.string()), "jpg": pa.array([], pa.binary())}, "holds no photo"),
    ],
)
def test_a_parquet_file_without_photos_is_one_row_with_its_reason(tmp_path, columns, reason):
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert list_images(tmp_path) == ["t.parquet"]
    assert reason in reason_of(tmp_path / "t.parquet")


@pytest.mark.parametrize("left", [0, 3, 600, -1])
def test_a_parquet_file_that_is_cut_off_says_so(tmp_path, left):
    shard = make(tmp_path / "a.parquet", [row("a", b"a" * 1000)])
    shard.write_bytes(shard.read_bytes()[:left])
    assert list_images(tmp_path) == ["a.parquet"]
    assert reason_of(shard).startswith("no parquet file, or cut off (")
    assert reason_of(shard).endswith("; copy or download it again")


def test_damage_of_one_row_group_leaves_the_others(tmp_path):
    rows = [row(f"{i}", bytes([65 + i]) * 5000) for i in range(4)]
    shard = make(tmp_path / "a.parquet", rows, use_dictionary=False)
    chunk = next(
        pq.ParquetFile(shard).metadata.row_group(0).column(i)
        for i in range(len(SCHEMA) + 1)
        if pq.ParquetFile(shard).metadata.row_group(0).column(i).path_in_schema == "jpg"
    )
    data = bytearray(shard.read_bytes())
    begin = chunk.data_page_offset
    data[begin : begin + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    shard.write_bytes(data)
    assert len(list_images(tmp_path)) == 4
    assert reason_of(shard / "0.jpg").startswith("damaged in row group 1 of 2 (")
    assert read_photo(shard / "3.jpg") == b"D" * 5000


def test_a_row_group_that_would_fill_memory_is_not_read(tmp_path, monkeypatch):
    """Nor one whose dictionary gives one picture for every row."""
    monkeypatch.setattr(parquet_shards, "_MOST", 100_000)
    rows = [row(f"{i}", bytes([i]) * 30_000) for i in range(4)]
    shard = make(tmp_path / "a.parquet", rows, group=4)
    assert "more than 0 MB of pictures: write its shard again" in reason_of(shard / "0.jpg")
    bomb = make(tmp_path / "b.parquet", [row(f"{i}", b"1" * 30_000) for i in range(9)], group=9)
    assert bomb.stat().st_size < 100_000
    assert "write its shard again in smaller groups of rows" in reason_of(bomb / "0.jpg")


def webdataset(folder, rows):
    """A shard as img2dataset writes it with `output_format: webdataset`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "00000.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for one in rows:
            about = json.dumps({**one, "jpg": None}).encode()
            if one["jpg"] is not None:
                for kind, data in (("jpg", one["jpg"]), ("json", about), ("txt", b"a face")):
                    member = tarfile.TarInfo(f"{one['key']}.{kind}")
                    member.size, member.mode, member.uname = len(data), 0o444, "bigdata"
                    tar.addfile(member, io.BytesIO(data))
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / "00000.parquet")
    (folder / "00000_stats.json").write_text('{"count": 2, "successes": 1}')


def test_damaged_pictures_keep_nobody_from_comparing_the_others(tmp_path):
    """As `forget` does, of whatever photo."""
    rows = [row(str(i), bytes([65 + i]) * 3000) for i in range(4)]
    path = make(tmp_path / "0.parquet", rows, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    at = data.index(b"C" * 3000)
    data[at - 4 : at] = b"\xff" * 4  # the length of a picture of the second row group
    path.write_bytes(data)
    members = [path / f"{i}.jpg" for i in range(4)]
    assert [member for member, *_ in open_each(members)] == members[:2]


def test_a_shard_that_is_replaced_while_it_is_read_gives_no_other_photo(tmp_path, monkeypatch):
    path = make(tmp_path / "0.parquet", [row("a", b"a"), row("b", b"b"), row("c", b"c")])
    opened = shards.opened

    @contextlib.contextmanager
    def opened_and_replaced(place):
        with opened(place) as file:
            make(tmp_path / "new", [row("a", b"a"), row("c", b"c")])
            (tmp_path / "new").replace(path)
            yield file

    monkeypatch.setattr(shards, "opened", opened_and_replaced)
    with pytest.raises(OSError, match=r"was replaced while it was read.*0\.parquet"):
        read_member(path, "c.jpg")


def a_column_that_is_not_what_its_chunk_says(path):
    """One byte of the file's end: for this, pyarrow ends its process."""
    data = make(path, [row("1", b"x" * 50)]).read_bytes()
    optional = b"\x25\x02\x18\x03jpg"  # of Thrift: repetition, then a name of three letters
    assert data.count(optional) == 1
    path.write_bytes(data.replace(optional, b"\x25\x00\x18\x03jpg"))


def keys_beyond_all_dates(path):
    dates = pa.array([2**31 - 1], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"key": dates, "jpg": [b"x"]}), path)


def one_long_message_for_many_rows(path):
    """20 GB of text in 20 kB."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["e" * 1_000_000])
    keys = pa.array(map(str, range(20_000)))
    rows = {"key": keys, "jpg": pa.nulls(20_000, pa.binary()), "status": text}
    pq.write_table(pa.table(rows), path, compression="zstd", store_schema=False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (a_column_that_is_not_what_its_chunk_says, "ends what reads it (SIGABRT)"),
        (keys_beyond_all_dates, "damaged in row group 1 of 1"),
        (one_long_message_for_many_rows, "or 3 GB of memory, or ends what reads it (memory)"),
    ],
)
def test_a_file_that_would_end_its_reader_is_a_row_with_its_reason(tmp_path, jpegs, damage, reason):
    make(tmp_path / "good.parquet", [row("1", jpegs[0])])
    damage(tmp_path / "bad.parquet")
    assert list_images(tmp_path) == ["bad.parquet", "good.parquet/1.jpg"]
    assert reason in reason_of(tmp_path / "bad.parquet")
    assert hash_photo(tmp_path / "good.parquet/1.jpg")


def test_a_shard_of_which_a_rewrite_would_lose_rows_is_left(tmp_path):
    """For pyarrow ends early, without an error, where a column that nobody reads has no values."""
    rows = [row(f"{i}", b"x" * 3000) for i in range(5)]
    path = make(tmp_path / "0.parquet", rows, group=5, use_dictionary=False, compression="none")
    data = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    header = data.index(b"\x2c\x15\x0a", start)  # of Thrift: a page's header, five values
    data[header + 2] = 0
    path.write_bytes(data)
    found = scan(path)
    assert (found.problem, len(found.places)) == (None, 5)
    with pytest.raises(OSError, match=r"others of its rows would be lost.*0\.parquet"):
        drop_members(path, {"1.jpg"})
    assert path.read_bytes() == data
    assert [*tmp_path.iterdir()] == [path]


def test_what_img2dataset_writes_beside_a_tar_is_no_photo(tmp_path):
    """Unless the parquet file beside it holds pictures of its own."""
    rows = [row("000000000", b"1"), row("000000001", None, "failed_to_download", "timed out")]
    webdataset(tmp_path, rows)
    assert list_images(tmp_path) == ["00000.tar/000000000.jpg"]
    assert read_photo(tmp_path / "00000.tar/000000000.jpg") == b"1"
    make(tmp_path / "00000.parquet", [row("x", b"2")])
    assert list_images(tmp_path) == ["00000.parquet/x.jpg", "00000.tar/000000000.jpg"]


@pytest.mark.long
def test_a_parquet_shard_is_written_anew_without_a_member(tmp_path):
    rows = [row(f"{i}", b"%d" % i) for i in range(5)]
    shard = make(tmp_path / "kept/a.parquet", rows)
    linked = tmp_path / "a.parquet"
    linked.symlink_to(shard)  # as DVC links into its cache
    before = shard.read_bytes()
    drop_members(linked, {"1.jpg", "3.jpg"})
    assert shard.read_bytes() == before
    assert not linked.is_symlink()
    left = pq.read_table(linked)
    assert left["key"].to_pylist() == ["0", "2", "4"]
    assert left.equals(pq.read_table(shard).take([0, 2, 4]))
    drop_members(linked, {"0.jpg", "2.jpg", "4.jpg"})
    assert not linked.exists()


def test_what_img2dataset_says_of_a_photo_goes_with_it(tmp_path):
    """Its address and caption, in the parquet file beside the tar."""
    rows = [row(f"00000000{i}", b"%d" % i) for i in range(3)]
    webdataset(tmp_path, rows)
    drop_members(tmp_path / "00000.tar", {"000000001.jpg"})
    left = pq.read_table(tmp_path / "00000.parquet")
    assert left["key"].to_pylist() == ["000000000", "000000002"]
    assert left.schema.equals(SCHEMA)
    assert list_images(tmp_path) == ["00000.tar/000000000.jpg", "00000.tar/000000002.jpg"]
    (tmp_path / "00000.parquet").write_bytes(b"PAR1")
    whole = (tmp_path / "00000.tar").read_bytes()
    with pytest.raises(OSError, match=r"cut off.*00000\.parquet"):
        drop_members(tmp_path / "00000.tar", {"000000000.jpg"})
    assert (tmp_path / "00000.tar").read_bytes() == whole


def test_forget_takes_a_photo_out_of_parquet(tmp_path, jpegs, capfd):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"images": "raw", "labels": "labels"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for name in ("data", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "data/manual_labels.csv").write_text("filename,age\n")
    rows = [row(str(i), picture) for i, picture in enumerate([*jpegs, None])]
    shard = make(tmp_path / "raw/0.parquet", rows)
    other = make(tmp_path / "raw/1.parquet", [row("copy", jpegs[1])])
    assert main(["forget", "0.parquet/1.jpg", "--root", str(tmp_path)]) == 0
    said = capfd.readouterr().out
    assert "0.parquet: written anew without them" in said
    assert "1.parquet: removed: it held no other photo" in said
    assert pq.read_table(shard)["key"].to_pylist() == ["0", "2", "3"]
    assert not other.exists()
