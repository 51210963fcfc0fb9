"""The model card's figures by group of people."""

from __future__ import annotations

from facestats.core.stats.groups import COMBINED, TIMES
from facestats.report.card_figures import NOT_MEASURED, beyond_chance, figure, table

POINTS = {
    "mean_rating": "mean rating",
    "mean_score": "mean score",
    "bias": "bias",
    "mae": "mean absolute error",
}
OF_COMBINED = {"bias": "bias, combined", "mae": "mean absolute error, combined"}
SHARES = {"accuracy": "accuracy", "abstention": "share without an answer"}


def scores_by_group(fairness: dict, picture: str) -> list[str]:
    """Paragraphs on how scores treat groups; `picture` is the link to `error_by_group.png`."""
    if why := fairness["why"]["attractiveness"]:
        return [f"{NOT_MEASURED.capitalize()}: {why}."]
    combined = not fairness["why"]["combined_score"]
    rows = [_row("all", fairness["overall"], fairness["combined_overall"] if combined else None)]
    rows += [
        _row(
            f"{attribute}: {group}",
            figures,
            fairness["combined"].get(attribute, {}).get(group, {}) if combined else None,
        )
        for attribute, groups in fairness["attractiveness"].items()
        for group, figures in groups.items()
        if not figures.get("why")
    ]
    paragraphs = [
        f"Groups are what people wrote about the {fairness['n']} rated test faces, never what a model guessed. Ratings and scores are points of "
        "0 to 100, the ends of the raters' scale; scores are holistic ones but where a column says combined. Bias is the mean of score minus rating: above 0, a group gets more than "
        "its raters gave it. A model that is unsure keeps to the middle, so groups that are rated low tend to get more, and groups that are "
        "rated high less.",
        table(
            ["test faces", "n", *POINTS.values(), "r", *(OF_COMBINED.values() if combined else [])],
            rows,
        ),
    ]
    if combined and fairness["combined_overall"]["n"] < fairness["n"]:
        paragraphs.append(
            f"Only {fairness['combined_overall']['n']} of these faces have a combined score."
        )
    if small := _small(fairness):
        paragraphs.append(small)
    return [*paragraphs, f"![Bias and mean absolute error of each group]({picture})"]


def largest_gaps(fairness: dict) -> list[str]:
    """Paragraphs that name the two groups furthest apart, in each measure."""
    gaps = fairness["largest_gaps"]
    if not gaps:
        return ["Not measured: there is nothing to compare."]
    rows = []
    for name, gap in gaps.items():
        if gap["value"] is None:
            rows.append([_said(name), f"{NOT_MEASURED}: {gap['why']}", "", "", ""])
            continue
        digits = 1 if name.removeprefix(COMBINED) in POINTS else 2
        between = (
            f"{gap['groups'][0]} above {gap['groups'][1]}"
            if gap["value"]
            else "none; all groups are alike"
        )
        rows.append(
            [
                _said(name),
                f"{gap['attribute']}: {between}",
                figure(gap, digits),
                gap["compared"],
                "yes" if beyond_chance(gap) else "no",
            ]
        )
    return [
        "The largest of many gaps is large by chance alone. So these intervals are wide enough to hold for all the gaps that were "
        "compared at once, and only a gap whose interval leaves 0 out is called beyond chance: where there is no gap at all, one line "
        "in twenty says yes. A gap that is not beyond chance may still be there: few faces show only large ones.",
        table(["in", "largest gap", "how large", "gaps compared", "beyond chance"], rows),
        "The gap of each single attribute stands in `metrics/fairness.json`, `largest_gaps.<measure>.by_attribute`.",
    ]


def classifiers_by_group(fairness: dict) -> list[str]:
    """A table of each classifier's accuracy by group of one attribute; pairs stay in the metrics."""
    rows = [
        [target, f"{attribute}: {group}", figures["n"], *(figure(figures[name]) for name in SHARES)]
        for target, attributes in fairness["classifiers"].items()
        for attribute, groups in attributes.items()
        if TIMES not in attribute
        for group, figures in groups.items()
        if not figures.get("why")
    ]
    if not rows:
        return [
            f"By group: not measured, for no group has {fairness['min_group']} labelled test faces."
        ]
    return [
        "The same by group of one attribute; `metrics/fairness.json` has groups of two.",
        table(["classifier", "test faces", "n", *SHARES.values()], rows),
    ]


def _row(name: str, figures: dict, combined: dict | None) -> list[str]:
    """Of the combined score two figures; none where it was not measured at all (None)."""
    more = [] if combined is None else [figure(combined.get(key), 1) for key in OF_COMBINED]
    return [
        name,
        figures["n"],
        *(figure(figures[key], 1) for key in POINTS),
        figure(figures["pearson"]),
        *more,
    ]


def _small(fairness: dict) -> str:
    """Which groups were counted only."""
    small = {
        attribute: {group: figures["n"] for group, figures in groups.items() if figures.get("why")}
        for attribute, groups in fairness["attractiveness"].items()
    }
    single = [
        f"{attribute} {', '.join(f'{group} (n = {n})' for group, n in groups.items())}"
        for attribute, groups in small.items()
        if groups and TIMES not in attribute
    ]
    pairs = sum(len(groups) for attribute, groups in small.items() if TIMES in attribute)
    parts = [*single, *([f"{pairs} groups by two attributes"] if pairs else [])]
    return (
        (
            f"Counted but not measured, for they have fewer than {fairness['min_group']} test faces or show one person only: "
            f"{'; '.join(parts)}."
        )
        if parts
        else ""
    )


def _said(measure: str) -> str:
    if measure in POINTS:
        return f"{POINTS[measure]}, points"
    if measure == "pearson":
        return "r of score and rating"
    if measure.startswith(COMBINED) and measure.removeprefix(COMBINED) in (*POINTS, "pearson"):
        return f"combined score: {_said(measure.removeprefix(COMBINED))}"
    target, _, kind = measure.rpartition("_")
    return f"{target}: {SHARES[kind]}"


def clear_gaps(fairness: dict) -> str:
    """One sentence on the gaps in bias, error and accuracy that are beyond chance; empty where nothing was compared."""
    gaps = {
        name: gap
        for name, gap in fairness["largest_gaps"].items()
        if (name.removeprefix(COMBINED) in ("bias", "mae") or name.endswith("_accuracy"))
        and gap["value"] is not None
    }
    clear = [
        f"{_said(name)}, {gap['attribute']}: {gap['groups'][0]} above {gap['groups'][1]} by {figure(gap, 1 if name.removeprefix(COMBINED) in POINTS else 2)}"
        for name, gap in gaps.items()
        if beyond_chance(gap)
    ]
    if clear:
        return f"Not the same for everybody, beyond chance: {'; '.join(clear)}."
    return (
        "No gap between groups in bias, error or accuracy is beyond chance, which with so few faces proves little."
        if gaps
        else ""
    )
