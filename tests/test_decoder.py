"""Photos are decoded in another process, to the same pixels."""

import os
import signal
import struct
import sys
import zlib

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms

from facestats.errors import ImageError
from facestats.faces import filling, preprocess
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.keys import recipe_hash
from facestats.faces.photo import process_task
from facestats.machine import child, limits
from facestats.photos import decode, decoder, layers
from facestats.photos.decode import open_photo, to_photo
from facestats.photos.layers import open_layers
from facestats.rows.store import RowStore
from facestats.stimuli.photo import read_face
from photo_bytes import chunked
from programs import run_program
from resources import backdrop, encode, heic, landmarker_dir

PICTURE = Image.fromarray(backdrop(400, 300))
AVIF = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(40)  # ends in its header
OTHERS = ("WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "AVIF")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + bytes(4)


def exif_of(length: int) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "x" * length  # ImageDescription
    return exif.tobytes()


def segment(kind: int, content: bytes) -> bytes:
    return bytes([0xFF, kind]) + struct.pack(">H", len(content) + 2) + content


def behind_start(data: bytes, more: bytes) -> bytes:
    """A JPEG with more segments after its first bytes, or a PNG with more chunks after IHDR."""
    start = 2 if data[:2] == b"\xff\xd8" else 33
    return data[:start] + more + data[start:]


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Each of 400 tags has the whole block for its value.
OVERLAPPING = b"II*\0\x08\0\0\0" + struct.pack("<H", 400)
OVERLAPPING += struct.pack("<HHII", 700, 7, 30_000, 8) * 400 + bytes(30_000)
JPEG, PNG = encode(PICTURE, "JPEG"), encode(PICTURE, "PNG")
PLAIN = {
    "baseline": JPEG,
    "progressive": encode(PICTURE, "JPEG", progressive=True),
    "grey": encode(PICTURE.convert("L"), "JPEG"),
    "CMYK": encode(PICTURE.convert("CMYK"), "JPEG"),
    "EXIF and a profile": encode(PICTURE, "JPEG", exif=exif_of(40_000), icc_profile=SRGB),
    "Adobe's segments": behind_start(
        JPEG, segment(0xED, b"Photoshop 3.0\0" + bytes(60_000)) + segment(0xEE, b"Adobe" + bytes(7))
    ),
    "cut off": JPEG[:-200],
    "PNG": PNG,
    "palette": encode(PICTURE.convert("P"), "PNG"),
    "transparent": encode(PICTURE.convert("RGBA"), "PNG"),
    "PNG with EXIF and a profile": encode(PICTURE, "PNG", exif=exif_of(40_000), icc_profile=SRGB),
    "PNG, cut off": PNG[: len(PNG) // 2],
}
UNUSUAL = {
    "60 scans": JPEG + b"\xff\xda" * 60,
    "filling in a scan": JPEG[:-2] + b"\xff" * 100 + b"\xff\xd9",
    "many segments": behind_start(JPEG, segment(0xFE, b"") * 70),
    "two profiles": behind_start(JPEG, segment(0xE2, b"ICC_PROFILE\0\1\2" + SRGB) * 2),
    "a profile of steps": encode(PICTURE, "JPEG", icc_profile=SRGB.replace(b"rTRC", b"D2B0")),
    "PNG with a profile of steps": encode(
        PICTURE, "PNG", icc_profile=SRGB.replace(b"rTRC", b"A2B0")
    ),
    "a profile that is cut off": encode(PICTURE, "JPEG", icc_profile=SRGB[:140]),
    "EXIF in two segments": behind_start(JPEG, segment(0xE1, b"Exif\0\0" + exif_of(9)[6:]) * 2),
    "EXIF whose values overlap": behind_start(JPEG, segment(0xE1, b"Exif\0\0" + OVERLAPPING)),
    "PNG with such EXIF": encode(PICTURE, "PNG", exif=OVERLAPPING),
    "PNG with EXIF as text": behind_start(PNG, chunk(b"tEXt", b"Raw profile type exif\0")),
    "several pictures": behind_start(JPEG, segment(0xE2, b"MPF\0")),
    "arithmetic": JPEG.replace(b"\xff\xc0", b"\xff\xc9", 1),
    "two frames": JPEG.replace(b"\xff\xc0", segment(0xC0, bytes.fromhex("0800400040")) * 2, 1),
    "no height": JPEG.replace(struct.pack(">HH", 300, 400), struct.pack(">HH", 0, 400), 1),
    "65,000 px a side": JPEG.replace(
        struct.pack(">HH", 300, 400), struct.pack(">HH", 65_000, 65_000), 1
    ),
    "cut in the header": JPEG[:100],
    "animated PNG": behind_start(PNG, chunk(b"acTL", bytes(8))),
    "packed text": behind_start(PNG, chunk(b"zTXt", bytes(100))),
    "a long profile": behind_start(PNG, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 17)))),
    "many chunks": behind_start(PNG, chunk(b"IDAT", b"") * 30_000),
    "PNG of 65,000 px a side": PNG.replace(
        struct.pack(">II", 400, 300), struct.pack(">II", 65_000, 65_000), 1
    ),
    "no picture": b"hello",
    "empty": b"",
}


