"""Sections on how scores and classifiers treat groups of people."""

from __future__ import annotations

from collections.abc import Iterator

from facestats.core.stats.groups import PAIR_SEPARATOR
from facestats.core.stats.scale import COMBINED_PREFIX
from facestats.report.blocks import Section, Table, plot, table
from facestats.report.material import Run
from facestats.report.prose import prose
from facestats.report.text import NOT_MEASURED, beyond_chance, measured

POINTS = {
    "mean_rating": "mean rating",
    "mean_score": "mean score",
    "bias": "bias",
    "mae": "mean absolute error",
}
OF_COMBINED = {"bias": "bias, combined", "mae": "mean absolute error, combined"}
SHARES = {"accuracy": "accuracy", "abstention": "share without an answer"}


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
