"""Where DVC keeps what it has committed, and reading an earlier out from there.

DVC removes a stage's outs before it runs the stage. What they held is still in DVC's cache, under
the hash that stands in `dvc.lock`.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class DvcCache:
    """A project's DVC cache.

    Attributes
    ----------
    root : Path
        Folder with dvc.lock.
    folder : Path
        What `dvc cache dir` says; temporary and queued runs have that of the project that they came
        from.
    shared : bool, default False
        Whether people of one group share it (`cache.shared group`).
    """

    root: Path
    folder: Path
    shared: bool = False

    def object(self, md5: str) -> Path:
        """Where the cache keeps the bytes with this hash, whether it has them or not."""
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]

    def committed(self, out: str | Path) -> Path | None:
        """The cached file of an out (a file) as the last commit of its stage left it.

        None if there is none.
        """
        md5 = self._hash(out)
        path = self.object(md5) if md5 and is_md5(md5) else None
        return path if path and path.is_file() else None

    def committed_files(self, out: str | Path) -> dict[str, str]:
        """MD5 of each file of an out (a folder), by its path below it.

        Empty if the cache does not have it.
        """
        listing = self.committed(out)
        try:
            return (
                {
                    entry["relpath"]: entry["md5"]
                    for entry in json.loads(listing.read_bytes())
                    if is_md5(entry["md5"])
                }
                if listing
                else {}
            )
        except (
            ValueError,
            TypeError,
            KeyError,
            OSError,
            RecursionError,
        ):
            # damaged: as good as none
            return {}

    def tables(self, stage: str) -> list[Path]:
        """The parquet files that a stage last wrote: in the workspace, and as committed."""
        outs = [o["path"] for o in self._outs(stage) if str(o.get("path", "")).endswith(".parquet")]
        paths = [
            path for out in outs for path in (self.root / out, self.committed(self.root / out))
        ]
        return [path for path in paths if path and path.is_file()]

    def has_outs(self) -> bool:
        """Whether dvc.lock is there and names any out."""
        return bool(self._outs())

    def _hash(self, out: str | Path) -> str | None:
        wanted = Path(os.path.abspath(out))
        return next(
            (
                o.get("md5")
                for o in self._outs()
                if Path(os.path.abspath(self.root / o["path"])) == wanted
            ),
            None,
        )

    def _outs(self, stage: str | None = None) -> list[dict]:
        """Outs that dvc.lock lists, of one stage or of all."""
        try:
            lock = yaml.load((self.root / "dvc.lock").read_text(encoding="utf-8"), Loader=_LOADER)
            return [
                out
                for name, facts in lock["stages"].items()
                if stage in (None, name)
                for out in facts.get("outs", [])
            ]
        except (
            OSError,
            yaml.YAMLError,
            TypeError,
            KeyError,
            AttributeError,
        ):
            # none yet, or a merge conflict in it
            return []


def is_md5(name: object) -> bool:
    """Whether DVC could call an object of its cache so: no other name leads out of it."""
    return isinstance(name, str) and bool(_MD5.fullmatch(name))


def find_dvc_cache(start: str | Path = ".") -> DvcCache | None:
    """The cache of the DVC project that `start` lies in; None outside of one."""
    from dvc.config import Config, ConfigError

    start = Path(start).resolve()
    for root in (start, *start.parents):
        if (root / ".dvc").is_dir():
            try:
                facts = Config(str(root / ".dvc")).get("cache", {})
            except ConfigError:
                facts = {}
            folder = facts.get("dir")
            return DvcCache(
                root,
                Path(folder) if folder else root / ".dvc" / "cache",
                facts.get("shared") == "group",
            )
    return None