def decodes_no_photo(*_):
    raise AssertionError("a photo is decoded in this process")


@pytest.mark.long
@pytest.mark.parametrize("name", ["JPEG", "PNG", "JPEG2000"])
def test_no_photo_is_decoded_in_this_process(name, landmarker, monkeypatch, tmp_path):
    data = encode(PICTURE.convert("RGBA") if name == "PNG" else PICTURE, name)
    (tmp_path / "photo").write_bytes(data)
    for module in (decode, layers):
        monkeypatch.setattr(module, "open_main", decodes_no_photo)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", decodes_no_photo)
    config = PreprocessConfig(on_no_face="center_crop", size=96)
    for source in (data, tmp_path / "photo"):
        assert to_photo(source).rgb.shape == (300, 400, 3)
        assert crop_face(source, config, landmarker).rgb.shape == (96, 96, 3)
        with pytest.raises(ImageError, match="no face found"):
            read_face(source, landmarker)
    assert open_layers(data).rgb.shape == (300, 400, 3)
    with pytest.raises(ImageError, match="in this process"):
        to_photo(data, ours=True)


def test_another_process_gives_the_same_layers():
    clear = PICTURE.convert("RGBA")
    clear.putalpha(Image.fromarray(np.tile(np.arange(400) % 256, (300, 1)).astype(np.uint8)))
    turn = Image.Exif()
    turn[0x0112] = 6
    for picture in (clear, PICTURE, PICTURE.convert("L"), PICTURE.convert("LA")):
        data = encode(picture, "PNG", exif=turn)
        apart, here = open_layers(data), layers.layers_here(data, 10**7)
        assert np.array_equal(apart.rgb, here.rgb)
        assert apart.rgb.shape == (400, 300, 3)
        assert apart.grey == here.grey == (picture.mode in ("L", "LA"))
        assert (apart.alpha is None) == (picture is not clear)
        if picture is clear:
            assert np.array_equal(apart.alpha, here.alpha)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["EXIF that is none", "EXIF cut off", "a text of 2 MB"])
def test_what_stands_beside_a_picture_takes_none_of_its_layers(kind):
    clear = PICTURE.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(PICTURE.size))
    right = open_layers(encode(clear, "PNG"))
    beside = {
        "EXIF that is none": (b"eXIf", b"ASCII\0\0\0 camera"),
        "EXIF cut off": (b"eXIf", b"MM\0*\0\0\0\x08\0\x02\x01"),
        "a text of 2 MB": (b"tEXt", b"a\0" + b"x" * 2_000_000),
    }
    found = open_layers(behind_start(encode(clear, "PNG"), chunked(*beside[kind])))
    assert np.array_equal(found.rgb, right.rgb)
    assert np.array_equal(found.alpha, right.alpha)


def test_a_damaged_picture_is_named_as_such_when_its_layers_are_asked_for():
    damaged = ("PNG, cut off", "cut in the header", "no picture", "empty", "truncated AVIF")
    for name in damaged:
        data = (PLAIN | UNUSUAL | {"truncated AVIF": AVIF})[name]
        with pytest.raises(ImageError) as pixels:
            open_photo(data)
        with pytest.raises(ImageError) as whole:
            open_layers(data)
        assert str(whole.value) == str(pixels.value), name


