"""Where outs lie: in the project, behind no link, and not among git's or DVC's own files.

DVC removes a stage's outs before it runs the stage, and writes to the place of an out whatever its
hash names, through every link on the way there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from facestats.core.files import read_bytes
from facestats.dvc_files.forms import Out, shortened

_OTHERS = frozenset((".git", ".hg", ".dvc"))
_KINDS = ("outs", "metrics", "plots")
_TEMPLATE = re.compile(r"\$\{.*?\}")


class Misplaced(NamedTuple):
    """Why an out lies in no place of its own, and the link that is to blame, if it is one."""

    why: str
    link: Path | None = None


def made_by_stages(root: Path) -> list[Path]:
    """Paths that stages write; if the path has a key of params.yaml, the folder above it."""
    paths = [out.partition("${")[0] for out in _named(root / "dvc.yaml", ("outs",))]
    return [Path(path) for path in dict.fromkeys(paths) if path]


def odd_files(root: Path) -> Iterator[Path]:
    """What is neither file, folder nor link in the places that DVC reads whole, which waits there.

    The folders of photos and labels are looked through elsewhere: `doctor_inputs`.
    """
    named = _named(root / "dvc.yaml", ("deps", *_KINDS))
    places = {root / name.partition("${")[0] for name in named} - {root}
    tops = [place for place in places if places.isdisjoint(place.parents)]
    left = sorted(tops, reverse=True)
    while left:
        place = left.pop()
        if place.is_dir() and not place.is_symlink():
            with os.scandir(place) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name, reverse=True):
                    if entry.is_dir(follow_symlinks=False):
                        left.append(Path(entry.path))
                    elif not (entry.is_file(follow_symlinks=False) or entry.is_symlink()):
                        yield Path(entry.path)
        elif place.exists() and not (place.is_file() or place.is_dir()):
            yield place


def places_of_stages(pipeline: Path) -> Iterator[tuple[Path, Out]]:
    """Each out that a dvc.yaml names, with its places: for keys of params.yaml, all there are."""
    for out in dict.fromkeys(_named(pipeline, _KINDS)):
        pattern = _TEMPLATE.sub("*", out)
        for place in _matches(pipeline.parent, Path(pattern)):
            yield place, Out(out, None, legacy=False)


def misplaced(
    place: Path, out: Out, root: Path, folders: dict[str, set[str]], beside: Path | None = None
) -> Misplaced | None:
    """Why an out, or a folder in it, does not lie in the project itself; None where all do.

    `beside` is the folder of a `.dvc` file, in which its out has to lie.
    """
    where, top = Path(os.path.abspath(place)), Path(os.path.abspath(root))
    if not where.is_relative_to(top):
        return Misplaced(f"its out {shortened(out.path)} lies outside of the project")
    if not _OTHERS.isdisjoint(part.casefold() for part in where.relative_to(top).parts):
        why = f"its out {shortened(out.path)} lies among the files of git or of DVC itself"
        return Misplaced(why)
    above = [folder for folder in where.parents if folder != top and folder.is_relative_to(top)]
    below = {
        where / folder
        for name in folders.get(out.md5 or "", ())
        for folder in (Path(name), *Path(name).parents)
    } - {where}
    # Where DVC's cache.type is symlink, an out that is a file is a link into the cache.
    own = [where] if where.is_dir() else []
    if link := next((path for path in (*above, *own, *sorted(below)) if path.is_symlink()), None):
        shown = shortened(link.relative_to(top).as_posix())
        return Misplaced(f"its out {shortened(out.path)} lies behind a link, {shown}", link)
    if beside not in (None, where.parent):
        why = f"its out {shortened(out.path)} does not lie beside it, where DVC puts it"
        return Misplaced(why)
    return None


def _matches(folder: Path, pattern: Path) -> list[Path]:
    """The path of a pattern; where it has `*`, the folders there are, and the one above them."""
    places = [folder]
    for n, part in enumerate(pattern.parts):
        if "*" in part and n:  # any folder of the project could be meant by the first part
            found = [
                each for place in places if not place.is_symlink() for each in place.glob(part)
            ]
            # Links to files may be outs, where DVC's cache.type is symlink.
            places = [*places, *sorted(each for each in found if each.is_dir())]
        else:
            places = [place / part for place in places]
    return places


def _named(pipeline: Path, kinds: tuple[str, ...]) -> list[str]:
    """The outs of a dvc.yaml, with its own variables filled in, and keys as `${key}`."""
    try:
        content = yaml.load(
            read_bytes(pipeline).decode("utf-8"),
            getattr(yaml, "CSafeLoader", yaml.SafeLoader),
        )
        stages = [stage.get("do") or stage for stage in content["stages"].values()]
        own = _variables(content)
        outs = [
            os.path.join(stage.get("wdir") or "", out if isinstance(out, str) else next(iter(out)))
            for stage in stages
            for kind in kinds
            for out in stage.get(kind) or ()
        ]
    except (OSError, ValueError, KeyError, AttributeError, TypeError, yaml.YAMLError):
        return []
    return [re.sub(r"\$\{\w+\}", lambda name: own.get(name[0], name[0]), out) for out in outs]


def _variables(content: dict[str, Any]) -> dict[str, str]:
    return {
        f"${{{name}}}": str(value)
        for group in content.get("vars", ())
        if isinstance(group, dict)
        for name, value in group.items()
    }
