"""Simulated raters: what they see in a drawn face, and the numbers that they give.

The appeal of a face depends on what can be seen in the picture (expression, skin, symmetry,
proportions, age marks) and on nothing else: not on the tone, and of a gender's proportions only
what differs from its average.
"""

from dataclasses import dataclass

import numpy as np

from facestats.sample.traits import Traits

N_RATERS = 20
_SEEN = 0.6  # share of the faces that a rater rates

# Average proportions by gender: only what departs from them counts.
_AVERAGE = {
    "female": {
        "face_length": 0.975,
        "jaw": 0.94,
        "eye_size": 1.04,
        "nose_width": 0.95,
        "lip_fullness": 1.04,
    },
    "male": {
        "face_length": 1.03,
        "jaw": 1.06,
        "eye_size": 0.94,
        "nose_width": 1.07,
        "lip_fullness": 0.84,
    },
}


def features(traits: Traits) -> np.ndarray:
    """What a rater looks at, each roughly in standard deviations, float64 (9,); see `WEIGHTS`."""
    average = _AVERAGE[traits.gender]
    return np.array(
        [
            (traits.smile - 0.47) / 0.32,
            (0.33 - traits.asymmetry) / 0.18,
            (0.33 - traits.blemishes) / 0.18,
            (0.3 - traits.wrinkles) / 0.3,
            (0.35 - traits.eye_bags) / 0.24,
            (traits.eye_size - average["eye_size"]) / 0.065,
            (traits.lip_fullness - average["lip_fullness"]) / 0.15,
            (average["nose_width"] - traits.nose_width) / 0.09,
            # Unusual proportions, in either direction.
            1.0
            - abs(traits.face_length - average["face_length"]) / 0.035
            - abs(traits.jaw - average["jaw"]) / 0.09,
        ]
    )


# Smile, symmetry, even skin, few wrinkles, no bags, eyes, lips, narrow nose, usual proportions.
WEIGHTS = np.array([0.68, 0.30, 0.38, 0.30, 0.18, 0.30, 0.18, 0.15, 0.22])


def appeal(traits: Traits) -> float:
    """What raters agree on, about mean 0 and standard deviation 1."""
    return float(features(traits) @ WEIGHTS)


@dataclass(frozen=True)
class Rater:
    """One rater: a mean, a slope, a noise and a taste of their own.

    In rating units; the taste is weights of `features`.
    """

    mean: float
    slope: float
    noise: float
    taste: np.ndarray

    def rate(self, traits: Traits, rng: np.random.Generator) -> int:
        """A rating, 0 to 100."""
        liking = appeal(traits) + float(features(traits) @ self.taste)
        return int(
            np.clip(
                np.rint(self.mean + self.slope * liking + self.noise * rng.standard_normal()),
                0,
                100,
            )
        )


def draw_raters(rng: np.random.Generator) -> list[Rater]:
    """The `N_RATERS` raters of a sample."""
    return [
        Rater(
            mean=float(rng.normal(50, 6)),
            slope=float(np.clip(rng.normal(13, 2.5), 6, 20)),
            noise=float(rng.uniform(12, 20)),
            taste=rng.normal(0, 0.2, len(WEIGHTS)),
        )
        for _ in range(N_RATERS)
    ]


def rate_faces(faces: list[tuple[str, Traits]], seed: int) -> list[tuple[str, str, int]]:
    """Ratings of named faces in long form: (image, rater, rating), sorted.

    Parameters
    ----------
    faces : list[tuple[str, Traits]]
        List of (image, traits).
    seed : int
        Each rater and each face have generators of their own: one face more changes no other's
        ratings.
    """
    raters = draw_raters(np.random.default_rng([seed, 1]))
    rows = []
    for i, (image, traits) in enumerate(faces):
        rng = np.random.default_rng([seed, 2, i])
        for k, rater in enumerate(raters):
            rating, seen = rater.rate(traits, rng), rng.random() < _SEEN
            if seen:
                rows.append((image, f"rater_{k + 1:02d}", rating))
    return sorted(rows)
