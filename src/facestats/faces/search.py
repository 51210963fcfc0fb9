"""Find the faces of a photo, whatever their size and whichever way up they are.

The short-range detector looks at the whole photo first; what it sees upright and clearly is taken
as it is. All else costs more looks: the full-range detector for what is small, quarter turns for
what may lie or stand on its head, and looks at other scales for what may be no face.
"""

import math
from dataclasses import replace
from functools import cached_property

import cv2
import numpy as np

from facestats.core.landmarks import SURE_PRESENCE
from facestats.faces.detector import Detection, box_iou
from facestats.faces.landmarks import MIN_PRESENCE, FaceLandmarks, Landmarker

# Of 349 upright faces, plain, dark, grey or tilted, 1 % score less; of 353 that were turned and
# misread, the best has 0.85.
_UPRIGHT_SCORE = 0.88
_BETTER = 0.05  # margin by which a turned look's score × presence must beat the look before
_BETTER_UPRIGHT = 0.03  # the same against the upright look at a face that the detector has seen
_CLEAR_PRESENCE = 0.9999  # none of 758 pictures without a face reached 0.999
_LEAST_PRESENCE = 0.9  # after the closer looks
# Least certainty of a face that the short-range detector does not see upright in the whole photo:
# there are many places for errors.
_HIDDEN_CERTAINTY = 0.6
# Least certainty of a turned face: 667 of 668 have 0.80–0.95; upright ones that are half hidden or
# cut off, read sideways, 0.5–0.77.
_TURNED_CERTAINTY = 0.79
_OTHER_LOOKS = (1.35, 2.2)  # side / box at which a doubtful face is looked at again
# Eye distances between the points of two looks: faces 0.01–0.08; other things 0.1–2.4, with few
# exceptions.
_AGREE = 0.15
_REFINE = 1 / 0.61  # side / box of the closer look: landmarks within 0.7–1.2 %, not 1.1–1.4 %
_SMALL = 0.3  # box / long side below which a face of the whole photo is looked at again
_FILLS = 0.4  # the closer look was close enough
_MAX_LOOKS = 3
_SAME_FACE = 0.3  # IoU
_SAME_HIT = 0.5  # IoU of two hits, in other turns or windows, of which the better one is looked at
_COUNTED = 1 / 3  # of the largest face's side: smaller faces are bystanders
# If the largest face's box takes more than this share of the long side, the short-range detector
# sees all faces that count; more than the other share, the full-range detector does.
_ALL_SEEN, _MOST_SEEN = 0.4, 0.12
# Score of the full-range detector. It sees turned faces too, but scores them low: those are tried
# where there is no other.
_HIT, _WEAK_HIT = 0.5, 0.3
_MAX_WEAK = 2
_FULL_RANGE_DROP = 0.046  # share of their side by which its boxes lie above the short-range ones
_SEEN = 384  # px to which a region is shrunk, antialiased, for the full-range detector
# Tangent of the angle between the line from the eyes to the mouth and the vertical; beyond, a face
# may lie on its side.
_SIDEWAYS = 1.2
_ROTATE = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
_WINDOWS = 3  # a long side, without overlap: the detector sees faces from 6–9 % of a window on
_MIN_WINDOW = 300  # px; in smaller ones it would see faces below 20 px
_OVERLAP = 1 / 3


def find_large_faces(rgb: np.ndarray, landmarker: Landmarker) -> list[FaceLandmarks]:
    """Faces that a detector sees in the whole photo, in any quarter turn, largest first."""
    long_side = max(rgb.shape[:2])
    whole = (rgb.shape[1] / 2, rgb.shape[0] / 2, long_side)
    faces = _merge(_checked(rgb, look, landmarker) for look in _looks(rgb, whole, landmarker, 0))
    largest = faces[0].side / long_side if faces else 0.0
    if largest >= _ALL_SEEN:
        return _counted(faces)
    small = _shrunk(rgb)
    faces = _add(rgb, faces, _full_range(small, rgb.shape, landmarker), landmarker)
    if not faces:  # the detector may see a face only after a quarter turn of the whole photo
        return _counted(
            _add(rgb, [], _full_range(small, rgb.shape, landmarker, (2, 1, 3)), landmarker)
        )
    if len(faces) > 1 and faces[0].side < _MOST_SEEN * long_side:
        # one small face alone is seldom one of many
        faces = _add(rgb, faces, _windows(rgb, landmarker), landmarker)
    return _counted(faces)


def find_small_faces(rgb: np.ndarray, landmarker: Landmarker) -> list[FaceLandmarks]:
    """Faces in overlapping windows of a third of the long side, largest first."""
    return _counted(_add(rgb, [], _windows(rgb, landmarker), landmarker))


