"""The crops of the last committed run, as files or in shards of DVC's cache."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from facestats.core.crops import INDEX, is_name, read_list
from facestats.core.layout import CROPS
from facestats.core.shards import read_member
from facestats.machine.faults import is_passing
from facestats.rows.dvc_cache import DvcCache, is_md5


def committed_crops(cache: DvcCache, out: str | Path) -> dict[str, str]:
    """MD5 of each crop by its name; empty where DVC's cache lacks the folder.

    Parameters
    ----------
    cache : DvcCache
    out : str or Path
        The folder of the crops.
    """
    files = cache.committed_files(out)
    if INDEX not in files:
        return files
    return {
        name: md5 for shard in _shards(cache, files) for name, md5 in _listed(str(shard)).items()
    }


def read_crop(cache: DvcCache, md5: str) -> bytes | None:
    """The bytes of a crop in a committed shard, unchecked; None where no shard lists it.

    Raises
    ------
    OSError
        The disk fails.
    """
    try:
        found = _members(cache).get(md5)
        return read_member(*found) if found else None
    except OSError as error:
        if is_passing(error):
            raise
        return None


def has_crop(cache: DvcCache, md5: str) -> bool:
    """Whether a committed shard lists a crop with this MD5; OSError where the disk fails."""
    return md5 in _members(cache)


def _shards(cache: DvcCache, files: dict[str, str]) -> list[Path]:
    shards = [cache.object(md5) for name, md5 in sorted(files.items()) if is_name(name)]
    return [shard for shard in shards if shard.is_file()]


def _members(cache: DvcCache) -> dict[str, tuple[Path, str]]:
    """Shard and name of each crop by its MD5; empty where the crops are files."""
    listing = cache.committed(cache.root / CROPS)
    return _members_of(cache, str(listing)) if listing else {}


@lru_cache(maxsize=1)  # of this listing, which is named by its hash
def _members_of(cache: DvcCache, _: str) -> dict[str, tuple[Path, str]]:
    files = cache.committed_files(cache.root / CROPS)
    if INDEX not in files:
        return {}
    return {
        md5: (shard, name)
        for shard in _shards(cache, files)
        for name, md5 in _listed(str(shard)).items()
    }


def _listed(shard: str) -> dict[str, str]:
    """What a shard of DVC's cache lists."""
    return {name: md5 for name, md5 in read_list(Path(shard)).items() if is_md5(md5)}
