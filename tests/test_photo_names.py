"""A name that a person writes finds its photo where one reading is possible, and no other photo."""

import time
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from facestats.core.photo_files import face_filename
from facestats.errors import LabelError
from facestats.labels.cells import Mistakes
from facestats.labels.joining import join_labels
from facestats.labels.manual import merge_labels
from facestats.labels.name_index import NameIndex
from facestats.labels.names import PhotoNames, describe_liberties, suggestion

IMAGES = [
    "a.png",
    "album/b.jpg",
    "c.JPG",
    "d é.jpg",
    "001.jpg",
    "deep/er/y.heic",
    "one/z.jpg",
    "two/z.jpg",
    "X.png",
    "x.jpg",
    "m.jpg",
    "m.png",
    "Straße 7.jpg",
    "2020-01-05 12.30.jpg",
    "screen\u202fshot.jpg",
    "dots.of.name.jpg",
]


@pytest.fixture(scope="module")
def photos():
    return PhotoNames(IMAGES, folder="data/raw")


@pytest.mark.parametrize(
    ("name", "image", "how"),
    [
        ("a.png", "a.png", ()),
        ("a.png.jpg", "a.png", ()),  # the face's name
        (" ./album//b.jpg ", "album/b.jpg", ()),
        ("album\\b.jpg", "album/b.jpg", ("with other slashes",)),
        ("b.jpg", "album/b.jpg", ("without their folder",)),
        ("data/raw/album/b.jpg", "album/b.jpg", ()),
        ("raw/album/b.jpg", "album/b.jpg", ("with a folder too much",)),
        (
            r"C:\Users\ann\photos\album\b.jpg",
            "album/b.jpg",
            ("with other slashes", "with a folder too much"),
        ),
        ("file:///home/ann/album/b.jpg", "album/b.jpg", ("with a folder too much",)),
        ('"album/b.jpg"', "album/b.jpg", ()),
        ("album/b", "album/b.jpg", ("without extension",)),
        ("B", "album/b.jpg", ("in other case", "without extension", "without their folder")),
        ("A.PNG", "a.png", ("in other case",)),
        ("a.png.JPG", "a.png", ("in other case",)),
        ("a.heic", "a.png", ("with another extension",)),
        ("c.jpg", "c.JPG", ("in other case",)),
        ("c.jpeg", "c.JPG", ("with .jpeg for .jpg or the like",)),
        (
            "er/y.HEIF",
            "deep/er/y.heic",
            ("with .jpeg for .jpg or the like", "without their folder"),
        ),
        (unicodedata.normalize("NFD", "d é.jpg"), "d é.jpg", ("in another form of Unicode",)),
        (
            unicodedata.normalize("NFD", "D É"),
            "d é.jpg",
            ("in another form of Unicode", "in other case", "without extension"),
        ),
        ("d\u00a0é.jpg", "d é.jpg", ("with other blanks or signs",)),
        ("d%20%C3%A9.jpg", "d é.jpg", ()),
        ("screen shot.jpg", "screen\u202fshot.jpg", ("with other blanks or signs",)),
        (
            "\u202ax.jpg",
            "x.jpg",
            ("with other blanks or signs",),
        ),  # an invisible mark that Windows puts before copied paths
        ("STRASSE 7", "Straße 7.jpg", ("in other case", "without extension")),
        ("2020-01-05 12.30", "2020-01-05 12.30.jpg", ("without extension",)),
        ("dots.of.name", "dots.of.name.jpg", ("without extension",)),
        ("1", "001.jpg", ("without extension", "with other leading zeros")),
        ("1.0", "001.jpg", ("without extension", "with other leading zeros")),
        ("x.png", "X.png", ("in other case",)),
        ("x", "x.jpg", ("without extension",)),
        ("M.PNG", "m.png", ("in other case",)),
    ],
)
def test_one_reading_is_taken(photos, name, image, how):
    reading = photos.read(name)
    assert (reading.image, reading.liberties) == (image, how)


@pytest.mark.parametrize(
    ("name", "several", "likely"),
    [
        ("z.jpg", True, ("one/z.jpg", "two/z.jpg")),
        ("m", True, ("m.jpg", "m.png")),
        ("m.tif", True, ("m.jpg", "m.png")),
        ("other/b.jpg", False, ("album/b.jpg",)),  # the folder contradicts
        ("album/c.jpg", False, ("c.JPG",)),  # was there, beside album/b.jpg
        (r"C:\photos\ER\a.png", False, ("a.png",)),
        ("albun/b.jpg", False, ("album/b.jpg",)),
        ("dots.of.nam.jpg", False, ("dots.of.name.jpg",)),
        ("2020-01-05 12.31", False, ()),  # the next photo is another one
        ("2020-1-5_12.30", False, ("2020-01-05 12.30.jpg",)),
        ("nothing like it", False, ()),
        ("", False, ()),
        ("/", False, ()),
        ("2", False, ()),
    ],
)
def test_no_reading_or_more_than_one_is_none(photos, name, several, likely):
    (reading,) = photos.read_all([name]).values()
    assert (reading.image, reading.several, reading.likely) == (None, several, likely)
    assert suggestion(reading) == (f"; did you mean {' or '.join(likely)}?" if likely else "")


