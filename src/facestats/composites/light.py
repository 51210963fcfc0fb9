"""Between the codes of a picture and light: sRGB's transfer function (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np

# Tables of the 256 codes.
_CODES = np.arange(256, dtype=np.float64) / 255
TO_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
TO_GAMMA = _CODES.astype(np.float32)


def to_codes(values: np.ndarray, space: str) -> np.ndarray:
    """Values 0–1 as uint8 codes; in the space `linear` they are light, in `gamma` codes already."""
    if space == "linear":
        values = np.where(
            values <= 0.0031308, values * 12.92, 1.055 * np.maximum(values, 0) ** (1 / 2.4) - 0.055
        )
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
