"""What label files still say of a person when `forget` has taken the lines about the photos out."""

import json
import shutil

import openpyxl
import openpyxl.comments
import openpyxl.worksheet.table
import pytest

from facestats.labels.manual import half_written
from programs import run_program
from resources import ROOT
from test_forget_names import everything, forget, label, root  # noqa: F401

STILL = "beside the lines about the photos (in another column, sheet, filter or note)"


def named(output: str) -> list[str]:
    """The label files that are said to name somebody still, each with the verb and the name."""
    lines = [line.removeprefix("warning: ") for line in output.splitlines() if STILL in line]
    return [line.rpartition("/")[2].split(f" {STILL}")[0] for line in lines]


def book(name, *rows):
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    made.active.title = name.removesuffix(".xlsx")
    return made


def add_sheet(made):
    made.create_sheet("interviews").append(["two.png", "a secret"])


def add_column(made):
    made.active["C1"], made.active["C3"] = "twin", "two.png"


def add_filter(made):
    made.active.auto_filter.ref = "A1:B3"
    made.active.auto_filter.add_filter_column(0, ["two.png"])


def add_note(made):
    made.active["A3"].comment = openpyxl.comments.Comment("as two.png", "me")


@pytest.mark.parametrize("add", [add_sheet, add_column, add_filter, add_note])
def test_what_else_a_workbook_says_is_named(root, forget, add):  # noqa: F811
    made = book("labels.xlsx", ["image", "age"], ["two.png", 30], ["other.jpg", 40])
    made.save(root / "data/labels/labels.xlsx")
    assert named(forget("two.png", "--dry-run")) == []
    add(made)
    made.save(root / "data/labels/labels.xlsx")
    assert named(forget("two.png", "--dry-run")) == ["labels.xlsx would still name two.png"]
    assert named(forget("two.png")) == ["labels.xlsx still names two.png"]


def test_what_other_lines_say_is_named(root, forget):  # noqa: F811
    label(root, "two.png,anna,", "other.jpg,bert,two.png", header="image,person,twin")
    by_hand = root / "data/manual_labels.csv"
    by_hand.write_text("filename,person,notes\nother.jpg,bert,\ntwo.png,anna,\nIMG_1.JPG,,anna\n")
    files = [("labels.csv", "two.png"), ("manual_labels.csv", "anna")]
    dry = forget("--person", "anna", "--dry-run")
    assert named(dry) == [f"{file} would still name {name}" for file, name in files]
    assert named(forget("--person", "anna")) == [
        f"{file} still names {name}" for file, name in files
    ]


def test_what_the_pages_wrote_of_another_face_is_named(root, forget):  # noqa: F811
    journal = root / "data/interim/app/labelled.jsonl"
    journal.parent.mkdir(parents=True)
    entry = dict.fromkeys(("id", "old", "new", "who", "when", "browser"), "x")
    entries = [
        entry | {"filename": "two.png.jpg", "column": "person", "new": "anna"},
        entry | {"filename": "other.jpg", "column": "person", "old": "anna"},
    ]
    journal.write_text("".join(json.dumps(one) + "\n" for one in entries))
    label(root, "two.png,anna", "other.jpg,bert")
    assert named(forget("--person", "anna", "--dry-run")) == [
        "labelled.jsonl would still name anna"
    ]
    assert named(forget("--person", "anna")) == ["labelled.jsonl still names anna"]


@pytest.mark.parametrize("number", ["7", "7.0"])
def test_an_age_or_rating_is_nobodys_name(root, forget, number):  # noqa: F811
    (root / "data/raw/two.png").rename(root / "data/raw/7.png")
    label(root, f"7,{number},30,3", "other.jpg,8,7,7", header="image,person,age,rating")
    assert named(forget("7.png", "--dry-run")) == []
    assert named(forget("--person", "7")) == []


def test_lines_of_photos_of_a_like_name_are_not_said_to_name_it(root, forget):  # noqa: F811
    (root / "data/raw/old").mkdir()
    (root / "data/raw/old/three.jpg").write_bytes((root / "data/raw/IMG_1.JPG").read_bytes())
    label(root, "album/three.jpg,anna", "old/three.jpg,bert", "other.jpg,carl")
    for dry in (["--dry-run"], []):
        assert "labels.csv" not in "".join(
            line for line in forget("album/three.jpg", *dry).splitlines() if "name" in line
        )


