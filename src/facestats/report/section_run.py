"""The report's sections on what was run, what came in, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from facestats.core.files import read_json
from facestats.core.layout import REJECTED_INDEX
from facestats.errors import number_of
from facestats.report.ages import ages_said
from facestats.report.album import Album
from facestats.report.blocks import (
    Block,
    Details,
    Gallery,
    Heading,
    Picture,
    Rows,
    Section,
    Text,
    from_card,
)
from facestats.report.card_figures import as_plain, figure
from facestats.report.card_groups import clear_gaps
from facestats.report.card_scores import anything_measured, capital, verdicts_said
from facestats.report.material import Material, without_folder
from facestats.report.model_card import ages_checked, limits_of, misuses, models, photos_and_labels

REASONS = 100  # lines of the table; reasons hold sizes of images, so there may be many


def opening(material: Material) -> Section:
    """The whole in a few sentences."""
    run, faces = material.run, material.faces
    accepted = int((faces["status"] == "ok").sum())
    prompts = (
        [f"**{capital(material.doubts['zeroshot'])}.**"] if "zeroshot" in material.doubts else []
    )
    said = [
        *verdicts_said(run.attractiveness),
        *prompts,
        f"{_photos(len(faces))} came in; {accepted} {'gives a face' if accepted == 1 else 'give a face'}, "
        f"{len(faces) - accepted} {'is' if len(faces) - accepted == 1 else 'are'} left out.",
    ]
    if run.drawn:
        said.append(
            "The faces are **drawn** by the package itself: they show no people, and their ratings and labels are simulated."
        )
    rated = run.attractiveness
    if not anything_measured(rated):
        said.append(
            f"How well scores agree with raters is not measured: {run.training.get('why') or rated['why']}."
        )
    else:
        test, without = rated["test"], rated["why"]
        if without:
            said.append(
                f"The holistic score is not measured: {run.training.get('why') or without}."
            )
        name, model = ("geometric", "geometric") if without else ("holistic", "mlp")
        combined = (
            f"the combined one with {figure(test['combined']['pearson'])}, "
            if test["combined"]["pearson"]["value"] is not None
            else ""
        )
        ceiling = rated["reliability"]["ceiling"]
        most = (
            f" No model can expect more than {figure(ceiling)}, for raters disagree."
            if ceiling["value"] is not None
            else ""
        )
        said.append(
            f"On {test['n']} rated test faces, which no model was trained or chosen on, the {name} score agrees with the raters' mean with r = "
            f"{figure(test[model]['pearson'])} and R² = {figure(test[model]['r2'])}, {combined}ridge regression with {figure(test['ridge']['pearson'])}.{most} In brackets: 95 % intervals."
        )
    said += [f"**{capital(text)}.**" for text in ages_said(run.age_check)]
    said += [clear] if (clear := clear_gaps(run.fairness)) else []
    return Section("summary", "In short", [Text(part) for part in said])


def cautions(material: Material) -> Section:
    """What the scores are not."""
    shown = (
        "Pictures of faces are left out (`report.images: false`); names of files are not."
        if not material.params.report.images
        else "This page holds pictures of faces. Send it only to people who may see them."
    )
    return Section(
        "cautions",
        "What the scores are not",
        [
            *from_card(misuses(material.run)),
            Heading("Who gets no score"),
            *from_card(ages_checked(material.run), "What the age check withholds and misses"),
            Details(
                "Limits of what was measured",
                from_card(["\n".join(f"- {limit}" for limit in limits_of(material.run))]),
            ),
            Text(shown),
        ],
    )


def what_was_run(material: Material) -> Section:
    rows = [
        as_plain([name, value]) for name, value in _flat(material.params.model_dump(by_alias=True))
    ]
    return Section(
        "run",
        "What was run",
        [
            *from_card(models(material.run), "Models"),
            Details(
                f"All {len(rows)} parameters",
                [Rows("Parameters, as params.yaml has them", ["parameter", "value"], rows)],
            ),
        ],
    )


def _doubled(faces: pd.DataFrame) -> str:
    """How many photos show several faces or a picture that is there already; empty where none does."""
    several, same, alike = (
        (faces["face_count"] > 1).sum(),
        *(faces[name].notna().sum() for name in ("duplicate_of", "near_duplicate_of")),
    )
    said = []
    if several:
        said.append(
            f"{number_of(several, 'photo')} {'shows' if several == 1 else 'show'} several faces; the largest was used."
        )
    if same:
        said.append(
            f"{number_of(same, 'file')} {'is' if same == 1 else 'are'} the same, byte for byte, as another one."
        )
    if alike:
        said.append(
            f"{number_of(alike, 'photo')} {'is a copy' if alike == 1 else 'are copies'} of another one: resized, edited, mirrored, or in another "
            "format. All copies of a picture are in one split, and a composite takes one of them."
        )
    return " ".join(said)


def what_came_in(material: Material, album: Album) -> Section:
    faces = material.faces
    out = faces[faces["status"] != "ok"]
    blocks: list[Block] = from_card(photos_and_labels(material.run))
    if kept := _doubled(faces):
        blocks.append(Text(kept))
    if out.empty:
        return Section("photos", "What came in", [*blocks, Text("No photo was left out.")])
    counts = (
        out["reason"]
        .value_counts()
        .rename_axis("reason")
        .reset_index(name="photos")
        .sort_values(["photos", "reason"], ascending=[False, True])
    )
    rows = [
        [as_plain(reason), str(n)] for reason, n in counts.head(REASONS).itertuples(index=False)
    ]
    blocks.append(
        Rows(f"{len(out)} of {_photos(len(faces))} left out, and why", ["reason", "files"], rows)
    )
    if len(counts) > REASONS:
        blocks.append(Text(f"And {len(counts) - REASONS} more reasons; `faces.parquet` has all."))
    index = read_json(material.rejected / REJECTED_INDEX, list)
    blocks.append(Gallery([_left_out(row, material, album) for row in index]))
    if len(out) > len(index):
        blocks.append(Text(f"And {len(out) - len(index)} more."))
    return Section("photos", "What came in", blocks)


def _left_out(row: dict, material: Material, album: Album) -> Picture:
    caption = as_plain(f"{row['image']}: {row['reason']}")
    if row["picture"] is None:
        return Picture(None, "can't be shown", caption)
    return album.thumbnail(
        material.rejected / row["picture"], f"Photo that was left out: {row['reason']}", caption
    )


def _photos(n: int) -> str:
    return f"{n} {'file' if n == 1 else 'files'}"


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and what they are set to; a path outside of the project without its folders."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, str):
        yield name, without_folder(value)
    else:
        yield name, json.dumps(value, ensure_ascii=False)
