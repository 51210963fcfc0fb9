"""Eyes, brows, nostrils and mouth: what is painted on the lit skin."""

from dataclasses import dataclass

import numpy as np

from facestats.sample import palette
from facestats.sample.frame import Frame, Window, blend, gauss, ramp, strand_table
from facestats.sample.layout import Layout
from facestats.sample.light import Light
from facestats.sample.traits import Traits

_DARK = palette.linear((0.10, 0.06, 0.05))


def paint_eye(
    frame: Frame, canvas: np.ndarray, traits: Traits, layout: Layout, light: Light, side: int
) -> None:
    """One eye with its lids and lashes."""
    eye_u, eye_v = layout.eye(side)
    half, opening = layout.eye_half, layout.eye_open
    window, u, v = frame.local(eye_u, eye_v, half * 1.75, 0.27)
    u = u * side  # positive towards the temple
    v = v + np.float32(layout.eye_tilt) * u
    x = u * np.float32(1 / half)
    arch = np.sqrt(np.maximum(1 - x * x, 0))
    upper = -np.float32(opening * 0.95) * arch * (1 - np.float32(0.16) * x)
    lower = np.float32(opening * 0.72) * arch * arch * (1 + np.float32(0.18) * x)
    outside = np.maximum(np.maximum(upper - v, v - lower), (np.abs(x) - 1) * np.float32(half))
    inside = frame.cover(outside)

    # Lids: a crease above, the upper lid's shade between, both deeper with age.
    crease = upper - np.float32(0.060 - 0.012 * traits.wrinkles) * (
        np.float32(0.45) + np.float32(0.55) * arch
    )
    reach = ramp(np.abs(x - np.float32(0.05)), 1.18, 0.7)
    dark = np.float32(0.36) * np.exp(-(((v - crease) * np.float32(1 / 0.016)) ** 2)) * reach
    lid = ramp(v, 0.0, -0.015) * frame.cover(np.maximum(crease - v, v - upper), 0.03) * reach
    dark += np.float32(0.10 + 0.42 * traits.makeup) * lid
    below = lower + np.float32(0.020)
    dark += np.float32(0.15) * np.exp(-(((v - below) * np.float32(1 / 0.020)) ** 2)) * reach
    blend(
        canvas,
        window,
        palette.skin(traits) * np.array([0.30, 0.20, 0.19], np.float32).reshape(3, 1, 1),
        dark,
    )

    blend(canvas, window, _eyeball(frame, traits, light, side, u, v, x, upper), inside)

    # Lashes: a line along the upper lid, thicker outwards; lighter along the lower.
    thick = 0.014 + 0.006 * (traits.gender == "female") + 0.012 * traits.makeup
    line = (
        np.float32(thick) * (np.float32(0.75) + np.float32(0.45) * x) * ramp(np.abs(x), 1.12, 0.9)
    )
    lash = frame.cover(np.abs(v - upper + line * np.float32(0.4)) - line) * ramp(
        np.abs(x), 1.12, 1.0
    )
    blend(canvas, window, _DARK, lash * np.float32(0.80 + 0.12 * traits.makeup))
    low = np.exp(-(((v - lower) * np.float32(1 / 0.012)) ** 2)) * ramp(np.abs(x), 1.0, 0.8)
    blend(canvas, window, _DARK * 3, low * np.float32(0.22 + 0.35 * traits.makeup))


def _eyeball(
    frame: Frame,
    traits: Traits,
    light: Light,
    side: int,
    u: np.ndarray,
    v: np.ndarray,
    x: np.ndarray,
    upper: np.ndarray,
) -> np.ndarray:
    """Colours of the white, the iris, the pupil and the spark: float32 (3, h, w).

    `u` and `v` are the eye's coordinates, `x` is `u` in half widths, `upper` the upper lid's edge.
    """
    # The ball is brighter in the middle and shaded by the upper lid.
    level = np.float32(0.62 + 0.28 * traits.light_strength)
    ball = (
        np.float32(0.80)
        - np.float32(0.22) * x * x
        - np.float32(0.50) * ramp(v - upper, 0.055, -0.005)
    )
    white = palette.linear((0.97, 0.94, 0.92)) * (ball * level)
    tear = gauss(x + np.float32(0.93), v, 0.10, 0.05)
    white = white + (palette.linear((0.80, 0.50, 0.47)) * level - white) * np.minimum(
        tear, 1
    ) * np.float32(0.8)

    radius = 0.091
    gaze_u = 0.045 * traits.gaze - 0.0022 * traits.yaw
    gu = (u - np.float32(gaze_u * side)) * np.float32(frame.width)
    gv = v + np.float32(0.004 - 0.0012 * traits.pitch)
    rho = np.sqrt(gu * gu + gv * gv)
    q = rho * np.float32(1 / radius)
    tint = np.float32(0.75) + np.float32(0.75) * gauss(gu, gv - np.float32(0.04), 0.05, 0.04)
    tint *= 1 - np.float32(0.62) * ramp(q, 0.72, 1.0)
    tint *= 1 - np.float32(0.45) * ramp(v - upper, 0.05, 0.0)
    white = white + (
        palette.iris(traits) * (tint * level * np.float32(1.15)) - white
    ) * frame.cover(rho - np.float32(radius))
    white = white + (_DARK * np.float32(0.3) - white) * frame.cover(rho - np.float32(0.036))
    spark_u = np.float32(0.030 * np.sign(light.direction[0] + 1e-6) * side)
    spark = np.sqrt((gu - spark_u) ** 2 + (gv + np.float32(0.028)) ** 2)
    return white + (np.float32(0.95) - white) * frame.cover(spark - np.float32(0.015)) * np.float32(
        0.9
    )


