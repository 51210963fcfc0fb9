"""Copies of a picture among photographs: found after any edit, never mistaken, ranked."""

import io
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageOps

from facestats.errors import InputError
from facestats.faces import comparison, dedup
from facestats.faces.comparison import read_thumbnail, same_picture, thumbnail
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.dedup import (
    MAX_DISTANCE,
    find_near_duplicates,
    first_of_group,
    perceptual_hash,
)
from facestats.faces.photo import bits_per_pixel
from facestats.faces.preprocess import preprocess_folder, rank_copies
from facestats.faces.quality import grey_crop, sharpness
from resources import encode, jpeg, landmarker_dir, omi_images

MIRROR = Image.Transpose.FLIP_LEFT_RIGHT
EDITS = {
    "a thumbnail": lambda photo: photo.resize((96, 96), Image.Resampling.LANCZOS),
    "a JPEG of quality 30": lambda photo: Image.open(io.BytesIO(jpeg(photo, 30))).convert("RGB"),
    "a GIF": lambda photo: Image.open(io.BytesIO(encode(photo, "GIF"))).convert("RGB"),
    "grey": lambda photo: photo.convert("L").convert("RGB"),
    "mirrored": lambda photo: photo.transpose(MIRROR),
    "brighter": lambda photo: ImageEnhance.Brightness(photo).enhance(1.4),
    "darker": lambda photo: ImageEnhance.Brightness(photo).enhance(0.5),
    "equalised": ImageOps.equalize,
    "cropped": lambda photo: photo.crop((40, 40, 480, 480)),
    "framed": lambda photo: ImageOps.expand(photo, 40, "white"),
    "turned": lambda photo: photo.rotate(4, Image.Resampling.BICUBIC, fillcolor="gray"),
    "a small grey mirror image": lambda photo: (
        photo.resize((160, 160)).convert("L").convert("RGB").transpose(MIRROR)
    ),
}


def looks(crops) -> tuple[list[bytes], list[np.ndarray], np.ndarray]:
    greys = [grey_crop(crop.rgb) for crop in crops]
    return (
        [perceptual_hash(grey) for grey in greys],
        [thumbnail(crop.rgb) for crop in crops],
        np.array([sharpness(grey) for grey in greys]),
    )


@pytest.mark.long
def test_copies_are_found_and_different_people_are_not_taken_for_copies(photos, crops, landmarker):
    edited = [
        crop_face(edit(photo), PreprocessConfig(), landmarker)
        for photo in photos[:5]
        for edit in EDITS.values()
    ]
    hashes, thumbnails, detail = looks([*crops, *edited])
    copies = find_near_duplicates(hashes, thumbnails.__getitem__, detail)
    assert copies[: len(crops)] == [None] * len(crops)
    assert copies[len(crops) :] == [at // len(EDITS) for at in range(len(edited))]


@pytest.mark.long
def test_photos_of_one_moment_are_no_copies(landmarker):
    folder = omi_images()[0].parents[2] / "photos"
    crops = [
        crop_face(path, PreprocessConfig(), landmarker)
        for path in sorted([*folder.glob("zoom/*.jpg"), *folder.glob("lisa/*.jpg")])
    ]
    assert len(crops) == 8
    hashes, thumbnails, detail = looks(crops)
    assert find_near_duplicates(hashes, thumbnails.__getitem__, detail) == [None] * 8
    assert not any(
        same_picture(one, other) for at, one in enumerate(thumbnails) for other in thumbnails[:at]
    )


@pytest.mark.long
def test_different_people_are_hardly_ever_aligned_and_each_crop_is_decoded_once(crops, monkeypatch):
    hashes, thumbnails, detail = looks(crops)
    monkeypatch.setattr(dedup, "MAX_DISTANCE", 90)
    decoded, aligned, align = Counter(), [], comparison._align
    monkeypatch.setattr(
        comparison, "_align", lambda *arguments: aligned.append(1) or align(*arguments)
    )
    assert find_near_duplicates(
        hashes, lambda face: decoded.update([face]) or thumbnails[face], detail
    ) == [None] * len(crops)
    candidates = len(dedup._candidates(hashes)[0])
    assert candidates > 20
    assert len(aligned) < candidates / 10
    assert set(decoded.values()) == {1}


@pytest.mark.long
@pytest.mark.parametrize(
    "tones",
    [
        lambda grey: np.clip(1.6 * grey, 0, 255),
        lambda grey: 255 * (grey / 255) ** 3,
        lambda grey: np.clip(2.2 * (grey - 128.0) + 128, 0, 255),
        lambda grey: 0.25 * grey,
    ],
)
def test_copies_are_known_whatever_was_done_to_their_tones(crops, tones):
    pictures = [thumbnail(crop.rgb) for crop in crops]
    assert all(
        same_picture(picture, tones(picture).round().astype(np.uint8)) for picture in pictures
    )
    assert not any(
        same_picture(one, tones(other).round().astype(np.uint8))
        for one, other in pairwise(pictures)
    )


def near(bits, thumbnail=lambda face: face, detail=None):
    return find_near_duplicates(
        [np.packbits(row).tobytes() for row in bits],
        thumbnail,
        np.zeros(len(bits)) if detail is None else detail,
    )


def test_candidates_are_those_of_comparing_all_pairs(monkeypatch):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (300, 256), np.uint8)
    # Each later row is an earlier one, or every second time its mirror image, with 1 to 31 bits
    # flipped.
    for row in range(100, 300):
        bits[row] = bits[rng.integers(row)]
        bits[row, rng.choice(256, rng.integers(1, 32), replace=False)] ^= 1
        bits[row] ^= np.unpackbits(dedup._ODD) * (row % 2)
    mirrored = bits ^ np.unpackbits(dedup._ODD)
    distance = np.minimum(
        (bits[:, None] != bits[None]).sum(axis=2), (bits[:, None] != mirrored[None]).sum(axis=2)
    )
    ones, others, _ = dedup._candidates([np.packbits(row).tobytes() for row in bits])
    copies = set(zip(ones.tolist(), others.tolist(), strict=True))
    assert {(i, j) for i, j in np.argwhere(distance <= 31).tolist() if i < j} <= copies
    assert all(distance[i, j] <= MAX_DISTANCE for i, j in copies)
    monkeypatch.setattr(dedup, "same_picture", lambda one, other: True)
    twice = near(np.concatenate([bits, bits]), lambda face: np.zeros((1, 1)))
    assert all(first is not None for first in twice[100:])  # equal hashes are looked up once


