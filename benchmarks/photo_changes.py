"""What may happen to a photo of a face: harmless changes, covers, and what makes a drawing of it.

Each change is a function of the photo (H, W, 3) uint8, its face's landmarks (468, 2) in px, and
random numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from facestats.composites.contours import FACE_OVAL

Photo = np.ndarray
Change = Callable[[Photo, np.ndarray, np.random.Generator], Photo]
COVERS = {
    "skin": (205, 160, 135),
    "black": (18, 18, 20),
    "white": (238, 238, 238),
    "grey": (128, 128, 128),
    "blue": (60, 90, 160),
}
# The outline of the face below the ears, and the bridge of the nose.
_JAW = FACE_OVAL[FACE_OVAL.tolist().index(454) : FACE_OVAL.tolist().index(234) + 1]
_MASK = (*_JAW[::-1].tolist(), 5)
_EYES = ((33, 133), (362, 263))
_CHEEKS = (50, 101, 118, 280, 330, 347)
_MOUTH, _NOSE, _CHIN = 13, 4, 152


def _bytes(values: np.ndarray) -> Photo:
    return np.clip(values, 0, 255).astype(np.uint8)


def _width(points: np.ndarray) -> float:
    return float(np.ptp(points[:, 0]))


def _grey_values(photo: Photo) -> np.ndarray:
    return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)


def _three(grey: np.ndarray) -> Photo:
    return np.repeat(_bytes(grey)[..., None], 3, axis=2)


# ---- light and colour


def exposed(light: float) -> Change:
    return lambda photo, points, rng: _bytes(255 * (photo / 255) * light ** (1 / 2.2))


def clipped(factor: float) -> Change:
    return lambda photo, points, rng: _bytes(photo * factor)


def _gamma(exponent: float) -> Change:
    return lambda photo, points, rng: _bytes(255 * (photo / 255) ** exponent)


def _grey(photo, points, rng):
    return _three(_grey_values(photo))


def _sepia(photo, points, rng):
    return _bytes(
        _grey_values(photo)[..., None] * np.array([1.07, 0.9, 0.68]) * rng.uniform(0.85, 1.1)
    )


def _cast(photo, points, rng):
    return _bytes(photo * rng.uniform(0.6, 1.2, 3))


def _contrast(photo, points, rng):
    return _bytes((photo - photo.mean()) * rng.uniform(0.35, 1.8) + photo.mean())


def _saturation(photo, points, rng):
    grey = _grey_values(photo)[..., None]
    return _bytes(grey + (photo.astype(float) - grey) * rng.choice([0.3, 0.6, 1.5, 2.0]))


def _light_from_a_side(photo, points, rng):
    across = np.linspace(-1, 1, photo.shape[1])[None, :, None]
    return _bytes(photo * (1 + rng.uniform(-0.8, 0.8) * across) * rng.uniform(0.8, 1.1))


# ---- detail


def blurred(share: float) -> Change:
    return lambda photo, points, rng: cv2.GaussianBlur(photo, (0, 0), share * _width(points))


def moved(share: float) -> Change:
    def change(photo, points, rng):
        length = max(3, round(share * _width(points)))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1
        turn = cv2.getRotationMatrix2D(
            (length / 2 - 0.5, length / 2 - 0.5), float(rng.integers(0, 180)), 1
        )
        kernel = cv2.warpAffine(kernel, turn, (length, length))
        return cv2.filter2D(photo, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)

    return change


def small(wide: int) -> Change:
    def change(photo, points, rng):
        factor = min(1.0, wide / _width(points))
        tiny = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return cv2.resize(tiny, photo.shape[1::-1], interpolation=cv2.INTER_CUBIC)

    return change


def _shrunk(photo, points, rng):
    factor = min(1.0, rng.uniform(80, 220) / _width(points))
    return cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _enlarged(photo, points, rng):
    factor = min(rng.uniform(1.2, 2.5), 1600 / max(photo.shape[:2]))
    return cv2.resize(
        photo,
        None,
        fx=factor,
        fy=factor,
        interpolation=int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC])),
    )


def _sharpened(photo, points, rng):
    soft = cv2.GaussianBlur(photo, (0, 0), rng.uniform(1, 3))
    return _bytes(photo + rng.uniform(0.5, 1.5) * (photo.astype(float) - soft))


def _smoothed(photo, points, rng):
    return cv2.bilateralFilter(photo, 7, float(rng.uniform(10, 25)), 3)


def _noisy(photo, points, rng):
    shape = photo.shape if rng.random() < 0.5 else (*photo.shape[:2], 1)
    return _bytes(photo + rng.normal(0, rng.uniform(6, 20), shape))


def compressed(quality: int) -> Change:
    return lambda photo, points, rng: cv2.imdecode(
        cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR
    )


# ---- things around and before the face


def background(shade: int) -> Change:
    def change(photo, points, rng):
        mask = np.zeros(photo.shape[:2], np.uint8)
        (x, y), high = points.mean(axis=0), np.linalg.norm(points[10] - points[152])
        cv2.ellipse(
            mask,
            (int(x), int(y - 0.08 * high)),
            (int(0.62 * high), int(0.85 * high)),
            0,
            0,
            360,
            255,
            -1,
        )
        soft = cv2.GaussianBlur(mask, (0, 0), 0.02 * high)[..., None] / 255
        return _bytes(photo * soft + shade * (1 - soft))

    return change


def _lenses(points: np.ndarray) -> list[tuple[int, int, float]]:
    """Centre and half the width of each lens, px."""
    lenses = []
    for corners in _EYES:
        (x, y), wide = points[list(corners)].mean(axis=0), float(np.ptp(points[list(corners), 0]))
        lenses.append((int(x), int(y + 0.1 * wide), wide))
    return lenses


def glasses(dark: bool) -> Change:
    def change(photo, points, rng):
        frame = (
            (20, 18, 20)
            if rng.random() < 0.6
            else tuple(int(v) for v in rng.integers(0, 120 if dark else 200, 3))
        )
        thick = max(2, int(rng.uniform(0.012, 0.05) * _width(points)))
        square, across, high = rng.random() < 0.4, rng.uniform(0.82, 1.1), rng.uniform(0.58, 0.85)
        out, lens = photo.copy(), np.zeros(photo.shape[:2], np.uint8)
        for target, colour, line in ((lens, 255, -1), (out, frame, thick)):
            for x, y, wide in _lenses(points):
                a, b = int(across * wide), int(high * wide)
                if square:
                    cv2.rectangle(target, (x - a, y - b), (x + a, y + b), colour, line, cv2.LINE_AA)
                else:
                    cv2.ellipse(target, (x, y), (a, b), 0, 0, 360, colour, line, cv2.LINE_AA)
        if dark:
            tint, down = (
                rng.integers(5, 60, 3),
                np.linspace(1, rng.uniform(0.3, 1.6), len(photo))[:, None, None],
            )
            glare = cv2.GaussianBlur(
                rng.normal(0, 1, photo.shape[:2]), (0, 0), 0.1 * _width(points)
            )[..., None]
            shaded = (
                tint * down
                + 14 * glare / (np.abs(glare).max() + 1e-6)
                + rng.uniform(0.0, 0.25) * photo
            )
            share = lens[..., None] / 255 * rng.uniform(0.9, 1.0)
            out = _bytes(out * (1 - share) + shaded * share)
        return cv2.line(
            out, points[133].astype(int).tolist(), points[362].astype(int).tolist(), frame, thick
        )

    return change


def covered(side: str, colour: str) -> Change:
    def change(photo, points, rng):
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        share = {
            "left": (-0.3, -0.3, 0.5, 1.3),
            "right": (0.5, -0.3, 1.3, 1.3),
            "top": (-0.3, -0.4, 1.3, 0.45),
            "bottom": (-0.3, 0.52, 1.3, 1.3),
            "mouth": (0.15, 0.6, 0.85, 1.05),
        }[side]
        left, top = (
            max(0, int(low + part * (high - low)))
            for low, high, part in ((x0, x1, share[0]), (y0, y1, share[1]))
        )
        right, bottom = (
            int(low + part * (high - low))
            for low, high, part in ((x0, x1, share[2]), (y0, y1, share[3]))
        )
        out = photo.copy()
        part = out[top:bottom, left:right]
        base = COVERS[colour] if colour in COVERS else rng.integers(10, 245, 3)
        streaks = rng.normal(0, 22, (1, part.shape[1], 1)) if colour == "hair" else 0
        base = (50, 35, 25) if colour == "hair" else base
        part[:] = _bytes(np.array(base) + streaks + rng.normal(0, 4, (*part.shape[:2], 1)))
        return out

    return change


def masked(colour: str) -> Change:
    def change(photo, points, rng):
        base = COVERS[colour] if colour in COVERS else rng.integers(10, 245, 3)
        return cv2.fillPoly(
            photo.copy(), [points[list(_MASK)].astype(np.int32)], tuple(map(int, base)), cv2.LINE_AA
        )

    return change


def hand(place: str) -> Change:
    """Four fingers of the face's own colour, each shaded round, before the mouth or an eye."""

    def change(photo, points, rng):
        wide = _width(points)
        x, y = (
            points[_MOUTH]
            if place == "mouth"
            else points[list(_EYES[int(rng.integers(2))])].mean(axis=0)
        )
        corners = points[list(_CHEEKS)].astype(int)
        inside = (corners >= 0).all(axis=1) & (corners < photo.shape[1::-1]).all(axis=1)
        skin = (
            np.median(photo[corners[inside, 1], corners[inside, 0]], axis=0)
            if inside.any()
            else np.array(COVERS["skin"])
        )
        skin = skin * rng.uniform(0.75, 1.15) + rng.normal(0, 6, 3)
        angle, thick = (
            rng.uniform(-0.5, 0.5) + (np.pi if rng.random() < 0.5 else 0.0),
            rng.uniform(0.13, 0.17) * wide,
        )
        along, aside = (
            np.array([np.cos(angle), np.sin(angle)]),
            np.array([-np.sin(angle), np.cos(angle)]),
        )
        out = photo.astype(np.float32)
        for finger in range(4):
            middle = np.array([x, y]) + aside * (finger - 1.5) * thick * 0.95
            tip, end = middle + along * wide * rng.uniform(0.22, 0.34), middle - along * wide * 0.9
            axis = np.zeros(photo.shape[:2], np.uint8)
            cv2.line(
                axis,
                tip.astype(int).tolist(),
                end.astype(int).tolist(),
                255,
                max(1, int(thick)),
                cv2.LINE_AA,
            )
            depth = cv2.distanceTransform((axis > 127).astype(np.uint8), cv2.DIST_L2, 3) / (
                thick / 2
            )
            shade = (0.62 + 0.38 * np.sqrt(np.clip(depth, 0, 1)))[..., None] + rng.normal(
                0, 0.015, (*photo.shape[:2], 1)
            )
            share = cv2.GaussianBlur(axis, (0, 0), 0.006 * wide)[..., None] / 255
            out = out * (1 - share) + skin * shade * share
        return _bytes(out)

    return change


