"""A composite's folder, as the stage `composite` writes it; `make_composite` has the same facts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from facestats.composites.averaging import Average
from facestats.composites.finish import finished, on_white, png
from facestats.composites.params import Render
from facestats.composites.templates import mesh_template, write_template
from facestats.core.figures.sheets import MOST, contact_sheet, fitting_jpeg
from facestats.core.files import write_bytes, write_image, write_json
from facestats.core.stats.means import mean_rating
from facestats.errors import InputError

FEW = 10  # faces: in an average of fewer, single faces can be made out
WITHOUT_FACE = "no_face"  # only in `make_composite`: in the pipeline, such photos are rejected
_LEFT_OUT = {
    WITHOUT_FACE: "without a face",
    "no_landmarks": "without landmarks, which align needs",
    "max_yaw": "turned further than max_yaw",
    "folded": "with triangles that fold over on the way to the mean shape",
}


def composite_facts(
    average: Average,
    render: dict[str, Any],
    selection: dict[str, Any],
    ratings: pd.Series,
    persons: pd.Series | None = None,
) -> dict[str, Any]:
    """Collect what `composite.json` holds.

    Parameters
    ----------
    average : Average
    render : dict
        The options as they were used.
    selection : dict
        How the members were chosen: any of `filter`, `matched`, `flagged`, `copies_left_out`,
        `relaxed`, `found`, `min_results`, `doubts`. Where fewer than `min_results` (default: 1)
        could be used, the composite counts as not built: it would be a portrait of these few.
    ratings : Series
        Human rating by name of the members.
    persons : Series, optional
        Whose face each member is, by name. By default each face is somebody else's.

    Returns
    -------
    dict
        `built`, `why` (why there is no picture, or null), `note` (that there are few members, and
        what is doubtful about the filter, or null), `filter`, `matched`, `flagged` (number left
        out for each doubt about the picture), `copies_left_out` (number of faces), `relaxed`, `n`,
        `members` (those in the picture), `rating` (theirs), `render`, `left_out` (names by
        reason), `sharpness`.
    """
    built = len(average.used) >= selection.get("min_results", 1) and average.image is not None
    used = average.used if built else []
    doubts = selection.get("doubts", [])
    notes = (
        [f"an average of fewer than {FEW} faces shows these people rather than a group"]
        if len(used) < FEW
        else []
    )
    return {
        "built": built,
        "why": None if built else "; ".join([_why_not_built(average, selection), *doubts]),
        "note": "; ".join([*notes, *doubts]) or None if built else None,
        "filter": selection.get("filter"),
        "matched": selection.get("matched"),
        "flagged": selection.get("flagged", {}),
        "copies_left_out": selection.get("copies_left_out"),
        "relaxed": selection.get("relaxed", []),
        "n": len(used),
        "members": used,
        "rating": mean_rating(
            ratings.reindex(used), None if persons is None else persons.reindex(used)
        ),
        "render": render,
        "left_out": average.left_out,
        "sharpness": average.sharpness if built else None,
    }


def _why_not_built(average: Average, selection: dict[str, Any]) -> str:
    left_out = [
        f"{len(names)} {_LEFT_OUT.get(reason, 'whose picture is doubtful')}"
        for reason, names in average.left_out.items()
    ]
    if left_out:
        usable = (
            f"{len(average.used)} of at least {selection['min_results']} members"
            if average.used
            else "no member"
        )
        return f"{usable} can be used: {', '.join(left_out)}"
    if "found" in selection:
        return (
            f"too few faces match the filter: {selection['found']} of at least "
            f"{selection['min_results']}; `matched` says how many were left after each condition"
        )
    return "there are no members"


def warnings_of(composite: dict[str, Any], name: str, chosen: int) -> list[str]:
    """Say why a composite was not built, or what is doubtful about it.

    Parameters
    ----------
    composite : dict
        As `composite_facts` returns them.
    name : str
        Such as `composites.women`.
    chosen : int
        Number of members. Where there are none, the stage `select` has warned.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        It was not built although members were chosen, and the filter says `on_few: error`.
    """
    if composite["built"] or not chosen:
        return [f"{name}: {composite['note']}"] if composite["note"] else []
    if composite["filter"].get("on_few") == "error":
        raise InputError(
            f"{name}: {composite['why']}. Widen the filter, lower min_results, or set on_few: skip"
        )
    return [f"{name} is not built: {composite['why']}"]


def finish(average: Average, render: dict[str, Any], bits: int = 8) -> np.ndarray:
    """The codes of an average, with its mask; see `finish.finished`."""
    assert average.values is not None
    cut = (render["space"], average.shape, render["mask"], render["background"])
    return finished(average.values, *cut, bits)


def preview(average: Average, render: dict[str, Any]) -> np.ndarray:
    """RGB codes of an average, with its mask, on white where it is transparent."""
    if render["mask"] == "none" and average.image is not None:
        return average.image
    return on_white(finish(average, render))


def write_composite(
    out: Path, name: str, average: Average, composite: dict[str, Any], faces: Path, scores: Path
) -> None:
    """Write `composite.json`; where it was built, `composite.jpg`, `members.jpg`, the mean shape.

    With `format: png` or `png16`, `composite.png` as well. The shape is `shape.npy`, and
    `composite.tem` for webmorph.

    Parameters
    ----------
    out : Path
        The composite's folder.
    name : str
        As in `params.yaml`.
    average : Average
    composite : dict
        As `composite_facts` returns them.
    faces : Path
        Folder of the members' crops.
    scores : Path
        `scores.json` of the members. Scores change with every training, for which nothing should
        be drawn again, so the composite only names the file.
    """
    if composite["built"] and average.image is not None:
        render = Render().model_dump() | composite["render"]
        write_image(out / "composite.jpg", Image.fromarray(preview(average, render)))
        if render["format"] != "jpg":
            bits = 16 if render["format"] == "png16" else 8
            write_bytes(out / "composite.png", png(finish(average, render, bits)))
        sheet = contact_sheet([faces / face for face in average.used])
        write_bytes(out / "members.jpg", fitting_jpeg(sheet))
        if average.shape is not None:
            buffer = io.BytesIO()
            np.save(buffer, average.shape)
            write_bytes(out / "shape.npy", buffer.getvalue())
            height, width = average.image.shape[:2]
            write_template(out / "composite.tem", mesh_template(average.shape, width, height))
    shown = min(composite["n"], MOST)
    write_json(
        out / "composite.json",
        {
            "name": name,
            **composite,
            "sheet": {"shown": shown, "not_shown": composite["n"] - shown},
            "scores_in": scores.as_posix(),
        },
    )
