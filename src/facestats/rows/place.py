"""Where the row store is, and who may write it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from facestats.errors import InputError
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.folder import ALONE, Sharing

PLACE = "FACESTATS_ROWS"  # environment: another folder for the store
FOLDER = "facestats-rows"  # beside DVC's cache


def find_store(cache: DvcCache | None) -> Path | None:
    """The folder of the store; None outside of a DVC project.

    It is FACESTATS_ROWS, else beside DVC's cache, or inside it if a shared cache lies in a folder
    that we can't write.

    Raises
    ------
    InputError
        FACESTATS_ROWS is an address, not a folder.
    """
    if place := os.environ.get(PLACE):
        if "://" in place:
            raise InputError(
                f"{PLACE} is {place}, but the row store is a folder; name one, such as a disk that "
                "all machines have mounted"
            )
        try:
            return Path(place).expanduser().absolute()
        except RuntimeError:
            raise InputError(
                f"{PLACE} is {place}, but no such user has a folder here; write the whole path"
            ) from None
    if cache is None:
        return None
    beside, inside = cache.folder.parent / FOLDER, cache.folder / FOLDER
    # One that exists counts, whoever made it: people who share a cache have different rights.
    existing = next((place for place in (beside, inside) if place.is_dir()), None)
    return existing or (beside if os.access(beside.parent, os.W_OK) else inside)


def sharing_of(cache: DvcCache | None) -> Sharing:
    """Who may write the store: with `cache.shared group`, the group of DVC's cache."""
    if cache is None or not cache.shared:
        return ALONE
    group = None
    with suppress(OSError):  # not there yet
        group = cache.folder.stat().st_gid
    return Sharing(0o664, 0o2775, group)
