"""Check that a DVC remote holds undamaged what the current outs need, and mend it.

DVC takes a folder for pushed as long as its listing (`.dir`) is on the remote, and with `verify`
reports a damaged file only as a failed checkout. Here the file is named, and the listing removed,
without which `dvc push` would not renew the file.

DVC also follows what a remote's listings and run cache name, out of the project. They are read here
before `dvc fetch` brings them, and nothing is made from a hash or a path that leads out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from facestats.dvc_files.cache import CacheReport, examine_store
from facestats.dvc_files.forms import (
    MOST_LISTING,
    MOST_YAML,
    DamagedListingError,
    ForeignError,
    entry_outs,
    listed_files,
    shortened,
)
from facestats.errors import InputError
from facestats.machine.faults import starting_threads
from facestats.rows.dvc_cache import is_md5

_CHUNK = 1 << 20
_AT_ONCE = 8  # downloads: a remote over SSH answers one in tens of milliseconds
SHOWN = 10


@dataclass(frozen=True)
class Needed:
    """A file that an out needs from a remote.

    Attributes
    ----------
    path : str
        In the workspace.
    md5 : str
        Of its bytes, which is its name on the remote.
    listing : str or None
        MD5 of the listing of its folder; None for listings and outs that are files.
    """

    path: str
    md5: str
    listing: str | None


def examine(root: Path, remote: str, mend: bool) -> list[str]:
    """Check every object that the current outs need.

    Every object is downloaded once, and nothing is written to the workspace or the cache.

    Parameters
    ----------
    root : Path
        The project folder.
    remote : str
        Name of a remote.
    mend : bool
        Remove damaged objects, and listings of folders that miss some, if this clone has them.

    Returns
    -------
    list of str
        Problems, each with the way out.

    Raises
    ------
    InputError
        There is no such remote, or it can't be reached.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            there, here = repo.cloud.get_remote_odb(remote), repo.cache.local
            if foreign := _foreign(repo, remote, there):
                return foreign[:SHOWN] + (
                    [f"and {len(foreign) - SHOWN} more"] if len(foreign) > SHOWN else []
                )
            if not there.fs.exists(there.path):
                return [
                    f"remote {remote} ({there.path}) holds nothing; `dvc push -r {remote}` fills "
                    "it, if the address is right"
                ]
            needed = list(dict.fromkeys(_needed(repo, there)))
            with starting_threads(), ThreadPoolExecutor(_AT_ONCE) as pool:
                states = list(pool.map(lambda item: _state(there, item.md5), needed))
            wrong = [
                (item, state) for item, state in zip(needed, states, strict=True) if state != "good"
            ]
            print(
                f"remote {remote}: {len(needed)} objects of the current outs, {len(wrong)} damaged "
                "or missing"
            )
            return _report_or_mend(remote, there, here, wrong, mend) if wrong else []
    except (DvcException, OSError) as error:
        raise InputError(f"remote {remote}: {error}") from None
    except Exception as error:  # what SSH and S3 libraries raise has no base class of its own
        raise InputError(
            f"remote {remote} can't be reached or refuses us: {type(error).__name__}: {error}"
        ) from None