def paint_brow(
    frame: Frame,
    canvas: np.ndarray,
    traits: Traits,
    layout: Layout,
    side: int,
    rng: np.random.Generator,
) -> None:
    """One brow, made of hairs that lean outwards."""
    eye_u, eye_v = layout.eye(side)
    base = eye_v - 0.255 * traits.brow_height
    window, u, v = frame.local(eye_u + side * 0.02, base, 0.40, 0.20)
    u = u * side + np.float32(0.02)
    x = (u + np.float32(0.27)) * np.float32(1 / 0.60)  # 0 at the inner, 1 at the outer end
    arch = np.float32(0.035 + 0.05 * traits.brow_arch)
    peak = np.float32(0.62)
    curve = -arch * (
        1 - ((x - peak) / np.where(x < peak, peak, np.float32(0.5))) ** 2
    ) + np.float32(0.02)
    thick = np.float32(0.044 * traits.brow_thickness) * np.maximum(
        1 - np.float32(0.72) * np.maximum(x, 0) ** 1.6, 0.1
    )
    off = (v - curve) / thick
    shape = (
        np.exp(-(off * off) * np.float32(0.9) - np.maximum(off * off - 1, 0))
        * ramp(x, -0.04, 0.1)
        * ramp(x, 1.03, 0.88)
    )
    hairs = strand_table(rng, 40)
    lean = u + v * np.where(v < curve, np.float32(0.9), np.float32(-0.5))
    texture = (
        np.float32(0.80)
        + np.float32(0.20) * hairs[(lean * np.float32(2600)).astype(np.intp) & 4095]
    )
    colour = palette.hair(traits) * np.float32(0.42) + palette.skin(traits) * np.float32(0.05)
    blend(
        canvas,
        window,
        colour,
        np.clip(shape * texture, 0, 1) * np.float32(0.66 + 0.12 * traits.brow_thickness),
    )


def paint_nostrils(frame: Frame, canvas: np.ndarray, traits: Traits, layout: Layout) -> None:
    """Nostrils, and the shadow under the tip of the nose."""
    wide = traits.nose_width
    base = layout.nose_v + 0.105
    window, u, v = frame.local(layout.nose_skew, base, 0.36, 0.16)
    shadow = np.float32(0.22) * gauss(u, v - np.float32(0.03), 0.15 * wide, 0.03)
    blend(canvas, window, palette.skin(traits) * palette.linear((0.45, 0.36, 0.34)), shadow)
    for side in (-1, 1):
        du = (u * side - np.float32(0.098 * wide)) * np.float32(1 / (0.050 * wide))
        dv = (v + np.float32(0.12) * u * side + np.float32(0.008)) * np.float32(1 / 0.021)
        hole = ramp(du * du + dv * dv, 1.9, 0.2) * np.float32(0.72)
        blend(canvas, window, palette.skin(traits) * palette.linear((0.24, 0.14, 0.13)), hole)
        wing = (u * side - np.float32(0.232 * wide)) * np.float32(1 / 0.018)
        fold = (
            np.exp(-wing * wing) * ramp(v, -0.14, -0.05) * ramp(v, 0.03, -0.02) * np.float32(0.36)
        )
        blend(canvas, window, palette.skin(traits) * palette.linear((0.5, 0.4, 0.38)), fold)


def paint_mouth(
    frame: Frame, canvas: np.ndarray, traits: Traits, layout: Layout, light: Light
) -> None:
    """Lips, the line between them, and teeth in a broad smile."""
    gap = layout.mouth_gap
    window, u, v = frame.local(0.0, layout.mouth_v, layout.mouth_half * 1.25, 0.36)
    mouth = _mouth(u, v, traits, layout)
    _paint_lips(frame, canvas, window, mouth, traits, light)
    if gap > 0.012:
        _paint_teeth(frame, canvas, window, mouth, traits, gap)
    x, v, lip = mouth.x, mouth.v, palette.lips(traits)
    line = np.exp(-(((v - mouth.seam) * np.float32(1 / 0.013)) ** 2)) * ramp(np.abs(x), 0.99, 0.72)
    blend(canvas, window, lip * np.float32(0.10), line * np.float32(0.75 if gap <= 0.012 else 0.35))
    for side in (-1, 1):
        corner = gauss(x - np.float32(1.0 * side), v - np.float32(-layout.mouth_lift), 0.06, 0.03)
        blend(canvas, window, lip * np.float32(0.22), corner * np.float32(0.38))


