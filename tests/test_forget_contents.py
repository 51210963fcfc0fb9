"""`forget` names every file that names a person, of whatever kind, and says where it can't look."""

import gzip
import io
import json
import os
import sqlite3
import tarfile
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

from facestats.cli import forget_contents
from facestats.cli.forget_traces import Search, files_of_project

PERSON = "Zoë Q."
IMAGES = ["album/p180.jpg", "zoë.jpg"]
OTHERS = ["album/p181.jpg", "anna.jpg", "ap180.jpg"]
TABLE = pd.DataFrame({"filename": [*OTHERS, IMAGES[0]], "image": [*OTHERS, IMAGES[0]], "age": 1.5})
WITHOUT = TABLE.iloc[:3]
PEOPLE = pd.DataFrame({"person": ["Anna", PERSON], "age": 1.5})


@pytest.fixture
def lines(tmp_path):
    """Looks around in a folder; gives the lines, by the name of the file that each begins with."""

    def look(few=(), staying=()) -> list[str]:
        search = Search(IMAGES, {*IMAGES, "album/p180.tem"}, {PERSON}, {}, set())
        paths = list(files_of_project(tmp_path, set()))
        finder = search.finder(["data/raw", "landmarks/tem"], staying)
        lines = forget_contents.traces(
            tmp_path, paths, finder, IMAGES, tmp_path / "data/raw", [*few]
        )
        return [line.removeprefix(f"{tmp_path}/") for line in lines]

    return look


def spss(path, table, **options):
    pytest.importorskip("pyreadstat").write_sav(table, str(path), **options)


def database(path, table):
    base = sqlite3.connect(path)
    table.to_sql("faces", base)
    base.close()


def array_with_names(path, table):
    np.save(path.open("wb"), table.iloc[:, 0].to_numpy("S"))


WRITERS = {
    "scores.parquet": lambda path, table: table.to_parquet(path),
    "scores.feather": lambda path, table: table.to_feather(path),
    "faces.dta": lambda path, table: table.to_stata(path, write_index=False, version=118),
    "faces.sav": spss,
    "saved by SPSS.sav": lambda path, table: spss(path, table, row_compress=True),
    "faces.zsav": lambda path, table: spss(path, table, compress=True),
    "faces.csv.gz": lambda path, table: table.to_csv(path),
    "faces.pkl": lambda path, table: table.to_pickle(path),
    "faces.db": database,
    "names.npy": array_with_names,
    "card.md": lambda path, table: path.write_text("\n".join(table.iloc[:, 0])),
    "report.html": lambda path, table: path.write_text(table.to_html()),
    "UTF-16.txt": lambda path, table: table.to_csv(path, sep="\t", encoding="utf-16"),
}


def packed(path, form, name, data):
    """A file in an archive."""
    if form == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "of a study")
            archive.writestr(name, data)
    elif form == ".gz":
        path.write_bytes(gzip.compress(data))
    else:
        with tarfile.open(path, "w:gz" if form == ".tgz" else "w") as archive:
            for own, text in (("readme.txt", b"of a study"), (name, data)):
                member = tarfile.TarInfo(own)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))


@pytest.mark.parametrize("form", [".zip", ".tar", ".tgz", ".gz"])
def test_archives_within_archives_are_said_to_be_unread(tmp_path, lines, form):
    TABLE.to_excel(tmp_path / "norms.xlsx", index=False)
    data = (tmp_path / "norms.xlsx").read_bytes()
    (tmp_path / "norms.xlsx").unlink()
    path = tmp_path / f"base{form}"
    packed(path, form, "norms.xlsx", data)
    assert lines() == [f"not looked through for names (archives within archives): {path}"]
    packed(path, form, "norms.csv", TABLE.to_csv().encode())
    assert lines()[0].startswith(f"base{form} names {IMAGES[0]}")
    packed(path, form, "norms.csv", WITHOUT.to_csv().encode())
    assert lines() == []


