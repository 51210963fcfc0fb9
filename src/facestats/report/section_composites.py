"""Sections on composites, continua and differences."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from facestats.core.files import read_json
from facestats.errors import number_of
from facestats.groups.params import Filter
from facestats.report.blocks import FACE, Block, Figure, Fold, Gallery, Paragraph, Section, table
from facestats.report.material import Material
from facestats.report.prose import prose
from facestats.report.text import as_plain, measured, number

# Pixels of the long side, bytes of all pictures of a kind together, and of one at most: with many
# composites each gets less, and the page stays small enough to send.
FACES = 400, 800_000, 40_000
SHEETS = 800, 1_300_000, 120_000
STRIPS = 1400, 500_000, 90_000
MAPS = 1400, 700_000, 120_000
# Conditions of a filter with two ends; the others name classes or clusters.
RANGES = ("age_range", "attractiveness")
# Keys of a filter that say nothing about who is in the composite, and what goes without saying.
NO_CONDITIONS = ("n", "seed", "min_results", "on_few", "relax", "originals")
DEFAULT = Filter().model_dump(include={"flags", "copies"})
LEFT_OUT = {
    "no_landmarks": "without landmarks",
    "max_yaw": "turned too far (max_yaw)",
    "folded": "with triangles that fold over",
}


def composites(material: Material) -> Section:
    """Average faces, who is in them and how they are drawn."""
    names = material.params.composites
    figures, sheets, rows = [], [], []
    for name in names:
        folder = material.composites / name
        composite = read_json(folder / "composite.json")
        group, n = _filter_text(composite["filter"]), number_of(composite["n"], "face")
        rating = measured(composite.get("rating"), 1)
        rows.append([name, as_plain(group), composite["n"], rating, as_plain(_drawn(composite))])
        if not composite["built"]:
            figures.append(_not_built(name, composite))
            continue
        note = f"; {composite['note']}" if composite["note"] else ""
        figures.append(
            Figure(
                folder / "composite.jpg",
                f"Average face of {n}; {group}",
                f"**{name}**: {n}{as_plain(note, own=True)}",
                FACE,
                _size(FACES, names),
            )
        )
        if material.params.report.images:
            sheets.append(_members(name, composite, folder / "members.jpg", _size(SHEETS, names)))
    head = ["name", "filter", "faces", "mean rating", "drawn"]
    blocks = prose(
        "composites",
        figures=Gallery(figures, of="faces") if figures else None,
        table=table("Composites: who is in them", head, rows),
        sheets=sheets,
    )
    return Section("composites", "Composites", blocks)


def continua(material: Material) -> Section:
    """Pictures from one composite to another."""
    return _pairs(material, "continua", "continuum", material.params.continua, STRIPS)


def differences(material: Material) -> Section:
    """Where composites differ."""
    return _pairs(material, "differences", "difference", material.params.differences, MAPS)


def _pairs(
    material: Material, key: str, kind: str, names: Collection[str], size: tuple[int, int, int]
) -> Section:
    pairs = []
    for name in names:
        pair = read_json(material.composites / name / f"{kind}.json")
        if not pair["built"]:
            pairs.append((name, _not_built(name, pair), ""))
            continue
        words = (
            f"from {pair['from']['name']} to {pair['to']['name']} in {pair['steps']} pictures"
            if kind == "continuum"
            else f"{pair['of']['name']} minus {pair['minus']['name']}"
        )
        path = material.composites / name / f"{kind}.jpg"
        alt = f"{kind.capitalize()} {words}"
        figure = Figure(path, alt, as_plain(words), FACE, _size(size, names), wide=True)
        pairs.append((name, figure, _numbers(pair) if kind == "difference" else ""))
    return Section(key, key.capitalize(), prose("pairs", key=key, pairs=pairs))


def _numbers(difference: dict) -> Fold:
    """What the map of a difference shows, in numbers."""
    colour, shape = difference["colour"], difference["shape"]
    rows = [
        [part, *(number(shift[key], 1) for key in ("right", "down", "root_mean_square"))]
        for part, shift in shape["parts"].items()
    ]
    blocks: list[Block] = [
        Paragraph(
            f"Colour: {colour['measure']}. Mean {number(colour['mean'], 1)}, largest "
            f"{number(colour['largest'], 1)}. {difference['chance']}"
        ),
        table(
            f"Shape: {shape['measure']}",
            ["part of the face", "to the right", "down", "root mean square"],
            rows,
        ),
    ]
    return Fold("In numbers", blocks)


def _members(name: str, composite: dict, path: Path, size: tuple[int, int]) -> Fold:
    hidden = composite["sheet"]["not_shown"]
    sheet = Figure(path, f"Faces that are averaged in {name}", "", FACE, size)
    more = [Paragraph(f"And {hidden} more.")] if hidden else []
    return Fold(f"Who is in {name}: {number_of(composite['n'], 'face')}", [sheet, *more])


def _not_built(name: str, content: dict) -> Figure:
    return Figure(None, f"not built: {content['why']}", f"**{name}**", FACE)


def _filter_text(options: dict) -> str:
    """A filter in words."""
    conditions = {
        key: value
        for key, value in options.items()
        if key not in NO_CONDITIONS and value != DEFAULT.get(key)
    }
    return (
        "; ".join(f"{key}: {_condition_text(key, value)}" for key, value in conditions.items())
        or "everybody"
    )


def _condition_text(condition: str, value: Any) -> str:
    """What a condition asks for: `55 to 100`, `female`, `asian or white`, `glasses with`."""
    if condition in RANGES or (condition != "cluster" and _is_range(value)):
        low, high = (end if isinstance(end, str) else f"{end:g}" for end in value)
        return low if low == high else f"{low} to {high}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_condition_text(name, inner)}" for name, inner in value.items())
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)


def _is_range(value: Any) -> bool:
    """Whether these are two ends, as numbers or quantiles (`q0.8`), and no classes."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(not isinstance(end, str) or re.fullmatch(r"q[\d.]+", end) for end in value)
    )


def _drawn(composite: dict) -> str:
    if not composite["built"]:
        return f"not built: {composite['why']}"
    widened = "".join(
        f"; {step['condition']} {_condition_text(step['condition'], step['from'])} "
        + (
            "dropped"
            if step["to"] is None
            else f"widened to {_condition_text(step['condition'], step['to'])}"
        )
        for step in composite["relaxed"]
    )
    out = "".join(
        f"; {len(names)} left out, {LEFT_OUT.get(reason, reason)}"
        for reason, names in composite["left_out"].items()
    )
    return f"{composite['render']['align']}, {composite['render']['space']}{widened}{out}"


def _size(kind: tuple[int, int, int], names: Collection[str]) -> tuple[int, int]:
    """Pixels of the long side and bytes of one of so many pictures."""
    side, of_all, of_one = kind
    return side, min(of_one, of_all // len(names))
