"""Figures of the scores: learning curve, predictions, calibration; without dates or versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from facestats.core.figures.png import save
from facestats.core.stats.intervals import interval_text
from facestats.evaluation.attractiveness import Attractiveness

NAMES = {
    "mlp": "holistic score (regressor)",
    "ridge": "ridge regression",
    "geometric": "geometric score",
    "combined": "combined score",
}
UNTRAINED = "no loss was logged: the regressor was not trained here"


def draw_scores(scores: Attractiveness, training: Path, folder: Path) -> None:
    """Draw all pictures of this module.

    Parameters
    ----------
    scores : Attractiveness
        What was measured.
    training : Path
        Folder of dvclive.
    folder : Path
        Where the pictures are written.
    """
    predicted_vs_actual(scores.points, scores.metrics, folder / "predicted_vs_actual.png")
    reliability_curve(scores.curve, scores.metrics, folder / "reliability_curve.png")
    learning_curve(training, folder / "learning_curve.png")


def learning_curve(training: Path, path: Path) -> None:
    """Draw the loss by epoch on train and val, and mark the lowest val loss.

    Parameters
    ----------
    training : Path
        Folder of dvclive, with `plots/metrics/*/loss.tsv`.
    path : Path
        The PNG file to write.
    """
    figure, axes = _figure("Learning curve of the regressor")
    logs = {name: training / f"plots/metrics/{name}/loss.tsv" for name in ("train", "val")}
    logs = {name: pd.read_csv(log, sep="\t") for name, log in logs.items() if log.exists()}
    if not logs:
        _save_reason(figure, axes, UNTRAINED, path)
        return
    for name, log in logs.items():
        axes.plot(
            log["step"],
            log["loss"],
            marker="." if len(log) < 40 else None,
            label=f"{name} faces",
            color=_COLOURS[name],
        )
    if "val" in logs:
        best = logs["val"].loc[logs["val"]["loss"].idxmin()]
        axes.axvline(
            best["step"],
            color="0.6",
            linestyle=":",
            zorder=0,
            label=f"lowest on val: epoch {best['step']:.0f}",
        )
    axes.set(
        xlabel="epoch (passes over the train faces)",
        ylabel="loss (standardised ratings)",
        ylim=(0, None),
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    save(figure, path)


def predicted_vs_actual(points: pd.DataFrame, metrics: dict, path: Path) -> None:
    """Draw predicted against mean human rating of test faces, one panel per model.

    Parameters
    ----------
    points : DataFrame
        `actual` and one column a model, rating units.
    metrics : dict
        Of `evaluation.attractiveness`; its `why` is shown where there are no points.
    path : Path
        The PNG file to write.
    """
    models = [name for name in NAMES if name in points and points[name].notna().any()]
    if not models:
        figure, axes = _figure("Test faces: predicted against mean human rating")
        _save_reason(figure, axes, metrics["why"], path)
        return
    columns, lines = min(len(models), 2), (len(models) + 1) // 2
    figure = Figure(figsize=(1 + 4.6 * columns, 0.8 + 5.0 * lines), layout="constrained")
    figure.suptitle(f"{len(points)} test faces: predicted against mean human rating")
    ends = _ends(points[["actual", *models]].to_numpy())
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for axes in panels.flat[len(models) :]:
        axes.set_axis_off()
    for axes, name in zip(panels.flat, models, strict=False):
        axes.plot(ends, ends, color="0.6", linestyle="--", zorder=0, label="perfect prediction")
        axes.scatter(
            points["actual"],
            points[name],
            s=18,
            alpha=_alpha(len(points)),
            color=_COLOURS[name],
            edgecolors="none",
            label="one face",
        )
        axes.set(
            xlabel="mean human rating",
            title=f"{NAMES[name]}: r = {interval_text(metrics['test'][name]['pearson'])}",
            xlim=ends,
            ylim=ends,
            box_aspect=1,
        )
        axes.legend(loc="upper left")
    for axes in panels[:, 0]:
        axes.set_ylabel("predicted rating")
    save(figure, path)


def reliability_curve(curve: pd.DataFrame, metrics: dict, path: Path) -> None:
    """Draw mean human rating against predicted score, one point per bin, with 95 % intervals.

    Parameters
    ----------
    curve : DataFrame
        Of `evaluation.score_calibration.reliability_curve`.
    metrics : dict
        Of `evaluation.attractiveness`; its `why` is shown where there is no curve.
    path : Path
        The PNG file to write.
    """
    figure, axes = _figure("Is a predicted score what raters say?")
    if curve.empty:
        _save_reason(figure, axes, metrics["why"], path)
        return
    error = metrics["test"]["mlp"]["calibration_error"]
    spread = curve[["low", "high"]].fillna(
        curve["actual"].to_frame("low").assign(high=curve["actual"])
    )
    ends = _ends(np.concatenate([curve["predicted"], *spread.to_numpy().T]))
    axes.plot(
        ends,
        ends,
        color="0.6",
        linestyle="--",
        zorder=0,
        label="perfect: raters say what is predicted",
    )
    axes.errorbar(
        curve["predicted"],
        curve["actual"],
        yerr=[curve["actual"] - spread["low"], spread["high"] - curve["actual"]],
        fmt="o-",
        linewidth=1,
        markersize=5,
        capsize=3,
        color=_COLOURS["mlp"],
        label=f"{_numbers(curve['n'])} test faces a point, with 95 % intervals",
    )
    axes.set(
        xlabel="mean predicted score (0–100)",
        ylabel="mean human rating, on the same 0–100 scale",
        xlim=ends,
        ylim=ends,
        box_aspect=1,
        title=f"Is a predicted score what raters say? {curve['n'].sum()} test faces\n"
        f"calibration error {interval_text(error, '.1f')} points; by chance alone about "
        f"{error['by_chance']:.1f}",
    )
    figure.legend(loc="outside lower center", fontsize="small")  # inside it would hide intervals
    save(figure, path)


_COLOURS = {
    "train": "C0",
    "val": "C1",
    "mlp": "C0",
    "ridge": "C2",
    "geometric": "C1",
    "combined": "C4",
}


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.5, 5.4), layout="constrained")
    return figure, figure.subplots(subplot_kw={"title": title})


def _save_reason(figure: Figure, axes: Axes, why: str, path: Path) -> None:
    """Write the reason in place of a figure."""
    axes.set_axis_off()
    axes.text(
        0.5,
        0.5,
        f"Not measured:\n{why}",
        ha="center",
        va="center",
        wrap=True,
        transform=axes.transAxes,
    )
    save(figure, path)


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Ends of axes that hold all values, with some room."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def _alpha(n: int) -> float:
    """Opacity of one of n points."""
    return float(np.clip(30 / np.sqrt(n), 0.15, 0.8))


def _numbers(n: pd.Series) -> str:
    return str(n.min()) if n.min() == n.max() else f"{n.min()}–{n.max()}"
