"""Share of copies of photographs that are found, by kind of edit, and of false alarms.

    python -m benchmarks.copies [--faces 150] [--shared ../shared]

Faces are the 745 of OMI and the 100 of 3DSK; every one is compared with every other, and with the
photos of one woman at four distances and in four poses (`photos/`), none of which is a copy of
another. Of --faces of them, evenly spread, every edit is made. Found: copy and original come into
one group when they are all that there is (`faces.dedup.find_near_duplicates`). Widths are those of
the whole photo; a face takes half of it.
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from facestats.faces.comparison import thumbnail
from facestats.faces.crop import NoFaceError, PreprocessConfig, crop_face
from facestats.faces.dedup import find_near_duplicates, perceptual_hash
from facestats.faces.landmarks import Landmarker
from facestats.faces.quality import grey_crop, sharpness

ROOT = Path(__file__).resolve().parents[1]
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


def coded(kind: str, **options):
    def edit(photo: Image.Image) -> Image.Image:
        data = io.BytesIO()
        photo.save(data, kind, **options)
        return Image.open(data).convert("RGB")

    return edit


def wide(width: int):
    return lambda photo: photo.resize(
        (width, round(photo.height * width / photo.width)), Image.Resampling.LANCZOS
    )


def colours(matrix: np.ndarray):
    return lambda photo: Image.fromarray(
        np.clip(np.asarray(photo) @ matrix.T, 0, 255).astype(np.uint8)
    )


def cut(left: float, top: float, right: float, bottom: float):
    return lambda photo: photo.crop(
        (
            round(left * photo.width),
            round(top * photo.height),
            round((1 - right) * photo.width),
            round((1 - bottom) * photo.height),
        )
    )


def enhanced(kind: type, factor: float):
    return lambda photo: kind(photo).enhance(factor)


def curved(gamma: float):
    return lambda photo: photo.point(
        [round(255 * (level / 255) ** gamma) for level in range(256)] * 3
    )


def grey(photo: Image.Image) -> Image.Image:
    return photo.convert("L").convert("RGB")


def mirrored(photo: Image.Image) -> Image.Image:
    return photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def screenshot(photo: Image.Image) -> Image.Image:
    screen, shown = Image.new("RGB", (1080, 1920)), wide(1080)(photo)
    screen.paste(shown, (0, (1920 - shown.height) // 2))
    return screen


def written_over(photo: Image.Image) -> Image.Image:
    layer = Image.new("RGBA", photo.size)
    for row in (0.25, 0.5, 0.75):
        ImageDraw.Draw(layer).text(
            (0.1 * photo.width, row * photo.height),
            "SAMPLE PHOTO 2024",
            (255, 255, 255, 110),
            ImageFont.load_default(photo.width // 12),
        )
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


EDITS = {
    **{f"JPEG, quality {quality}": coded("JPEG", quality=quality) for quality in (60, 30, 10)},
    "WebP, quality 50": coded("WEBP", quality=50),
    "GIF": coded("GIF"),
    "32 colours": lambda photo: photo.quantize(32).convert("RGB"),
    **{f"{width} px wide": wide(width) for width in (320, 160, 120, 96, 64)},
    "grey": grey,
    "mirrored": mirrored,
    "mirrored, grey, 200 px": lambda photo: wide(200)(grey(mirrored(photo))),
    **{
        f"brightness × {factor}": enhanced(ImageEnhance.Brightness, factor)
        for factor in (0.4, 0.7, 1.3, 1.6)
    },
    **{f"contrast × {factor}": enhanced(ImageEnhance.Contrast, factor) for factor in (0.6, 1.5)},
    **{f"gamma {gamma}": curved(gamma) for gamma in (0.6, 1.7)},
    "saturation × 2": enhanced(ImageEnhance.Color, 2),
    "sepia": colours(SEPIA),
    "warm": colours(np.diag([1.15, 1, 0.8])),
    "red filter": colours(np.diag([1.2, 0.6, 0.6])),
    "equalised": ImageOps.equalize,
    "8 levels": lambda photo: ImageOps.posterize(photo, 3),
    "4 % cut off": cut(*[0.04] * 4),
    "8 % cut off": cut(*[0.08] * 4),
    "12 % cut off": cut(*[0.12] * 4),
    "16 % cut off below": cut(0, 0, 0, 0.16),
    "white frame": lambda photo: ImageOps.expand(photo, photo.width // 12, "white"),
    "screenshot": screenshot,
    "turned by 5°": lambda photo: photo.rotate(-5, Image.Resampling.BICUBIC, fillcolor="gray"),
    "blurred": lambda photo: photo.filter(ImageFilter.GaussianBlur(3 * photo.width / 512)),
    "sharpened": lambda photo: photo.filter(ImageFilter.UnsharpMask(2, 150, 3)),
    "stretched by 10 %": lambda photo: photo.resize(
        (round(1.1 * photo.width), photo.height), Image.Resampling.BICUBIC
    ),
    "written over": written_over,
}


class Looks:
    """What is known of faces: hash, thumbnail, sharpness."""

    def __init__(self, landmarker: Landmarker):
        self.landmarker, self.config = landmarker, PreprocessConfig()
        self.hashes, self.thumbnails, self.detail = [], [], []

    def add(self, photo: Image.Image) -> bool:
        try:
            crop = crop_face(photo, self.config, self.landmarker)
        except NoFaceError:
            return False
        levels = grey_crop(crop.rgb)
        self.hashes.append(perceptual_hash(levels))
        self.thumbnails.append(thumbnail(crop.rgb))
        self.detail.append(sharpness(levels))
        return True

    def groups(self, rows: list[int]) -> list[int | None]:
        return find_near_duplicates(
            [self.hashes[row] for row in rows],
            lambda row: self.thumbnails[rows[row]],
            np.array(self.detail)[rows],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=150)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    options = parser.parse_args()
    people = sorted(
        [*options.shared.glob("omi/images/*.jpg"), *options.shared.glob("3dsk/*/*.jpg")]
    )
    moments = sorted(
        [*options.shared.glob("photos/lisa/*.jpg"), *options.shared.glob("photos/zoom/*.jpg")]
    )
    looks = Looks(Landmarker(ROOT / "models/landmarker"))
    paths = [path for path in [*people, *moments] if looks.add(Image.open(path).convert("RGB"))]
    started = time.perf_counter()
    wrong = [first for first in looks.groups(list(range(len(paths)))) if first is not None]
    print(
        f"{len(paths)} photos, no two of them copies: {len(wrong)} taken for copies, "
        f"{time.perf_counter() - started:.1f} s\n"
    )
    print("| copy | found | of |\n|---|---|---|")
    chosen = np.linspace(0, len(people) - 1, options.faces).round().astype(int)
    all_hits = all_made = 0
    for name, edit in EDITS.items():
        hits = 0
        for original in chosen:
            if looks.add(edit(Image.open(paths[original]).convert("RGB"))):
                hits += looks.groups([int(original), len(looks.hashes) - 1]) == [None, 0]
        print(f"| {name} | {hits / len(chosen):.1%} | {len(chosen)} |", flush=True)
        all_hits, all_made = all_hits + hits, all_made + len(chosen)
    print(f"| all | {all_hits / all_made:.2%} | {all_made} |")


if __name__ == "__main__":
    main()
