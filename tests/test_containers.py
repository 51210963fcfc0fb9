"""Formats by their first bytes; the main picture of a file, upright and in its colours."""

import hashlib
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image, PngImagePlugin

from facestats.errors import ImageError
from facestats.photos.containers import check_head, formats_of
from facestats.photos.decode import MAX_JPEG_SIDE, open_photo, to_photo
from facestats.photos.reading import hash_photo, read_photo
from photo_bytes import chunked, colour_of
from resources import encode, heic, png_that_declares

TURNS = {
    2: 0,
    3: 3,
    4: 1,
    5: 5,
    6: 2,
    7: 6,
    8: 4,
}  # the Transpose that stores an upright picture so
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    'tiff:Orientation="{}"/></rdf:RDF></x:xmpmeta>'
)


def plain(width: int, height: int, colour: str) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def reason_of(data: bytes) -> str:
    """Why it can't be decoded; empty where it can."""
    try:
        open_photo(data)
    except ImageError as error:
        return str(error)
    return ""


# --- what is no picture ---------------------------------------------------------------------------

VIDEOS = {
    "mp4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41",
    "mov": b"\0\0\0\x14ftypqt  \0\0\2\0qt  ",
    "old mov": b"\0\0\0\x08wide\0\0\1\0mdat",
    "mkv": b"\x1aE\xdf\xa3\x01\0\0\0",
    "avi": b"RIFF\0\0\1\0AVI LIST",
    "mpg": b"\0\0\1\xba\x44\0",
    "wmv": b"0&\xb2u\x8ef\xcf\x11\xa6\xd9",
    "ts": (b"G" + b"\x11" * 187) * 3,
}
OTHERS = {
    "pdf": b"%PDF-1.7\n",
    "zip": b"PK\x03\x04\x14\0",
    "raw": b"FUJIFILMCCD-RAW 0201",
    "cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "jxl": b"\xff\x0a\xfa\x7f",
}


@pytest.mark.parametrize(
    ("head", "what"),
    [
        *((head, "a video") for head in VIDEOS.values()),
        (OTHERS["pdf"], "a document"),
        (OTHERS["zip"], "an archive"),
        (OTHERS["raw"], "raw data of a camera"),
        (OTHERS["cr3"], "raw data of a camera"),
        (OTHERS["jxl"], "JPEG XL"),
    ],
)
def test_what_is_no_picture_is_known_by_its_first_bytes(head, what):
    for data in (head + bytes(5000), head + bytes(range(256)) * 20):
        with pytest.raises(ImageError, match=f"^not an image that Pillow can read: {what}"):
            open_photo(data)


@pytest.mark.parametrize(
    "head", [b"BLP1" + struct.pack("<iIIIii", 0, 0, 64, 64, 3, 0), b"FTEXBLP1"]
)
def test_formats_that_hide_the_size_of_what_they_hold_are_no_photos(head):
    with pytest.raises(ImageError, match=r"^not an image that Pillow can read$"):
        open_photo(head + bytes(5000))


def test_short_heads_and_noise_are_no_pictures():
    rng = np.random.default_rng(0)
    for size in (*range(1, 40), 4096):
        for _ in range(20):
            assert formats_of(rng.integers(0, 256, size, dtype=np.uint8).tobytes()) in (
                [],
                ["TGA"],
                ["PCX"],
            ), size
    for text in (
        b"x",
        b"hello",
        b"image,gender\na.jpg,female\n" * 9,
        b"{}",
        b"<svg xmlns='x'/>" * 9,
        bytes(100),
        b"\xff" * 100,
    ):
        with pytest.raises(ImageError, match=r"^not an image that Pillow can read$"):
            check_head(text)


def test_giants_are_not_read(tmp_path):
    """Sparse files: they take no room on the disk either."""
    for name, head, why in (
        ("film.mp4", VIDEOS["mp4"], "a video"),
        ("film.jpg", VIDEOS["mkv"], "a video"),
        ("zeros.jpg", b"", "not an image"),
        (
            "huge.jpg",
            encode(plain(64, 64, "red"), "JPEG"),
            r"^larger than 256 MB, the limit that preprocess\.max_megabytes sets$",
        ),
    ):
        with open(tmp_path / name, "wb") as file:
            file.write(head)
            file.truncate(10 * 10**9)
        tracemalloc.start()
        for read in (read_photo, hash_photo):
            with pytest.raises(ImageError, match=why):
                read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 10**6
        tracemalloc.stop()
    for source in ("/dev/zero", "/dev/urandom"):
        (tmp_path / "link.jpg").symlink_to(source)
        with pytest.raises(ImageError, match="not a regular file"):
            read_photo(tmp_path / "link.jpg")
        (tmp_path / "link.jpg").unlink()


