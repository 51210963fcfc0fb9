"""What a request is told when it fails: one status and one code for each kind of error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from facestats.errors import (
    FaceStatsError,
    FaultError,
    ImageError,
    InputError,
    ModelError,
    TableError,
    WithheldError,
)
from facestats.faces.crop import NO_FACE, NoFaceError
from facestats.photos.budget import OverBudgetError
from facestats.photos.containers import NO_IMAGE

RETRY_SECONDS = 1
# An absolute path of this machine in a message of the library.
_PATH = re.compile(r"(?<![\w.)/])/(?:[^\s/:;,'\"`()]+/)*[^\s/:;,'\"`()]*")
_OWN_LIMIT = re.compile(r",? (?:the limit )?that preprocess\.max_\w+ sets(?: allows for)?")


class ServiceError(Exception):
    """A request, or one photo of it, that can't be answered.

    Attributes
    ----------
    status : int
        Of HTTP.
    code : str
        For programs.
    message : str
        For people.
    body_left : bool
        Whether the request's body may not have been read to its end.
    """

    def __init__(self, status: int, code: str, message: str, body_left: bool = False):
        super().__init__(message)
        self.status, self.code, self.message, self.body_left = status, code, message, body_left

    def content(self) -> dict[str, Any]:
        """The value of `error` in an answer."""
        return {"code": self.code, "message": self.message}


def busy() -> ServiceError:
    """The error where as many photos wait as may."""
    return ServiceError(
        429, "too_busy", "too many photos are waiting; try again after Retry-After", True
    )


def late(seconds: float) -> ServiceError:
    """The error of a request that takes too long."""
    return ServiceError(
        503, "too_late", f"no answer within {seconds:g} s; try again after Retry-After"
    )


def from_library(error: FaceStatsError, root: Path) -> ServiceError:
    """The error of a request for one of the library.

    Parameters
    ----------
    error : FaceStatsError
    root : Path
        The project folder, whose path must not stand in the message.
    """
    message = without_paths(str(error), root)
    if isinstance(error, NoFaceError):
        return ServiceError(422, "no_face", f"{NO_FACE} in the photo")
    if isinstance(error, OverBudgetError):
        return ServiceError(413, "too_many_pixels", f"the photo {_OWN_LIMIT.sub('', message)}")
    if isinstance(error, ImageError):
        if message.startswith(NO_IMAGE):
            return ServiceError(415, "not_an_image", message)
        return ServiceError(422, "unusable_photo", message)
    if isinstance(error, WithheldError):
        return ServiceError(422, "age_not_checked", message)
    if isinstance(error, FaultError):
        return ServiceError(503, "machine_fault", "the server lacks memory, or its disk fails")
    if isinstance(error, ModelError | TableError):
        return ServiceError(503, "model_missing", message)
    if isinstance(error, InputError):
        return ServiceError(422, "invalid_request", message)
    return ServiceError(503, "unavailable", message)


def without_paths(message: str, root: Path) -> str:
    """A message without the project folder's path, or any other absolute one."""
    return _PATH.sub("…", message.replace(f"{root}/", "").replace(str(root), "the project"))
