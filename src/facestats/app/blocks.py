"""Sections of the report as a page shows them: plots by their addresses, not inside of the page."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from PIL import Image

from facestats.core.files import require_file
from facestats.core.layout import METRICS
from facestats.report.album import Picture
from facestats.report.blocks import PLOT, Figure


class LinkedAlbum:
    """Stands for the report's `Album`: gives addresses of the plots of a project.

    Parameters
    ----------
    root : Path
        The project folder.
    """

    def __init__(self, root: Path):
        self.root = root

    def picture(self, figure: Figure) -> Picture:
        """A plot's address; without one, where the figure is none or its file is missing."""
        path = figure.path
        if (
            figure.of != PLOT
            or not isinstance(path, Path)
            or not path.is_relative_to(self.root / METRICS)
        ):
            return Picture(None, figure.alt)
        try:
            require_file(path)
            with Image.open(path) as image:
                size = image.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return Picture(None, figure.alt)
        address = quote(path.relative_to(self.root / METRICS).as_posix())
        return Picture(f"/app/plot/{address}", figure.alt, size)


def plot_file(root: Path, name: str) -> bytes | None:
    """The plot of that name below the metrics; None where there is none."""
    try:
        folder = (root / METRICS).resolve()
        path = (folder / name).resolve()
        if path.suffix != ".png" or not path.is_relative_to(folder) or not path.is_file():
            return None
        return path.read_bytes()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, a loop of links
        return None
