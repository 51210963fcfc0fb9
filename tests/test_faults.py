"""A failing machine says nothing about a photo: the run stops with the reason, without its row."""

import errno
import io
import os
import re
import shutil
import sys
import threading
from pathlib import Path

import pillow_heif
import pyarrow.parquet as pq
import pytest
import simplejpeg
from PIL import AvifImagePlugin, Image, ImageCms, ImageFile

from facestats.core import tables
from facestats.core.photo_files import list_images
from facestats.errors import FaultError, ImageError, of_file
from facestats.faces.crop import PreprocessConfig
from facestats.faces.keys import recipe_hash
from facestats.faces.preprocess import ROW_COLUMNS, preprocess_folder
from facestats.faces.runtime import load_interpreter
from facestats.machine import faults
from facestats.pairs.built import read_composite
from facestats.photos import containers, decode, pixels, reading
from facestats.photos.decode import open_photo
from facestats.report.album import Album
from facestats.report.blocks import PLOT, Figure
from facestats.rows import folder as rows_folder
from facestats.rows.folder import read_regular
from facestats.rows.place import open_store
from facestats.rows.store import RowStore
from little_memory import in_little_memory
from resources import backdrop, encode, heic, landmarker_dir

CONFIG = PreprocessConfig(size=96)
NUMBERS = [
    "EIO",
    "ESTALE",
    "ETIMEDOUT",
    "ENOMEM",
    "EMFILE",
    "ENFILE",
    "EACCES",
    "EPERM",
    "EREMOTEIO",
    "EHOSTDOWN",
]


pytestmark = pytest.mark.usefixtures("decodes_here")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(faults, "PAUSES", (0, 0))


@pytest.fixture
def folder(photo_paths, tmp_path):
    """Two photos: nothing is wrong with either."""
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copyfile(photo_paths[0], folder / "a.jpg")
    (folder / "b.jpg").write_bytes(encode(Image.fromarray(backdrop(300, 200)), "JPEG"))
    return folder


def run(folder, tmp_path):
    """What became of the photos, by name, and which rows are stored."""
    try:
        with RowStore(
            tmp_path / "store", "preprocess", recipe_hash(CONFIG, landmarker_dir()), ROW_COLUMNS
        ) as rows:
            frame = preprocess_folder(
                folder, tmp_path / "out", CONFIG, landmarker_dir(), workers=0, rows=rows
            )
    finally:
        run.stored = [
            reason
            for path in (tmp_path / "store").rglob("*.parquet")
            for reason in pq.read_table(path)["reason"].to_pylist()
        ]
    return dict(zip(frame["image"], frame["reason"], strict=True))


class Failing:
    """A file that fails so many times, once some of it was read."""

    def __init__(self, number, name, times=10**6, after=0):
        self.number, self.name, self.times, self.after = number, name, times, after

    def __call__(self, path, mode, opener):
        file = open(path, mode, opener=opener)  # noqa: SIM115
        if os.path.basename(path) == self.name and self.times:
            self.after -= 1
            if self.after < 0:
                self.times -= 1
                file.close()
                raise OSError(self.number, os.strerror(self.number), str(path))
        return file


@pytest.mark.first_cases(5)
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.long
def test_a_disk_that_fails_stops_the_run_with_its_name(folder, tmp_path, monkeypatch, name, after):
    """Also where the photo could be read for its hash."""
    number = getattr(errno, name)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "open", Failing(number, "b.jpg", after=after), raising=False)
        with pytest.raises(
            FaultError,
            match=rf"b\.jpg can't be read: {os.strerror(number)} \({name}\)\. That is no fault "
            "of the file.*what is done so far is kept",
        ):
            run(folder, tmp_path)
    assert run.stored == ([] if after == 0 else [None])
    assert run(folder, tmp_path) == {"a.jpg": None, "b.jpg": "no face found"}


def test_a_disk_that_fails_for_a_moment_costs_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "open", Failing(errno.EIO, "b.jpg", times=2), raising=False)
    assert run(folder, tmp_path) == {"a.jpg": None, "b.jpg": "no face found"}


