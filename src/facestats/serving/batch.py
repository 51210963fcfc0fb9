"""Many photos at once: workers cut the faces out while batches are embedded and scored.

As in the pipeline, processes cut (`machine.pool`), and the encoder's threads embed whole batches.
What the models say of a batch is computed at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from facestats.core.doubts import doubts_of
from facestats.core.layout import LANDMARKER
from facestats.core.photo_files import list_images
from facestats.errors import InputError, WithheldError
from facestats.faces.crop import PreprocessConfig
from facestats.faces.photo import limits_of, over_limit
from facestats.machine.limits import CrashError, OverLimitError
from facestats.machine.pool import count_workers, ordered_map
from facestats.serving import answers
from facestats.serving.answers import Face
from facestats.serving.checks import as_text, whole_number
from facestats.serving.cutting import Cut, cut, cut_one, set_up
from facestats.serving.loading import load_for
from facestats.serving.models import Models, decoded
from facestats.serving.parts import Encoding
from facestats.serving.types import Attributes, Score, TraitScore

BATCH = 32  # faces a forward pass, as `clip.batch_size` has it
FEW = 64  # photos that this process cuts itself: new ones take seconds to start
MOST_BATCH = 1024
IMAGE = "image"
PARTS_OF_SCORE = tuple(
    part.name for part in fields(Score) if part.name not in ("warnings", "traits")
)
NUMBERS = tuple(name for name in PARTS_OF_SCORE if name not in ("withheld", "age_checked"))
PARTS_OF_TRAIT = tuple(part.name for part in fields(TraitScore))


def score_images(
    images: Any, batch: int = BATCH, attributes: bool = False, ethnicity: bool = False
) -> pd.DataFrame:
    """Score the largest face of each of many photos, on all processors.

    Processes cut the faces out: a script that calls this needs `if __name__ == "__main__":`.

    Parameters
    ----------
    images : path, sequence of paths, or DataFrame
        A folder, whose files count at any depth; paths, or names of photos of the pipeline; a frame
        with a column `image` of these.
    batch : int, default 32
        Faces a forward pass of CLIP. Other sizes change a score by less than 0.01.
    attributes : bool, default False
        Infer attributes, too, as `infer_attributes` does.
    ethnicity : bool, default False
        Infer ethnicity, too, and with it the other attributes.

    Returns
    -------
    DataFrame
        One row an image, in their order (of a frame, with its index): `image`; `raw`, `score`,
        `pct`, `decile`, `geometric`, `combined`, `withheld`, `age_checked` of `score_image`, and
        `<trait>_…` of each further trait; `warnings` as one text; the attributes, with
        `<attribute>_source` and `<attribute>_prob_<class>`; `error` where there is no answer.

    Raises
    ------
    InputError
        There is no such folder, `images` is none of these, or `batch` is no number from 1 to 1024.
    ModelError
        No regressor was trained.
    """
    return score_many(load_for(None, encoding(batch)), images, attributes, ethnicity)


def encoding(batch: int) -> Encoding:
    """How a batch is embedded.

    Raises
    ------
    InputError
        `batch` is no number from 1 to 1024.
    """
    if whole_number("batch", batch, 1) > MOST_BATCH:
        raise InputError(f"batch = {batch} is not possible: a whole number from 1 to {MOST_BATCH}")
    return Encoding(batch)


def score_many(
    models: Models,
    images: Any,
    attributes: bool = False,
    ethnicity: bool = False,
    workers: int | None = None,
) -> pd.DataFrame:
    """`score_images` by these models; `workers` as in `preprocess_folder`."""
    infer = attributes or ethnicity
    # First, for each raises its own error, which should not come after minutes.
    _load(models, ("regressor", "blend"))
    names, index = _names(images)
    if infer:
        _load(models, ("attribute_models",))
    rows: list[dict[str, Any]] = [{IMAGE: name} for name, _ in names]
    sources = []
    for row, (_, place) in zip(rows, names, strict=True):
        try:
            sources.append((row, str(models.photo(place))))
        except InputError as error:
            row["error"] = str(error)
    cuts = _cut_all(models, [source for _, source in sources], workers)
    # The encoder takes faces some batches ahead of the embeddings that it gives, in order.
    ahead: deque[tuple[dict[str, Any], Cut]] = deque()

    def faces_to_embed() -> Iterator[Cut]:
        progress = tqdm(cuts, "score", len(sources), unit="photo", disable=None)
        for (row, _), face in zip(sources, progress, strict=True):
            if isinstance(face, str):
                row["error"] = face
            else:
                ahead.append((row, face))
                yield face

    embeddings = models.encoder.stream(faces_to_embed(), lambda face: decoded(face.jpeg))
    while batch := list(islice(embeddings, models.encoder.batch_size)):
        embedded = [ahead.popleft() for _ in batch]
        doubts = doubts_of([face.crop.facts() for _, face in embedded], models.drawn)
        faces = [
            Face(models, face.crop, face.jpeg, embedding, doubts_of_face)
            for (_, face), embedding, doubts_of_face in zip(embedded, batch, doubts, strict=True)
        ]
        _answer([row for row, _ in embedded], faces, infer, ethnicity)
    return _table(rows, index, models)


def _load(models: Models, parts: Iterable[str]) -> None:
    """Read parts of the models, which else are read when they are first needed."""
    for part in parts:
        getattr(models, part)


def _names(images: Any) -> tuple[list[tuple[str, str]], pd.Index | None]:
    """Name and place of each image, and a frame's index."""
    index = None
    if isinstance(images, pd.DataFrame):
        if IMAGE not in images:
            listed = ", ".join(map(str, images.columns)) or "none"
            raise InputError(f"the frame has no column image; it has {listed}")
        images, index = images[IMAGE].tolist(), images.index
    elif isinstance(images, (str, Path)):
        folder = Path(images)
        if not folder.is_dir():
            raise InputError(
                f"{folder} is no folder; for one photo, give a list: [{folder.name!r}]"
            )
        return [(name, str(folder / name)) for name in list_images(folder)], None
    elif isinstance(images, (bytes, dict)) or not isinstance(images, Iterable):
        raise InputError(f"expected a folder, paths or a frame, not {type(images).__name__}")
    listed = list(images)
    wrong = next((path for path in listed if not isinstance(path, (str, Path))), None)
    if wrong is not None:
        raise InputError(f"expected paths, found {type(wrong).__name__} among them")
    return [(str(path), str(path)) for path in listed], index


