"""Average faces of filters, and pictures between two of them: drawn once, and kept."""

from __future__ import annotations

import asyncio
import io
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

import numpy as np
import yaml
from PIL import Image
from pydantic import ValidationError

from facestats.app.faces_table import Selected
from facestats.app.query import Query
from facestats.app.site import Shown, Site
from facestats.composites.params import Render
from facestats.errors import InputError, number_of
from facestats.groups.params import MemberFilter
from facestats.pairs.built import Built, why_not_comparable
from facestats.pairs.continuum import continuum
from facestats.service.faces import MOST_MEMBERS
from facestats.serving.composites import FACTS, average_group
from facestats.serving.filters import listed
from facestats.serving.types import CompositeFacts

LEAST = MemberFilter().min_results
STEPS = 11  # pictures from one face to the other, both ends among them
OPTIONS = ("align", "space", "symmetric", "texture", "max_yaw", "mask", "background")
NAMES = ("first", "second")
_AS_IN_PARAMS: dict[str, Any] = {
    "sort_keys": False,
    "allow_unicode": True,
    "default_flow_style": None,
    "width": 100,
}
KEPT_FACES, KEPT_STEPS = 24, 6  # answers that are kept


@dataclass(frozen=True)
class Wanted:
    """One average face: who is in it, and how it is drawn.

    Attributes
    ----------
    query : Query
    render : Render
    """

    query: Query
    render: Render

    @property
    def text(self) -> str:
        """The query of its address, in one form."""
        parts = [self.query.text, options_text(self.render)]
        return "&".join(part for part in parts if part)


@dataclass(frozen=True)
class Face:
    """An average face that was drawn.

    Attributes
    ----------
    built : Built
    facts : CompositeFacts
    png : bytes
    """

    built: Built
    facts: CompositeFacts
    png: bytes


@dataclass
class Kept:
    """Work of the last requests by its key; a second request joins the first one's.

    Attributes
    ----------
    most : int
        Answers that are kept.
    """

    most: int
    _tasks: OrderedDict[str, asyncio.Future] = field(default_factory=OrderedDict)

    async def get(self, key: str, start: Callable[[], Any]) -> Any:
        """The answer of a key; whoever stops waiting for it leaves it to the next."""
        task = self._tasks.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._tasks[key] = asyncio.ensure_future(start())
            # Nobody may be left to be told of an error.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._tasks.move_to_end(key)
        while len(self._tasks) > self.most:
            self._tasks.popitem(last=False)
        return await asyncio.shield(task)


class Composer:
    """Draws on the thread of the service's composites, one picture at a time.

    Parameters
    ----------
    site : Site
    """

    def __init__(self, site: Site):
        self.site = site
        self._faces, self._between = Kept(KEPT_FACES), Kept(KEPT_STEPS)

    async def face(self, shown: Shown, wanted: Wanted) -> Face:
        """The average face of a filter.

        Raises
        ------
        InputError
            Too few faces.
        ServiceError
            Too many pictures wait.
        """
        draw = self.site.state.engine.draw
        key = f"{shown.version}?{wanted.text}"
        return await self._faces.get(key, lambda: draw(partial(_draw, shown, wanted)))

    async def between(self, shown: Shown, first: Wanted, second: Wanted) -> list[bytes]:
        """PNG files from one average face to another, `STEPS` of them; errors as of `face`."""
        ends = await self.face(shown, first), await self.face(shown, second)
        draw = self.site.state.engine.draw
        key = f"{shown.version}?{first.text}&&{second.text}"
        return await self._between.get(key, lambda: draw(partial(_steps, *ends)))


def filter_of(query: Query) -> MemberFilter:
    """The filter as `params.yaml` has it, which draws no more faces than a page may.

    Raises
    ------
    InputError
        It asks for too few.
    """
    where = query.where.model_dump(exclude_defaults=True, exclude={"min_results"})
    try:
        return MemberFilter.model_validate({**where, "min_results": LEAST})
    except ValidationError as error:
        raise InputError(f"the filter: {listed(error.errors())}") from None


def check_enough(selected: Selected) -> None:
    """Refuse to draw a group that would show single persons.

    Raises
    ------
    InputError
        It is too small.
    """
    found = len(selected.rows)
    if found < LEAST:
        raise InputError(
            f"too few faces match: {found} of at least {LEAST}, for an average of fewer shows "
            "these people rather than a group"
        )


def options_of(fields: dict[str, str]) -> Render:
    """The options of the drawing in an address.

    Raises
    ------
    InputError
        One that is none.
    """
    given: dict[str, Any] = {name: fields[name] for name in OPTIONS if fields.get(name)}
    if given.get("background") == "transparent":
        given["format"] = "png"
    try:
        return Render.model_validate({name: _option(name, value) for name, value in given.items()})
    except ValidationError as error:
        raise InputError(f"how it is drawn: {listed(error.errors())}") from None


