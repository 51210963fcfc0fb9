"""The head's outline and its relief: the forms that light then shades."""

import numpy as np

from facestats.sample.frame import Frame, polar, ramp
from facestats.sample.layout import Layout
from facestats.sample.traits import Traits


def head_outline(traits: Traits) -> np.ndarray:
    """Polar outline of the skull and jaw."""
    jaw, chin = traits.jaw, traits.chin
    sag = 0.05 * max(0.0, traits.wrinkles - 0.4)
    return polar(
        [
            (0.0, -1.56),
            (0.50, -1.45),
            (0.86, -1.10),
            (1.02, -0.60),
            (1.02, -0.15),
            (1.00, 0.25),
            (0.965 + 0.02 * traits.cheeks, 0.60),
            (0.78 * jaw + 0.045 + 0.03 * traits.cheeks + sag, 1.02),
            (0.58 * jaw + sag, 1.33),
            (0.34 * chin, 1.585),
            (0.14 * chin, 1.65),
            (0.0, 1.66),
        ],
        smooth=244,
    )


def relief(frame: Frame, traits: Traits, layout: Layout, outline: np.ndarray) -> np.ndarray:
    """Height of the face before it is turned, float32 (size, size).

    In head units, towards the camera.
    """
    t = frame.r / outline[frame.angle]
    height = np.float32(0.92) * np.sqrt(np.maximum(np.float32(1.04) - t * t, np.float32(0.015)))
    male = traits.gender == "male"
    for side in (-1, 1):
        eye_u, eye_v = layout.eye(side)
        # brow ridge
        frame.bump(height, side * 0.38, eye_v - 0.25, 0.26, 0.10, 0.065 if male else 0.04)
        frame.bump(height, eye_u + side * 0.02, eye_v + 0.01, 0.18, 0.14, -0.10)  # socket
        frame.bump(height, side * 0.20, eye_v - 0.02, 0.06, 0.11, -0.05)  # beside the bridge
        frame.bump(height, eye_u, eye_v - 0.01, 0.16, 0.095, 0.075)  # eyeball under the lids
        lift = 0.05 * traits.smile
        full = 0.075 + 0.03 * traits.cheeks + 0.04 * traits.smile
        frame.bump(height, side * 0.56, 0.42 - lift, 0.22, 0.19, full)  # cheek
        frame.bump(height, side * 0.62, 0.98, 0.16, 0.22, -0.035 + 0.03 * traits.cheeks)
        _nasolabial(frame, height, traits, layout, side)
        if traits.eye_bags > 0.1:
            _eye_bag(frame, height, traits, layout, side)
        if traits.wrinkles > 0.15:
            _crows_feet(frame, height, traits, layout, side)
    _nose_relief(frame, height, traits, layout)
    mouth = layout.mouth_v
    frame.bump(height, 0.0, mouth + 0.02, 0.34, 0.20, 0.06)
    frame.bump(height, 0.0, mouth - 0.17, 0.035, 0.06, -0.022)  # philtrum
    frame.bump(height, 0.0, mouth + 0.13 * traits.lip_fullness + 0.12, 0.22, 0.055, -0.05)
    frame.bump(height, 0.0, 1.44, 0.21 * traits.chin, 0.13, 0.075)
    if traits.wrinkles > 0.25:
        _forehead_lines(frame, height, traits)
    return height


def _nose_relief(frame: Frame, height: np.ndarray, traits: Traits, layout: Layout) -> None:
    tip, skew, wide = layout.nose_v, layout.nose_skew, traits.nose_width
    window, u, v = frame.local(0.0, tip - 0.34, 0.55, 0.62)
    along = v - np.float32(0.34)  # 0 at the tip, negative above
    rise = np.float32(0.10) * ramp(along, -0.86, -0.50) + np.float32(0.15) * ramp(
        along, -0.62, 0.06
    )
    below = ramp(along, 0.24, -0.06)
    width = np.float32(0.10 * wide) + np.float32(0.045 * wide) * ramp(along, -0.5, 0.0)
    crooked = u - np.float32(skew) * ramp(along, -0.5, 0.0)
    ridge = np.exp(np.float32(-0.5) * (crooked / width) ** 2)
    height[window] += rise * below * ridge
    frame.bump(height, skew, tip, 0.105 * wide, 0.09, 0.07)
    for side in (-1, 1):
        frame.bump(height, skew + side * 0.165 * wide, tip + 0.055, 0.06 * wide, 0.065, 0.075)
        frame.bump(height, skew + side * 0.27 * wide, tip + 0.06, 0.035, 0.07, -0.03)


