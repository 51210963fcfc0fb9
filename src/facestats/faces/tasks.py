"""A worker's task where photos may lie in shards; `photo` computes it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace

from facestats.core.shards import find_member
from facestats.errors import FaultError, ImageError
from facestats.faces import photo
from facestats.faces.photo import PhotoTask
from facestats.photos.source import read_photo


def process_task(task: PhotoTask) -> dict:
    """Process one photo, see `photo.process_task`; one in a shard gets a file of its own."""
    if find_member(task.source) is None:
        return photo.process_task(task)
    config = photo._state[0]
    with tempfile.NamedTemporaryFile() as copy:
        with suppress(ImageError):  # of a photo that has changed since it was hashed
            copy.write(read_photo(task.source, config.max_megabytes))
        copy.flush()
        try:
            return photo.process_task(replace(task, source=copy.name))
        except FaultError as error:
            raise FaultError(str(error).replace(copy.name, task.source)) from None