def _option(name: str, text: str) -> Any:
    if name in ("symmetric", "texture"):
        return {"true": True, "false": False}.get(text, text)
    if name == "max_yaw":
        try:
            return float(text)
        except ValueError:
            return text
    return text


def options_text(render: Render) -> str:
    """The options as an address has them: those that differ from the defaults."""
    changed = _changed(render)
    changed.pop("format", None)
    return urlencode([(name, _plain(value)) for name, value in changed.items()])


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _changed(render: Render) -> dict[str, Any]:
    dump = render.model_dump(exclude_defaults=True)
    return {name: dump[name] for name in (*OPTIONS, "format") if name in dump}


def left_out(selected: Selected) -> list[str]:
    """What a filter leaves out beside its conditions, in sentences."""
    notes = []
    if selected.flagged:
        doubts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in selected.flagged.items())
        notes.append(f"Doubtful pictures are left out: {doubts}.")
    if selected.copies:
        what = "a copy of another" if selected.copies == 1 else "copies of others"
        notes.append(f"{number_of(selected.copies, 'face')} left out as {what}.")
    if len(selected.rows) > MOST_MEMBERS:
        notes.append(f"Drawn from {MOST_MEMBERS} of these {len(selected.rows):,} faces, by lot.")
    return notes


def params_lines(sides: list[Wanted], selected: list[Selected]) -> tuple[str, str | None]:
    """Lines for `params.yaml` that draw the same, or why there are none.

    Parameters
    ----------
    sides : list of Wanted
        One or two.
    selected : list of Selected
        The faces of each.

    Returns
    -------
    lines : str
    why : str or None
    """
    for side in sides:
        own = [("a name", side.query.words), ("an area of the map", side.query.area)]
        for what, value in own:
            if value:
                return "", f"params.yaml has no condition for {what}"
    names = [f"my_{name}" for name in NAMES[: len(sides)]]
    composites = {}
    for name, side, found in zip(names, sides, selected, strict=True):
        where = filter_of(side.query).model_dump(exclude_defaults=True)
        if len(found.rows) > MOST_MEMBERS:
            where |= {"n": MOST_MEMBERS, "seed": side.query.where.seed}
        # These two stages take their options from the keys, which therefore are there.
        composites[name] = {
            "filter": where | {"min_results": LEAST},
            "render": {"align": side.render.align, **_changed(side.render)},
        }
    content: dict[str, Any] = {"composites": composites}
    if len(names) == 2:
        first, second = names
        content["continua"] = {f"{first}_to_{second}": {"from": first, "to": second}}
        content["differences"] = {f"{second}_minus_{first}": {"of": second, "minus": first}}
    text = yaml.safe_dump(content, **_AS_IN_PARAMS)
    if yaml.safe_load(text) != content:  # U+0085 is read as a blank
        text = yaml.safe_dump(content, **{**_AS_IN_PARAMS, "allow_unicode": False})
    return text, None


def _draw(shown: Shown, wanted: Wanted) -> Face:
    where, query = filter_of(wanted.query), wanted.query
    selected = shown.faces.select(query)
    check_enough(selected)
    table = shown.faces.frame.take(np.sort(selected.rows))
    table.attrs[FACTS] = {
        "filter": {**query.conditions, "flags": where.flags, "copies": where.copies},
        "matched": selected.matched,
    }
    options = wanted.render.model_dump(include=set(OPTIONS))
    if "yaw" in (where.columns or {}):  # as the stage: these are turned alike
        options["max_yaw"] = 90.0
    number = None if len(table) <= MOST_MEMBERS else MOST_MEMBERS
    drawn = average_group(
        shown.run.models_of_table, table, options, number, where.seed, where.flags, where.copies
    )
    if drawn.facts.n < LEAST:
        reasons = "; ".join(f"{len(names)} {why}" for why, names in drawn.facts.left_out.items())
        raise InputError(
            f"too few faces can be drawn: {drawn.facts.n} of at least {LEAST} ({reasons})"
        )
    built = Built("of these faces", np.ascontiguousarray(drawn.codes[..., :3]), drawn.shape)
    return Face(built, drawn.facts, _png(drawn.codes))


def _steps(first: Face, second: Face) -> list[bytes]:
    why = why_not_comparable(first.built, second.built)
    if why is not None:
        raise InputError(why)
    return [_png(picture) for picture in continuum(first.built, second.built, STEPS)]


def _png(codes: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(codes).save(out, "PNG")
    return out.getvalue()
