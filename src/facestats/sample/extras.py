"""What surrounds the face: background, neck, clothes, glasses."""

import numpy as np

from facestats.sample import palette
from facestats.sample.frame import Frame, blend, gauss, ramp, value_noise
from facestats.sample.layout import Layout
from facestats.sample.light import Light
from facestats.sample.traits import Traits


def paint_background(
    frame: Frame, traits: Traits, light: Light, rng: np.random.Generator
) -> np.ndarray:
    """A wall, lighter where the light comes from, (3, size, size)."""
    lx = light.direction[0]
    slope = np.float32(0.10 * lx) * frame.x - np.float32(0.07) * frame.y
    fall = 1 + slope - np.float32(0.035) * (frame.x * frame.x + frame.y * frame.y)
    fall += np.float32(0.03) * value_noise(rng, frame.size, 5)
    return palette.background(traits) * np.maximum(fall, np.float32(0.3))


def paint_body(frame: Frame, canvas: np.ndarray, traits: Traits, light: Light) -> None:
    """Neck and shoulders; the body does not turn with the head but leans a little with it."""
    male = traits.gender == "male"
    lean = np.float32(np.sin(np.radians(traits.roll)) * 0.9)
    x = frame.x + lean * ramp(frame.y, 2.4, 0.8)
    y = frame.y
    lx = light.direction[0]
    half = np.float32(0.78 if male else 0.63) + np.float32(0.45) * ramp(y, 1.6, 2.5)
    t = x / half
    round_shade = np.float32(0.86) + np.float32(0.32 * lx) * t - np.float32(0.38) * t * t * t * t
    chin = 1.66 * traits.face_length
    below = ramp(y, chin - 0.25, chin + 0.42)
    shade = round_shade * (np.float32(0.34) + np.float32(0.50) * below)
    cords = np.float32(0.06) * gauss(np.abs(t) - np.float32(0.45), y - np.float32(2.2), 0.10, 0.3)
    blend(
        canvas,
        None,
        palette.skin(traits) * (shade - cords),
        frame.cover(np.maximum(np.abs(x) - half, np.float32(0.4) - y)),
    )
    shoulder = (
        np.float32(1.86 if male else 1.98)
        + np.float32(0.24 if male else 0.30) * np.maximum(np.abs(x) - np.float32(0.5), 0) ** 1.3
    )
    if traits.v_neck:
        neckline = np.float32(2.36) - np.float32(0.62) * np.abs(x)
    else:
        neckline = np.float32(1.80) + np.float32(0.36) * np.sqrt(
            np.maximum(1 - (x / np.float32(0.8)) ** 2, 0)
        )
    edge = np.maximum(shoulder, neckline) - y
    fold = (
        np.float32(0.82)
        + np.float32(0.26 * lx) * x * np.float32(0.5)
        - np.float32(0.05) * np.sin(x * 9 + y * 4)
    )
    fold *= np.float32(0.9) - np.float32(0.35) * gauss(edge, np.zeros_like(edge), 0.05, 1.0)
    blend(canvas, None, palette.clothes(traits) * fold, frame.cover(edge))


def paint_glasses(frame: Frame, canvas: np.ndarray, traits: Traits, layout: Layout) -> None:
    """Glasses: two rims, a bridge, temples, a soft shadow and a little glare."""
    half_u, half_v = (0.30, 0.275) if traits.glasses_round else (0.335, 0.235)
    power = 2 if traits.glasses_round else 4
    frame_colour = palette.linear(
        ((0.09, 0.08, 0.08), (0.30, 0.17, 0.09), (0.42, 0.40, 0.38))[traits.texture_seed % 3]
    )
    window, u, v = frame.local(0.0, 0.03, 1.1, 0.40)
    centre = max(layout.eye_u + 0.015, half_u + 0.075)
    du = (np.abs(u) - np.float32(centre)) * np.float32(1 / half_u)
    dv = v * np.float32(1 / half_v)
    q = (np.abs(du) ** power + np.abs(dv) ** power) ** np.float32(1 / power)
    distance = (q - 1) * np.float32(min(half_u, half_v))
    rim = np.abs(distance) - np.float32(0.020)
    bridge = np.maximum(
        np.abs(v + np.float32(0.06) - np.float32(1.5) * u * u) - np.float32(0.018),
        np.abs(u) - np.float32(centre - half_u),
    )
    temple = np.maximum(
        np.abs(v + np.float32(0.05)) - np.float32(0.020), np.float32(centre + half_u) - np.abs(u)
    )
    temple = np.maximum(temple, np.abs(u) - np.float32(1.03))
    everything = np.minimum(np.minimum(rim, bridge), temple)
    part = canvas[:, window[0], window[1]]
    part *= 1 - np.float32(0.22) * ramp(everything, 0.07, -0.01)
    part += (
        np.float32(0.030)
        * frame.cover(distance)
        * (
            1
            + np.float32(1.6)
            * ramp(
                np.abs(du * np.float32(0.8) + dv * np.float32(0.6) + np.float32(0.35)), 0.22, 0.1
            )
        )
    )
    blend(canvas, window, frame_colour, frame.cover(everything))
