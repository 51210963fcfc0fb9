"""The document on a run, and its two renderings: a page that can be sent, and the model card."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from facestats.core.stats.verdict import SAYS_SOMETHING, doubts_of_scores
from facestats.machine.output import visible
from facestats.report import (
    section_composites,
    section_crossvalidation,
    section_faces,
    section_fairness,
    section_models,
    section_scores,
    section_traits,
)
from facestats.report.album import MOST_BYTES, Album
from facestats.report.blocks import Section, table
from facestats.report.material import Material, Run, without_folder
from facestats.report.prose import TEMPLATES, prose
from facestats.report.text import STAND_IN, as_plain, written_as_is, written_as_markdown

TITLE = "FaceStats report"
MOST = 10_000_000  # bytes of the page
STYLES = ("tokens.css", "report.css")  # the first is the app's, too
METRICS = (  # sections that are written from the metrics alone, in the order of the page
    section_crossvalidation.crossvalidated,
    section_scores.scores,
    section_fairness.groups,
    section_fairness.gaps,
    section_models.attributes,
    section_models.ages,
    section_models.uses,
    section_models.misuses,
    section_models.limits,
    section_models.data,
    section_models.models,
)
CARD = (  # the same in the order of the card
    section_models.models,
    section_models.data,
    section_models.ages,
    section_models.uses,
    section_models.misuses,
    section_crossvalidation.crossvalidated,
    section_scores.scores,
    section_fairness.groups,
    section_models.attributes,
    section_fairness.gaps,
    section_models.limits,
)
PICTURES = (
    section_faces.faces,
    section_composites.composites,
    section_composites.continua,
    section_composites.differences,
    section_faces.photos,
    section_faces.clusters,
    section_faces.look,
)


def report(material: Material, most: int = MOST_BYTES) -> tuple[str, Album]:
    """Write the page: pictures first, metrics and methods folded below.

    Parameters
    ----------
    material : Material
    most : int
        Bytes of all pictures, as data URIs.

    Returns
    -------
    page : str
        HTML with style, script and pictures inside.
    album : Album
        What became of its pictures.
    """
    run = replace(material.run, metrics=material.metrics).plain()
    material = replace(material, run=run)
    sections = [
        summary(run, material.faces, material.doubts, material.params.report.images),
        *(section(material) for section in PICTURES),
        *filter(None, [section_traits.traits_with_faces(material)]),
        *(section(run) for section in METRICS),
        parameters(material),
    ]
    album = Album(material.params.report.images, most)
    page = render_page(TITLE, sections, album)
    excess = len(page.encode()) - MOST
    if excess > 0 and most > 0:  # a thousand composites have a megabyte of words
        return report(material, max(0, most - album.room - excess))
    return page, album


def model_card(run: Run, folder: Path = Path("docs")) -> str:
    """Write the model card.

    Parameters
    ----------
    run : Run
    folder : Path
        Where the card lies; its links to plots lead from there.

    Returns
    -------
    str
        Markdown.
    """
    run = run.plain()
    sections = [summary(run), *(section(run) for section in CARD)]
    sections += filter(None, [section_traits.traits(run)])
    return render_markdown(sections, folder, "Model card: scores and attributes of faces")


def render_markdown(sections: list[Section], folder: Path, title: str | None = None) -> str:
    """Render sections as Markdown, in which figures are links.

    Parameters
    ----------
    sections : list of Section
    folder : Path
        Where the text will lie; its links to plots lead from there.
    title : str, optional
        That of the model card, whose first lines then come first.

    Returns
    -------
    str
    """
    environment = _environment()
    environment.filters["link"] = lambda path: Path(os.path.relpath(path, folder)).as_posix()
    environment.filters["cell"] = lambda text: text.replace("|", "\\|")
    text = environment.get_template("card.md.jinja").render(sections=sections, title=title)
    return written_as_markdown(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n")


def summary(
    run: Run,
    faces: pd.DataFrame | None = None,
    doubts: Mapping[str, str] | None = None,
    shown: bool = False,
) -> Section:
    """Write the whole in a few sentences, the verdict on the scores first.

    Parameters
    ----------
    run : Run
        With plain texts.
    faces : DataFrame, optional
        `faces.parquet`; the card does without.
    doubts : mapping of str to str, optional
        What is doubtful about the answers of prompts: `zeroshot`.
    shown : bool
        Whether faces are shown.

    Returns
    -------
    Section
    """
    rated = run.attractiveness
    test = rated["test"]
    name, model = ("geometric", "geometric") if rated["why"] else ("holistic", "mlp")
    blocks = prose(
        "summary",
        verdicts=doubts_of_scores(rated),
        shown_scores=[
            name for name, verdict in rated["verdicts"].items() if verdict["word"] == SAYS_SOMETHING
        ],
        prompts=(doubts or {}).get("zeroshot"),
        photos=None if faces is None else len(faces),
        accepted=None if faces is None else int((faces["status"] == "ok").sum()),
        drawn=run.drawn,
        measured_scores=section_scores.anything_measured(rated),
        why=(run.training.get("why") or rated["why"]) if rated["why"] else None,
        crossvalidated=section_crossvalidation.lead(run),
        where=_evidence(rated),
        n=test["n"],
        name=name,
        score=test[model],
        combined=test["combined"]["pearson"],
        ridge=test["ridge"]["pearson"],
        ceiling=rated["reliability"]["ceiling"],
        ages=section_models.age_notices(run.age_check),
        gaps=section_fairness.clear_gaps(run.fairness),
        shown=shown,
    )
    return Section("summary", "In short", blocks)


def _evidence(rated: dict) -> str:
    """Name the faces that the verdicts in favour rest on."""
    parts = [
        part["faces"]
        for verdict in rated["verdicts"].values()
        if verdict["word"] == SAYS_SOMETHING
        for part in verdict["evidence"]
    ]
    names = dict.fromkeys(f"{name}s" for name in parts)
    return " and ".join(f"on {name}" for name in names)


def parameters(material: Material) -> Section:
    """All that `params.yaml` says."""
    values = _flat(material.params.model_dump(by_alias=True))
    rows = [as_plain([name, value]) for name, value in values]
    caption = f"All {len(rows)} parameters, as params.yaml has them"
    blocks = prose("run", parameters=table(caption, ["parameter", "value"], rows))
    return Section("run", "Parameters", blocks, folded=True)


def render_page(title: str, sections: list[Section], album: Album) -> str:
    """Render sections as one HTML page that fetches nothing.

    Text is escaped wherever it comes from, and the content security policy allows no request and
    no script but the page's own: a file that is called like a tag stays a name.

    Parameters
    ----------
    title : str
    sections : list of Section
    album : Album
        Embeds the figures.

    Returns
    -------
    str
    """
    style, script = (
        "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)
        for names in (STYLES, ["report.js"])
    )
    return (
        html_environment()
        .get_template("page.html")
        .render(
            title=title,
            sections=sections,
            album=album,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
        )
    )


def inline(text: str) -> Markup:
    """Escape a text and read its marks.

    Parameters
    ----------
    text : str
        `**…**` is strong, `*…*` is emphasised, what stands between backticks is code; a link
        becomes its words.

    Returns
    -------
    Markup
    """
    html = re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", str(escape(visible(text))))
    html = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html)
    html = re.sub(r"(?<![\w*])\*(\w[^*]*)\*(?![\w*])", r"<em>\1</em>", html)
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", html)
    return Markup(STAND_IN.sub(lambda sign: str(escape(written_as_is(sign[0]))), html))


def html_environment(*folders: Path) -> Environment:
    """Templates of pages: values are escaped, and nothing in them turns letters round.

    Parameters
    ----------
    *folders : Path
        Of further templates.
    """
    environment = _environment(*folders, autoescape=True, finalize=_visible)
    environment.filters["inline"] = inline
    return environment


def _environment(*folders: Path, **options: Any) -> Environment:
    return Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )


def _visible(value: Any) -> Any:
    """A text as it may stand on a page: nothing in it turns letters round or is not seen."""
    if isinstance(value, Markup) or not isinstance(value, str) or value.startswith("data:"):
        return value
    return written_as_is(visible(value))


def _policy(style: str, script: str) -> str:
    of_style, of_script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{of_style}'; "
        f"script-src 'sha256-{of_script}'; base-uri 'none'; form-action 'none'"
    )


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and what they are set to; a path outside of the project without its folders."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, str):
        yield name, without_folder(value)
    else:
        yield name, json.dumps(value, ensure_ascii=False)