@pytest.mark.parametrize("size", [0, 1_100_000], ids=["small", "large"])
@pytest.mark.parametrize("end", [0, 100])
@pytest.mark.parametrize("read", [reading.read_photo, reading.hash_photo])
def test_a_photo_that_is_cut_off_by_the_disk_is_a_fault(folder, monkeypatch, read, end, size):
    """Some network disks give less than the file has, and no error."""
    photo = folder / "a.jpg"
    photo.write_bytes(photo.read_bytes() + bytes(size))
    whole = read(photo)

    class Short(io.FileIO):
        attempts = 0

        def read(self, size=-1):
            Short.attempts += 1
            return super().read(end) if Short.attempts == 1 else super().read(size)

    class Shorter(io.FileIO):
        def read(self, size=-1):
            return super().read(max(0, end - self.tell()))

    monkeypatch.setattr(reading, "open", Shorter, raising=False)
    with pytest.raises(FaultError, match="EIO"):
        read(photo)
    monkeypatch.setattr(reading, "open", Short, raising=False)
    assert read(photo) == whole


def test_a_pipe_that_takes_a_photos_place_is_not_waited_for(folder, monkeypatch):
    status = os.stat(folder / "a.jpg")
    (folder / "a.jpg").unlink()
    os.mkfifo(folder / "a.jpg")
    with monkeypatch.context() as patched:  # undone before other fixtures end, which ask for files
        patched.setattr(reading.os, "stat", lambda path: status)
        with pytest.raises(ImageError, match=r"^not a regular file$"):
            reading.read_photo(folder / "a.jpg")


@pytest.mark.long
def test_a_file_takes_no_more_memory_than_it_has_bytes(folder, tmp_path):
    """Neither a photo nor a segment of stored rows, though either may have hundreds of MB."""
    (tmp_path / "segment").write_bytes(bytes(1000))

    def read():
        with open_store(tmp_path) as store:
            return (
                len(store.read("segment", 2**30)),
                len(read_regular(tmp_path / "segment", 2**30)),
                len(reading.read_photo(folder / "b.jpg", 1024)),
            )

    assert in_little_memory(1 << 25, read) == str(read())


def test_stored_rows_that_are_cut_off_by_the_disk_are_a_fault(tmp_path, monkeypatch):
    (tmp_path / "segment").write_bytes(bytes(1000))

    class Short(io.FileIO):
        def read(self, size=-1):
            return super().read(100)

    monkeypatch.setattr(rows_folder, "open", Short, raising=False)
    with open_store(tmp_path) as store, pytest.raises(OSError, match="Input/output error"):
        store.read("segment", 2**20)


def test_a_photo_that_vanishes_stops_the_run(folder, tmp_path, monkeypatch):
    names = list_images(folder)
    (folder / "b.jpg").unlink()
    monkeypatch.setattr("facestats.faces.preprocess.list_images", lambda _: names)
    with pytest.raises(
        FaultError,
        match=r"b\.jpg can't be read: No such file or directory \(ENOENT\).*leave the folder alone",
    ):
        run(folder, tmp_path)


@pytest.mark.first_cases(2)
@pytest.mark.long
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "HEIC", "cv2", "detector"])
def test_want_of_memory_rejects_no_photo(folder, tmp_path, monkeypatch, kind):
    """MemoryError out of a decoder or of what comes after it."""
    import cv2

    from facestats.faces import crop

    def fail(*arguments, **named):
        raise (
            cv2.error(
                "OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to "
                "allocate 3145728 bytes"
            )
            if kind == "cv2"
            else MemoryError
        )

    image = Image.fromarray(backdrop(2100, 2100) if kind == "cv2" else backdrop(300, 200))
    (folder / "b.jpg").write_bytes(
        heic(image)
        if kind == "HEIC"
        else encode(image, "PNG" if kind in ("PNG", "cv2") else "JPEG")
    )
    with monkeypatch.context() as patch:
        if kind == "cv2":
            patch.setattr(crop.cv2, "resize", fail)
        elif kind == "detector":
            patch.setattr(crop, "find_large_faces", fail)
        else:
            patch.setattr(decode, "_pixels", fail)
            patch.setattr(simplejpeg, "decode_jpeg", fail)
        with pytest.raises(
            FaultError,
            match=r"\.jpg: a photo can't be read: Cannot allocate memory \(ENOMEM\).*run again "
            "with fewer processors",
        ):
            run(folder, tmp_path)
    assert "b.jpg" not in run.stored
    assert not any(run.stored)
    assert run(folder, tmp_path)["b.jpg"] == "no face found"


