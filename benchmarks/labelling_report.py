"""The labelling benchmark's outcome as tables in a page, and as a plot."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import t

from facestats.core.files import write_bytes, write_text
from facestats.errors import InputError

START, END = (
    "<!-- figures: written by `python -m benchmarks.labelling` -->",
    "<!-- end of figures -->",
)
LOOP, RANDOM = "by the loop", "at random"
COLOURS = {LOOP: "#1f6fb4", RANDOM: "#d1495b"}


def compare(results: pd.DataFrame, budgets: tuple[int, ...]) -> pd.DataFrame:
    """Mean and sd of both ways and their paired difference with 95 % interval, in percent.

    Parameters
    ----------
    results : `question`, `chosen`, `seed`, `labels`, `accuracy` (0–1); both ways have the same
        seeds.
    """
    rows = []
    for (question, labels), group in results[results["labels"].isin(budgets)].groupby(
        ["question", "labels"], sort=False
    ):
        wide = 100 * group.pivot(index="seed", columns="chosen", values="accuracy")
        difference = wide[LOOP] - wide[RANDOM]
        half = t.ppf(0.975, len(difference) - 1) * difference.std() / np.sqrt(len(difference))
        rows.append(
            {
                "question": question,
                "labels": labels,
                "loop": wide[LOOP].mean(),
                "loop_sd": wide[LOOP].std(),
                "random": wide[RANDOM].mean(),
                "random_sd": wide[RANDOM].std(),
                "difference": difference.mean(),
                "low": difference.mean() - half,
                "high": difference.mean() + half,
            }
        )
    return pd.DataFrame(rows)


def tables_of(results: pd.DataFrame, budgets: tuple[int, ...], about: str) -> str:
    """The comparison as Markdown: one table a question, and where the interval leaves 0 out."""
    seeds = results["seed"].nunique()
    text = [
        f"{about}, {seeds} seeds. Accuracy on held-out faces in percent, mean ± standard "
        "deviation over seeds; the difference is paired by seed, with its 95 % interval "
        "(Student's t).",
        "",
    ]
    for question, rows in compare(results, budgets).groupby("question", sort=False):
        everything = results[
            (results["question"] == question) & (results["labels"] == results["labels"].max())
        ]
        text += [
            f"**{question[0].upper()}{question[1:]}** (with all "
            f"{everything['labels'].iloc[0]} "
            f"labels: {100 * everything['accuracy'].mean():.1f})",
            "",
            "| labels | by the loop | at random | difference |",
            "|---|---|---|---|",
        ]
        text += [
            f"| {r.labels} | {r.loop:.1f} ± {r.loop_sd:.1f} | {r.random:.1f} ± {r.random_sd:.1f} | "
            f"{_signed(r.difference)} ({_signed(r.low)} to {_signed(r.high)}) |"
            for r in rows.itertuples()
        ]
        text += ["", _verdict(rows), ""]
    return "\n".join(text).rstrip()


def _verdict(rows: pd.DataFrame) -> str:
    groups = {
        "better": rows[rows["low"] > 0],
        "worse": rows[rows["high"] < 0],
        "not told apart from chance": rows[(rows["low"] <= 0) & (rows["high"] >= 0)],
    }
    parts = [
        f"{what} at {', '.join(str(n) for n in part['labels'])} labels"
        for what, part in groups.items()
        if len(part)
    ]
    return f"The loop is {'; '.join(parts)}."


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def write_block(page: Path, block: str, start: str = START) -> None:
    """Put the block between the page's two markers.

    Raises
    ------
    InputError
        The page is missing, or lacks a marker.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if start not in text or END not in text.partition(start)[2]:
        raise InputError(
            f"{page}: expected the lines {start} and {END}, between which the figures go"
        )
    before, _, rest = text.partition(start)
    write_text(page, f"{before}{start}\n{block}\n{END}{rest.partition(END)[2]}")


def plot(results: pd.DataFrame, budgets: tuple[int, ...], path: Path) -> None:
    """Plot accuracy by number of labels: mean and sd of both ways, and accuracy with all labels."""
    questions = results["question"].unique()
    figure = Figure(figsize=(4.6 * len(questions), 4), layout="constrained", facecolor="white")
    for axes, question in zip(
        np.atleast_1d(figure.subplots(1, len(questions))), questions, strict=True
    ):
        own = results[results["question"] == question].assign(
            accuracy=lambda table: 100 * table["accuracy"]
        )
        everything = own["labels"].max()
        axes.axhline(
            own.loc[own["labels"] == everything, "accuracy"].mean(),
            color="0.55",
            linestyle="--",
            linewidth=1,
            label=f"all {everything} labels",
        )
        for chosen, colour in COLOURS.items():
            by_labels = own[(own["chosen"] == chosen) & (own["labels"] <= max(budgets))].groupby(
                "labels"
            )["accuracy"]
            mean, sd = by_labels.mean(), by_labels.std()
            axes.fill_between(
                mean.index, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0
            )
            axes.plot(
                mean.index, mean, color=colour, marker="o", markersize=4, label=f"chosen {chosen}"
            )
        axes.set(
            title=question, xlabel="labels", ylabel="accuracy on held-out faces (%)", xticks=budgets
        )
        axes.grid(color="0.9")
        axes.legend(loc="lower right", frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