def test_the_limit_is_that_of_the_parameters_and_hashing_holds_a_megabyte(tmp_path):
    path = tmp_path / "a.bmp"
    path.write_bytes(encode(Image.effect_noise((2000, 1500), 50).convert("RGB"), "BMP"))  # 9 MB
    tracemalloc.start()
    digest = hash_photo(path, 10)
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_photo(path, 10) == path.read_bytes()
    for read in (read_photo, hash_photo):
        with pytest.raises(ImageError, match="larger than 8 MB"):
            read(path, 8)
    with pytest.raises(ImageError, match=r"a\.bmp: larger than 8 MB"):
        to_photo(path, max_megabytes=8)


# --- limits of libraries --------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    ("chunks", "after"),
    [
        (chunked(b"zTXt", b"notes\0\0" + zlib.compress(b"x" * (3 << 20))), False),
        (chunked(b"iTXt", b"notes\0\1\0en\0notes\0" + zlib.compress(b"y" * (3 << 20))), True),
        (chunked(b"tEXt", b"notes\0" + b"z" * (2 << 20)) * 33, True),
        (chunked(b"zTXt", b"notes\0\0" + zlib.compress(b"x" * (1 << 20))) * 65, False),
    ],
)
def test_a_picture_with_large_texts_is_read(chunks, after):
    image = plain(64, 48, "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(image, "PNG", exif=exif)
    at = data.index(b"IEND" if after else b"IDAT") - 4
    assert colour_of(data[:at] + chunks + data[at:]) == ((48, 64), [255, 0, 0])


def test_limits_are_called_by_their_name():
    tall = encode(Image.new("L", (40, 64), 90), "JPEG")
    at = tall.index(b"\xff\xc0") + 5
    with pytest.raises(
        ImageError,
        match=f"^has 40×{MAX_JPEG_SIDE + 1} px: libjpeg reads no JPEG with a side of more than "
        f"{MAX_JPEG_SIDE} px$",
    ):
        open_photo(tall[:at] + struct.pack(">H", MAX_JPEG_SIDE + 1) + tall[at + 2 :])
    for name, data in (
        ("PNG", png_that_declares(60_000, 60_000)),
        ("PPM", b"P6 60000 60000 255\n" + bytes(100)),
        ("TGA", struct.pack("<3B5x4H2B", 0, 0, 2, 0, 0, 60000, 60000, 24, 0) + bytes(99)),
    ):
        with pytest.raises(
            ImageError, match=r"^declares 60000×60000 px, more than the limit of 178 Mpx$"
        ):
            open_photo(data)
        assert name in formats_of(data[:4096])
    for data in (heic(plain(64, 64, "red")), encode(plain(64, 64, "red"), "AVIF")):
        at = data.index(b"ispe") + 8
        with pytest.raises(
            ImageError, match=r"^declares 60000×60000 px, more than the limit of 178 Mpx$"
        ):
            open_photo(data[:at] + struct.pack(">II", 60000, 60000) + data[at + 8 :])


# --- the main picture -----------------------------------------------------------------------------


def with_subdirectory(
    main: Image.Image, thumbnail: Image.Image, photometric: int | None = None
) -> bytes:
    """A TIFF as cameras write it: the thumbnail first, the picture in a directory below."""
    small, large = encode(thumbnail, "TIFF", tiffinfo={254: 1, 330: 0}), encode(main, "TIFF")
    (at,) = struct.unpack_from("<I", large, 4)
    (n,) = struct.unpack_from("<H", large, at)
    body = bytearray(large)
    for entry in range(at + 2, at + 2 + 12 * n, 12):
        tag, kind, count, value = struct.unpack_from("<HHII", body, entry)
        if tag == 273 or count * {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}[kind] > 4:  # where something stands
            struct.pack_into("<I", body, entry + 8, value + len(small))
        if tag == 273 and count > 1:
            raise AssertionError("one strip is expected")
        if tag == 262 and photometric:
            struct.pack_into("<HI", body, entry + 2, 3, 1)
            struct.pack_into("<H", body, entry + 8, photometric)
    first = bytearray(small)
    (start,) = struct.unpack_from("<I", first, 4)
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", first, start)[0], 12):
        if struct.unpack_from("<H", first, entry)[0] == 330:
            struct.pack_into("<HII", first, entry + 2, 4, 1, len(small) + at)
    return bytes(first + body)


def test_of_a_tiff_the_largest_page_counts():
    large, small, other = plain(120, 90, "red"), plain(60, 45, "blue"), plain(120, 90, "green")
    for pages in ((small, large), (large, small), (large, other), (small, small.copy(), large)):
        assert colour_of(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])) == (
            (120, 90),
            [255, 0, 0],
        )
    assert colour_of(with_subdirectory(large, small)) == ((120, 90), [255, 0, 0])
    assert colour_of(encode(large, "TIFF", big_tiff=True)) == ((120, 90), [255, 0, 0])
    with pytest.raises(ImageError, match="raw data of a camera; export it as JPEG or HEIC"):
        open_photo(with_subdirectory(large, small, photometric=32803))
    data = encode(large, "TIFF")
    at = data.index(struct.pack("<HHIH", 259, 3, 1, 1)) + 8
    with pytest.raises(
        ImageError,
        match=r"^not an image that Pillow can read: a TIFF with compression 34887; save it "
        "uncompressed",
    ):
        open_photo(data[:at] + struct.pack("<H", 34887) + data[at + 2 :])


