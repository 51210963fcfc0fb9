"""`forget --cache`: keep only what the project uses now in DVC's cache, rows and a remote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Container, Iterable
from pathlib import Path

from facestats.core.photo_files import face_filename
from facestats.dvc_files.cache import find_site_cache
from facestats.errors import FaceStatsError, InputError
from facestats.machine.faults import fault
from facestats.machine.output import print_line
from facestats.rows.dvc_cache import DvcCache, is_md5
from facestats.rows.folder import is_absent
from facestats.rows.interface import StorePath
from facestats.rows.usage import prune


def check(root: Path, cache: DvcCache | None, remote: str | None) -> None:
    """Raise `InputError` if there is no cache of this project's own, or no such remote."""
    if cache is None or cache.root != root:
        raise InputError(f"{root} is no DVC project: it has no cache; leave --cache out")
    if cache.folder.resolve() != root.resolve() / ".dvc" / "cache":  # a link leads elsewhere, too
        raise InputError(
            f"the cache {cache.folder} lies outside of this project, and other projects may use "
            "it: `dvc gc` would remove what they need. Without --cache, photos, labels and rows "
            "are removed; then run `dvc repro` and `dvc gc --workspace --projects DIR…`, naming "
            "every other project that uses the cache"
        )
    known = remotes(root)
    if remote and remote not in known:
        raise InputError(
            f"--remote {remote}: there is no such remote; `dvc remote list` names "
            f"{', '.join(known) or 'none'}"
        )


def require_filled(root: Path, cache: DvcCache, remote: str) -> None:
    """Raise `InputError` where a remote has nothing of this project: it may not be the real one."""
    known = {*cache.hashes(but_of="").values(), *all_objects(cache)}
    try:
        has_any = not known or _has_any(root, remote, known)
    except Exception as error:  # libraries for remotes have errors of many kinds
        raise InputError(
            f"remote {remote} can't be reached or refuses us: {type(error).__name__}: {error}"
        ) from None
    if not has_any:
        raise InputError(
            f"--remote {remote}: it has nothing of what DVC's cache holds; is a disk not mounted, "
            "or another folder named? Where nothing was ever pushed, leave --remote out. Nothing "
            "was removed"
        )


def explain(remote: str | None) -> str:
    """What `forget` will do, in one line."""
    return (
        "`dvc repro`, `rows prune`, and `"
        + " ".join(["dvc", *_gc(remote)])
        + "`: earlier versions, other branches and experiments lose their files"
    )


def forget(
    root: Path,
    cache: DvcCache,
    store: StorePath | None,
    images: list[str],
    remote: str | None,
    objects: set[str],
    has_photos: bool,
) -> int:
    """Run the pipeline, remove what it does not use, and count the pictures that are left.

    Parameters
    ----------
    objects : MD5 of their pictures, as far as they are known
    has_photos : whether the photos are here, and not kept back by somebody else
    """
    before = pictures(cache, images) | objects
    print("running `dvc repro`: only what the outs need stays in the cache")
    if _dvc(root, "repro", *([] if has_photos else ["--allow-missing"])):
        raise FaceStatsError(
            "`dvc repro` failed (above): photos, labels and rows are removed, DVC's cache and the "
            "remote are as they were. Mend it and give the same command again"
        )
    now = _current(cache)
    if still := [image for image in images if image in now]:
        raise FaceStatsError(
            f"the outs still name {still[0]}: is it in data.images again? DVC's cache and the "
            "remote are as they were"
        )
    if (
        store
        and store.is_dir()
        and store.is_relative_to(cache.folder.parent)
        and (busy := prune(store, cache))
    ):
        recipe, why = next(iter(busy.items()))
        raise FaceStatsError(f"{recipe} {why}; give the same command again when that is over")
    print(f"running `{' '.join(['dvc', *_gc(remote)])}`")
    if _dvc(root, *_gc(remote)):
        raise FaceStatsError(
            "`dvc gc` failed (above): some of it is left; give the same command again"
        )
    left = [str(cache.object(md5)) for md5 in sorted(before) if cache.object(md5).exists()]
    left += [f"{md5} on {remote}" for md5 in _on_remote(root, remote, before)] if remote else []
    for name in left:
        print_line(
            f"warning: {name} is still there: the project uses the same bytes under another name"
        )
    print_line(
        f"{len(before)} pictures of {', '.join(images)} were in DVC's cache, {len(left)} are left "
        "in it" + (f" or on {remote}" if remote else "")
    )
    print("now commit: git add -u && git commit")
    return len(left)