@pytest.mark.parametrize("columns", [("id", "name", "mail"), ("code", "name"), ("name", "age")])
def test_a_person_is_found_between_other_cells_of_a_database(tmp_path, lines, columns):
    """SQLite writes the cells of a row without anything between them."""
    cells = {"id": 50, "mail": "a@x.org", "code": "x1", "age": 50}
    for person in ("Anna", PERSON):
        database(tmp_path / "people.db", pd.DataFrame([cells | {"name": person}])[[*columns]])
        named = [f"people.db names {PERSON} and is read by no stage; look through it yourself"]
        assert lines() == (named if person == PERSON else [])
        (tmp_path / "people.db").unlink()


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_any_kind_that_names_the_photo_is_named(tmp_path, lines, name):
    if not name.startswith(("faces.db", "names.npy")):  # whose cells may touch each other
        WRITERS[name](tmp_path / name, WITHOUT)
        assert lines() == []
    WRITERS[name](tmp_path / name, TABLE)
    (line,) = lines()
    assert line == f"{name} names {IMAGES[0]} and is read by no stage; look through it yourself"


@pytest.mark.parametrize(
    "name", [name for name in WRITERS if name not in ("card.md", "names.npy", "faces.pkl")]
)
def test_a_file_of_any_kind_that_names_the_person_is_named(tmp_path, lines, name):
    WRITERS[name](tmp_path / name, PEOPLE)
    (line,) = lines()
    assert line.startswith(f"{name} names {PERSON} and")


def test_a_name_is_found_as_json_and_html_escape_it(tmp_path, lines):
    (tmp_path / "a.json").write_text(json.dumps({"photo": "data/raw/zoë.jpg"}))
    (tmp_path / "b.html").write_text('<a href="data/raw/zo%C3%AB.jpg">x</a>')
    (tmp_path / "c.txt").write_bytes("zoë.jpg\n".encode("cp1252"))
    assert [line.partition(" ")[0] for line in lines()] == ["a.json", "b.html", "c.txt"]


WAYS = [
    *(
        "p180.jpg",
        "./data/raw/album/p180.jpg",
        "../p4/data/raw/album/p180.jpg",
        "raw/album/p180.jpg",
    ),
    *("/home/anna/my study/raw/album/p180.jpg", r"data\raw\album\p180.jpg", r"C:\s\album\p180.jpg"),
    *(
        "ALBUM/P180.JPG",
        "album/p180",
        r"D:\faces\Album\p180",
        "./p180.jpg",
        "ZOË.JPG",
        r"C:\zoë.jpg",
    ),
    *("https://x.org/album/p180.jpg?a=1", "file:///data/zo%C3%AB.jpg", "Zo\u0065\u0308.jpg"),
]
NO_WAYS = [
    *(
        "ap180.jpg",
        "album/ap180.jpg",
        "p180.jpgs",
        "album/p180 b.jpg",
        "album/p180-b",
        "album/p1801",
    ),
    *(
        "other/p180.jpg",
        "myalbum/p180.jpg",
        "old-album/p180.jpg",
        "p180",
        "p180.png",
        "album/p180.5",
    ),
]
TABLE_WRITERS = {
    "a.csv": lambda table, path: table.to_csv(path),
    "a.json": lambda table, path: table.to_json(path),
    "a.jsonl": lambda table, path: table.to_json(path, orient="records", lines=True),
    "a.parquet": lambda table, path: table.to_parquet(path),
    "a.npy": lambda table, path: np.save(path, table["image"].to_numpy().astype(str)),
    "a.npz": lambda table, path: np.savez(path, image=table["image"].to_numpy().astype(str)),
    "a.txt": lambda table, path: table.to_csv(path, sep="\t", encoding="utf-16"),
}


@pytest.mark.parametrize("name", TABLE_WRITERS)
@pytest.mark.parametrize("way", WAYS)
def test_a_path_is_found_however_it_is_written(tmp_path, lines, name, way):
    TABLE_WRITERS[name](
        pd.DataFrame({"image": ["x.jpg", way, "y" * 40 + ".jpg"], "age": 1.5}), tmp_path / name
    )
    (line,) = lines()
    assert line.startswith(f"{name} names ")