class _Look:
    """A face as the short-range detector sees it in a part of a photo.

    The part is turned `turn` quarters anticlockwise.

    `place` is a face of which only the box, in the photo's px, is known. `face` is what the mesh
    makes of it, which takes longer than the detector: it is asked only where its answer counts.
    """

    def __init__(
        self,
        landmarker: Landmarker,
        part: np.ndarray,
        seen: Detection,
        corner: tuple[int, int],
        turn: int,
        shape,
    ):
        self._landmarker, self._part, self._seen = landmarker, part, seen
        self._corner, self._shape = corner, shape
        self.score, self.turn = seen.score, turn
        box = _turn_back(seen.box.astype(np.float32).reshape(2, 2), part.shape, turn) + corner
        self.place = _place(
            np.concatenate([box.min(axis=0), box.max(axis=0)]), seen.score, (turn + _lies(seen)) % 4
        )

    @cached_property
    def face(self) -> FaceLandmarks:
        face = self._landmarker.find_landmarks(self._part, self._seen)
        height, width = self._part.shape[:2]
        points = face.landmarks.astype(np.float64)
        points[:, :2] = (
            _turn_back(points[:, :2] * (width, height), self._part.shape, self.turn) + self._corner
        )
        points[:, :2] /= (self._shape[1], self._shape[0])
        points[:, 2] *= width / self._shape[1]
        return replace(
            face, landmarks=points.astype(np.float32), box=self.place.box, turn=self.turn
        )

    def reaches(self, certainty: float) -> bool:
        return self.score >= certainty and self.face.certainty >= certainty

    def beats(self, rival: "_Look", margin: float) -> bool:
        """Whether it is more certain by more than a margin.

        Certainty is at most the score, so that not every mesh has to be asked.
        """
        most = rival.score + margin
        if self.score > most and self.face.certainty > most:
            return True
        least = rival.face.certainty + margin
        return self.score > least and self.face.certainty > least


def _place(box: np.ndarray, score: float, turn: int) -> FaceLandmarks:
    """A face whose box alone is known, and the quarter turns after which it may be upright."""
    return FaceLandmarks(np.zeros((0, 3), np.float32), box.astype(np.float32), score, 0.0, turn)


def _lies(seen: Detection) -> int:
    """Quarter turns, anticlockwise, after which a detected face may be upright.

    By the way from the eyes to the mouth.

    Of a face on its side it points to the side (62 of 63 faces), of one on its head down, as if it
    stood.
    """
    x, y = seen.keypoints[3] - seen.keypoints[:2].mean(axis=0)
    return 0 if abs(x) < _SIDEWAYS * y else 1 if x < 0 else 3


def _checked(rgb: np.ndarray, look: _Look, landmarker: Landmarker) -> FaceLandmarks | None:
    """A face that the short-range detector saw in the whole photo, looked at as often as it takes.

    None if it is none.

    Near the detector's limit its boxes are loose (up to 1.7 × the face) and the landmarks off by
    13–28 % of the eye distance; small ones are therefore looked at again, closer.
    """
    if look.score < _UPRIGHT_SCORE or look.face.presence < _LEAST_PRESENCE:
        look = _right_way_up(rgb, look, landmarker)
    face = look.face
    if face.side < _SMALL * max(rgb.shape[:2]):
        face = _closer(rgb, face, landmarker) or face
    return face if _confirmed(rgb, face, landmarker) else None


def _right_way_up(rgb: np.ndarray, first: _Look, landmarker: Landmarker) -> _Look:
    """The look at a face, among those in four quarter turns, with the highest score × presence.

    A turned look has to beat the first one, and clearly the upright one on the same square: there
    671 faces on their side or head read better the right way up by 0.04 and more. A face that its
    keypoints say lies, and that is clearly seen so, takes no more.
    """

    def looks(turn: int) -> list[_Look]:
        return [
            look
            for look in _looks(rgb, _square(first.place, _REFINE), landmarker, turn)
            if _same_place(first.place, look.place)
        ]

    for look in looks(first.place.turn) if first.place.turn else ():
        if look.reaches(_UPRIGHT_SCORE) and look.beats(first, 0.0):
            return look
    uprights = looks(0)
    rivals = [(first, 0.0), *((look, _BETTER_UPRIGHT) for look in uprights)]
    best = None
    for turn in sorted((2, 1, 3), key=lambda turn: turn != first.place.turn):
        if any(look.reaches(_UPRIGHT_SCORE) for look, _ in rivals):
            break
        for look in looks(turn):
            if (
                look.score >= _TURNED_CERTAINTY
                and all(look.beats(*rival) for rival in rivals)
                and look.reaches(_TURNED_CERTAINTY)
            ):
                best, rivals = look, [(look, 0.0)]
    if best is None:
        best = first
        for look in uprights:
            best = look if look.beats(best, 0.0) else best
    return best