def test_a_decoder_that_calls_want_of_memory_damage_is_not_believed(monkeypatch):
    data = encode(Image.fromarray(backdrop(300, 200)), "PNG")

    def fail(self):
        raise OSError("broken data stream when reading image file")

    with monkeypatch.context() as patch:
        patch.setattr(ImageFile.ImageFile, "load", fail)
        with pytest.raises(ImageError, match=r"^truncated or damaged image: broken data stream"):
            open_photo(data)
        patch.setattr(decode, "memory_is_there", lambda size: False)
        with pytest.raises(FaultError, match="Cannot allocate memory"):
            open_photo(data)
    attempts = []
    load = ImageFile.ImageFile.load

    def fail_once(self):
        attempts.append(self)
        if len(attempts) == 1:
            raise OSError("broken data stream when reading image file")
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail_once)
    assert open_photo(data).rgb.shape == (200, 300, 3)


FAILS = [errno.EIO, errno.EACCES]


@pytest.mark.parametrize("number", FAILS, ids=errno.errorcode.get)
def test_no_advice_to_write_a_file_anew_where_the_disk_failed(tmp_path, monkeypatch, number):
    (tmp_path / "composite.json").write_text('{"name": "a", "built": false}')
    (tmp_path / "a.parquet").write_bytes(b"any")
    (tmp_path / "a.png").write_bytes(encode(Image.fromarray(backdrop(40, 30)), "PNG"))
    (tmp_path / "face_landmark.tflite").write_bytes(b"any")
    reads = {
        "table": lambda: tables.parquet.opened(tmp_path / "a.parquet").__enter__(),
        "composite": lambda: read_composite(tmp_path),
        "picture": lambda: Album().picture(Figure(tmp_path / "a.png", "a plot", of=PLOT)),
        "network": lambda: load_interpreter(tmp_path / "face_landmark.tflite"),
    }

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pq, "ParquetFile", fail)
    monkeypatch.setattr(Path, "read_text", fail)
    monkeypatch.setattr(Path, "read_bytes", fail)
    for what, read in reads.items():
        with pytest.raises(FaultError, match="That is no fault of the file") as caught:
            read()
        assert "dvc repro`" not in str(caught.value), what


def test_the_second_attempt_at_a_photo_changes_no_setting(monkeypatch):
    settings = AvifImagePlugin.DEFAULT_MAX_THREADS, pillow_heif.options.DECODE_THREADS
    used = []

    def fail(self):
        used.append((AvifImagePlugin.DEFAULT_MAX_THREADS, pillow_heif.options.DECODE_THREADS))
        raise OSError("broken data stream when reading image file")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(ImageError, match="damaged"):
        open_photo(encode(Image.new("RGB", (100, 60)), "PNG"))
    assert used == [settings, (1, 1)]
    assert settings == (AvifImagePlugin.DEFAULT_MAX_THREADS, pillow_heif.options.DECODE_THREADS)


@pytest.mark.long
def test_want_of_threads_stops_a_run_with_the_way_out(folder, tmp_path, monkeypatch):
    def fail(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(FaultError, match="no further thread; what is done so far is kept: "):
            run(folder, tmp_path)
    assert run(folder, tmp_path) == {"a.jpg": None, "b.jpg": "no face found"}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("can't start new thread"), faults.NO_THREADS),
        (MemoryError(), faults.NO_MEMORY),
    ],
)
def test_a_command_names_the_way_out_of_want(error, text, monkeypatch, capsys):
    import facestats.__main__ as program

    def fail(options):
        raise error

    monkeypatch.setattr("facestats.cli.results.run", fail)
    assert program.main(["results"]) == 2
    assert capsys.readouterr().err == f"error: {text}\n"


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("kind", ["AVIF", "WEBP", "HEIC"])
@pytest.mark.long
def test_a_decoder_that_cannot_be_loaded_is_no_fault_of_the_photo(
    folder, tmp_path, monkeypatch, kind
):
    """Too many open files, or a disk that fails: Pillow would do without the decoder for good."""
    image = Image.fromarray(backdrop(300, 200))
    (folder / "b.jpg").write_bytes(heic(image) if kind == "HEIC" else encode(image, kind))
    library = {"AVIF": "PIL._avif", "WEBP": "PIL._webp", "HEIC": "_pillow_heif"}[kind]

    class Failing:
        def find_spec(self, name, path=None, target=None):
            if name == library:
                raise ImportError(f"{library}.so: cannot open shared object file: Too many files")

    def first_photos():
        for name in list(sys.modules):
            if re.match(r"PIL\.(_avif|_webp|Avif|WebP)|_?pillow_heif", name):
                del sys.modules[name]
        Image._initialized = 0
        for name in ("AVIF", "WEBP"):
            if Image.OPEN.pop(name, None):
                Image.ID.remove(name)
        containers._load_decoders.cache_clear()
        sys.meta_path.insert(0, Failing())
        Image.init()  # by another library of this process
        try:
            failed = run(folder, tmp_path)
        except FaultError as error:
            failed = error
        sys.meta_path.pop(0)
        return f"{failed} | then {run(folder, tmp_path)['b.jpg']}"

    outcome = in_little_memory(1 << 29, first_photos)
    assert re.match(
        r"\S+\.jpg: a photo can't be read: ImportError: .*Too many files\. That is no fault of "
        r"the file.*`pip install --force-reinstall` its package \| then no face found$",
        outcome,
    ), outcome


