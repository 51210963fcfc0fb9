"""The model card's figures of the scores: holistic, geometric, combined, and what they must beat."""

from __future__ import annotations

from math import isfinite

from facestats.core.stats.verdict import doubts_of_scores
from facestats.report.card_figures import NOT_MEASURED, beyond_chance, figure, number, table

MEASURES = {
    "pearson": "r",
    "spearman": "rank correlation",
    "mae": "mean absolute error",
    "rmse": "RMSE",
    "r2": "R²",
}
CORRELATIONS = ("pearson", "spearman")
GEOMETRIC = ("geometric", "combined", "combined_60_40", "combined_learned", "geometry_zscore")
NO_UNIT = "–"


def weights_said(weights: dict) -> str:
    """`60 % geometric, 40 % holistic`."""
    return ", ".join(
        f"{number(100 * weights[name], 0)} % {name}" for name in ("geometric", "holistic")
    )


def agreement_with_raters(rated: dict, scale: list[float]) -> list[str]:
    """Paragraphs on how far each score agrees with the raters, out of `metrics/attractiveness.json` where something was measured."""
    without = [f"The holistic score is {NOT_MEASURED}: {rated['why']}."] if rated["why"] else []
    test, known = rated["test"], _measured(rated)
    rows = [
        [said, *(_agreement(test[name], key, name) for key in MEASURES)]
        for name, said in _models(rated).items()
    ]
    left = (
        f" {test['n_left_out']} more are left out: not every model has a prediction for them."
        if test["n_left_out"]
        else ""
    )
    said = [
        f"On {test['n']} rated test faces, the same for every line; errors in the raters' unit, {scale[0]:g} to {scale[1]:g}.{left} r is "
        "the correlation with the mean rating: 1 is perfect, 0 is none. Ridge regression sees the same embeddings as the "
        "holistic score.",
        table(["", *MEASURES.values()], rows),
    ]
    mine, ridge = test["mlp"]["pearson"], test["ridge"]["pearson"]
    if (
        mine["value"] is not None
        and ridge["value"] is not None
        and ridge["low"] < mine["value"] < ridge["high"]
    ):
        said.append(
            "By r, the regressor and ridge regression can't be told apart on so many faces."
        )
    said += _blends(rated, known) if "combined" in known else [_no_blend(rated, known)]
    return [*verdicts_said(rated), *without, *said, *_zscore(test, known), *_reach(test["mlp"])]


def verdicts_said(rated: dict) -> list[str]:
    """A paragraph in bold on each score that says nothing, or is not shown to."""
    return [f"**{capital(text)}.**" for text in doubts_of_scores(rated)]


def anything_measured(rated: dict) -> bool:
    """Whether some score was held against ratings: without a regressor, the geometric one may have been."""
    return not rated["why"] or bool(_measured(rated))


def _measured(rated: dict) -> list[str]:
    return [
        name
        for name in GEOMETRIC
        if rated["test"][name]["pearson"]["low"] is not None
        or rated["test"][name]["mae"]["value"] is not None
    ]


def _models(rated: dict) -> dict[str, str]:
    """The lines of the table: what each model is called."""
    names = {"mlp": "holistic score: this regressor"} if not rated["why"] else {}
    names["geometric"] = "geometric score"
    known, weights = _measured(rated), rated["weights"]
    if "combined" in known:
        names["combined"] = f"combined score: {weights_said(weights['combined'])}"
        if weights["combined"]["learned"]:
            names["combined_60_40"] = "… 60 % geometric, 40 % holistic"
        elif "combined_learned" in known:
            names["combined_learned"] = (
                f"… weights learned from {weights['combined_learned']['n_val']} val faces: {weights_said(weights['combined_learned'])}"
            )
    elif "combined_60_40" in known:
        names["combined_60_40"] = (
            "60 % geometric, 40 % holistic, in the place of weights that could not be learned"
        )
    names |= {
        "geometry_zscore": "mean of z-scores (symmetry, golden ratio), nothing learned",
        "ridge": "ridge regression",
        "mean": "the mean rating, always",
    }
    return {name: said for name, said in names.items() if name not in GEOMETRIC or name in known}


