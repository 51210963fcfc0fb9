"""Accuracy after 25 to 200 labels, chosen by the labelling loop or at random.

    python -m benchmarks.labelling --omi ../shared/omi [--clip tiny] [--out docs/methods]

Writes the tables into `labelling.md` below --out, between its two markers, and the plot to
`images/labelling.png`.

Two questions on the OMI faces: gender, and whether `attractive` is above the median. A fixed share
of the faces is held out for each seed; of the others, labels are asked for in rounds, as a person
would do it: train on what is labelled, predict, let the pipeline propose, label. All of it by the
pipeline's own functions and with the classifier's settings in params.yaml. Method and constants of
the proposals were chosen on other questions, other seeds and drawn faces.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.labelling_report import plot, tables_of, write_block
from tqdm import tqdm

from facestats.attributes.model import AttributeModel
from facestats.attributes.params import Classification
from facestats.attributes.proposals import propose_labels
from facestats.attributes.resolution import predict_attributes, resolve, target_kinds
from facestats.attributes.training import train_classifier
from facestats.checkpoints.variants import fetch_clip
from facestats.clip.embed import embed_faces
from facestats.clip.encoder import ImageEncoder
from facestats.errors import InputError
from facestats.faces.crop import PreprocessConfig
from facestats.faces.preprocess import preprocess_folder
from facestats.importers.omi import import_omi
from facestats.landmarker.fetch import fetch_landmarker
from facestats.params.project import Params, load_params

ROOT = Path(__file__).resolve().parents[1]
SEEDS = 10
HELD_OUT = 0.25
ROUND = 25  # labels asked for at a time
BUDGETS = (25, 50, 100, 200)
MIN_PER_CLASS = (
    2  # params.yaml says 10, with which 25 labels often train nothing; here both ways always can
)

Choose = Callable[[np.ndarray, AttributeModel | None, np.ndarray, np.random.Generator], np.ndarray]


def by_loop(
    x: np.ndarray, model: AttributeModel | None, labelled: np.ndarray, _: np.random.Generator
) -> np.ndarray:
    """Rows that the pipeline proposes next, of the faces `x` (n, d).

    The question stands in the place of gender.

    The other two attributes count as known, for nobody asks for them here.
    """
    names = pd.Index([f"{row:06}.jpg" for row in range(len(x))], name="filename")
    models = {} if model is None else {"gender": model}
    labels = pd.DataFrame(
        {"ethnicity": "x", "ethnicity_source": "label", "age": 30.0, "age_source": "label"},
        index=names,
    )
    hand = np.isin(np.arange(len(x)), labelled)
    labels["gender"] = pd.Series(np.where(hand, "x", None), index=names, dtype="str")
    labels["gender_source"] = pd.Series(np.where(hand, "manual", None), index=names, dtype="str")
    attributes, predictions = predict_attributes(names, x, models)
    _, clean = resolve(attributes, labels, target_kinds(models))
    template = propose_labels(
        x,
        predictions,
        clean,
        pd.DataFrame({"copy_group": np.arange(len(x)).astype(str), "copy_rank": 1}),
        models,
        ROUND,
    )
    return names.get_indexer(template["filename"])


def by_chance(
    x: np.ndarray, _: AttributeModel | None, labelled: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Rows not labelled yet, at random."""
    return rng.choice(np.setdiff1d(np.arange(len(x)), labelled), ROUND, replace=False)


