"""What the report, the model card and `results` say of ages."""

from __future__ import annotations

from facestats.errors import number_of


def ages_said(ages: dict) -> list[str]:
    """Sentences, without their full stop, on whose age was not checked and who gets no score, out of `metrics/age_check.json`."""
    if ages["min_age"] is None:
        return ["nobody's age was checked, for score.min_age is null: children get scores, too"]
    said, unchecked, withheld = [], ages["checked"]["nothing"], sum(ages["withheld"].values())
    if unchecked:
        why = f": {ages['model']['why']}" if ages["model"]["why"] else ""
        said.append(
            f"the age of {unchecked} of {number_of(ages['faces'], 'face')} was not checked, so scores may be those of children{why}"
        )
    elif ages["model"]["why"]:
        said.append(
            f"the age of other photos is not checked, so scores of them may be those of children: {ages['model']['why']}"
        )
    if withheld:
        said.append(
            f"{withheld} of {number_of(ages['faces'], 'face')} {'gets' if withheld == 1 else 'get'} no score, for they may be under {ages['min_age']}"
        )
    return said