# ---- drawings


def _cartoon(photo, points, rng):
    for _ in range(int(rng.integers(2, 6))):
        photo = cv2.bilateralFilter(photo, 9, float(rng.uniform(20, 50)), float(rng.uniform(5, 12)))
    grey = cv2.medianBlur(_grey_values(photo), int(rng.choice([3, 5, 7])))
    lines = cv2.adaptiveThreshold(
        grey,
        255,
        cv2.ADAPTIVE_THRESH_MEAN_C,
        cv2.THRESH_BINARY,
        int(rng.choice([7, 9, 13])),
        float(rng.uniform(2, 6)),
    )
    if rng.random() < 0.7:
        step = int(rng.choice([16, 24, 32, 48]))
        photo = photo // step * step + step // 2
    return photo if rng.random() < 0.2 else cv2.bitwise_and(photo, photo, mask=lines)


def _painting(photo, points, rng):
    return cv2.stylization(
        photo, sigma_s=float(rng.uniform(20, 90)), sigma_r=float(rng.uniform(0.25, 0.6))
    )


def _oil(photo, points, rng):
    """Each pixel has the mean colour of the commonest grey level around it."""
    side, levels = int(rng.choice([5, 7, 9, 11])), int(rng.choice([8, 12, 20]))
    level = _grey_values(photo) // (256 // levels)
    most, out = np.full(level.shape, -1.0, np.float32), np.zeros_like(photo)
    for value in range(int(level.max()) + 1):
        here = (level == value).astype(np.float32)
        count = cv2.blur(here, (side, side))
        mean = cv2.blur(photo * here[..., None], (side, side)) / np.maximum(count, 1e-6)[..., None]
        more = count > most
        most[more], out[more] = count[more], _bytes(mean)[more]
    return out


