"""Whether a part of a face is hidden, and whether it is drawn.

Two small models of the face's pixels and of what the mesh's convolutions see there.

`looks.npz` has their weights, which `python -m benchmarks.doubts --fit` writes;
docs/methods/doubts.md has the rates.
"""

import math
from functools import cache
from importlib.resources import files

import cv2
import numpy as np

from facestats.faces.mesh_cells import CELLS

_SIDE = 128  # px of the crop that both look at: half of it is face
_ROWS, _COLUMNS = 6, 4  # of the grid over the face that landmarks are counted into
_GREY = 5.0  # mean distance from grey, of CIELAB, below which a face has no colours
# of a pixel, in a circle
_NEIGHBOURS = (
    (0, 0),
    (0, 1),
    (0, 2),
    (1, 2),
    (2, 2),
    (2, 1),
    (2, 0),
    (1, 0),
)
_GRID = 4  # cells a side, of the part of the mesh's input that is face


def hidden_and_drawn(
    rgb: np.ndarray,
    grey: np.ndarray,
    fine: np.ndarray,
    region: np.ndarray,
    landmarks: np.ndarray,
    layers: tuple[np.ndarray, ...],
) -> tuple[float, float]:
    """Probabilities that a part of the face is hidden, and that the face is no photograph.

    What hides may be a mask, a hand, dark glasses, the edge of another thing; hair over the
    forehead or down a cheek counts as part of a face. What is no photograph may be drawn, painted
    or rendered. A grey photo has no colours to judge by, and is judged by the rest.

    Parameters
    ----------
    rgb : np.ndarray
        Crop (H, W, 3) uint8.
    grey, fine : np.ndarray
        `quality.grey_crop` of it, and the first of its `quality.fine_detail`.
    region : np.ndarray
        `quality.face_region` of that.
    landmarks : np.ndarray
        (468, ≥2), shares of the crop.
    layers : tuple[np.ndarray, ...]
        Of `FaceLandmarks`.
    """
    points, mesh = sample_points(rgb, landmarks), layer_features(layers)
    return (
        _probability(np.concatenate([hidden_features(points), mesh]), "hidden"),
        _probability(np.concatenate([drawn_features(grey, fine, region, points), mesh]), "drawn"),
    )


