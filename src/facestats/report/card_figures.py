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


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(counts: Mapping[str, int]) -> str:
    """`female 174, male 153`."""
    return ", ".join(f"{name} {n}" for name, n in counts.items())


def beyond_chance(metric: Mapping) -> bool:
    """Whether an interval leaves 0 out."""
    return metric["low"] > 0 or metric["high"] < 0
