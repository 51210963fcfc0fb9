"""Doubts about the pictures of a project's faces, found block by block: their boxes are lists."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pandas as pd

from facestats.core import tables
from facestats.core.doubts import FACTS, doubtful_faces, drawn_share
from facestats.faces.tables import FACES


def find_doubtful(faces: str | Path) -> list[tuple[str, pd.Series, bool]]:
    """Find the doubtful pictures in `faces.parquet`.

    Parameters
    ----------
    faces : str or Path
        The table.

    Returns
    -------
    list of tuple
        As `core.doubts.doubtful_faces` yields them, the values by filename.
    """
    drawn = drawn_share(tables.read(faces, FACES, ["filename", "drawing"]).dropna())
    parts, rising = defaultdict(list), {}
    with tables.reading(faces, FACES, ["filename", *FACTS]) as blocks:
        for frame in blocks:
            accepted = frame.dropna(subset="filename").set_index("filename")
            for reason, values, is_rising in doubtful_faces(accepted, drawn):
                parts[reason].append(values)
                rising[reason] = is_rising
    return [(reason, pd.concat(values), rising[reason]) for reason, values in parts.items()]
