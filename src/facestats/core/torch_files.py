"""A reader of the files of `torch.save` that runs nothing and takes no more memory than they hold.

Such a file is a pickle, a program that calls functions by name, and the numbers that it refers to.
`torch.load(…, weights_only=True)` runs no foreign code, but its own functions allocate whatever a
few bytes ask for. Here a name stands for one of a few functions of this module, or for nothing: the
result of any other call is a `Stranger`.
"""

from __future__ import annotations

import io
import math
import os
import pickletools
import struct
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import torch

MOST_PROGRAM = 1 << 24  # bytes of a pickle
MOST_STEPS = 2_000_000  # of a pickle; each takes up to 100 bytes, and 30 make a tensor
MOST_TENSORS = 50_000
MOST_DIMENSIONS = 16
MOST_SHARED = 4  # times the file's bytes, for tensors that share numbers
MOST_KEY = 1 << 31  # of a whole number as a key; the hashes of larger ones may collide
LONGEST_KEY = 1000  # characters; names of what it holds repeat it
_ZIP = b"PK\x03\x04"
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of files before PyTorch 1.6
_STORAGES = {
    "Untyped": torch.uint8,
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}
_TYPES = {f"{package}.{name}Storage": kind for name, kind in _STORAGES.items() for package in (
    "torch", "torch.cuda", "torch.storage")}  # fmt: skip
_DTYPES = {str(kind): kind for kind in set(_STORAGES.values())}


class Stranger:
    """Stands for a name that is not looked up, or for what a call of it would have made."""

    def __init__(self, kind: str):
        self.kind = kind


class ScriptError(Exception):
    """The file is TorchScript."""


class DoctoredError(Exception):
    """The file holds what `torch.save` never writes, or is damaged."""


def read_torch(file: BinaryIO) -> Any:
    """Read the content of a file of `torch.save`.

    Parameters
    ----------
    file : BinaryIO
        At its start.

    Returns
    -------
    object
        Plain values, dicts, lists, tensors on the CPU and `Stranger` objects. A tensor that claims
        more numbers than the file holds is on the device `meta`, which holds none.

    Raises
    ------
    ScriptError, DoctoredError
        See there. Damage raises other errors, too.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(len(_ZIP))
    file.seek(0)
    return _read_zip(file, size) if start == _ZIP else _read_old(file, size)


def _read_zip(file: BinaryIO, size: int) -> Any:
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
    if any(name.endswith("/constants.pkl") for name in entries):
        raise ScriptError("it is TorchScript")
    if (
        any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values())
        or sum(entry.file_size for entry in entries.values()) > size
    ):
        # torch.save packs nothing, and 1 MB could become 1 GB.
        raise DoctoredError("it is packed, as torch.save never does")
    programs = [name for name in entries if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(programs) != 1:
        raise DoctoredError(f"it holds {len(programs)} files data.pkl, expected one")
    folder = programs[0].removesuffix("data.pkl")

    def found(name: str) -> int:
        """Go to an entry's bytes, and return their number. PyTorch checks no sums, either."""
        entry = entries[folder + name]
        file.seek(entry.header_offset)
        head = file.read(30)
        if head[:4] != _ZIP:
            raise DoctoredError("its list of entries is damaged")
        file.seek(sum(struct.unpack("<HH", head[26:])), os.SEEK_CUR)
        return entry.file_size

    if folder + "byteorder" in entries and file.read(min(found("byteorder"), 6)) != b"little":
        raise DoctoredError("its numbers are big-endian; save it again on another machine")
    loaded: dict[str, torch.Tensor] = {}

    def numbers(key: str, kind: torch.dtype, _: int) -> torch.Tensor:
        if key not in loaded:
            loaded[key] = _read_numbers(file, found(f"data/{key}"), size)
        return _seen_as(loaded[key], kind)

    length = found("data.pkl")
    if length > MOST_PROGRAM:
        raise DoctoredError(f"its data.pkl has more than {MOST_PROGRAM >> 20} MB")
    return _Program(io.BytesIO(file.read(length)), numbers, size).run()


