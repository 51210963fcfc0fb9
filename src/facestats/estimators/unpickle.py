"""Somebody's pickle, read without running what it names.

A pickle is a program that calls functions by name. Here only those names are resolved that make numbers, texts, containers and numpy arrays. Any
other, a class of scikit-learn as well as `os.system`, becomes a `Remains`, which keeps what the pickle would have given it. So the version of
scikit-learn that wrote it does not matter, either.
"""

from __future__ import annotations

import bz2
import codecs
import collections
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from facestats.errors import ModelError

MOST = 1 << 30  # bytes, unpacked
# What comes before compressed bytes: joblib writes all of these, people gzip.
_PACKED: tuple[tuple[bytes, Callable], ...] = (
    (b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open), (b"\x5d\x00", lzma.open))
_ZLIB = (b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"\x78\x5e")
_LZ4 = b"\x04\x22\x4d\x18"
_BUILTINS = ("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range", "set", "slice", "str", "tuple")


class Remains:
    """What a pickle says of an object whose class is not looked up.

    Attributes
    ----------
    module, name : of the class or function.
    arguments : what it would have been called with.
    state : what would have become its attributes; a dict but for odd classes.
    items : what would have been put into it, for subclasses of list and dict.
    """

    module = name = ""

    def __new__(cls, *arguments: Any, **named: Any) -> Remains:
        new = super().__new__(cls)
        new.arguments, new.state, new.items = arguments, dict(named), []
        return new

    def __init__(self, *arguments: Any, **named: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        self.items.append(value)

    extend = add = append

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def _reconstructor(cls: type, base: type, state: Any) -> Any:
    """`copyreg._reconstructor`: how old protocols make an object."""
    return cls() if issubclass(cls, Remains) or state is None else base(state)


def _names() -> dict[tuple[str, str], Any]:
    """What a pickle may name."""
    from numpy._core.multiarray import _reconstruct, scalar
    from numpy._core.numeric import _frombuffer

    known: dict[tuple[str, str], Any] = {("builtins", name): getattr(__import__("builtins"), name) for name in _BUILTINS}
    known |= {("collections", "OrderedDict"): collections.OrderedDict, ("copyreg", "_reconstructor"): _reconstructor,
              ("_codecs", "encode"): codecs.encode, ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    for package in ("numpy.core", "numpy._core"):
        known |= {(f"{package}.multiarray", "_reconstruct"): _reconstruct, (f"{package}.multiarray", "scalar"): scalar,
                  (f"{package}.numeric", "_frombuffer"): _frombuffer}
    return known


_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


def read_pickle(path: Path) -> Any:
    """The content of a pickle or a joblib file, compressed or not, with `Remains` in place of all that is no plain value and no array.

    Raises
    ------
    ModelError
        The file is missing, too large, or neither.
    """
    from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler

    known = _names() | {(module, "NumpyArrayWrapper"): NumpyArrayWrapper for module in ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")}
    classes: dict[tuple[str, str], type] = {}

    class Reader(NumpyUnpickler):
        def find_class(self, module: str, name: str) -> Any:
            key = (_OLD_MODULES.get(module, module), name)
            if key in known:
                return known[key]
            if key not in classes:
                classes[key] = type("Remains", (Remains,), {"module": ascii(key[0])[1:-1], "name": ascii(name)[1:-1][:80]})
            return classes[key]

    data = _unpacked(path)
    try:
        return Reader("", io.BytesIO(data), ensure_native_byte_order=True).load()
    except Exception as error:  # a damaged pickle fails in many ways
        raise ModelError(f"{path} can't be read as a pickle or a joblib file ({type(error).__name__}: {error}); save the classifier again, with "
                         "pickle.dump or joblib.dump") from None


def _unpacked(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ModelError(f"{path}: no such file")
        with path.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            if start.startswith(_LZ4):
                raise ModelError(f"{path} is packed with lz4; save it again with another compression")
            if start.startswith(_ZLIB):
                data = zlib.decompressobj().decompress(file.read(MOST), MOST + 1)
            else:
                data = next((kind(file) for mark, kind in _PACKED if start.startswith(mark)), file).read(MOST + 1)
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # of the disk, not of the bytes
            raise
        raise ModelError(f"{path} can't be unpacked ({error}); copy it again") from None
    if len(data) > MOST:
        raise ModelError(f"{path} is larger than {MOST >> 20} MB, which no classifier of faces is; save the classifier alone")
    return data
