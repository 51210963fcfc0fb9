"""Which face a record of a label file means."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from facestats.data.csv_text import cell_error
from facestats.errors import LabelError, number_of


def key_column(raw: pd.DataFrame, path: Path) -> str:
    """The column that says which face a row is about: `image`, else `filename`.

    Raises
    ------
    LabelError
        Neither is there, or a cell of it is empty.
    """
    for key in ("image", "filename"):
        if key in raw.columns:
            empty = raw[key] == ""
            if empty.any():
                raise cell_error(path, empty.idxmax(), key, "", "the name of an image")
            return key
    raise LabelError(f"{path}: there is no column `image` (path below the image folder); "
                     f"the header line has {', '.join(raw.columns) or 'nothing'}")


class NameIndex:
    """Finds the face that a label file means, by image path or by face name, and remembers what it did not find."""

    def __init__(self, faces: pd.DataFrame):
        accepted = faces["filename"].dropna()
        self.by_image = faces.set_index("image")["filename"]
        self.by_filename = accepted.set_axis(accepted)
        self.absent: dict[str, list[str]] = {}
        self.rejected: dict[str, list[str]] = {}

    def resolve(self, column: pd.Series, key: str, file: Path) -> pd.Series:
        """Face name of each cell; null where there is no face."""
        known = self.by_image if key == "image" else self.by_filename
        cells = column.drop_duplicates()
        row = known.index.get_indexer(cells)
        absent = cells[row < 0]
        rejected = cells[(row >= 0) & known.isna().to_numpy()[row]]
        if len(absent):
            self.absent[file.name] = list(absent)
        if len(rejected):
            self.rejected[file.name] = list(rejected)
        return column.map(known)

    def warnings(self) -> list[str]:
        said = [f"{file} names {number_of(len(images), 'image')} not there, for example {', '.join(images[:3])}"
                for file, images in sorted(self.absent.items())]
        said += [f"{file} names {number_of(len(images), 'image')} rejected by preprocess, for example {', '.join(images[:3])}"
                 for file, images in sorted(self.rejected.items())]
        return said
