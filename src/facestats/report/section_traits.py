"""The section on several traits and on groups of raters; without them, there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from facestats.report.blocks import Block, Figure, Gallery, Heading, Section, Table, plot, table
from facestats.report.material import Material, Run
from facestats.report.prose import prose
from facestats.report.text import NOT_MEASURED, as_plain, measured, number

TITLE = "Several traits, several raters"
MODELS = {
    "mlp": "holistic, r",
    "geometric": "geometric, r",
    "combined": "combined, r",
    "ridge": "ridge regression, r",
}
SCATTER = (
    "Scatter plots, one a trait: rating predicted by models that had not seen a face against the "
    "mean of the human ratings"
)
SHOWN = 6  # faces at either end of a trait's scores


def traits(run: Run) -> Section | None:
    """Figures by trait, one row each, and groups of raters beside each other."""
    blocks = _figures(run)
    return Section("traits", TITLE, blocks, folded=True) if blocks else None


def traits_with_faces(material: Material) -> Section | None:
    """The same, with the faces that score highest and lowest on each trait."""
    blocks = _figures(material.run)
    if not blocks:
        return None
    for trait in material.run.traits if material.params.report.images else ():
        blocks += _ends(trait, material)
    return Section("traits", TITLE, blocks, folded=True)


def _figures(run: Run) -> list[Block]:
    by_trait = [*_rows(run.traits)]
    groups = [*_group_rows(run)]
    if not by_trait and not groups:
        return []
    head = ["trait", "faces", *MODELS.values(), "reliability of the mean rating"]
    return prose(
        "traits",
        table=table("Scores by trait", head, by_trait) if by_trait else None,
        test_only=[f"`{name}`" for name, one in run.traits.items() if one["crossvalidated"]["why"]],
        scatter=plot(run.metrics / "plots/traits.png", SCATTER) if by_trait else None,
        groups=_groups(groups) if groups else None,
    )


def _rows(figures: dict[str, Any]) -> Iterator[list[str]]:
    for name, trait in figures.items():
        held_out = trait["crossvalidated"]
        best = trait["test"] if held_out["why"] else held_out
        yield [
            f"`{name}`",
            number(best["n"], 0),
            *(_r(best[model]["pearson"]) for model in MODELS),
            measured(trait["reliability"]["split_half"]),
        ]
        for group, own in trait["gender"].items():
            cells = (_r(own.get(model, {}).get("pearson")) for model in MODELS)
            yield [f"… {as_plain(group)}", number(own["n"], 0), *cells, ""]


def _r(figure: dict | None) -> str:
    return measured(figure) if figure else NOT_MEASURED


def _group_rows(run: Run) -> Iterator[list[str]]:
    """One row a trait, column and pair of groups."""
    further = run.labels.get("traits", {}) if run.traits else {}
    places = {
        name: (
            run.labels if not place else further.get(name, {}),
            run.traits[name] if run.traits else run.attractiveness,
        )
        for place, name in enumerate(run.traits or [""])
    }
    for name, (rated, scored) in places.items():
        for column, agreement in rated.get("rater_groups", {}).items():
            own = scored.get("rater_groups", {}).get(column, {}).get("holistic", {})
            scores = {tuple(pair["groups"]): pair["difference"] for pair in own.get("pairs", ())}
            for pair in agreement["pairs"]:
                first, second = pair["groups"]
                what = f"`{column}`: {first} and {second}"
                yield [
                    f"`{name}`, {what}" if name else what,
                    number(pair["n_faces"], 0),
                    measured(pair["difference"]),
                    measured(pair["r"]),
                    measured(pair["r_corrected"]),
                    *(_r(own.get("groups", {}).get(group)) for group in pair["groups"]),
                    _r(scores.get((first, second))),
                ]


def _groups(rows: list[list[str]]) -> Table:
    head = [
        "groups",
        "faces",
        "difference of means, first minus second",
        "r of their means",
        "… with any number of raters",
        "holistic score and the first, r",
        "… and the second",
        "difference of r",
    ]
    return table("Groups of raters", head, rows)


def _ends(trait: str, material: Material) -> list[Block]:
    """The faces with the lowest and the highest scores."""
    column, final = f"{trait}_score", material.final
    if column not in final:
        return []
    scored = final[final[column].notna() & (final["copy_rank"] == 1)]
    scored = scored.sort_values([column, "filename"])
    if scored.empty:
        return []
    parts: list[Block] = []
    for name, rows in (("lowest", scored.head(SHOWN)), ("highest", scored.tail(SHOWN))):
        figures = [
            Figure(
                material.crops.source(filename),
                f"Face {filename}: {trait} {value:.0f}",
                f"{value:.0f}",
            )
            for filename, value in zip(rows["filename"], rows[column], strict=True)
        ]
        parts += [Heading(f"{trait}: {name} holistic scores"), Gallery(figures)]
    return parts