@pytest.mark.long
def test_one_copy_among_many_different_photos_is_found(monkeypatch):
    monkeypatch.setattr(dedup, "same_picture", lambda one, other: True)
    rng = np.random.default_rng(0)
    hashes = [rng.bytes(32) for _ in range(20_000)]
    copies = find_near_duplicates(
        [*hashes, hashes[7]], lambda face: np.zeros((1, 1)), np.zeros(20_001)
    )
    assert copies == [None] * 20_000 + [7]
    assert find_near_duplicates([], None, np.zeros(0)) == []
    assert find_near_duplicates(hashes[:1], None, np.zeros(1)) == [None]
    assert first_of_group(["a", "b", "a", "a"]) == [None, None, 0, 0]


def test_a_thumbnail_that_could_be_of_two_pictures_does_not_join_them(monkeypatch):
    """Pictures are numbers here, and copies where they differ by one at most."""
    monkeypatch.setattr(dedup, "same_picture", lambda one, other: abs(one - other).max() <= 1)
    bits = np.zeros((4, 256), np.uint8)
    bits[1, :3], bits[2, :10], bits[3, :12] = 1, 1, 1
    pictures = [np.full((1, 1), value) for value in (0.0, 1.0, 2.0, 2.5)]
    assert near(bits, pictures.__getitem__, np.array([9, 1, 9, 2])) == [None, 0, None, 2]


def test_the_best_copy_is_sharp_and_large_and_little_compressed():
    faces = pd.DataFrame(
        [
            ("a thumbnail", 40, 60, 20),
            ("blurred and large", 20, 900, 9),
            ("compressed", 110, 500, 0.8),
            ("good", 100, 500, 3),
            ("of few colours", 160, 500, 0),
        ],
        columns=["filename", "sharpness", "face_size", "bits_per_pixel"],
    )
    faces["copy_group"] = "one"
    faces.loc[5] = ("alone", 1, 1, None, "other")
    order = rank_copies(faces.sample(frac=1, random_state=0)).sort_index()
    assert faces["filename"][order[:5].sort_values().index].tolist() == [
        "good",
        "compressed",
        "of few colours",
        "a thumbnail",
        "blurred and large",
    ]
    assert order[5] == 1


@pytest.mark.long
def test_a_palette_counts_as_compressed(photos):
    photo = photos[0]
    assert (
        bits_per_pixel(encode(photo, "GIF"), *photo.size)
        == bits_per_pixel(encode(photo.quantize(64), "PNG"), *photo.size)
        == 0
    )
    assert (
        bits_per_pixel(jpeg(photo, 30), *photo.size)
        < bits_per_pixel(jpeg(photo, 95), *photo.size)
        < bits_per_pixel(encode(photo, "PNG"), *photo.size)
    )


@pytest.mark.long
def test_the_table_says_which_faces_are_copies_and_which_is_best(photos, tmp_path):
    (tmp_path / "in").mkdir()
    for name, data in {
        "a small.jpg": jpeg(photos[0].resize((128, 128)), 95),
        "b.gif": encode(photos[0], "GIF"),
        "c worse.jpg": jpeg(photos[0], 40),
        "d best.jpg": jpeg(photos[0], 92),
        "e mirrored.webp": encode(photos[0].transpose(MIRROR), "WEBP", quality=60),
        "f other.jpg": jpeg(photos[1], 92),
        "g best again.jpg": jpeg(photos[0], 92),
    }.items():
        (tmp_path / "in" / name).write_bytes(data)
    table = preprocess_folder(
        tmp_path / "in", tmp_path / "out", PreprocessConfig(), landmarker_dir(), workers=0
    ).set_index("image")
    assert table.loc["g best again.jpg", "duplicate_of"] == "d best.jpg"
    assert set(table["copy_group"]) == {"d best.jpg", "f other.jpg"}
    assert table["copy_rank"].astype(int).to_dict() == {
        "d best.jpg": 1,
        "g best again.jpg": 2,
        "f other.jpg": 1,
        "a small.jpg": 6,
    } | {name: table.loc[name, "copy_rank"] for name in ("b.gif", "c worse.jpg", "e mirrored.webp")}
    assert table["near_duplicate_of"].dropna().unique().tolist() == ["a small.jpg"]


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"no picture"])
def test_a_crop_that_is_no_picture_any_more_is_named(tmp_path, data):
    path = tmp_path / "face.jpg"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"face\.jpg is no picture any more; `dvc checkout`"):
        read_thumbnail(path, 256)
    with pytest.raises(InputError, match="a crop is no picture any more"):
        read_thumbnail(data, 256)
