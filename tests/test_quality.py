"""Measures of a face: sharpness, brightness, head pose, and which photos repeat others."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from facestats.faces.align import CropTransform, align_face
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.quality import brightness, grey_crop, head_pose, sharpness

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


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize("ratio", [1.2, 1.6, 2.0, 2.9, 3.1, 5.0])
def test_crops_are_those_of_four_times_the_pixels_averaged(photos, ratio):
    for photo in photos[:5]:
        large = np.asarray(photo.resize((1024, 1024), Image.Resampling.LANCZOS))
        square = CropTransform(517.3, 508.8, 1000.0, 0.05)
        size = round(1000 / ratio)
        averaged = (
            align_face(large, square, 4 * size).reshape(size, 4, size, 4, 3).mean(axis=(1, 3))
        )
        error = np.mean((align_face(large, square, size) - averaged) ** 2)
        assert 10 * np.log10(255**2 / error) > 44


def test_the_short_way_to_the_grey_crop_is_pillows(crops):
    for crop in crops:
        slow = Image.fromarray(crop.rgb).convert("L").resize((256, 256), Image.Resampling.BILINEAR)
        assert np.abs(grey_crop(crop.rgb).astype(int) - np.asarray(slow))[1:-1, 1:-1].max() <= 2
        assert sharpness(grey_crop(crop.rgb)) == pytest.approx(
            sharpness(np.asarray(slow)), rel=0.01
        )


def test_brightness_is_mean_luma():
    assert brightness(grey_crop(np.full((64, 64, 3), 255, np.uint8))) == 1.0
    pure_green = np.zeros((64, 64, 3), np.uint8)
    pure_green[..., 1] = 255
    assert brightness(grey_crop(pure_green)) == pytest.approx(0.587, abs=0.003)


@pytest.mark.long
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
