"""A worker's task where photos may lie in shards; `photo` computes it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace

from facestats.core.shards import find_member
from facestats.errors import FaultError, ImageError
from facestats.faces import photo
from facestats.faces.crop import PreprocessConfig
from facestats.faces.photo import PhotoTask
from facestats.photos.decoder import limits_as_errors
from facestats.photos.reading import MAX_MEGABYTES
from facestats.photos.source import read_photo
from facestats.rows.files import RowFiles

_max_megabytes, _copies = MAX_MEGABYTES, None  # of a worker


def set_up(config: PreprocessConfig, model_dir: str, files: RowFiles, copies: str) -> None:
    """Prepare this process for `process_task`.

    Copies of photos out of shards lie in the folder `copies` meanwhile; a process that is ended
    leaves its own there.
    """
    global _max_megabytes, _copies
    _max_megabytes, _copies = config.max_megabytes, copies
    photo.set_up(config, model_dir, files)


def process_task(task: PhotoTask) -> dict:
    """Process one photo, see `photo.process_task`; one in a shard gets a file of its own.

    Raises
    ------
    CrashError
        The photo ends the process that decodes it, where that is not this one.
    """
    with limits_as_errors():
        if find_member(task.source) is None:
            return photo.process_task(task)
        with tempfile.NamedTemporaryFile(dir=_copies) as copy:
            with suppress(ImageError):  # of a photo that has changed since it was hashed
                copy.write(read_photo(task.source, _max_megabytes))
            copy.flush()
            try:
                return photo.process_task(replace(task, source=copy.name))
            except FaultError as error:
                raise FaultError(str(error).replace(copy.name, task.source)) from None