def _pencil(photo, points, rng):
    grey = _grey_values(photo)
    drawing = cv2.divide(
        grey,
        255 - cv2.GaussianBlur(255 - grey, (0, 0), float(rng.uniform(3, 14))),
        scale=float(rng.uniform(235, 256)),
    ).astype(float)
    if rng.random() < 0.5:  # hatched
        y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
        angle = rng.uniform(0, np.pi)
        hatch = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / rng.uniform(4, 8)) > 0
        drawing[hatch & (cv2.GaussianBlur(grey, (0, 0), 3) < rng.uniform(80, 140))] *= 0.6
    if rng.random() < 0.5:  # on rough paper
        drawing += rng.normal(0, rng.uniform(2, 8), drawing.shape)
    return (
        _three(drawing)
        if rng.random() < 0.7
        else _bytes(drawing[..., None] * np.array([1, 0.96, 0.88]))
    )


def _line_drawing(photo, points, rng):
    grey, sigma = _grey_values(photo).astype(np.float32), float(rng.uniform(0.8, 2.2))
    edge = cv2.GaussianBlur(grey, (0, 0), sigma) - rng.uniform(0.95, 0.99) * cv2.GaussianBlur(
        grey, (0, 0), 1.6 * sigma
    )
    ink = np.where(edge > 0, 255, 255 * (1 + np.tanh(rng.uniform(0.3, 2) * edge)))
    return _three(cv2.GaussianBlur(_bytes(ink), (0, 0), 0.6))