@pytest.mark.long
def test_damaged_directories_of_a_tiff_end_nothing():
    whole = with_subdirectory(plain(120, 90, "red"), plain(60, 45, "blue"))
    rng = np.random.default_rng(0)
    for i in range(200):
        broken = bytearray(whole)
        places = (
            [*range(4, 8), *range(len(whole) - 200, len(whole))] if i % 2 else range(len(whole))
        )
        for at in rng.choice(places, 3):
            broken[at] = rng.integers(256)
        assert reason_of(bytes(broken)).isprintable()


@pytest.mark.parametrize("primary", [0, 1, 2])
def test_of_a_heic_the_primary_picture_counts(primary):
    pictures = [plain(128, 96, colour) for colour in ("red", "lime", "blue")]
    size, colour = colour_of(heic(*pictures, primary=primary))
    assert size == (128, 96)
    assert np.argmax(colour) == primary


def test_no_thumbnail_is_taken_for_the_picture():
    """pillow-heif's `draft` returns a HEIC's thumbnail; EXIF and MPO have thumbnails, too."""
    image = Image.fromarray(
        np.kron(np.indices((60, 80)).sum(0) % 2 * 255, np.ones((4, 4))).astype(np.uint8)
    ).convert("RGB")
    data = heic(image, thumbnails=[160, 80])
    assert pillow_heif.open_heif(io.BytesIO(data)).info["thumbnails"] == [160, 80]
    for target in (None, 150, 60):
        photo = open_photo(data, target)
        assert photo.rgb.shape == (240, 320, 3)
        assert np.abs(photo.rgb.astype(int) - np.asarray(image)).mean() < 8
    big, small = plain(128, 96, "red"), plain(32, 32, "blue")
    mpo = encode(big, "MPO", save_all=True, append_images=[small])
    assert colour_of(mpo) == ((128, 96), [254, 0, 0])
    at = mpo.index(b"MPF\0") + 54
    swapped = bytearray(mpo)
    assert swapped[at : at + 4] == b"\0\0\3\0"
    swapped[at : at + 4], swapped[at + 16 : at + 20] = (
        b"\2\0\1\0",
        b"\0\0\3\0",
    )  # the first is a thumbnail, the second the picture
    assert colour_of(bytes(swapped)) == ((32, 32), [0, 0, 254])


@pytest.mark.parametrize("kind", ["ICO", "ICNS"])
def test_of_icons_the_largest_counts(kind):
    icon = Image.new("RGB", (256, 256), "red")
    options = (
        {"sizes": [(32, 32), (256, 256), (64, 64)]}
        if kind == "ICO"
        else {"append_images": [plain(32, 32, "blue")]}
    )
    size, colour = colour_of(encode(icon, kind, **options))
    assert (min(size) >= 256, colour) == (True, [255, 0, 0])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GIF", {}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
    ],
)
def test_of_an_animation_the_first_frame_counts(kind, options):
    data = encode(
        plain(64, 64, "red"),
        kind,
        save_all=True,
        append_images=[plain(64, 64, "lime"), plain(64, 64, "blue")],
        duration=100,
        **options,
    )
    size, colour = colour_of(data)
    assert (size, int(np.argmax(colour))) == ((64, 64), 0)


