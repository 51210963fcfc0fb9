"""The codebook of an export: one row a column."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from facestats.export.columns import Described

NAME = "codebook.csv"


def codebook(columns: Iterable[Described], rows: int) -> pd.DataFrame:
    """What each column is: its names, type, text, unit, source, gaps, classes, and figures.

    Parameters
    ----------
    columns : iterable of Described
    rows : int
        Of the table.

    Returns
    -------
    DataFrame
    """
    return pd.DataFrame(
        [
            {
                "column": column.name,
                "spss_stata": column.short,
                "type": column.kind,
                "text": column.text,
                "unit": column.unit,
                "source": column.source,
                "missing": column.missing,
                "rows": rows,
                "classes": "; ".join(f"{code} = {name}" for name, code in column.codes.items()),
                "held_out": column.held_out,
            }
            for column in columns
        ]
    )
