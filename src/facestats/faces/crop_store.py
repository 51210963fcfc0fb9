"""Where `preprocess` puts the crops: a file each, or a fixed number of tar shards."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from facestats.core.crops import LIST, Crops, list_text, shard_name, write_index
from facestats.core.files import replacing
from facestats.core.photo_files import face_filename
from facestats.core.shards import first_member, write_shard
from facestats.errors import FaultError
from facestats.rows.files import RowFiles

FILES, SHARDS = "files", "shards"  # values of `preprocess.store`
_NEW = ".new"  # folder of crops that were cut in this run, below that of the shards
_CHUNK = 1 << 20  # bytes copied at a time


class CropStore(Protocol):
    """Takes the crops of a run, each by the name of its photo."""

    @property
    def files(self) -> RowFiles:
        """What saves the crops that are cut in this run."""
        ...

    def targets(self, images: Sequence[str]) -> list[Path]:
        """Where a crop that is cut in this run is written, of photos that are the same."""
        ...

    def place(self, image: str, md5: str) -> bool:
        """Take a stored crop; False where it is lost or damaged."""
        ...

    def finish(self, md5: Mapping[str, str]) -> None:
        """Put all crops in their places, given the MD5 of each by the name of its photo."""
        ...


def open_store(kind: str, folder: Path, files: RowFiles) -> CropStore:
    """The store of this kind (`preprocess.store`) in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    return _ShardStore(folder, files) if kind == SHARDS else _FileStore(folder, files)


class KeptCrops:
    """Crops in the row store alone, from where a later run takes them."""

    def __init__(self, files: RowFiles):
        self.files = replace(files, places=False)

    def targets(self, images: Sequence[str]) -> list[Path]:
        return [Path(images[0])]

    def place(self, image: str, md5: str) -> bool:
        return self.files.read(md5) is not None

    def finish(self, md5: Mapping[str, str]) -> None:
        pass


@dataclass(frozen=True)
class _FileStore:
    """Crops as files, which hard links make where the file system can."""

    folder: Path
    files: RowFiles

    def targets(self, images: Sequence[str]) -> list[Path]:
        return [self.folder / face_filename(image) for image in images]

    def place(self, image: str, md5: str) -> bool:
        return self.files.place(md5, self.folder / face_filename(image))

    def finish(self, md5: Mapping[str, str]) -> None:
        pass


@dataclass(frozen=True)
class _ShardStore:
    """Crops in shards; those whose crops are the same as in the last run are copied whole."""

    folder: Path
    files: RowFiles

    def targets(self, images: Sequence[str]) -> list[Path]:
        return [self.folder / _NEW / face_filename(image) for image in images]

    def place(self, image: str, md5: str) -> bool:
        return self.files.read(md5) is not None

    def finish(self, md5: Mapping[str, str]) -> None:
        shards: dict[str, dict[str, str]] = {}
        for image, one in md5.items():
            face = face_filename(image)
            shards.setdefault(shard_name(face), {})[face] = one
        cache = self.files.cache
        before = cache.committed_files(self.folder) if cache else {}
        for shard in tqdm(sorted(shards), "shards", unit="shard", disable=None):
            path, crops = self.folder / shard, shards[shard]
            earlier = cache.object(before[shard]) if cache and shard in before else None
            if earlier is None or not _copy(earlier, before[shard], path, list_text(crops)):
                write_shard(path, self._members(crops))
        for path in Crops(self.folder, packed=True).shards():
            if path.name not in shards:  # of an earlier run by hand
                path.unlink()
        write_index(self.folder)
        shutil.rmtree(self.folder / _NEW, ignore_errors=True)

    def _members(self, crops: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        yield LIST, list_text(crops)
        for face in sorted(crops):
            data = self._new(face, crops[face]) or self.files.read(crops[face])
            if data is None:
                raise FaultError(
                    f"the crop {face} was removed from the row store while this run used it; run "
                    "again"
                )
            yield face, data

    def _new(self, face: str, md5: str) -> bytes | None:
        try:
            data = (self.folder / _NEW / face).read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.md5(data, usedforsecurity=False).hexdigest() == md5 else None


def _copy(source: Path, md5: str, target: Path, listed: bytes) -> bool:
    """Copy a shard out of DVC's cache if it holds what it should, and is not damaged."""
    try:
        if first_member(source) != (LIST, listed):
            return False
        digest = hashlib.md5(usedforsecurity=False)
        with replacing(target) as temporary, open(temporary, "wb") as copy:
            for chunk in _chunks(source):
                digest.update(chunk)
                copy.write(chunk)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == md5


def _chunks(path: Path) -> Iterable[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
