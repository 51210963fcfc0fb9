"""`forget` finds the photos that are meant, or removes nothing; what it leaves, it names.

Without any run of DVC.
"""

import json
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import openpyxl
import openpyxl.chart
import openpyxl.styles
import pandas as pd
import pytest
import yaml
from PIL import Image

import warm
from facestats.__main__ import main
from facestats.cli.forget_journal import Journal
from programs import run_program
from resources import ROOT, encode

PHOTOS = ("Zoë.jpg", "IMG_1.JPG", "two.png", "album/three.jpg", "other.jpg")


def nfd(name: str) -> str:
    return unicodedata.normalize("NFD", name)


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "project"
    for name in ("data/raw/album", "data/labels", ".dvc"):
        (root / name).mkdir(parents=True)
    for i, name in enumerate(PHOTOS):
        pixels = np.random.default_rng(i).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        (root / "data/raw" / name).write_bytes(encode(Image.fromarray(pixels), "PNG"))
    shutil.copyfile(ROOT / "dvc.yaml", root / "dvc.yaml")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"images": "data/raw", "labels": "data/labels"}
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (root / "data/manual_labels.csv").write_text("filename,gender,ethnicity,age,rating,person\n")
    return root


@pytest.fixture
def forget(root, capsys):
    """Runs the command and returns what it says."""

    def run(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        status = main(["forget", *arguments, "--root", str(root)])
        output = "".join(capsys.readouterr())
        assert status == code, output
        return output

    return run


def label(root: Path, *lines: str, header: str = "image,person", name: str = "labels.csv") -> None:
    (root / "data/labels" / name).write_text("\n".join([header, *lines, ""]), encoding="utf-8")


def left(root: Path) -> set[str]:
    return {
        path.relative_to(root / "data/raw").as_posix()
        for path in (root / "data/raw").rglob("*")
        if path.is_file()
    }


def everything(root: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


@pytest.mark.long
@pytest.mark.parametrize(
    ("written", "photo"),
    [
        (nfd("Zoë.jpg"), "Zoë.jpg"),
        ("zoë.jpg", "Zoë.jpg"),
        ("Zoë", "Zoë.jpg"),
        ("IMG_1.jpg", "IMG_1.JPG"),
        ("img_1", "IMG_1.JPG"),
        ("two.png.jpg", "two.png"),
        ("two", "two.png"),
        ("album\\three.jpg", "album/three.jpg"),
        ("three.jpg", "album/three.jpg"),
        ("data/raw/two.png", "two.png"),
    ],
)
def test_a_label_in_another_form_leads_to_the_photo(root, forget, written, photo):
    label(root, f"{written},anna", "other.jpg,bert")
    forget("--person", "anna")
    assert left(root) == {*PHOTOS} - {photo}
    assert (root / "data/labels/labels.csv").read_text() == "image,person\nother.jpg,bert\n"


@pytest.mark.long
@pytest.mark.parametrize("written", ["zoë", nfd("Zoë.jpg"), "data/raw/Zoë.jpg"])
def test_a_photo_named_in_another_form_goes_with_all_lines_about_it(root, forget, written):
    label(root, f"{nfd('Zoë.jpg')},31", "zoë,32", "other.jpg,33", header="image,age")
    label(root, "ZOË.JPG,5", "other.jpg,3", header="image,rating", name="ratings.csv")
    assert "is read as Zoë.jpg" in forget(written)
    assert left(root) == {*PHOTOS} - {"Zoë.jpg"}
    assert (root / "data/labels/labels.csv").read_text() == "image,age\nother.jpg,33\n"
    assert (root / "data/labels/ratings.csv").read_text() == "image,rating\nother.jpg,3\n"


def test_databases_of_dvc_that_name_earlier_files_are_named(root, forget, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    label(root, "two.png,anna")
    assert f"in DVC's databases, {tmp_path}/site/repo; remove them" in forget("two.png")


def test_the_command_waits_for_no_other_one(root, forget):
    label(root, "two.png,anna")
    before = everything(root)
    with Journal(root).alone():
        assert "another `forget` is at work" in forget("two.png", code=2)
        assert "nothing removed" in forget("two.png", "--dry-run")
    assert everything(root) == before


def test_the_person_may_be_written_in_another_form_of_unicode(root, forget):
    label(root, f"other.jpg,{nfd('Zoë')}")
    forget("--person", "Zoë")
    assert "other.jpg" not in left(root)


@pytest.mark.long
@pytest.mark.parametrize(
    ("lines", "arguments", "expected"),
    [
        (
            ["Zoë.jpg,anna", "gone.jpg,anna"],
            ["--person", "anna"],
            "labels.csv, line 3: gone.jpg, a photo of anna, is not in",
        ),
        (["album/thre.jpg,anna"], ["--person", "anna"], "did you mean album/three.jpg"),
        (["Zoë.jpg,anna"], ["--person", "Anna"], "did you mean anna?"),
        (["Zoë.jpg,anna"], ["--person", "ana"], "did you mean anna?"),
        (["gone.jpg,anna"], ["gone.jpg"], "gone.jpg: a label file names it, but it is not in"),
        ([], ["two.jpg"], "did you mean two.png?"),
        ([], ["Zoë.jpg", "fuor.jpg"], "fuor.jpg: no such image in"),
    ],
)
def test_what_is_not_found_is_named_and_nothing_goes(root, forget, lines, arguments, expected):
    label(root, *lines)
    before = everything(root)
    for dry in ([], ["--dry-run"]):
        output = forget(*arguments, *dry, code=2)
        assert expected in output
        assert "nothing was removed" in output
    assert everything(root) == before


def test_a_name_that_may_be_two_photos_is_asked_about(root, forget):
    (root / "data/raw/second").mkdir()
    shutil.copyfile(root / "data/raw/two.png", root / "data/raw/second/three.jpg")
    label(root, "three.jpg,anna")
    before = everything(root)
    assert "may be album/three.jpg or second/three.jpg" in forget("--person", "anna", code=2)
    assert everything(root) == before


def test_a_photo_that_is_gone_already_is_passed_over_where_asked(root, forget):
    label(root, "gone.jpg,anna", "Zoë.jpg,anna", "other.jpg,bert")
    assert "gone.jpg is not in" in forget("--person", "anna", "--allow-missing")
    assert (root / "data/labels/labels.csv").read_text() == "image,person\nother.jpg,bert\n"
    assert "Zoë.jpg" not in left(root)


def test_two_label_files_that_contradict_each_other_are_asked_about(root, forget):
    label(root, "Zoë.jpg,anna")
    (root / "data/manual_labels.csv").write_text("filename,person\nZoë.jpg,bert\n")
    output = forget("--person", "anna", code=2)
    assert (
        "Zoë.jpg shows anna by labels.csv, line 2, and bert by manual_labels.csv, line 2" in output
    )
    assert left(root) == {*PHOTOS}


def test_copies_elsewhere_in_the_project_are_found_by_their_bytes(root, forget):
    for name in ("data/old/a.bin", "data/raw/.hidden.jpg", "data/processed/preproc/x.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / "data/raw/Zoë.jpg", root / name)
    shutil.copyfile(root / "data/raw/Zoë.jpg", root / "data/raw/copy.png")  # goes with it
    (root / "data/Lables.csv").write_text("image,age\nZoë.jpg,31\n")
    label(root, "copy.png,bert")
    for dry, code in ((["--dry-run"], 0), ([], 1)):
        output = forget("Zoë.jpg", *dry, code=code)
        assert f"{root}/data/old/a.bin has the same bytes as Zoë.jpg" in output
        assert f"{root}/data/raw/.hidden.jpg has the same bytes" in output
        assert f"outs hold 1 picture of them ({root}/data/processed/preproc/x.jpg)" in output
        assert f"{root}/data/Lables.csv names Zoë.jpg and is read by no stage" in output
    assert "copy.png" not in left(root)
    assert "copy.png has the same bytes and goes, too; label files say that it shows bert" in output


def test_tables_shapes_and_pictures_that_no_stage_reads_are_named(root, forget):
    """What `score` and `export` write beside CSV was left without a word."""
    table = pd.DataFrame({"image": ["album/three.jpg", "other.jpg"], "score": [1.5, 2.5]})
    table.to_parquet(root / "scores.parquet")
    table.to_stata(root / "faces.dta", write_index=False)
    (root / "notes.md").write_text("Shown: data/raw/album/three.jpg.\n")
    for name in ("export/tem/album/three.tem", "stimuli/three.png", "stimuli/other.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"468\n1.000 2.000\n")
    (root / "paper.pdf").write_bytes(b"%PDF-1.7")
    output = forget("album/three.jpg")
    for name in ("scores.parquet", "faces.dta", "notes.md"):
        assert f"warning: {root}/{name} names " in output
    for name in ("export/tem/album/three.tem", "stimuli/three.png"):
        assert f"warning: {root}/{name} is called like album/three.jpg, and stays" in output
    assert f"for names (of a kind that can't be read): {root}/paper.pdf\n" in output
    assert "other.png" not in output


@pytest.mark.long
def test_a_copy_whose_name_is_no_utf8_goes_as_well(root):
    """Files of others may have any name; tables and rows hold none that is no UTF-8."""
    photos, recipe = os.fsencode(root / "data/raw"), root / ".dvc/facestats-rows/embed" / ("a" * 32)
    recipe.mkdir(parents=True)
    shutil.copyfile(os.path.join(photos, b"two.png"), os.path.join(photos, b"l\xff.png"))
    run_program([warm.python(), "-m", "facestats", "forget", "two.png"], root, check=True)
    assert {b"two.png", b"l\xff.png"}.isdisjoint(os.listdir(photos))


def test_the_whole_group_of_copies_is_named(root, forget):
    """a and b are both near copies of one leader; c is the same bytes as b."""
    run = [
        ("Zoë.jpg", None, "two.png.jpg"),
        ("two.png", None, None),
        ("album/three.jpg", None, "two.png.jpg"),
        ("other.jpg", "album/three.jpg", None),
    ]
    table = pd.DataFrame(
        [
            {
                "image": image,
                "filename": image if image.endswith("jpg") else f"{image}.jpg",
                "sha256": "",
                "duplicate_of": exact,
                "near_duplicate_of": near,
            }
            for image, exact, near in run
        ]
        + [
            {
                "image": f"rejected{i}.jpg",
                "filename": None,
                "sha256": "",
                "duplicate_of": None,
                "near_duplicate_of": None,
            }
            for i in range(2)
        ]
    )
    (root / "data/processed/metadata").mkdir(parents=True)
    table.astype("str").where(table.notna(), None).to_parquet(
        root / "data/processed/metadata/faces.parquet"
    )
    output = forget("Zoë.jpg")
    for other in ("two.png", "album/three.jpg", "other.jpg"):
        assert f"{other} looks almost like a photo that goes" in output
    assert "is not known for 1 of those that stay" in output  # IMG_1.JPG came after the run


def test_photos_that_are_called_alike_are_named(root, forget):
    for name in ("album/three (1).jpg", "album/three.heic", "album/threefold.jpg"):
        shutil.copyfile(root / "data/raw/other.jpg", root / "data/raw" / name)
    output = forget("album/three.jpg")
    assert "album/three (1).jpg is called like a photo that goes" in output
    assert "album/three.heic is called like" in output
    assert "threefold" not in output


@pytest.mark.long
def test_what_git_holds_is_said(root, forget):
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    (root / "data/manual_labels.csv").write_text(f"filename,age,person\n{nfd('Zoë.jpg')},30,anna\n")
    run_program([*git, "init", "-q"], check=True)
    run_program([*git, "add", "data/manual_labels.csv", "data/raw/Zoë.jpg"], check=True)
    run_program([*git, "commit", "-qm", "a"], check=True)
    run_program([*git, "update-ref", "refs/exps/ab/abcdef/great-pike", "HEAD"], check=True)
    assert "experiments: 1, queued: 0" in forget("Zoë.jpg", "--dry-run")
    forget("--person", "anna")
    run_program([*git, "commit", "-qam", "gone"], check=True)
    label(root, "other.jpg,anna")
    output = forget("--person", "anna")
    assert "git's history: data/manual_labels.csv names them in 1 version" in output
    assert "1 of their pictures were committed" not in output  # another photo
    label(root, "two.png,bert")
    assert "manual_labels.csv names them" not in forget("--person", "bert")


def test_a_photo_that_dvc_tracks_by_itself_is_tracked_no_more(root, forget):
    for name in ("Zoë.jpg.dvc", "other.jpg.dvc"):
        (root / "data/raw" / name).write_text(
            f"outs:\n- md5: '0'\n  path: {name[:-4]}\n", encoding="utf-8"
        )
    forget("Zoë.jpg")
    assert left(root) == {*PHOTOS, "other.jpg.dvc"} - {"Zoë.jpg"}


@pytest.mark.long
@pytest.mark.parametrize("frozen", [True, False])
def test_data_that_was_imported_comes_back_and_that_is_said(root, forget, frozen):
    stage = {
        "frozen": frozen,
        "deps": [
            {"path": "data", "repo": {"url": "https://example.org/faces.git", "rev_lock": "0"}}
        ],
        "outs": [{"path": "raw", "md5": "0.dir"}],
    }
    (root / "data/raw.dvc").write_text(yaml.safe_dump(stage))
    (root / "data/labels.dvc").write_text(
        yaml.safe_dump({"outs": [{"path": "labels", "md5": "0.dir"}]})
    )
    output = forget("Zoë.jpg", "--dry-run")
    when = "`dvc update data/raw.dvc`, once the source has changed," if frozen else "`dvc repro`"
    assert (
        f"data/raw.dvc was imported from https://example.org/faces.git: {when} brings the "
        "photos back" in output
    )
    assert "labels.dvc was imported" not in output


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "encoding", "text", "kept"),
    [
        (
            "Labels.CSV",
            "cp1252",
            "Image;Person \r\nZoë.jpg;anna\r\nother.jpg;bürt\r\n",
            "Image;Person \r\nother.jpg;bürt\r\n",
        ),
        (
            "labels.csv",
            "utf-16",
            "image\tperson\nZoë.jpg\tanna\nother.jpg\tbert\n",
            "image\tperson\nother.jpg\tbert\n",
        ),
        (
            "labels.csv",
            "utf-8-sig",
            'sep=;\nphoto;who\n"Zoë.jpg";"anna"\nother.jpg;bert\n',
            "sep=;\nphoto;who\nother.jpg;bert\n",
        ),
        (
            "labels.csv",
            "utf-8",
            "image,filename,person\n,Zoë.jpg,anna\nother.jpg,,bert\ntwo.png,two.png.jpg,NA\n",
            "image,filename,person\nother.jpg,,bert\ntwo.png,two.png.jpg,NA\n",
        ),
    ],
)
def test_label_files_of_other_kinds_keep_their_kind(root, forget, name, encoding, text, kept):
    (root / "data/labels" / name).write_bytes(text.encode(encoding))
    forget("--person", "anna")
    assert left(root) == {*PHOTOS} - {"Zoë.jpg"}
    assert (root / "data/labels" / name).read_bytes() == kept.encode(encoding)
    assert "no label file names such a person" in forget("--person", "NA", code=2)


@pytest.mark.long
def test_a_workbook_loses_the_rows_and_nothing_else(root, forget):
    book = openpyxl.Workbook()
    for row in (["Photo", "Person", "Age"], ["zoë", "anna", 31], ["other.jpg", "bert", 40]):
        book.active.append(row)
    book.active["C3"].font = openpyxl.styles.Font(bold=True)
    book.active["B3"].hyperlink = "https://example.org/bert"
    book.active.row_dimensions[3].height = 40
    book.active.column_dimensions["A"].width = 33
    book.save(root / "data/labels/labels.xlsx")
    forget("--person", "anna", "--dry-run")
    forget("--person", "anna")
    assert left(root) == {*PHOTOS} - {"Zoë.jpg"}
    sheet = openpyxl.load_workbook(root / "data/labels/labels.xlsx").active
    assert [*sheet.values] == [("Photo", "Person", "Age"), ("other.jpg", "bert", 40)]
    assert (sheet["C2"].font.bold, sheet.column_dimensions["A"].width) == (True, 33)
    assert (sheet["B2"].hyperlink.ref, sheet.row_dimensions[2].height) == ("B2", 40)
    assert sheet.row_dimensions[3].height is None


@pytest.mark.long
def test_a_workbook_that_would_lose_more_is_refused_before_anything_goes(root, forget):
    book = openpyxl.Workbook()
    for row in (["image", "person"], ["Zoë.jpg", "anna"]):
        book.active.append(row)
    chart = openpyxl.chart.BarChart()
    chart.add_data(openpyxl.chart.Reference(book.active, min_col=2, min_row=1, max_row=2))
    book.active.add_chart(chart, "E5")
    book.save(root / "data/labels/labels.xlsx")
    before = everything(root)
    for dry in ([], ["--dry-run"]):
        assert "labels.xlsx is a workbook with charts, which would be lost" in forget(
            "--person", "anna", *dry, code=2
        )
    assert everything(root) == before


@pytest.mark.long
@pytest.mark.parametrize("what", ["merged cells", "formulas"])
def test_a_workbook_whose_cells_would_belong_to_others_is_refused(root, forget, what):
    book = openpyxl.Workbook()
    for row in (["image", "person"], ["Zoë.jpg", "anna"], ["two.png", "bert"], ["other.jpg"]):
        book.active.append(row)
    if what == "formulas":
        book.create_sheet("Notes")["A1"] = "=Sheet!B3"
        book.active.title = "labels"
    else:
        book.active.merge_cells("B3:B4")
    book.save(root / "data/labels/labels.xlsx")
    before = everything(root)
    said = forget("--person", "anna", code=2)
    assert f"is a workbook with {what}, which would belong to other cells" in said
    assert "remove the rows 2 in a spreadsheet" in said
    assert everything(root) == before


@pytest.mark.long
@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("album", "data/raw/album can't be written to"),
        ("labels", "data/labels can't be written to"),
    ],
)
def test_a_folder_that_cannot_be_written_is_noticed_before_anything_goes(
    root, forget, folder, words, monkeypatch
):
    label(root, "other.jpg,anna", "album/three.jpg,anna")
    before = everything(root)
    allowed = os.access  # root, as whom tests may run, may write everywhere
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != folder and allowed(path, mode)
    )
    assert words in forget("--person", "anna", code=2)
    assert everything(root) == before


