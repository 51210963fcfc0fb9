"""Stage `age_check`: which faces may be too young to get a score, and how the age of a single photo is checked.

Reads   embeddings_clip.parquet, models/attributes/, data/interim/out_of_fold/, faces.parquet, labels.parquet, splits.parquet;
        params `score.min_age`, `score.require_age_check`, the names in `attributes.targets`
Writes  age_check.parquet, models/age_check.json (for single photos), metrics/age_check.json (who was checked by what, which adults the
        age model takes for too young, and which minors it misses)
Alone   dvc repro -sf age_check
"""

from facestats.run.stage import run_stage, warn

from pathlib import Path

import numpy as np
import pandas as pd

from facestats.age.check import (
    OTHER_KIND,
    check_faces,
    fit_check,
    measure_check,
    save_check,
    summarise_check,
)
from facestats.age.tables import AGE_CHECK
from facestats.attributes.model import AttributeModel, load_models
from facestats.attributes.tables import PREDICTIONS_OUT_OF_FOLD
from facestats.core import tables
from facestats.core.doubts import FACTS, doubtful_faces, drawn_share
from facestats.core.files import write_metrics
from facestats.core.stats.identity import IDENTITY, count_once, same_faces, several_faces
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.errors import InputError, number_of
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS

WAY_OUT = "label the ages of some faces (`age` in labels.csv), and of those under {min_age} too, so that an age model can be trained"


def main(
    params,
    embeddings: Path,
    classifiers: Path,
    out_of_fold: Path,
    faces: Path,
    labels: Path,
    splits: Path,
    age_check: Path,
    serving: Path,
    metrics: Path,
) -> str:
    options, vectors = params.score, EmbeddingTable(embeddings)
    said = (
        tables.read(labels, LABELS, ["filename", "age", "age_source", "person"])
        .set_index("filename")
        .reindex(vectors.names)
    )
    split = tables.read(splits, SPLITS).set_index("filename")["split"].reindex(vectors.names)
    found = tables.read(faces, FACES, [*dict.fromkeys([*IDENTITY, *FACTS])]).dropna(
        subset="filename"
    )
    by_name = found.set_index("filename")
    model, missing = _age_model(params, classifiers)
    predicted = pd.Series(
        model.predict(vectors.take(np.ones(len(vectors), dtype=bool))) if model else np.nan,
        index=vectors.names,
    )
    judged = _left_out(said["age"], split, predicted, out_of_fold, found) if model else None
    persons = several_faces(same_faces(found, said["person"])).reindex(vectors.names)
    empty = pd.DataFrame({"age": [], "predicted": []}, dtype=float)
    parts = {
        "left_out": empty if judged is None else judged[split[judged.index] != "test"],
        "test": empty if judged is None else judged[split[judged.index] == "test"],
    }
    check = fit_check(options.min_age, options.require_age_check, parts["left_out"], missing)
    strange = [
        index
        for reason, values, _ in doubtful_faces(by_name, drawn_share(found))
        if reason in OTHER_KIND
        for index in values.index
    ]
    table = check_faces(
        check, said, predicted.mask(predicted.index.isin(strange)), by_name["copy_group"]
    )
    unchecked = table["filename"][table["age_checked"].isna()]
    if options.min_age is None:
        warn("score.min_age is null: nobody's age is checked, and children get scores, too")
    elif len(unchecked) and check.required:
        raise InputError(
            f"{_not_checked(check, unchecked, table)}, and score.require_age_check is true; {WAY_OUT.format(min_age=check.min_age)}, "
            "leave these photos out, or set it to false"
        )
    elif len(unchecked):
        warn(f"{_not_checked(check, unchecked, table)}; {WAY_OUT.format(min_age=check.min_age)}")
    tables.write(table, age_check, AGE_CHECK)
    save_check(serving, check)
    shares = {name: measure_check(check, part, persons[part.index]) for name, part in parts.items()}
    write_metrics(metrics, summarise_check(check, table) | shares)
    return f"faces={len(table)} withheld={table['score_withheld'].notna().sum()} not_checked={len(unchecked)} model={'used' if check.by_model else 'not used'}"


def _age_model(params, models: Path) -> tuple[AttributeModel | None, str | None]:
    """The trained age model, or None and why there is none; prompts don't count."""
    if "age" not in params.attributes.targets:
        return None, "attributes.targets has no age, so that no age model is trained"
    model = load_models(models, ["age"])["age"]
    return (model, None) if model.trained else (None, f"no age model was trained: {model.why}")


def _left_out(
    ages: pd.Series, split: pd.Series, predicted: pd.Series, out_of_fold: Path, faces: pd.DataFrame
) -> pd.DataFrame:
    """Age and prediction of labelled faces, each by a model that had not seen it: train faces by those of their fold."""
    ages = ages.where(split == "train", count_once(ages.to_frame(), faces)["age"])
    unseen = tables.read_all(out_of_fold / "age.parquet", PREDICTIONS_OUT_OF_FOLD).set_index(
        "filename"
    )["age"]
    by_others = unseen.reindex(ages.index).where(
        split == "train", predicted.where(split.isin(["val", "test"]))
    )
    return pd.DataFrame({"age": ages, "predicted": by_others}).dropna()


def _not_checked(check, unchecked: pd.Series, table: pd.DataFrame) -> str:
    why = check.why or "these are no pictures of the kind that the age model learned from"
    return f"the age of {len(unchecked)} of {number_of(len(table), 'face')} can't be checked (the first is {unchecked.iloc[0]}): {why}"


if __name__ == "__main__":
    run_stage(main)
