"""The figure of a difference, and the files of the stage `difference`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from facestats.composites.contours import LINES, eye_centres
from facestats.composites.light import to_codes
from facestats.core.figures.png import plain
from facestats.core.files import write_image, write_json
from facestats.pairs.built import Built
from facestats.pairs.difference import Difference, difference, measure, one_sided

FACTORS = (1, 2, 5, 10, 20, 50)  # by which shifts are enlarged
LONGEST = 40  # length of the longest arrow, percent of the distance between the eyes
# End of the colour scales, units of CIELAB: fixed, so that figures can be compared, unless a
# twentieth of the face lies beyond.
USUAL_END = 10
WIDEST = 24  # characters of a name per line; longer ones would displace the pictures
CHANCE = (
    "Two groups of finite size never look the same: a part of every difference is chance, and more "
    "of it the fewer faces there are. How large that part is, two averages can't tell."
)


def write_difference(out: Path, name: str, both: tuple[Built, Built], why: str | None) -> dict:
    """Write `difference.json` and, where it can be built, `difference.jpg`.

    Parameters
    ----------
    out : Path
        The difference's folder.
    name : str
        As in `params.yaml`.
    both : pair of Built
        `of` and `minus`.
    why : str or None
        Why it can't be built.

    Returns
    -------
    dict
        As `measure` returns it; empty where it can't be built.
    """
    of, minus = both
    content = {
        "name": name,
        "built": why is None,
        "why": why,
        "of": of.summary(),
        "minus": minus.summary(),
    }
    numbers: dict = {}
    if why is None:
        shared = len({*of.facts["members"]} & {*minus.facts["members"]})
        result = difference(of, minus)
        numbers = measure(result)
        groups = [(end.name, end.facts["n"]) for end in both]
        write_image(out / "difference.jpg", difference_figure(result, groups, shared), quality=90)
        content |= {"faces_in_both": shared, "chance": CHANCE, **numbers}
    write_json(out / "difference.json", content)
    return numbers


def difference_figure(
    result: Difference, groups: list[tuple[str, int]], shared: int
) -> Image.Image:
    """Draw both composites, ΔE, the difference of lightness, and the shifts of landmarks.

    Parameters
    ----------
    result : Difference
    groups : list of pairs
        Name and number of faces of the first composite and of the one taken from it.
    shared : int
        Faces that are in both.

    Returns
    -------
    Image
    """
    (of, n_of), (minus, n_minus) = [(plain(textwrap.fill(name, WIDEST)), n) for name, n in groups]
    figure = Figure(figsize=(13, 9.2), layout="constrained", dpi=80)
    FigureCanvasAgg(figure)
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.08, h_pad=0.08, hspace=0.02)
    halves: Any = figure.subfigures(2, 1)
    top, bottom = halves
    ways = top.subplots(1, 3)
    for axes, picture, title in zip(
        ways, result.pictures, (f"{of}\n{n_of} faces", f"{minus}\n{n_minus} faces"), strict=False
    ):
        _show(axes, to_codes(picture, "linear"), f"{title}, at the common shape")
    _shape(ways[2], result, of, minus)
    colours = bottom.subplots(1, 2)
    _show(
        colours[0],
        result.delta_e,
        "How much the colour differs",
        bottom,
        "magma",
        0,
        _end(result, result.delta_e),
        "ΔE*ab (CIE 1976)\nabout 2.3 is just noticeable",
    )
    end = _end(result, np.abs(result.lab[:, :, 0]))
    between = ", " if len(of) + len(minus) <= WIDEST else "\n"
    _show(
        colours[1],
        result.lab[:, :, 0],
        "Which of the two is lighter",
        bottom,
        "RdBu_r",
        -end,
        end,
        f"difference of L*\nblue: {minus} lighter{between}red: {of} lighter",
    )
    overlap = f" {shared} faces are in both." if shared else ""
    figure.suptitle(
        f"{of} minus {minus}" if between == ", " else f"{of}\nminus {minus}", size="x-large"
    )
    figure.supxlabel(
        "Two groups of finite size never look the same: a part of what is seen here is chance, and "
        f"more of it the fewer faces there are.{overlap}",
        size="medium",
    )
    return _image(figure)


def _end(result: Difference, values: np.ndarray) -> float:
    return max(USUAL_END, float(np.percentile(values[result.inside], 95)))


def _show(
    axes: Axes,
    picture: np.ndarray,
    title: str,
    bar: SubFigure | None = None,
    colours: str | None = None,
    low: float | None = None,
    high: float | None = None,
    label: str = "",
) -> None:
    """A picture, or values in colours with a bar that explains them."""
    drawn = axes.imshow(picture, interpolation="nearest", cmap=colours, vmin=low, vmax=high)
    axes.set_title(title, size="medium")
    axes.set_axis_off()
    if bar is not None:
        bar.colorbar(drawn, ax=axes, shrink=0.85, extend="both" if low else "max").set_label(label)


def _shape(axes: Axes, result: Difference, of: str, minus: str) -> None:
    """Outlines of both shapes, and arrows from each landmark to where it lies in the other."""
    eyes = np.linalg.norm(np.diff(eye_centres(result.shape), axis=0))
    shifts = result.shifts / 100 * eyes
    longest = np.linalg.norm(result.shifts, axis=1).max()
    factor = max((f for f in FACTORS if f * longest <= LONGEST), default=1)
    start, end = result.shape - factor * shifts / 2, result.shape + factor * shifts / 2
    points = sorted({point for line in LINES for point in line})
    axes.add_collection(
        LineCollection(
            [start[list(line)] for line in LINES], colors="0.6", linewidths=1.2, label=minus
        )
    )
    axes.add_collection(
        LineCollection(
            [end[list(line)] for line in LINES], colors="black", linewidths=1.2, label=of
        )
    )
    distance = np.linalg.norm(result.shifts[points], axis=1)
    arrows = axes.quiver(
        *start[points].T,
        *(end - start)[points].T,
        distance,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.005,
        cmap="viridis_r",
        clim=(0, max(1, distance.max())),
    )
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.set_xlim(
        min(start[:, 0].min(), end[:, 0].min()) - 0.02,
        max(start[:, 0].max(), end[:, 0].max()) + 0.02,
    )
    axes.set_ylim(
        max(start[:, 1].max(), end[:, 1].max()) + 0.02,
        min(start[:, 1].min(), end[:, 1].min()) - 0.02,
    )
    part = np.sum(one_sided(result.shifts) ** 2) / max(np.sum(result.shifts**2), 1e-12)
    axes.set_title(
        (f"Shape, the difference drawn {factor} times as large" if factor > 1 else "Shape")
        + f"\n{part:.0%} of the squared shifts one-sided, as of turned heads",
        size="medium",
    )
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0), fontsize="small", frameon=False, ncols=2
    )
    axes.figure.colorbar(
        arrows,
        ax=axes,
        shrink=0.85,
        label="shift of landmarks,\n% of the distance between the eyes",
    )


def _image(figure: Figure) -> Image.Image:
    canvas: Any = figure.canvas
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3])
