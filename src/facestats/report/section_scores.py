"""Sections on how well scores agree with raters, and how they treat groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from facestats.core.stats.groups import PAIR_SEPARATOR
from facestats.core.stats.scale import COMBINED_PREFIX
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
GEOMETRIC = ("geometric", "combined", "combined_60_40", "combined_learned", "geometry_zscore")
NO_UNIT = "–"
PANELS = "Scatter plot of test faces: predicted rating against the mean of the human ratings"
RELIABILITY = (
    "Mean human rating of test faces against predicted score, in bins, with 95 % intervals"
)
LEARNING = "Error on train and val faces after each epoch of training"
POINTS = {
    "mean_rating": "mean rating",
    "mean_score": "mean score",
    "bias": "bias",
    "mae": "mean absolute error",
}
OF_COMBINED = {"bias": "bias, combined", "mae": "mean absolute error, combined"}
SHARES = {"accuracy": "accuracy", "abstention": "share without an answer"}


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
        Without a regressor, the geometric score may have been.
    """
    return not rated["why"] or bool(measured_scores(rated))


def measured_scores(rated: dict) -> list[str]:
    """Name the scores beside the holistic one that were measured."""
    return [
        name
        for name in GEOMETRIC
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
    return {name: row for name, row in names.items() if name not in GEOMETRIC or name in known}


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


def groups(run: Run) -> Section:
    """How scores treat groups of people."""
    fairness = run.fairness
    title = "Scores by group"
    if why := fairness["why"]["attractiveness"]:
        return Section("groups", title, prose("groups", why=why), folded=True)
    combined = not fairness["why"]["combined_score"]
    everybody = fairness["combined_overall"] if combined else {}
    rows = [
        _group_row(
            f"{attribute}: {group}",
            figures,
            fairness["combined"].get(attribute, {}).get(group, {}) if combined else None,
        )
        for attribute, members in fairness["attractiveness"].items()
        for group, figures in members.items()
        if not figures.get("why")
    ]
    alone = _group_row("all", fairness["overall"], everybody if combined else None)
    head = ["test faces", "n", *POINTS.values(), "r", *(OF_COMBINED.values() if combined else [])]
    blocks = prose(
        "groups",
        why=None,
        n=fairness["n"],
        min_group=fairness["min_group"],
        table=table("Scores of test faces by group", head, [alone, *rows]) if rows else None,
        n_combined=everybody["n"] if combined and everybody["n"] < fairness["n"] else None,
        small=_small(fairness),
        notes=[
            f"No ethnicity is labelled: `{name}` is {text}"
            for name, text in fairness["notes"].items()
        ],
        plot=plot(
            run.metrics / "plots/error_by_group.png",
            "Bias and mean absolute error of each group, with 95 % intervals",
        ),
    )
    return Section("groups", title, blocks, folded=True)


def gaps(run: Run) -> Section:
    """The two groups furthest apart, in each measure."""
    rows = [_gap_row(name, gap) for name, gap in run.fairness["largest_gaps"].items()]
    head = ["in", "largest gap", "how large", "gaps compared", "beyond chance"]
    blocks = prose(
        "gaps",
        table=table("The two groups furthest apart, by measure", head, rows) if rows else None,
    )
    return Section("gaps", "Largest gaps between groups", blocks, folded=True)


def classifiers_by_group(fairness: dict) -> Table | None:
    """Accuracy of each classifier by group of one attribute; pairs stay in the metrics."""
    rows = [
        [
            target,
            f"{attribute}: {group}",
            figures["n"],
            *(measured(figures[name]) for name in SHARES),
        ]
        for target, attributes in fairness["classifiers"].items()
        for attribute, members in attributes.items()
        if PAIR_SEPARATOR not in attribute
        for group, figures in members.items()
        if not figures.get("why")
    ]
    head = ["classifier", "test faces", "n", *SHARES.values()]
    return table("Classifiers by group of test faces", head, rows) if rows else None


def clear_gaps(fairness: dict) -> str:
    """One sentence on the gaps in bias, error and accuracy that are beyond chance.

    Parameters
    ----------
    fairness : dict
        `metrics/fairness.json`.

    Returns
    -------
    str
        Empty where nothing was compared.
    """
    compared = {
        name: gap
        for name, gap in fairness["largest_gaps"].items()
        if (name.removeprefix(COMBINED_PREFIX) in ("bias", "mae") or name.endswith("_accuracy"))
        and gap["value"] is not None
    }
    clear = [
        f"{_measure(name)}, {gap['attribute']}: {gap['groups'][0]} above {gap['groups'][1]} by "
        f"{measured(gap, _digits(name))}"
        for name, gap in compared.items()
        if beyond_chance(gap)
    ]
    if clear:
        return f"Groups differ beyond chance: {'; '.join(clear)}."
    if not compared:
        return ""
    return (
        "No gap between groups in bias, error or accuracy is beyond chance, which with so few "
        "faces proves little."
    )


def _group_row(name: str, figures: dict, combined: dict | None) -> list[str]:
    """Of the combined score two figures; none where it was not measured at all (None)."""
    more = [] if combined is None else [measured(combined.get(key), 1) for key in OF_COMBINED]
    return [
        name,
        figures["n"],
        *(measured(figures[key], 1) for key in POINTS),
        measured(figures["pearson"]),
        *more,
    ]


def _gap_row(name: str, gap: dict) -> list[str]:
    if gap["value"] is None:
        return [_measure(name), f"{NOT_MEASURED}: {gap['why']}", "", "", ""]
    one, other = gap["groups"]
    between = f"{one} above {other}" if gap["value"] else "none; all groups are alike"
    return [
        _measure(name),
        f"{gap['attribute']}: {between}",
        measured(gap, _digits(name)),
        gap["compared"],
        "yes" if beyond_chance(gap) else "no",
    ]


def _small(fairness: dict) -> list[str]:
    """Which groups were counted only."""
    small = {
        attribute: {group: figures["n"] for group, figures in members.items() if figures.get("why")}
        for attribute, members in fairness["attractiveness"].items()
    }
    pairs = sum(len(members) for attribute, members in small.items() if PAIR_SEPARATOR in attribute)
    return [*_counts(small), *([f"{pairs} groups by two attributes"] if pairs else [])]


def _counts(small: dict[str, dict[str, int]]) -> Iterator[str]:
    for attribute, members in small.items():
        if members and PAIR_SEPARATOR not in attribute:
            listed = ", ".join(f"{group} (n = {n})" for group, n in members.items())
            yield f"{attribute} {listed}"


def _digits(measure: str) -> int:
    return 1 if measure.removeprefix(COMBINED_PREFIX) in POINTS else 2


def _measure(name: str) -> str:
    """What a measure of the gaps is called."""
    if name in POINTS:
        return f"{POINTS[name]}, points"
    if name == "pearson":
        return "r of score and rating"
    bare = name.removeprefix(COMBINED_PREFIX)
    if name.startswith(COMBINED_PREFIX) and bare in (*POINTS, "pearson"):
        return f"combined score: {_measure(bare)}"
    target, _, kind = name.rpartition("_")
    return f"{target}: {SHARES[kind]}"