@pytest.mark.long
def test_links(root, forget, tmp_path):
    """A folder under a second name, which no run reads.

    Labels that are a link to a file elsewhere, which is written, too.
    """
    (root / "data/raw/second").symlink_to("album")
    label(root, "second/three.jpg,anna", "other.jpg,bert")
    assert "did you mean album/three.jpg" in forget("--person", "anna", code=2)
    label(root, "album/three.jpg,anna", "other.jpg,bert")
    (root / "data/labels/labels.csv").rename(tmp_path / "own.csv")
    (root / "data/labels/labels.csv").symlink_to(tmp_path / "own.csv")
    target = f"labels.csv (a link to {tmp_path / 'own.csv'}): 1 line removed"
    assert target in forget("--person", "anna")
    assert "album/three.jpg" not in left(root)
    assert (tmp_path / "own.csv").read_text() == "image,person\nother.jpg,bert\n"
    assert (root / "data/labels/labels.csv").is_symlink()


@pytest.mark.long
def test_labels_by_hand_behind_a_link_out_of_the_project_are_not_changed(root, forget, tmp_path):
    """A project that somebody sent must not change a file of one's own."""
    own = tmp_path / "own.csv"
    (root / "data/manual_labels.csv").unlink()
    (root / "data/manual_labels.csv").symlink_to(own)
    own.write_text("filename,person\nother.jpg,bert\n")
    forget("two.png")  # which it does not name
    before = everything(root), own.read_bytes()
    output = forget("other.jpg", code=2)
    assert f"manual_labels.csv leads out of the project folder to {own}" in output
    assert (everything(root), own.read_bytes()) == before
    own.write_text("filename,person\n")
    forget("other.jpg")


