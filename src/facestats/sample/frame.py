"""Where things are: head coordinates, pose and camera, and the small tools every layer paints with.

Head coordinates are (u, v) on the face seen from the front, in half widths of an average face: u to
the image's right, v down, the eyes on v = 0, the chin near v = 1.65, the crown near v = -1.6. For
each pixel `Frame` knows the (u, v) that is seen there, so that every feature is painted where it is
described and the pose comes for free.
"""

import numpy as np
from PIL import Image

from facestats.sample.traits import Traits

_UNIT = 0.236  # half an average face's width as a share of the picture's width
_EYE_LEVEL = 0.47  # share of the picture's height
_CENTRE_V = 0.05  # pole of the polar outlines
ANGLES = 4096  # steps of a polar outline, from -pi to pi, 0 at the crown

Window = tuple[slice, slice]


class Frame:
    """Pixel grid of one picture.

    Attributes
    ----------
    u, v : np.ndarray
        Shape (size, size), float32. Head coordinates seen at each pixel; the width and length of
        the person's face are taken out, so that outlines and features are those of an average face.
    x, y : np.ndarray
        Shape (size, size), float32. The same for the body, which does not turn with the head.
    r : np.ndarray
        Shape (size, size), float32. Distance from the pole of the outlines.
    angle : np.ndarray
        Shape (size, size), intp. Index into a polar outline.
    unit : float
        Pixels per head unit.
    """

    def __init__(self, traits: Traits, size: int) -> None:
        self.size = size
        self.unit = float(size * _UNIT * traits.scale)
        self.width, self.length = traits.face_width, traits.face_length
        self.nose_length = traits.nose_length
        self.centre = (size * (0.5 + traits.shift_x), size * (_EYE_LEVEL + traits.shift_y))
        self.rotation = _rotation(traits.yaw, traits.pitch, traits.roll)
        grid = np.arange(size, dtype=np.float32) + np.float32(0.5)
        self.x = np.ascontiguousarray(
            np.broadcast_to((grid - self.centre[0]) / np.float32(self.unit), (size, size))
        )
        self.y = np.ascontiguousarray(
            np.broadcast_to(
                ((grid - self.centre[1]) / np.float32(self.unit))[:, None], (size, size)
            )
        )
        self.u, self.v = self._unproject()
        centred = self.v - np.float32(_CENTRE_V)
        self.r = np.sqrt(self.u * self.u + centred * centred)
        turn = np.arctan2(self.u, -centred)
        self.angle = ((turn + np.float32(np.pi)) * np.float32((ANGLES - 1) / (2 * np.pi))).astype(
            np.intp
        )

    def _unproject(self) -> tuple[np.ndarray, np.ndarray]:
        r = self.rotation.astype(np.float32)
        inverse = np.linalg.inv(self.rotation[:2, :2]).astype(np.float32)
        depth = np.float32(0.0)
        for _ in range(5):
            # a fixed point: the depth decides what is seen, what is seen decides the depth
            a, b = self.x - r[0, 2] * depth, self.y - r[1, 2] * depth
            u, v = inverse[0, 0] * a + inverse[0, 1] * b, inverse[1, 0] * a + inverse[1, 1] * b
            v = self._shape_v(v)
            u = u / np.float32(self.width)
            depth = self.depth(u, v)
        return u, v

    def _shape_v(self, v: np.ndarray) -> np.ndarray:
        # Only what lies below the eyes is longer or shorter in a long or a short face.
        return np.where(v > 0, v / np.float32(self.length), v)

    def depth(self, u, v):
        """Depth (head units) of the smooth head with its nose, towards the camera, at (u, v)."""
        t = (u / np.float32(1.08)) ** 2 + ((v - np.float32(0.1)) / np.float32(1.65)) ** 2
        dv = (v - np.float32(0.52 * self.nose_length)) / np.float32(0.24)
        nose = np.exp(-((u / np.float32(0.2)) ** 2) - dv * dv)
        return np.float32(0.9) * np.maximum(1 - t, np.float32(-0.35)) + np.float32(0.3) * nose

    def project(self, u: float, v: float) -> tuple[float, float]:
        """Pixel position (x, y) of a point of the head."""
        point = np.array(
            [
                u * self.width,
                v * self.length if v > 0 else v,
                float(self.depth(np.float32(u), np.float32(v))),
            ]
        )
        x, y, _ = self.rotation @ point
        return float(self.centre[0] + x * self.unit), float(self.centre[1] + y * self.unit)

    def window(self, u: float, v: float, half_u: float, half_v: float) -> Window:
        """The pixels that hold everything within (half_u, half_v) of (u, v)."""
        corners = [
            self.project(u + a * half_u, v + b * half_v) for a in (-1, 0, 1) for b in (-1, 0, 1)
        ]
        xs, ys = zip(*corners, strict=True)
        low_x, high_x = max(0, int(min(xs)) - 2), min(self.size, int(max(xs)) + 3)
        low_y, high_y = max(0, int(min(ys)) - 2), min(self.size, int(max(ys)) + 3)
        return slice(low_y, max(low_y, high_y)), slice(low_x, max(low_x, high_x))

    def local(
        self, u: float, v: float, half_u: float, half_v: float
    ) -> tuple[Window, np.ndarray, np.ndarray]:
        """A window and the coordinates relative to (u, v) in it."""
        window = self.window(u, v, half_u, half_v)
        return window, self.u[window] - np.float32(u), self.v[window] - np.float32(v)

    def bump(
        self, target: np.ndarray, u: float, v: float, su: float, sv: float, amount: float
    ) -> None:
        """Add a Gaussian of standard deviations (su, sv) to `target` in place."""
        window, du, dv = self.local(u, v, 2.8 * su, 2.8 * sv)
        target[window] += np.float32(amount) * gauss(du, dv, su, sv)

    def cover(self, distance: np.ndarray, softness: float = 0.0) -> np.ndarray:
        """Share of each pixel that lies inside, where `distance` (head units) is negative."""
        edge = max(1.2 / self.unit, softness)
        return smoothstep(np.float32(0.5) - distance * np.float32(1 / edge))

    def outline(self, table: np.ndarray) -> np.ndarray:
        """Distance (head units) of each pixel to a polar outline, negative inside."""
        slope = np.gradient(table) * ((ANGLES - 1) / (2 * np.pi)) / table
        correction = (1 / np.sqrt(1 + slope * slope)).astype(np.float32)
        return (self.r - table[self.angle]) * correction[self.angle]


