"""Sample a rotated square of an image as OpenCV's `warpPerspective` does, in numpy.

MediaPipe's CPU graph cuts its network inputs with that function, and the networks notice how: half-pixel
centres move the landmarks by 0.8 % of the eye distance, unrounded coordinates by 0.02 % (measured on 745
faces).
"""

import numpy as np

# OpenCV rounds source coordinates to 1/32 px (INTER_TAB_SIZE in modules/imgproc) and interpolates in
# integers.
_STEPS = 32
_SHIFT = 10  # 32 · 32 = 2^10


def sample_square(
    rgb: np.ndarray,
    center: tuple[float, float],
    side: float,
    angle: float,
    size: int,
    *,
    replicate: bool,
) -> np.ndarray:
    """Cut a rotated square out of an image: bilinear, without antialiasing.

    Output pixel (i, j) is the source at `corner + i · side / size`: no half-pixel centres.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
    center : x, y of the square's centre, px
    side : side of the square, px
    angle : rotation of the square, radians, clockwise as seen on the screen
    size : side of the output, px
    replicate : repeat the edge outside of the image; otherwise zeros

    Returns
    -------
    (size, size, 3) uint8
    """
    if side <= 0:
        return np.zeros((size, size, 3), np.uint8)
    along = (np.arange(size) / size - 0.5) * side
    if angle == 0.0:
        x, fx = _split(center[0] + along)
        y, fy = _split(center[1] + along)
        return _blend_grid(rgb, x, fx, y, fy, replicate)
    cos, sin = np.cos(angle), np.sin(angle)
    x, fx = _split(center[0] + along[None, :] * cos - along[:, None] * sin)
    y, fy = _split(center[1] + along[None, :] * sin + along[:, None] * cos)
    return _blend_points(rgb, x.ravel(), fx.ravel(), y.ravel(), fy.ravel(), replicate).reshape(size, size, 3)


def _split(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole pixels and 32nds of a coordinate."""
    fixed = np.rint(position * _STEPS).astype(np.int32)
    return fixed >> 5, fixed & (_STEPS - 1)


def _blend_grid(rgb, x, fx, y, fy, replicate) -> np.ndarray:
    """Upright square: rows and columns are independent, which is four times as fast as single points."""
    height, width = rgb.shape[:2]
    columns = np.concatenate([x, x + 1])
    rows = np.concatenate([y, y + 1])
    patch = rgb.take(np.clip(rows, 0, height - 1), axis=0).take(np.clip(columns, 0, width - 1), axis=1)
    if not replicate:
        patch[(rows < 0) | (rows >= height)] = 0
        patch[:, (columns < 0) | (columns >= width)] = 0
    n = len(x)
    wx = fx[None, :, None].astype(np.uint16)  # 255 · 32 fits: half the memory to move
    wy = fy[:, None, None]
    mixed = (patch[:, :n] * (_STEPS - wx) + patch[:, n:] * wx).astype(np.int32)
    mixed = mixed[:n] * (_STEPS - wy) + mixed[n:] * wy
    return ((mixed + (1 << (_SHIFT - 1))) >> _SHIFT).astype(np.uint8)


def _blend_points(rgb, x, fx, y, fy, replicate) -> np.ndarray:
    height, width = rgb.shape[:2]
    pixels = np.ascontiguousarray(rgb).reshape(-1, 3)
    total = np.full((len(x), 3), 1 << (_SHIFT - 1), np.int32)
    for dy, wy in ((0, _STEPS - fy), (1, fy)):
        row = np.clip(y + dy, 0, height - 1) * width
        for dx, wx in ((0, _STEPS - fx), (1, fx)):
            weight = wy * wx
            if not replicate:
                weight = weight * ((y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width))
            corner = pixels.take(row + np.clip(x + dx, 0, width - 1), axis=0)
            total += corner * weight[:, None]
    return (total >> _SHIFT).astype(np.uint8)