def test_two_names_of_one_file_that_can_be_two_photos_are_not_one(photos):
    readings = photos.read_all(["x.jpg", "other/x.jpg", "001.jpg", "1.jpg", "c.jpg", "C", "c.bmp"])
    assert {name: reading.image for name, reading in readings.items()} == {
        "x.jpg": "x.jpg",
        "other/x.jpg": None,
        "001.jpg": "001.jpg",
        "1.jpg": None,
        "c.jpg": "c.JPG",
        "C": "c.JPG",
        "c.bmp": None,
    }
    assert readings["other/x.jpg"].likely == ("x.jpg",)


def test_one_line_says_how_many_and_how(photos):
    readings = photos.read_all(["a", "c", "x.jpg", "album\\b.jpg", "nowhere"])
    assert (
        describe_liberties(readings.values())
        == "2 names matched without extension, 1 with other slashes"
    )
    assert describe_liberties(photos.read_all(["x.jpg"]).values()) == ""


def test_decomposed_names_on_disk_are_found_too():
    on_disk = unicodedata.normalize("NFD", "Zoë/Å.jpg")
    assert PhotoNames([on_disk]).read("zoë/å").image == on_disk


@pytest.mark.long
def test_thousands_of_names_take_a_second():
    photos = PhotoNames([f"group{i % 10}/IMG_{i:06d}.JPG" for i in range(20_000)])
    start = time.process_time()
    readings = photos.read_all([f"img_{i:06d}" for i in range(20_000)])
    assert (
        describe_liberties(readings.values())
        == "20000 names matched in other case and without extension and without their folder"
    )
    assert time.process_time() - start < 10  # 1 s measured


def test_rejected_photos_are_found_as_well():
    names = NameIndex(
        pd.DataFrame({"image": ["a.png", "broken.jpg"], "filename": ["a.png.jpg", None]})
    )
    faces = names.resolve(pd.Series(["A", "broken"], name="image"), Path("labels.csv"), None)
    assert faces.tolist()[0] == "a.png.jpg"
    assert pd.isna(faces.tolist()[1])
    assert "labels.csv names 1 image rejected by preprocess, for example broken" in names.warnings()


def index_of(*images):
    return NameIndex(pd.DataFrame({"image": images, "filename": images}))


def resolved(index, file, *names):
    column = pd.Series(names, name="image", dtype="str")
    return index.resolve(column, Path(file), None, must_match="manual" not in file).tolist()


def test_what_one_file_tells_apart_another_does_not_mix_up():
    index = index_of("omi/1.jpg", "omi/2.jpg")  # 1.jpg, of another collection, was removed
    assert resolved(index, "labels.csv", "1.jpg", "omi/1.jpg", "omi/2.jpg")[1:] == [
        "omi/1.jpg",
        "omi/2.jpg",
    ]
    of_ratings = resolved(index, "ratings.csv", "1.jpg", "2.jpg")
    assert pd.isna(of_ratings[0])
    assert of_ratings[1] == "omi/2.jpg"
    assert (
        "ratings.csv names 1 missing image, of 2, for example 1.jpg (did you mean omi/1.jpg?)"
        in (index.warnings())
    )


@pytest.mark.parametrize(
    ("photo", "gone"), [("1.jpg", "01.jpg"), ("a/1.jpg", "1.jpg"), ("1.png", "01.png.jpg")]
)
def test_what_pages_wrote_of_a_photo_that_is_gone_is_of_no_other_one(photo, gone, tmp_path):
    """They write each name as it is."""
    index = index_of(photo, "x.jpg")
    assert not pd.isna(resolved(index, "labels.csv", photo)[0])
    mistakes = Mistakes()
    column = pd.Series([gone], name="filename", dtype="str")
    found = index.resolve(column, Path("manual_labels.csv"), mistakes, must_match=False)
    assert found.isna().all()
    with pytest.raises(LabelError, match=f"if {photo} is meant, write that, and if it was another"):
        mistakes.raise_any()
    alone = index_of(photo, "x.jpg")  # nothing else names it: it may have been moved
    assert not pd.isna(resolved(alone, "manual_labels.csv", gone)[0])
    (warning,) = alone.warnings()
    assert f"than the photo: {gone} as {photo}; if another photo was meant" in warning
    path = tmp_path / "manual_labels.csv"
    path.write_text(f"filename,gender\n{gone},male\n")
    name = face_filename(photo)
    merge_labels(path, {name: {"gender": "female"}}, {name: photo})
    assert path.read_text() == f"filename,gender\n{gone},male\n{name},female\n"