def _cut_all(models: Models, sources: Sequence[str], workers: int | None) -> Iterator[Cut | str]:
    """Cut the face out of each photo, in order."""
    config = PreprocessConfig(**models.serving["crop"])
    if workers is None and len(sources) < FEW:
        for source in sources:
            yield cut(source, config, models.landmarker)
        return

    def over(_: str, error: OverLimitError | CrashError) -> str:
        return over_limit(config, error)

    yield from ordered_map(
        cut_one,
        sources,
        count_workers(len(sources), workers),
        set_up,
        (config, str(models.root / LANDMARKER)),
        limits_of(config),
        over,
    )


def _answer(
    rows: Sequence[dict[str, Any]], faces: Sequence[Face], infer: bool, ethnicity: bool
) -> None:
    """Put into each row what the models say of its face."""
    inferred = answers.attributes_all(faces, ethnicity) if infer else [None] * len(faces)
    for row, score, own in zip(rows, answers.score_all(faces), inferred, strict=True):
        texts: list[str] = []
        if isinstance(score, WithheldError):
            row["error"] = str(score)
        else:
            row |= {name: getattr(score, name) for name in PARTS_OF_SCORE}
            for trait, scores in score.traits.items():
                row |= {f"{trait}_{name}": getattr(scores, name) for name in PARTS_OF_TRAIT}
            texts = score.warnings
        if own is not None:
            columns = _columns(own)
            if clash := sorted({*columns} & {*row, *PARTS_OF_SCORE, "warnings", "error"}):
                raise InputError(
                    f"attributes.targets: {clash[0]} is a column of the scores; rename the target, "
                    "or leave the attributes out"
                )
            row |= columns
            texts = [*texts, *own.warnings]
        row["warnings"] = "; ".join(dict.fromkeys(texts)) or None


def _columns(answer: Attributes) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, attribute in answer.targets.items():
        columns |= {name: attribute.value, f"{name}_source": attribute.source}
        for class_name, share in (attribute.probabilities or {}).items():
            columns[f"{name}_prob_{class_name}"] = share
    return columns | ({"age_bucket": answer.age_bucket} if "age" in answer.targets else {})


def _table(rows: list[dict[str, Any]], index: pd.Index | None, models: Models) -> pd.DataFrame:
    """One frame with the same columns whatever the photos are."""
    rows = [as_text(row) for row in rows]
    traits = [f"{trait}_{name}" for trait in models.traits for name in PARTS_OF_TRAIT]
    fixed = [IMAGE, *PARTS_OF_SCORE, *traits]
    found = dict.fromkeys(name for row in rows for name in row)
    last = ("warnings", "error")
    names = [*fixed, *(name for name in found if name not in (*fixed, *last)), *last]
    frame = pd.DataFrame(rows, columns=names, index=index)
    kinds = {
        name: "Int64" if name.endswith("decile") else "float64" for name in (*NUMBERS, *traits)
    }
    return frame.astype(kinds)
