"""Sections as one HTML page that fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from facestats.machine.output import visible
from facestats.report.blocks import Section
from facestats.report.card_figures import STAND_IN, written_as_is

PAGE = Path(__file__).parent / "page"


def render(title: str, sections: list[Section]) -> str:
    """The page: style, script and pictures inside.

    Text is escaped wherever it comes from, and the content security policy allows no request and no script but the page's own:
    a file that is called like a tag stays a name.
    """
    environment = Environment(
        loader=FileSystemLoader(PAGE),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = inline
    style, script = (
        (PAGE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js")
    )
    return environment.get_template("report.html").render(
        title=title,
        sections=sections,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )


def inline(text: str) -> Markup:
    """Escaped text whose `**…**` is strong, whose `*…*` is emphasised, whose backticks are code, and whose links are their words."""
    said = re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", str(escape(visible(text))))
    said = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", said)
    said = re.sub(r"(?<![\w*])\*(\w[^*]*)\*(?![\w*])", r"<em>\1</em>", said)
    said = re.sub(r"`([^`]+)`", r"<code>\1</code>", said)
    return Markup(STAND_IN.sub(lambda sign: str(escape(written_as_is(sign[0]))), said))


def _visible(value: Any) -> Any:
    """A text as it may stand on a page: nothing in it turns letters round or is not seen."""
    return (
        value
        if isinstance(value, Markup) or not isinstance(value, str) or value.startswith("data:")
        else written_as_is(visible(value))
    )


def _policy(style: str, script: str) -> str:
    of_style, of_script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{of_style}'; script-src 'sha256-{of_script}'; "
        "base-uri 'none'; form-action 'none'"
    )
