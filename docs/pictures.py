"""Make the pictures of README.md and composites.md from the last run on the built-in sample.

    dvc repro && python docs/pictures.py

Another folder of photos is refused: photographs of people don't belong into the documentation.
"""

from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from facestats.composites.averaging import average_faces, averaging_options
from facestats.composites.folder import finish
from facestats.composites.outline import Segmenter
from facestats.composites.params import Render
from facestats.core import tables
from facestats.core.figures.sheets import fitting_jpeg
from facestats.errors import InputError
from facestats.faces.landmarks import Landmarker
from facestats.faces.tables import FACES
from facestats.groups.filters import select_faces
from facestats.groups.tables import FINAL
from facestats.pairs.built import read_composite
from facestats.params.project import load_params
from facestats.stimuli.changes import along
from facestats.stimuli.moving import move_face
from facestats.stimuli.photo import read_face

ROOT = Path(__file__).resolve().parents[1]
IMAGES, COMPOSITES = ROOT / "docs/images", ROOT / "data/processed/composites"
README = ("women", "men", "older_adults", "top_rated", "bottom_rated")
SIDE, LABEL, WIDEST = 240, 26, 1200  # pixels
MOST = 80_000  # bytes of a picture

FILTERS = {
    "gender: female": {"gender": "female"},
    "ethnicity: tone_d": {"ethnicity": "tone_d"},
    "age_range: [60, 80]": {"age_range": [60, 80]},
    "attributes: {glasses: with}": {"attributes": {"glasses": "with"}},
    "cluster: 0": {"cluster": 0},
    "attractiveness: [10, 10]": {"attractiveness": [10, 10]},
}
NUMBERS = {
    "n: 5": {"n": 5},
    "n: 5, seed: 1": {"n": 5, "seed": 1},
    "n: 20": {"n": 20},
    "n: 60": {"n": 60},
    "n: null (all)": {"n": None},
}
RENDERS = {  # file name to label to options of `render`
    "align": {f"align: {align}": {"align": align} for align in ("none", "eyes", "warp")},
    "space": {f"space: {space}": {"space": space} for space in ("linear", "gamma")},
    "symmetric": {"symmetric: false": {}, "symmetric: true": {"symmetric": True}},
    "max_yaw": {f"max_yaw: {degrees}": {"max_yaw": degrees} for degrees in (25, 3)},
}
DETAILS = {
    "texture: true": {"texture": True},
    "outlines: true": {"outlines": True},
    "mask: oval": {"mask": "oval", "background": "grey"},
    "mask: face": {"mask": "face", "background": "grey"},
}
FACE = "face_0001.jpg"
SHARES = (-1.0, -0.5, 0.0, 0.5, 1.0)
RARE = {"age_range": [77, 80]}  # fewer than min_results faces


class Faces:
    """The faces of the last run, to be chosen and averaged."""

    def __init__(self):
        metadata = ROOT / "data/processed/metadata"
        self.table = tables.read_all(metadata / "attributes_final.parquet", FINAL)
        faces = tables.read(metadata / "faces.parquet", FACES, ["filename", "landmarks", "yaw"])
        self.faces = faces.dropna(subset="filename").set_index("filename")

    def select(self, conditions: dict, n: int | None = 60, seed: int = 0, **options):
        return select_faces(self.table, conditions, n, seed, **options)

    def average(self, names: pd.Series, **render):
        """The average of some faces, as a picture, and the `Average` itself."""
        rows = self.faces.loc[names]
        average = average_faces(
            pd.DataFrame(
                {
                    "filename": rows.index,
                    "path": [ROOT / "data/processed/preproc" / name for name in rows.index],
                    "landmarks": [
                        None if shape is None else shape.reshape(-1, 3)
                        for shape in rows["landmarks"]
                    ],
                    "yaw": rows["yaw"].to_numpy(),
                }
            ),
            **render,
        )
        return Image.fromarray(average.image), average


def details(faces: Faces, names: pd.Series) -> list[Image.Image]:
    """The average of some faces, drawn with each of `DETAILS`."""
    pictures = []
    for options in DETAILS.values():
        render = Render(**options)
        segmenter = Segmenter(ROOT / "models/landmarker") if render.outlines else None
        _, average = faces.average(names, **averaging_options(render, {}), segmenter=segmenter)
        pictures.append(Image.fromarray(finish(average, render.model_dump())))
    return pictures


