"""The needs of a photo are known before it is decoded; one that needs too much is a row."""

import gzip
import io
import struct
import sys
from contextlib import suppress

import pytest
from PIL import Image

from bombs import BOMBS, icns, png, tiff, with_scans
from facestats.errors import ImageError
from facestats.faces.crop import PreprocessConfig
from facestats.faces.keys import recipe_hash
from facestats.faces.preprocess import ROW_COLUMNS, preprocess_folder
from facestats.photos import budget
from facestats.photos.budget import OverBudgetError, check_budget, count_scans
from facestats.photos.decode import MAX_PIXELS, open_photo
from facestats.rows.store import RowStore
from programs import run_program
from resources import encode, landmarker_dir

SIDE = 1700  # px


@pytest.mark.thorough
@pytest.mark.long
def test_a_photo_takes_no_more_memory_than_was_reckoned(tmp_path):
    """Each kind of bomb is decoded in a process of its own, whose peak the system knows."""
    for name in BOMBS.keys() - {"icns", "ico"}:  # Pillow refuses sizes that are not an icon's
        (tmp_path / name).write_bytes(BOMBS[name](SIDE))
    script = """
import os, sys
from PIL import Image
from facestats.photos.budget import memory_need
from facestats.photos.containers import open_main
from facestats.photos.decode import open_photo
def peak():
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
Image.init()
for path in sys.argv[1:]:
    if os.fork() == 0:
        data = open(path, "rb").read()
        need, before = memory_need(open_main(data), data), peak()
        photo = open_photo(data)
        print(os.path.basename(path), need, peak() - before, flush=True)
        os._exit(0)
    os.wait()
"""
    done = run_program([sys.executable, "-c", script, *sorted(tmp_path.iterdir())], check=True)
    lines = [line.rsplit(" ", 2) for line in done.stdout.splitlines()]
    assert len(lines) == len(BOMBS) - 2
    over = {
        name: (int(need) / SIDE**2, int(peak) / SIDE**2)
        for name, need, peak in lines
        if int(peak) > int(need) + 24e6
    }
    assert not over


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "j2k",
        "j2k blocks",
        "icns",
        "ico",
        "tiff rgba 16",
        "tiff tile 16",
        "png rgba",
        "png grey alpha",
        "webp",
        "webp rgba",
        "avif rgba",
        "jpeg cmyk",
        "tga",
    ],
)
def test_a_photo_of_fewer_pixels_can_be_over_the_limit(name):
    """All have 1.1 Mpx at most, but for the tiles of the TIFF."""
    with pytest.raises(
        OverBudgetError,
        match=r"^declares .* that take as much memory as \d+ Mpx of RGB, more than the limit of "
        "1 Mpx that preprocess.max_pixels sets$",
    ):
        open_photo(BOMBS[name](1040), max_pixels=1040**2)


@pytest.mark.long
def test_usual_photos_have_all_pixels_of_the_limit():
    for kind, options in (
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {"compression": "tiff_deflate"}),
    ):
        assert (
            open_photo(
                encode(Image.new("RGB", (600, 500)), kind, **options), max_pixels=300_000
            ).width
            == 600
        )
    assert MAX_PIXELS == 178_956_970


@pytest.mark.long
def test_a_jpeg_of_many_scans_is_refused_by_what_they_cost():
    data = with_scans(1000, 200)
    assert count_scans(data) > 200
    with pytest.raises(
        OverBudgetError,
        match=r"^declares 1000×1000 px in 2\d\d scans, more work than the limit of 9 Mpx",
    ):
        open_photo(data, max_pixels=9_000_000)
    assert open_photo(data, max_pixels=12_000_000).width == 1000
    video = (
        encode(Image.new("RGB", (1000, 1000)), "JPEG", progressive=True) + b"\xff\xda\0\0" * 4000
    )  # as phones append one
    assert open_photo(video, max_pixels=1_000_000).width == 1000