@pytest.mark.parametrize(
    ("photo", "gone"),
    [("1.JPG", "1.jpg"), ("1.jpeg", "1.jpg"), ("1.jpg", "1.JPG.jpg"), ("0001.png", "0001.jpg")],
)
def test_nor_where_its_name_differs_in_case_or_extension_alone(photo, gone):
    """A child called 1.JPG got the age of 1.jpg, an adult."""
    index, mistakes = index_of(photo, "x.jpg"), Mistakes()
    column = pd.Series([gone], name="filename", dtype="str")
    found = index.resolve(column, Path("manual_labels.csv"), mistakes, must_match=False)
    assert found.isna().all()
    with pytest.raises(LabelError, match=f"if {photo} is meant, write that, and if it was another"):
        mistakes.raise_any()


@pytest.mark.parametrize(
    ("other", "told"), [("1.JPG", True), ("1.jpeg", True), ("1", False), ("x.JPG", False)]
)
def test_two_spellings_of_one_name_in_a_file_are_told(other, told):
    index = index_of("1.jpg", "x.jpg")
    assert not any(map(pd.isna, resolved(index, "ratings.csv", "1.jpg", other)))
    (warning,) = index.warnings() or [""]
    assert ("1 name spelt almost as another one there: " in warning) == told


@pytest.mark.parametrize(
    ("names", "warning"),
    [
        (["2.jpg", "omi/3.jpg"], "1 name matched without their folder, unlike the others: 2.jpg"),
        (["2.jpg", "own.jpg"], "1 name matched without their folder, unlike the others: 2.jpg as"),
        (["2.jpg", "3.jpg"], ""),
        (["x/own.jpg", "own2.jpg"], ""),
        (["OWN", "own2.jpg"], ""),
    ],
)
def test_a_name_without_its_folder_beside_others_with_theirs_is_a_warning(names, warning):
    index = index_of("omi/1.jpg", "omi/2.jpg", "omi/3.jpg", "own.jpg", "own2.jpg")
    assert not any(map(pd.isna, resolved(index, "labels.csv", *names)))
    (shown,) = index.warnings() or [""]
    assert warning in shown
    assert bool(warning) == bool(shown)


@pytest.mark.parametrize("now", ["new/f.jpg", "a/deeper/f.jpg", "A2/f.jpg"])
def test_a_childs_age_by_hand_is_not_passed_over_where_the_photo_may_have_moved(tmp_path, now):
    faces = pd.DataFrame({"image": [now, "a/x.jpg"], "filename": ["f.jpg", "x.jpg"]})
    (tmp_path / "labels").mkdir()
    manual = tmp_path / "manual_labels.csv"

    def joined():
        return join_labels(faces, tmp_path / "labels", manual, "auto")

    manual.write_text("filename,age\na/f.jpg,10\n")
    with pytest.raises(LabelError, match=f"if {now} is meant, write that"):
        joined()
    for line in ("a/f.jpg,40", "a/gone.jpg,10"):
        manual.write_text(f"filename,age\n{line}\n")
        assert joined().table["age"].isna().all()
    manual.write_text(f"filename,age\n{now},10\n")
    assert joined().table["age"].tolist()[0] == 10


@pytest.mark.parametrize(
    ("lines", "is_asked"),
    [
        ("album/a.jpg,9", True),
        ("album/a.jpg,40", False),
        ("album/a.jpg,9\nnew/a.jpg,30", False),
        ("album/other.jpg,9", False),
    ],
)
def test_a_child_of_labels_csv_whose_folder_was_renamed_is_asked_about(tmp_path, lines, is_asked):
    """Such a child had no age, and a score."""
    (tmp_path / "labels.csv").write_text(f"image,age\nnew/b.jpg,30\n{lines}\n")
    images = ["new/a.jpg", "new/b.jpg"]
    faces = pd.DataFrame({"image": images, "filename": [face_filename(name) for name in images]})
    if is_asked:
        with pytest.raises(LabelError, match=r"if new/a\.jpg is meant, write that, and if it was"):
            join_labels(faces, tmp_path, tmp_path / "none", "auto")
    else:
        join_labels(faces, tmp_path, tmp_path / "none", "auto")


@pytest.mark.parametrize(("by_hand", "is_told"), [(35, True), (12, False)])
def test_an_age_by_hand_that_makes_a_child_an_adult_is_told(tmp_path, by_hand, is_told):
    """The child's photo had got the name of an adult's."""
    (tmp_path / "labels.csv").write_text("image,age\na.jpg,8\nb.jpg,40\n")
    (tmp_path / "hand.csv").write_text(f"filename,age\na.jpg,{by_hand}\n")
    faces = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "filename": ["a.jpg", "b.jpg"]})
    joined = join_labels(faces, tmp_path, tmp_path / "hand.csv", "auto")
    expected = "hand.csv gives 1 face another age than labels.csv, and counts, for example 35 inst"
    assert [text.startswith(expected) for text in joined.warnings] == [True] * is_told
