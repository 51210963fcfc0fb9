"""Cutting faces out of photos in worker processes, which import no more than `preprocess`'s do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from facestats.errors import FaultError, ImageError, InputError
from facestats.faces.crop import FaceCrop, PreprocessConfig, crop_face
from facestats.faces.landmarks import Landmarker
from facestats.faces.photo import within_limits
from facestats.faces.runtime import keep_freed_memory
from facestats.photos.source import as_source

_LARGE = ("layers", "view")  # fields that only the facts and the grey picture come from


@dataclass(frozen=True)
class MeasuredCrop(FaceCrop):
    """A face whose facts are known, so that it can leave the process that measured it.

    Attributes
    ----------
    known : dict
        What `facts` gives.
    grey_view : ndarray
        What `grey` is.
    """

    known: dict[str, Any] | None = None
    grey_view: np.ndarray | None = None

    @property
    def grey(self) -> np.ndarray:
        assert self.grey_view is not None
        return self.grey_view

    def facts(self) -> dict:
        return dict(self.known or {})


@dataclass(frozen=True)
class Cut:
    """A face that was cut out, and its JPEG as the pipeline encodes it."""

    crop: FaceCrop
    jpeg: bytes


def cut(source: str, config: PreprocessConfig, landmarker: Landmarker) -> Cut | str:
    """Cut the face out of a photo; a text says why that is not possible.

    Raises
    ------
    FaultError
        The machine fails.
    OverLimitError
        The photo takes more memory than a worker process is allowed.
    """
    try:
        face = within_limits(crop_face, config, as_source(Path(source)), config, landmarker)
    except FaultError:
        raise
    except (ImageError, InputError) as error:
        return str(error)
    small = {one.name: getattr(face, one.name) for one in fields(face) if one.name not in _LARGE}
    crop = MeasuredCrop(**small, known=face.facts(), grey_view=face.grey)
    return Cut(crop, face.jpeg(config.quality))


_state: tuple[PreprocessConfig, Landmarker] | None = None  # of a worker


def set_up(config: PreprocessConfig, folder: str) -> None:
    """Prepare this process for `cut_one`."""
    global _state
    keep_freed_memory()
    _state = config, Landmarker(folder)


def cut_one(source: str) -> Cut | str:
    """See `cut`."""
    assert _state is not None
    return cut(source, *_state)