def label_in_rounds(
    x: np.ndarray, answers: np.ndarray, seed: int, choose: Choose, settings: Classification
) -> dict[int, float]:
    """Accuracy on held-out faces by number of labels, for one seed.

    The last key is the number of all faces that are not held out.

    Parameters
    ----------
    x : (n, d) embeddings.
    answers : (n,) what a person would say of each face.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    held_out, pool = np.split(order, [round(HELD_OUT * len(x))])
    labelled = np.empty(0, int)
    model, accuracy = None, {}
    while len(labelled) < max(BUDGETS):
        chosen = choose(x[pool], model, labelled, rng)
        if len(chosen) < ROUND:
            raise InputError(
                f"after {len(labelled)} labels only {len(chosen)} faces are proposed, "
                f"{ROUND} "
                "are needed: the others are twins of labelled ones to this CLIP variant"
            )
        labelled = np.concatenate([labelled, chosen])
        model = train(x[pool[labelled]], answers[pool[labelled]], settings)
        accuracy[len(labelled)] = score(model, x[held_out], answers[held_out])
    accuracy[len(pool)] = score(
        train(x[pool], answers[pool], settings), x[held_out], answers[held_out]
    )
    return accuracy


def train(x: np.ndarray, answers: np.ndarray, settings: Classification) -> AttributeModel:
    return train_classifier(
        "gender",
        x,
        pd.Series(answers, dtype="str"),
        MIN_PER_CLASS,
        settings.C,
        settings.class_weight,
    ).model


def score(model: AttributeModel, x: np.ndarray, answers: np.ndarray) -> float:
    """Share of right answers; a model that could not be trained knows none."""
    return float((model.predict(x) == answers).mean()) if model.trained else 0.0


def run(x: np.ndarray, questions: dict[str, np.ndarray], settings: Classification) -> pd.DataFrame:
    """Accuracy of both ways: columns `question`, `chosen`, `seed`, `labels`, `accuracy`."""
    rows = []
    with tqdm(total=len(questions) * SEEDS * 2, desc="label", disable=None) as progress:
        for question, answers in questions.items():
            for seed in range(SEEDS):
                for chosen, choose in (("by the loop", by_loop), ("at random", by_chance)):
                    curve = label_in_rounds(x, answers, seed, choose, settings)
                    rows += [
                        (question, chosen, seed, labels, accuracy)
                        for labels, accuracy in curve.items()
                    ]
                    progress.update()
    return pd.DataFrame(rows, columns=["question", "chosen", "seed", "labels", "accuracy"])


def read_omi(
    omi: Path, clip: str, params: Params
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, str]]:
    """Embeddings of the OMI faces, the answers to the questions, and the facts of the variant."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        import_omi(omi, work)
        fetch_landmarker(params.landmarker.source, work / "landmarker")
        facts = fetch_clip(clip, None, work / "clip")
        faces = preprocess_folder(
            work / "raw",
            work / "faces",
            PreprocessConfig(**params.preprocess.cutting()),
            work / "landmarker",
        )
        if faces[["duplicate_of", "near_duplicate_of"]].notna().any(axis=None):
            raise InputError(
                "some OMI faces repeat another one; the benchmark does not expect that"
            )
        table = embed_faces(
            work / "faces",
            ImageEncoder(work / "clip", params.clip.precision, params.clip.batch_size),
        )
        labels = pd.read_csv(work / "labels/labels.csv").set_index("image").loc[table["filename"]]
    above = np.where(labels["rating"] > labels["rating"].median(), "above", "below")
    questions = {"gender": labels["gender"].to_numpy(str), "attractive above the median": above}
    return np.stack(table["embedding"]), questions, facts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--omi",
        type=Path,
        required=True,
        help="folder with images/, attribute_means.csv and attribute_ratings.zip",
    )
    parser.add_argument(
        "--clip", default="tiny", help="a variant, as clip.variant (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "docs/methods",
        help="folder of labelling.md (default: docs/methods)",
    )
    options = parser.parse_args()
    params = load_params(ROOT / "params.yaml")
    x, questions, facts = read_omi(options.omi, options.clip, params)
    results = run(x, questions, params.attributes.targets["gender"])
    shown = tables_of(
        results,
        BUDGETS,
        f"{len(x)} faces, CLIP variant `{facts['variant']}` (weights "
        f"{facts['sha256'][:12]}, {x.shape[1]} dimensions)",
    )
    write_block(options.out / "labelling.md", shown)
    plot(results, BUDGETS, options.out / "images/labelling.png")
    print(shown)


if __name__ == "__main__":
    main()
