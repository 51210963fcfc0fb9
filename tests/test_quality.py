"""Measures of a face: sharpness, brightness, head pose, and which photos repeat others."""

import io

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from facestats.faces.align import CropTransform, align_face
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.dedup import MAX_DISTANCE, find_near_duplicates, first_of_group, perceptual_hash
from facestats.faces.quality import brightness, grey_crop, head_pose, sharpness
from resources import jpeg

CONFIG = PreprocessConfig()




def test_blur_lowers_sharpness_and_size_does_not_matter(crops):
    image = Image.fromarray(crops[0].rgb)
    values = [
        sharpness(grey_crop(np.asarray(image.filter(ImageFilter.GaussianBlur(radius)))))
        for radius in (0, 2, 4, 8)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > 5 * values[2]
    half = image.resize((256, 256), Image.Resampling.BILINEAR, reducing_gap=2.0)
    assert sharpness(grey_crop(np.asarray(half))) == pytest.approx(values[0], rel=0.05)


@pytest.mark.parametrize("ratio", [1.2, 1.6, 2.0, 2.9, 3.1, 5.0])
def test_crops_are_those_of_four_times_the_pixels_averaged(photos, ratio):
    for photo in photos[:5]:
        large = np.asarray(photo.resize((1024, 1024), Image.Resampling.LANCZOS))
        square = CropTransform(517.3, 508.8, 1000.0, 0.05)
        size = round(1000 / ratio)
        averaged = align_face(large, square, 4 * size).reshape(size, 4, size, 4, 3).mean(axis=(1, 3))
        error = np.mean((align_face(large, square, size) - averaged) ** 2)
        assert 10 * np.log10(255**2 / error) > 44


def test_the_short_way_to_the_grey_crop_is_pillows(crops):
    for crop in crops:
        slow = Image.fromarray(crop.rgb).convert("L").resize((256, 256), Image.Resampling.BILINEAR)
        assert np.abs(grey_crop(crop.rgb).astype(int) - np.asarray(slow))[1:-1, 1:-1].max() <= 2
        assert sharpness(grey_crop(crop.rgb)) == pytest.approx(sharpness(np.asarray(slow)), rel=0.01)


def test_brightness_is_mean_luma():
    assert brightness(grey_crop(np.full((64, 64, 3), 255, np.uint8))) == 1.0
    pure_green = np.zeros((64, 64, 3), np.uint8)
    pure_green[..., 1] = 255
    assert brightness(grey_crop(pure_green)) == pytest.approx(0.587, abs=0.003)


def test_pose_has_the_signs_that_its_documentation_says(photos, crops, landmarker):
    for photo, crop in zip(photos[:12], crops[:12], strict=True):
        mirrored = crop_face(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), CONFIG, landmarker)
        assert mirrored.pose.yaw == pytest.approx(-crop.pose.yaw, abs=5)
        assert mirrored.pose.pitch == pytest.approx(crop.pose.pitch, abs=5)
        clockwise = crop_face(
            photo.rotate(-15, Image.Resampling.BICUBIC, fillcolor="gray"), CONFIG, landmarker
        )
        assert clockwise.pose.roll == pytest.approx(crop.pose.roll + 15, abs=2)
        assert clockwise.pose.yaw == pytest.approx(crop.pose.yaw, abs=5)
    # A nose that points to the image's right is a positive yaw.
    shift = [c.landmarks[1, 0] - c.landmarks[[234, 454], 0].mean() for c in crops]
    assert np.corrcoef(shift, [c.pose.yaw for c in crops])[0, 1] > 0.95


def test_pose_of_a_turned_plane():
    points = np.full((468, 3), 0.5)
    points[[33, 133, 234]] = (0.3, 0.5, 0.0)
    points[[362, 263, 454]] = (0.3 + 0.2 * np.cos(0.5), 0.5, 0.2 * np.sin(0.5))
    assert head_pose(points, 200, 200).yaw == pytest.approx(np.degrees(0.5))
    assert head_pose(points, 200, 200).roll == pytest.approx(0)


# --- duplicates ---------------------------------------------------------------------------------------------


def test_the_perceptual_hash_is_imagehashs(crops):
    rng = np.random.default_rng(0)
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    greys = [grey_crop(crop.rgb) for crop in crops] + [rng.integers(0, 256, (256, 256), np.uint8) for _ in range(20)]
    for grey in (*greys, ramp, ramp.T.copy(), np.zeros_like(ramp), np.full_like(ramp, 77)):
        small = Image.fromarray(cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA))
        expected = imagehash.phash(small, hash_size=16).hash
        assert perceptual_hash(grey) == np.packbits(expected).tobytes()


def test_copies_are_near_and_different_faces_are_not(photos, crops, landmarker):
    hashes = [perceptual_hash(grey_crop(crop.rgb)) for crop in crops]
    assert find_near_duplicates(hashes) == [None] * len(hashes)
    copies = []
    for photo in photos[:10]:
        half = photo.resize((256, 256), Image.Resampling.LANCZOS)
        reencoded = Image.open(io.BytesIO(jpeg(photo, 60))).convert("RGB")
        bright = ImageEnhance.Brightness(photo).enhance(1.1)
        cropped = photo.crop((8, 8, 500, 500))
        for copy in (half, reencoded, bright, cropped):
            copies.append(perceptual_hash(grey_crop(crop_face(copy, CONFIG, landmarker).rgb)))
    found = find_near_duplicates(hashes + copies)[len(hashes) :]
    assert np.mean([first == at // 4 for at, first in enumerate(found)]) >= 0.95
    assert all(first in (None, at // 4) for at, first in enumerate(found))


def test_near_duplicates_are_those_of_comparing_all_pairs():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (300, 256), np.uint8)
    for row in range(100, 300):  # each later one is an earlier one with 0–60 bits flipped
        bits[row] = bits[rng.integers(row)]
        bits[row, rng.choice(256, rng.integers(61), replace=False)] ^= 1
    distance = (bits[:, None] != bits[None]).sum(axis=2)
    first = np.arange(300)
    for _ in range(300):  # the smallest position that a chain of neighbours reaches
        first = np.where(distance <= MAX_DISTANCE, first[None, :], 300).min(axis=1)
    expected = [None if f == i else int(f) for i, f in enumerate(first)]
    assert find_near_duplicates([np.packbits(b).tobytes() for b in bits]) == expected
    assert sum(e is not None for e in expected) > 80


def test_one_copy_among_many_different_photos_is_found():
    rng = np.random.default_rng(0)
    hashes = [rng.bytes(32) for _ in range(20_000)]
    assert find_near_duplicates([*hashes, hashes[7]]) == [None] * 20_000 + [7]
    assert find_near_duplicates([]) == []
    assert find_near_duplicates(hashes[:1]) == [None]
    assert first_of_group(["a", "b", "a", "a"]) == [None, None, 0, 0]