@dataclass(frozen=True)
class _Mouth:
    """Where the mouth's curves run, for each pixel of a window around it.

    Attributes
    ----------
    u, x, v : ndarray of float32
        Across the face, the same with the corners at -1 and 1, and downwards.
    inner : ndarray of float32
        1 in the middle, 0 at the corners.
    ends : ndarray of float32
        Distance beyond the corners, negative between them.
    top, seam, floor, bottom : ndarray of float32
        Heights of the upper lip's edges and of the lower lip's, from above.
    """

    u: np.ndarray
    x: np.ndarray
    v: np.ndarray
    inner: np.ndarray
    ends: np.ndarray
    top: np.ndarray
    seam: np.ndarray
    floor: np.ndarray
    bottom: np.ndarray


def _mouth(u: np.ndarray, v: np.ndarray, traits: Traits, layout: Layout) -> _Mouth:
    half, full, gap = layout.mouth_half, traits.lip_fullness, layout.mouth_gap
    x = u * np.float32(1 / half)
    v = v - np.float32(layout.mouth_skew) * x
    inner = np.maximum(1 - x * x, 0)
    ends = (np.abs(x) - 1) * np.float32(half)
    bend = np.float32(-layout.mouth_lift) * x * x  # corners up in a smile
    seam = (
        bend
        + np.float32(0.012) * np.cos(x * np.float32(6.0)) * inner
        - np.float32(0.35 * gap) * inner
    )
    floor = seam + np.float32(gap) * inner
    stretch = 1 - 0.25 * traits.smile  # a smile stretches the lips thin
    bow = inner**0.62 * (
        1
        + np.float32(0.20) * np.exp(-(((np.abs(x) - np.float32(0.2)) * np.float32(1 / 0.14)) ** 2))
    )
    bow -= np.float32(0.13) * np.exp(-((x * np.float32(1 / 0.09)) ** 2))
    top = seam - np.float32(0.100 * full * stretch) * bow
    bottom = floor + np.float32(0.132 * full * stretch) * inner**0.62
    return _Mouth(u, x, v, inner, ends, top, seam, floor, bottom)


def _paint_lips(
    frame: Frame, canvas: np.ndarray, window: Window, mouth: _Mouth, traits: Traits, light: Light
) -> None:
    x, v, ends = mouth.x, mouth.v, mouth.ends
    top, seam, floor, bottom = mouth.top, mouth.seam, mouth.floor, mouth.bottom
    level = _mouth_light(traits)
    lip = palette.lips(traits)
    soft = 0.024 - 0.010 * traits.makeup
    lx = light.direction[0]
    side_light = 1 + np.float32(0.22 * lx * traits.light_strength) * x
    t = (v - floor) / np.maximum(bottom - floor, np.float32(0.012))
    lower_tone = np.float32(1.06) - np.float32(0.42) * (t - np.float32(0.35)) ** 2 * 2
    blend(
        canvas,
        window,
        lip * (lower_tone * level * side_light),
        frame.cover(_between(floor, v, bottom, ends), soft),
    )
    t = (v - top) / np.maximum(seam - top, np.float32(0.012))
    upper_tone = np.float32(0.92) - np.float32(0.26) * np.clip(t, 0, 1)
    blend(
        canvas,
        window,
        lip * (upper_tone * level * side_light),
        frame.cover(_between(top, v, seam, ends), soft),
    )
    gloss = gauss(
        x - np.float32(0.2 * lx),
        v - (floor * np.float32(0.45) + bottom * np.float32(0.55)),
        0.36,
        0.018,
    )
    canvas[:, window[0], window[1]] += (
        np.float32(0.05 + 0.07 * traits.makeup) * gloss * (mouth.inner > 0)
    )


def _paint_teeth(
    frame: Frame, canvas: np.ndarray, window: Window, mouth: _Mouth, traits: Traits, gap: float
) -> None:
    x, v, seam, floor, ends = mouth.x, mouth.v, mouth.seam, mouth.floor, mouth.ends
    blend(canvas, window, _DARK, frame.cover(_between(seam, v, floor, ends)))
    teeth_end = floor - np.float32(0.12 * gap) - np.float32(0.3 * gap) * (1 - mouth.inner)
    teeth = frame.cover(_between(seam, v, teeth_end, ends)) * ramp(np.abs(x), 0.9, 0.62)
    joints = np.abs(np.sin(mouth.u * np.float32(np.pi / 0.085)))
    enamel = (1 - np.float32(0.10) * ramp(joints, 0.25, 0.0)) * (
        np.float32(0.92) - np.float32(0.34) * x * x
    )
    enamel *= 1 - np.float32(0.22) * ramp(v - seam, 0.03, 0.0)
    colour = palette.linear((0.95, 0.92, 0.86)) * (enamel * _mouth_light(traits))
    blend(canvas, window, colour, teeth)


def _mouth_light(traits: Traits) -> np.float32:
    return np.float32(0.60 + 0.36 * traits.light_strength)


def _between(above: np.ndarray, v: np.ndarray, below: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distance to the area between two curves, negative inside; `ends` closes it at the sides."""
    return np.maximum(np.maximum(above - v, v - below), ends)
