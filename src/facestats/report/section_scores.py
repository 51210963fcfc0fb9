"""The section on how well scores agree with raters."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from facestats.core.stats.verdict import doubts_of_scores
from facestats.report.blocks import Gallery, Section, Table, plot, table
from facestats.report.material import Run
from facestats.report.prose import prose
from facestats.report.text import NOT_MEASURED, beyond_chance, measured, number

MEASURES = {
    "pearson": "r",
    "spearman": "rank correlation",
    "mae": "mean absolute error",
    "rmse": "RMSE",
    "r2": "R²",
}
CORRELATIONS = ("pearson", "spearman")
BESIDE_HOLISTIC = ("geometric", "combined", "combined_60_40", "combined_learned", "geometry_zscore")
NO_UNIT = "–"
PANELS = "Scatter plot of test faces: predicted rating against the mean of the human ratings"
RELIABILITY = (
    "Mean human rating of test faces against predicted score, in bins, with 95 % intervals"
)
LEARNING = "Error on train and val faces after each epoch of training"


def scores(run: Run) -> Section:
    """How far each score agrees with the raters."""
    rated, training = run.attractiveness, run.training
    known = measured_scores(rated)
    if not anything_measured(rated):
        blocks = prose(
            "scores",
            verdicts=doubts_of_scores(rated),
            measured_scores=False,
            why=training.get("why") or rated["why"],
        )
        return Section("scores", "How well scores agree with raters", blocks, folded=True)
    test, weights = rated["test"], rated["weights"]
    holistic, ridge = test["mlp"], test["ridge"]["pearson"]
    r = holistic["pearson"]["value"]
    low, high = run.labels["rating"]["scale"]
    blends, no_learned = [], None
    if "combined" in known:
        blends.append(_compare("the combined score", rated, "combined"))
        if "combined_learned" in known and not weights["combined"]["learned"]:
            name = "a combined score with learned weights"
            blends.append(_compare(name, rated, "combined_learned"))
        else:
            no_learned = weights["combined_learned"]["why"]
    zscore = test["geometry_zscore"]["pearson"] if "geometry_zscore" in known else None
    share, error = holistic["share_of_ceiling"], holistic["calibration_error"]
    blocks = prose(
        "scores",
        verdicts=doubts_of_scores(rated),
        measured_scores=True,
        why=rated["why"],
        test=test,
        scale=f"{low:g} to {high:g}",
        table=_agreement(rated),
        ceiling=rated["reliability"]["ceiling"],
        no_ceiling=rated["reliability"].get("why"),
        like_ridge=None not in (r, ridge["value"]) and ridge["low"] < r < ridge["high"],
        blends=blends,
        no_learned=no_learned,
        no_blend=None if "combined" in known else _why_not_combined(rated),
        has_geometric="geometric" in known,
        zscore=zscore,
        zscore_unclear=zscore and not beyond_chance(zscore),
        share=share if measured(share) != NOT_MEASURED else None,
        error=error if measured(error) != NOT_MEASURED else None,
        panels=plot(run.metrics / "plots/predicted_vs_actual.png", PANELS),
        plots=_curves(run),
    )
    return Section("scores", "How well scores agree with raters", blocks, folded=True)


def anything_measured(rated: dict) -> bool:
    """Whether some score was compared with ratings.

    Parameters
    ----------
    rated : dict
        `metrics/attractiveness.json`.

    Returns
    -------
    bool
        True without a regressor, too, if the geometric score was compared.
    """
    return not rated["why"] or bool(measured_scores(rated))


def measured_scores(rated: dict) -> list[str]:
    """Name the scores beside the holistic one that were measured."""
    return [
        name
        for name in BESIDE_HOLISTIC
        if rated["test"][name]["pearson"]["low"] is not None
        or rated["test"][name]["mae"]["value"] is not None
    ]


def weights_text(weights: dict) -> str:
    """Write the weights of a combined score: `60 % geometric, 40 % holistic`."""
    return ", ".join(
        f"{number(100 * weights[name], 0)} % {name}" for name in ("geometric", "holistic")
    )


def _agreement(rated: dict) -> Table:
    return table(
        "Agreement with the mean rating on test faces",
        ["score", *MEASURES.values()],
        [
            [called, *(_agreement_cell(rated["test"][name], key, name) for key in MEASURES)]
            for name, called in _rows(rated).items()
        ],
    )


def _rows(rated: dict) -> dict[str, str]:
    """What each row of the table is called, by model."""
    names = {} if rated["why"] else {"mlp": "holistic score"}
    names["geometric"] = "geometric score"
    known, weights = measured_scores(rated), rated["weights"]
    if "combined" in known:
        names["combined"] = f"combined score: {weights_text(weights['combined'])}"
        if weights["combined"]["learned"]:
            names["combined_60_40"] = "… 60 % geometric, 40 % holistic"
        elif "combined_learned" in known:
            learned = weights["combined_learned"]
            names["combined_learned"] = (
                f"… weights learned from {learned['n_val']} val faces: {weights_text(learned)}"
            )
    elif "combined_60_40" in known:
        names["combined_60_40"] = (
            "60 % geometric, 40 % holistic, in place of weights that could not be learned"
        )
    names |= {
        "geometry_zscore": "mean of z-scores (symmetry, golden ratio), nothing learned",
        "ridge": "ridge regression",
        "mean": "mean rating, for every face",
    }
    return {
        name: row for name, row in names.items() if name not in BESIDE_HOLISTIC or name in known
    }


def _agreement_cell(figures: dict, key: str, model: str) -> str:
    if model == "geometry_zscore" and key not in CORRELATIONS:
        return NO_UNIT
    constant = figures[key]["value"] is None and figures["mae"]["value"] is not None
    if key in CORRELATIONS and constant:
        return "undefined: always the same"
    return measured(figures[key], 2 if key in (*CORRELATIONS, "r2") else 1)


@dataclass(frozen=True)
class _Comparison:
    """A combined score beside the holistic one alone, by r and by its error."""

    name: str
    outcome: str
    r: dict
    error: dict
    side: str = ""
    larger_error: bool = False


def _compare(name: str, rated: dict, model: str) -> _Comparison:
    difference = rated["test"][model]["minus_mlp"]
    r, error = difference["pearson"], difference["mae"]
    if rated["weights"][model]["geometric"] == 0:  # a difference would be rounding
        return _Comparison(name, "same", r, error)
    if r["low"] is None or not isfinite(r["low"]):
        return _Comparison(name, "constant", r, error)
    side = "higher" if r["value"] > 0 else "lower"
    outcome = "unclear" if not beyond_chance(r) else "better" if side == "higher" else "worse"
    return _Comparison(name, outcome, r, error, side, error["low"] > 0)


def _why_not_combined(rated: dict) -> str:
    weights = rated["weights"]["combined"]
    if weights and weights["why"]:
        return weights["why"]
    return "fewer than half of the rated test faces have one"


def _curves(run: Run) -> Gallery | str:
    """The curves that have more than one point."""
    curves = []
    if not run.attractiveness["why"] and run.points.get("reliability_curve", 2) > 1:
        curves.append(plot(run.metrics / "plots/reliability_curve.png", RELIABILITY))
    trained_here = run.training["trained"] and "pretrained_sha256" not in run.training
    if trained_here and run.training.get("step", 2) > 1:
        curves.append(plot(run.metrics / "plots/learning_curve.png", LEARNING))
    return Gallery(curves, of="plots") if curves else ""
