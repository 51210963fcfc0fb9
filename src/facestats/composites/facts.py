"""What a composite's JSON says: the same facts from the stage and from `make_composite`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from facestats.composites.averaging import Average
from facestats.groups.means import mean_rating

FEW = 10  # faces: in an average of fewer, single faces can be made out
NO_FACE = "no_face"  # of photos that `make_composite` was given; the pipeline has left them out long before


def composite_facts(
    average: Average, render: dict[str, Any], selection: dict[str, Any], ratings: pd.Series
) -> dict[str, Any]:
    """The content of `composite.json`.

    Parameters
    ----------
    render : the options as they were used.
    selection : what is known of how the members were found: any of `filter`, `matched`, `flagged`, `copies_left_out`, `relaxed`, `found`, `min_results`,
        `doubts`. Where
        fewer than `min_results` could be used, the composite counts as not built: it would be a portrait of these few.
    ratings : human rating by name of the members.

    Returns
    -------
    dict `built`, `why` (null, or why there is no picture), `note` (null, or that there are few members, and what is doubtful about the filter), `filter`, `matched`,
    `flagged` (how many were left out for each doubt about the picture), `copies_left_out` (faces), `relaxed`, `n`, `members` (those in the picture), `rating` (theirs), `render`,
    `left_out` (reason to names), `sharpness`.
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
        "why": None if built else "; ".join([why_not_built(average, selection), *doubts]),
        "note": "; ".join([*notes, *doubts]) or None if built else None,
        "filter": selection.get("filter"),
        "matched": selection.get("matched"),
        "flagged": selection.get("flagged", {}),
        "copies_left_out": selection.get("copies_left_out"),
        "relaxed": selection.get("relaxed", []),
        "n": len(used),
        "members": used,
        "rating": mean_rating(ratings.reindex(used)),
        "render": render,
        "left_out": average.left_out,
        "sharpness": average.sharpness if built else None,
    }


def why_not_built(average: Average, selection: dict[str, Any]) -> str:
    """Why there is no picture."""
    reasons = {
        NO_FACE: "without a face",
        "no_landmarks": "without landmarks, which align needs",
        "max_yaw": "turned further than max_yaw",
        "folded": "with triangles that fold over on the way to the mean shape",
    }
    left_out = [
        f"{len(names)} {reasons.get(reason, 'whose picture is doubtful')}"
        for reason, names in average.left_out.items()
    ]
    if left_out:
        number = (
            f"{len(average.used)} of at least {selection['min_results']} members"
            if average.used
            else "no member"
        )
        return f"{number} can be used: {', '.join(left_out)}"
    if "found" in selection:
        return (
            f"too few faces match the filter: {selection['found']} of at least {selection['min_results']}; "
            "`matched` says how many were left after each condition"
        )
    return "there are no members"
