"""Landmark arrays whose measurements are known."""

import numpy as np

from facestats.core.landmarks import LEFT, MIDLINE, MIRROR, RIGHT

# Places in a flat face, x from the midline to the person's right (the image's left), y down. Pairs
# are placed on both sides.
PLACES = {
    10: (0, -1.6),
    152: (0, 1.4),
    234: (-1.25, 0),
    172: (-1, 0.8),
    21: (-1.1, -1),
    33: (-0.9, -0.5),
    133: (-0.4, -0.5),
    160: (-0.75, -0.6),
    158: (-0.55, -0.6),
    153: (-0.55, -0.4),
    144: (-0.75, -0.4),
    246: (-0.85, -0.6),
    161: (-0.8, -0.6),
    159: (-0.65, -0.6),
    157: (-0.5, -0.6),
    173: (-0.45, -0.6),
    155: (-0.45, -0.4),
    154: (-0.5, -0.4),
    145: (-0.65, -0.4),
    163: (-0.8, -0.4),
    7: (-0.85, -0.4),
    9: (0, -0.7),
    116: (-1, -0.1),
    168: (0, -0.5),
    2: (0, 0.3),
    129: (-0.4, 0.2),
    61: (-0.5, 0.6),
    0: (0, 0.5),
    13: (0, 0.62),
    14: (0, 0.74),
    17: (0, 0.9),
    70: (-0.85, -0.85),
    63: (-0.75, -0.85),
    105: (-0.65, -0.85),
    66: (-0.55, -0.85),
    107: (-0.45, -0.85),
    46: (-0.85, -0.75),
    53: (-0.75, -0.75),
    52: (-0.65, -0.75),
    65: (-0.55, -0.75),
    55: (-0.45, -0.75),
}


def symmetric_face(seed: int = 0) -> np.ndarray:
    """A random 3D shape (468, 3) that is its own mirror image, about as wide and high as a face,
    turned to the viewer.
    """
    rng = np.random.default_rng(seed)
    shape = np.zeros((468, 3))
    shape[RIGHT] = rng.uniform((-1.5, -1.5, -0.7), (-0.3, 1.5, 0.7), (len(RIGHT), 3))
    shape[LEFT] = shape[RIGHT] * (-1, 1, 1)
    shape[MIDLINE, 1:] = rng.uniform((-1.5, -0.7), (1.5, 0.7), (len(MIDLINE), 2))
    shape[10], shape[152] = (0, -1.6, 0), (0, 1.4, 0)
    return shape


def known_face(**moved: tuple[float, float]) -> np.ndarray:
    """A flat symmetric face (468, 3) with the landmarks of `PLACES`.

    `p17=(x, y)` puts one elsewhere, and its mirror image with it.
    """
    shape = symmetric_face() * (1, 1, 0)
    for landmark, (x, y) in {
        **PLACES,
        **{int(name[1:]): place for name, place in moved.items()},
    }.items():
        shape[MIRROR[landmark], :2] = -x, y
        shape[landmark, :2] = x, y
    return shape


def uneven_faces(n: int = 5) -> np.ndarray:
    """Different faces (n, 468, 3), none symmetric, placed in a photo as shares of its side."""
    rng = np.random.default_rng(1)
    shapes = np.stack([symmetric_face(seed) for seed in range(n)])
    return 0.5 + 0.15 * (shapes + rng.normal(0, 0.03, shapes.shape))


def mirrored(shapes: np.ndarray) -> np.ndarray:
    """The same people in a mirror, (…, 468, 3): landmarks keep their meaning."""
    return (shapes * (-1, 1, 1))[..., MIRROR, :]