TABLE = [["rater", "IMG_1.jpg", "two.png"], ["a", 3, 4], ["b", 5, 6]]


@pytest.mark.parametrize(
    ("rows", "area", "totals", "refused"),
    [
        (TABLE, "A1:C3", 0, "columns 3"),
        ([[*row[:3], "", "x"] for row in TABLE], "E1:E3", 0, "columns 3"),
        ([[*row[::-1], "x"] for row in TABLE], "B1:D3", 0, "columns 1"),
        ([[*row[::-1][1:], "", row[2]] for row in TABLE], "A1:B3", 0, None),
        ([["image", "age"], ["two.png", 3], ["other.jpg", 4]], "A1:B3", 0, None),
        ([["image", "age"], ["two.png", 3], ["other.jpg", 4], ["", ""]], "A1:B4", 1, "rows 2"),
    ],
)
def test_an_excel_table_is_not_damaged(root, forget, rows, area, totals, refused):  # noqa: F811
    name = "labels.xlsx" if rows[0][0] == "image" else "ratings.xlsx"
    made = book(name, *rows)
    table = openpyxl.worksheet.table.Table(displayName="T1", ref=area, totalsRowCount=totals)
    made.active.add_table(table)
    made.save(root / "data/labels" / name)
    before = everything(root)
    for dry in (["--dry-run"], []):
        said = forget("two.png", *dry, code=2 if refused else 0)
        if refused:
            assert f"{name} is a workbook with Excel tables, which would belong to other" in said
            assert f"remove the {refused} in a spreadsheet" in said
            assert everything(root) == before
    if not refused:
        (table,) = openpyxl.load_workbook(root / "data/labels" / name).active.tables.values()
        assert table.ref == area


BY_HAND = ["data/manual_labels.csv", "data/manual_ratings.csv", "data/interim/app/labelled.jsonl"]


@pytest.mark.parametrize("name", BY_HAND)
def test_what_a_kill_has_left_of_a_file_by_hand_goes(root, forget, name):  # noqa: F811
    """Also where there was no such file before."""
    path = half_written(root / name)
    path.parent.mkdir(parents=True, exist_ok=True)
    (root / name).unlink(missing_ok=True)
    path.write_text("filename,person\ntwo.png,anna\n")
    for dry, verb in (["--dry-run"], "would be removed"), ([], "removed"):
        said = [line for line in forget("two.png", *dry).splitlines() if str(path) in line]
        assert said == [f"{path}: {verb}: a process that was killed has left it"]
        assert path.exists() == bool(dry)


def test_what_lies_beside_a_file_behind_a_link_stays(root, forget, tmp_path):  # noqa: F811
    path = tmp_path / "others.csv"
    path.write_text("filename,rating\n")
    half_written(path).touch()
    (root / BY_HAND[1]).symlink_to(path)
    forget("two.png")
    assert half_written(path).exists()


@pytest.mark.parametrize("name", BY_HAND)
def test_git_takes_nothing_that_is_half_written(root, name):  # noqa: F811
    shutil.copyfile(ROOT / ".gitignore", root / ".gitignore")
    run_program(["git", "init", "-q"], root, check=True)
    path = half_written(root / name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    listed = run_program(["git", "ls-files", "-o", "--exclude-standard"], root, check=True).stdout
    assert "params.yaml" in listed
    assert ".new" not in listed


def test_another_first_trait_is_told(root, forget):  # noqa: F811
    """It would be the trait of all scores from then on, where `score.traits` names none."""
    lines = "two.png,ann,attractive,5\none.jpg,ann,calm,5\none.jpg,ann,attractive,4\n"
    (root / "data/labels/ratings.csv").write_text(f"image,rater,trait,rating\n{lines}")
    said = forget("two.png")
    assert "ratings.csv is calm now, no longer attractive; `score.traits: [attractive]`" in said
