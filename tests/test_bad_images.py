"""Each bad or odd file becomes a row with a reason, or is handled; none stops the run."""

import os

import numpy as np
import pytest
from PIL import Image

from facestats.core import tables
from facestats.core.photo_files import face_filename
from facestats.faces.crop import PreprocessConfig
from facestats.faces.preprocess import preprocess_folder
from facestats.faces.tables import FACES
from resources import backdrop, encode, heic, landmarker_dir, png_that_declares

SMALL = PreprocessConfig(size=128)


@pytest.fixture(scope="module")
def face(photos) -> Image.Image:
    return photos[0]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, photos):
    """A folder with every kind of file, and its table."""
    folder = tmp_path_factory.mktemp("photos")
    face, other, third = photos[:3]
    jpeg = encode(face, "JPEG", quality=92)
    exif = Image.Exif()
    exif[0x0112] = 6
    two = Image.fromarray(backdrop(1024, 512))
    two.paste(face, (0, 0))
    two.paste(other.resize((300, 300)), (650, 100))
    grey = np.asarray(face.convert("L")).astype(np.uint16) * 257
    palette = face.quantize(200)
    files = {
        "good.jpg": jpeg,
        "again.jpg": jpeg,
        "empty.jpg": b"",
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "text.jpg": b"no image at all",
        "dot.png": encode(Image.new("RGB", (1, 1)), "PNG"),
        "giant.png": png_that_declares(60_000, 60_000),
        "cmyk.jpg": encode(face.convert("CMYK"), "JPEG"),
        "grey16.png": encode(Image.fromarray(grey), "PNG"),
        "palette.png": encode(palette, "PNG", transparency=palette.getpixel((3, 3))),
        "moving.gif": encode(
            face, "GIF", save_all=True, append_images=[Image.new("RGB", face.size)]
        ),
        "turned.jpg": encode(
            face.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=92
        ),
        "a name with ü and 🙂.jpg": encode(other, "JPEG"),
        "folder/in folder/x.jpg": encode(other, "JPEG", quality=70),
        "good.png": encode(face, "PNG"),
        "good.png.jpg": encode(other, "JPEG", quality=80),
        "nobody.jpg": encode(Image.fromarray(backdrop(640, 480)), "JPEG"),
        "two.jpg": encode(two, "JPEG", quality=92),
        "unknown.xyz": b"\x00\x01\x02\x03" * 200,
        "phone.heic": heic(
            third.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes(), thumbnails=[256]
        ),
        "browser.avif": encode(third.transpose(Image.Transpose.ROTATE_90), "AVIF", exif=exif),
        "browser.webp": encode(third, "WEBP"),
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    for name, head in (
        ("film.mp4", b"\0\0\0\x18ftypisom"),
        ("giant.jpg", jpeg),
    ):  # 10 GB that take no room
        with open(folder / name, "wb") as file:
            file.write(head)
            file.truncate(10 * 10**9)
    (folder / "loop.jpg").symlink_to("loop.jpg")
    os.symlink(b"/nowhere", os.fsencode(folder) + b"/latin-\xfc.jpg")
    out = tmp_path_factory.mktemp("faces")
    frame = preprocess_folder(folder, out, SMALL, landmarker_dir(), workers=0)
    return frame.set_index("image", drop=False), out


@pytest.mark.long
@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("empty.jpg", "empty file"),
        ("cut.jpg", "truncated or damaged image: image file is truncated"),
        ("text.jpg", "not an image that Pillow can read"),
        ("unknown.xyz", "not an image that Pillow can read"),
        ("dot.png", "too small: 1×1 px"),
        ("giant.png", "declares 60000×60000 px, more than the limit of 178 Mpx"),
        ("film.mp4", "not an image that Pillow can read: a video"),
        ("giant.jpg", "larger than 256 MB, the limit that preprocess.max_megabytes sets"),
        ("loop.jpg", "a link to itself"),
        ("good.png", "its face would have the name of another image, good.png.jpg"),
        ("nobody.jpg", "no face found"),
        ("latin-\\xfc.jpg", "its name is not valid UTF-8"),
    ],
)
def test_bad_files_are_rows_with_a_reason(mixed, image, reason):
    row = mixed[0].loc[image]
    assert row["status"] == "rejected"
    assert row["reason"].startswith(reason)
    assert row["filename"] is None
    assert not (mixed[1] / face_filename(image)).is_file() or image == "good.png"


@pytest.mark.parametrize(
    "image",
    [
        "good.jpg", "again.jpg", "cmyk.jpg", "grey16.png", "palette.png", "moving.gif",
        "turned.jpg", "two.jpg", "a name with ü and 🙂.jpg", "folder/in folder/x.jpg",
        "good.png.jpg", "phone.heic", "browser.avif", "browser.webp",
    ],
)  # fmt: skip
@pytest.mark.long
def test_odd_files_are_handled(mixed, image):
    row = mixed[0].loc[image]
    assert row["status"] == "ok"
    assert row["reason"] is None
    assert row["filename"] == face_filename(image)
    with Image.open(mixed[1] / row["filename"]) as crop:
        assert (crop.format, crop.mode, crop.size) == ("JPEG", "RGB", (128, 128))
        assert not crop.getexif()
        assert "icc_profile" not in crop.info


def test_every_file_has_a_row_and_the_table_is_valid(mixed, tmp_path):
    frame, out = mixed
    assert len(frame) == 26
    assert sorted(
        path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()
    ) == sorted(frame["filename"].dropna())
    tables.write(frame.reset_index(drop=True), tmp_path / "faces.parquet", FACES)
    back = tables.read(tmp_path / "faces.parquet", FACES)
    assert back["image"].tolist() == sorted(frame["image"])


def test_several_faces_are_counted_and_the_largest_is_taken(mixed):
    row = mixed[0].loc["two.jpg"]
    assert row["face_count"] == 2
    assert row["box"][2] < 512


def test_copies_are_marked(mixed):
    frame = mixed[0]
    assert frame.loc["again.jpg", "duplicate_of"] is None
    assert frame.loc["good.jpg", "duplicate_of"] == "again.jpg"
    assert frame.loc["good.jpg", "near_duplicate_of"] is None
    assert frame.loc["turned.jpg", "near_duplicate_of"] == "again.jpg"
    assert frame.loc["folder/in folder/x.jpg", "near_duplicate_of"] == "a name with ü and 🙂.jpg"
    assert frame.loc["a name with ü and 🙂.jpg", "near_duplicate_of"] is None


def test_a_face_is_the_same_in_every_format(mixed):
    rows = mixed[0].loc[["phone.heic", "browser.avif", "browser.webp"]]
    assert set(rows["width"]) == set(rows["height"]) == {512}
    landmarks = np.stack(rows["landmarks"]).reshape(3, 468, 3)[..., :2]
    assert np.abs(landmarks - landmarks[0]).max() < 0.02
    assert rows["roll"].abs().max() < 15


@pytest.mark.long
def test_a_folder_of_nothing_but_bad_files_is_a_table_of_rejections(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text.jpg").write_text("hello")
    frame = preprocess_folder(tmp_path / "in", tmp_path / "out", SMALL, landmarker_dir())
    assert frame["status"].tolist() == ["rejected"]
    tables.write(frame, tmp_path / "faces.parquet", FACES)
