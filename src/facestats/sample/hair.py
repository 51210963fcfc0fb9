"""Hair on the head and in the face."""

import numpy as np

from facestats.sample import palette
from facestats.sample.frame import (
    ANGLES,
    Frame,
    blend,
    gauss,
    polar,
    ramp,
    strand_table,
    value_noise,
)
from facestats.sample.layout import Layout
from facestats.sample.light import Light
from facestats.sample.traits import Traits

# Thickness of the hair over the skull at the crown and at the ears, and where it ends (v) at the
# sides.
_SHAPE = {
    "buzz": (0.035, 0.012, 0.18),
    "short": (0.17, 0.05, 0.20),
    "medium": (0.20, 0.17, 1.15),
    "long": (0.19, 0.17, 2.6),
    "tied": (0.10, 0.02, 0.16),
}


class Hair:
    """The hair of one picture: a shape before the head and one behind it, in one colour layer."""

    def __init__(
        self, frame: Frame, traits: Traits, outline: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.frame, self.traits = frame, traits
        self.long = traits.hair_style in ("medium", "long")
        crown, side, end = _SHAPE[traits.hair_style]
        if traits.hair_texture == "curly" and traits.hair_style != "buzz":
            crown, side = crown * 1.5, side * 1.6 + 0.02
        self.strand = self._strands(rng)
        outer = frame.outline(outline + _thickness(crown, side)) + self.ragged * np.float32(0.012)
        opening = self._opening()
        u, v = np.abs(frame.u), frame.v
        if self.long:
            # Behind and beside the face the hair falls straight down.
            wide = 1.02 + side + (0.06 if traits.hair_texture != "straight" else 0.0)
            taper = np.float32(0.05) * np.sin(
                v * np.float32(2.0) + np.float32(traits.texture_seed % 7)
            )
            taper = taper + np.float32(side + 0.02) * ramp(v, 0.25, -0.55)
            ends = (
                v
                - np.float32(end)
                + np.float32(0.5) * np.maximum(u - np.float32(0.9), 0)
                + self.ragged * np.float32(0.03)
            )
            fall = np.maximum(u - np.float32(wide) + taper, ends) + self.ragged * np.float32(0.015)
            fall = np.maximum(fall, np.float32(-0.35) - v)
            mass = np.minimum(outer, fall)
            self.back = frame.cover(mass, 0.03)
            self.front = self.back * frame.cover(-opening, 0.05)
        else:
            self.back = None
            end = end + 0.05 * np.sin(traits.texture_seed % 11)
            sideburn = ramp(v, end, end - 0.22)
            soft = 0.24 if traits.hair_style == "buzz" else 0.07
            self.front = frame.cover(outer, 0.03) * frame.cover(-opening, soft) * sideburn
        self.opening = opening
        if traits.hair_style == "buzz":
            stubble = rng.standard_normal(self.front.shape, dtype=np.float32)
            self.front = self.front * np.clip(np.float32(0.72) + np.float32(0.10) * stubble, 0, 1)

    def _opening(self) -> np.ndarray:
        """Distance to the part of the face that hair leaves free, negative inside."""
        traits, frame = self.traits, self.frame
        m = traits.hairline
        top = -1.03 - 0.30 * m
        corner = -0.90 - 0.42 * m
        if traits.fringe:
            top, corner = -0.56, -0.58
        if self.long:
            p = 0.0 if traits.fringe else 0.32 * traits.parting
            apex = top if traits.fringe else -1.14
            drop = 0.04 if traits.fringe else 0.12
            sides = (
                (0.70, -0.62),
                (0.86, -0.20),
                (0.90, 0.35),
                (0.86, 0.9),
                (0.80, 1.5),
                (0.75, 3.2),
            )
            points = [
                (p, apex),
                (0.35, apex + drop - 0.25 * p),
                (-0.35, apex + drop + 0.25 * p),
                (0.0, 3.2),
            ]
            points += [(side * u, v) for u, v in sides for side in (-1, 1)]
            table = polar(points, smooth=124, symmetric=False)
        else:
            points = [
                *((0.0, top), (0.28, top + 0.02), (0.52, corner + 0.05)),
                *((0.70, -0.70 - 0.2 * m), (0.80, -0.48 - 0.1 * m), (0.865, -0.32)),
                *((0.90, 0.05), (0.94, 0.4), (1.4, 1.2), (0.0, 3.0)),
            ]
            table = polar(points, smooth=124)
        rough = 0.045 if traits.fringe else 0.022
        return frame.r - table[frame.angle] + self.strand * np.float32(rough)

    def _strands(self, rng: np.random.Generator) -> np.ndarray:
        """Noise that runs along the hairs, about standard normal; `ragged` is its coarse part."""
        traits, frame = self.traits, self.frame
        coarse = value_noise(rng, frame.size, 14)
        root_u = np.float32(0.32 * traits.parting)
        # Hairs fan out from above the parting, then hang.
        fan = (frame.u - root_u) / np.maximum(
            np.minimum(frame.v, np.float32(0.2)) + np.float32(2.35), np.float32(0.3)
        )
        fan = fan + coarse * np.float32(0.012)
        if traits.hair_texture == "wavy":
            fan += np.float32(0.022) * np.sin(frame.v * np.float32(6.5) + coarse)
        elif traits.hair_texture == "curly":
            curls = value_noise(rng, frame.size, 44)
            fan += np.float32(0.055) * np.sin(
                frame.v * np.float32(17) + curls * np.float32(0.8) + frame.u * np.float32(9)
            )
        fine, broad = strand_table(rng, 8), strand_table(rng, 60)
        noise = fine[(fan * np.float32(1900)).astype(np.intp) & 4095] * np.float32(0.55)
        noise += broad[(fan * np.float32(1500)).astype(np.intp) & 4095] * np.float32(0.75)
        if traits.hair_texture == "curly":
            noise = noise * np.float32(0.55) + curls * np.float32(0.6)
        self.ragged = coarse + noise * np.float32(0.6)
        return noise

    def layer(self, light: Light, outline: np.ndarray) -> np.ndarray:
        """Colour of the hair, lit, (3, size, size)."""
        frame, traits = self.frame, self.traits
        t = np.minimum(frame.r / (outline[frame.angle] * np.float32(1.12)), np.float32(0.97))
        side = np.clip(frame.u * np.float32(0.85), -1, 1)
        height = np.clip((frame.v + np.float32(0.35)) * np.float32(0.75), -1, 0)
        depth = np.sqrt(np.maximum(1 - t * t, np.float32(0.12)))
        lx, ly, lz = (np.float32(c) for c in light.direction)
        facing = np.maximum(side * lx + height * ly + depth * lz, 0)
        light_hair = float(np.sqrt(palette.hair(traits).max()))
        tone = light.ambient * np.float32(0.75) + np.float32(1.15 * traits.light_strength) * facing
        tone *= np.maximum(1 + np.float32(0.26 - 0.14 * light_hair) * self.strand, np.float32(0.25))
        # The band of light that smooth hair has where it bends over the crown.
        band = gauss(
            np.zeros_like(t),
            frame.v + np.float32(1.05) - np.float32(0.35) * frame.u * frame.u,
            1.0,
            0.15,
        )
        shine = {"straight": 0.10, "wavy": 0.07, "curly": 0.03}[traits.hair_texture]
        gloss = (
            np.float32(shine * traits.light_strength)
            * band
            * np.maximum(1 + np.float32(0.8) * self.strand, 0)
        )
        colour = palette.hair(traits)
        return colour * (tone + gloss * np.float32(2.0)) + gloss * np.float32(0.35)

    def shadow(self) -> np.ndarray:
        """Share of light that the hair's edge leaves to the skin."""
        near = ramp(-self.opening, 0.16, 0.0)
        if not self.long:
            near *= ramp(self.frame.v, 0.2, -0.3)
        return 1 - np.float32(0.34 if self.traits.hair_style != "buzz" else 0.1) * near


def paint_bun(frame: Frame, canvas: np.ndarray, traits: Traits, layer: np.ndarray) -> None:
    """A bun on top of tied hair, behind the head."""
    window, u, v = frame.local(0.12 * traits.parting, -1.68, 0.42, 0.32)
    q = np.sqrt((u / np.float32(0.36)) ** 2 + (v / np.float32(0.25)) ** 2)
    blend(
        canvas,
        window,
        layer[:, window[0], window[1]] * np.float32(0.8),
        frame.cover((q - 1) * np.float32(0.25), 0.03),
    )


def beard_mask(
    frame: Frame, traits: Traits, layout: Layout, rng: np.random.Generator
) -> np.ndarray:
    """Where the beard covers the skin, 0 to 1."""
    u, v = np.abs(frame.u), frame.v
    mouth = layout.mouth_v
    cheek_line = np.float32(mouth - 0.16) - np.float32(0.55) * (u - np.float32(0.35))
    cheek_line = np.where(u > np.float32(0.35), cheek_line, np.float32(mouth + 0.10))
    rough = strand_table(rng, 10)[
        ((frame.u * np.float32(0.6) + frame.v * np.float32(0.02)) * np.float32(3000)).astype(
            np.intp
        )
        & 4095
    ]
    edge = np.float32(0.16)
    jaw = ramp(v - cheek_line + rough * np.float32(0.012), 0.0, edge)
    if traits.moustache or not traits.beard:
        centre = (
            np.float32(mouth - 0.185) + np.float32(0.42) * u * u - np.float32(layout.mouth_lift) * u
        )
        moustache = np.exp(-(((v - centre) * np.float32(1 / 0.075)) ** 4)) * ramp(u, 0.47, 0.34)
        jaw = np.maximum(jaw, moustache)
    # The lips and the skin just below them stay free.
    lips = ramp(
        (frame.u / np.float32(layout.mouth_half * 1.05)) ** 2
        + ((v - np.float32(mouth + 0.02)) / np.float32(0.135)) ** 2,
        0.8,
        1.15,
    )
    strength = 0.35 + 0.62 * traits.beard_length if traits.beard else 0.55 * traits.beard_length
    grain = np.clip(
        1
        + np.float32(0.17 if traits.beard else 0.3)
        * rng.standard_normal(v.shape, dtype=np.float32),
        0,
        1.3,
    )
    return np.clip(jaw * lips * np.float32(strength) * grain, 0, 1)


def _thickness(crown: float, side: float) -> np.ndarray:
    """Thickness of the hair by direction, (ANGLES,)."""
    theta = np.abs(np.linspace(-np.pi, np.pi, ANGLES))
    return (side + (crown - side) * np.clip(np.cos(theta), 0, 1) ** 0.8).astype(np.float32)
