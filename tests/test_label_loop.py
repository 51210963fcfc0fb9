"""From proposals to labels: the template is written, filled in, checked and merged."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import openpyxl
import pandas as pd
import pytest

from facestats.__main__ import main
from facestats.attributes.proposals import COLUMNS
from facestats.attributes.tables import PREDICTIONS
from facestats.core import tables
from facestats.errors import InputError, LabelError
from facestats.faces.tables import FACES
from facestats.labels import manual
from facestats.labels.joining import join_labels
from facestats.labels.manual import Change, labels_by_hand, merge_labels
from facestats.labels.names import PhotoNames
from facestats.labels.tables import LABELS
from facestats.params.project import load_params
from resources import ROOT

IMAGES = ["a.png", "b.jpg", "c.jpg", "d é.jpg"]
FILE = "image,gender,ethnicity,age\na.png,female,tone_a,30\nb.jpg,male,tone_b,\n"
HEADER = "filename,gender,ethnicity,age,rating,person\n"
TEMPLATE = (
    "id,image,filename,current_age,current_gender,current_ethnicity,proposed_age,proposed_gender,"
    "proposed_ethnicity,notes\n"
)


@pytest.fixture(scope="module")
def after_a_run(tmp_path_factory):
    """A project folder as a run leaves it, as far as labels are concerned."""
    tmp_path = tmp_path_factory.mktemp("labelled")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/labels.csv").write_text(FILE)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    faces = pd.DataFrame(
        {"image": [*IMAGES, "broken.jpg"], "filename": ["a.png.jpg", *IMAGES[1:], None]}
    )
    metadata = tmp_path / "data/processed/metadata"
    tables.write(faces.reindex(columns=list(FACES.columns)), metadata / "faces.parquet", FACES)
    joined = join_labels(faces, tmp_path / "labels", tmp_path / "none.csv", "auto").table
    tables.write(joined, metadata / "labels.parquet", LABELS)
    (metadata / "labels_template.csv").write_text(
        TEMPLATE
        + "1,a.png,a.png.jpg,31.0,female,tone_a,,,,\n2,d é.jpg,d é.jpg,,unknown,unknown,,,,\n"
    )
    (tmp_path / "data/manual_labels.csv").write_text(HEADER)
    return tmp_path


@pytest.fixture
def folder(after_a_run, tmp_path, monkeypatch):
    """A copy of it to work in."""
    shutil.copytree(after_a_run, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def merge(folder, capsys):
    """Merge a template with rows of `filename,age,gender,ethnicity`: exit code and output."""

    def run(content, *options):
        if isinstance(content, str):
            rows = [row.split(",") for row in content.split("\n") if row]
            content = (
                TEMPLATE
                + "".join(
                    f"{i},,{name},,,,{','.join(cells)},\n" for i, (name, *cells) in enumerate(rows)
                )
            ).encode()
        (folder / "filled.csv").write_bytes(content)
        code = main(["labels", "merge", "filled.csv", *options])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def by_hand(folder):
    return (folder / "data/manual_labels.csv").read_text()


# Template


def test_the_template_is_copied_and_never_replaced_unasked(folder, monkeypatch, capsys):
    (folder / "inside").mkdir()
    monkeypatch.chdir(folder / "inside")
    assert main(["labels", "template", "-o", "mine.csv"]) == 0
    assert "2 faces to label in mine.csv" in capsys.readouterr().out
    copy = folder / "inside/mine.csv"
    assert (
        copy.read_bytes() == (folder / "data/processed/metadata/labels_template.csv").read_bytes()
    )
    copy.write_text("filled")
    assert main(["labels", "template", "-o", "mine.csv"]) == 2
    assert "mine.csv is there already" in capsys.readouterr().err
    assert copy.read_text() == "filled"
    assert main(["labels", "template", "-o", "mine.csv", "--force"]) == 0
    assert copy.read_text().startswith(TEMPLATE)


@pytest.mark.long
@pytest.mark.parametrize(
    ("spoil", "output", "expected"),
    [
        (
            lambda folder: (folder / "data/processed/metadata/labels_template.csv").unlink(),
            "x.csv",
            "`dvc repro attributes` makes it",
        ),
        (lambda folder: (folder / "params.yaml").unlink(), "x.csv", "no params.yaml in"),
        (lambda folder: None, "data", "data is a folder; name a file"),
        (
            lambda folder: None,
            "to_label.xlsx",
            "would be a CSV file under the name of another kind; name it to_label.csv",
        ),
        (
            lambda folder: None,
            "data/processed/metadata/labels_template.csv",
            "the pipeline's own file",
        ),
        (lambda folder: None, "params.yaml/x.csv", "could not be written"),
    ],
)
def test_what_cannot_be_copied_is_said(folder, capsys, spoil, output, expected):
    spoil(folder)
    assert main(["labels", "template", "-o", output, "--force"]) == 2
    assert expected in capsys.readouterr().err


# Merge


@pytest.mark.long
def test_labels_are_merged_and_the_changes_named(folder, merge):
    (folder / "data/manual_labels.csv").write_text(
        HEADER.replace("\n", ",my note\n") + 'b.jpg,male,,40,7,,"one, two"\nold.jpg,female,,,,,\n'
    )
    code, printed = merge(
        "b.jpg,41,male,\nd é.jpg,,female,tone_a\nc.jpg,,,\n,,,\na.png.jpg,,unknown,\n"
    )
    assert code == 0
    assert by_hand(folder) == (
        HEADER.replace("\n", ",my note\n") + 'b.jpg,male,,41,7,,"one, two"\nold.jpg,female,,,,,\n'
        "d é.jpg,female,tone_a,,,,\n"
    )
    for line in (
        "b.jpg: age 40 → 41",
        "d é.jpg: gender female (new)",
        "d é.jpg: ethnicity tone_a (new)",
        "2 faces labelled, 2 left empty: 2 labels added, 1 changed, 1 unchanged",
        "`dvc repro` makes them count",
    ):
        assert line in printed
    assert "b.jpg: gender" not in printed
    before = (folder / "data/manual_labels.csv").stat()
    assert merge("b.jpg,41.0,male,\n") == (
        0,
        "1 face labelled, 0 left empty: 0 labels added, 0 changed, 2 unchanged\n"
        f"{folder}/data/manual_labels.csv is as it was\n",
    )
    assert (folder / "data/manual_labels.csv").stat().st_ino == before.st_ino


@pytest.mark.long
def test_a_merged_label_is_one_by_hand_for_the_pipeline(folder, merge):
    assert merge("a.png.jpg,35,male,\n")[0] == 0
    faces = tables.read(
        folder / "data/processed/metadata/faces.parquet", FACES, ["image", "filename"]
    )
    table = join_labels(
        faces, folder / "labels", folder / "data/manual_labels.csv", "auto"
    ).table.set_index("filename")
    assert table.loc[
        "a.png.jpg", ["gender", "gender_source", "age", "ethnicity", "ethnicity_source"]
    ].tolist() == ["male", "manual", 35, "tone_a", "label"]


def test_a_file_named_by_image_keeps_its_key_and_gains_a_column(folder, merge):
    (folder / "data/manual_labels.csv").write_text("image,gender\na.png,female\na.png,\n")
    assert merge("a.png.jpg,35,male,\nb.jpg,20,,\n")[0] == 0
    assert by_hand(folder) == "image,gender,age\na.png,male,35\na.png,,\nb.jpg,,20\n"


def test_rows_are_found_however_they_call_the_face_and_its_columns(folder, merge):
    (folder / "data/manual_labels.csv").write_bytes(
        "\ufeffPhoto;Gender ;AGE\nA;female;NA\nD E\u0301.JPG;;31\n".encode()
    )
    assert merge("a.png.jpg,35,male,\nd é.jpg,32,female,\n")[0] == 0
    assert by_hand(folder) == "\ufeffPhoto,Gender,AGE\nA,male,35\nD E\u0301.JPG,female,32\n"
    code, printed = merge("b.jpg,20,,\n", "--into", "mine.xlsx")
    assert (
        code,
        "mine.xlsx is an Excel workbook, which can be read but not merged into" in printed,
    ) == (2, True)


@pytest.mark.parametrize("header", ["glasses", "Glasses", "glasses (y/n)"])
def test_labels_of_a_further_attribute_stay_when_another_face_gets_one(folder, header):
    path, images = folder / "data/manual_labels.csv", {name: name for name in IMAGES}
    path.write_text(f"filename,gender,{header}\nb.jpg,male,with\n")
    (change,) = merge_labels(path, {"c.jpg": {"glasses": "without"}}, images)
    assert (change.old, change.new) == (None, "without")
    assert by_hand(folder) == f"filename,gender,{header}\nb.jpg,male,with\nc.jpg,,without\n"
    (change,) = merge_labels(path, {"b.jpg": {"glasses": "without"}}, images)
    assert (change.old, change.new) == ("with", "without")
    photos = PhotoNames(IMAGES)
    assert labels_by_hand(path, images, photos, ["glasses"]) == {
        "b.jpg": {"gender": "male", "glasses": "without"},
        "c.jpg": {"glasses": "without"},
    }


def test_an_empty_cell_is_what_the_labels_stage_takes_for_one(folder):
    path, images = folder / "data/manual_labels.csv", {name: name for name in IMAGES}
    path.write_text("filename,gender,glasses\nb.jpg,none,none\nc.jpg,missing,missing\n")
    assert labels_by_hand(path, images, PhotoNames(IMAGES)) == {"b.jpg": {"glasses": "none"}}
    labels = dict.fromkeys(("gender", "glasses"), "new")
    changes = merge_labels(path, {"b.jpg": labels, "c.jpg": labels}, images)
    assert [change.old for change in changes] == [None, "none", None, None]


@pytest.mark.parametrize(
    ("column", "old", "new", "same"),
    [
        ("age", "25,5", "25.5", True),
        ("rating", "\u22121,50", "-1.5", True),
        ("age", "1,234", "1.234", False),
        ("age", "old", "5", False),
        ("gender", "1,0", "1.0", False),
    ],
)
def test_a_number_is_one_label_however_it_is_written(column, old, new, same):
    assert Change("a.jpg", column, old, new).changed != same


def test_a_row_that_names_its_photo_in_the_other_column_is_changed(folder):
    path, images = folder / "data/manual_labels.csv", {name: name for name in IMAGES}
    path.write_text("image,filename,gender\n,b.jpg,male\nc.jpg,,male\n")
    assert labels_by_hand(path, images, PhotoNames(IMAGES))["b.jpg"] == {"gender": "male"}
    (change,) = merge_labels(path, {"b.jpg": {"gender": "female"}}, images)
    assert (change.old, change.new) == ("male", "female")
    assert by_hand(folder) == "image,filename,gender\n,b.jpg,female\nc.jpg,,male\n"


@pytest.mark.parametrize(
    "data",
    [
        "My labels\nof spring\nfilename,gender\nb.jpg,male\n",
        "filename,note\nb.jpg,ü\n",
        ",filename,gender\n20417,a.jpg,female\n20093,b.jpg,male\n",
    ],
    ids=["title", "encoding", "codes without a header"],
)
def test_a_file_that_would_lose_a_part_is_not_written_anew(folder, data):
    path = folder / "data/manual_labels.csv"
    path.write_bytes(data.encode("cp1252"))
    with pytest.raises(LabelError, match="would lose a part of it"):
        merge_labels(path, {"c.jpg": {"gender": "male"}}, {name: name for name in IMAGES})
    assert path.read_bytes() == data.encode("cp1252")


def test_a_further_attribute_that_two_columns_could_be_is_refused(folder):
    path = folder / "data/manual_labels.csv"
    path.write_text("filename,Glasses,GLASSES\nb.jpg,with,\n")
    with pytest.raises(LabelError, match="could both be `glasses`"):
        merge_labels(path, {"c.jpg": {"glasses": "with"}}, {name: name for name in IMAGES})
    assert by_hand(folder) == "filename,Glasses,GLASSES\nb.jpg,with,\n"


def test_a_template_comes_back_as_a_workbook(folder, capsys):
    book = openpyxl.Workbook()
    for row in (
        TEMPLATE.strip().split(","),
        [1, "a.png", "a.png.jpg", 31.0, None, None, 35.0, "male", None, None],
        [2, "d é.jpg", None],
    ):
        book.active.append(row)
    book.save(folder / "filled.xlsx")
    assert main(["labels", "merge", "filled.xlsx"]) == 0
    assert by_hand(folder) == HEADER + "a.png.jpg,male,,35,,\n"
    assert "1 face labelled, 1 left empty" in capsys.readouterr().out


def test_every_row_that_speaks_of_a_face_is_changed(folder, merge):
    (folder / "data/manual_labels.csv").write_text(
        "filename,gender,age\nb.jpg,,\nb.jpg,male,\nb.jpg,male,30\n"
    )
    assert merge("b.jpg,,female,\n")[0] == 0
    assert by_hand(folder) == "filename,gender,age\nb.jpg,,\nb.jpg,female,\nb.jpg,female,30\n"


def test_a_missing_file_by_hand_is_made_where_params_says(folder, merge):
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("data/manual_labels.csv", "own/by_hand.csv"))
    assert merge("b.jpg,,female,\n")[0] == 0
    assert (folder / "own/by_hand.csv").read_text() == HEADER + "b.jpg,female,,,,\n"
    assert merge("b.jpg,,female,\n", "--into", "other.csv")[0] == 0
    assert (folder / "other.csv").is_file()
    assert by_hand(folder) == HEADER


def test_a_dry_run_writes_nothing(folder, merge):
    code, printed = merge("b.jpg,,female,\n", "--dry-run")
    assert (code, "b.jpg: gender female (new)" in printed, "nothing written" in printed) == (
        0,
        True,
        True,
    )
    assert by_hand(folder) == HEADER


@pytest.mark.long
@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + TEMPLATE.encode() + '1,,d é.jpg,,,,25,female,,"so, so"\n'.encode(),
        (TEMPLATE + "1,,d é.jpg,,,,25,female,,so so\n")
        .replace(",", ";")
        .replace("\n", "\r\n")
        .encode(),
        (TEMPLATE + "1,,d é.jpg,,,,25,female,,so so\n").replace(",", "\t").encode("utf-16"),
        (TEMPLATE + "1,d é.jpg,,,,,25,female,,so so\n").encode("cp1252"),
        (
            "sep=;\r\n"
            + (TEMPLATE + "1,,d é.jpg,,,,25.0;female;;\n").replace(",", ";").replace("25.0", "25,0")
        ).encode(),
        (TEMPLATE + "1,D E\u0301,,,,,25,female,NA,\n2,b.jpg,,,,,-,n/a,,\n")
        .replace("id,image", "ID,Image ")
        .replace("\n", "\r")
        .encode(),
        "filename,proposed_age,proposed_gender,proposed_ethnicity\nd é.jpg, 25 ,female\n".encode(),
        (TEMPLATE + '1,,d é.jpg,,,,25,female,,"two\nlines"\n,,,,,,,,\n\n').encode(),
    ],
    ids=[
        "bom",
        "semicolons",
        "tabs in utf-16",
        "windows-1252",
        "sep and decimal comma",
        "old mac, other names",
        "few columns",
        "line break",
    ],
)
def test_what_spreadsheets_make_of_a_file_is_understood(folder, merge, content):
    assert merge(content)[0] == 0
    assert by_hand(folder) == HEADER + "d é.jpg,female,,25,,\n"


def test_all_mistakes_are_named_with_line_and_column_and_nothing_is_written(folder, merge):
    code, printed = merge(
        "b.jpg,41,male,\nB.jpg,,,\naa.png,30,,\nc.jpg,34y,Female,purple\nd "
        "é.jpg,131,male,\n,20,,\nbroken.jpg,nan,,\n"
    )
    assert (code, "Traceback" in printed) == (2, False)
    for expected in (
        "filled.csv: 8 mistakes, so the file is not used",
        "filled.csv, line 3, column filename: found 'B.jpg', expected each face once, but "
        "it stands on line 2 already",
        "filled.csv, line 4, column filename: found 'aa.png', expected a face of the last "
        "run, as its template names it; did you mean a.png?",
        "filled.csv, line 5, column proposed_age: found '34y', expected a number from 0 to 130",
        "filled.csv, line 5, column proposed_gender: found 'Female', expected a class that "
        "is known (female, male) (did you mean 'female'?)",
        "filled.csv, line 5, column proposed_ethnicity: found 'purple', expected a class "
        "that is known (tone_a, tone_b)",
        "add --new-class 'ethnicity=purple'",
        "filled.csv, line 6, column proposed_age: found '131'",
        "filled.csv, line 7, column filename: found ''",
        "filled.csv, line 8, column filename: found 'broken.jpg'",
    ):
        assert expected in printed
    assert by_hand(folder) == HEADER


@pytest.mark.long
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "filled.csv is empty; its first line must name the columns"),
        (
            TEMPLATE.encode()
            + "1,,d é.jpg,,,,,female,,à\n".encode("latin-1")
            + "2,,å.jpg,,,,,female,,\n".encode(),
            "filled.csv, line 2: not UTF-8 (byte 0xe9)",
        ),
        (
            HEADER.encode() + b"b.jpg,male,,,,\n",
            "filled.csv, line 1: there is no column 'proposed_gender'",
        ),
        (
            TEMPLATE.replace("d_gender", "d_gendre").encode(),
            "no template has a column 'proposed_gendre'",
        ),
        (TEMPLATE.replace("notes", "filename").encode(), "the column 'filename' stands twice"),
        (
            TEMPLATE.encode() + b"1,,b.jpg,,,,34,5,male,,so\n2,,c.jpg,,,,34,5,male,,so\n",
            "filled.csv, line 3: 11 cells, but the header has 10",
        ),
        (b"\x00\x01\x02", "filled.csv is not text"),
        (
            TEMPLATE.encode() + b'1,,b.jpg,,,,34,male,,"unclosed\n2,c.jpg,,,,35,nonsense,,\n',
            "filled.csv, line 3: unexpected end of data",
        ),
    ],
    ids=[
        "empty",
        "two encodings",
        "other header",
        "typo",
        "twice",
        "decimal comma",
        "binary",
        "open quote",
    ],
)
def test_a_file_that_is_no_template_is_refused(folder, merge, content, expected):
    code, printed = merge(content)
    assert (code, expected in printed, "Traceback" in printed) == (2, True, False), printed
    assert by_hand(folder) == HEADER


def test_no_file_and_no_run_are_said(folder, capsys):
    assert main(["labels", "merge", "nowhere.csv"]) == 2
    assert "nowhere.csv: no such file" in capsys.readouterr().err
    (folder / "data/processed/metadata/faces.parquet").unlink()
    assert main(["labels", "merge", "nowhere.csv"]) == 2
    assert "`dvc repro` makes it" in capsys.readouterr().err


@pytest.mark.long
def test_a_class_is_new_only_where_it_is_said_to_be(folder, merge):
    rows = "b.jpg,,nonbinary,\n"
    assert merge(rows)[0] == 2
    assert merge(rows, "--new-class", "ethnicity=nonbinary")[0] == 2
    for wrong in ("nonbinary", "gender=", "age=3"):
        code, printed = merge(rows, "--new-class", wrong)
        assert (
            code,
            f"--new-class {wrong}: expected gender=NAME or ethnicity=NAME" in printed,
        ) == (
            2,
            True,
        )
    assert merge(rows, "--new-class", "gender=nonbinary")[0] == 0
    assert merge("c.jpg,,nonbinary,\n")[0] == 0  # the file by hand knows it now


@pytest.mark.long
def test_classes_of_the_models_are_known(folder, merge):
    predictions = pd.DataFrame(
        {
            "filename": ["b.jpg"],
            "image": ["b.jpg"],
            "gender": ["x"],
            "ethnicity": ["unknown"],
            "age": [1.0],
            "ethnicity_prob_asian": [0.2],
        }
    )
    tables.write(
        predictions,
        folder / "data/processed/metadata/attributes_with_predictions.parquet",
        PREDICTIONS,
    )
    assert merge("b.jpg,,,asian\n")[0] == 0


def test_own_columns_of_a_template_are_left_aside(merge):
    code, printed = merge(
        b"filename,proposed_age,proposed_gender,proposed_ethnicity,who\nb.jpg,20,,,me\n"
    )
    assert (code, "warning: the column 'who'" in printed) == (0, True)


@pytest.mark.parametrize("gone", ["a.jpg", "album/b.jpg", "0d é.png"])
def test_a_template_of_a_photo_that_is_gone_is_of_no_other(merge, gone):
    """Templates name photos as they are called."""
    code, printed = merge(f"{gone},20,,\n")
    assert code == 2
    assert "a face of the last run, as its template names it; did you mean" in printed


def test_a_template_says_nothing_more_of_a_photo_that_is_forgotten(folder, merge):
    photos = folder / load_params(folder / "params.yaml").data.images
    photos.mkdir(parents=True)
    for name in IMAGES[:2]:
        (photos / name).touch()
    code, printed = merge("b.jpg,20,,\nc.jpg,20,,\n")
    assert code == 2
    assert "filled.csv: c.jpg: removed from the project since the last run" in printed
    assert by_hand(folder) == HEADER
    assert merge("b.jpg,20,,\nc.jpg,,,\n")[0] == 0


# In one step


def test_a_link_stays_a_link_and_permissions_stay(folder, merge):
    target = folder / "elsewhere.csv"
    (folder / "data/manual_labels.csv").rename(target)
    (folder / "data/manual_labels.csv").symlink_to(target)
    target.chmod(0o640)
    assert merge("b.jpg,20,,\n")[0] == 0
    assert (folder / "data/manual_labels.csv").is_symlink()
    assert target.read_text() == HEADER + "b.jpg,,,20,,\n"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_link_out_of_the_project_is_not_written_through(folder, merge, tmp_path_factory):
    target = tmp_path_factory.mktemp("home") / ".bash_aliases"
    target.write_text("alias ll='ls -l'\n")
    (folder / "data/manual_labels.csv").unlink()
    (folder / "data/manual_labels.csv").symlink_to(target)
    code, printed = merge("b.jpg,20,,\n")
    assert (code, "leads out of the project folder" in printed) == (2, True)
    assert target.read_text() == "alias ll='ls -l'\n"


@pytest.mark.long
@pytest.mark.parametrize("step", ["fsync", "fchmod"])
def test_a_merge_that_breaks_off_leaves_the_old_file(folder, merge, monkeypatch, step):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manual.os, step, full)
    code, printed = merge("b.jpg,20,,\n")
    assert (code, "could not be written (No space left on device)" in printed) == (2, True)
    assert by_hand(folder) == HEADER
    assert sorted(os.listdir(folder / "data")) == ["manual_labels.csv", "processed"]


def test_what_a_killed_merge_has_left_goes_with_the_next(folder, merge):
    (folder / "data/.manual_labels.csv.new").write_text("somebody's labels")
    assert merge("b.jpg,20,,\n")[0] == 0
    assert sorted(os.listdir(folder / "data")) == ["manual_labels.csv", "processed"]


def test_a_label_for_a_name_that_is_read_as_another_photos_is_refused(folder):
    twin = "a\u200b.jpg"
    path = folder / "data/manual_labels.csv"
    for other in ("a.jpg", "a.jpeg"):
        photos = PhotoNames({other, twin})
        with pytest.raises(InputError, match=r"a\\u200b\.jpg has invisible signs .* as a\.jpg"):
            manual.merge_labels(path, {twin: {"age": "30"}}, {}, photos=photos)
        manual.merge_labels(path, {other: {"age": "30"}}, {}, photos=photos)
        assert f"{other},,,30" in path.read_text()
    manual.merge_labels(path, {twin: {"age": "40"}}, {}, photos=PhotoNames({twin}))
    assert ",40," in path.read_text()


def test_a_file_by_hand_that_is_broken_is_named(folder, merge):
    (folder / "data/manual_labels.csv").write_text("gender\nmale\n")
    code, printed = merge("b.jpg,20,,\n")
    assert (code, "manual_labels.csv: there is no column `image`" in printed) == (2, True)
    assert by_hand(folder) == "gender\nmale\n"


@pytest.mark.long
def test_merges_at_the_same_time_lose_nothing(folder):
    path = folder / "data/manual_labels.csv"
    names = [f"{i}.jpg" for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: manual.merge_labels(path, {name: {"age": "20"}}, {}), names))
    assert sorted(by_hand(folder).splitlines()[1:]) == sorted(f"{name},,,20,," for name in names)


def test_the_header_here_is_the_one_that_the_pipeline_writes():
    assert TEMPLATE.strip().split(",") == COLUMNS
    assert HEADER.strip().split(",") == manual.HEADER


def test_a_photo_that_is_forgotten_while_its_label_is_merged_gets_none(folder, merge, monkeypatch):
    photos = folder / load_params(folder / "params.yaml").data.images
    photos.mkdir(parents=True)
    (photos / "b.jpg").touch()
    write = manual.merge_labels

    def meanwhile(*arguments):
        (photos / "b.jpg").unlink()
        return write(*arguments)

    monkeypatch.setattr(manual, "merge_labels", meanwhile)
    code, printed = merge("b.jpg,20,,\n")
    assert code == 2
    assert "filled.csv: b.jpg: removed from the project since the last run" in printed
