"""Reading checkpoint files of PyTorch and safetensors safely.

No code of a file is run: a class that PyTorch does not know as data becomes a `Stranger`, which
does nothing. No memory is allocated for numbers that a file claims but does not hold.
"""

from __future__ import annotations

import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from facestats.errors import ModelError

PICKLES = 5  # in a file of PyTorch before 1.6: magic number, protocol, system, content, keys
STATE_DICT_ALONE = "save the state dict alone, torch.save(model.state_dict(), path)"


class Stranger:
    """Stands for an object of a class that is not loaded: takes any arguments and does nothing."""

    kind = ""

    def __init__(self, *_: Any, **__: Any):
        pass

    def __new__(cls, *_: Any, **__: Any) -> Stranger:
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None:
        pass


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read the dict of tensors in a file.

    Parameters
    ----------
    path : Path
        With any ending.

    Returns
    -------
    dict

    Raises
    ------
    ModelError
        It is missing, no file, damaged, no dict of tensors, or claims a tensor larger than what the
        file holds.
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise ModelError(f"{path} is no file; name a checkpoint's file")
    try:
        with open(path, "rb") as file:
            content = load_file(path) if _is_safetensors(file) else _load(file)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file") from None
    except _ScriptError:
        raise ModelError(
            f"{path} is a program (TorchScript), which could run code; load it where you trust "
            f"it, and {STATE_DICT_ALONE}"
        ) from None
    # Reading fails with several errors, and torch's messages advise to load unsafely.
    except (Exception, SafetensorError):
        raise ModelError(
            f"{path} can't be read as a checkpoint: it is damaged, or holds more than tensors, "
            "which could run code. Of this project's model, `dvc repro -f train_attractiveness` "
            f"makes another; of your own, {STATE_DICT_ALONE}"
        ) from None
    if isinstance(content, Stranger):
        raise ModelError(
            f"{path} holds a whole object ({content.kind}), which could run code; load it where "
            f"you trust it, and {STATE_DICT_ALONE}"
        )
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__}, expected a dict of tensors")
    for name, tensor in _tensors(content):
        if (
            tensor.layout != torch.strided
            or tensor.is_meta
            or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
        ):
            raise ModelError(
                f"{path}: {name} says that it has the shape {list(tensor.shape)}, but the file "
                "does not hold that many numbers"
            )
    return content


def refuse_bombs(file: BinaryIO) -> set[str]:
    """Refuse a file of PyTorch that would take more memory than its bytes, without loading it.

    Parameters
    ----------
    file : BinaryIO
        Is at its start afterwards.

    Returns
    -------
    set of str
        Names of the classes and functions in its pickles.

    Raises
    ------
    Exception
        Of several kinds: it is packed, damaged, TorchScript or holds what `torch.save` never
        writes.
    """
    names = _globals(file)
    if "builtins.bytearray" in names:  # torch allows it, and allocates whatever size a file claims
        raise _DoctoredError("it holds what torch.save never writes")
    file.seek(0)
    return names


def is_safetensors(path: Path) -> bool:
    """Whether a file is in the format of safetensors, which keeps no order."""
    with open(path, "rb") as file:
        return _is_safetensors(file)


class _ScriptError(Exception):
    """The file is TorchScript."""


class _DoctoredError(Exception):
    """The file holds what `torch.save` never writes."""


def _is_safetensors(file: BinaryIO) -> bool:
    head = file.read(9)
    file.seek(0)
    return len(head) == 9 and head[8:] == b"{" and not head.startswith((b"PK", b"\x80"))


def _load(file: BinaryIO) -> Any:
    names = refuse_bombs(file)
    strangers: Any = [
        (type("Stranger", (Stranger,), {"kind": name}), name) for name in sorted(names)
    ]
    # torch's own names take precedence; strangers stand for all others.
    with torch.serialization.safe_globals(strangers):
        return torch.load(file, map_location="cpu", weights_only=True)


def _globals(file: BinaryIO) -> set[str]:
    """Names of classes and functions in a file's pickles."""
    names: set[str] = set()
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if any(entry.filename.endswith("/constants.pkl") for entry in entries):
                raise _ScriptError("it is TorchScript")
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(
                e.file_size for e in entries
            ) > file.seek(0, 2):
                # torch.save packs nothing, and 1 MB could become 1 GB.
                raise _DoctoredError("it is packed, as torch.save never does")
            for entry in entries:
                if entry.filename.endswith("data.pkl"):
                    names |= set(_named(archive.open(entry)))
        return names
    file.seek(0)
    for _ in range(PICKLES):
        names |= set(_named(file))
    return names


def _named(pickle: Any) -> Iterator[str]:
    for opcode, argument, _ in pickletools.genops(pickle):
        if opcode.name == "GLOBAL":
            module, name = str(argument).split(" ", 1)
            # torch translates names of Python 2.
            module, name = NAME_MAPPING.get(
                (module, name), (IMPORT_MAPPING.get(module, module), name)
            )
            yield f"{module}.{name}"


def _tensors(content: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Find the tensors in dicts and lists, with their names.

    Each container is visited once: 1.5 kB of lists that hold each other would have 1000**7 paths.
    """
    waiting, seen = deque([("", content)]), set()
    while waiting:
        name, value = waiting.popleft()
        if isinstance(value, torch.Tensor):
            yield name, value
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend((f"{name}.{key}" if name else str(key), part) for key, part in parts)