def _read_old(file: BinaryIO, size: int) -> Any:
    """Read a file of PyTorch before 1.6: pickles, and behind them the numbers."""
    bounded = _Bounded(file, size)

    def nothing(*_: Any) -> torch.Tensor:
        raise DoctoredError("numbers in its header")

    head = [_Program(bounded, nothing, size).run() for _ in range(3)]
    if head[0] != _MAGIC or head[1] != _PROTOCOL:
        raise DoctoredError("it does not begin as a file of torch.save does")
    if not isinstance(head[2], dict) or head[2].get("little_endian") is False:
        raise DoctoredError("its numbers are big-endian; save it again on another machine")
    start, kinds = file.tell(), dict[str, torch.dtype]()

    def note(key: str, kind: torch.dtype, _: int) -> torch.Tensor:
        kinds[key] = kind
        return torch.empty(0, dtype=kind)

    _Program(bounded, note, size).run()
    loaded: dict[str, torch.Tensor] = {}
    for key in _Program(bounded, nothing, size).run():
        count = int.from_bytes(file.read(8), "little")
        loaded[key] = _read_numbers(file, count * kinds[key].itemsize, size)
    file.seek(start)
    return _Program(bounded, lambda key, kind, _: _seen_as(loaded[key], kind), size).run()


class _Bounded:
    """Reads the pickles of an old file; a few bytes may claim to be followed by 4 GB."""

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.size = file, size

    def read(self, count: int) -> bytes:
        return self.file.read(min(count, self._left()))

    def readline(self) -> bytes:
        return self.file.readline(self._left())

    def _left(self) -> int:
        return max(0, min(MOST_PROGRAM, self.size - self.file.tell()))


def _read_numbers(file: BinaryIO, length: int, size: int) -> torch.Tensor:
    if length > size - file.tell():
        raise DoctoredError("it is cut off")
    numbers = torch.empty(length, dtype=torch.uint8)
    if file.readinto(numbers.numpy()) != length:  # pyright: ignore[reportAttributeAccessIssue]
        raise DoctoredError("it is cut off")
    return numbers


