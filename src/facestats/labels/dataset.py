"""What an import has written about a dataset, beside its labels: `dataset.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facestats.core.files import read_json
from facestats.errors import LabelError

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


@dataclass(frozen=True)
class DatasetFacts:
    """The datasets that the labels come from.

    Attributes
    ----------
    facts : list of dict
        `OF_RUN` of each dataset, for `metrics/labels.json`.
    scale : (float, float) or None
        Ends of the ratings' scale.
    """

    facts: list[dict[str, Any]]
    scale: tuple[float, float] | None


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
    whole = read_json(path)
    try:
        every = [whole, *whole.get("appended", [])]
        facts = [{key: one[key] for key in OF_RUN} for one in every]
        scale = whole.get("stored_scale") or whole["rating_scale"]
        ends = None if scale is None else (float(scale[0]), float(scale[1]))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise LabelError(
            f"{path} is not what `facestats import` writes ({type(error).__name__}: {error}); "
            "move it away, or import again"
        ) from None
    return DatasetFacts(facts, ends)