def not_looked_at(root: Path, remote: str | None) -> list[str]:
    """Further remotes, and the command that leaves there only what the project uses now."""
    return [
        f"the remote {name} was not looked at; there, `{' '.join(['dvc', *_gc(name)])}` removes "
        "what the project does not use now"
        for name in remotes(root)
        if name != remote
    ]


def beyond_reach(root: Path, manual: Path) -> str:
    """What no command of this package removes."""
    return "\n".join(
        [
            "beyond this command's reach:",
            f"  git's history: earlier versions of {manual.name}, and pictures or tables that you "
            "committed; `git filter-repo` rewrites it for good, then every clone anew",
            "  earlier commits ask DVC for the photos of their time: whoever still has them can "
            "check them out",
            *_notes_of_dvc(root),
            "  other clones, their caches and row stores: there, `git pull`, and the same command "
            "with --cache",
            "  remotes that keep old versions (S3 versioning), snapshots and backups of disks",
            "  composites, models, reports and scores that you gave to others",
        ]
    )


def _notes_of_dvc(root: Path) -> list[str]:
    if not (root / ".dvc").is_dir():
        return []
    folder, _ = find_site_cache(root)
    return [
        f"  names and hashes of earlier files in DVC's databases, {folder}; remove them while no "
        "DVC runs: it makes them anew"
    ]


def listed_names(cache: DvcCache) -> set[str]:
    """Every path in the listings of all versions."""
    return {entry["relpath"] for listing in _listings(cache) for entry in listing}


def pictures(cache: DvcCache, images: Iterable[str]) -> set[str]:
    """MD5 of the pictures that the cache lists under the names of these photos or faces."""
    images = set(images)
    faces = {face_filename(image) for image in images}
    paths = {
        *images,
        *faces,
        *(f"faces/{face}" for face in faces),  # as composites' members list them
        *(f"{image}.png" for image in images),  # as stimuli are called
    }
    return {
        entry["md5"]
        for listing in _listings(cache)
        for entry in listing
        if entry["relpath"] in paths
    }


def all_objects(cache: DvcCache) -> set[str]:
    """MD5 of all that the cache has."""
    return {path.parent.name + path.name for path in cache.folder.glob("files/md5/*/*")}


def _listings(cache: DvcCache) -> list[list[dict]]:
    listings = []
    for path in sorted(cache.folder.glob("files/md5/*/*.dir")):
        try:
            listed = [
                entry
                for entry in json.loads(path.read_bytes())
                if {"relpath", "md5"} <= entry.keys()
            ]
            listings.append(
                [
                    entry
                    for entry in listed
                    if is_md5(entry["md5"]) and isinstance(entry["relpath"], str)
                ]
            )
        except OSError as error:
            if not is_absent(error):
                raise fault(path, error) from None
        except (ValueError, AttributeError, TypeError, RecursionError):  # damaged
            continue
    return listings


def _current(cache: DvcCache) -> set[str]:
    """The images of the last committed run."""
    import pandas as pd

    tables = cache.tables("preprocess")
    if not tables:
        raise FaceStatsError(
            "the table of faces that `dvc repro` wrote is not there; DVC's cache and the remote "
            "are as they were"
        )
    return set().union(*(pd.read_parquet(path)["image"] for paths in tables for path in paths))


def _gc(remote: str | None) -> list[str]:
    return ["gc", "--workspace", "--force", *(["--cloud", "--remote", remote] if remote else [])]


def _dvc(root: Path, *arguments: str) -> int:
    sys.stdout.flush()
    environment = os.environ | {
        "PYTHONIOENCODING": f"{sys.stdout.encoding}:backslashreplace"
    }  # for names that the terminal can't show
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=root, env=environment
    ).returncode


def remotes(root: Path) -> list[str]:
    """Names of the remotes."""
    from dvc.config import Config, ConfigError

    try:
        return sorted(Config(str(root / ".dvc")).get("remote", {}))
    except ConfigError as error:
        raise InputError(str(error)) from None


def _on_remote(root: Path, remote: str, objects: Iterable[str]) -> list[str]:
    """Those of the objects that the remote has."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        there = repo.cloud.get_remote_odb(remote)
        return [md5 for md5 in sorted(objects) if there.exists(md5)]


def _has_any(root: Path, remote: str, objects: Container[str]) -> bool:
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        there = repo.cloud.get_remote_odb(remote)
        return there.fs.exists(there.path) and any(md5 in objects for md5 in there.all())


def temporary(root: Path, images: list[str]) -> list[Path]:
    """Folders of temporary runs that have a file of such a name."""
    faces = {Path(name).name for image in images for name in (image, face_filename(image))}
    runs = (folder for folder in (root / ".dvc" / "tmp" / "exps").glob("*/*") if folder.is_dir())
    return [folder for folder in runs if any(path.name in faces for path in folder.rglob("*"))]