def _seen_as(numbers: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    return numbers[: len(numbers) // kind.itemsize * kind.itemsize].view(kind)


class _Program:
    """Runs a pickle of protocol 2 as PyTorch's own reader does.

    Parameters
    ----------
    file
        At the pickle's start, which is read up to its end.
    numbers : callable
        Takes key, type and length of a storage, returns its numbers.
    size : int
        Bytes of the whole file.
    """

    def __init__(self, file: Any, numbers: Callable[..., torch.Tensor], size: int):
        self.file, self.numbers = file, numbers
        self.room, self.tensors, self.views = MOST_SHARED * size, MOST_TENSORS, MOST_TENSORS
        self.steps = self.copied = 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        texts = 0
        for opcode, argument, _ in pickletools.genops(self.file):
            self.steps += _LARGE.get(opcode.name, 1)
            texts += len(argument) if isinstance(argument, str) else 0
            if self.steps > MOST_STEPS or texts > MOST_PROGRAM:
                raise DoctoredError(f"its pickle has more than {MOST_STEPS} steps, or long texts")
            if opcode.name in _VALUES:
                self.stack.append(argument)
            elif opcode.name in _CONSTANTS:
                self.stack.append(_CONSTANTS[opcode.name]())
            elif opcode.name == "STOP":
                return self.stack.pop()
            else:
                getattr(self, f"_{opcode.name.lower()}")(argument)
        raise DoctoredError("it is cut off")

    def _proto(self, _: Any) -> None:
        pass

    def _global(self, argument: str) -> None:
        module, name = argument.split(" ", 1)
        # Names of Python 2.
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        kind = f"{module}.{name}"
        if kind == "builtins.bytearray" or module in _SYSTEM:
            raise DoctoredError("it holds what torch.save never writes")
        self.stack.append(_DTYPES.get(kind) or Stranger(kind))

    def _mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def _popped(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def _tuple(self, _: Any) -> None:
        items = self._popped()
        self.stack.append(tuple(items))

    def _tuple1(self, _: Any, count: int = 1) -> None:
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def _tuple2(self, _: Any) -> None:
        self._tuple1(None, 2)

    def _tuple3(self, _: Any) -> None:
        self._tuple1(None, 3)

    def _binput(self, at: int) -> None:
        self.memo[at] = self.stack[-1]

    _long_binput = _binput

    def _binget(self, at: int) -> None:
        self.stack.append(self.memo[at])

    _long_binget = _binget

    def _append(self, _: Any) -> None:
        self._extend([self.stack.pop()])

    def _appends(self, _: Any) -> None:
        self._extend(self._popped())

    def _extend(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)
        elif not isinstance(self.stack[-1], Stranger):
            raise DoctoredError(f"it appends to a {type(self.stack[-1]).__name__}")

    def _setitem(self, _: Any) -> None:
        value = self.stack.pop()
        self._set([self.stack.pop(), value])

    def _setitems(self, _: Any) -> None:
        self._set(self._popped())

    def _set(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(_named(zip(items[::2], items[1::2], strict=True)))
        elif not isinstance(self.stack[-1], Stranger):
            raise DoctoredError(f"it sets items of a {type(self.stack[-1]).__name__}")

    def _build(self, _: Any) -> None:
        self.stack.pop()  # no attribute is set, such as the versions of a state dict
        if not isinstance(self.stack[-1], Stranger | dict | torch.Tensor):
            raise DoctoredError(f"it sets attributes of a {type(self.stack[-1]).__name__}")

    def _binpersid(self, _: Any) -> None:
        mark, kind, key, _place, length, *view = self.stack.pop()
        if _text(mark) != "storage" or any(part is not None for part in view):
            raise DoctoredError("it refers to something other than numbers")
        self.views = self._less(self.views)
        self.stack.append(self.numbers(_text(key), _TYPES[kind.kind], length))

    def _reduce(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self._called(function, arguments))

    _newobj = _reduce

    def _called(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Stranger) or not isinstance(arguments, tuple):
            raise DoctoredError(f"it calls a {type(function).__name__}")
        name = function.kind
        if name == "collections.OrderedDict":
            pairs = arguments[0] if arguments else ()
            self.copied += len(pairs)
            if self.copied > self.steps:  # each pair takes several steps to write
                raise DoctoredError("it copies one list again and again")
            return OrderedDict(_named(pairs))
        if name == "torch.Size":
            return arguments[0]
        if name.startswith("torch._utils._rebuild_parameter") or name == _PARAMETER:
            return arguments[0]
        if name == "torch._tensor._rebuild_from_type_v2":  # a tensor with attributes
            inner, _, values = arguments[:3]
            if getattr(inner, "kind", name) == name:
                raise DoctoredError("it calls a function of itself")
            return self._called(inner, values)
        if name in ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"):
            return self._tensor(*arguments[:4])
        if name == "torch._utils._rebuild_tensor_v3":
            return self._tensor(_seen_as(arguments[0], arguments[6]), *arguments[1:4])
        if name == "torch._utils._rebuild_meta_tensor_no_storage":
            self.tensors = self._less(self.tensors)
            return _absent(arguments[1], arguments[0])
        return Stranger(name)

    @staticmethod
    def _less(left: int) -> int:
        if left <= 0:
            raise DoctoredError(f"it holds more than {MOST_TENSORS} tensors")
        return left - 1

    def _tensor(self, numbers: Any, offset: Any, size: Any, stride: Any) -> torch.Tensor:
        self.tensors = self._less(self.tensors)
        whole = [offset, *_checked(size), *_checked(stride)]
        if any(type(number) is not int or number < 0 for number in whole):
            raise DoctoredError("a shape without whole numbers")
        claimed = math.prod(size)
        if claimed > len(numbers) or (
            claimed
            and offset + sum(n * (m - 1) for n, m in zip(stride, size, strict=True)) >= len(numbers)
        ):
            return _absent(size, numbers.dtype)
        self.room -= claimed * numbers.itemsize
        if self.room < 0:
            raise DoctoredError(f"its tensors have more than {MOST_SHARED} times its bytes")
        return numbers.as_strided(size, stride, offset)


_SYSTEM = frozenset(["sys", "os", "posix", "nt"])  # whoever names it beside weights means harm
_PARAMETER = "torch.nn.parameter.Parameter"
_VALUES = frozenset(
    "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINSTRING".split()
)  # fmt: skip
# Steps of one byte that take as much memory as so many others.
_LARGE = {"EMPTY_DICT": 3, "EMPTY_LIST": 2, "EMPTY_SET": 2, "GLOBAL": 2, "REDUCE": 2, "NEWOBJ": 2}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: Stranger("builtins.set"),
}


def _named(pairs: Any) -> list[tuple[Any, Any]]:
    """The pairs whose key can be a name: a short text or a small number.

    The hash of a tuple that holds another one twice, and so on, would take for ever.
    """
    return [
        (key, value)
        for key, value in pairs
        if key is None
        or (isinstance(key, str) and len(key) <= LONGEST_KEY)
        or (isinstance(key, int) and abs(key) < MOST_KEY)
    ]


def _checked(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or len(shape) > MOST_DIMENSIONS:
        raise DoctoredError("a shape that is none")
    return shape


def _absent(size: Any, kind: torch.dtype) -> torch.Tensor:
    return torch.empty(_checked(size), dtype=kind, device="meta")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