def polar(
    points: list[tuple[float, float]], smooth: int = 100, symmetric: bool = True
) -> np.ndarray:
    """A closed outline through (u, v) points, as float32 radius for each of `ANGLES` directions.

    Parameters
    ----------
    points : list of (u, v)
        In any order; with `symmetric` only the right half, which is mirrored.
    smooth : int
        Width in steps of the smoothing.
    """
    corner = np.asarray(points, float)
    if symmetric:
        corner = np.concatenate([corner * [-1, 1], corner])
    theta = np.arctan2(corner[:, 0], -(corner[:, 1] - _CENTRE_V))
    radius = np.hypot(corner[:, 0], corner[:, 1] - _CENTRE_V)
    table = np.interp(np.linspace(-np.pi, np.pi, ANGLES), theta, radius, period=2 * np.pi)
    kernel = np.hanning(smooth + 2)
    padded = np.concatenate([table[-smooth:], table, table[:smooth]])
    return np.convolve(padded, kernel / kernel.sum(), "same")[smooth:-smooth].astype(np.float32)


def smoothstep(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(t, np.float32(0), np.float32(1))
    return t * t * (3 - 2 * t)


def ramp(x: np.ndarray, low: float, high: float | np.floating) -> np.ndarray:
    """`smoothstep` from `low` to `high` (which may be the smaller)."""
    return smoothstep((x - np.float32(low)) * np.float32(1 / (high - low)))


def gauss(du: np.ndarray, dv: np.ndarray, su: float, sv: float) -> np.ndarray:
    """exp(-(du/su)²/2 - (dv/sv)²/2)."""
    a, b = du * np.float32(1 / su), dv * np.float32(1 / sv)
    return np.exp(np.float32(-0.5) * (a * a + b * b))


def blend(canvas: np.ndarray, window: Window | None, colour: np.ndarray, alpha: np.ndarray) -> None:
    """Paint `colour` (3, h, w) or (3, 1, 1) over `canvas` (3, H, W) in place."""
    part = canvas if window is None else canvas[:, window[0], window[1]]
    part += (colour - part) * alpha


def value_noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Smooth noise, about standard normal, with `cells` bumps across, float32 (size, size)."""
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def strand_table(rng: np.random.Generator, smooth: int) -> np.ndarray:
    """Periodic noise, float32 (4096,), about standard normal, correlated over `smooth` steps."""
    white = rng.standard_normal(4096)
    kernel = np.hanning(smooth + 2)
    kernel /= np.sqrt((kernel**2).sum())
    padded = np.concatenate([white[-smooth:], white, white[:smooth]])
    return np.convolve(padded, kernel, "same")[smooth:-smooth].astype(np.float32)


def _rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation of the head for angles in degrees; x right, y down, z towards the camera."""
    a, b, c = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    tilt = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return tilt @ nod @ turn
