"""What an import has written about a dataset, beside its labels: `dataset.json`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facestats.core.files import read_json
from facestats.errors import LabelError
from facestats.labels.tables import PREFIX
from facestats.params.names import PATTERN

FACTS = "dataset.json"
OF_RUN = (
    "name",
    "title",
    "version",
    "licence",
    "licence_link",
    "citation",
    "files",
    "rating_scale",
)
KINDS = {
    **dict.fromkeys(OF_RUN, str),
    "version": str | None,
    "files": int,
    "rating_scale": list | None,
}


@dataclass(frozen=True)
class DatasetFacts:
    """The datasets that the labels come from.

    Attributes
    ----------
    datasets : list of dict
        `OF_RUN` of each dataset, for `metrics/labels.json`.
    scale : (float, float) or None
        Ends of the ratings' scale.
    trait : str
        What ratings without a trait are of; '' if unknown.
    first_trait : str
        The same of the dataset that was imported first: what is added changes no main trait.
    """

    datasets: list[dict[str, Any]]
    scale: tuple[float, float] | None
    trait: str = ""
    first_trait: str = ""


def read_dataset(folder: Path) -> DatasetFacts | None:
    """Read `dataset.json` of a folder of labels; None if there is none.

    Raises
    ------
    LabelError
        It is not what an import writes.
    """
    path = folder / FACTS
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        every = [content, *content.get("appended", [])]
        datasets = [{key: dataset[key] for key in OF_RUN} for dataset in every]
        scale = content.get("stored_scale") or content["rating_scale"]
        ends = _ends(scale)
        for dataset in datasets:
            _ends(dataset["rating_scale"])
            if odd := [key for key in OF_RUN if not isinstance(dataset[key], KINDS[key])]:
                raise TypeError(f"{odd[0]} is of another type")
        # Ratings of several traits are never put into one column.
        trait = next((name for part in every if (name := part.get("rating_trait"))), "")
        if not re.fullmatch(PATTERN, PREFIX + trait):
            raise ValueError("rating_trait is no trait")
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise LabelError(
            f"{path} is not what `facestats import` writes ({type(error).__name__}: {error}); "
            "move it away, or import again"
        ) from None
    return DatasetFacts(datasets, ends, trait, content.get("rating_trait") or "")


def _ends(scale: list[Any] | None) -> tuple[float, float] | None:
    if scale is None:
        return None
    low, high = (end for end in scale if not isinstance(end, str))
    if not -math.inf < float(low) < float(high) < math.inf:
        raise ValueError("the lower end of a scale comes first")
    return float(low), float(high)


def scale_asked(rating_scale: str | list[float], dataset: DatasetFacts | None) -> str | list[float]:
    """`labels.rating_scale`; for `auto`, the scale that an import has stated, if there is one."""
    stated = dataset.scale if dataset else None
    return [*stated] if stated and rating_scale == "auto" else rating_scale
