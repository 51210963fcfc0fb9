"""How often prompts of `tiny` are right about photographs: what `zeroshot.MEASURED` rests on.

    python -m benchmarks.prompts --shared ../shared

OMI (745 made-up faces; gender is the side of the scale's middle on which the mean judgement lies,
and clear outside of 30 to 70) and 3DSK (100 photographs of known sex and age). Faces are cropped
and embedded as the pipeline does; prompts are those of params.yaml, and freckles as somebody would
add them. Prints, for gender, the share of right answers of each kind and of faces that get one; for
age the error; for the rest how many are said to have it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.attributes.zeroshot import MEASURED, ZeroShotModel, zeroshot_models
from facestats.checkpoints.variants import fetch_clip
from facestats.clip.embed import embed_faces
from facestats.clip.encoder import ImageEncoder
from facestats.faces.crop import PreprocessConfig
from facestats.faces.preprocess import preprocess_folder
from facestats.importers.omi import MIDDLE
from facestats.landmarker.fetch import fetch_landmarker
from facestats.params.project import load_params
from facestats.prompts.text import TextEncoder
from facestats.prompts.zeroshot import embed_classes

FRECKLES = {
    "with": ["a photo of a person with freckles"],
    "without": ["a photo of a person without freckles"],
}
CLEAR = (30, 70)


def gender_lines(
    name: str, model: ZeroShotModel, embeddings: np.ndarray, actual: np.ndarray
) -> list[str]:
    """Right answers of each kind, and the share of faces that get one, by threshold."""
    shares = model.predict_proba(embeddings)
    answer, sure = model.decide(shares), shares.max(axis=1)
    lines = []
    for threshold in (0.5, 0.9, MEASURED["gender"]):
        kinds = [
            f"{kind} right {np.mean(actual[answered] == kind):.2f} of {answered.sum()}"
            for kind in model.classes
            if (answered := (answer == kind) & (sure >= threshold)).any()
        ]
        lines.append(
            f"{name}, gender from {threshold:g} on: {', '.join(kinds)}; "
            f"{np.mean(sure >= threshold):.0%} of faces get an answer"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True, help="folder with omi/ and 3dsk/")
    shared = parser.parse_args().shared
    means = pd.read_csv(shared / "omi/attribute_means.csv", dtype={"stimulus": "str"}).set_index(
        "stimulus"
    )
    people = (
        pd.read_csv(shared / "3dsk/raw_3dsk_info.csv")
        .drop_duplicates("face_id")
        .set_index("face_id")
    )
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        fetch_landmarker("wheel", work / "landmarker")
        fetch_clip("tiny", None, work / "clip")
        weights = json.loads((work / "clip/facestats.json").read_text(encoding="utf-8"))["sha256"]
        asked = embed_classes(
            TextEncoder(work / "clip", weights), load_params().zeroshot | {"freckles": FRECKLES}
        )
        models = zeroshot_models(asked, {"age": "regression"}, 0.0)
        for name, photos in (("OMI", shared / "omi/images"), ("3DSK", shared / "3dsk")):
            preprocess_folder(photos, work / name, PreprocessConfig(), work / "landmarker")
            table = embed_faces(work / name, ImageEncoder(work / "clip"))
            x, keys = (
                np.stack(table["embedding"]),
                [Path(filename).stem for filename in table["filename"]],
            )
            if name == "OMI":
                judged, age = (
                    means.loc[keys, "gender"].to_numpy(),
                    means.loc[keys, "age"].to_numpy(),
                )
                actual = np.where(judged > MIDDLE, "male", "female")
                clear = (judged < CLEAR[0]) | (judged > CLEAR[1])
                print(
                    "\n".join(gender_lines("OMI, clear", models["gender"], x[clear], actual[clear]))
                )
            else:
                actual, age = (
                    people.loc[keys, "face_gender"].to_numpy(),
                    people.loc[keys, "face_age"].to_numpy(float),
                )
            print("\n".join(gender_lines(name, models["gender"], x, actual)))
            years = models["age"].predict(x)
            known = np.isfinite(age)
            print(
                f"{name}, age: off by {np.abs(years - age)[known].mean():.1f} years, r = "
                f"{np.corrcoef(years[known], age[known])[0, 1]:.2f}"
            )
            for attribute in ("glasses", "beard", "smile", "freckles"):
                first = models[attribute].classes[0]
                print(
                    f"{name}, {attribute}: "
                    f"{(models[attribute].predict(x) == first).mean():.0%} {first}"
                )


if __name__ == "__main__":
    main()
