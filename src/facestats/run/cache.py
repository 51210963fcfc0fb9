"""Where DVC's cache lies, for stages whose outs do not follow from it."""

from pathlib import Path

from facestats.rows.dvc_cache import find_dvc_cache


def cache_folder() -> Path | None:
    """The folder of the project's DVC cache, to which links among photos may lead."""
    cache = find_dvc_cache()
    return cache and cache.folder
