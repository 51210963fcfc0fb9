"""The face crops that `preprocess` writes, as files or in tar shards (`preprocess.store`).

All that reads crops goes through `Crops`. With shards, the folder holds `shards.json`, which says
how many there are, and the shards, `000.tar` to `3ff.tar`: a crop lies in the one that its name
gives (`shard_number`). The first member of each, `md5.json`, has the MD5 of each other.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, overload

from facestats.core.files import read_bytes, write_json
from facestats.core.photo_files import SUFFIX
from facestats.core.shards import SUFFIX as TAR
from facestats.core.shards import first_member, has_member, read_member, scan, shard_number
from facestats.errors import InputError

INDEX = "shards.json"  # of a folder with shards
LIST = "md5.json"  # of a shard
SHARDS = 1024
_DIGITS = len(f"{SHARDS - 1:x}")
_SHARD = re.compile(rf"[0-9a-f]{{{_DIGITS}}}\.tar")

Source = Path | bytes  # what decodes a crop: its file, or its bytes out of a shard


@dataclass(frozen=True)
class Crops:
    """The crops of a folder.

    Attributes
    ----------
    folder : Path
    packed : bool
        Whether they lie in shards.
    """

    folder: Path
    packed: bool

    @classmethod
    def of(cls, folder: str | Path) -> Crops:
        """The crops of a folder, which may be missing or empty.

        Raises
        ------
        InputError
            Its `shards.json` is of another version, or damaged.
        """
        folder = Path(folder)
        packed = os.path.lexists(folder / INDEX)
        if packed:
            check_index(folder / INDEX)
        return cls(folder, packed)

    def names(self) -> list[str]:
        """Names of all crops, POSIX style, sorted; none where the folder is missing."""
        if not self.packed:
            found = (path for path in self.folder.rglob(f"*{SUFFIX}") if path.is_file())
            return sorted(path.relative_to(self.folder).as_posix() for path in found)
        return sorted(name for shard in self.shards() for name in _listed(shard))

    def shards(self) -> list[Path]:
        """The shards there are, sorted."""
        return [self.folder / name for name in sorted(os.listdir(self.folder)) if is_name(name)]

    def file(self, name: str) -> Path:
        """The file that holds a crop: its own, or its shard."""
        return self.folder / (shard_name(name) if self.packed else name)

    def path(self, name: str) -> Path:
        """The crop's path, for messages; with shards it leads into one."""
        return self.file(name) / name if self.packed else self.folder / name

    def has(self, name: str) -> bool:
        """Whether there is such a crop; raises for a shard that can't be read."""
        if not self.packed:
            with suppress(ValueError):  # a name with a NUL
                return self.file(name).is_file()
            return False
        return self.file(name).is_file() and has_member(self.file(name), name)

    def read(self, name: str) -> bytes:
        """The bytes of a crop.

        Raises
        ------
        FileNotFoundError
            There is no such crop.
        OSError
            It can't be read.
        """
        return read_member(self.file(name), name) if self.packed else read_bytes(self.file(name))

    def one(self, name: str) -> Any:
        """One of them as a `Crop`, for what reads a path by its `read_bytes`."""
        return Crop(self, name)

    def unpacked(self, name: str, path: Path) -> Path:
        """A file with a crop's bytes: its own, or `path`, where those out of a shard are put."""
        if self.packed:
            with suppress(FileNotFoundError):
                path.write_bytes(self.read(name))
                return path
        return self.path(name)

    def source(self, name: str) -> Source:
        """What decodes a crop: its file, or its bytes; a path that is not there if it is gone."""
        if self.packed:
            with suppress(FileNotFoundError):
                return self.read(name)
        return self.path(name)

    def sources(self, names: Iterable[str]) -> Sources:
        """The sources of several crops; those in shards are read as they are asked for."""
        return Sources(self, [*names])


@dataclass(frozen=True)
class Crop:
    """A crop that has `read_bytes`, as a path does."""

    crops: Crops
    name: str

    def read_bytes(self) -> bytes:
        return self.crops.read(self.name)


@dataclass(frozen=True)
class Sources(Sequence):
    """`Crops.source` of several names; each is read when it is asked for."""

    crops: Crops
    of: list[str]

    def __len__(self) -> int:
        return len(self.of)

    @overload
    def __getitem__(self, at: int) -> Source: ...
    @overload
    def __getitem__(self, at: slice) -> Sources: ...
    def __getitem__(self, at: int | slice) -> Source | Sources:
        if isinstance(at, slice):
            return Sources(self.crops, self.of[at])
        return self.crops.source(self.of[at])


def as_file(source: Source) -> Path | IO[bytes]:
    """What Pillow opens."""
    return io.BytesIO(source) if isinstance(source, bytes) else source


def is_name(name: str) -> bool:
    """Whether a file of the folder is called like a shard."""
    return bool(_SHARD.fullmatch(name))


def shard_name(name: str) -> str:
    """The shard in which a crop lies."""
    return f"{shard_number(name, SHARDS):0{_DIGITS}x}{TAR}"


def write_index(folder: Path) -> None:
    """Say in a folder that its crops lie in shards."""
    write_json(folder / INDEX, {"shards": SHARDS})


def check_index(path: Path) -> None:
    """Raise `InputError` unless this file is what `write_index` writes."""
    with suppress(ValueError, RecursionError, FileNotFoundError):
        if json.loads(read_bytes(path)) == {"shards": SHARDS}:
            return
    raise InputError(
        f"{path} does not say {SHARDS} shards, as this version writes them; `dvc repro -f "
        "preprocess` cuts the faces anew"
    )


def list_text(md5: Mapping[str, str]) -> bytes:
    """The list of a shard, from the MD5 of its crops by their names."""
    return json.dumps(md5, indent=0, sort_keys=True).encode() + b"\n"


def read_list(shard: Path) -> dict[str, str]:
    """The MD5 of each crop of a shard by its name, as the shard's list has it; empty without one.

    Raises
    ------
    OSError
        The shard can't be read.
    """
    name, data = first_member(shard)
    try:
        content = json.loads(data) if name == LIST else {}
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _listed(shard: Path) -> list[str]:
    contents = scan(shard)
    problem = contents.problem or next(iter(contents.reasons.values()), None)
    if problem:
        raise InputError(
            f"{shard}: {problem}. It holds face crops; `dvc checkout` brings it back, or "
            "`dvc repro -f preprocess` writes it anew"
        )
    return [*contents.places]
