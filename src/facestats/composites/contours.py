"""Which landmarks outline which part of the face.

From MediaPipe's `face_mesh_connections.py` (Apache-2.0); right and left are the person's own.
"""

from __future__ import annotations

import numpy as np

# The outline of the face (FACEMESH_FACE_OVAL), one landmark after another.
# fmt: off
FACE_OVAL = np.array([
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
])
# Each is one line; the oval, eyes and lips come back to where they begin.
OVAL = (*FACE_OVAL.tolist(), int(FACE_OVAL[0]))
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 33)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, 263)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 70)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276, 300)
OUTER_LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291,
    409, 270, 269, 267, 0, 37, 39, 40, 185, 61,
)
INNER_LIPS = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308,
    415, 310, 311, 312, 13, 82, 81, 80, 191, 78,
)
NOSE = (168, 6, 197, 195, 5, 4, 1, 19, 94, 2)
NOSTRILS = (48, 64, 98, 97, 2, 326, 327, 294, 278)
# fmt: on
LINES = (OVAL, RIGHT_EYE, LEFT_EYE, RIGHT_BROW, LEFT_BROW, OUTER_LIPS, INNER_LIPS, NOSE, NOSTRILS)
RIGHT_CORNERS, LEFT_CORNERS = (33, 133), (362, 263)  # of the eyes

# Parts of the face for which a difference has figures; the oval is cut at the cheeks (454, 234).
PARTS = {
    "forehead": OVAL[:8] + OVAL[29:-1],
    "jaw": OVAL[8:29],
    "right brow": RIGHT_BROW[:-1],
    "left brow": LEFT_BROW[:-1],
    "right eye": RIGHT_EYE[:-1],
    "left eye": LEFT_EYE[:-1],
    "nose": tuple(sorted({*NOSE, *NOSTRILS})),
    "lips": OUTER_LIPS[:-1] + INNER_LIPS[:-1],
}


def eye_centres(shape: np.ndarray) -> np.ndarray:
    """Find the middle of each eye's corners.

    Parameters
    ----------
    shape : ndarray (468, 2)
        Landmarks.

    Returns
    -------
    ndarray (2, 2)
        The person's right eye first.
    """
    return np.array(
        [shape[list(corners)].mean(axis=0) for corners in (RIGHT_CORNERS, LEFT_CORNERS)]
    )