def test_a_process_started_beforehand_takes_the_next_photo():
    few = 4 * 10**6
    decoder.start_decoder(few, 7.5)
    children = decoder._children_of(decoder.limits(few, 7.5))
    (started,) = children._idle
    decoder.start_decoder(few, 7.5)
    assert open_photo(encode(PICTURE, "JPEG"), None, few, 7.5).width == 400
    assert children._idle == [started]
    children.close()
    assert started.process.returncode is not None


@pytest.mark.long
def test_another_process_gives_the_same_photos_and_reasons():
    photos = [encode(PICTURE, name) for name in OTHERS]
    photos += [
        heic(PICTURE),
        *PLAIN.values(),
        *UNUSUAL.values(),
        encode(Image.new("L", (9, 9)), "GIF"),
    ]
    photos += [data[: len(data) // 2] for data in photos[:7]]

    def outcomes(read):
        found = []
        for data in photos:
            try:
                photo = read(data, 64)
                found.append((photo.rgb.tobytes(), photo.rgb.shape, photo.width, photo.height))
            except ImageError as error:
                found.append((type(error).__name__, str(error)))
        return found

    assert outcomes(open_photo) == outcomes(decode.decode_here)


def test_pixels_of_another_process_can_be_written():
    photo = open_photo(encode(PICTURE, "TIFF"))
    photo.rgb[:] = 0
    assert not photo.rgb.any()


@pytest.mark.long
def test_a_photo_that_takes_too_long_is_refused_and_the_next_is_not(landmarker):
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (1200, 1200, 3), np.uint8))
    slow, limits = encode(noise, "JPEG2000"), {"max_seconds": 0.05}
    for read in (
        lambda: open_photo(slow, **limits),
        lambda: crop_face(slow, PreprocessConfig(**limits), landmarker),
        lambda: read_face(slow, landmarker, **limits),
    ):
        with pytest.raises(ImageError, match=r"took more than 0.05 s .* preprocess.max_seconds"):
            read()
    assert open_photo(encode(PICTURE, "BMP"), max_seconds=5).width == 400


@pytest.mark.long
def test_a_photo_that_takes_too_much_memory_is_refused(monkeypatch):
    beside_what_it_keeps = -(240 << 20)
    monkeypatch.setattr(decoder, "limits", lambda *_: limits.Limits(60, beside_what_it_keeps))
    with pytest.raises(ImageError, match=r"took more memory than 178 Mpx of RGB"):
        open_photo(encode(Image.new("RGB", (4000, 3000)), "GIF"))


def test_a_photo_that_ends_its_decoder_is_damaged(monkeypatch):
    def crash(*_):
        raise limits.CrashError("SIGSEGV")

    monkeypatch.setattr(child.Children, "call", crash)
    with pytest.raises(ImageError, match=r"ends its decoder \(SIGSEGV\)"):
        open_photo(encode(PICTURE, "BMP"))


def test_a_script_without_a_guard_runs_once(tmp_path):
    """`multiprocessing` would run it again in the new process."""
    (tmp_path / "photo.bmp").write_bytes(encode(PICTURE, "BMP"))
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from facestats.photos.decode import open_photo\n"
        "print(open_photo(Path('photo.bmp').read_bytes()).width)\n"
    )
    done = run_program([sys.executable, script], tmp_path, seconds=60)
    assert (done.stdout.split(), done.returncode) == (["400"], 0)


@pytest.mark.long
def test_a_photo_that_ends_a_worker_is_a_row_and_the_others_are_done(
    tmp_path, photo_paths, monkeypatch
):
    """One such photo stopped the run of all."""
    for name, path in zip(("a.jpg", "c.jpg"), photo_paths, strict=False):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(path.read_bytes())
    (tmp_path / "in/b.jpg").write_bytes(JPEG)
    monkeypatch.setattr(filling, "process_task", crash_at_b)
    config = PreprocessConfig(size=96)
    key = recipe_hash(config, landmarker_dir())
    with RowStore(tmp_path / "rows", "preprocess", key, preprocess.ROW_COLUMNS) as rows:
        frame = preprocess.preprocess_folder(
            tmp_path / "in", tmp_path / "crops", config, landmarker_dir(), 1, rows
        )
    assert frame["status"].tolist() == ["ok", "rejected", "ok"]
    assert frame["reason"][1] == "damaged in a way that ends its decoder (SIGSEGV)"
    assert frame["key"].notna().tolist() == [True, False, True]


def crash_at_b(task):
    if task.source.endswith("b.jpg"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return process_task(task)
