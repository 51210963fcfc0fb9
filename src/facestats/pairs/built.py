"""A composite read from its folder, for continua and differences."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from facestats.core.landmarks import N_LANDMARKS
from facestats.errors import InputError
from facestats.machine.faults import DAMAGED_ARRAYS, fault, is_of_machine


@dataclass
class Built:
    """A composite, read from its folder.

    Attributes
    ----------
    name : str
        As in `params.yaml`.
    image : ndarray of uint8 (size, size, 3), optional
        sRGB; None where it was not built.
    shape : ndarray of float32 (468, 2), optional
        Mean landmarks as shares of the side; None where no member has any.
    facts : dict
        The content of `composite.json`.
    """

    name: str
    image: np.ndarray | None = None
    shape: np.ndarray | None = None
    facts: dict = field(default_factory=dict)

    @property
    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """`image` and `shape` of one that can be compared; see `why`."""
        if self.image is None or self.shape is None:
            raise ValueError(self.why)
        return self.image, self.shape

    @property
    def why(self) -> str | None:
        """Why it can't be compared with another; None where it can."""
        if self.image is None:
            why = self.facts.get("why") or "no reason was given"
            return f"the composite {self.name} was not built: {why}"
        if self.shape is None:
            return (
                f"no member of the composite {self.name} has landmarks, which say where its "
                "features are"
            )
        return None

    def summary(self) -> dict:
        """Name, number of faces, and how they were chosen and drawn."""
        return {
            "name": self.name,
            "built": self.image is not None,
            "n": self.facts.get("n", 0),
            "filter": self.facts.get("filter"),
            "note": self.facts.get("note"),
            "render": self.facts.get("render"),
        }


def _says_who(content: dict) -> bool:
    members = content.get("members")
    return (
        isinstance(content.get("n"), int)
        and isinstance(members, list)
        and all(isinstance(name, str) for name in members)
    )


def read_composite(folder: Path) -> Built:
    """Read a composite's folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Built

    Raises
    ------
    InputError
        The folder is not one that the stage `composite` wrote, or holds a damaged file.
    """
    try:
        content = json.loads((folder / "composite.json").read_text(encoding="utf-8"))
        built = Built(content["name"], facts=content)
        if content["built"]:
            lossless = folder / "composite.png"  # with the colours behind its transparency
            path = lossless if lossless.exists() else folder / "composite.jpg"
            with Image.open(path) as image:
                built.image = np.asarray(image.convert("RGB"))
            if (folder / "shape.npy").exists():
                built.shape = np.load(folder / "shape.npy", allow_pickle=False)
    except (*DAMAGED_ARRAYS, RecursionError) as error:
        # The header of an array may claim any size.
        if is_of_machine(error) and not isinstance(error, MemoryError):
            raise fault(folder, error) from None
        raise InputError(
            f"{folder} is not the folder of a composite ({error}); `dvc repro` writes it"
        ) from None
    if content["built"] and not _says_who(content):
        raise InputError(
            f"{folder / 'composite.json'}: n or members is missing; `dvc repro` writes it anew"
        )
    for key in ("filter", "render"):
        if not isinstance(content.get(key), dict | None):
            raise InputError(
                f"{folder / 'composite.json'}: {key} is no mapping; `dvc repro` writes it anew"
            )
    if built.shape is not None:
        _check_shape(built.shape, folder / "shape.npy")
    return built


def _check_shape(shape: object, path: Path) -> None:
    """Raise an `InputError` for what is no array of landmarks."""
    if not isinstance(shape, np.ndarray) or shape.shape != (N_LANDMARKS, 2):
        raise InputError(
            f"{path} is {getattr(shape, 'shape', 'an archive')}; landmarks are (468, 2); "
            "`dvc repro` writes it anew"
        )
    if shape.dtype.kind != "f" or not np.isfinite(shape).all():
        raise InputError(f"{path} has landmarks that are no numbers; `dvc repro` writes it anew")


def why_not_comparable(first: Built, second: Built) -> str | None:
    """Say why two composites can't be compared.

    Parameters
    ----------
    first, second : Built

    Returns
    -------
    str or None
        None where they can.

    Raises
    ------
    InputError
        Their pictures differ in size.
    """
    whys = [built.why for built in (first, second) if built.why]
    if not whys and first.drawn[0].shape != second.drawn[0].shape:
        sizes = [
            f"{built.name} is {built.drawn[0].shape[1]}×{built.drawn[0].shape[0]} px"
            for built in (first, second)
        ]
        raise InputError(
            f"{', '.join(sizes)}; two composites are set against each other at one size"
        )
    return "; ".join(whys) or None


def drawn_differently(one: Built, other: Built) -> str | None:
    """Warn where two composites were drawn in different ways, which shows when they are compared.

    Parameters
    ----------
    one, other : Built

    Returns
    -------
    str or None
        None where they were drawn in the same way.
    """
    first, second = (built.facts.get("render") or {} for built in (one, other))
    keys = sorted(key for key in {*first, *second} if first.get(key) != second.get(key))
    if not keys:
        return None
    options = ", ".join(f"{key}: {first.get(key)} and {second.get(key)}" for key in keys)
    return (
        f"{one.name} and {other.name} are drawn in different ways ({options}), "
        "which is part of the difference"
    )
