"""The form of a filter: one field a condition, with what the run's columns offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from facestats.app.faces_table import FacesTable, Facet
from facestats.app.query import Query
from facestats.core.tables import UNKNOWN
from facestats.groups.conditions import DECILE
from facestats.groups.params import KEEP, MAIN
from facestats.serving.filters import open_ends

SHOWN_CLUSTERS = 40


@dataclass(frozen=True)
class Field:
    """A field of the form.

    Attributes
    ----------
    label : str
    key : str
        In the query.
    kind : str
        `classes`, `range` or `text`.
    options : list of (str, str, str, bool)
        Of classes: value, label, note, and whether it is chosen.
    low, high : str
        Ends of the range as they are set.
    hint : str
        Values that the column has.
    """

    label: str
    key: str
    kind: str
    options: list[tuple[str, str, str, bool]] = field(default_factory=list)
    low: str = ""
    high: str = ""
    hint: str = ""


def form_of(faces: FacesTable, query: Query, added: list[str]) -> dict[str, Any]:
    """What the template of the form names; arguments as of `fields_of`."""
    fields = fields_of(faces, query, added)
    return {"fields": fields, "further": further_columns(faces, fields), "keep": KEEP}


def fields_of(faces: FacesTable, query: Query, added: list[str]) -> list[Field]:
    """The fields of a query's form.

    Parameters
    ----------
    faces : FacesTable
    query : Query
        What is chosen.
    added : list of str
        Columns that the user has added to the form.
    """
    where = query.conditions
    fields: list[Field] = []

    def add(label: str, key: str, column: str, value: Any) -> None:
        if column in faces.frame.columns and (value is not None or _has_choice(faces, column)):
            made = _field(label, key, faces.facet(column), value)
            fields.extend([made] if made else [])

    add("Gender", "gender", "gender_final", where.get("gender"))
    add("Ethnicity", "ethnicity", "ethnicity_final", where.get("ethnicity"))
    add("Age, years", "age_range", "age_final", where.get("age_range"))
    for name in faces.attributes:
        chosen = (where.get("attributes") or {}).get(name)
        add(name.replace("_", " ").capitalize(), f"attributes.{name}", f"{name}_final", chosen)
    if faces.facet(MAIN).low is not None:
        add("Score, decile", MAIN, MAIN, where.get(MAIN))
    for column in faces.columns:
        trait = column.removesuffix(DECILE)
        if column.endswith(DECILE) and faces.facet(column).low is not None:
            chosen = (where.get("score") or {}).get(trait)
            add(f"{trait.capitalize()}, decile", f"score.{trait}", column, chosen)
    if faces.facet("rating").low is not None:
        add("Raters' mean", "rating", "rating", where.get("rating"))
    fields += _clusters(faces, where.get("cluster"))
    further = where.get("columns") or {}
    for column in dict.fromkeys(["split", *further, *added]):
        if column in faces.columns:
            add(column, f"columns.{column}", column, further.get(column))
    return fields


def further_columns(faces: FacesTable, fields: list[Field]) -> list[str]:
    """Columns that may be added to the form."""
    there = {made.key for made in fields}
    return [
        name
        for name in faces.columns
        if name != "filename" and f"columns.{name}" not in there and faces.facet(name).has_values
    ]


def counts_of(query: Query, matched: dict[str, int], total: int) -> list[tuple[str, int]]:
    """How many faces are left after each condition, in words, in order."""
    words = {"all": "all faces", "flags": "without doubtful pictures", "search": "of that name"}
    words["area"] = "in that area of the map"
    counts = [(words.get(name, name.partition(".")[2] or name), n) for name, n in matched.items()]
    counts = [(_age_words(query) if name == "age_range" else name, n) for name, n in counts]
    if query.where.copies != KEEP and total != counts[-1][1] and not (query.words or query.area):
        counts.append(("one of each picture", total))
    return counts


def _age_words(query: Query) -> str:
    low, high = open_ends("age_range", query.conditions["age_range"])
    if not low + high:
        return "of known age"
    if not high:
        return f"{low} or older"
    return f"{low} to {high} years" if low else f"{high} or younger"


def _has_choice(faces: FacesTable, column: str) -> bool:
    """Whether a column tells faces apart: one where nothing is known does not."""
    facet = faces.facet(column)
    return facet.has_values and [name for name, _ in facet.classes] != [UNKNOWN]


def _field(label: str, key: str, facet: Facet, value: Any) -> Field | None:
    if facet.kind == "class":
        chosen = {str(one) for one in value} if isinstance(value, list) else {str(value)}
        options = [(name, name, f"{n:,}", name in chosen) for name, n in facet.classes]
        options += [
            (name, name, "0", True)
            for name in sorted(chosen)
            if value is not None and name not in dict(facet.classes)
        ]
        return Field(label, key, "classes", options)
    if facet.kind == "yes_no":
        chosen = value[0] if isinstance(value, list) else None
        options = [("1..1", "yes", "", chosen == 1), ("0..0", "no", "", chosen == 0)]
        return Field(label, key, "classes", options)
    if facet.kind == "number":
        given = value if isinstance(value, list) else []
        # A class, which was asked of numbers, is shown as it was typed: it finds nothing.
        low, high = open_ends(key, given) if len(given) == 2 else (", ".join(map(str, given)), "")
        hint = "" if facet.low is None else f"{facet.low:.4g} to {facet.high:.4g}"
        return Field(label, key, "range", low=low, high=high, hint=hint)
    texts = value if isinstance(value, list) else [value or ""]
    return Field(label, key, "text", low=str(texts[0]))


def _clusters(faces: FacesTable, chosen: list[int] | None) -> list[Field]:
    if "cluster" not in faces.frame.columns:
        return []
    counts = faces.frame["cluster"].dropna().astype(int).value_counts()
    wanted = set(chosen or [])
    numbers = sorted(counts.index)[:SHOWN_CLUSTERS]
    options = [(f"{one}", f"{one}", f"{counts[one]:,}", one in wanted) for one in numbers]
    return [Field("Cluster", "cluster", "classes", options)] if len(options) > 1 else []