def _turn_is_sure(face: FaceLandmarks) -> bool:
    return face.turn == 0 or face.certainty >= _TURNED_CERTAINTY


def _closer(rgb: np.ndarray, face: FaceLandmarks, landmarker: Landmarker) -> FaceLandmarks | None:
    """Detect again on a full-resolution square around a face until the face fills it.

    None if it vanishes.
    """
    for _ in range(_MAX_LOOKS):
        square = _square(face, _REFINE)
        again = [
            look.face
            for look in _looks(rgb, square, landmarker, face.turn)
            if _same_place(face, look.place)
        ]
        if not again:
            return None
        face = max(again, key=lambda a: a.certainty)
        if face.side >= _FILLS * square[2]:
            break
    return face


def _confirmed(
    rgb: np.ndarray, face: FaceLandmarks, landmarker: Landmarker, hidden: bool = False
) -> bool:
    """Whether looks at other scales see the same face: one of two; both, if the mesh is unsure."""
    if hidden and face.certainty < _HIDDEN_CERTAINTY:
        return False
    if face.presence >= _CLEAR_PRESENCE:
        return True
    if face.presence < _LEAST_PRESENCE:
        return False
    agreeing = 0
    for missed, scale in enumerate(_OTHER_LOOKS):
        others = _looks(rgb, _square(face, scale), landmarker, face.turn)
        agreeing += any(
            look.face.presence >= MIN_PRESENCE and _distance(face, look.face, rgb.shape) <= _AGREE
            for look in others
        )
        if face.presence >= SURE_PRESENCE and agreeing:
            return True
        if face.presence < SURE_PRESENCE and agreeing <= missed:
            return False
    return agreeing == len(_OTHER_LOOKS)


def _add(
    rgb: np.ndarray, faces: list[FaceLandmarks], hits: list[FaceLandmarks], landmarker: Landmarker
) -> list[FaceLandmarks]:
    """`faces` and those behind the full-range detector's hits that the other networks confirm."""
    known = list(faces)
    tried: list[np.ndarray] = []
    weak = 0
    for hit in sorted(hits, key=lambda hit: -hit.score):
        if any(_same_place(face, hit) for face in known):
            continue
        if tried and box_iou(hit.box, np.array(tried)).max() > _SAME_HIT:
            continue
        if hit.score < _HIT:
            weak += 1
            if known or weak > _MAX_WEAK:
                break
        tried.append(hit.box)
        face = _face_behind(rgb, hit, landmarker)
        if face and _confirmed(rgb, face, landmarker, hidden=True):
            known.append(face)
    return _merge(known)


def _face_behind(
    rgb: np.ndarray, hit: FaceLandmarks, landmarker: Landmarker
) -> FaceLandmarks | None:
    """The face of a hit, in the quarter turn in which detector and mesh see it best."""
    square, best = _square(hit, _REFINE), None
    for turn in sorted(range(4), key=lambda turn: turn != hit.turn):
        for look in _looks(rgb, square, landmarker, turn):
            likely = _same_place(hit, look.place) and (turn == 0 or look.score >= _TURNED_CERTAINTY)
            if (
                likely
                and (best is None or look.beats(best, _BETTER))
                and (turn == 0 or look.reaches(_TURNED_CERTAINTY))
            ):
                best = look
        if best and best.reaches(_UPRIGHT_SCORE):
            break
    if best is None or best.face.side >= _FILLS * square[2]:
        return best and best.face
    face = _closer(rgb, best.face, landmarker) or best.face
    return face if _turn_is_sure(face) else None