def stimuli(name: str) -> list[Image.Image]:
    """A face along the difference of women and men."""
    women, men = (read_composite(COMPOSITES / end) for end in ("women", "men"))
    photo = read_face(ROOT / "data/sample/images" / name, Landmarker(ROOT / "models/landmarker"))
    return [move_face(photo, along(photo, women, men, share, share)) for share in SHARES]


def row(pictures: list[Image.Image], labels: list[str]) -> Image.Image:
    """Pictures side by side, with a label of one or more lines below each."""
    below = LABEL * max(label.count("\n") + 1 for label in labels)
    sheet = Image.new("RGB", (len(pictures) * (SIDE + 4) - 4, SIDE + below), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (i * (SIDE + 4), 0))
        for line, text in enumerate(label.splitlines()):
            size = min(17, 17 * SIDE / ImageFont.load_default(17).getlength(text))
            draw.text(
                (i * (SIDE + 4) + SIDE / 2, SIDE + LABEL * (line + 0.5)),
                text,
                "black",
                ImageFont.load_default(size),
                "mm",
            )
    return sheet


def unbuilt(text: str) -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE), "#dddddd")
    ImageDraw.Draw(picture).text(
        (SIDE / 2, SIDE / 2), text, "black", ImageFont.load_default(20), "mm", align="center"
    )
    return picture


def save(name: str, picture: Image.Image) -> None:
    """Write docs/images/<name>.jpg, at most WIDEST pixels wide and MOST bytes long."""
    if picture.width > WIDEST:
        picture = picture.resize(
            (WIDEST, round(picture.height * WIDEST / picture.width)), Image.Resampling.LANCZOS
        )
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.jpg").write_bytes(data := fitting_jpeg(picture, MOST))
    print(f"docs/images/{name}.jpg  {picture.width}×{picture.height}, {len(data):,} bytes")


def opened(name: str, file: str) -> Image.Image:
    with Image.open(COMPOSITES / name / file) as image:
        return image.convert("RGB")


def main() -> None:
    params = load_params(ROOT / "params.yaml")
    if params.data.images != "data/sample/images":
        raise SystemExit(
            f"data.images = {params.data.images}: pictures for the documentation are made "
            "of the built-in sample only"
        )
    try:
        faces = Faces()
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
    save("composites", row([opened(name, "composite.jpg") for name in README], list(README)))
    names = faces.select({"gender": "female"}).rows["filename"]
    save("details", row(details(faces, names), list(DETAILS)))
    save("stimuli", row(stimuli(FACE), [f"shape and colour {share:+g}" for share in SHARES]))
    save("continuum", opened("women_to_men", "continuum.jpg"))
    save("difference", opened("top_minus_bottom", "difference.jpg"))
    save("members", opened("women", "members.jpg"))

    chosen = {
        label: faces.select(conditions).rows["filename"] for label, conditions in FILTERS.items()
    }
    save(
        "filter",
        row(
            [faces.average(names)[0] for names in chosen.values()],
            [f"{label}\n{len(names)} faces" for label, names in chosen.items()],
        ),
    )
    women = {
        label: faces.select({"gender": "female"}, **options).rows["filename"]
        for label, options in NUMBERS.items()
    }
    save(
        "number",
        row(
            [faces.average(names)[0] for names in women.values()],
            [f"{label}\n{len(names)} faces" for label, names in women.items()],
        ),
    )
    for name, options in RENDERS.items():
        made = [faces.average(women["n: 60"], **render) for render in options.values()]
        save(
            name,
            row(
                [picture for picture, _ in made],
                [
                    f"{label}\n{len(average.used)} faces"
                    for label, (_, average) in zip(options, made, strict=True)
                ],
            ),
        )

    few, widened = (
        faces.select(RARE, min_results=10, relax=relax) for relax in ([], ["age_range"])
    )
    step = widened.relaxed[-1]
    save(
        "relax",
        row(
            [
                unbuilt(f"not built:\n{len(few.rows)} of at least\n{few.min_results} faces"),
                faces.average(widened.rows["filename"])[0],
            ],
            [
                f"age_range: {RARE['age_range']}\nrelax: []",
                f"widened to {step['to']}\nrelax: [age_range], {len(widened.rows)} faces",
            ],
        ),
    )


if __name__ == "__main__":
    main()
