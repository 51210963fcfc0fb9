"""Small files that would take gigabytes, or hours, and damaged tables: errors that name them."""

import io
import os
import re
import struct
import tracemalloc
import zipfile
import zlib

import pytest

from datasets import MAKERS, put, workbook, write
from facestats.errors import InputError
from facestats.importers import matlab, tree
from facestats.importers.content import Choices
from facestats.importers.registry import DATASETS, KNOWN
from facestats.importers.run import import_dataset
from test_import_datasets import table


def bring(tmp_path, name="csv", **columns):
    choices = Choices(columns=columns)
    return import_dataset(DATASETS[name], KNOWN, tmp_path / "s", tmp_path / "data", choices)


def refused(tmp_path, match, name="csv", **columns):
    tracemalloc.start()
    with pytest.raises(InputError, match=match):
        bring(tmp_path, name, **columns)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150 << 20
    assert not (tmp_path / "data").exists()


def test_a_row_far_below_the_others(tmp_path):
    put(tmp_path / "s", "a.jpg")
    workbook(tmp_path / "s/t.xlsx", labels=[["image", "gender"], ["a.jpg", "female"]])
    before = io.BytesIO((tmp_path / "s/t.xlsx").read_bytes())
    row = b'<row r="1000000000"><c r="A1000000000"><v>1</v></c></row></sheetData>'
    with (
        zipfile.ZipFile(before) as old,
        zipfile.ZipFile(tmp_path / "s/t.xlsx", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"</sheetData>", row))
    refused(tmp_path, "names a row or cell '1000000000', which no sheet has", image="image")


def test_a_count_of_thousands_of_digits(tmp_path):
    MAKERS["celeba"](tmp_path / "s")
    path = tmp_path / "s/celeba/list_attr_celeba.txt"
    path.write_text(path.read_text().replace("4\n", "4" * 5000 + "\n", 1))
    assert "first line promises 44444444444444444444 rows" in str(bring(tmp_path, "celeba").notes)


@pytest.mark.long
@pytest.mark.parametrize(
    ("wide", "lines", "match"),
    [
        (1000, 20_000, "has 1002 columns and 20001 rows, nearly all of them empty"),
        (20_000, 10, "has 20002 columns; at most 5000 are read"),
        (1, 2_000_000, "of more than 1100000 lines, 8 are expected"),
    ],
)
def test_a_wide_header_and_many_short_lines(tmp_path, wide, lines, match):
    put(tmp_path / "s", "a.jpg")
    header = "image,gender," + ",".join(f"c{i}" for i in range(wide))
    write(tmp_path, "s/t.csv", f"{header}\na.jpg,female\n" + "b\n" * lines)
    refused(tmp_path, match, image="image")


def test_an_archive_with_a_wide_header(tmp_path):
    MAKERS["omi"](tmp_path / "s")
    text = "stimulus,attribute,rating," + ",".join(f"c{i}" for i in range(1000)) + "\n"
    with zipfile.ZipFile(tmp_path / "s/attribute_ratings.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.csv", text + "1\n" * 100_000)
    refused(tmp_path, r"attribute_ratings\.zip has 1003 columns and 100001 rows", "omi")


def test_a_compressed_part_that_unpacks_to_far_more(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "FREE_BYTES", 1 << 20)
    packed = zlib.compress(bytes(16 << 20), 9)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")
    (tmp_path / "s/wiki_crop").mkdir(parents=True)
    part = struct.pack("<II", 15, len(packed)) + packed
    (tmp_path / "s/wiki_crop/wiki.mat").write_bytes(header + part)
    refused(tmp_path, r"wiki\.mat is damaged, .* it unpacks to more than 1 MiB", "imdbwiki")


def test_folders_within_folders_within_folders(tmp_path):
    put(tmp_path / "s", "a/" * (tree.DEEPEST + 2) + "1.jpg")
    refused(tmp_path, "has folders within folders, more than 64", image="image")


def test_the_tables_own_column_of_images_does_not_count_where_another_names_them(tmp_path):
    put(tmp_path / "s", "a.jpg", "b.jpg")
    write(tmp_path, "s/t.csv", "file,image,rating,\na.jpg,b.jpg,1,\nb.jpg,a.jpg,9,\n")
    done = bring(tmp_path, image="file")
    assert table(tmp_path / "data")["rating"].to_dict() == {"a.jpg": "1", "b.jpg": "9"}
    assert done.notes == ["the table's column image is left out, for file names the photos"]


