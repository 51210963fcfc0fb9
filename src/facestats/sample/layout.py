"""Where a person's features lie in head coordinates, for the painter and for the truth."""

from dataclasses import dataclass

import numpy as np

from facestats.sample.traits import Traits


@dataclass(frozen=True)
class Layout:
    """Positions and sizes in head units (half an average face's width).

    `side` is -1 at the image's left.
    """

    eye_u: float
    eye_half: float
    eye_open: float
    eye_skew: float
    eye_tilt: float
    nose_v: float
    nose_skew: float
    mouth_v: float
    mouth_half: float
    mouth_lift: float
    mouth_skew: float
    mouth_gap: float

    def eye(self, side: int) -> tuple[float, float]:
        """Centre (u, v) of an eye: the mean of its corners."""
        return side * self.eye_u, side * self.eye_skew

    def mouth_corner(self, side: int) -> tuple[float, float]:
        """Corner (u, v) of the mouth."""
        return side * self.mouth_half, self.mouth_v - self.mouth_lift + side * self.mouth_skew


def layout_of(traits: Traits) -> Layout:
    """Place the features of a face."""
    # The sides that asymmetry favours are the person's own.
    skews = np.random.default_rng([traits.texture_seed, 1]).uniform(-1, 1, 3) * traits.asymmetry
    smile = traits.smile
    nose_v = 0.53 * traits.nose_length
    return Layout(
        eye_u=0.445 * traits.eye_spacing,
        eye_half=0.225 * traits.eye_size**0.7,
        eye_open=0.096 * traits.eye_size * (1 - 0.20 * smile) * (1 - 0.12 * traits.wrinkles),
        eye_skew=0.022 * float(skews[0]),
        eye_tilt=float(np.tan(np.radians(traits.eye_tilt))),
        nose_v=nose_v,
        nose_skew=0.03 * float(skews[1]),
        mouth_v=nose_v + 0.44,
        mouth_half=0.345 * traits.mouth_width * (1 + 0.28 * smile),
        mouth_lift=0.10 * smile,
        mouth_skew=0.018 * float(skews[2]),
        mouth_gap=0.14 * max(0.0, smile - 0.42) / 0.58,
    )
