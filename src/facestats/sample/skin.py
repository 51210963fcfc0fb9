"""The skin's own colour, before light falls on it, and the ears."""

import numpy as np

from facestats.sample import palette
from facestats.sample.frame import Frame, blend, gauss, value_noise
from facestats.sample.layout import Layout
from facestats.sample.light import Light
from facestats.sample.traits import Traits


def skin_albedo(
    frame: Frame, traits: Traits, layout: Layout, rng: np.random.Generator
) -> np.ndarray:
    """Albedo of the face's skin, (3, size, size).

    Blush, mottling, freckles, dark circles, beard shadow.
    """
    size = frame.size
    red = np.zeros((size, size), np.float32)
    for side in (-1, 1):
        frame.bump(red, side * 0.58, 0.42, 0.2, 0.18, 0.5 + 0.3 * traits.makeup)
        eye_u, eye_v = layout.eye(side)
        frame.bump(red, eye_u, eye_v, 0.22, 0.12, 0.35)
    frame.bump(red, 0.0, layout.nose_v, 0.16, 0.12, 0.5)
    frame.bump(red, 0.0, 1.45, 0.2, 0.12, 0.2)
    red += np.float32(0.10 + 0.42 * traits.blemishes) * value_noise(rng, size, 22)
    shade = 1 + np.float32(0.012 + 0.03 * traits.blemishes) * value_noise(
        rng, size, max(8, size // 4)
    )
    shade += np.float32(0.012 + 0.012 * traits.wrinkles) * rng.standard_normal(
        (size, size), dtype=np.float32
    )
    for side in (-1, 1):
        eye_u, eye_v = layout.eye(side)
        frame.bump(
            shade, eye_u - side * 0.03, eye_v + 0.17, 0.17, 0.05, -0.07 - 0.17 * traits.eye_bags
        )
    spots = _spots(frame, traits, rng)
    if spots is not None:
        shade *= 1 - spots
    factor = np.empty((3, size, size), np.float32)
    np.multiply(red, np.float32(0.02), out=factor[0])
    np.multiply(red, np.float32(-0.13), out=factor[1])
    np.multiply(red, np.float32(-0.11), out=factor[2])
    factor += 1
    factor *= shade
    factor *= palette.skin(traits)
    return factor


def _spots(frame: Frame, traits: Traits, rng: np.random.Generator) -> np.ndarray | None:
    """Darkening by freckles, moles and age spots."""
    freckles = int(70 * traits.freckles)
    moles = int(rng.poisson(0.7 + 5 * traits.blemishes + 5 * max(0.0, traits.wrinkles - 0.5)))
    if freckles + moles == 0:
        return None
    dark = np.zeros((frame.size, frame.size), np.float32)
    for _ in range(freckles):
        u, v = rng.normal(0, 0.38), rng.normal(0.32, 0.16)
        frame.bump(dark, u, v, 0.014, 0.014, rng.uniform(0.12, 0.3))
    for _ in range(moles):
        u, v, s = rng.uniform(-0.75, 0.75), rng.uniform(-0.7, 1.35), rng.uniform(0.014, 0.028)
        frame.bump(dark, u, v, s, s, rng.uniform(0.2, 0.5))
    return np.minimum(dark, np.float32(0.6))


def paint_ears(frame: Frame, canvas: np.ndarray, traits: Traits, light: Light) -> None:
    """Ears, behind the head's edge."""
    tall = 0.29 * traits.ear_size
    for side in (-1, 1):
        window, u, v = frame.local(side * 1.04, 0.22, 0.22, tall + 0.08)
        u = u * side
        lean = u - np.float32(0.10) * v * np.float32(-1.0)
        q = np.sqrt((lean / np.float32(0.135)) ** 2 + (v / np.float32(tall)) ** 2)
        alpha = frame.cover((q - 1) * np.float32(0.13))
        rim = gauss(q - np.float32(0.72), np.zeros_like(q), 0.13, 1.0)
        bowl = gauss(lean + np.float32(0.02), v - np.float32(0.02), 0.05, 0.13)
        tone = np.float32(0.62) + np.float32(0.16) * rim - np.float32(0.28) * bowl
        tone *= np.float32(1.0 + 0.35 * side * light.direction[0])
        colour = (
            palette.skin(traits) * np.array([1.0, 0.88, 0.88], np.float32).reshape(3, 1, 1) * tone
        )
        blend(canvas, window, colour, alpha)