def test_names_of_an_array_that_touch_each_other_are_found(tmp_path, lines):
    np.save(tmp_path / "a.npy", np.array(["p181.jpg", "P180.jpg", "p182.jpg"]))
    np.save(tmp_path / "b.npy", np.array(["p181.jpg", "p182.jpg"]))
    assert lines() == ["a.npy names P180.jpg and is read by no stage; look through it yourself"]


@pytest.mark.parametrize("name", [name for name in TABLE_WRITERS if "np" not in name])
def test_a_path_of_another_photo_is_not_found(tmp_path, lines, name):
    TABLE_WRITERS[name](pd.DataFrame({"image": NO_WAYS, "age": 1.5}), tmp_path / name)
    assert lines() == []


def test_a_name_that_a_photo_that_stays_has_too_is_said_to_be_unsure(tmp_path, lines):
    staying = ["other/p180.jpg", "album/p180.png", "guests/zoë.jpg"]
    for text, word in {
        "p180.jpg": "may name",
        "album/p180": "may name",
        "p180.jpg,album/p180.jpg": "names",
        "/data/other/p180.jpg": None,
        "/data/album/p180.jpg": "names",
        r"C:\guests\zoë.jpg": None,
        r"C:\myguests\zoë.jpg": "names",
        "zoë.jpg": "names",
    }.items():
        (tmp_path / "a.csv").write_text(f"image\n{text}\n")
        found = lines(staying=staying)
        assert [line.split("a.csv ")[1].startswith(word) for line in found] == [True] * bool(word)


def test_names_in_xml_are_found(tmp_path):
    image = "a/Tom & Ann's.jpg"
    names = forget_contents.Names(Search([image], {image}, set(), {}, set()).finder([], []))
    table = pd.DataFrame({"image": [image], "age": 1.5})
    workbook(tmp_path / "a.xlsx", image)
    table.to_xml(tmp_path / "b.xml", parser="etree")
    table.to_xml(tmp_path / "c.xml", parser="etree", attr_cols=["image"])
    table.to_html(tmp_path / "d.html")
    named, _ = forget_contents.files_that_name(sorted(tmp_path.iterdir()), names)
    assert [path.name for path in named] == ["a.xlsx", "b.xml", "c.xml", "d.html"]


@pytest.mark.parametrize(
    ("image", "text", "found"),
    [
        *(("x/1.jpg", text, False) for text in ("11.jpg", "x/11.jpg", "y/1.jpg", "1.jpgs", "1")),
        *(("x/1.jpg", text, True) for text in ("1.jpg", "(1.jpg)", "x/1", "../1.jpg")),
        *(("x/1.ps", text, False) for text in ("see 1.ps there", "v1.ps")),
        *(("x/1.ps", text, True) for text in ("1.ps", "a,1.ps,b", "../x/1.ps")),
    ],
)
def test_a_short_name_is_no_chance_among_other_text(image, text, found):
    names = forget_contents.Names(Search([image], {image}, set(), {}, set()).finder([], []))
    assert bool(names.first_in(text.encode())) == found


def export(folder):
    for name in ("landmarks/tem/album", "embeddings"):
        (folder / name).mkdir(parents=True)
    (folder / "landmarks/landmarks.tps").write_text("LM=1\n1.0 2.0\nID=album/p180.jpg\n")
    for name in ("p180", "p181"):
        (folder / f"landmarks/tem/album/{name}.tem").write_text("1\n1.0 2.0\n0\n")
    np.save(folder / "embeddings/embeddings.npy", np.ones((4, 8), np.float32))
    np.save(folder / "embeddings/embeddings.f16.npy", np.ones((4, 8), np.float16))
    TABLE.to_csv(folder / "embeddings/embeddings_names.csv")
    files = ["landmarks/tem/album/p180.tem", "embeddings/embeddings.npy"]
    (folder / "export.json").write_text(json.dumps({"files": files}, indent=1))


