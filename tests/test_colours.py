"""Colours of photos: profiles, greys, inks and sixteen bits become sRGB."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from facestats.photos.decode import open_photo
from photo_bytes import chunked, colour_of
from resources import encode, heic


def profile(
    name: str, primaries: list[list[float]], gamma: float | None, space: bytes = b"RGB "
) -> bytes:
    """An ICC profile: its name, the XYZ (D50) of its primaries, and its gamma.

    None is sRGB's own curve.
    """

    def tag(kind: bytes, body: bytes) -> bytes:
        return kind + bytes(4) + body + bytes(-len(body) % 4)

    def xyz(values) -> bytes:
        return tag(b"XYZ ", b"".join(struct.pack(">i", round(65536 * value)) for value in values))

    curve = (
        tag(
            b"para",
            struct.pack(
                ">HHiiiii",
                3,
                0,
                *(round(65536 * v) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)),
            ),
        )
        if gamma is None
        else tag(b"curv", struct.pack(">IH", 1, round(256 * gamma)))
    )
    text = name.encode()
    described = tag(b"desc", struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(8 + 3 + 67))
    tags = {b"desc": described, b"cprt": tag(b"text", b"none\0"), b"wtpt": xyz([0.9642, 1, 0.8249])}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= dict(
            zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, primaries), strict=True)
        ) | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for kind, content in tags.items():
        table += kind + struct.pack(">II", at + len(body), len(content))
        body += content
    head = bytearray(128)
    head[8:12], head[12:24], head[36:40] = b"\x02\x10\0\0", b"mntr" + space + b"XYZ ", b"acsp"
    head[68:80] = struct.pack(">3i", *(round(65536 * value) for value in (0.9642, 1, 0.8249)))
    struct.pack_into(">I", head, 0, at + len(body))
    return bytes(head) + table + body


SRGB = [[0.4361, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7139]]
P3 = [[0.5151, 0.2412, -0.0011], [0.2920, 0.6922, 0.0419], [0.1571, 0.0666, 0.7841]]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_profiles_are_judged_by_what_they_do_and_not_by_their_name(kind):
    colour = (200, 80, 60)
    for name in ("sRGB IEC61966-2.1", "Display P3", ""):
        same, wide = profile(name, SRGB, None), profile(name, P3, None)
        for icc, expected in (
            (same, colour),
            (wide, (216, 70, 50)),
            (b"no profile" * 20, colour),
            (profile(name, [], 2.2, b"GRAY"), colour),
        ):
            image = Image.new("RGB", (64, 64), colour)
            data = (
                heic(image, icc_profile=icc, quality=-1, chroma=444)
                if kind == "HEIF"
                else encode(
                    image,
                    kind,
                    icc_profile=icc,
                    **{
                        "JPEG": {"quality": 100, "subsampling": 0},
                        "WEBP": {"lossless": True},
                        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
                    }.get(kind, {}),
                )
            )
            assert np.abs(np.subtract(colour_of(data)[1], expected)).max() <= 3, (name, expected)


def test_greys_and_inks_have_profiles_too():
    ramp = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1)))
    dark = profile("grey", [], 1.0, b"GRAY")  # linear: 64 of 255 is a light 137
    wide = Image.fromarray(np.asarray(ramp).astype(np.uint16) * 257)
    for data in (
        encode(ramp, "PNG", icc_profile=dark),
        encode(ramp, "JPEG", icc_profile=dark, quality=100),
        encode(ramp.convert("LA"), "PNG", icc_profile=dark),
        encode(wide, "PNG", icc_profile=dark),
        encode(ramp, "PNG", icc_profile=profile("colours", SRGB, 1.0)),
    ):
        assert abs(int(open_photo(data).rgb[5, 16, 0]) - 137) <= 3
    assert (
        abs(
            int(
                open_photo(encode(ramp, "PNG", icc_profile=profile("sRGB", SRGB, None))).rgb[
                    5, 16, 0
                ]
            )
            - 64
        )
        <= 1
    )
    inks = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    for icc in (b"broken" * 30, profile("sRGB", SRGB, None)):
        red = colour_of(encode(inks, "TIFF", icc_profile=icc))[1]
        assert red[0] > 200 > 80 > red[1]


def test_lab_and_sixteen_bits_are_read():
    colour = (200, 80, 60)
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(Image.new("RGB", (64, 64), colour), to_lab)
    assert np.abs(np.subtract(colour_of(encode(lab, "TIFF"))[1], colour)).max() <= 4
    deep = (np.full((64, 64, 3), colour, ">u2") * 257).tobytes()
    rows = b"".join(b"\0" + deep[i : i + 384] for i in range(0, len(deep), 384))
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunked(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0))
        + chunked(b"IDAT", zlib.compress(rows))
        + chunked(b"IEND", b"")
    )
    assert colour_of(png) == ((64, 64), list(colour))


def test_a_large_profile_in_a_png_is_used():
    icc = profile("large", P3, None)
    icc += bytes(3 << 20)
    icc = struct.pack(">I", len(icc)) + icc[4:]
    image = Image.new("RGB", (64, 64), (200, 80, 60))
    data = encode(image, "PNG")
    at = data.index(b"IDAT") - 4
    large = data[:at] + chunked(b"iCCP", b"large\0\0" + zlib.compress(icc)) + data[at:]
    assert np.abs(np.subtract(colour_of(large)[1], (216, 70, 50))).max() <= 2
