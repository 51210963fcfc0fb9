"""The mean shape of a composite, and which faces can be warped to it, by landmarks alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from facestats.composites.members import Member
from facestats.composites.mesh import Mesh
from facestats.composites.warping import align_eyes
from facestats.core.landmarks import MIRROR, N_LANDMARKS

NO_LANDMARKS, TURNED, FOLDED = "no_landmarks", "max_yaw", "folded"


@dataclass
class Target:
    """The shape that faces are warped to, and which of them can be.

    Attributes
    ----------
    used : list of bool
        Whether a member can be used, in their order.
    left_out : dict
        Names by reason: `no_landmarks`; `max_yaw` (turned further); `folded` (triangles can't be
        unfolded).
    goal : ndarray of float64 (468, 2), optional
        The mean shape that faces are aligned with; None where no member has landmarks.
    shape : ndarray of float64 (468, 2), optional
        The mean landmarks of the resulting picture.
    """

    used: list[bool] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    goal: np.ndarray | None = None
    shape: np.ndarray | None = None

    def leave_out(self, member: Member, reason: str) -> None:
        self.left_out.setdefault(reason, []).append(member.filename)


def find_target(members: Iterable[Member], align: str, symmetric: bool, max_yaw: float) -> Target:
    """Find the shape to align faces with, from the landmarks of all members.

    `warp` uses the mean of the faces that it can warp: starting with all that have landmarks and a
    small |yaw|, faces that fold on the way to the mean are removed until none does.

    Parameters
    ----------
    members : iterable of Member
        They may be iterated several times.
    align, symmetric, max_yaw
        See `averaging.average_faces`.

    Returns
    -------
    Target
    """
    target, mean = Target(), _Mean(symmetric)
    for member in members:
        reason = _unusable(member, align, max_yaw)
        target.used.append(reason is None)
        if reason:
            target.leave_out(member, reason)
        elif _has_landmarks(member):
            assert member.landmarks is not None
            mean.add(member.landmarks)
    # A smaller group has another mean, to which other faces may fold.
    while align == "warp" and mean.n:
        mesh, rest = Mesh(mean.value), _Mean(symmetric)
        for i, member in enumerate(members):
            if target.used[i] and member.landmarks is not None:
                target.used[i] = mesh.unfolded(member.landmarks)[1] == 0
                if target.used[i]:
                    rest.add(member.landmarks)
                else:
                    target.leave_out(member, FOLDED)
        if rest.n == mean.n:
            break
        mean = rest
    if mean.n:
        target.goal = target.shape = mean.value
    if align == "eyes" and target.goal is not None:
        moved = _Mean(symmetric)
        for member, is_used in zip(members, target.used, strict=True):
            if is_used and member.landmarks is not None:
                moved.add(align_eyes(member.landmarks, target.goal))
        target.shape = moved.value
    return target


def mirrored(shape: np.ndarray, order: np.ndarray = MIRROR) -> np.ndarray:
    """Mirror a shape: flipped, each landmark under the number that it has in the mirror image.

    Parameters
    ----------
    shape : ndarray (468, 2)
        Landmarks, as shares of the side.
    order : ndarray of int
        The number of each point's mirror image; for other points than landmarks.

    Returns
    -------
    ndarray, as the shape
    """
    return shape[order] * [-1, 1] + [1, 0]


def _unusable(member: Member, align: str, max_yaw: float) -> str | None:
    if align == "none":
        return None
    if not _has_landmarks(member):
        return NO_LANDMARKS
    return TURNED if align == "warp" and abs(member.yaw or 0) > max_yaw else None


def _has_landmarks(member: Member) -> bool:
    """Whether a member has usable landmarks: a single NaN would spoil the mean."""
    return member.landmarks is not None and bool(np.isfinite(member.landmarks[:, :2]).all())


class _Mean:
    """The mean of the shapes that were added and, if `symmetric`, of their mirror images."""

    def __init__(self, symmetric: bool):
        self._symmetric, self._total, self.n = symmetric, np.zeros((N_LANDMARKS, 2)), 0

    def add(self, shape: np.ndarray) -> None:
        self._total += shape[:, :2]
        self.n += 1

    @property
    def value(self) -> np.ndarray:
        mean = self._total / self.n
        return (mean + mirrored(mean)) / 2 if self._symmetric else mean
