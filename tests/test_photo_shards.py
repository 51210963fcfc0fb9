"""Photos in tar shards: members are photos, and whatever is wrong with one is a row's reason."""

import gzip
import io
import os
import sys
import tarfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from facestats.__main__ import main
from facestats.core import shard_removal, shards
from facestats.core.files import temporary_name
from facestats.core.photo_files import list_images
from facestats.core.shard_removal import drop_members
from facestats.core.shards import find_member, first_member, scan
from facestats.errors import FaultError, ImageError
from facestats.faces.crop import PreprocessConfig
from facestats.faces.preprocess import preprocess_folder
from facestats.photos.source import as_source, hash_photo, is_photo, read_photo
from facestats.serving.models import Models
from programs import run_program
from resources import ROOT, landmarker_dir, omi_images

CONFIG = PreprocessConfig(size=96)


def make(path, members, kind=tarfile.REGTYPE, mode="w"):
    """A tar of names and bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def reason_of(path):
    with pytest.raises(ImageError) as error:
        hash_photo(path)
    return str(error.value)


@pytest.fixture(scope="module")
def jpegs():
    return [path.read_bytes() for path in omi_images(3)]


@pytest.mark.long
def test_photos_in_shards_give_the_rows_of_the_same_files(tmp_path, jpegs):
    """Beside files, whose rows they share; names are `shard/member`."""
    folder = tmp_path / "photos"
    make(
        folder / "sub/00000.tar",
        [
            ("./a.jpg", jpegs[0]),
            ("a.json", b"{}"),
            ("deep/ü.jpg", jpegs[1]),
            (".hidden.jpg", b""),
            ("text.jpg", b"no picture"),
        ],
    )
    for name in ("00000.json", "00000_stats.json", "00000.parquet"):
        (folder / "sub" / name).write_bytes(b"{}")
    (folder / "a.jpg").write_bytes(jpegs[0])
    assert list_images(folder) == [
        "a.jpg",
        "sub/00000.tar/a.jpg",
        "sub/00000.tar/deep/ü.jpg",
        "sub/00000.tar/text.jpg",
    ]
    by_workers = [
        preprocess_folder(
            folder, tmp_path / f"crops{workers}", CONFIG, landmarker_dir(), workers=workers
        )
        for workers in (0, 1)
    ]
    assert by_workers[0].astype(str).equals(by_workers[1].astype(str))
    frame = by_workers[0].set_index("image")
    assert frame.loc["sub/00000.tar/a.jpg", "key"] == frame.loc["a.jpg", "key"]
    assert frame.loc["sub/00000.tar/a.jpg", "duplicate_of"] == "a.jpg"
    assert frame.loc["sub/00000.tar/deep/ü.jpg", "status"] == "ok"
    assert "not an image" in frame.loc["sub/00000.tar/text.jpg", "reason"]
    assert not frame["key"].isna().any()  # rows of their own: they are reused


def test_a_photo_in_a_shard_is_read_like_a_file(tmp_path, jpegs):
    path = make(tmp_path / "a.tar", [("b/c.jpg", jpegs[0])]) / "b/c.jpg"
    assert find_member(path) == (tmp_path / "a.tar", "b/c.jpg")
    assert read_photo(path) == as_source(path) == as_source(str(path)) == jpegs[0]
    assert is_photo(path)
    (tmp_path / "file.jpg").write_bytes(jpegs[0])
    assert hash_photo(path) == hash_photo(tmp_path / "file.jpg")
    models = SimpleNamespace()
    assert Models.photo(models, str(path)) == jpegs[0]  # type: ignore[arg-type]
    assert not is_photo(tmp_path / "a.tar" / "none.jpg")
    with pytest.raises(FaultError, match=r"a\.tar/none\.jpg can't be read: No such file"):
        read_photo(tmp_path / "a.tar" / "none.jpg")
    make(tmp_path / "a.tar", [("b/c.jpg", b"another one")])  # the places are not those of before
    assert read_photo(path) == b"another one"


def test_members_are_held_to_the_limits_of_files(tmp_path, jpegs):
    video = b"\0\0\0\x18ftypisom" + bytes(2_000_000)
    large = jpegs[0] + bytes(2_000_000)
    shard = make(tmp_path / "a.tar", [("large.jpg", large), ("video.jpg", video)])
    (tmp_path / "large.jpg").write_bytes(large)
    for name in ("large.jpg", "a.tar/large.jpg"):
        with pytest.raises(ImageError, match="larger than 1 MB, the limit"):
            read_photo(tmp_path / name, 1)
    assert "video" in reason_of(shard / "video.jpg")


def test_names_that_lead_out_of_a_shard_and_links_are_left_out(tmp_path, jpegs):
    path = tmp_path / "photos/a.tar"
    names = ["/etc/one.jpg", "../two.jpg", "x/../../three.jpg", "x//four.jpg", "good.jpg"]
    make(path, [(name, jpegs[0]) for name in names])
    for kind, name in (
        (tarfile.SYMTYPE, "symlink.jpg"),
        (tarfile.LNKTYPE, "hardlink.jpg"),
        (tarfile.CHRTYPE, "device.jpg"),
        (tarfile.FIFOTYPE, "pipe.jpg"),
        (tarfile.DIRTYPE, "folder"),
    ):
        make(path, [(name, b"")], kind, "a")
    listed = list_images(path.parent)
    assert listed == ["a.tar"] + [
        f"a.tar/{name}.jpg" for name in ("device", "good", "hardlink", "pipe", "symlink")
    ]
    assert reason_of(path) == (
        "members whose names are too long, or lead out of the shard, are left out: "
        "/etc/one.jpg, ../two.jpg, "
        "x/../../three.jpg and 1 more"
    )
    for name in ("symlink", "hardlink"):
        assert "a link in a shard" in reason_of(path / f"{name}.jpg")
    for name in ("device", "pipe"):
        assert "no regular file" in reason_of(path / f"{name}.jpg")


def test_two_members_of_one_name_are_both_left_out(tmp_path, jpegs):
    shard = make(tmp_path / "a.tar", [("one.jpg", jpegs[0]), ("./one.jpg", jpegs[1])])
    assert list_images(tmp_path) == ["a.tar/one.jpg"]
    assert "two members of this name" in reason_of(shard / "one.jpg")


@pytest.mark.parametrize(
    ("left", "members", "reason"),
    [
        (0, [], "damaged after 0 members"),
        (300, [], "damaged after 0 members"),
        (512, ["a.jpg"], "cut off in member 1"),
        (512 + 1024, ["a.jpg"], "cut off after 1 members"),
        (512 + 1024 + 512 + 10, ["a.jpg", "b.jpg"], "cut off in member 2"),
        (2 * (512 + 1024), ["a.jpg", "b.jpg"], "cut off after 2 members"),
    ],
)
def test_a_shard_that_is_cut_off_keeps_its_whole_members(tmp_path, left, members, reason):
    shard = make(tmp_path / "a.tar", [("a.jpg", b"a" * 1000), ("b.jpg", b"b" * 1000)])
    shard.write_bytes(shard.read_bytes()[:left])
    assert list_images(tmp_path) == ["a.tar", *(f"a.tar/{name}" for name in members)]
    assert reason in reason_of(shard)
    for name in members:
        data = 1000 if left >= {"a.jpg": 1512, "b.jpg": 3048}[name] else None
        if data:
            assert len(read_photo(shard / name)) == data
        else:
            assert "cut off: its shard ends before it" in reason_of(shard / name)


def test_a_shard_that_is_overwritten_in_the_middle_keeps_what_comes_before(tmp_path):
    shard = make(tmp_path / "a.tar", [("a.jpg", b"a" * 1000), ("b.jpg", b"b" * 1000)])
    data = bytearray(shard.read_bytes())
    data[1536:2048] = os.urandom(512)
    shard.write_bytes(data)
    assert list_images(tmp_path) == ["a.tar", "a.tar/a.jpg"]
    assert "damaged after 1 members" in reason_of(shard)


def test_tars_that_were_joined_say_so_and_lose_nothing(tmp_path, jpegs):
    one, other = (make(tmp_path / f"{n}.tar", [(f"{n}.jpg", jpegs[n])]) for n in (0, 1))
    first, second = one.read_bytes(), other.read_bytes()
    other.unlink()
    one.write_bytes(first + second)
    assert [*scan(one).places] == ["0.jpg"]
    assert "more follows its end, after 1 members" in scan(one).problem
    assert list_images(tmp_path) == ["0.tar", "0.tar/0.jpg"]
    with pytest.raises(OSError, match="more follows its end"):
        drop_members(one, {"x.jpg"})
    assert one.read_bytes() == first + second
    one.write_bytes(first + bytes(10**6))
    assert scan(one).problem is None


def test_a_negative_size_ends_the_list(tmp_path):
    """Python 3.11 would go backwards in it, and read the same members for ever."""
    shard = make(tmp_path / "a.tar", [("a.jpg", b"a" * 1000), ("b.jpg", b"b" * 1000)])
    data = bytearray(shard.read_bytes())
    header = bytearray(data[1536:2048])
    header[124:136] = b"\xff" * 8 + (-2048).to_bytes(4, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data[1536:2048] = header
    shard.write_bytes(data)
    assert scan(shard).problem is not None
    assert [*scan(shard).places] == ["a.jpg"]


def test_a_compressed_tar_says_what_to_do(tmp_path, jpegs):
    plain = make(tmp_path / "a.tar", [("a.jpg", jpegs[0])]).read_bytes()
    (tmp_path / "a.tar").write_bytes(gzip.compress(plain))
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(plain))
    assert list_images(tmp_path) == ["a.tar", "b.tar.gz"]
    for name in ("a.tar", "b.tar.gz"):
        assert "compressed tar" in reason_of(tmp_path / name)
        assert "gunzip" in reason_of(tmp_path / name)


def test_an_empty_shard_and_a_folder_called_a_tar(tmp_path, jpegs):
    make(tmp_path / "empty.tar", [])
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "folder.tar/a.jpg").write_bytes(jpegs[0])
    assert list_images(tmp_path) == ["empty.tar", "folder.tar/a.jpg"]
    assert reason_of(tmp_path / "empty.tar") == "a shard that holds no photo"
    assert read_photo(tmp_path / "folder.tar/a.jpg") == jpegs[0]


@pytest.mark.parametrize("content", [b"", bytes(10240), b"no tar" * 100])
def test_a_shard_without_members_has_no_first_one(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    assert first_member(tmp_path / "a.tar") == ("", b"")


@pytest.mark.long
def test_a_photo_over_its_time_leaves_no_copy(tmp_path, monkeypatch):
    """Its process is ended, and had put the photo out of the shard into a file."""
    picture = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (3000, 4000, 3), np.uint8)
    Image.fromarray(noise).save(picture, "JPEG", progressive=True)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    make(tmp_path / "raw/0.tar", [("a.jpg", picture.getvalue())])
    config = PreprocessConfig(size=96, max_seconds=0.1)
    frame = preprocess_folder(
        tmp_path / "raw", tmp_path / "crops", config, landmarker_dir(), workers=1
    )
    assert "took more than 0.1 s" in frame["reason"][0]
    assert not [*(tmp_path / "tmp").iterdir()]


@pytest.mark.long
def test_members_are_found_by_places_that_are_read_once(tmp_path, monkeypatch):
    names = [f"{number:04}.jpg" for number in range(2000)]
    shard = make(tmp_path / "a.tar", [(name, name.encode()) for name in names])
    scans = []
    monkeypatch.setattr(shards, "scan", lambda path: scans.append(path) or scan(path))
    assert [read_photo(shard / name) for name in names] == [name.encode() for name in names]
    assert len(scans) <= 2
    assert pd.Series(list_images(tmp_path)).is_monotonic_increasing


def test_a_shard_is_written_anew_without_a_member_and_its_sidecars(tmp_path):
    names = ["x/1.jpg", "x/1.json", "x/1.txt", "x/10.jpg", "x/10.json", "y/1.jpg", "y/1.json"]
    shard = make(tmp_path / "kept" / "a.tar", [(name, name.encode()) for name in names])
    linked = tmp_path / "a.tar"
    linked.symlink_to(shard)  # as DVC links into its cache
    before = shard.read_bytes()
    drop_members(linked, {"x/1.jpg"})
    assert shard.read_bytes() == before
    assert not linked.is_symlink()
    with tarfile.open(linked) as tar:
        assert tar.getnames() == names[3:]
        assert {tar.extractfile(name).read().decode() for name in names[3:]} == {*names[3:]}
    drop_members(linked, {"x/10.jpg", "y/1.jpg"})
    assert not linked.exists()


@pytest.mark.parametrize("end", [".jpeg.json", ".json", ".txt", ".jpeg.sup.json", ".more.txt"])
def test_the_sidecar_of_another_photo_stays(tmp_path, end):
    """WebDataset ends names at the first dot, where phones write one in the time."""
    first, second = "x/Image at 10.15.22", "x/Image at 10.47.01"
    names = [first + ".jpeg", first + end, second + ".jpeg", second + end, "x/Image at 10.json"]
    shard = make(tmp_path / "a.tar", [(name, name.encode()) for name in names])
    drop_members(shard, {first + ".jpeg"})
    with tarfile.open(shard) as tar:
        assert tar.getnames() == names[2:4]


@pytest.mark.parametrize("end", ["", ".supplemental-metadata"])
def test_a_numbered_sidecar_of_takeout_goes_with_its_photo(tmp_path, end):
    names = ["a.jpg", f"a.jpg{end}.json", "a(1).jpg", f"a.jpg{end}(1).json"]
    for photo, left in (("a.jpg", names[2:]), ("a(1).jpg", names[:2])):
        shard = make(tmp_path / "a.tar", [(name, name.encode()) for name in names])
        drop_members(shard, {photo})
        with tarfile.open(shard) as tar:
            assert tar.getnames() == left


def header(name: str, kind: bytes, size: int, **fields: bytes) -> bytes:
    """The header of a member as old GNU tar writes it."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    block[156:157], block[124:136] = kind, b"%011o\0" % size
    for at, field in fields.items():
        block[int(at[1:]) : int(at[1:]) + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(size: int = 0, kind: bytes = b"x", **values: str) -> bytes:
    lines = b""
    for key, value in values.items():
        rest = f" {key}={value}\n".encode()
        size_of = next(n for n in range(len(rest), 10**6) if n == len(str(n)) + len(rest))
        lines += str(size_of).encode() + rest
    return header("pax", kind, size or len(lines)) + lines.ljust(-(-len(lines) // 512) * 512, b"\0")


TERA = b"%011o\0" % 2**32
OF_OTHERS = {
    "a further volume": header("volume", b"M", 700) + b"v" * 1024,
    "an ACL of Solaris": header("acl", b"A", 5) + b"a" * 512,
    "a label": header("label", b"V", 0),
    "a file with holes": header("sparse", b"S", 3, _386=TERA, _398=b"%011o\0" % 3, _483=TERA)
    + b"s" * 512,
    "a time that is none": pax(mtime="nan") + header("time.bin", b"0", 4) + b"t" * 512,
}


@pytest.mark.parametrize("other", OF_OTHERS.values(), ids=[*OF_OTHERS])
def test_what_others_wrote_into_a_shard_stays_as_it_is(tmp_path, jpegs, other):
    photos = {"a.jpg": jpegs[0], "b.jpg": jpegs[1], "c.jpg": b"c" * 1500}
    plain = make(tmp_path / "plain.tar", list(photos.items())).read_bytes()
    ends, end = {}, 0
    for name, data in photos.items():
        ends[name] = end = end + 512 + -(-len(data) // 512) * 512
    shard = tmp_path / "a.tar"
    shard.write_bytes(plain[: ends["a.jpg"]] + other + plain[ends["a.jpg"] :])
    assert {*photos} <= {*scan(shard).places}
    drop_members(shard, {"a.jpg"})
    left = scan(shard)
    assert left.problem is None
    assert {name: read_photo(shard / name) for name in ("b.jpg", "c.jpg")} == {
        name: photos[name] for name in ("b.jpg", "c.jpg")
    }
    assert shard.read_bytes().startswith(other + plain[ends["a.jpg"] : ends["c.jpg"]])
    assert len(shard.read_bytes()) % tarfile.RECORDSIZE == 0


def test_a_shard_that_would_lose_other_photos_is_left(tmp_path, monkeypatch):
    shard = make(tmp_path / "a.tar", [(name, name.encode()) for name in ("a.jpg", "b.jpg")])
    before = shard.read_bytes()
    monkeypatch.setattr(shard_removal, "_kept", lambda *_: iter([(0, 512)]))
    with pytest.raises(OSError, match="others of its photos would be lost"):
        drop_members(shard, {"a.jpg"})
    assert shard.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.tar"]


@pytest.mark.parametrize(
    "bad",
    [
        pax(2**33 - 1, mtime="1"),
        header("././@LongLink", b"L", 2**33 - 1),
        header("holes", b"S", 3, _386=TERA, _398=b"%011o\0" % 3, _482=b"\1", _483=TERA),
        header("pax", b"x", 2**19) + b"1" * 2**19,  # would take half an hour
        header("pax", b"x", 2**16) + (b"2 " * 2**15)[:-2] + b"=\n",  # would take 1 GB
        header("pax", b"g", 2**16) + (b"5 a=\n" * 2**14)[: 2**16],
        b"".join(pax(0, b"g", **{f"k{at + i}": "1" for i in range(900)}) for at in (0, 900))
        + header("a", b"0", 0),
        header("pax", b"x", 512) + b"9 a=".ljust(512, b"b"),
        header("long", b"L", 2**20) * 5 + bytes(5 * 2**20),
    ],
    ids=[
        "a PAX header of 8 GB",
        "a name of 8 GB",
        "holes that go on beyond the end",
        "digits",
        "names of records up to the last one's",
        "many records",
        "records in two headers",
        "a record beyond the header",
        "headers of 5 MB",
    ],
)
def test_a_header_that_is_none_ends_the_list_with_a_reason(tmp_path, jpegs, bad):
    shard = make(tmp_path / "a.tar", [("a.jpg", jpegs[0])])
    shard.write_bytes(shard.read_bytes()[: 512 + -(-len(jpegs[0]) // 512) * 512] + bad)
    found = scan(shard)
    assert [*found.places] == ["a.jpg"]
    assert "damaged after 1 members" in found.problem or "cut off" in found.problem
    assert list_images(tmp_path) == ["a.tar", "a.tar/a.jpg"]


def write_project(tmp_path, labels):
    """A project of shards in `raw`, as `forget` wants it."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"images": "raw", "labels": "labels"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "data/manual_labels.csv").write_text("filename,age\n")
    (tmp_path / "labels/labels.csv").write_text(labels)


@pytest.mark.parametrize(
    "name",
    ["a\0b.jpg", f"{'x' * 256}/a.jpg", "/".join(["x" * 200] * 6), "/".join("x" * 120)],
    ids=["NUL", "a long part", "long", "deep"],
)
def test_a_name_that_no_folder_of_crops_holds_is_left_out(tmp_path, jpegs, name):
    shard = make(tmp_path / "a.tar", [("a.jpg", jpegs[0]), ("c.jpg", jpegs[1])])
    data = pax(path=name) + shard.read_bytes()
    shard.write_bytes(data)
    assert [*scan(shard).places] == ["c.jpg"]
    assert "names are too long, or lead out of the shard" in reason_of(shard)
    assert len(reason_of(shard)) < 1000


def test_forget_takes_no_shard_for_a_photo(tmp_path, capfd):
    """The row of a shard that is damaged has its name."""
    write_project(tmp_path, "filename,person\n")
    shard = make(tmp_path / "raw/0.tar", [("a.jpg", b"a" * 600), ("b.jpg", b"b" * 600)])
    shard.write_bytes(shard.read_bytes()[:2600])
    assert "0.tar" in list_images(tmp_path / "raw")
    assert main(["forget", "0.tar", "--root", str(tmp_path)]) == 2
    assert "0.tar is a shard, and holds 1 photo that can be used" in capfd.readouterr().err
    assert shard.exists()


@pytest.mark.long
def test_forget_removes_what_killed_processes_have_left(tmp_path, capfd):
    """They may hold other members of a shard, and rows of anybody."""
    write_project(tmp_path, "filename,person\n")
    shard = make(tmp_path / "raw/0.tar", [("a.jpg", b"a"), ("b.jpg", b"b")])
    gone = int(run_program([sys.executable, "-c", "import os; print(os.getpid())"]).stdout)
    left = temporary_name(shard).with_suffix(f".{gone}")
    left.write_bytes(shard.read_bytes())
    table = temporary_name(tmp_path / "data/faces.parquet").with_suffix(f".{gone}")
    table.mkdir()
    (table / "part-00000.parquet").touch()
    mine = temporary_name(tmp_path / "data/labels.parquet")
    mine.touch()
    assert main(["forget", "0.tar/a.jpg", "--root", str(tmp_path), "--dry-run"]) == 0
    assert (
        f"{left}: would be removed: a process that was killed has left it" in capfd.readouterr().out
    )
    assert left.exists()
    assert table.exists()
    assert main(["forget", "0.tar/a.jpg", "--root", str(tmp_path)]) == 0
    assert f"{table}: removed: a process that was killed has left it" in capfd.readouterr().out
    assert not left.exists()
    assert not table.exists()
    assert mine.exists()
    assert [*scan(shard).places] == ["b.jpg"]


def test_forget_opens_a_shard_once_not_once_a_photo(tmp_path, monkeypatch, capfd):
    names = [f"{number:02}.jpg" for number in range(40)]
    write_project(
        tmp_path, "filename,person\n" + "".join(f"0.tar/{name},anna\n" for name in names[:20])
    )
    shard = make(tmp_path / "raw/0.tar", [(name, name.encode()) for name in names])
    opened, paths = shards.opened, []
    monkeypatch.setattr(shards, "opened", lambda path: paths.append(path) or opened(path))
    assert main(["forget", "--person", "anna", "--root", str(tmp_path)]) == 0
    assert "20.jpg" not in capfd.readouterr().out
    assert scan(shard).places.keys() == {*names[20:]}
    assert len(paths) < 12


@pytest.mark.long
def test_forget_writes_a_shard_anew_without_the_photo(tmp_path, jpegs, capfd):
    """With its copy in another shard and its labels; not where the shard is damaged."""
    write_project(tmp_path, "filename,age\n0.tar/b.jpg,30\n0.tar/a.jpg,20\n")
    names = ("a.jpg", "b.jpg", "c.jpg")
    shard = make(
        tmp_path / "raw/0.tar", [*zip(names, jpegs, strict=True), ("b.json", b"{}"), ("d.jpg", b"")]
    )
    other = make(tmp_path / "raw/1.tar", [("copy.jpg", jpegs[1])])
    whole = shard.read_bytes()
    arguments = ["forget", "0.tar/b.jpg", "--root", str(tmp_path)]
    shard.write_bytes(whole[:-11_000])
    assert main(arguments) == 2
    assert "can't be written anew: cut off" in capfd.readouterr().err
    shard.write_bytes(whole)
    assert main([*arguments, "--dry-run"]) == 0
    assert shard.read_bytes() == whole
    assert main(arguments) == 0
    said = capfd.readouterr().out
    assert "0.tar: written anew without them" in said
    assert "1.tar: removed: it held no other photo" in said
    with tarfile.open(shard) as tar:
        assert tar.getnames() == ["a.jpg", "c.jpg", "d.jpg"]
    assert not other.exists()
    assert (tmp_path / "labels/labels.csv").read_text() == "filename,age\n0.tar/a.jpg,20\n"
