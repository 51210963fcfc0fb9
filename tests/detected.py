"""The faces that a photo shows, by all looks that `faces.crop` takes."""

import numpy as np

from facestats.faces.landmarks import FaceLandmarks, Landmarker
from facestats.faces.search import find_large_faces, find_small_faces


def find_faces(rgb: np.ndarray, landmarker: Landmarker) -> list[FaceLandmarks]:
    """Largest first: the largest face, and all that are larger than a third of it."""
    return find_large_faces(rgb, landmarker) or find_small_faces(rgb, landmarker)