def _few_colours(photo, points, rng):
    flat = (
        cv2.pyrMeanShiftFiltering(photo, int(rng.integers(6, 12)), int(rng.integers(15, 35)))
        if rng.random() < 0.5
        else cv2.medianBlur(photo, 7)
    )
    cv2.setRNGSeed(int(rng.integers(1 << 30)))
    pixels = cv2.resize(flat, (64, 64)).reshape(-1, 3).astype(np.float32)
    colours = cv2.kmeans(
        pixels, int(rng.integers(4, 14)), None, (3, 12, 1.0), 1, cv2.KMEANS_PP_CENTERS
    )[2]
    distance = np.stack(
        [((flat.astype(np.float32) - colour) ** 2).sum(axis=2) for colour in colours]
    )
    if rng.random() < 0.3:  # a poster's
        grey = colours.mean(axis=1, keepdims=True)
        colours = grey + (colours - grey) * rng.uniform(0, 3) + rng.normal(0, 15, colours.shape)
    return cv2.medianBlur(_bytes(colours)[distance.argmin(axis=0)], int(rng.choice([3, 5])))


def _mosaic(photo, points, rng):
    side = max(3.0, _width(points) / rng.uniform(18, 40))
    high, wide = photo.shape[:2]
    count = int(high * wide / side**2)
    seeds = np.full((high, wide), 255, np.uint8)
    seeds[rng.integers(0, high, count), rng.integers(0, wide, count)] = 0
    stone = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[
        1
    ].ravel()
    share = np.maximum(np.bincount(stone), 1)
    mean = np.stack(
        [np.bincount(stone, photo[..., channel].ravel()) / share for channel in range(3)], axis=1
    )
    return _bytes(mean[stone].reshape(photo.shape))


