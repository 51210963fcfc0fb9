"""Any image file becomes upright RGB pixels or a short reason; any folder a list of photos."""

import io
import os
import re

import numpy as np
import pytest
from PIL import Image, ImageCms

from facestats.core.photo_files import check_names, face_filename, list_images
from facestats.errors import FaultError, ImageError, InputError
from facestats.photos.decode import MAX_PIXELS, open_photo, to_photo
from facestats.photos.pixels import scale_grey
from facestats.photos.reading import hash_photo, read_photo
from resources import encode, png_that_declares


@pytest.fixture(scope="module")
def face(photos) -> Image.Image:
    return photos[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "^empty file$"),
        (b"I am a text, whatever my name says.\n" * 20, "^not an image that Pillow can read$"),
        (
            encode(Image.new("RGB", (1, 1)), "PNG"),
            r"^too small: 1×1 px, at least 32 px are needed$",
        ),
        (encode(Image.new("RGB", (400, 31)), "PNG"), r"^too small: 400×31 px"),
        (
            png_that_declares(60_000, 60_000),
            r"^declares 60000×60000 px, more than the limit of 178 Mpx$",
        ),
        (png_that_declares(14_000, 12_800), r"^declares 14000×12800 px"),
        (png_that_declares(200, 200), "^truncated or damaged image: "),
        (
            encode(Image.effect_noise((300, 200), 60), "JPEG")[:4000],
            "^truncated or damaged image: image file is trunc",
        ),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\n",
            "^not an image that Pillow can read$",
        ),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "^(truncated or damaged image: |not an image)"),
    ],
)
def test_unusable_bytes_have_a_short_reason(data, reason):
    with pytest.raises(ImageError, match=reason) as caught:
        open_photo(data)
    assert not re.search(r"0x|/|BytesIO", str(caught.value))
    assert len(str(caught.value)) < 120


def test_a_declared_giant_takes_no_memory():
    import tracemalloc

    tracemalloc.start()
    for width, height in ((60_000, 60_000), (MAX_PIXELS // 1000 + 1, 1000)):
        with pytest.raises(ImageError, match=f"declares {width}×{height} px"):
            open_photo(png_that_declares(width, height))
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


@pytest.mark.long
def test_noise_and_cut_files_never_raise_anything_else():
    rng = np.random.default_rng(0)
    whole = [
        encode(Image.effect_noise((80, 60), 50), kind)
        for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "ICO")
    ]
    for data in whole:
        for _ in range(40):
            broken = bytearray(data[: rng.integers(1, len(data) + 1)])
            for at in rng.integers(0, len(broken), 6):
                broken[at] = rng.integers(256)
            reason = ""
            try:
                open_photo(bytes(broken))
            except ImageError as error:
                reason = str(error)
            assert not re.search(r"0x[0-9a-f]{4}|BytesIO", reason)


def test_transparency_is_laid_onto_white():
    rgba = Image.new("RGBA", (40, 40), (200, 0, 0, 0))
    rgba.paste((0, 100, 0, 255), (0, 0, 20, 40))
    palette = rgba.convert("RGB").quantize(4)
    index = palette.getpixel((30, 20))
    for data in (
        encode(rgba, "PNG"),
        encode(rgba, "WEBP", lossless=True),
        encode(palette, "PNG", transparency=index),
        encode(palette, "GIF", transparency=index),
        encode(rgba.convert("LA"), "PNG"),
    ):
        rgb = open_photo(data).rgb
        assert rgb.shape == (40, 40, 3)
        assert rgb[20, 35].tolist() == [255, 255, 255]
        assert rgb[20, 5].max() < 110


def test_16_bit_grey_is_scaled_not_clipped():
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    for kind in ("PNG", "TIFF"):
        rgb = open_photo(encode(Image.fromarray(ramp), kind)).rgb
        assert rgb[0, 0].tolist() == [0, 0, 0]
        assert rgb[0, -1].tolist() == [255, 255, 255]
        assert abs(int(rgb[0, 32, 0]) - 130) <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 255]], np.int32), [0, 255]),
        (np.array([[0, 65535]], np.int32), [0, 255]),
        (np.array([[0, 2**20]], np.int32), [0, 255]),
        (np.array([[-5, 100]], np.int32), [0, 100]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 128.0]], np.float32), [0, 128]),
        (np.array([[-1.0, 1.0, np.nan]], np.float32), [0, 255, 128]),
    ],
)
def test_wide_greys_keep_their_range(values, expected):
    assert scale_grey(values)[0].tolist() == expected