@pytest.mark.long
def test_what_the_pages_wrote_of_a_person_goes(root, forget):
    journal = root / "data/interim/app/labelled.jsonl"
    journal.parent.mkdir(parents=True)
    empty = dict.fromkeys(("id", "column", "old", "new", "who", "when", "browser"), "")
    lines = [json.dumps(empty | {"filename": name}) for name in ("two.png.jpg", "IMG_1.jpg")]
    journal.write_text("\n".join([*lines, "no entry", ""]))
    ratings = root / "data/manual_ratings.csv"
    ratings.write_text("rater,image,trait,rating,order,seconds,repeat\nz,two.png,,3,1,1,0\n")
    assert "labelled.jsonl: 1 line would be removed" in forget("two.png", "--dry-run")
    output = forget("two.png")
    assert "labelled.jsonl: 1 line removed" in output
    assert "manual_ratings.csv: 1 line removed" in output
    assert journal.read_text() == f"{lines[1]}\nno entry\n"
    journal.rename(journal.with_name("elsewhere"))
    journal.mkdir()
    output = forget("other.jpg", code=2)
    assert "labelled.jsonl is no regular file; remove it\nnothing was removed" in output
    assert "two.png" not in ratings.read_text()


WIDE = "rater,IMG_1.jpg,How attractive? [two.png],other\n"