def _report_or_mend(
    remote: str, there, here, wrong: list[tuple[Needed, str]], mend: bool
) -> list[str]:
    """Remove what keeps `dvc push` from renewing objects, or say why that was not done."""
    problems = [
        f"{item.path} is {state} on {remote} ({there.oid_to_path(item.md5)})"
        for item, state in wrong[:SHOWN]
    ]
    problems += [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
    lacking = [item.path for item, _ in wrong if _state(here, item.md5) != "good"]
    if lacking:
        return [
            *problems,
            f"this clone's cache does not have {lacking[0]} either: mend {remote} from a "
            "clone that has, or make it anew with `dvc repro --force`",
        ]
    if not mend:
        return [
            *problems,
            f"this clone has them: `python -m facestats doctor --remote {remote} --mend`, "
            f"then `dvc push -r {remote}`",
        ]
    bad = {item.md5 for item, state in wrong if state == "damaged"}
    bad |= {item.listing for item, _ in wrong if item.listing}
    for md5 in sorted(bad):
        if there.exists(md5):
            there.fs.remove(there.oid_to_path(md5))
    print(
        f"removed {len(bad)} objects from {remote}; `dvc push -r {remote}` brings them back whole"
    )
    return []


def _needed(repo, there) -> Iterator[Needed]:
    for out in repo.index.outs:
        md5 = out.hash_info.value if out.hash_info else None
        if not (is_md5(md5) and out.use_cache and out.can_push) or out.remote:
            continue
        path = Path(str(out)).as_posix()
        yield Needed(path, md5, None)
        for name, file_md5 in _listing(repo.cache.local, there, md5) if out.hash_info.isdir else ():
            yield Needed(f"{path}/{name}", file_md5, md5)


def _foreign(repo, remote: str, there) -> list[str]:
    """What `dvc fetch` would bring from a remote, and follow, although DVC has not written it.

    Nothing is written. Of a remote in a folder everything is looked at; of another its run cache,
    and the listings of the current outs.
    """
    old = repo.cloud.get_remote_odb(remote, hash_name="md5-dos2unix")  # its folder is the remote's
    if _is_local(there.fs):
        report = CacheReport()
        examine_store(Path(old.path), report, ours=False)
        return [problem.message for problem in report.problems]
    listings = {
        (old if out.hash_name == "md5-dos2unix" else there, out.hash_info.value)
        for out in repo.index.outs
        if out.use_cache and not out.remote and out.hash_info and out.hash_info.isdir
    }
    runs = old.fs.join(old.path, "runs")
    # Over HTTP, DVC brings no run cache.
    has_runs = not there.fs.protocol.startswith("http") and old.fs.exists(runs)
    entries = list(old.fs.find(runs)) if has_runs else []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        reasons = [
            *pool.map(lambda item: _wrong_listing(*item), sorted(listings, key=lambda i: i[1])),
            *pool.map(lambda path: _wrong_entry(old.fs, path, runs), entries),
        ]
    return [f"on {remote}, {reason}; ask who can write there" for reason in reasons if reason]


def _is_local(fs) -> bool:
    from dvc.fs import LocalFileSystem

    return isinstance(fs, LocalFileSystem)


def _wrong_listing(place, md5: str) -> str | None:
    path = place.oid_to_path(md5)
    try:
        for _ in listed_files(_read(place.fs, path, MOST_LISTING)):
            pass
    except (FileNotFoundError, DamagedListingError):  # which is reported as such
        return None
    except ForeignError as error:
        return f"{path}: {error}"
    return None


def _wrong_entry(fs, path: str, runs: str) -> str | None:
    parts = path.removeprefix(runs).strip("/").split("/")
    if len(parts) != 3 or not {"", ".", ".."}.isdisjoint(parts):
        return f"{shortened(path)} is no name of an entry of the run cache"
    try:
        entry_outs(_read(fs, path, MOST_YAML), parts[0], parts[1])
    except FileNotFoundError:
        return None
    except ForeignError as error:
        return f"{path}: {error}"
    return None


def _read(fs, path: str, limit: int) -> bytes:
    with fs.open(path, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ForeignError("is larger than what can be checked")
    return data


def _listing(here, there, md5: str) -> list[tuple[str, str]]:
    """Path and MD5 of the files in a folder; nothing where no place has a sound listing."""
    for place in (here, there):
        try:
            return list(listed_files(_read(place.fs, place.oid_to_path(md5), MOST_LISTING)))
        except (OSError, ForeignError):  # not there, or damaged
            continue
    return []


def _state(place, md5: str) -> str:
    """`good`, `damaged` or `missing`."""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with place.fs.open(place.oid_to_path(md5), "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return "missing"
    return "good" if digest.hexdigest() == md5.removesuffix(".dir") else "damaged"
