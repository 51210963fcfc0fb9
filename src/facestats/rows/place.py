"""Where the row store is, who may write it, and how it is opened: on a disk or in a bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from facestats.errors import InputError
from facestats.rows.address import BucketPath, parse_address
from facestats.rows.bucket import BucketFolder
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.folder import open_folder
from facestats.rows.interface import ALONE, Sharing, StoreFolder, StorePath

PLACE = "FACESTATS_ROWS"  # environment: another folder for the store, or a bucket
FOLDER = "facestats-rows"  # beside DVC's cache


def find_store(cache: DvcCache | None) -> StorePath | None:
    """The place of the store; None outside of a DVC project.

    It is FACESTATS_ROWS, which may be `s3://bucket/prefix`, else beside DVC's cache, or inside it
    if a shared cache lies in a folder that we can't write.

    Raises
    ------
    InputError
        FACESTATS_ROWS is an address of another kind, or a bucket and s3fs is not installed.
    """
    if place := os.environ.get(PLACE):
        return _named(place)
    if cache is None:
        return None
    beside, inside = cache.folder.parent / FOLDER, cache.folder / FOLDER
    # One that exists counts, whoever made it: people who share a cache have different rights.
    existing = next((place for place in (beside, inside) if place.is_dir()), None)
    return existing or (beside if os.access(beside.parent, os.W_OK) else inside)


def _named(place: str) -> StorePath:
    """The place that FACESTATS_ROWS names."""
    if "://" not in place:
        try:
            return Path(place).expanduser().absolute()
        except RuntimeError:
            raise InputError(
                f"{PLACE} is {place}, but no such user has a folder here; write the whole path"
            ) from None
    try:
        address = parse_address(place)
    except InputError as error:
        raise InputError(f"{PLACE}: {error}") from None
    if find_spec("s3fs") is None:
        raise InputError(
            f"{PLACE} is {place}, and a bucket needs the package s3fs: "
            "`pip install 'facestats[remotes]'`"
        )
    return address


def sharing_of(cache: DvcCache | None) -> Sharing:
    """Who may write the store: with `cache.shared group`, the group of DVC's cache."""
    if cache is None or not cache.shared:
        return ALONE
    group = None
    with suppress(OSError):  # not there yet
        group = cache.folder.stat().st_gid
    return Sharing(0o664, 0o2775, group)


def open_store(store: StorePath, sharing: Sharing = ALONE, make: bool = False) -> StoreFolder:
    """Open the store itself; with `make`, it is made if need be.

    Raises
    ------
    OSError
        There is none, see `open_folder`; a bucket is asked for nothing yet.
    """
    if isinstance(store, BucketPath):
        return BucketFolder(store, sharing)
    return open_folder(store, sharing, make)


@contextmanager
def open_below(
    store: StorePath, *names: str, sharing: Sharing = ALONE, make: bool = False
) -> Iterator[StoreFolder]:
    """Open a folder some levels below the store; raises as `open_store` and `below`."""
    folder = open_store(store, sharing, make)
    try:
        for name in names:
            above, folder = folder, folder.below(name, make)
            above.__exit__()
        yield folder
    finally:
        folder.__exit__()
