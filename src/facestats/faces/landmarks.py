"""Faces and their 468 landmarks, as MediaPipe's FaceMesh finds them, on LiteRT.

The recipe is that of MediaPipe 0.10.21's `modules/face_landmark/face_landmark_front_cpu.pbtxt` for
static images without refinement. One pass: running the mesh again on its own landmarks would move
them by 1 % of the eye distance.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facestats.core.landmarks import N_LANDMARKS
from facestats.faces.detector import FULL_RANGE, SHORT_RANGE, Detection, Detector
from facestats.faces.models import MESH_FILE
from facestats.faces.runtime import load_interpreter
from facestats.faces.warp import sample_square

MIN_PRESENCE = 0.5  # real faces >= 0.9999, half covered ones 0.88–1, regions without a face <= 0.03

# Outputs of the mesh's convolutions, by their numbers in its file: 96, 48, 24, 12 and 6 cells a
# side, of 16, 32, 64, 128 and 128 channels. What they tell of a face besides its landmarks is read
# by `facestats.faces.looks`.
_LAYERS = (23, 53, 83, 113, 141)
_INPUT = 192  # px, side of the mesh's input
_ROI_SCALE = 1.5  # region of interest / long side of the box; 1.4 or 1.6 move the landmarks by 1 %


@dataclass(frozen=True)
class FaceLandmarks:
    """One face.

    Attributes
    ----------
    landmarks : np.ndarray
        (468, 3) float32 x and y as a fraction of the image's width and height, z in the scale of x
        (smaller is nearer).
    box : np.ndarray
        (4,) float32 x0, y0, x1, y1 of the detector's box, px of the image; may reach beyond it.
    score : float
        The detector's confidence, 0–1.
    presence : float
        The mesh's own confidence that this is a face, 0–1.
    turn : int
        Quarter turns, anticlockwise, of the photo in which the face stands upright as the networks
        saw it.
    layers : tuple of (side, side, channels) float32
        What the mesh's convolutions put out, fine to coarse; empty where the mesh did not look.
    """

    landmarks: np.ndarray
    box: np.ndarray
    score: float
    presence: float
    turn: int = 0
    layers: tuple[np.ndarray, ...] = ()

    @property
    def certainty(self) -> float:
        """Score × presence: of several looks at a face, the highest is the one the right way up."""
        return self.score * self.presence

    @property
    def side(self) -> float:
        """Long side of the box, px."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def center(self) -> tuple[float, float]:
        """x, y of the box's centre, px."""
        return float(self.box[0] + self.box[2]) / 2, float(self.box[1] + self.box[3]) / 2

    @property
    def area(self) -> float:
        """Area of the box, px²."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


class Landmarker:
    """Detectors and mesh together. Not safe to share between threads; made in 20 ms.

    Parameters
    ----------
    model_dir : str or Path
        Folder with the three files of `facestats.faces.models`.

    Raises
    ------
    ModelError
        A file is missing or unreadable.
    """

    def __init__(self, model_dir: str | Path):
        self._short_range = Detector(Path(model_dir), SHORT_RANGE)
        self._full_range = Detector(Path(model_dir), FULL_RANGE)
        self._mesh = load_interpreter(Path(model_dir) / MESH_FILE, _LAYERS)

    def detect(self, rgb: np.ndarray) -> list[FaceLandmarks]:
        """Find the faces of an image that fill at least about 12 % of it.

        Parameters
        ----------
        rgb : np.ndarray
            (H, W, 3) uint8.

        Returns
        -------
        list[FaceLandmarks]
            List of FaceLandmarks, largest box first, whatever their presence.
        """
        return [self.find_landmarks(rgb, box) for box in self.find_boxes(rgb)]

    def find_boxes(self, rgb: np.ndarray) -> list[Detection]:
        """What the short-range detector sees in an image, largest box first.

        `detect` without the mesh, in half the time.
        """

        def area(detection: Detection) -> np.float32:
            x0, y0, x1, y1 = detection.box.astype(np.float32)
            return (x1 - x0) * (y1 - y0)

        return sorted(self._short_range.detect(rgb), key=area, reverse=True)

    def find_distant_boxes(self, rgb: np.ndarray, min_score: float) -> list[Detection]:
        """Faces that fill at least about 6 % of an image, as the full-range detector sees them.

        Best score first.
        """
        return self._full_range.detect(rgb, min_score)

    def find_landmarks(self, rgb: np.ndarray, detection: Detection) -> FaceLandmarks:
        """What the mesh sees in one of an image's `find_boxes`."""
        center, side, angle = region_of_interest(detection)
        crop = sample_square(rgb, center, side, angle, _INPUT, replicate=True)
        raw, presence, *layers = self._mesh(crop[None].astype(np.float32) / np.float32(255))
        points = project(raw.reshape(N_LANDMARKS, 3), center, side, angle, rgb.shape)
        presence = 1 / (1 + math.exp(-float(presence.reshape(()))))
        return FaceLandmarks(
            points,
            detection.box.astype(np.float32),
            detection.score,
            presence,
            layers=tuple(layer[0] for layer in layers),
        )


def region_of_interest(detection: Detection) -> tuple[tuple[float, float], float, float]:
    """The square that the mesh sees: centre (x, y) and side in px, angle of the eyes in radians."""
    x0, y0, x1, y1 = detection.box
    (right_x, right_y), (left_x, left_y) = detection.keypoints[:2]
    angle = math.atan2(left_y - right_y, left_x - right_x)
    return ((x0 + x1) / 2, (y0 + y1) / 2), max(x1 - x0, y1 - y0) * _ROI_SCALE, angle


def project(raw: np.ndarray, center, side: float, angle: float, shape) -> np.ndarray:
    """Mesh output (468, 3), px of its input, as fractions of an image of `shape` (H, W, …)."""
    height, width = shape[:2]
    local = (raw[:, :2].astype(np.float64) / _INPUT - 0.5) * side
    cos, sin = math.cos(angle), math.sin(angle)
    x = center[0] + local[:, 0] * cos - local[:, 1] * sin
    y = center[1] + local[:, 0] * sin + local[:, 1] * cos
    z = raw[:, 2] / _INPUT * side
    return np.stack([x / width, y / height, z / width], axis=1).astype(np.float32)
