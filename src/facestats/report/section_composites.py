"""The report's sections on composites, continua and differences."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from facestats.core.files import read_json
from facestats.errors import number_of
from facestats.report.album import Album
from facestats.report.blocks import Block, Details, Gallery, Heading, Picture, Rows, Section, Text
from facestats.report.card_figures import as_plain, figure, number
from facestats.report.material import Material

# Bytes of all pictures of a kind together, and of one at most: with many composites each gets less, and the page stays small enough to send.
FACES = 400, 800_000, 40_000  # px, bytes of all, bytes of one
SHEETS = 800, 1_600_000, 120_000
STRIPS = 1400, 500_000, 90_000
MAPS = 1400, 700_000, 120_000
RANGES = (
    "age_range",
    "attractiveness",
)  # conditions of a filter with two ends; the others name classes or clusters
LEFT_OUT = {
    "no_landmarks": "without landmarks",
    "max_yaw": "turned too far (max_yaw)",
    "folded": "with triangles that fold over",
}


def composites(material: Material, album: Album) -> Section:
    names = material.params.composites
    if not names:
        return Section(
            "composites", "Composites", [Text("None is asked for (`composites` in `params.yaml`).")]
        )
    blocks: list[Block] = [
        Text(
            "Average faces of groups. An average shows what is common to those who are in it, and nobody among them."
        )
    ]
    pictures, sheets, rows = [], [], []
    for name in names:
        folder, facts = (
            material.composites / name,
            read_json(material.composites / name / "composite.json"),
        )
        rows.append(
            [
                name,
                as_plain(_chosen(facts["filter"])),
                str(facts["n"]),
                figure(facts.get("rating"), 1),
                _drawn(facts),
            ]
        )
        if not facts["built"]:
            pictures.append(_not_built(name, facts))
            continue
        group = _chosen(facts["filter"])
        pictures.append(
            album.face(
                folder / "composite.jpg",
                f"Average face of {number_of(facts['n'], 'face')}; {group}",
                f"**{name}**: {number_of(facts['n'], 'face')}{f'; {note}' if (note := facts['note']) else ''}",
                *_limits(FACES, names),
            )
        )
        if album.faces:
            sheets.append(
                _members(
                    name,
                    facts,
                    album.face(
                        folder / "members.jpg",
                        f"Faces that are averaged in {name}",
                        "",
                        *_limits(SHEETS, names),
                    ),
                )
            )
    return Section(
        "composites",
        "Composites",
        [
            *blocks,
            Gallery(pictures, of="faces"),
            Rows(
                "Composites: who is in them",
                ["name", "filter", "faces", "mean rating", "drawn"],
                rows,
            ),
            *sheets,
        ],
    )


def continua(material: Material, album: Album) -> Section:
    return _pairs(
        "continua",
        "Continua",
        "continuum",
        material.params.continua,
        STRIPS,
        material,
        album,
        lambda facts: (
            f"from {facts['from']['name']} to {facts['to']['name']} in {facts['steps']} pictures"
        ),
        lambda facts: [],
    )


def differences(material: Material, album: Album) -> Section:
    return _pairs(
        "differences",
        "Differences",
        "difference",
        material.params.differences,
        MAPS,
        material,
        album,
        lambda facts: f"{facts['of']['name']} minus {facts['minus']['name']}",
        _numbers,
    )


def _pairs(
    key: str,
    title: str,
    kind: str,
    names: Collection[str],
    limits: tuple[int, int, int],
    material: Material,
    album: Album,
    said: Callable[[dict], str],
    more: Callable[[dict], list[Block]],
) -> Section:
    blocks: list[Block] = []
    for name in names:
        facts = read_json(material.composites / name / f"{kind}.json")
        blocks.append(Heading(name))
        if facts["built"]:
            words = said(facts)
            shown = album.face(
                material.composites / name / f"{kind}.jpg",
                f"{kind.capitalize()} {words}",
                words,
                *_limits(limits, names),
            )
            blocks += [replace(shown, wide=True), *more(facts)]
        else:
            blocks.append(_not_built(name, facts))
    return Section(key, title, blocks or [Text(f"None is asked for (`{key}` in `params.yaml`).")])


def _numbers(facts: dict) -> list[Block]:
    """What the map of a difference shows, in numbers."""
    colour, shape = facts["colour"], facts["shape"]
    rows = [
        [part, *(number(found[key], 1) for key in ("right", "down", "root_mean_square"))]
        for part, found in shape["parts"].items()
    ]
    return [
        Text(
            f"Colour: {colour['measure']}. Mean {number(colour['mean'], 1)}, largest {number(colour['largest'], 1)}. {facts['chance']}"
        ),
        Rows(
            f"Shape: {shape['measure']}",
            ["part of the face", "to the right", "down", "root mean square"],
            rows,
        ),
    ]


def _members(name: str, facts: dict, sheet: Picture) -> Details:
    hidden = facts["sheet"]["not_shown"]
    return Details(
        f"Who is in {name}: {number_of(facts['n'], 'face')}",
        [sheet, *([Text(f"And {hidden} more.")] if hidden else [])],
    )


def _not_built(name: str, facts: dict) -> Picture:
    return Picture(None, f"not built: {facts['why']}", f"**{name}**")


def _chosen(wanted: dict) -> str:
    """A filter in words; how many are wanted and what happens with few says nothing about who is in it."""
    conditions = {
        key: value
        for key, value in wanted.items()
        if key not in ("n", "seed", "min_results", "on_few", "relax")
    }
    return (
        "; ".join(f"{key}: {_said(key, value)}" for key, value in conditions.items()) or "everybody"
    )


def _said(condition: str, value: Any) -> str:
    """What a condition asks for: `55 to 100`, `female`, `asian or white`, `glasses with`."""
    if condition in RANGES:
        low, high = value
        return f"{low:g}" if low == high else f"{low:g} to {high:g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(name, inner)}" for name, inner in value.items())
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)


def _drawn(facts: dict) -> str:
    if not facts["built"]:
        return f"not built: {facts['why']}"
    widened = "".join(
        f"; {step['condition']} {_said(step['condition'], step['from'])} "
        + (
            "dropped"
            if step["to"] is None
            else f"widened to {_said(step['condition'], step['to'])}"
        )
        for step in facts["relaxed"]
    )
    out = "".join(
        f"; {len(names)} left out, {LEFT_OUT.get(reason, reason)}"
        for reason, names in facts["left_out"].items()
    )
    return f"{facts['render']['align']}, {facts['render']['space']}{widened}{out}"


def _limits(kind: tuple[int, int, int], names: Collection[str]) -> tuple[int, int]:
    """Pixels of the long side and bytes of one of so many pictures."""
    side, of_all, of_one = kind
    return side, min(of_one, of_all // len(names))
