"""Find faces of any size: the whole photo first, then overlapping windows.

The detector sees 128 px and needs a box of at least 12 % of that.
"""

import math
from dataclasses import replace

import numpy as np
from PIL import Image

from facestats.faces.detector import box_iou
from facestats.faces.landmarks import MIN_PRESENCE, FaceLandmarks, Landmarker

# Windows of a half and a quarter of the long side, a third of each shared with its neighbour: at 3,000 px
# those of 750 px found 20 of 20 faces 90–180 px wide.
_SCALES = (2, 4)
_OVERLAP = 1 / 3
_MIN_WINDOW = 250  # px; at 1,000 px finds 12 of 12 faces 40–100 px wide, 375 only 9, and no false ones
_WINDOW_PRESENCE = 0.9  # what is no face seldom passes 0.03, but here are dozens of windows to be wrong in
_SEEN = 512  # px to which a window is shrunk, antialiased, before the networks sample it
_REFINE = 0.61  # box / side of the second look's square: landmarks within 0.7–1.2 %, not 1.1–1.4 %
_SMALL = 0.3  # box / long side below which a face of the whole photo is looked at again
_FILLS = 0.4  # the closer look was close enough
_MAX_LOOKS = 3
_SAME_FACE = 0.3  # IoU


def find_faces(rgb: np.ndarray, landmarker: Landmarker) -> list[FaceLandmarks]:
    """Find the faces of a photo, also small ones.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
    landmarker : Landmarker

    Returns
    -------
    list of FaceLandmarks, largest first. Faces of the whole photo if it has any with a presence of at least
    0.5, else what the windows of the coarsest scale with a hit found. Empty where there is none.
    """
    return find_large_faces(rgb, landmarker) or find_small_faces(rgb, landmarker)


def find_large_faces(rgb: np.ndarray, landmarker: Landmarker) -> list[FaceLandmarks]:
    """Faces that the detector sees in the whole photo and that the mesh confirms, largest first.

    Near the detector's limit its boxes are loose (up to 1.7 × the face) and the landmarks off by 13–28 % of
    the eye distance; small ones are therefore looked at again, closer.
    """
    faces = [face for face in landmarker.detect(rgb) if face.presence >= MIN_PRESENCE]
    small = _SMALL * max(rgb.shape[:2])
    if all(face.side >= small for face in faces):
        return faces
    image = Image.fromarray(rgb)
    faces = [face if face.side >= small else _closer(image, face, landmarker) or face for face in faces]
    return _merge(faces)


def find_small_faces(rgb: np.ndarray, landmarker: Landmarker) -> list[FaceLandmarks]:
    """Faces in overlapping windows of a half, then of a quarter of the long side, largest first.

    The second scale is tried only where the first finds nothing.
    """
    long_side = max(rgb.shape[:2])
    image = Image.fromarray(rgb)
    for scale in _SCALES:
        window = long_side / scale
        if window < _MIN_WINDOW:
            break
        hits = []
        for x in _starts(rgb.shape[1], window):
            for y in _starts(rgb.shape[0], window):
                hits += _look(image, (x, y, x + window, y + window), landmarker, _SEEN)
        faces = [_closer(image, hit, landmarker) for hit in _merge(hits)]
        if any(faces):
            return _merge([face for face in faces if face])
    return []


def _starts(length: int, window: float) -> list[float]:
    """Where the windows along a side begin, evenly, so that neighbours share at least a third."""
    if length <= window:
        return [0.0]
    count = math.ceil((length - window) / (window * (1 - _OVERLAP))) + 1
    return [float(start) for start in np.linspace(0, length - window, count)]


def _look(image: Image.Image, region, landmarker: Landmarker, seen: int | None) -> list[FaceLandmarks]:
    """Faces in a region (x0, y0, x1, y1 px), in the whole image's coordinates."""
    x0, y0 = (max(0, math.floor(v)) for v in region[:2])
    x1, y1 = min(image.width, math.ceil(region[2])), min(image.height, math.ceil(region[3]))
    size = (x1 - x0, y1 - y0)
    shrink = min(1.0, seen / max(size)) if seen else 1.0
    if shrink < 1:
        small = (max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink)))
        part = image.resize(small, Image.Resampling.BILINEAR, (x0, y0, x1, y1), reducing_gap=2.0)
    else:
        part = image.crop((x0, y0, x1, y1))
    whole = np.array([image.width, image.height])
    found = []
    for face in landmarker.detect(np.asarray(part)):
        if face.presence < _WINDOW_PRESENCE:
            continue
        points = face.landmarks.astype(np.float64)
        points[:, :2] = (points[:, :2] * size + (x0, y0)) / whole
        points[:, 2] *= size[0] / image.width
        zoom = np.tile(np.array(size) / part.size, 2)
        box = face.box * zoom + (x0, y0, x0, y0)
        found.append(replace(face, landmarks=points.astype(np.float32), box=box.astype(np.float32)))
    return found


def _closer(image: Image.Image, hit: FaceLandmarks, landmarker: Landmarker) -> FaceLandmarks | None:
    """Detect again on a full-resolution square around a hit until the face fills it; None if it vanishes."""
    for _ in range(_MAX_LOOKS):
        x0, y0, x1, y1 = (float(v) for v in hit.box)
        half = max(x1 - x0, y1 - y0) / _REFINE / 2
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        again = _look(image, (x - half, y - half, x + half, y + half), landmarker, None)
        again = [face for face in again if x0 <= face.center[0] <= x1 and y0 <= face.center[1] <= y1]
        if not again:
            return None
        hit = again[0]
        if hit.side >= _FILLS * 2 * half:
            break
    return hit


def _merge(faces: list[FaceLandmarks]) -> list[FaceLandmarks]:
    """Drop what several windows saw twice, keeping the highest score; largest first."""
    kept: list[FaceLandmarks] = []
    for face in sorted(faces, key=lambda face: (-face.score, -face.area)):
        if all(box_iou(face.box, other.box[None])[0] <= _SAME_FACE for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -face.area)
