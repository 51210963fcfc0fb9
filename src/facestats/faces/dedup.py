"""Exact and near duplicates among faces.

The perceptual hash is that of `imagehash.phash` with 16 × 16 = 256 bits, of the aligned grey crop. Bits that
differ, measured on OMI (60 faces copied; 400 different faces, 79,800 pairs):

| pair | median | 95th percentile | worst |
|---|---|---|---|
| JPEG quality 60 | 6 | 16 | 18 |
| half the size | 8 | 16 | 34 |
| half the size, quality 60 | 8 | 24 | 30 |
| 4 % cropped off | 14 | 28 | 32 |
| 1.1 × · 1.2 × as bright | 5 · 8 | 12 · 22 | 18 · 30 |
| different faces | 118 | (0.01 % below 70) | 52 |
| drawn sample, 120,000 pairs but for one (24: the same person) | 116 | (0.01 % below 46) | 38 |

With 64 bits the closest different faces (8) come too near to the copies (up to 6).
"""

import math

import cv2
import numpy as np

HASH_SIDE = 16
MAX_DISTANCE = 31  # bits; the largest at which one of 16 bands differs by at most one bit

_SMALL = 4 * HASH_SIDE  # px, the side of what is transformed
_BITS = HASH_SIDE**2
_BANDS = 16
_BAND_BITS = _BITS // _BANDS
# Neighbouring bits of the hash belong to like frequencies and agree between faces; shuffled they fill the
# bands evenly.
_SHUFFLE = np.random.default_rng(0).permutation(_BITS)


def perceptual_hash(grey: np.ndarray) -> bytes:
    """Hash of an aligned `grey_crop`, 32 bytes; see the module's table for what distances mean.

    `imagehash.phash` of the crop averaged down to 64 px, computed by OpenCV: 0.1 instead of 0.6 ms, and a worker
    need not import scipy for it, 0.2 s.
    """
    small = cv2.resize(grey, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float64))[:HASH_SIDE, :HASH_SIDE]
    # OpenCV's transform is orthonormal, imagehash's not: its first row and column are √2 times as large.
    low[0] *= math.sqrt(2)
    low[:, 0] *= math.sqrt(2)
    low = low.round(6)  # a flat crop's coefficients are zero, not the last bits of some processor
    median = np.sort(low, axis=None)[_BITS // 2 - 1 : _BITS // 2 + 1].mean()  # `np.median` takes 0.1 ms more
    return np.packbits(low > median).tobytes()


def first_of_group(keys: list[str]) -> list[int | None]:
    """For each key the position of its first occurrence, None for that occurrence itself."""
    first: dict[str, int] = {}
    found = [first.setdefault(key, position) for position, key in enumerate(keys)]
    return [None if at == position else at for position, at in enumerate(found)]


def find_near_duplicates(hashes: list[bytes]) -> list[int | None]:
    """Group hashes of which chains of neighbours differ in at most `MAX_DISTANCE` bits.

    Of 256 bits in 16 bands, 31 differences leave one band with at most one. So each band is looked up as it
    is and with each of its 16 bits flipped, and only what is met there is compared: about 0.4 % of all pairs.

    Parameters
    ----------
    hashes : n times 32 bytes, as `perceptual_hash` returns them

    Returns
    -------
    For each hash the position of the first member of its group; None for that member and for single ones.
    """
    n = len(hashes)
    leader = list(range(n))
    if n < 2:
        return [None] * n
    packed = np.frombuffer(b"".join(hashes), np.uint8).reshape(n, -1)
    words = np.ascontiguousarray(packed).view(np.uint64)
    shuffled = np.packbits(np.unpackbits(packed, axis=1)[:, _SHUFFLE], axis=1)
    bands = np.ascontiguousarray(shuffled).view(np.uint16)
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        values = band[order]
        for flip in (0, *(1 << bit for bit in range(_BAND_BITS))):
            wanted = band ^ np.uint16(flip)
            start = np.searchsorted(values, wanted, side="left")
            count = np.searchsorted(values, wanted, side="right") - start
            a = np.repeat(np.arange(n), count)
            within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            b = order[np.repeat(start, count) + within]
            a, b = a[a < b], b[a < b]
            distance = np.bitwise_count(words[a] ^ words[b]).sum(axis=1)
            near = distance <= MAX_DISTANCE
            for one, other in zip(a[near].tolist(), b[near].tolist(), strict=True):
                _join(leader, one, other)
    roots = [_root(leader, position) for position in range(n)]
    return [None if root == position else root for position, root in enumerate(roots)]


def _root(leader: list[int], member: int) -> int:
    while leader[member] != member:
        leader[member] = leader[leader[member]]
        member = leader[member]
    return member


def _join(leader: list[int], one: int, other: int) -> None:
    """Join two groups; the smaller position leads, so that a root is always the first member."""
    low, high = sorted((_root(leader, one), _root(leader, other)))
    leader[high] = low
