"""Figures and tables as the model card writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

NOT_MEASURED = "not measured"


def figure(metric: Mapping | None, digits: int = 2) -> str:
    """`0.57 (0.41 to 0.71)`; `not measured` where there is no value. A value never stands without its interval."""
    if not metric or metric.get("value") is None or metric.get("low") is None:
        return NOT_MEASURED
    value, low, high = (number(metric[part], digits) for part in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def number(value: float, digits: int) -> str:
    """Rounded, with a true minus sign and without a negative zero."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "−")


class Table(str):
    """A Markdown table that keeps its cells, for pages that are no Markdown.

    Attributes
    ----------
    head : what stands above each column.
    rows : the cells, as text.
    """

    head: list[str]
    rows: list[list[str]]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A Markdown table; a bar inside a cell is escaped."""
    cells = [[str(cell) for cell in line] for line in rows]
    lines = [head, ["---"] * len(head), *cells]
    made = Table("\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines))
    made.head, made.rows = list(head), cells
    return made


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(counts: Mapping[str, int]) -> str:
    """`female 174, male 153`."""
    return ", ".join(f"{name} {n}" for name, n in counts.items())


def beyond_chance(metric: Mapping) -> bool:
    """Whether an interval leaves 0 out."""
    return metric["low"] > 0 or metric["high"] < 0