def test_decoders_in_python_are_given_less_work():
    header = (
        "".join(
            f"{card:80}"
            for card in (
                "SIMPLE  =                    T",
                "BITPIX  =                    8",
                "NAXIS   =                    0",
                "END",
            )
        )
        .ljust(2880)
        .encode()
    )
    table = (
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                    8",
        "NAXIS2  =                 1000",
        "PCOUNT  =                    0",
        "GCOUNT  =                    1",
        "TFIELDS =                    1",
        "ZIMAGE  =                    T",
        "ZBITPIX =                    8",
        "ZNAXIS  =                    2",
        "ZNAXIS1 =                 1000",
        "ZNAXIS2 =                 1000",
        "ZCMPTYPE= 'GZIP_1  '",
        "END",
    )
    fits = (
        header
        + "".join(f"{card:80}" for card in table).ljust(2880 * -(-len(table) * 80 // 2880)).encode()
        + bytes(8000)
        + gzip.compress(bytes(4_000_000))
    )
    for data in (
        fits,
        b"P6 1000 1000 65535\n" + bytes(6_000_000),
        b"P3 1000 1000 255\n" + b"0 " * 3_000_000,
    ):
        with pytest.raises(OverBudgetError, match="of a kind that is decoded slowly"):
            open_photo(data, max_pixels=5_000_000)


def test_damaged_headers_are_no_trouble():
    """The reckoning reads bytes that a stranger wrote."""
    j2k = BOMBS["j2k"](64)
    at = j2k.index(b"\xff\x4f\xff\x51")
    for cut in range(at, at + 60):
        for data in (icns(j2k[:cut]), j2k[:cut], j2k[:cut] + b"\xff" * 40, j2k[:cut] + b"\0" * 40):
            with pytest.raises(ImageError):
                open_photo(data)
    for data in (tiff(64, 64, 8, 3, 2, tile=64)[:-30], with_scans(64, 30)[:-500]):
        try:
            open_photo(data)
        except ImageError:
            continue
    assert count_scans(b"\xff\xd8" + b"\xff\xda\0\0" * 50) >= 20


@pytest.mark.long
def test_headers_that_lead_nowhere_end_soon():
    """Each takes minutes or hours where its parts are judged one by one."""
    jpeg = with_scans(64, 1)
    filled = jpeg[:2] + b"\xff" * 1_000_000 + b"\0" + jpeg[2:]
    assert open_photo(jpeg[:2] + b"\xff" * 1000 + jpeg[2:]).width == 64
    page = encode(Image.new("RGB", (96, 96)), "TIFF")
    first, listed = int.from_bytes(page[4:8], "little"), len(page)
    below = struct.pack("<HHII", 330, 4, 256, listed) * 4096
    lists = bytearray(page + struct.pack("<I", first) * 256)
    lists[4:8] = struct.pack("<I", len(lists))
    lists += struct.pack("<H", 4096) + below + struct.pack("<I", first)
    with suppress(ImageError):
        open_photo(filled)
    assert open_photo(bytes(lists)).width == 96
    box = b"\xff\x4f\xff\x51" * 500_000
    for name in ("JPEG2000", "ICNS"):
        data = encode(Image.new("RGB", (128, 128)), name)
        with pytest.raises(OverBudgetError, match="more than 64 JPEG 2000 pictures"):
            check_budget(Image.open(io.BytesIO(data)), data + box, 10**8)


@pytest.mark.parametrize("segment", [b"\xff\xe1\0\x0aExif\0\0ab", b"\xff\xee\0\2"])
def test_a_jpeg_of_very_many_segments_is_refused_before_they_are_joined(segment):
    data = with_scans(64, 1)
    assert open_photo(data[:2] + segment * 100 + data[2:]).width == 64
    for many in (3000, 2_000_000):
        with pytest.raises(OverBudgetError, match="more than 2000 segments before its picture"):
            open_photo(data[:2] + segment * many + data[2:])


@pytest.mark.parametrize(
    "between",
    [b"x", b"\xff\xfe\0\3x\0", b"\xff\xd0", b"\xff\x01", b"\xff\0", b"\xff\xff\xff\xfe\0\2"],
)
def test_scans_are_counted_behind_bytes_that_libjpeg_passes_over(between):
    data = with_scans(64, 30)
    at = data.rindex(b"\xff\xda")
    hidden = data[:at] + between + data[at:]
    assert count_scans(hidden) == count_scans(data) > 30
    for start in (data.index(b"\xff\xc4"), data.index(b"\xff\xda")):
        assert count_scans(data[:start] + between + data[start:]) == count_scans(data)


@pytest.mark.long
@pytest.mark.parametrize("tag", [258, 277, 278, 284, 322, 323])
def test_a_tiff_whose_tags_are_of_any_type_is_read_or_rejected(tag):
    """Each tag that the budget reads, in each type of a TIFF, as one value and as two."""
    for data in (
        encode(Image.new("RGB", (100, 100)), "TIFF", compression="tiff_lzw"),
        tiff(64, 64, 8, 3, 2, tile=64),
    ):
        (start,) = struct.unpack_from("<I", data, 4)
        (number,) = struct.unpack_from("<H", data, start)
        places = [start + 2 + 12 * i for i in range(number)]
        at = next((at for at in places if data[at : at + 2] == struct.pack("<H", tag)), places[-1])
        for kind in (*range(19), 65535):
            for count in (1, 2):
                entry = struct.pack("<HHI4s", tag, kind, count, b"p\0\0\0")
                try:
                    photo = open_photo(data[:at] + entry + data[at + 12 :])
                except ImageError:
                    continue
                assert photo.width > 0


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "slow.png").write_bytes(png(9000, 9000, 8, 2))
    (folder / "scans.jpg").write_bytes(with_scans(2000, 150))
    (folder / "grey.jpg").write_bytes(encode(Image.new("L", (64, 64)), "JPEG"))
    return folder


def run(folder, store, config, workers=None):
    with RowStore(store, "preprocess", recipe_hash(config, landmarker_dir()), ROW_COLUMNS) as rows:
        return preprocess_folder(
            folder, folder.parent / "out", config, landmarker_dir(), workers, rows
        )


@pytest.mark.thorough
@pytest.mark.long
def test_a_photo_over_a_limit_is_a_row_of_that_limit_or_of_this_run(folder, tmp_path, monkeypatch):
    """Other limits, or another machine, have another opinion."""
    frame = run(
        folder, tmp_path / "store", PreprocessConfig(size=96, max_pixels=30_000_000, max_seconds=30)
    )
    assert dict(zip(frame["image"], frame["reason"], strict=True)) == {
        "grey.jpg": "no face found",
        "slow.png": "declares 9000×9000 px, more than the limit of 30 Mpx",
        "scans.jpg": (
            f"declares 2000×2000 px in {count_scans((folder / 'scans.jpg').read_bytes())} "
            "scans, more work than the limit of 30 Mpx that preprocess.max_pixels sets allows "
            "for"
        ),
    }
    assert frame.attrs == {"reused": 0, "computed": 3, "elsewhere": 0}
    again = run(
        folder, tmp_path / "store", PreprocessConfig(size=96, max_pixels=30_000_000, max_seconds=60)
    )
    assert again.attrs == {"reused": 3, "computed": 0, "elsewhere": 0}
    assert again.equals(frame)
    (folder / "scans.jpg").unlink()
    for workers in (None, 0):  # of this very process, too: it decodes in another one
        frame = run(folder, tmp_path / "store", PreprocessConfig(size=96, max_seconds=0.2), workers)
        assert frame["reason"].tolist() == [
            "no face found",
            "took more than 0.2 s of a processor, the limit that preprocess.max_seconds sets",
        ]
        assert frame.attrs == {"reused": 1, "computed": 1, "elsewhere": 0}
        assert frame["sha256"].notna().all()
        assert frame["key"].notna().tolist() == [True, False]


def test_a_lower_limit_leaves_out_what_a_higher_one_took(tmp_path):
    """As a run from nothing does; the row stays for those who allow it."""
    photos, store = tmp_path / "photos", tmp_path / "store"
    photos.mkdir()
    Image.new("L", (1500, 1000)).save(photos / "large.png")
    Image.new("L", (900, 1000)).save(photos / "small.png")
    high, low = PreprocessConfig(size=96), PreprocessConfig(size=96, max_pixels=1_000_000)
    before = run(photos, store, high)
    assert before["reason"].tolist() == ["no face found", "no face found"]
    beyond = "declares 1500×1000 px, more than the limit of 1 Mpx"
    for reused in (1, 2):
        frame = run(photos, store, low)
        assert frame["reason"].tolist() == [beyond, "no face found"]
        assert frame.attrs["reused"] == reused
    again = run(photos, store, high)
    assert again.equals(before)
    assert again.attrs["reused"] == 2


@pytest.mark.long
def test_a_photo_that_takes_more_memory_than_was_reckoned_is_a_row(folder, tmp_path, monkeypatch):
    """Whatever the reckoning overlooks: the process has a limit of its own."""
    monkeypatch.setattr(
        budget, "MARGIN", 100_000_000 - budget.limits(MAX_PIXELS, 1).memory + budget.MARGIN
    )
    (folder / "scans.jpg").unlink()
    frame = run(folder, tmp_path / "store", PreprocessConfig(size=96))
    assert frame["reason"].tolist() == [
        "no face found",
        "took more memory than 178 Mpx of RGB, the limit that preprocess.max_pixels sets",
    ]
    assert frame["key"].notna().tolist() == [True, False]


@pytest.mark.long
def test_a_decoder_that_was_refused_memory_reports_no_damage(tmp_path):
    """libjpeg's message is the same; the row of a damaged photo would hold for ever."""
    cmyk = encode(Image.new("CMYK", (4500, 4500)), "JPEG", progressive=True)
    cut = encode(Image.new("RGB", (99, 99)), "JPEG")[:-300]
    (tmp_path / "large.jpg").write_bytes(cmyk)
    (tmp_path / "cut.jpg").write_bytes(cut)
    script = """
import sys
from pathlib import Path
from facestats.faces.crop import PreprocessConfig
from facestats.faces.photo import within_limits
from facestats.machine import limits
from facestats.photos import decode
decode.check_budget = lambda *_: 0  # a picture that is larger than any formula says
limits._KEPT = 0
limits.limit_memory(160 << 20)
for path in sys.argv[1:]:
    try:
        within_limits(decode.open_photo, PreprocessConfig(size=96), Path(path).read_bytes())
    except Exception as error:
        print(type(error).__name__, error)
"""
    paths = [tmp_path / "cut.jpg", tmp_path / "large.jpg", tmp_path / "cut.jpg"]
    done = run_program([sys.executable, "-c", script, *paths], check=True)
    damage = "DamageError truncated or damaged image: "
    lines = done.stdout.splitlines()
    assert [line.startswith(damage) for line in lines] == [True, False, True]
    assert lines[1] == "OverLimitError memory"
