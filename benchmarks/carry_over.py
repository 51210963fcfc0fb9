"""How much of a photograph the embeddings keep: 10-fold ridge regression on the OMI faces.

    python -m benchmarks.carry_over --omi ../shared/omi [--clip models/clip]

Faces are cropped as the pipeline does, and embedded by the model, by the same model untrained, and
by the plain way: principal components of the pixels. Pearson r between what ridge regression says
of held-out faces and the mean judgement; the penalty is chosen inside of the training folds. Mean
over `--repeats` ways of dealing out the folds. Below, what the text side says with the prompts of
params.yaml, untaught by any judgement.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits
from transformers import CLIPConfig, CLIPModel

from facestats.attributes.zeroshot import zeroshot_models
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

JUDGED = ("attractive", "gender", "age")
FOLDS = 10
COMPONENTS = 300
PENALTIES = np.logspace(-4, 6, 31)


def measure(features: np.ndarray, judgements: np.ndarray, repeats: int) -> np.ndarray:
    """Pearson r for each column of `judgements` (n, k), out of fold, mean over repeats: (k,)."""
    correlations = []
    for repeat in range(repeats):
        predicted = np.zeros_like(judgements)
        for train, test in KFold(FOLDS, shuffle=True, random_state=repeat).split(features):
            for column in range(judgements.shape[1]):
                model = RidgeCV(PENALTIES).fit(features[train], judgements[train, column])
                predicted[test, column] = model.predict(features[test])
        correlations.append(
            [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, judgements.T, strict=True)]
        )
    return np.mean(correlations, axis=0)


def pixels(folder: Path, names: list[str], side: int) -> np.ndarray:
    """Principal components of the faces' pixels at `side` px: (n, COMPONENTS).

    They see no judgement.
    """
    rows = [
        np.asarray(
            Image.open(folder / name).resize((side, side), Image.Resampling.BICUBIC), np.float32
        ).ravel()
        for name in names
    ]
    return PCA(COMPONENTS, random_state=0).fit_transform(np.stack(rows) / 255)


def ask(clip: Path, embeddings: np.ndarray, means: pd.DataFrame) -> str:
    """What zero-shot gender and age are worth, as a line."""
    facts = json.loads((clip / "facestats.json").read_text(encoding="utf-8"))
    prompts = load_params().zeroshot
    asked = embed_classes(
        TextEncoder(clip, facts["sha256"]), {name: prompts[name] for name in ("gender", "age")}
    )
    models = zeroshot_models(asked, {"age": "regression"}, 0.0)
    actual = np.where(means["gender"] > MIDDLE, "male", "female")
    score = balanced_accuracy_score(actual, models["gender"].predict(embeddings).astype(str))
    years = models["age"].predict(embeddings)
    return (
        f"zero-shot: gender, balanced accuracy {score:.3f} (chance 0.5); age, r "
        f"{np.corrcoef(years, means['age'])[0, 1]:.3f}, mean error "
        f"{np.abs(years - means['age']).mean():.1f} years"
    )


def untrained(clip: Path, out: Path) -> Path:
    """The model of `clip` with random weights, as transformers makes them."""
    shutil.copytree(clip, out)
    torch.manual_seed(0)
    CLIPModel(CLIPConfig.from_pretrained(clip)).save_pretrained(out)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--omi", type=Path, required=True, help="folder with images/ and attribute_means.csv"
    )
    parser.add_argument(
        "--clip", default="tiny", help="a variant, as clip.variant (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(2):
        work = Path(folder)
        fetch_landmarker("wheel", work / "landmarker")
        preprocess_folder(
            options.omi / "images", work / "faces", PreprocessConfig(), work / "landmarker"
        )
        fetch_clip(options.clip, None, work / "clip")
        table = embed_faces(work / "faces", ImageEncoder(work / "clip"))
        random = embed_faces(
            work / "faces", ImageEncoder(untrained(work / "clip", work / "random"))
        )
        names = table["filename"].tolist()
        means = pd.read_csv(
            options.omi / "attribute_means.csv", dtype={"stimulus": "str"}
        ).set_index("stimulus")
        means = means.loc[[Path(name).stem for name in names]]
        judgements = means[list(JUDGED)].to_numpy(np.float64)
        features = {
            f"{options.clip}": np.stack(table["embedding"]),
            f"{options.clip}, untrained": np.stack(random["embedding"]),
            "raw pixels, 64 px, 300 components": pixels(work / "faces", names, 64),
        }
        words = ask(work / "clip", np.stack(table["embedding"]), means)
        rows = {
            name: measure(f.astype(np.float64), judgements, options.repeats)
            for name, f in features.items()
        }
    print(f"{len(names)} faces, {FOLDS}-fold ridge, {options.repeats} repeats: Pearson r\n")
    print(pd.DataFrame(rows, index=JUDGED).T.round(3).to_string())
    print(f"\n{words}")


if __name__ == "__main__":
    main()