def test_without_a_mapping_ages_and_ratings_are_read_as_the_pipeline_does(tmp_path):
    put(tmp_path / "s", "a.jpg", "b.jpg")
    write(tmp_path, "s/t.csv", f"image,score,age\na.jpg,2.5,31\nb.jpg,good,{'9' * 400}\n")
    done = bring(tmp_path)
    assert table(tmp_path / "data").loc["a.jpg"].to_dict() == {"age": "31.0", "rating": "2.5"}
    assert done.notes == ["t.csv: read 'score' as rating"]
    assert {reason.partition(" is no")[0] for reason in done.left_out} == {"score", "age"}


@pytest.mark.parametrize(
    ("name", "file", "column"),
    [
        ("fairface", "fairface_label_train.csv", "age"),
        ("lagenda", "lagenda_annotation.csv", "age"),
        ("adience", "fold_0_data.txt", "gender"),
        ("london", "london_faces_info.csv", "face_age"),
        ("3dsk", "raw_3dsk_info.csv", "rating"),
    ],
)
def test_a_column_named_twice(tmp_path, name, file, column):
    MAKERS[name](tmp_path / "s")
    path = next((tmp_path / "s").rglob(file))
    first, _, rest = path.read_text().partition("\n")
    path.write_text(f"{first}{',' if ',' in first else chr(9)}{column}\n{rest}")
    refused(tmp_path, f"{file} has the column '{column}' twice; remove one of them", name)


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        ('"' + "x" * 140_000 + '"', r"t\.csv, line 2: field larger than field limit"),
        ('"x', r"t\.csv, line \d: unexpected end of data; close the quotation mark"),
        ('"1,234"', "score: '1,234' may be a decimal number or thousands"),
    ],
)
def test_cells_that_are_not_guessed(tmp_path, cell, match):
    put(tmp_path / "s", "a.jpg")
    write(tmp_path, "s/t.csv", f"image,score\na.jpg,{cell}\n")
    refused(tmp_path, match, image="image", rating="score")


def test_decimal_commas_that_others_make_clear(tmp_path):
    put(tmp_path / "s", "a.jpg", "b.jpg")
    write(tmp_path, "s/t.csv", "image;score\na.jpg;1,234\nb.jpg;0,5\n")
    bring(tmp_path, image="image", rating="score")
    assert table(tmp_path / "data")["rating"].tolist() == ["1.234", "0.5"]


def test_names_that_are_not_utf8_are_counted(tmp_path):
    put(tmp_path / "s", "a.jpg")
    os.mkdir(os.fsencode(tmp_path / "s") + b"/\xff")
    write(tmp_path, "s/t.csv", "image,sex\na.jpg,f\n")
    done = bring(tmp_path, image="image")
    assert done.left_out == {"names that are not UTF-8; rename them": ["?"]}


def test_features_with_halves_of_characters_and_endless_numbers(tmp_path):
    MAKERS["ffhq"](tmp_path / "s")
    whole, *_ = sorted((tmp_path / "s").rglob("00002.json"))
    text = whole.read_text()
    for odd in (text.replace('"male"', r'"\ud800"').replace('"female"', r'"\ud800"'),
                re.sub(r'"left": ?\d+', '"left": ' + "9" * 400, text)):  # fmt: skip
        assert odd != text
        whole.write_text(odd)
        done = import_dataset(DATASETS["ffhq"], KNOWN, tmp_path / "s", tmp_path / f"d{len(odd)}")
        unread = done.left_out["features that can't be read"]
        assert any(path.endswith("00002.json") for path in unread)


def test_folders_whose_names_look_alike_are_named(tmp_path):
    put(tmp_path / "s", "fem\u200bale/a.jpg", "female/b.jpg")
    choices = Choices(subfolders="gender")
    done = import_dataset(DATASETS["folder"], KNOWN, tmp_path / "s", tmp_path / "data", choices)
    assert table(tmp_path / "data")["gender"].tolist() == ["female", "female"]
    assert done.notes == [
        "the folders 'female' and 'fem\\u200bale' differ only in characters that nobody sees, and "
        "are read as one"
    ]


@pytest.mark.long
def test_a_mat_file_that_was_cut_off(tmp_path):
    MAKERS["imdbwiki"](tmp_path / "s")
    for path in (tmp_path / "s").rglob("*.mat"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(tmp_path, r"\.mat is damaged, or not that of IMDB-WIKI", "imdbwiki")


@pytest.mark.long
def test_a_mat_file_that_crashes_its_reader(tmp_path):
    """One byte makes an array of cells say that it is of another kind: SciPy reads past its end."""
    MAKERS["imdbwiki"](tmp_path / "s")
    path = tmp_path / "s/wiki_crop/wiki.mat"
    data = bytearray(path.read_bytes())
    data[649] = 1
    path.write_bytes(data)
    refused(tmp_path, r"wiki\.mat is damaged: reading it ends the process", "imdbwiki")