# --- orientation ----------------------------------------------------------------------------------

KINDS = [
    ("JPEG", {}),
    ("MPO", {}),
    ("PNG", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("WEBP", {}),
    ("AVIF", {}),
    ("HEIF", {}),
]


@pytest.mark.long
@pytest.mark.parametrize("tag", ["exif", "xmp"])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_orientation_is_applied_once_whoever_decodes(kind, options, tag):
    upright = Image.new("RGB", (96, 64), (20, 20, 20))
    upright.paste((230, 230, 230), (0, 0, 48, 32))
    for orientation in range(1, 9):
        stored = (
            upright if orientation == 1 else upright.transpose(Image.Transpose(TURNS[orientation]))
        )
        exif = Image.Exif()
        exif[0x0112] = orientation
        told = (
            {"exif": exif.tobytes()} if tag == "exif" else {"xmp": XMP.format(orientation).encode()}
        )
        if tag == "xmp" and kind == "PNG":
            info = PngImagePlugin.PngInfo()
            info.add_itxt("XML:com.adobe.xmp", XMP.format(orientation))
            told = {"pnginfo": info}
        elif kind == "TIFF":
            told = {
                "tiffinfo": {0x0112: orientation}
                if tag == "exif"
                else {700: XMP.format(orientation).encode()}
            }
        elif tag == "xmp" and kind in ("AVIF", "MPO"):
            return  # Pillow writes none, or readers have to overlook it
        data = heic(stored, **told) if kind == "HEIF" else encode(stored, kind, **options, **told)
        opened = (
            pillow_heif.HeifImageFile(io.BytesIO(data))
            if kind == "HEIF"
            else Image.open(io.BytesIO(data))
        )
        loaded = (
            pillow_heif.HeifImageFile(io.BytesIO(data))
            if kind == "HEIF"
            else Image.open(io.BytesIO(data))
        )
        loaded.load()
        for photo in (open_photo(data), open_photo(data, 60), to_photo(opened), to_photo(loaded)):
            assert (photo.width, photo.height) == (96, 64), orientation
            assert photo.rgb.shape == (64, 96, 3)
            assert photo.rgb[10, 10, 0] > 200
            assert max(photo.rgb[50, 80, 0], photo.rgb[50, 10, 0], photo.rgb[10, 80, 0]) < 60


def test_tags_that_the_turn_of_a_heic_or_avif_overrules_are_overlooked():
    """libheif and libavif turn by `irot` and `imir` alone, as the standard wants it.

    Converters leave old tags behind.
    """
    image = plain(96, 64, "red")
    exif = Image.Exif()
    exif[0x0112] = 1
    upright, turned = exif.tobytes(), Image.Exif()
    turned[0x0112] = 6
    for data in (
        heic(image, exif=upright),
        encode(image, "AVIF", exif=b"Exif\0\0" + upright.removeprefix(b"Exif\0\0")),
    ):
        at = data.find(upright.removeprefix(b"Exif\0\0")[8:18])
        changed = (
            data
            if at < 0
            else data[:at] + turned.tobytes().removeprefix(b"Exif\0\0")[8:18] + data[at + 10 :]
        )
        assert colour_of(changed)[0] == (96, 64)
    assert colour_of(encode(image, "AVIF", xmp=XMP.format(6).encode()))[0] == (96, 64)


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "MPO", "ICNS", "PSD"])
def test_damage_has_a_reason(kind):
    rng = np.random.default_rng(0)
    picture = Image.effect_noise((80, 64), 50).convert("RGB")
    if kind == "HEIF":
        whole = heic(picture, thumbnails=[32])
    elif kind == "PSD":
        whole = (
            b"8BPS\0\1"
            + bytes(6)
            + struct.pack(">HIIHH", 3, 64, 80, 8, 3)
            + bytes(12)
            + b"\0\0"
            + picture.tobytes()
        )
    else:
        whole = encode(picture.resize((128, 128)) if kind == "ICNS" else picture, kind)
    assert open_photo(whole).rgb.shape[2] == 3
    for i in range(30):
        broken = bytearray(whole[: rng.integers(1, len(whole) + 1)] if i % 2 else whole)
        for at in rng.integers(0, len(broken), 4):
            broken[at] = rng.integers(256)
        reason = reason_of(bytes(broken))
        assert reason.isprintable()
        assert "0x" not in reason