def test_all_of_an_export_that_holds_the_person_is_named(tmp_path, lines):
    export(tmp_path / "export")
    named = {line.partition(" ")[0].removeprefix("export/"): line for line in lines()}
    assert set(named) == {
        "export.json",
        "embeddings/embeddings.npy",
        "embeddings/embeddings.f16.npy",
        "embeddings/embeddings_names.csv",
        "landmarks/landmarks.tps",
        "landmarks/tem/album/p180.tem",
    }
    assert "holds embeddings; by" in named["embeddings/embeddings.npy"]
    assert "is called like album/p180.jpg" in named["landmarks/tem/album/p180.tem"]
    (tmp_path / "export/embeddings/embeddings_names.csv").unlink()
    assert any("embeddings.npy holds embeddings; by" in line for line in lines())


def test_pictures_that_are_called_like_the_photo_are_named(tmp_path, lines):
    called = ["out/p180.png", "out/album/p180_more.png", "stimuli/zoë.jpg.png", "x/Zoë (2).webp"]
    others = ["out/p1800.png", "other/p180.png", "out/p18.png", "data/raw/other/p180.jpg", "a.jpg"]
    for name in [*called, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"picture")
    found = [line.partition(" is called like")[0] for line in lines()]
    assert sorted(found) == sorted(called)
    assert lines(few=[tmp_path / "out", tmp_path / "x", tmp_path / "stimuli"]) == []


def test_settings_that_name_the_photo_are_no_files_that_no_stage_reads(tmp_path, lines):
    (tmp_path / "params.yaml").write_text("stimuli: {a: {images: [album/p180.jpg]}}\n")
    assert lines() == ["params.yaml names album/p180.jpg; take that out"]


def workbook(path, cell):
    book = openpyxl.Workbook()
    book.active.append(["image", cell])
    book.save(path)


def test_where_it_cannot_look_it_says_so_and_fails_on_nothing(tmp_path, lines, monkeypatch):
    WITHOUT.to_parquet(tmp_path / "cut.parquet")
    whole = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.sav").write_bytes(b"")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(os.urandom(9999))[:-500])
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.7 \xff")
    (tmp_path / "named.pdf").write_bytes(b"%PDF-1.7 (album/p180.jpg) \xff")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to("/etc/passwd")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", "x")
    (tmp_path / "cut.zip").write_bytes(file.getvalue()[:-30])
    (tmp_path / "large.csv").write_text("a,b\n" * 100)
    monkeypatch.setattr(forget_contents, "_MOST", 300)
    monkeypatch.setattr(forget_contents, "_CHUNK", 64)
    lines = lines()
    assert (
        "named.pdf names album/p180.jpg and is read by no stage; look through it yourself" in lines
    )
    unread = " ".join(line for line in lines if "not looked through for names" in line)
    for name in ("cut.parquet", "empty.sav", "cut.gz", "paper.pdf", "cut.zip", "large.csv"):
        assert f"/{name}" in unread, name
    assert "pipe" not in unread
    assert "link" not in unread


def test_a_name_across_parts_is_found_and_one_that_a_part_cuts_is_not(tmp_path, lines, monkeypatch):
    monkeypatch.setattr(forget_contents, "_CHUNK", 64)
    monkeypatch.setattr(forget_contents, "_OVERLAP", 32)
    path = tmp_path / "long.csv"
    for at in range(100, 180):
        before = ("x,\n" * 99)[:at]
        for text, found in (("\nalbum/p180.jpg\n", 1), ("-aalbum/p180.jpgs", 0)):
            path.write_text(before + text + "x,\n" * 99)
            assert len(lines()) == found, (at, text)


def test_a_workbook_of_any_name_is_read(tmp_path, lines):
    workbook(tmp_path / "a.xlsm", PERSON)
    workbook(tmp_path / "b.xlsx", "album/p180.jpg")
    workbook(tmp_path / "c.xlsx", "album/p181.jpg")
    assert [line.partition(" ")[0] for line in lines()] == ["a.xlsm", "b.xlsx"]
