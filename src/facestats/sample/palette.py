"""Colours of the drawing, in linear light (gamma 2: a display value is the square root)."""

import numpy as np

from facestats.sample.traits import Traits

# Display RGB (0-1) at equal steps from the lightest to the darkest skin; values between are
# interpolated.
_SKIN = np.array(
    [
        [0.955, 0.815, 0.735],
        [0.905, 0.740, 0.630],
        [0.820, 0.630, 0.500],
        [0.690, 0.490, 0.370],
        [0.540, 0.365, 0.270],
        [0.385, 0.255, 0.195],
    ]
)
_HAIR = {
    "black": (0.085, 0.07, 0.065),
    "brown": (0.30, 0.20, 0.13),
    "blond": (0.74, 0.59, 0.37),
    "red": (0.52, 0.25, 0.12),
}
_GREY = (0.74, 0.73, 0.71)
_IRIS = {
    "brown": (0.32, 0.19, 0.10),
    "hazel": (0.46, 0.34, 0.17),
    "green": (0.36, 0.46, 0.29),
    "blue": (0.32, 0.50, 0.66),
    "grey": (0.47, 0.53, 0.56),
}
_BACKGROUND = {
    "white": (0.93, 0.93, 0.92),
    "grey": (0.62, 0.63, 0.64),
    "blue": (0.42, 0.56, 0.70),
    "green": (0.46, 0.58, 0.46),
    "beige": (0.82, 0.75, 0.64),
    "brown": (0.45, 0.36, 0.29),
    "pink": (0.84, 0.66, 0.66),
    "dark": (0.19, 0.20, 0.23),
}
_CLOTHES = {
    "white": (0.90, 0.90, 0.88),
    "black": (0.13, 0.13, 0.14),
    "grey": (0.48, 0.49, 0.51),
    "blue": (0.18, 0.29, 0.52),
    "red": (0.62, 0.17, 0.17),
    "green": (0.20, 0.41, 0.28),
    "yellow": (0.84, 0.68, 0.28),
    "purple": (0.41, 0.26, 0.48),
}


def linear(rgb) -> np.ndarray:
    """Display RGB (0-1) as linear float32 of shape (3, 1, 1)."""
    return (np.asarray(rgb, np.float32) ** 2).reshape(3, 1, 1)


def skin(traits: Traits) -> np.ndarray:
    """Albedo of the skin, (3, 1, 1)."""
    steps = np.linspace(0, 1, len(_SKIN))
    rgb = np.array([np.interp(traits.skin, steps, _SKIN[:, c]) for c in range(3)])
    rgb *= 1 + traits.undertone * np.array([0.0, 0.02, -0.045])
    return linear(rgb)


def hair(traits: Traits) -> np.ndarray:
    """Albedo of the hair, (3, 1, 1)."""
    return linear(
        np.array(_HAIR[traits.hair_colour]) * (1 - traits.grey) + np.array(_GREY) * traits.grey
    )


def lips(traits: Traits) -> np.ndarray:
    """Albedo of the lips, (3, 1, 1): skin, redder and darker, further so with lipstick."""
    bare = skin(traits) * np.array([0.80, 0.52, 0.54], np.float32).reshape(3, 1, 1)
    painted = linear((0.66 - 0.16 * traits.skin, 0.20, 0.24))
    share = np.float32(0.2 * traits.lip_redness + 0.5 * traits.makeup * traits.lip_redness)
    return bare + (painted - bare) * share


def iris(traits: Traits) -> np.ndarray:
    """Albedo of the iris, (3, 1, 1)."""
    return linear(_IRIS[traits.iris])


def background(traits: Traits) -> np.ndarray:
    """Colour behind the head, (3, 1, 1)."""
    return linear(np.clip(np.array(_BACKGROUND[traits.background]) * traits.background_shade, 0, 1))


def clothes(traits: Traits) -> np.ndarray:
    """Colour of the clothes, (3, 1, 1)."""
    return linear(_CLOTHES[traits.clothes])


def light(traits: Traits) -> np.ndarray:
    """Colour of the directed light, (3, 1, 1)."""
    tint = 1 + traits.light_warmth * np.array([0.05, 0.0, -0.07])
    return tint.astype(np.float32).reshape(3, 1, 1)