def test_cmyk_and_other_modes_become_rgb():
    red = Image.new("RGB", (64, 64), (220, 30, 30))
    for data in (
        encode(red.convert("CMYK"), "JPEG", quality=95),
        encode(red.convert("CMYK"), "TIFF"),
        encode(red.quantize(8), "PNG"),
        encode(red.convert("YCbCr"), "TIFF"),
    ):
        assert np.abs(open_photo(data).rgb[32, 32].astype(int) - (220, 30, 30)).max() < 12
    assert open_photo(encode(red.convert("1"), "PNG")).rgb.shape == (64, 64, 3)
    assert open_photo(encode(red.convert("L"), "JPEG")).rgb.shape == (64, 64, 3)


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "green")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_photo(data).rgb[5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(orientation, kind):
    upright = Image.new("L", (96, 64), 20)
    upright.paste(230, (0, 0, 48, 32))  # bright top left
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that stores it so
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(turn[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for data in (encode(stored, kind, exif=exif),):
        photo = open_photo(data)
        assert (photo.width, photo.height) == (96, 64)
        assert photo.rgb.shape == (64, 96, 3)
        assert photo.rgb[10, 10, 0] > 200
        assert photo.rgb[50, 80, 0] < 60


def test_draft_reports_the_whole_size():
    data = encode(Image.new("RGB", (2000, 1200), "gray"), "JPEG")
    photo = open_photo(data, 900)
    assert photo.rgb.shape == (600, 1000, 3)
    assert (photo.width, photo.height, photo.reduced) == (2000, 1200, True)
    assert not open_photo(data).reduced


@pytest.mark.long
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}]
)
@pytest.mark.parametrize("required", [None, 700, 150])
def test_jpegs_have_the_pixels_that_pillow_finds_damaged_ones_too(face, options, required):
    rng = np.random.default_rng(0)
    whole = encode(face.resize((603, 401)), "JPEG", **options)
    for damage in range(30):
        data = bytearray(whole)
        for at in rng.integers(650, len(data) - 2, damage % 3):
            data[at] = rng.integers(256)
        if damage % 5 == 4:  # the end is there, but something before it is not
            del data[int(rng.integers(650, len(data) // 2)) : len(data) // 2]
        image = Image.open(io.BytesIO(data))
        if required:
            image.draft(None, (required, -(-required * 401 // 603)))
        try:
            expected = np.asarray(image.convert("RGB"))
        except OSError:
            with pytest.raises(ImageError, match=r"^truncated or damaged image: "):
                open_photo(bytes(data), required)
        else:
            assert np.array_equal(open_photo(bytes(data), required).rgb, expected)


def test_a_colour_profile_is_converted_and_a_broken_one_ignored():
    grey = Image.new("RGB", (64, 64), (100, 150, 200))
    lab_to_srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = open_photo(encode(grey, "PNG", icc_profile=lab_to_srgb)).rgb
    broken = open_photo(encode(grey, "PNG", icc_profile=b"no profile" * 20)).rgb
    assert same[0, 0].tolist() == broken[0, 0].tolist() == [100, 150, 200]


def test_the_library_takes_path_bytes_pil_and_array(tmp_path, face):
    path = tmp_path / "a b ü 🙂.png"
    face.save(path)
    expected = np.asarray(face)
    for image in (path, str(path), path.read_bytes(), face, expected):
        assert np.array_equal(to_photo(image).rgb, expected)
    with pytest.raises(InputError, match=r"nowhere\.jpg: no such file"):
        to_photo(tmp_path / "nowhere.jpg")
    with pytest.raises(InputError, match=r"\(512, 512\) float32"):
        to_photo(np.zeros((512, 512), np.float32))
    with pytest.raises(InputError, match="not int"):
        to_photo(3)
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"empty\.jpg: empty file"):
        to_photo(tmp_path / "empty.jpg")


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.long
def test_files_that_cannot_be_read_say_why(tmp_path, monkeypatch):
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    dangling = tmp_path / "dangling.jpg"
    dangling.symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.jpg")
    locked = tmp_path / "locked.jpg"
    locked.write_bytes(b"x")
    locked.chmod(0)
    if os.geteuid() == 0:  # root may read anything

        def refuse(path, mode, opener):
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patch:
            patch.setattr("facestats.photos.reading.open", refuse, raising=False)
            with pytest.raises(
                FaultError, match=r"locked.jpg can't be read: Permission denied \(EACCES\)"
            ):
                read_photo(locked)
    else:
        with pytest.raises(
            FaultError, match=r"locked.jpg can't be read: Permission denied \(EACCES\)"
        ):
            read_photo(locked)
    for path, reason in ((loop, "a link to itself"), (dangling, "a link to nothing")):
        with pytest.raises(ImageError, match=reason):
            read_photo(path)
    with pytest.raises(ImageError, match="not a regular file"):
        read_photo(tmp_path / "pipe.jpg")


def test_all_files_that_are_not_hidden_are_listed_once(tmp_path):
    for name in (
        "b.jpg",
        "a.png",
        "a.jpg",
        "in/deep er/ü 🙂.jpg",
        "no suffix",
        ".hidden.jpg",
        ".folder/x.jpg",
        "in/.gitignore",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in" / "back").symlink_to(tmp_path)
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "linked.jpg").symlink_to("a.jpg")
    (tmp_path / "project/.dvc").mkdir(parents=True)
    (tmp_path / "project/not hashed.jpg").touch()
    assert list_images(tmp_path) == [
        "a.jpg", "a.png", "b.jpg", "in/back", "in/deep er/ü 🙂.jpg", "linked.jpg", "loop.jpg",
        "no suffix", "project",
    ]  # fmt: skip
    for name in ("in/back", "project"):
        with pytest.raises(ImageError, match="into which DVC does not look"):
            hash_photo(tmp_path / name)
    (tmp_path / "link").symlink_to("in")
    assert list_images(tmp_path / "link") == ["back", "deep er/ü 🙂.jpg"]


def test_folders_within_folders_without_end_are_an_error(tmp_path):
    (tmp_path / ("a/" * 200)).mkdir(parents=True)
    (tmp_path / ("a/" * 200) / "x.jpg").touch()
    assert list_images(tmp_path) == ["a/" * 200 + "x.jpg"]
    (tmp_path / ("a/" * 201)).mkdir()
    with pytest.raises(InputError, match="in more than 200 folders within folders"):
        list_images(tmp_path)


def readable(folder, name) -> bool:
    try:
        return bool(hash_photo(folder / name))
    except ImageError:
        return False


def test_what_dvc_hashes_is_what_is_read(tmp_path):
    """Photos behind a link to a folder, which DVC does not hash, are not read either."""
    from dvc.repo import Repo
    from dvc_data.hashfile.build import build

    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for path in (
        root / "data/real/a.jpg",
        root / "data/real/in/b.jpg",
        root / "data/real/project/.dvc/x",
        root / "data/real/project/c.jpg",
        elsewhere / "d.jpg",
        elsewhere / "deep/e.jpg",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    for link, target in (
        ("file.jpg", elsewhere / "d.jpg"),
        ("folder", elsewhere),
        ("in/up", ".."),
        ("in/self.jpg", "../a.jpg"),
    ):
        (root / "data/real" / link).symlink_to(target)
    (root / "data/raw").symlink_to("real")  # as `data.images` may be
    (root / ".dvcignore").write_text("*.tmp\n/data/raw/private\n")
    for name in ("a.tmp", "in/b.tmp", "private/f.jpg"):
        (root / "data/real" / name).parent.mkdir(exist_ok=True)
        (root / "data/real" / name).touch()
    with Repo.init(str(root), no_scm=True) as repo:
        _, _, tree = build(
            repo.cache.local,
            str(root / "data/raw"),
            repo.fs,
            "md5",
            ignore=repo.dvcignore,
            dry_run=True,
        )
        hashed = {"/".join(key) for key, _, _ in tree}
    listed = list_images(root / "data/raw")
    assert (
        {name for name in listed if readable(root / "data/raw", name)}
        == hashed
        == {"a.jpg", "in/b.jpg", "file.jpg", "in/self.jpg"}
    )
    assert {*listed} - hashed == {"folder", "in/up", "project"}
    assert {*list_images(root / "data/raw", ignored_too=True)} - {*listed} == {
        "a.tmp",
        "in/b.tmp",
        "private/f.jpg",
    }


def test_a_missing_or_empty_folder_is_an_error_that_says_what_was_expected(tmp_path):
    with pytest.raises(
        InputError, match=r"nowhere: no such folder; expected a folder with photos.*data\.images"
    ):
        list_images(tmp_path / "nowhere")
    (tmp_path / ".gitignore").touch()
    with pytest.raises(InputError, match=r"holds no file.*expected a folder with photos"):
        list_images(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        list_images(tmp_path / ".gitignore")


def test_faces_are_named_after_their_images():
    assert face_filename("a/b.jpg") == "a/b.jpg"
    assert [face_filename(n) for n in ("b.png", "b.JPG", "b.jpeg", "b")] == [
        "b.png.jpg",
        "b.JPG.jpg",
        "b.jpeg.jpg",
        "b.jpg",
    ]
    reasons = check_names(
        ["a.jpg", "a.png", "a.png.jpg", "c", "c.jpg/x.jpg", "bad\udcff.jpg", "ü" * 126 + "png"]
    )
    assert reasons == {
        "a.png": "its face would have the name of another image, a.png.jpg",
        "c": "its face would have the name of a folder, c.jpg",
        "bad\udcff.jpg": "its name is not valid UTF-8",
        "ü" * 126 + "png": "its face's name, with .jpg appended, would be longer than 255 bytes",
    }