def _shrunk(rgb: np.ndarray) -> np.ndarray:
    """A photo or a part of one brought to the px that the full-range detector samples."""
    shrink = min(1.0, _SEEN / max(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[1] * shrink)), max(1, round(rgb.shape[0] * shrink)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if shrink < 1 else rgb


def _full_range(
    small: np.ndarray, shape, landmarker: Landmarker, turns: tuple[int, ...] = (0,)
) -> list[FaceLandmarks]:
    """Places where the full-range detector sees faces in quarter turns of a shrunk image.

    In px of the image of `shape` that it was before.

    Its boxes are moved to where the short-range detector puts them.
    """
    zoom = np.array([shape[1] / small.shape[1], shape[0] / small.shape[0]])
    hits = []
    for turn in turns:
        part = _turned(small, turn)
        for hit in landmarker.find_distant_boxes(part, _WEAK_HIT):
            drop = _FULL_RANGE_DROP * (hit.box[3] - hit.box[1])
            box = _turn_back(hit.box.reshape(2, 2) + (0, drop), part.shape, turn) * zoom
            hits.append(
                _place(
                    np.concatenate([box.min(axis=0), box.max(axis=0)]),
                    hit.score,
                    (turn + _lies(hit)) % 4,
                )
            )
    return hits


def _windows(rgb: np.ndarray, landmarker: Landmarker) -> list[FaceLandmarks]:
    """What the full-range detector surely sees in windows of a third of the long side.

    They overlap.
    """
    long_side = max(rgb.shape[:2])
    window = max(long_side / _WINDOWS, _MIN_WINDOW)
    hits: list[FaceLandmarks] = []
    if window > long_side / 2:
        return hits
    for x in _starts(rgb.shape[1], window):
        for y in _starts(rgb.shape[0], window):
            part = rgb[math.floor(y) : math.ceil(y + window), math.floor(x) : math.ceil(x + window)]
            corner = np.array([math.floor(x), math.floor(y)] * 2, np.float32)
            for hit in _full_range(_shrunk(np.ascontiguousarray(part)), part.shape, landmarker):
                if hit.score >= _HIT:
                    hits.append(replace(hit, box=hit.box + corner))
    return hits


def _starts(length: int, window: float) -> list[float]:
    """Where the windows along a side begin, evenly, so that neighbours share at least a third."""
    if length <= window:
        return [0.0]
    # 2,000 px in thirds are four windows, not five
    count = math.ceil((length - window) / (window * (1 - _OVERLAP)) - 1e-9) + 1
    return [float(start) for start in np.linspace(0, length - window, count)]


def _square(face: FaceLandmarks, scale: float) -> tuple[float, float, float]:
    """Centre (x, y) and side, px, of the square around a face's box enlarged by `scale`."""
    return *face.center, face.side * scale


def _looks(
    rgb: np.ndarray, square: tuple[float, float, float], landmarker: Landmarker, turn: int
) -> list[_Look]:
    """What the short-range detector sees in a square of a photo, largest box first.

    The square is turned `turn` quarters anticlockwise.
    """
    x, y, side = square
    x0, y0 = max(0, math.floor(x - side / 2)), max(0, math.floor(y - side / 2))
    x1, y1 = min(rgb.shape[1], math.ceil(x + side / 2)), min(rgb.shape[0], math.ceil(y + side / 2))
    if x1 <= x0 or y1 <= y0:
        return []
    part = _turned(rgb[y0:y1, x0:x1], turn)
    return [
        _Look(landmarker, part, seen, (x0, y0), turn, rgb.shape)
        for seen in landmarker.find_boxes(part)
    ]


def _turned(image: np.ndarray, turn: int) -> np.ndarray:
    """`np.rot90` in a tenth of its time."""
    return cv2.rotate(image, _ROTATE[turn]) if turn else np.ascontiguousarray(image)


def _turn_back(points: np.ndarray, shape, turn: int) -> np.ndarray:
    """Points (n, 2), px, of an image of `shape` turned by `np.rot90(…, turn)`, before that turn."""
    height, width = shape[:2]
    for _ in range(turn):
        points = np.column_stack([height - points[:, 1], points[:, 0]])
        height, width = width, height
    return points


def _same_place(face: FaceLandmarks, other: FaceLandmarks) -> bool:
    """Whether the other's centre lies in the face's box."""
    x, y = other.center
    return bool(face.box[0] <= x <= face.box[2] and face.box[1] <= y <= face.box[3])


def _distance(face: FaceLandmarks, other: FaceLandmarks, shape) -> float:
    """Mean distance between the points of two looks, in distances between the outer eye corners."""
    size = np.array([shape[1], shape[0]])
    a, b = face.landmarks[:, :2] * size, other.landmarks[:, :2] * size
    eyes = max(float(np.linalg.norm(a[33] - a[263])), 1e-6)
    return float(np.linalg.norm(a - b, axis=1).mean()) / eyes


def _merge(faces) -> list[FaceLandmarks]:
    """Drop what was seen twice, keeping the highest score; largest first."""
    kept: list[FaceLandmarks] = []
    for face in sorted(
        (face for face in faces if face), key=lambda face: (-face.score, -face.area)
    ):
        if all(box_iou(face.box, other.box[None])[0] <= _SAME_FACE for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -face.area)


def _counted(faces: list[FaceLandmarks]) -> list[FaceLandmarks]:
    """The largest face and those larger than a third of it."""
    return [face for face in faces if face.side > _COUNTED * faces[0].side]
