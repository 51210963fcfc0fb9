"""Reading a pickle without running the code that it names.

A pickle is a program that calls functions by name. Here only names that make numbers, texts and
containers are resolved. NumPy's names stand for functions of this module, since NumPy itself trusts
what a pickle says about an array and its type. Any other name, a class of scikit-learn as well as
`os.system`, becomes a `Remains`, which keeps what the pickle would have passed to it. So the
version of scikit-learn that wrote the file does not matter either.
"""

from __future__ import annotations

import builtins
import bz2
import collections
import gzip
import io
import lzma
import math
import pickle
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from facestats.errors import MisfitError, ModelError

MOST = 1 << 30  # bytes, unpacked
# How compressed files begin: joblib writes all of these; users compress with gzip.
_PACKED: tuple[tuple[bytes, Callable], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ", lzma.open),
    (b"\x5d\x00", lzma.open),
)
_ZLIB = (b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"\x78\x5e")
_LZ4 = b"\x04\x22\x4d\x18"
_BUILTINS = (
    "bool",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "set",
    "slice",
    "str",
    "tuple",
)


class Remains:
    """The content of a pickled object whose class is not looked up.

    Attributes
    ----------
    module, name : str
        Of the class or function.
    arguments : tuple
        It would have been called with these.
    state : Any
        Would have become its attributes; a dict, except for unusual classes.
    items : list
        Would have been put into it, for subclasses of list and dict.
    """

    module = name = ""
    arguments: tuple
    state: Any
    items: list

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


class _Type:
    """Stands for `numpy.dtype`, which trusts any state that it is given."""

    def __init__(self, code: str, *_: Any):
        self.code, self.order, self.fields, self.size = code, "", None, 0

    def __setstate__(self, state: tuple) -> None:
        _, order, _, names, fields, size, *_ = state
        self.order = "" if order == "|" else order
        if names:
            self.fields, self.size = [(name, *fields[name][:2]) for name in names], size

    def resolve(self, inside: bool = False) -> np.dtype:
        """Build the type; fields of structured types can't hold objects."""
        if (
            self.fields is not None
            and not inside
            and 0 < self.size <= _MOST_FIELDS
            and len(self.fields) <= _MOST_FIELDS
        ):
            names, types, offsets = zip(*self.fields, strict=True)
            return np.dtype(
                {
                    "names": list(names),
                    "formats": [kind.resolve(inside=True) for kind in types],
                    "offsets": list(offsets),
                    "itemsize": self.size,
                }
            )
        if not re.fullmatch(
            r"[biufSU]\d{1,4}" if inside else r"[biufSUO]\d{0,9}", self.code
        ) or self.order not in ("", "<", ">", "="):
            raise MisfitError(f"arrays of the type {self.code!r:.20}")
        return np.dtype(object) if self.code[0] == "O" else np.dtype(self.order + self.code)


_MOST_FIELDS = 1000


def _array(data: Any, kind: _Type, shape: tuple[int, ...], column_wise: bool) -> np.ndarray:
    """Build an array of bytes or of a list of objects; their number has to fit the shape."""
    dtype, count = kind.resolve(), math.prod(shape)
    if any(type(n) is not int or n < 0 for n in shape) or len(data) != (
        count if dtype.hasobject else count * dtype.itemsize
    ):
        raise MisfitError(f"an array of the shape {shape!r:.60} has {len(data)} bytes or values")
    if dtype.hasobject:
        flat = np.empty(count, dtype=object)
        flat[:] = list(data)
    else:
        flat = np.frombuffer(bytearray(data), dtype)
        if dtype.kind in "UV":  # NumPy takes any bytes for text, until it is looked at
            try:
                flat.tolist()
            except (SystemError, ValueError):
                raise MisfitError("an array holds text that is none") from None
    return flat.reshape(shape, order="F" if column_wise else "C")


