"""The index on disk: a cache beside the rows, keyed by the matrix that it was built from.

Two files: `<matrix>-<recipe>.bin` holds plain arrays, one after the other, and a JSON file of the
same name their sizes, their sha256 and its own. Faiss itself reads no file: it gets arrays whose
sizes and numbers were checked.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import stat
import warnings
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from facestats.core.files import replacing, require_file, write_text
from facestats.core.fingerprint import sha256_json, versions
from facestats.core.tables.matrix import EmbeddingMatrix
from facestats.machine.faults import fault, is_passing
from facestats.neighbours.ivf import (
    ASKED,
    FAR,
    ROUNDS,
    SEED,
    TRAINED_ON,
    WANTED,
    IvfSearch,
    Lists,
    build,
    import_faiss,
    index_of,
    list_count,
    with_probes,
)
from facestats.neighbours.place import is_forgotten, make, share

_FORMAT = 3
_MOST = 10_000  # bytes of a JSON file


class Facts(BaseModel):
    """The content of the JSON file; `seal` is the sha256 of the others."""

    model_config = ConfigDict(strict=True, extra="forbid")
    sha256: str
    lists: int
    probes: int
    recall_at_10: FiniteFloat
    least: FiniteFloat
    faces: int
    dimension: int
    seal: str = ""

    def sealed(self) -> Facts:
        """The same with its seal."""
        return self.model_copy(update={"seal": sha256_json(self.model_dump(exclude={"seal"}))})

    def of(self, matrix: EmbeddingMatrix) -> bool:
        """Whether it may be the index of a matrix."""
        sizes = (self.lists, self.faces, self.dimension)
        return sizes == (list_count(len(matrix)), len(matrix), matrix.dimension)


def open_index(matrix: EmbeddingMatrix, sha256: str, place: Path | None) -> IvfSearch:
    """The index of a matrix: the one that is kept, or a new one, which takes minutes.

    Parameters
    ----------
    matrix : EmbeddingMatrix
    sha256 : str
        Of the matrix' file.
    place : Path or None
        Folder of indexes; with None, or where it can't be written, or faces of the matrix were
        forgotten, the index is not kept.

    Raises
    ------
    ModelError
        faiss is not installed.
    FaultError
        The machine fails.
    """
    import_faiss()
    if place is not None and place.is_symlink():
        warnings.warn(
            f"{place} is a link, which is not followed; the index of similar faces is not kept, "
            "and built again next time. Remove the link",
            stacklevel=2,
        )
        place = None
    path = None
    if place is not None and not is_forgotten(place, sha256):
        path = place / f"{_name_of(sha256)}.bin"
    if path is not None and place is not None:
        if (kept := _read_index(path, matrix)) is not None:
            return kept
        try:
            new = _new_index(path, matrix)
            if is_forgotten(place, sha256):  # meanwhile
                for suffix in (".bin", ".json"):
                    path.with_suffix(suffix).unlink(missing_ok=True)
            return new
        except OSError as error:
            warnings.warn(
                f"{path.parent} can't be written ({error.strerror}); the index of similar faces is "
                "not kept, and built again next time",
                stacklevel=2,
            )
    with TemporaryDirectory(prefix="facestats") as folder:
        try:
            return _new_index(Path(folder) / "index.bin", matrix)
        except OSError as error:
            raise fault(folder, error) from None


def _name_of(sha256: str) -> str:
    """Name of the files of an index, which begins with the hash of its matrix."""
    recipe = [_FORMAT, SEED, TRAINED_ON, ROUNDS, ASKED, WANTED, FAR, versions("faiss-cpu")]
    return f"{sha256}-{sha256_json(recipe)[:16]}"


def _new_index(path: Path, matrix: EmbeddingMatrix) -> IvfSearch:
    """Build an index, and keep it; raises OSError where its folder can't be written."""
    make(path.parent)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path.parent))
    sha256 = _write_arrays(path, matrix, *build(matrix))  # and lets go of what it wrote
    facts = Facts(
        sha256=sha256,
        lists=list_count(len(matrix)),
        probes=1,
        recall_at_10=0.0,
        least=-1.0,
        faces=len(matrix),
        dimension=matrix.dimension,
    )
    with open(path, "rb", opener=_no_link) as file:
        search = _read_checked(file, facts, matrix)
    if search is None:
        raise OSError(errno.EIO, "what was written is not what is read", str(path))
    search = with_probes(search)
    found = {"probes": search.probes, "recall_at_10": search.recall, "least": search.least}
    facts = facts.model_copy(update=found).sealed()
    write_text(path.with_suffix(".json"), facts.model_dump_json(indent=2) + "\n")
    for written in (path, path.with_suffix(".json")):
        share(written)
    return search


def _write_arrays(path: Path, matrix: EmbeddingMatrix, lists: Lists, codes: np.ndarray) -> str:
    """Write the arrays one after the other; returns the sha256 of the file."""
    digest = hashlib.sha256()
    kinds = [*(kind for kind, _ in _shapes(matrix)), np.dtype("u1")]
    arrays = (lists.centres, lists.ranges, lists.sizes, lists.rows, codes)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        for array, kind in zip(arrays, kinds, strict=True):
            view = np.ascontiguousarray(array, kind).reshape(-1).view(np.uint8).data
            digest.update(view)
            file.write(view)
    return digest.hexdigest()


def _read_index(path: Path, matrix: EmbeddingMatrix) -> IvfSearch | None:
    """The index in a file; None where there is none, or one that is damaged or of other faces."""
    try:
        facts = Facts.model_validate_json(_read(path.with_suffix(".json")))
        if facts == facts.sealed() and facts.of(matrix) and 1 <= facts.probes <= facts.lists:
            with open(path, "rb", opener=_no_link) as file:
                return _read_checked(file, facts, matrix)
    except (ValidationError, EOFError, FileNotFoundError):
        pass
    except OSError as error:
        if is_passing(error):
            raise fault(path, error) from None
    return None


def _read_checked(file: BufferedReader, facts: Facts, matrix: EmbeddingMatrix) -> IvfSearch | None:
    digest = hashlib.sha256()

    def read(kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        array = np.empty(shape, kind)
        view = array.reshape(-1).view(np.uint8).data
        if file.readinto(view) != len(view):
            raise EOFError
        digest.update(view)
        return array

    size = sum(kind.itemsize * math.prod(shape) for kind, shape in _shapes(matrix))
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size != size + math.prod(matrix.shape):
        return None
    lists = Lists(*(read(kind, shape) for kind, shape in _shapes(matrix)))
    if not lists.are_sound():
        return None
    index = index_of(lists, lambda rows: read(np.dtype("u1"), (rows, matrix.dimension)))
    if digest.hexdigest() != facts.sha256:
        return None
    return IvfSearch(matrix, index, facts.probes, facts.recall_at_10, facts.least)


def _shapes(matrix: EmbeddingMatrix) -> list[tuple[np.dtype, tuple[int, ...]]]:
    """Type and shape of the arrays of `Lists`, in their order in the file, before the codes."""
    lists = list_count(len(matrix))
    return [
        (np.dtype("<f4"), (lists, matrix.dimension)),
        (np.dtype("<f4"), (2, matrix.dimension)),
        (np.dtype("<i8"), (lists,)),
        (np.dtype("<u4"), (len(matrix),)),
    ]


def _read(path: Path) -> bytes:
    """The JSON file, or its beginning where it is too long for one."""
    require_file(path)
    with open(path, "rb", opener=_no_link) as file:
        return file.read(_MOST)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
