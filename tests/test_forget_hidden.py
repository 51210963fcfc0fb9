"""`forget` names what it leaves among the photos: hidden pictures, and other members of tars."""

import bz2
import gzip
import hashlib
import io
import tarfile
import zipfile

import pandas as pd
import pytest

from facestats.cli import forget_contents
from facestats.cli.forget_traces import Search, files_of_project


@pytest.fixture
def lines(tmp_path):
    """Looks around in a project of photos that go; gives the lines."""

    def look(*images: str) -> list[str]:
        search = Search(
            [*images], {*images, *(one.rpartition("/")[2] for one in images)}, set(), {}, set()
        )
        gone = {tmp_path / "data/raw" / image for image in images}
        paths = [path for path in files_of_project(tmp_path, set()) if path not in gone]
        finder = search.finder(["data/raw"], ())
        found = forget_contents.traces(tmp_path, paths, finder, images, tmp_path / "data/raw", [])
        return sorted(line.removeprefix(f"{tmp_path}/data/raw/") for line in found)

    return look


@pytest.mark.parametrize(
    "hidden",
    [".picasaoriginals/ds1_033.jpg", ".thumbnails/ds1_033.png", "._ds1_033.jpg", ".DS1_033.jpg"],
)
def test_hidden_pictures_of_the_name_are_named(tmp_path, lines, hidden):
    for name in ("sub/ds1_033.jpg", "sub/ds1_034.jpg", f"sub/{hidden}", f"{hidden}"):
        (tmp_path / "data/raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data/raw" / name).write_bytes(name.encode())
    called = "is called like sub/ds1_033.jpg, and stays; look at it yourself"
    assert lines("sub/ds1_033.jpg") == sorted([f"{hidden} {called}", f"sub/{hidden} {called}"])
    assert lines("sub/ds1_035.jpg") == []


TABLE = pd.DataFrame([["ds1_004.jpg", "Anna Smith"]], columns=["file", "name"])


@pytest.mark.parametrize("kind", [".json", ".txt", ".xmp", ".AAE", ".MOV"])
def test_a_sidecar_hides_no_picture_of_the_photo(tmp_path, lines, kind):
    """It was taken for a photo of that name that stays."""
    others = ["data/backup/img/ds1_004.jpg", "data/raw/img/._ds1_004.jpg"]
    vectors = ["data/vectors/img/ds1_004.npy"]
    for name in ["data/raw/img/ds1_004.jpg", f"data/raw/img/ds1_004{kind}", *others, *vectors]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = "\n".join(lines("img/ds1_004.jpg"))
    for name in others + vectors:
        assert name.removeprefix("data/raw/") in found


def test_tables_and_numbered_sidecars_beside_photos_are_named(tmp_path, lines):
    raw = tmp_path / "data/raw"
    (raw / "img").mkdir(parents=True)
    for name in ("a(1).jpg", "a.jpg", "a.jpg(1).json", "a.jpg.json"):
        (raw / "img" / name).write_bytes(b"x")
    TABLE.assign(file="img/a(1).jpg").to_parquet(raw / "metadata.parquet")
    called, named = lines("img/a(1).jpg")
    assert called.startswith("img/a.jpg(1).json is called like img/a(1).jpg")
    assert named.startswith("metadata.parquet names img/a(1).jpg")


TEXT = b"file,name\nds1_004.jpg,Anna Smith\n"


def written(write, *arguments):
    out = io.BytesIO()
    write(out, *arguments)
    return out.getvalue()


def zipped(out):
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("notes.txt", TEXT)


MEMBERS = {
    "ds1_004.jpg": b"picture",
    "ds1_004.json": b'{"title": "ds1_004.jpg"}',
    "ds1_005.jpg": b"another",
    "ds1_005.json": b'{"title": "ds1_005.jpg"}',
}


def write(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


OTHERS = [
    ("labels.csv", TEXT, "names ds1_004.jpg and"),
    ("metadata.json", TEXT, "names ds1_004.jpg and"),
    (".picasa.ini", TEXT, "names ds1_004.jpg and"),
    ("ds1_006.json", TEXT, "names ds1_004.jpg and"),
    ("notes/README.md", b"x" * (1 << 23) + TEXT, "names ds1_004.jpg and"),
    ("norms.xlsx", written(lambda out: TABLE.to_excel(out, index=False)), "names ds1_004"),
    ("norms.parquet", written(TABLE.to_parquet), "names ds1_004"),
    ("labels.csv.gz", gzip.compress(TEXT, mtime=0), "names ds1_004.jpg and"),
    ("labels.bz2", bz2.compress(TEXT * 99999), "names ds1_004.jpg and"),
    ("notes.zip", written(zipped), "names ds1_004.jpg and"),
    ("._ds1_004.jpg", b"Mac OS X", "is called like 00000.tar/ds1_004.jpg"),
    ("__MACOSX/._ds1_004.jpg", b"Mac OS X", "is called like 00000.tar/ds1_004.jpg"),
    (".thumbnails/ds1_004.jpg", b"small", "is called like 00000.tar/ds1_004.jpg"),
]


@pytest.mark.parametrize(("name", "data", "how"), OTHERS, ids=[name for name, *_ in OTHERS])
def test_members_of_a_tar_that_stay_are_looked_through(tmp_path, lines, name, data, how):
    shard = tmp_path / "data/raw/00000.tar"
    write(shard, MEMBERS)
    assert lines("00000.tar/ds1_004.jpg") == []
    write(shard, MEMBERS | {name: data})
    (line,) = lines("00000.tar/ds1_004.jpg")
    assert line.startswith(f"00000.tar/{name} {how}")


def test_a_damaged_tar_is_said_to_be_unread(tmp_path, lines):
    shard = tmp_path / "data/raw/00000.tar"
    write(shard, MEMBERS)
    shard.write_bytes(shard.read_bytes()[:3200])
    assert lines("other.jpg") == [f"not looked through for names (damaged): {shard}"]


def test_hidden_copies_in_a_tar_are_found(tmp_path):
    shard = tmp_path / "data/raw/00000.tar"
    write(shard, MEMBERS | {".copy.jpg": b"picture", ".other.jpg": b"another"})
    digest = hashlib.sha256(b"picture").hexdigest()
    images = ["00000.tar/ds1_004.jpg"]
    for sizes in ({7}, None):
        search = Search(images, set(), set(), {digest: images[0]}, sizes)
        found = forget_contents.same_members([shard], search, tmp_path / "data/raw")
        assert found == {shard / ".copy.jpg": images[0]}
    search = Search(images, set(), set(), {digest: images[0]}, {8})
    assert forget_contents.same_members([shard], search, tmp_path / "data/raw") == {}