def _pixel_art(photo, points, rng):
    factor, step = rng.uniform(24, 60) / _width(points), int(rng.choice([16, 32, 40]))
    tiny = (
        cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) // step * step
        + step // 2
    )
    return cv2.resize(tiny, photo.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def _rendered(photo, points, rng):
    """Skin like plastic."""
    smooth = cv2.edgePreservingFilter(
        photo, flags=1, sigma_s=float(rng.uniform(20, 60)), sigma_r=float(rng.uniform(0.25, 0.5))
    )
    grey = _grey_values(smooth)[..., None]
    smooth = _bytes(grey + (smooth.astype(float) - grey) * rng.uniform(0.8, 1.6))
    return _bytes(
        smooth + rng.uniform(0, 1) * (smooth.astype(float) - cv2.GaussianBlur(smooth, (0, 0), 4))
    )


def _strokes(photo, points, rng):
    wide, (rows, columns) = _width(points), photo.shape[:2]
    light = cv2.GaussianBlur(_grey_values(photo), (0, 0), 2).astype(np.float32)
    angle = (
        np.arctan2(cv2.Sobel(light, cv2.CV_32F, 0, 1), cv2.Sobel(light, cv2.CV_32F, 1, 0))
        + np.pi / 2
    )
    soft, out = cv2.GaussianBlur(photo, (0, 0), 1.5), cv2.GaussianBlur(photo, (0, 0), wide / 25)
    for part, count in ((14, 1500), (24, 4000), (45, 7000)):
        length = wide / part
        for y, x, shift in zip(
            rng.integers(0, rows, count),
            rng.integers(0, columns, count),
            rng.normal(0, 8, (count, 3)),
            strict=True,
        ):
            dx, dy = length * np.cos(angle[y, x]), length * np.sin(angle[y, x])
            colour = tuple(int(v) for v in _bytes(soft[y, x] + shift))
            cv2.line(
                out,
                (int(x - dx), int(y - dy)),
                (int(x + dx), int(y + dy)),
                colour,
                max(1, int(length / 2)),
                cv2.LINE_AA,
            )
    return out


def _halftone(photo, points, rng):
    grey, period = _grey_values(photo) / 255, _width(points) / rng.uniform(35, 60)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]] * (2 * np.pi / period / np.sqrt(2))
    screen = (np.cos(x + y) + np.cos(x - y)) / 4 + 0.5
    return _three(255 / (1 + np.exp(-12 * (grey - (1 - screen)))))


HARMLESS: dict[str, Change] = {
    "grey": _grey,
    "sepia": _sepia,
    "colour cast": _cast,
    "other saturation": _saturation,
    "other contrast": _contrast,
    "gamma 0.6": _gamma(0.6),
    "gamma 1.7": _gamma(1.7),
    "a quarter of the light": exposed(0.25),
    "light from a side": _light_from_a_side,
    "white background": background(252),
    "black background": background(3),
    "glasses": glasses(False),
    "noise": _noisy,
    "JPEG quality 30": compressed(30),
    "shrunk": _shrunk,
    "enlarged": _enlarged,
    "100 px wide": small(100),
    "sharpened": _sharpened,
    "smoothed": _smoothed,
}
COVERED: dict[str, Change] = {
    **{
        f"{side} half {colour}": covered(side, colour)
        for side in ("left", "right", "top", "bottom")
        for colour in ("hair", "any colour", *COVERS)
    },
    "card before the mouth": covered("mouth", "skin"),
    "hand before the mouth": hand("mouth"),
    "hand before an eye": hand("eye"),
    "dark glasses": glasses(True),
    **{f"mask {colour}": masked(colour) for colour in ("any colour", "black", "white", "blue")},
}
SPOILT: dict[str, tuple[str, Change]] = {
    **{f"{light:g} of the light": ("dark", exposed(light)) for light in (0.05, 0.02, 0.01)},
    **{f"{factor:g} times as bright": ("bright", clipped(factor)) for factor in (1.5, 2.0, 3.0)},
    **{
        f"blur {100 * share:g} % of the width": ("blurred", blurred(share))
        for share in (0.005, 0.01, 0.02, 0.03)
    },
    **{f"motion {100 * share:g} %": ("blurred", moved(share)) for share in (0.06, 0.1, 0.2)},
    "24 px enlarged": ("blurred", small(24)),
}
DRAWINGS: dict[str, Change] = {
    "cartoon": _cartoon,
    "painting": _painting,
    "oil": _oil,
    "pencil": _pencil,
    "line drawing": _line_drawing,
    "few colours": _few_colours,
    "mosaic": _mosaic,
    "pixel art": _pixel_art,
    "rendered": _rendered,
    "brush strokes": _strokes,
    "halftone": _halftone,
}


def mixed(photo: Photo, points: np.ndarray, rng: np.random.Generator) -> Photo:
    """One harmless change of detail, one of colour, and noise or compression."""
    for names in (
        ("shrunk", "enlarged", "sharpened", "smoothed", "100 px wide"),
        (
            "grey",
            "grey",
            "sepia",
            "colour cast",
            "other contrast",
            "other saturation",
            "gamma 0.6",
            "gamma 1.7",
            "a quarter of the light",
            "light from a side",
        ),
        ("noise", "JPEG quality 30"),
    ):
        size = np.array(photo.shape[1::-1])
        photo = HARMLESS[str(rng.choice(names))](photo, points, rng)
        points = points * (np.array(photo.shape[1::-1]) / size)
    return photo