class _Array(np.ndarray):
    """Stands for `numpy.ndarray`; takes only a consistent state."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, column_wise, data = state
        array = _array(data, kind, shape, bool(column_wise))
        content = array.ravel("K").tolist() if array.dtype.hasobject else array.tobytes("A")
        own: Any = (1, array.shape, array.dtype, bool(column_wise), content)
        super().__setstate__(own)


def _reconstruct(*_: Any) -> _Array:
    return np.ndarray.__new__(_Array, (0,), np.int8)


def _from_buffer(data: Any, kind: _Type, shape: tuple[int, ...], order: str) -> np.ndarray:
    return _array(bytes(data), kind, shape, order == "F")


def _scalar(kind: _Type, data: Any = b"") -> Any:
    return data if kind.resolve().hasobject else _array(data, kind, (1,), False)[0]


def _reconstructor(cls: type, base: type, state: Any) -> Any:
    """Stands for `copyreg._reconstructor`, with which old protocols make an object."""
    return cls() if issubclass(cls, Remains) or state is None else base(state)


def _encode(text: str, *_: Any) -> bytes:
    """Stands for `codecs.encode`, with which old protocols make bytes of text."""
    return text.encode("latin-1")


def _bytes(values: list | bytes = b"") -> bytes:
    """Stands for `bytes`, but takes no number: that would allocate as many bytes."""
    if not isinstance(values, list | tuple | bytes):
        raise MisfitError(f"bytes of a {type(values).__name__}")
    return bytes(values)


class _Stored:
    """Stands for joblib's `NumpyArrayWrapper`, which the bytes of an array follow in the file."""

    dtype: Any
    shape: tuple[int, ...]
    order: str

    def read(self, file: BinaryIO, reader: type[_Reader]) -> np.ndarray:
        kind, dtype = self.dtype, self.dtype.resolve()
        if dtype.hasobject:
            return reader(file).load()
        if getattr(self, "numpy_array_alignment_bytes", None) is not None:
            file.read(file.read(1)[0])
        return _array(
            file.read(max(0, math.prod(self.shape)) * dtype.itemsize),
            kind,
            self.shape,
            self.order == "F",
        )


_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_NAMES: dict[tuple[str, str], Any] = {
    **{("builtins", name): getattr(builtins, name) for name in _BUILTINS},
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("copyreg", "_reconstructor"): _reconstructor,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytes"): _bytes,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    **{
        (f"{package}.multiarray", "_reconstruct"): _reconstruct
        for package in ("numpy.core", "numpy._core")
    },
    **{(f"{package}.multiarray", "scalar"): _scalar for package in ("numpy.core", "numpy._core")},
    **{
        (f"{package}.numeric", "_frombuffer"): _from_buffer
        for package in ("numpy.core", "numpy._core")
    },
    **{
        (module, "NumpyArrayWrapper"): _Stored
        for module in ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
    },
}


_Unpickler: Any = getattr(pickle, "_Unpickler")  # noqa: B009  written in Python, so that parts can be replaced


class _Reader(_Unpickler):
    """Python's own reader of pickles, which resolves names as this module does."""

    dispatch = _Unpickler.dispatch.copy()

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.file, self.classes = file, {}

    def find_class(self, module: str, name: str) -> Any:
        key = (_OLD_MODULES.get(module, module), name)
        if key in _NAMES:
            return _NAMES[key]
        if key not in self.classes:
            self.classes[key] = type(
                "Remains",
                (Remains,),
                {"module": ascii(key[0])[1:-1], "name": ascii(name)[1:-1][:80]},
            )
        return self.classes[key]

    def load_build(self) -> None:
        state = self.stack[-1]
        takes = getattr(type(self.stack[-2]), "__setstate__", None)
        if not isinstance(self.stack[-2], Remains | _Array | _Type | _Stored) or (
            takes is None and not isinstance(state, dict)
        ):
            raise pickle.UnpicklingError(f"a {type(self.stack[-2]).__name__} has no state")
        super().load_build()
        if isinstance(self.stack[-1], _Stored):
            self.stack[-1] = self.stack[-1].read(self.file, _Reader)

    dispatch[pickle.BUILD[0]] = load_build

    def get_extension(self, code: int) -> None:
        raise pickle.UnpicklingError(f"unregistered extension code {code}")


def read_pickle(path: Path) -> Any:
    """Read a pickle or a joblib file; objects other than plain values and arrays are `Remains`.

    Parameters
    ----------
    path : Path
        Compressed or not.

    Returns
    -------
    object

    Raises
    ------
    ModelError
        The file is missing, too large, or neither.
    """
    data = _unpacked(path)
    try:
        return _Reader(io.BytesIO(data)).load()
    except Exception as error:  # a damaged pickle fails in many ways
        raise ModelError(
            f"{path} can't be read as a pickle or a joblib file ({type(error).__name__}: "
            f"{ascii(str(error))[1:-1][:200]}); save the classifier again, with pickle.dump or "
            "joblib.dump"
        ) from None


def _unpacked(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ModelError(f"{path}: no such file")
        with path.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            if start.startswith(_LZ4):
                raise ModelError(
                    f"{path} is packed with lz4; save it again with another compression"
                )
            if start.startswith(_ZLIB):
                data = zlib.decompressobj().decompress(file.read(MOST), MOST + 1)
            else:
                data = next(
                    (kind(file) for mark, kind in _PACKED if start.startswith(mark)), file
                ).read(MOST + 1)
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # of the disk, not of the bytes
            raise
        raise ModelError(f"{path} can't be unpacked ({error}); copy it again") from None
    if len(data) > MOST:
        raise ModelError(
            f"{path} is larger than {MOST >> 20} MB, which no classifier of faces is; save the "
            "classifier alone"
        )
    return data