def _agreement(figures: dict, key: str, model: str) -> str:
    if model == "geometry_zscore" and key not in CORRELATIONS:
        return NO_UNIT
    if (
        key in CORRELATIONS
        and figures[key]["value"] is None
        and figures["mae"]["value"] is not None
    ):
        return "none: always the same"
    return figure(figures[key], 2 if key in (*CORRELATIONS, "r2") else 1)


def _blends(rated: dict, known: list[str]) -> list[str]:
    said, weights = [_blend("the combined score", rated, "combined")], rated["weights"]
    if "combined_learned" in known and not weights["combined"]["learned"]:
        said.append(_blend("a combined score with learned weights", rated, "combined_learned"))
    elif weights["combined_learned"]["why"]:
        said.append(
            f"What weights would fit the ratings best is {NOT_MEASURED}: {weights['combined_learned']['why']}."
        )
    return said


def _blend(name: str, rated: dict, model: str) -> str:
    """Whether a combined score is better than the holistic one alone, by r and by its error."""
    if rated["weights"][model]["geometric"] == 0:  # a difference would be rounding
        return f"{capital(name)} is the holistic score: the geometric one has no share in it."
    r, error = (
        rated["test"][model]["minus_mlp"]["pearson"],
        rated["test"][model]["minus_mlp"]["mae"],
    )
    if r["low"] is None or not isfinite(r["low"]):
        return f"By r, {name} can't be compared with the holistic score alone: one of them is always the same."
    shown = f"difference of r {figure(r)}, of the mean absolute error {figure(error, 1)} (below 0: it is closer to the ratings than the holistic score)"
    if not beyond_chance(r):
        side = "higher" if r["value"] > 0 else "lower"
        said = f"r of {name} is {side} than that of the holistic score alone, but chance could do that on so many faces: {shown}."
    elif r["value"] > 0:
        said = f"{capital(name)} follows the raters better than the holistic score alone: {shown}."
    else:
        said = (
            f"**{capital(name)} follows the raters worse than the holistic score alone**: {shown}."
        )
    return f"{said} **Its error is larger, beyond chance.**" if error["low"] > 0 else said


def capital(name: str) -> str:
    """A sentence's first letter as a capital."""
    return name[0].upper() + name[1:]


def _no_blend(rated: dict, known: list[str]) -> str:
    weights = rated["weights"]["combined"]
    why = (
        weights["why"]
        if weights and weights["why"]
        else "fewer than half of the rated test faces have one"
    )
    what = (
        "The combined score was"
        if "geometric" in known
        else "The geometric and the combined score were"
    )
    return f"{what} {NOT_MEASURED}: {why}."


def _zscore(test: dict, known: list[str]) -> list[str]:
    if "geometry_zscore" not in known:
        return []
    r = test["geometry_zscore"]["pearson"]
    said = (
        "A mean of z-scores with the golden ratio in it is what is usually made of such measurements. It learns nothing from raters, "
        f"is in no unit of ratings, and stands here to show the difference: r = {figure(r)}"
    )
    return [
        f"{said}, which is not known to be other than 0." if not beyond_chance(r) else f"{said}."
    ]


def _reach(holistic: dict) -> list[str]:
    """How near the holistic score comes to what is possible, and whether it can be taken at its word."""
    more, share, error = [], holistic["share_of_ceiling"], holistic["calibration_error"]
    if figure(share) != NOT_MEASURED:
        more.append(
            "No model can agree with the mean rating better than the raters' own reliability allows; of that ceiling, the holistic "
            f"score's r reaches {figure(share)}."
        )
    if figure(error, 1) != NOT_MEASURED:
        more.append(
            f"Where holistic scores are near s, the mean rating is off s by {figure(error, 1)} points of 0 to 100 on average; with so many "
            f"faces a perfect model would be off by {number(error['by_chance'], 1)}."
        )
    return [" ".join(more)] if more else []
