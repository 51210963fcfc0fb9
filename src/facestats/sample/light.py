"""How the picture's light falls on a relief."""

import numpy as np

from facestats.sample import palette
from facestats.sample.frame import Frame
from facestats.sample.traits import Traits

KEY, AMBIENT = 1.36, 1.08  # brightness of the lamp and of the room, at strengths of 1 and 0
# The room's light on a surface: to the side, less from below, more from the front.
AMBIENT_SIDE, AMBIENT_DOWN, AMBIENT_FRONT = np.float32(0.62), np.float32(0.16), np.float32(0.30)
# light under the skin, most of it red
_WRAP = np.array([0.34, 0.20, 0.15], np.float32).reshape(3, 1, 1)


class Light:
    """The picture's light: shades a relief."""

    def __init__(self, frame: Frame, traits: Traits) -> None:
        self.frame = frame
        azimuth, elevation = np.radians([traits.light_azimuth, traits.light_elevation])
        self.direction = (
            float(np.sin(azimuth) * np.cos(elevation)),
            float(-np.sin(elevation)),
            float(np.cos(azimuth) * np.cos(elevation)),
        )
        self.key = palette.light(traits) * np.float32(KEY * traits.light_strength)
        self.ambient = np.float32(AMBIENT * (1 - traits.light_strength))

    def normals(self, height: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit normals (x, y, z) in the camera's frame of a relief in the head's."""
        r = self.frame.rotation.astype(np.float32)
        z = r[2, 0] * self.frame.u + r[2, 1] * self.frame.v + r[2, 2] * height
        scale = np.float32(self.frame.unit / 2)
        dx, dy = np.zeros_like(z), np.zeros_like(z)
        np.subtract(z[:, :-2], z[:, 2:], out=dx[:, 1:-1])
        np.subtract(z[:-2], z[2:], out=dy[1:-1])
        dx *= scale
        dy *= scale
        inverse = 1 / np.sqrt(dx * dx + dy * dy + 1)
        return dx * inverse, dy * inverse, inverse

    def shade(self, normals: tuple[np.ndarray, np.ndarray, np.ndarray], wrap=_WRAP) -> np.ndarray:
        """What the albedo is multiplied with, (3, h, w)."""
        nx, ny, nz = normals
        lx, ly, lz = (np.float32(c) for c in self.direction)
        facing = nx * lx + ny * ly + nz * lz
        diffuse = np.maximum((facing + wrap) * (1 / (1 + wrap)), 0)
        # The sky is brighter than the floor, and grazing surfaces see less of either.
        ambient = self.ambient * (AMBIENT_SIDE - AMBIENT_DOWN * ny + AMBIENT_FRONT * nz)
        return self.key * diffuse + ambient

    def gloss(self, normals: tuple[np.ndarray, np.ndarray, np.ndarray], power: int) -> np.ndarray:
        """Blinn-Phong highlight, 0 to 1; `power` is the number of squarings."""
        lx, ly, lz = self.direction
        length = float(np.sqrt(lx * lx + ly * ly + (lz + 1) ** 2))
        hx, hy, hz = (np.float32(c / length) for c in (lx, ly, lz + 1))
        shine = np.maximum(normals[0] * hx + normals[1] * hy + normals[2] * hz, 0)
        for _ in range(power):
            shine = shine * shine
        return shine
