"""MediaPipe's face mesh: number of landmarks, their mirror images, and the presence of a face.

The mirror images come from the mean shape of the 745 OMI faces (3D, generalised Procrustes
alignment): its mirror image was laid over it and points were assigned one to one with the least
squared distance (Hungarian algorithm). The result is an involution with 28 points on the midline.
Partners lie at most 0.5 % of the distance between the outer eye corners apart, and the next
candidate at least twice as far. The mesh turns out to number its points in order: those up to 247
that are not on the midline lie on the person's right; those from 248 on, in the same order, on the
left.
"""

import numpy as np

N_LANDMARKS = 468
SURE_PRESENCE = 0.999  # see `is_doubtful`
# From the forehead (10) over the nose (1) to the chin (152), in the order of numbers.
# fmt: off
MIDLINE = np.array([
    0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
    94, 151, 152, 164, 168, 175, 195, 197, 199, 200,
])
# fmt: on
LEFT = np.arange(248, N_LANDMARKS)  # the person's left: the image's right
RIGHT = np.setdiff1d(np.arange(248), MIDLINE)  # RIGHT[i] and LEFT[i] are a pair


def _mirror() -> np.ndarray:
    mirror = np.arange(N_LANDMARKS)
    mirror[RIGHT], mirror[LEFT] = LEFT, RIGHT
    return mirror


MIRROR = _mirror()  # (468,): MIRROR[i] is the number of i's mirror image; i itself on the midline
MIRROR.setflags(write=False)


def is_doubtful(presence):
    """Whether a detected face may be none, by its presence (a number, an array or a column).

    Of 756 photographs of animals and things in Debian packages, two are taken for faces, a monkey
    and a car: both have a presence below 0.999. So has none of 489 plain faces, and one in five of
    44 with a painted-on mask.
    """
    return presence < SURE_PRESENCE
