"""MediaPipe's two face detectors: anchors, decoding and weighted non-maximum suppression.

Source of the figures: MediaPipe 0.10.21, `modules/face_detection/face_detection_short_range.pbtxt`
and `face_detection_full_range.pbtxt` and their `SsdAnchorsCalculator`,
`TensorsToDetectionsCalculator` and `NonMaxSuppressionCalculator`.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facestats.faces.models import DETECTOR_FILE, DISTANT_FILE
from facestats.faces.runtime import load_interpreter
from facestats.faces.warp import sample_square

_MIN_SCORE = 0.5
_MIN_OVERLAP = 0.3  # IoU above which two boxes are the same face
_MAX_LOGIT = 100.0


@dataclass(frozen=True)
class Network:
    """A detector: file, side of its input in px, and grids as (cells a side, anchors a cell)."""

    file: str
    input: int
    grids: tuple[tuple[int, int], ...]


# Layers with strides of 8, 16, 16 and 16 px, two anchors a cell each; equal strides share a grid.
# 1.7 ms an image.
SHORT_RANGE = Network(DETECTOR_FILE, 128, ((16, 2), (8, 6)))
FULL_RANGE = Network(DISTANT_FILE, 192, ((48, 1),))  # one layer, stride 4. 4.6 ms an image.


@dataclass(frozen=True)
class Detection:
    """A face as the detector saw it, in px of the image.

    `box`: (4,) x0, y0, x1, y1; `keypoints`: (6, 2) x, y of the person's right and left eye, the
    tip of the nose, the mouth, the right and the left ear; `score`: 0–1.
    """

    box: np.ndarray
    keypoints: np.ndarray
    score: float


def make_anchors(network: Network = SHORT_RANGE) -> np.ndarray:
    """Centres of a network's anchors as a fraction of its input, (n, 2)."""
    layers = []
    for cells, each in network.grids:
        centers = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(centers, centers), axis=-1).reshape(-1, 2)
        layers.append(np.repeat(grid, each, axis=0))
    return np.concatenate(layers).astype(np.float32)


def decode_boxes(raw: np.ndarray, anchors: np.ndarray, size: int) -> np.ndarray:
    """Turn the regressor's output into boxes and keypoints.

    Parameters
    ----------
    raw : np.ndarray
        (n, 16) float32: x, y of the centre, width, height, then 6 × (x, y), in input px from the
        anchor.
    anchors : np.ndarray
        (n, 2).
    size : int
        Side of the input, px.

    Returns
    -------
    np.ndarray
        (n, 8, 2): top left, bottom right and the 6 keypoints, as a fraction of the input.
    """
    points = raw.reshape(-1, 8, 2) / size
    center = points[:, 0] + anchors
    half = points[:, 1] / 2
    corners = np.stack([center - half, center + half], axis=1)
    return np.concatenate([corners, points[:, 2:] + anchors[:, None]], axis=1)


def box_iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of one box (4,) with others (n, 4), all x0, y0, x1, y1.

    Returns (n,).
    """
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    inter = np.clip(high - low, 0, None).prod(axis=1)
    areas = np.clip(others[:, 2:] - others[:, :2], 0, None).prod(axis=1)
    own = np.clip(box[2:] - box[:2], 0, None).prod()
    return inter / np.maximum(own + areas - inter, 1e-12)


def weighted_nms(points: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Merge overlapping detections into their mean, weighted by score.

    MediaPipe's `WEIGHTED` algorithm.

    Taking the best box instead moves the landmarks by 0.6 % of the eye distance.

    Parameters
    ----------
    points : np.ndarray
        (n, 8, 2) as `decode_boxes` returns them.
    scores : np.ndarray
        (n,) 0–1.

    Returns
    -------
    list[tuple[np.ndarray, float]]
        List of (points (8, 2), the best score of the group), best first.
    """
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    boxes = points[:, :2].reshape(-1, 4)
    merged = []
    while len(scores):
        same = box_iou(boxes[0], boxes) > _MIN_OVERLAP
        same[0] = True  # a box without area overlaps not even itself
        weight = scores[same] / scores[same].sum()
        merged.append((np.tensordot(weight, points[same], axes=1), float(scores[0])))
        points, boxes, scores = points[~same], boxes[~same], scores[~same]
    return merged


class Detector:
    """A detector's network with its pre- and post-processing. Not safe to share between threads."""

    def __init__(self, model_dir: Path, network: Network = SHORT_RANGE):
        self._run = load_interpreter(Path(model_dir) / network.file)
        self._anchors = make_anchors(network)
        self._input = network.input

    def detect(self, rgb: np.ndarray, min_score: float = _MIN_SCORE) -> list[Detection]:
        """Find faces in an image.

        Their boxes take at least about 12 % (short range) or 6 % (full range) of the image's long
        side.

        Parameters
        ----------
        rgb : np.ndarray
            (H, W, 3) uint8.
        min_score : float, default _MIN_SCORE
            0–1.

        Returns
        -------
        list[Detection]
            List of Detection, best score first.
        """
        height, width = rgb.shape[:2]
        side = max(height, width)
        # Letterboxed with zeros *before* normalising, so that the bars are -1 like black.
        crop = sample_square(rgb, (width / 2, height / 2), side, 0.0, self._input, replicate=False)
        tensor = crop[None].astype(np.float32) * np.float32(2 / 255) - np.float32(1)
        raw, logits = sorted(self._run(tensor), key=lambda output: -output.size)
        logits = logits.reshape(-1)
        keep = np.flatnonzero(logits >= math.log(min_score / (1 - min_score)))
        if not len(keep):
            return []
        scores = 1 / (1 + np.exp(-np.minimum(logits[keep].astype(np.float64), _MAX_LOGIT)))
        points = decode_boxes(raw[0][keep], self._anchors[keep], self._input)
        # Boxes turned inside out are no detections in MediaPipe either.
        valid = (points[:, 1] > points[:, 0]).all(axis=1)
        offset = np.array([width - side, height - side]) / 2
        return [
            Detection((p[:2] * side + offset).reshape(4), p[2:] * side + offset, score)
            for p, score in weighted_nms(points[valid].astype(np.float64), scores[valid])
        ]
