"""Photos whose decoder lacks memory, threads or a library: none is called damaged."""

import os
import re
import resource
import sys

import pytest
from PIL import Image

from facestats.errors import FaultError, ImageError
from facestats.machine import faults
from facestats.photos import containers, decode
from facestats.photos.decode import open_photo
from little_memory import in_little_memory
from resources import backdrop, encode, heic

pytestmark = pytest.mark.usefixtures("decodes_here")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(faults, "PAUSES", (0, 0))


@pytest.mark.long
def test_a_limit_of_the_data_segment_is_a_limit_of_memory():
    """`ulimit -d`, which counts what a process has for itself, and nothing that it shares."""
    assert in_little_memory(0, lambda: str(faults.memory_is_there(1 << 28))) == "False"
    assert in_little_memory(1 << 29, lambda: str(faults.memory_is_there(1 << 28))) == "True"


@pytest.mark.thorough
@pytest.mark.long
def test_a_good_avif_is_not_called_damaged_where_memory_is_short():
    data = encode(Image.fromarray(backdrop(1600, 1200)), "AVIF", speed=10)
    outcomes = {
        in_little_memory(megabytes << 20, lambda: open_photo(data, 1024).width)
        for megabytes in range(0, 120, 8)
    }
    assert "1600" in outcomes
    assert {outcome for outcome in outcomes if "damaged" in outcome} == set()
    assert len(outcomes) > 1


def without_threads() -> None:
    """Let this process start no further thread."""
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    if os.geteuid() == 0:
        os.setuid(65534)  # the limit does not hold for root


@pytest.mark.first_cases(1)
@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as processes")
@pytest.mark.parametrize("kind", ["AVIF", "HEIC", "damaged HEIC"])
@pytest.mark.long
def test_a_good_photo_is_not_called_damaged_where_threads_are_short(kind):
    image = Image.fromarray(backdrop(400, 300))
    data = encode(image, "AVIF", speed=10) if kind == "AVIF" else heic(image)
    if kind == "damaged HEIC":
        data = data[: len(data) // 2]
        with pytest.raises(ImageError, match="damaged"):
            open_photo(data)
    else:
        assert open_photo(data).width == 400

    def look():
        without_threads()
        return open_photo(data).width

    outcome = in_little_memory(1 << 29, look)
    if kind == "AVIF":
        assert outcome == "400"
    else:
        assert re.match(r"FaultError: a photo can't be read: .*\(EAGAIN\).*`ulimit -u`", outcome)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "JPEG2000", "GIF"])
def test_a_damaged_photo_needs_no_threads_where_its_decoder_starts_none(monkeypatch, kind):
    """Any damaged photo stopped a run where threads were short."""
    monkeypatch.setattr(decode, "threads_are_there", lambda: False)
    data = encode(Image.fromarray(backdrop(400, 300)), kind)
    with pytest.raises(ImageError, match=r"damaged|not an image"):
        open_photo(data[: len(data) // 2])


def test_a_damaged_avif_says_nothing_where_threads_are_short(monkeypatch):
    monkeypatch.setattr(decode, "threads_are_there", lambda: False)
    data = encode(Image.fromarray(backdrop(400, 300)), "AVIF", speed=10)
    with pytest.raises(FaultError, match=r"EAGAIN"):
        open_photo(data[: len(data) // 2])


@pytest.mark.long
@pytest.mark.parametrize(("kind", "library"), [("AVIF", "_avif"), ("WEBP", "_webp")])
def test_a_pillow_without_a_format_stops_at_such_a_photo_alone(monkeypatch, kind, library):
    """It stopped at the first photo of any kind."""
    missing, real = f"PIL.{library}", containers.import_module

    def without(name):
        if name == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name)

    monkeypatch.setattr(containers, "import_module", without)
    monkeypatch.setattr(containers, "_lacking", set())
    containers._load_decoders.cache_clear()
    image = Image.fromarray(backdrop(400, 300))
    try:
        for other in {"JPEG", "PNG", "AVIF", "WEBP"} - {kind}:
            assert open_photo(encode(image, other)).width == 400
        with pytest.raises(FaultError, match=r"this Pillow was built without .*no fault of the"):
            open_photo(encode(image, kind))
    finally:
        containers._load_decoders.cache_clear()
