"""A label file as text, however it was stored."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd


@dataclass
class Sheet:
    """A CSV file or the sheet of a workbook.

    Attributes
    ----------
    table : DataFrame
        Cells as stripped text, empty ones as ''. The index is each record's last line in a CSV
        file, or the row's number in a workbook.
    positions : dict of str to int
        Place of each column in the file, from 0.
    notes : list of str
        What was read in another way than the user may think.
    questions : dict of str to str
        The text of the question below each header, in files of Qualtrics.
    lost : list of str
        What a file that is written anew from the table would lack.
    """

    table: pd.DataFrame
    positions: dict[str, int]
    notes: list[str] = field(default_factory=list)
    questions: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