@pytest.mark.long
@pytest.mark.parametrize(
    "data",
    [
        b"P6 bad_alloc 64 255\n" + bytes(99),
        b"P3 64 64 255\n" + b"bad_alloc " * 64 * 64 * 3,
        b"".join(
            card.ljust(80).encode()
            for card in ("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = out of memory")
        ).ljust(2880),
    ],
)
def test_a_picture_that_quotes_want_of_memory_stops_no_run(folder, tmp_path, data):
    (folder / "b.jpg").write_bytes(data)
    reason = run(folder, tmp_path)["b.jpg"]
    assert reason.startswith(("truncated or damaged image", "not an image"))
    assert run.stored == [None, reason]


@pytest.mark.parametrize(
    "error", [ValueError, KeyError, SyntaxError, ImageError, Image.UnidentifiedImageError]
)
def test_an_error_that_may_quote_a_file_is_no_want_of_memory(error):
    assert not faults.is_fault(error("bad_alloc"))
    assert faults.is_out_of_memory(RuntimeError("std::bad_alloc"))


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    ["Failed to decode image: Out of memory", "Pixel allocation failed: Out of memory"],
)
def test_a_decoder_that_names_want_of_memory_is_believed(folder, tmp_path, monkeypatch, text):
    def fail(self):
        raise RuntimeError(text)

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    (folder / "b.jpg").write_bytes(encode(Image.fromarray(backdrop(300, 200)), "PNG"))
    with pytest.raises(FaultError, match=r"Cannot allocate memory \(ENOMEM\)"):
        run(folder, tmp_path)
    assert run.stored == [None]


def test_want_of_memory_turns_no_photo_and_drops_no_profile(monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    data = encode(Image.new("RGB", (100, 60)), "JPEG", exif=exif, dpi=(72, 72), icc_profile=profile)
    with monkeypatch.context() as patch:
        patch.setattr(pixels, "memory_is_there", lambda size: False)
        pixels._kept_transform.cache_clear()
        with pytest.raises(FaultError, match="Cannot allocate memory"):
            open_photo(data)
    assert open_photo(data).rgb.shape == (100, 60, 3)

    def fail(self, data):
        raise MemoryError

    monkeypatch.setattr(Image.Exif, "load", fail)
    with pytest.raises(FaultError, match="Cannot allocate memory"):
        open_photo(data)


def test_a_reason_has_no_control_characters(monkeypatch):
    def fail(self):
        raise ValueError("bad box \x1b[31m\n\x00\u202e")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(ImageError, match=r"bad box \\x1b\[31m\\n\\x00\\u202e$"):
        open_photo(encode(Image.new("RGB", (100, 60)), "PNG"))


@pytest.mark.parametrize(
    "number",
    [
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ENOMEM,
        errno.EFBIG,
        errno.EROFS,
    ],
)
def test_every_error_of_the_system_has_a_message(number):
    assert os.strerror(number) in of_file(OSError(number, os.strerror(number), "x"))


def test_a_table_or_workbook_on_a_disk_that_fails_is_not_called_damaged(tmp_path, monkeypatch):
    import openpyxl

    from facestats.core.tables.parquet import opened
    from facestats.labels import workbook

    def fail(*arguments, **named):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    book = tmp_path / "labels.xlsx"
    openpyxl.Workbook().save(book)
    (tmp_path / "x.parquet").write_bytes(b"any")
    monkeypatch.setattr(pq, "ParquetFile", fail)
    with (
        pytest.raises(FaultError, match=r"x\.parquet can't be read: Input/output error \(EIO\)"),
        opened(tmp_path / "x.parquet"),
    ):
        pass
    monkeypatch.setattr(openpyxl, "load_workbook", fail)
    with pytest.raises(FaultError, match=r"labels\.xlsx can't be read: Input/output error \(EIO\)"):
        workbook._open(book.read_bytes(), book, read_only=True, data_only=True)