def _nasolabial(
    frame: Frame, height: np.ndarray, traits: Traits, layout: Layout, side: int
) -> None:
    depth = 0.010 + 0.030 * traits.wrinkles + 0.026 * traits.smile
    top, bottom = layout.nose_v + 0.02, layout.mouth_v + 0.06
    window, u, v = frame.local(side * 0.42, (top + bottom) / 2, 0.36, 0.38)
    u, v = (u + np.float32(side * 0.42)) * side, v + np.float32((top + bottom) / 2)
    t = (v - np.float32(top)) * np.float32(1 / (bottom - top))
    centre = (
        np.float32(0.25 * traits.nose_width + 0.03) + np.float32(0.24 + 0.07 * traits.smile) * t
    )
    fade = ramp(t, -0.05, 0.22) * ramp(t, 1.15, 0.75)
    across = (u - centre) * np.float32(1 / 0.042)
    # A fold has a sharp inner and a soft outer side.
    height[window] -= (
        np.float32(depth)
        * fade
        * (np.exp(-across * across) - np.float32(0.5) * np.exp(-((across - 2) ** 2) / 4))
    )


def _eye_bag(frame: Frame, height: np.ndarray, traits: Traits, layout: Layout, side: int) -> None:
    eye_u, eye_v = layout.eye(side)
    window, u, v = frame.local(eye_u, eye_v + 0.2, 0.3, 0.16)
    curve = np.float32(0.02) - np.float32(1.1) * u * u
    fade = ramp(np.abs(u), 0.24, 0.1)
    across = (v - curve) * np.float32(1 / 0.022)
    amount = np.float32(0.022 * traits.eye_bags)
    height[window] += (
        amount * fade * (np.exp(-((across + 1.8) ** 2) / 3) - np.exp(-across * across))
    )


def _crows_feet(
    frame: Frame, height: np.ndarray, traits: Traits, layout: Layout, side: int
) -> None:
    eye_u, eye_v = layout.eye(side)
    outer = eye_u + side * layout.eye_half
    window, u, v = frame.local(outer + side * 0.14, eye_v, 0.14, 0.18)
    u = (u + np.float32(side * 0.14)) * side
    fade = ramp(u, 0.03, 0.08) * ramp(u, 0.24, 0.12)
    lines = np.zeros_like(u)
    for slope in (-0.42, -0.05, 0.32):
        lines += np.exp(-(((v - np.float32(slope) * u) * np.float32(1 / 0.014)) ** 2))
    height[window] -= (
        np.float32(0.012 * traits.wrinkles * (0.6 + 0.6 * traits.smile)) * fade * lines
    )


def _forehead_lines(frame: Frame, height: np.ndarray, traits: Traits) -> None:
    window, u, v = frame.local(0.0, -0.66, 0.75, 0.3)
    phase = np.float32(traits.texture_seed % 628 / 100)
    wave = np.float32(0.018) * np.sin(u * np.float32(7.0) + phase) + np.float32(0.05) * u * u
    lines = np.zeros_like(u)
    for place, strength in ((-0.13, 0.8), (0.0, 1.0), (0.13, 0.75)):
        lines += np.float32(strength) * np.exp(
            -(((v - wave - np.float32(place)) * np.float32(1 / 0.019)) ** 2)
        )
    fade = ramp(np.abs(u), 0.62, 0.3)
    height[window] -= np.float32(0.016 * (traits.wrinkles - 0.1)) * fade * lines
    for side in (-1, 1):
        frame.bump(height, side * 0.075, -0.24, 0.014, 0.07, -0.02 * traits.wrinkles)  # frown lines