def sample_points(rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Colour and texture around each landmark, float32 (468, 4).

    L, a, b (OpenCV's, 0–255) and the standard deviation of L.
    """
    small = cv2.resize(rgb, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    light = lab[..., 0].astype(np.float32)
    mean = cv2.blur(light, (5, 5))
    spread = np.sqrt(np.maximum(cv2.blur(light * light, (5, 5)) - mean * mean, 0))
    x, y = np.rint(landmarks[:, :2] * _SIDE - 0.5).astype(int).clip(0, _SIDE - 1).T
    return np.column_stack([cv2.blur(lab, (3, 3))[y, x].astype(np.float32), spread[y, x]])


def hidden_features(points: np.ndarray) -> np.ndarray:
    """Colour and texture of the cells of a grid over the face.

    Against the face's median, and against the mirrored cell.
    """
    cells = _cells(points)
    # Left and right are one: the mean of both stands for a cell and its mirror image.
    both = [
        (values + values[:, ::-1])[:, : _COLUMNS // 2].ravel() / 2
        for values in (np.abs(cells[..., :3]), cells[..., [0, 3]])
    ]
    return np.concatenate([*both, _sides(cells).ravel()])


def drawn_features(
    grey: np.ndarray, fine: np.ndarray, region: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """How edges, flat areas and fine texture share the face, by size of detail.

    Local binary patterns (Ojala et al. 2002); how far colour.
    follows light; how alike the two sides are.
    """
    inside = region == 255
    counts = np.bincount(grey[inside], minlength=256)
    low, middle, high = np.searchsorted(
        np.cumsum(counts), np.array([0.1, 0.5, 0.9]) * counts.sum()
    ).astype(float)
    levels = counts.reshape(64, 4).sum(axis=1) / counts.sum()
    spread = float(cv2.meanStdDev(grey, mask=region)[1][0, 0]) + 1.0
    features = [_detail_features(fine[::2, ::2][inside[::2, ::2]], spread)]
    for level in (1, 2, 3):
        side = len(grey) >> level
        image = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
        inside = cv2.resize(region, (side, side), interpolation=cv2.INTER_AREA) == 255
        features.append(
            _detail_features((image - cv2.GaussianBlur(image, (0, 0), 1))[inside], spread)
        )
        if level < 3:
            features += [_patterns(image, inside, 0.0), _patterns(image, inside, 0.05 * spread)]
    features.append(
        np.array(
            [
                (low + high - 2 * middle) / (high - low + 1),
                levels.max(),
                -(levels * np.log(levels + 1e-9)).sum(),
            ]
        )
    )
    sides = np.log(_sides(_cells(points)).mean(axis=(0, 1)) + 0.02)
    return np.concatenate([*features, sides[[0, 3]], _colour_features(points, sides)])


def layer_features(layers: tuple[np.ndarray, ...]) -> np.ndarray:
    """Mean, and spread within and between cells, by channel of each layer.

    Over the inner two thirds of the mesh's input, which are face.
    """
    features = []
    for layer in layers:
        side, margin = len(layer), len(layer) // 6
        inner = layer[margin : side - margin, margin : side - margin]
        cell = len(inner) // _GRID
        if cell > 1:
            cells = inner.reshape(_GRID, cell, _GRID, cell, -1)
            means = np.einsum("aibjc->abc", cells) / cell**2
            within = np.sqrt(
                np.maximum(
                    np.einsum("aibjc,aibjc->c", cells, cells) / inner[..., 0].size
                    - (means**2).mean(axis=(0, 1)),
                    0,
                )
            )
            features += [means.mean(axis=(0, 1)), within, means.std(axis=(0, 1))]
        else:
            features += [inner.mean(axis=(0, 1)), inner.std(axis=(0, 1))]
    return np.concatenate(features)


def _detail_features(detail: np.ndarray, spread: float) -> np.ndarray:
    """Energy of one size of detail, and how much of it is in few places."""
    least, half, most, peak = _quantiles(np.abs(detail), (0.25, 0.5, 0.9, 0.99)) + 0.02
    return np.log([detail.var() / spread**2 + 1e-4, peak / half, most / least])


def _colour_features(points: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """What colours say about a drawing; zeros, what is neither here nor there, for a grey face."""
    light, colours = points[:, 0].astype(float), points[:, 1:3].astype(float) - 128
    if np.hypot(*colours.T).mean() < _GREY:
        return np.zeros(10)
    powers = np.column_stack([np.ones_like(light), light / 100, (light / 100) ** 2])
    residual = np.abs(colours - powers @ np.linalg.lstsq(powers, colours, rcond=None)[0])
    middle, high = np.median(residual, axis=0), np.quantile(residual, 0.95, axis=0)
    return np.concatenate(
        [
            colours.mean(axis=0) / 10 - 1.5,
            np.log(colours.std(axis=0) + 0.3) - 1,
            np.log(residual.mean(axis=0) + 0.3) - 1,
            np.log((high + 0.3) / (middle + 0.3)) - 1.2,
            sides[1:3] + 2,
        ]
    )


def _cells(points: np.ndarray) -> np.ndarray:
    """Each cell's mean against the face's median, (rows, columns, 4).

    In units that light and contrast leave alone.
    """
    median = np.median(points, axis=0)
    cells = _cell_means() @ points - median
    cells[:, 0] /= max(points[:, 0].std(), 8.0)
    cells[:, 1:3] /= 10.0
    cells[:, 3] = np.log((cells[:, 3] + median[3] + 1) / (median[3] + 1))
    return cells.reshape(_ROWS, _COLUMNS, 4)


def _sides(cells: np.ndarray) -> np.ndarray:
    """(rows, columns / 2, 4): how far each cell is from its mirror image."""
    return np.abs(cells - cells[:, ::-1])[:, : _COLUMNS // 2]


def _quantiles(values: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Like `np.quantile`, without interpolation: a third of its time."""
    return np.sort(values)[[round(share * (len(values) - 1)) for share in shares]]


def _patterns(image: np.ndarray, inside: np.ndarray, least: float) -> np.ndarray:
    """Histogram (10,) of uniform local binary patterns.

    A neighbour counts where it is brighter by more than `least`.
    """
    height, width = image.shape
    middle = image[1:-1, 1:-1] + least
    code = np.zeros(middle.shape, np.uint8)
    for bit, (y, x) in enumerate(_NEIGHBOURS):
        code |= (image[y : y + height - 2, x : x + width - 2] > middle).view(np.uint8) << bit
    codes = code[inside[1:-1, 1:-1]]
    return np.bincount(codes, minlength=256) @ _UNIFORM / max(len(codes), 1)


def _uniform() -> np.ndarray:
    """(256, 10): a code of 8 bits in a circle to its number of ones.

    9 where they change more than twice.
    """
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.eye(10)[np.where(changes <= 2, bits.sum(axis=1), 9)]


_UNIFORM = _uniform()


@cache
def _cell_means() -> np.ndarray:
    """(24, 468): the mean of the landmarks of each cell."""
    cell = np.eye(_ROWS * _COLUMNS, dtype=np.float32)[list(CELLS)].T
    return cell / cell.sum(axis=1, keepdims=True)


@cache
def _weights() -> dict[str, np.ndarray]:
    with files("facestats.faces").joinpath("looks.npz").open("rb") as file, np.load(file) as arrays:
        return {name: arrays[name].astype(float) for name in arrays.files}


def _probability(features: np.ndarray, model: str) -> float:
    """One logistic regression for each family of drawings or of what hides; the surest counts.

    The last weight is the constant.
    """
    weights = _weights()[model]
    logit = float((weights[:, :-1] @ features + weights[:, -1]).max())
    return 1 / (1 + math.exp(-max(min(logit, 30.0), -30.0)))
