"""A confusion matrix as plot data and as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from facestats.attributes.heldout import HeldOut
from facestats.core.figures.png import plain, save, say_why
from facestats.core.files import write_plot_csv

MOST = 20  # classes; with more, cells have a colour only, no numbers
CELL, MARGIN = 0.75, 2.2  # inches
LETTERS = 36  # classes × length of the longest name, up to which names fit side by side


def write_confusion(held_out: HeldOut, target: str, why: str | None, path: Path) -> None:
    """Write the answers for the test faces as `<path>.csv`, one row a face, and `<path>.png`.

    Parameters
    ----------
    held_out : HeldOut
    target, why
        See `confusion_picture`.
    path : Path
        Without suffix.
    """
    write_plot_csv(path.with_suffix(".csv"), held_out.pairs)
    picture = path.with_suffix(".png")
    confusion_picture(held_out.pairs, held_out.order, target, why, picture)


def confusion_picture(
    pairs: pd.DataFrame, order: list, target: str, why: str | None, path: Path
) -> None:
    """Draw the model's answers for the test faces (columns) against the labels (rows).

    A cell's colour and percentage are its share of the row; the number below counts its faces.

    Parameters
    ----------
    pairs : DataFrame
        `actual` and `predicted`, one row a face; without rows the picture says why.
    order : list
        All classes in either, in the order of rows and columns.
    target : str
        Name of the attribute.
    why : str, optional
        Why no model was trained; None where one was.
    path : Path
        The PNG file to write.
    """
    title = f"{target}: what people said and what the model says"
    if not len(pairs):
        say_why(title, why or "no test face has a label", path)
        return
    counts = (
        pd.crosstab(pairs["actual"], pairs["predicted"])
        .reindex(index=order, columns=order, fill_value=0)
        .to_numpy()
    )
    rows = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(rows, 1)
    side = MARGIN + CELL * len(order)
    figure = Figure(figsize=(max(side + 1.6, 5.6), max(side, 4)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        np.ma.masked_where(np.repeat(rows == 0, len(order), axis=1), shares),
        cmap="Blues",
        vmin=0,
        vmax=1,
    )
    names = [plain(str(name)) for name in order]
    turned = (
        {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        if max(map(len, names)) * len(names) > LETTERS
        else {}
    )
    axes.set_xticks(range(len(order)), names, **turned)
    axes.set_yticks(
        range(len(order)), [f"{name} ({n})" for name, n in zip(names, rows[:, 0], strict=True)]
    )
    axes.set(xlabel="what the model says", ylabel="what people said (faces)")
    axes.set_title(
        f"{title}\n{len(pairs)} test faces, {np.trace(counts) / len(pairs):.0%} on the diagonal",
        size="medium",
    )
    if len(order) <= MOST:
        for (row, column), n in np.ndenumerate(counts):
            if n:
                axes.text(
                    column,
                    row,
                    f"{shares[row, column]:.0%}\n{n}",
                    ha="center",
                    va="center",
                    size="small",
                    color="white" if shares[row, column] > 0.6 else "black",
                )
    figure.colorbar(
        image, ax=axes, label="share of the row", shrink=0.8, format=lambda share, _: f"{share:.0%}"
    )
    save(figure, path)
