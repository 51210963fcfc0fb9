"""Landmarks in the files of other programs: `.tem` of Psychomorph and webmorph, `.pts`.

A template has points in pixels from the upper left corner of the picture and, in a `.tem`, lines
that join them.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facestats.composites.contours import LINES
from facestats.core.files import write_bytes
from facestats.core.landmarks import N_LANDMARKS
from facestats.errors import InputError

MOST_BYTES = 10_000_000
MOST_POINTS = 100_000
FIRST_PIXEL = 1  # IBUG's files count pixels from 1


@dataclass(frozen=True)
class Template:
    """Landmarks of one picture.

    Attributes
    ----------
    points : float64 array (n, 2)
        X and y in pixels from the upper left corner.
    lines : tuple of (bool, tuple of int)
        Whether a line is closed, and the points that it joins in order.
    """

    points: np.ndarray
    lines: tuple[tuple[bool, tuple[int, ...]], ...] = ()


def read_template(path: str | Path) -> Template:
    """Read a `.tem`, or a `.pts` as SCUT-FBP5500 (binary) or IBUG (text) write it.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Template

    Raises
    ------
    InputError
        There is no such file, or it is none of these.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES // 1_000_000} MB, and no template")
    data = path.read_bytes()
    try:
        if path.suffix.lower() == ".pts":
            points = _pts(data)
            lines = ()
        else:
            points, lines = _tem(data.decode("ascii").split())
        if not np.isfinite(points).all():
            raise ValueError("a coordinate is not finite")
        if any(not 0 <= point < len(points) for _, line in lines for point in line):
            raise ValueError("a line joins a point that does not exist")
    except (ValueError, IndexError, struct.error) as error:
        raise InputError(
            f"{path} is no template that can be read ({error}); expected a .tem of Psychomorph or "
            "webmorph, or a .pts of SCUT-FBP5500 or IBUG"
        ) from None
    return Template(points, lines)


def _tem(words: list[str]) -> tuple[np.ndarray, tuple[tuple[bool, tuple[int, ...]], ...]]:
    """Points and lines of the words of a `.tem`."""
    place = 0

    def take(count: int) -> list[str]:
        nonlocal place
        place += count
        if not 0 <= count <= 2 * MOST_POINTS or place > len(words):
            raise ValueError("the file ends too early")
        return words[place - count : place]

    def number() -> int:
        return int(take(1)[0])

    count = number()
    if count < 1:
        raise ValueError("it holds no point")
    points = np.array(take(2 * count), dtype=np.float64).reshape(-1, 2)
    lines = []
    for _ in range(number() if place < len(words) else 0):
        closed = bool(number())
        lines.append((closed, tuple(int(word) for word in take(number()))))
    return points, tuple(lines)


def _pts(data: bytes) -> np.ndarray:
    if data.lstrip().startswith(b"version"):
        text = data.decode("ascii", errors="replace")
        match = re.search(r"n_points:\s*(\d+)\s*\{([^{}]*)\}", text)
        if not match:
            raise ValueError("it has no n_points and { … }")
        points = np.array(match[2].split(), dtype=np.float64).reshape(-1, 2) - FIRST_PIXEL
        count = int(match[1])
    else:
        (count,) = struct.unpack_from("<i", data)
        points = np.frombuffer(data, "<f4", offset=4).astype(np.float64).reshape(-1, 2)
    if count < 1 or count != len(points):
        raise ValueError(f"it names {count} points and holds {len(points)}")
    return points


def write_template(path: str | Path, template: Template | np.ndarray, binary: bool = False) -> None:
    """Write a `.tem`, which webmorph reads, or a `.pts`.

    Parameters
    ----------
    path : str or Path
        Ends in `.tem` or `.pts`.
    template : Template or array (n, 2)
        Points in pixels from the upper left corner. A `.pts` has no lines.
    binary : bool
        Write a `.pts` as SCUT-FBP5500 does, instead of IBUG's text.

    Raises
    ------
    InputError
        Another ending, or points that are not finite pairs.
    """
    path = Path(path)
    if not isinstance(template, Template):
        template = Template(np.asarray(template, dtype=np.float64))
    points = template.points
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or not np.isfinite(points).all():
        raise InputError(f"a template's points are finite pairs, (n, 2), not {points.shape}")
    if path.suffix.lower() == ".tem":
        rows = [str(len(points)), *("\t".join(map(_short, point)) for point in points)]
        rows.append(str(len(template.lines)))
        for closed, line in template.lines:
            rows += [str(int(closed)), str(len(line)), " ".join(map(str, line))]
        data = ("\n".join(rows) + "\n").encode()
    elif path.suffix.lower() != ".pts":
        raise InputError(f"{path}: a template ends in .tem or .pts")
    elif binary:
        data = struct.pack("<i", len(points)) + points.astype("<f4").tobytes()
    else:
        rows = [" ".join(map(_short, point + FIRST_PIXEL)) for point in points]
        data = "\n".join(["version: 1", f"n_points: {len(points)}", "{", *rows, "}", ""]).encode()
    write_bytes(path, data)


def _short(value: float) -> str:
    """A coordinate to a thousandth of a pixel."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def mesh_template(landmarks: Any, width: int, height: int) -> Template:
    """The 468 landmarks of a face as a template with the face's contours as lines.

    Parameters
    ----------
    landmarks : array (468, 2 or 3)
        Fractions of the picture's width and height, as `detect_landmarks` gives them and
        `shape.npy` of a composite holds them.
    width, height : int
        Of the picture, pixels.

    Returns
    -------
    Template

    Raises
    ------
    InputError
        There are not 468 landmarks.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim != 2 or points.shape[0] != N_LANDMARKS or points.shape[1] < 2:
        raise InputError(f"expected {N_LANDMARKS} landmarks, found an array of {points.shape}")
    lines = tuple((False, line) for line in LINES)
    return Template(points[:, :2] * (width, height), lines)