@pytest.mark.long
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_column_a_photo_goes_as_a_line_does(root, forget, encoding):
    path = root / "data/labels/ratings.csv"
    path.write_bytes((WIDE + "Zoë,3,4,5\nb,1,,2\n").encode(encoding))
    assert "ratings.csv: 1 column would be removed" in forget("two.png", "--dry-run")
    assert "ratings.csv: 1 column removed" in forget("IMG_1.JPG")
    assert path.read_text(encoding) == "rater,How attractive? [two.png],other\nZoë,4,5\nb,,2\n"
    forget("two.png", "other.jpg")
    assert path.read_text(encoding) == "rater\nZoë\nb\n"


@pytest.mark.long
def test_a_column_a_photo_goes_from_a_workbook(root, forget):
    book = openpyxl.Workbook()
    for row in ([*WIDE.strip().split(",")], ["a", 3, 4, 5]):
        book.active.append(row)
    book.save(root / "data/labels/ratings.xlsx")
    forget("two.png")
    assert [
        *openpyxl.load_workbook(root / "data/labels/ratings.xlsx").active.iter_rows(
            values_only=True
        )
    ] == [("rater", "IMG_1.jpg", "other"), ("a", 3, 5)]


@pytest.mark.long
def test_a_table_of_ratings_that_names_no_photo_stops_it(root, forget):
    label(root, "a,3,4", header="rater,x,y", name="ratings.csv")
    assert "there is no column `image`" in forget("two.png", code=2)
    assert (root / "data/raw/two.png").exists()


def test_a_person_with_a_number_is_found_as_tables_write_it(root, forget):
    label(root, "two.png,7.0", "other.jpg,7", "IMG_1.JPG,8")
    forget("--person", "7")
    assert not (root / "data/raw/two.png").exists()
    assert (root / "data/raw/IMG_1.JPG").exists()
