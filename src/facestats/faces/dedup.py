"""Copies among faces: by their bytes, and by what they show.

Candidates come from a perceptual hash of the aligned grey crop: the signs of its 256 lowest
frequencies, contrast made even and the margin faded out. Those that differ in at most
`MAX_DISTANCE` bits, in one of them mirrored or not, are laid over each other and compared
(`faces.comparison`): the hash alone would take 0.008 % of all pairs of different portraits for
copies, and 0.4 % of drawn ones. `python -m benchmarks.copies` measures both steps on photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from facestats.faces.comparison import SIDE, even_contrast, same_picture
from facestats.faces.quality import grey_crop
from facestats.machine.faults import starting_threads

MAX_DISTANCE = 50  # bits of 256; 99.3 % of copies lie within
# Bits of 256 within which a hash counts as that of a copy where no picture is left to compare: 98 %
# of copies lie within, none of 277,140 pairs of portraits, 6 of 119,804 pairs of drawn faces.
HASH_ALONE = 32

_BITS = 256
_BANDS = 16
_BAND_BITS = _BITS // _BANDS
_AT_ONCE = 256  # pairs compared before those that are joined by then are passed over
# Frequencies down and across, lowest first, without the mean.
_FREQUENCIES = np.array(
    sorted(
        ((a, b) for a in range(32) for b in range(32) if a + b), key=lambda pair: (sum(pair), pair)
    )[:_BITS]
)
_ODD = np.packbits(_FREQUENCIES[:, 1] % 2 == 1)  # bits that a mirror image turns round
# Neighbouring bits of the hash belong to like frequencies and agree between faces; shuffled they
# fill the bands evenly.
_SHUFFLE = np.random.default_rng(0).permutation(_BITS)


@lru_cache(1)
def _window() -> np.ndarray:
    """Weights that fade out towards a crop's margin, float32 (64, 64).

    Backgrounds and cut-off edges lie there.
    """
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.exp(-((((x - 31.5) / 20) ** 2 + ((y - 33) / 20) ** 2) ** 2) / 2).astype(np.float32)


def perceptual_hash(grey: np.ndarray) -> bytes:
    """Hash of an aligned `grey_crop`, 32 bytes: which of its lowest frequencies are positive."""
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    coefficients = cv2.dct((even_contrast(small, SIDE / 8) * _window()).astype(np.float64))
    return np.packbits(coefficients[_FREQUENCIES[:, 0], _FREQUENCIES[:, 1]].round(4) > 0).tobytes()


def shows(jpeg: bytes, hash_: np.ndarray) -> bool:
    """Whether a stored crop is the picture of this `perceptual_hash`, uint8 (32,)."""
    if not jpeg:
        return False
    pixels: Any = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return False
    found = np.frombuffer(perceptual_hash(grey_crop(pixels[..., ::-1].copy())), np.uint8)
    return int(np.bitwise_count(found ^ hash_).sum()) <= MAX_DISTANCE


def first_of_group(keys: list[str]) -> list[int | None]:
    """For each key the position of its first occurrence, None for that occurrence itself."""
    first: dict[str, int] = {}
    places = [first.setdefault(key, position) for position, key in enumerate(keys)]
    return [None if at == position else at for position, at in enumerate(places)]


def find_near_duplicates(
    hashes: list[bytes], thumbnail: Callable[[int], np.ndarray], detail: np.ndarray
) -> list[int | None]:
    """Group faces that are copies of one picture, mirrored ones included.

    The likest pairs are joined first. Two groups are joined only where the most detailed faces of
    both are copies as well: a thumbnail that could come from either of two pictures does not make
    one of them.

    Parameters
    ----------
    hashes : list[bytes]
        N times 32 bytes, as `perceptual_hash` returns them.
    thumbnail : callable
        Gives `comparison.thumbnail` of a position; called from several threads, once for each
        candidate, and held: 4 kB each.
    detail : np.ndarray
        (n,), the higher, the more a face shows.

    Returns
    -------
    list[int or None]
        For each face the position of the first member of its group; None for that member and for
        single ones.
    """
    n = len(hashes)
    if n < 2:
        return [None] * n
    ones, others, mirrored = _candidates(hashes)
    looks: dict[int, np.ndarray] = {}

    def copies(pair: tuple[int, int, bool]) -> bool:
        one, other, turned = pair
        return same_picture(
            looks[one], np.ascontiguousarray(looks[other][:, ::-1]) if turned else looks[other]
        )

    groups = _Groups(n, detail)
    with starting_threads(), ThreadPoolExecutor() as pool:
        for start in range(0, len(ones), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            pairs = [
                pair
                for pair in zip(
                    ones[part].tolist(), others[part].tolist(), mirrored[part].tolist(), strict=True
                )
                if groups.root(pair[0]) != groups.root(pair[1])
            ]
            new = sorted({face for pair in pairs for face in pair[:2]} - looks.keys())
            looks |= zip(new, pool.map(thumbnail, new), strict=True)
            for pair, are_copies in zip(pairs, pool.map(copies, pairs), strict=True):
                best = groups.best[groups.root(pair[0])], groups.best[groups.root(pair[1])]
                if (
                    are_copies
                    and best[0] != best[1]
                    and (best == pair[:2] or copies((*best, False)) or copies((*best, True)))
                ):
                    groups.join(*pair[:2])
    return groups.first()


def find_copy(
    hash_: bytes,
    look: np.ndarray,
    hashes: np.ndarray,
    thumbnail: Callable[[int], np.ndarray | None],
    by_hash: Container[int] = (),
) -> int | None:
    """Find the face that shows the same picture as another one, mirrored or not.

    Returns its position, of several that of the nearest hash; None if there is none.

    Parameters
    ----------
    hash_ : bytes
        `perceptual_hash` of the other face.
    look : np.ndarray
        Its `comparison.thumbnail`.
    hashes : np.ndarray
        Uint8 (n, 32), those of the faces.
    thumbnail : callable
        Gives that of a position, None where there is no picture.
    by_hash : Container[int], default ()
        Positions of faces that, without a picture, count as copies by `HASH_ALONE`.
    """
    turned = np.stack([np.frombuffer(hash_, np.uint8), np.frombuffer(hash_, np.uint8) ^ _ODD])
    distance = np.bitwise_count(hashes[:, None] ^ turned).sum(axis=2, dtype=np.int64)
    for at in np.argsort(distance.min(axis=1), kind="stable"):
        if distance[at].min() > MAX_DISTANCE:
            return None
        other = thumbnail(int(at))
        if other is None:
            if distance[at].min() <= HASH_ALONE and int(at) in by_hash:
                return int(at)
        elif any(
            same_picture(look, other if not mirrored else np.ascontiguousarray(other[:, ::-1]))
            for mirrored in np.flatnonzero(distance[at] <= MAX_DISTANCE)
        ):
            return int(at)
    return None


def _candidates(hashes: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of positions whose hashes are near, the nearest first.

    With each, whether the second one has to be mirrored.

    Of 256 bits in 16 bands, many differences leave one band with at most one, for they come in
    groups: 99.8 % of copies are found so. Each band is looked up as it is and with each of its 16
    bits flipped, and only what is met there is compared: about 0.4 % of all pairs. Equal hashes are
    looked up once.
    """
    unique, first, which = np.unique(
        np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1),
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    alike = np.flatnonzero(first[which.ravel()] != np.arange(len(hashes)))
    candidates = [
        np.stack([first[which.ravel()[alike]], alike, np.zeros_like(alike), np.zeros_like(alike)])
    ]
    shuffled = _shuffle(unique)
    words = unique.view(np.uint64)
    for turned, looked_up in ((0, unique), (1, unique ^ _ODD)):
        own, own_bands = looked_up.view(np.uint64), _shuffle(looked_up)
        for band, own_band in zip(shuffled.T, own_bands.T, strict=True):
            order = np.argsort(band, kind="stable")
            values = band[order]
            for flip in (0, *(1 << bit for bit in range(_BAND_BITS))):
                flipped = own_band ^ np.uint16(flip)
                start = np.searchsorted(values, flipped, side="left")
                count = np.searchsorted(values, flipped, side="right") - start
                a = np.repeat(np.arange(len(unique)), count)
                b = order[
                    np.repeat(start, count)
                    + np.arange(count.sum())
                    - np.repeat(np.cumsum(count) - count, count)
                ]
                a, b = a[a < b], b[a < b]
                distance = np.bitwise_count(own[a] ^ words[b]).sum(axis=1)
                near = distance <= MAX_DISTANCE
                candidates.append(
                    np.stack(
                        [
                            first[a[near]],
                            first[b[near]],
                            distance[near].astype(np.int64),
                            np.full(near.sum(), turned),
                        ]
                    )
                )
    ones, others, distance, turned = np.concatenate(candidates, axis=1)
    ones, others = np.minimum(ones, others), np.maximum(ones, others)
    _, once = np.unique((ones * len(hashes) + others) * 2 + turned, return_index=True)
    order = once[np.argsort(distance[once], kind="stable")]
    return ones[order], others[order], turned[order] == 1


def _shuffle(hashes: np.ndarray) -> np.ndarray:
    """The 16 bands of each hash: uint16 (n, 16)."""
    return np.ascontiguousarray(
        np.packbits(np.unpackbits(hashes, axis=1)[:, _SHUFFLE], axis=1)
    ).view(np.uint16)


class _Groups:
    """Positions joined into groups.

    `best` is the most detailed member of a root's group, the first of equals.
    """

    def __init__(self, n: int, detail: np.ndarray):
        self.leader, self.best, self.detail = list(range(n)), list(range(n)), detail

    def root(self, member: int) -> int:
        while self.leader[member] != member:
            self.leader[member] = self.leader[self.leader[member]]
            member = self.leader[member]
        return member

    def join(self, one: int, other: int) -> None:
        """Join two groups.

        The smaller position leads, so that a root is always the first member.
        """
        low, high = sorted((self.root(one), self.root(other)))
        self.leader[high] = low
        self.best[low] = max(
            self.best[low], self.best[high], key=lambda face: (self.detail[face], -face)
        )

    def first(self) -> list[int | None]:
        roots = [self.root(position) for position in range(len(self.leader))]
        return [None if root == position else root for position, root in enumerate(roots)]
