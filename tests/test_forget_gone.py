"""`forget` of a photo that is gone takes no photo of a like name, whose person is another one."""

import pandas as pd
import pytest

from facestats.core.layout import FACES_TABLE
from test_forget_names import forget, label, left, root  # noqa: F401

LIKE = {
    "two.png": "album/two.png",
    "album/three.jpg": "three.jpg",
    "IMG_1.JPG": "IMG_1.png",
    "five.jpg": "five.JPG",
    "six.jpeg": "six.jpg",
}


@pytest.fixture(params=LIKE)
def gone(request, root):  # noqa: F811
    """A photo of Anna that the last run knew and that is gone; one like it is of Bob."""
    name, other = request.param, LIKE[request.param]
    photo = root / "data/raw/two.png"
    (root / "data/raw" / other).write_bytes(photo.read_bytes() + b"of Bob")
    (root / "data/raw" / name).unlink(missing_ok=True)
    label(root, f"{name},anna")
    table = pd.DataFrame({"image": [name, "other.jpg"], "filename": "a.jpg", "sha256": "0"})
    (root / FACES_TABLE).parent.mkdir(parents=True)
    table.assign(duplicate_of=None, near_duplicate_of=None).to_parquet(root / FACES_TABLE)
    return name, other


def test_what_the_last_run_called_so_is_meant(root, forget, gone):  # noqa: F811
    name, other = gone
    label(root, f"{name},anna", f"{other},bob")
    said = forget(name)
    assert f"{name} is not in {root}/data/raw (any more)" in said
    assert other in left(root)
    assert (root / "data/labels/labels.csv").read_text() == f"image,person\n{other},bob\n"


def test_a_label_may_be_of_either_for_photos_are_moved(root, forget, gone):  # noqa: F811
    name, other = gone
    before = (root / "data/labels/labels.csv").read_text()
    said = forget("--person", "anna", code=2)
    assert f"{name}, a photo of anna, may be {name} or {other}; write which one there" in said
    assert other in left(root)
    assert (root / "data/labels/labels.csv").read_text() == before
    label(root, f"{name},anna", f"{other},bob")
    forget("--person", "anna")
    assert other in left(root)
    assert (root / "data/labels/labels.csv").read_text() == f"image,person\n{other},bob\n"


def test_lines_that_may_be_about_it_are_asked_for(root, forget, gone):  # noqa: F811
    """The photo was moved, and a label file has its earlier name."""
    name, other = gone
    for named in gone:
        said = forget(named, code=2)
        assert f"labels.csv: {name} may be {name} or {other}; add a line with the whole" in said
        assert other in left(root)
    forget(other, name)
    assert other not in left(root)
    assert (root / "data/labels/labels.csv").read_text() == "image,person\n"


@pytest.mark.parametrize("options", [[], ["--allow-missing"]])
def test_a_name_that_nothing_knows_is_no_photo_elsewhere(root, forget, gone, options):  # noqa: F811
    """Also once a run without it has been: the command may be given again."""
    name, other = gone
    (root / FACES_TABLE).unlink()
    label(root, "other.jpg,carl")
    said = forget(name, *options, code=2)
    assert f"did you mean {other}?" in said
    assert other in left(root)


def test_another_extension_in_a_label_file_is_no_photo_of_hers(root, forget):  # noqa: F811
    label(root, "two.jpg,anna")
    assert "two.png may be another one" in forget("--person", "anna", code=2)
    assert "two.png" in left(root)


@pytest.mark.parametrize(
    ("before", "here", "written"),
    [
        ("album/1.jpg", "b/1.jpg", "1.jpg"),
        ("album/1.JPG", "album/1.jpg", "album\\1.JPG"),
        ("album/1.JPG", "album/1.jpg", "/home/me/album/1.JPG"),
        ("1.jpg", "1.png", "1"),
    ],
)
def test_a_line_that_fits_both_as_well_is_asked_about(root, forget, before, here, written):  # noqa: F811
    """The new photo of somebody else was removed."""
    (root / "data/raw" / here).parent.mkdir(exist_ok=True)
    (root / "data/raw/two.png").rename(root / "data/raw" / here)
    table = pd.DataFrame({"image": [before], "filename": "a.jpg", "sha256": "0"})
    (root / FACES_TABLE).parent.mkdir(parents=True)
    table.assign(duplicate_of=None, near_duplicate_of=None).to_parquet(root / FACES_TABLE)
    label(root, f"{written},carla")
    said = forget("--person", "carla", code=2)
    assert f"may be {before} or {here}; write which one there" in said
    assert here in left(root)
