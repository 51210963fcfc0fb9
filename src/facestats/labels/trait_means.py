"""Means of traits that stand in label files: columns `rating_<trait>`, read like `rating`.

Other columns of such names are the user's own, and stay text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from facestats.errors import LabelError
from facestats.labels.cells import MAX_RATING, Mistakes, numbers, without_empty
from facestats.labels.columns import rating_name
from facestats.labels.corrections import names_of_labels
from facestats.labels.label_file import FaceLabels
from facestats.labels.scale import expected_rating
from facestats.labels.tables import PREFIX


class TraitMeans:
    """The means of traits in the label file and in the corrections.

    Parameters
    ----------
    labels, corrections : FaceLabels
        Their columns of means, text so far, become numbers.
    judgements : DataFrame or None
        With a column `trait`.
    chosen : iterable of str
        `score.traits`.
    mistakes : Mistakes
        Gets the cells that can't be used.

    Raises
    ------
    LabelError
        A column of the corrections could be several of the label file.
    """

    def __init__(
        self,
        labels: FaceLabels,
        corrections: FaceLabels,
        judgements: pd.DataFrame | None,
        chosen: Iterable[str],
        mistakes: Mistakes,
    ):
        judged = [] if judgements is None else judgements["trait"].unique()
        names = {PREFIX + trait for trait in (*judged, *chosen) if trait}
        self._written = {  # as the files have the headers
            source: _rename(file, names)
            for source, file in (("label", labels), ("manual", corrections))
        }
        spelt = names_of_labels(corrections, labels.by_face)
        own = [(labels, "label", header, header) for header in map(str, labels.text)]
        own += [
            (corrections, "manual", header, spelt.get(header, header))
            for header in map(str, corrections.text)
        ]
        self._columns = [column for column in own if column[-1] in names]
        self._names = names
        for file, source, header, _ in self._columns:
            _read(file, header, self._header(source, header), mistakes)

    def _header(self, source: str, column: str) -> str:
        return self._written[source].get(column, column)

    def counted(self, table: pd.DataFrame, judgements: pd.DataFrame | None) -> pd.DataFrame:
        """The means that count, beside judgements: those by hand, and of faces that nobody judged.

        Parameters
        ----------
        table : DataFrame
            Labels of all accepted faces, with their sources.
        judgements : DataFrame or None
            `filename`, `trait`.

        Returns
        -------
        DataFrame
            `filename`, `column`, `source` and `rating`.
        """
        parts = [pd.DataFrame(columns=_COUNTED).astype({"rating": "float64"})]
        for name in sorted(name for name in self._names if name in table):
            kept = table[name].notna()
            if judgements is not None:
                judged = judgements.loc[PREFIX + judgements["trait"] == name, "filename"]
                kept &= (table[f"{name}_source"] == "manual") | ~table.index.isin(judged)
            stated = table.loc[kept, [f"{name}_source", name]].reset_index()
            parts.append(stated.set_axis(_COUNTED[:3], axis=1).assign(column=name))
        return pd.concat([part for part in parts if len(part)] or parts)

    def check_scale(
        self,
        counted: pd.DataFrame,
        scale: tuple[float, float] | None,
        rating_scale: str | list[float],
        mistakes: Mistakes,
    ) -> None:
        """Add those of the `counted` means that lie outside the raters' scale to `mistakes`.

        Raises
        ------
        LabelError
            One of them stands in a column `rating`.
        """
        if scale is None:
            return
        outside = counted[~counted["rating"].between(*scale)]
        expected = expected_rating(scale, rating_scale)
        read = {name for *_, name in self._columns}
        if len(other := outside[~outside["column"].isin(read)]):
            name, column, rating = other.iloc[0][["filename", "column", "rating"]]
            raise LabelError(
                f"{name} has the rating {rating:g}, which is of {column.removeprefix(PREFIX)}; "
                f"expected {expected}"
            )
        for file, source, header, name in self._columns:
            faces = outside.loc[
                (outside["column"] == name) & (outside["source"] == source), "filename"
            ]
            lines = file.cells.index[file.cells["filename"].isin(faces)]
            cells = file.text.loc[lines, header]
            if len(cells) and file.path:
                mistakes.add(file.path, self._header(source, header), cells[cells != ""], expected)


_COUNTED = ["filename", "source", "rating", "column"]


def _rename(file: FaceLabels, names: Collection[str]) -> dict[str, str]:
    """Call the columns of means `rating_<trait>`, which headers may write in other letters.

    Returns
    -------
    dict of str to str
        The headers by the columns' new names.

    Raises
    ------
    LabelError
        Two columns are of one trait.
    """
    new = {header: rating_name(header) for header in map(str, file.text)}
    new = {header: name for header, name in new.items() if name in names}
    for header, name in new.items():
        if alike := [other for other in new if new[other] == name and other != header]:
            raise LabelError(
                f"{file.path}: the columns {header!r} and {alike[0]!r} would both be {name}; give "
                "one of them another name"
            )
    file.text, file.cells = file.text.rename(columns=new), file.cells.rename(columns=new)
    file.by_face = file.by_face.rename(columns=new)
    file.classes = [new.get(name, name) for name in file.classes]
    return {name: header for header, name in new.items()}


def _read(file: FaceLabels, header: str, shown: str, mistakes: Mistakes) -> None:
    """Make a column of text one of numbers; messages call it `shown`."""
    assert file.path is not None
    file.text[header] = without_empty(file.text[header])
    file.cells[header] = numbers(
        file.text[header].rename(shown), file.path, mistakes, -MAX_RATING, MAX_RATING
    )
    file.classes.remove(header)
    if header in file.by_face:
        file.by_face[header] = file.cells.groupby("filename")[header].first()
        file.by_face = file.by_face.dropna(axis="columns", how="all")


def write_main_twice(table: pd.DataFrame, traits: Sequence[str]) -> None:
    """Make the column of the main trait, where it has one, the same as `rating`."""
    for main in traits[:1]:
        if main and PREFIX + main in table:
            for end in ("", "_source"):
                table[f"{PREFIX}{main}{end}"] = table[f"rating{end}"]
