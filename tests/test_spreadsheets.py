"""A CSV file for people: no cell is a formula to a spreadsheet, and each is read back as it was."""

import csv
import io
import re
from pathlib import Path

import pandas as pd
import pytest

from facestats.composites.members import Members
from facestats.core import tables
from facestats.core.files import (
    csv_text,
    with_apostrophe,
    without_apostrophe,
    write_csv,
    write_plot_csv,
)
from facestats.groups.tables import MEMBER_LANDMARKS
from facestats.labels.csv_text import read_csv, without_columns
from facestats.labels.manual import merge_labels
from resources import ROOT

FORMULAS = [
    "'\tann",
    "'\rann",
    "''\nann",
    "=cmd|' /C calc'!A0",
    "=1+1",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "＝1+1",
    "＋1",
    "－1-1",
    "＠x",
    "−1+1",
    "﹦x",
    '"=1',
    "'=1",
    "''=1",
    "  '=1",
    "\t=1",
    "\tx",
    "\rx",
    "\n=1",
    "\u200b=1",
    "\u202e=1",
    "\ufeff=1",
    "=",
    "@",
    "'-",
    "'-5",
    "-x.jpg",
    "+49 30 1234",
    "=a,b",
    '=HYPERLINK("https://x.org","y")',
    "=a\nb",
    "=a\rb",
]
PLAIN = [
    "x.jpg",
    "-",
    "--",
    "-5",
    "+5",
    "-0.5",
    "-1e-05",
    "1,5",
    "−5",
    "'",
    "''",
    "'x'",
    "O'Brien",
    "it's =",
    "a=b",
    "a-b",
    "a@b.org",
    "",
    "'x",
    "a\rb",
    "a;b",
]


@pytest.mark.parametrize("text", [*FORMULAS, *PLAIN])
def test_every_text_comes_back_and_none_is_a_formula(text):
    written = with_apostrophe(text)
    assert without_apostrophe(written) == text
    assert written == (text if text in PLAIN else f"'{text}")


def test_numbers_stay_numbers():
    table = pd.DataFrame({"pc1": [-1.5, 2.0], "n": [-3, 4], "name": ["-a", None]})
    assert csv_text(table) == "pc1,n,name\n-1.5,-3,'-a\n2.0,4,\n"


def test_names_of_columns_are_texts_too():
    assert csv_text(pd.DataFrame({"=x": [1]})) == "'=x\n1\n"


def test_our_reader_gives_names_back(tmp_path):
    names = [
        text for text in [*FORMULAS, *PLAIN] if text == text.strip() and text.isprintable() and text
    ]
    write_csv(
        tmp_path / "labels.csv",
        pd.DataFrame({"image": names, "gender": ["female"] * len(names)}),
        "utf-8-sig",
    )
    assert read_csv(tmp_path / "labels.csv").table["image"].tolist() == names
    cells = [
        row[0]
        for row in csv.reader(
            io.StringIO((tmp_path / "labels.csv").read_text(encoding="utf-8-sig"))
        )
    ]
    assert not [cell for cell in cells if re.match(r"[=@＝＋－＠]|[+-](?![\d-]*[\d.e-]*$)", cell)]


def test_a_line_end_inside_of_a_cell_begins_no_line(tmp_path):
    write_csv(
        tmp_path / "labels.csv",
        pd.DataFrame({"image": ["a.jpg"], "gender": ["x\r=1+1"], "notes": ["y"]}),
    )
    assert read_csv(tmp_path / "labels.csv").table["gender"].tolist() == ["x\r=1+1"]
    (tmp_path / "labels.csv").write_bytes(
        without_columns((tmp_path / "labels.csv").read_bytes(), [2], tmp_path / "labels.csv")
    )
    assert read_csv(tmp_path / "labels.csv").table["gender"].tolist() == ["x\r=1+1"]


def test_labels_by_hand_are_merged_under_such_names(tmp_path):
    path = tmp_path / "manual.csv"
    images = {"=cmd.jpg": "=cmd.jpg", "'=cmd.jpg": "'=cmd.jpg", "-5.jpg": "-5.jpg"}
    merge_labels(path, {name: {"gender": "@woman"} for name in images}, images)
    assert path.read_text(encoding="utf-8").splitlines()[1:] == [
        "'=cmd.jpg,'@woman,,,,",
        "''=cmd.jpg,'@woman,,,,",
        "'-5.jpg,'@woman,,,,",
    ]
    (change,) = merge_labels(path, {"=cmd.jpg": {"gender": "@woman"}}, images)
    assert not change.changed
    assert read_csv(path).table[["filename", "gender"]].to_numpy().tolist() == [
        [name, "@woman"] for name in images
    ]


def test_members_of_a_composite_are_found_under_such_names(tmp_path):
    names = ["'=a.jpg", "-b.jpg", "=a.jpg"]
    write_csv(
        tmp_path / "members.csv",
        pd.DataFrame({"image": names, "filename": names, "rating": [1.0, 2.0, 3.0], "person": 0}),
    )
    landmarks = pd.DataFrame(
        {
            "filename": pd.Series(names, dtype="str"),
            "landmarks": [None] * 3,
            "yaw": pd.Series([0.0] * 3, dtype="float32"),
        }
    )
    tables.write(landmarks, tmp_path / MEMBER_LANDMARKS.name, MEMBER_LANDMARKS)
    assert Members(tmp_path / "members.csv", tmp_path).names == set(names)


def test_a_class_ends_no_script_of_a_page_of_plots(tmp_path):
    write_plot_csv(
        tmp_path / "c.csv",
        pd.DataFrame({"actual": ["</script><script>alert(1)</script>", None], "n": [1, 2]}),
    )
    assert (tmp_path / "c.csv").read_text(
        encoding="utf-8"
    ) == "actual,n\n‹/script>‹script>alert(1)‹/script>,1\n,2\n"
    texts = {
        path.name: path.read_text(encoding="utf-8")
        for place in ("stages", "src/facestats/attributes")
        for path in (ROOT / place).glob("*.py")
    }
    drawn = {name for name, text in texts.items() if "write_plot_csv(" in text}
    assert drawn == {"clusters.py", "evaluate.py", "confusion.py"}
    assert not [name for name in drawn if "write_csv(" in texts[name]]


def test_no_table_is_written_in_another_way():
    places = [
        path
        for folder in ("src", "stages")
        for path in (ROOT / folder).rglob("*.py")
        if ".to_csv(" in path.read_text(encoding="utf-8")
    ]
    assert [path.relative_to(ROOT).as_posix() for path in places] == ["src/facestats/core/files.py"]
    assert [
        path
        for path in (ROOT / "stages").glob("*.py")
        if "csv.writer" in Path(path).read_text(encoding="utf-8")
    ] == []
