"""Reading checkpoint files of PyTorch and safetensors safely.

No code of a file is run, and no memory is allocated for numbers that a file claims but does not
hold; see `torch_files`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from facestats.core.torch_files import LONGEST_KEY, ScriptError, Stranger, read_torch
from facestats.errors import ModelError
from facestats.machine.faults import fault, is_of_machine

DEEPEST = 10  # containers in containers that are named
_LONGEST_HEADER = 100_000_000  # bytes, the limit of safetensors itself
LONGEST = 200  # characters of a key in a message
STATE_DICT_ALONE = "save the state dict alone, torch.save(model.state_dict(), path)"

# Where a part lies in a file: the place of what holds it, and its key there. Each part's own name
# would repeat the keys above it.
Place = tuple[Any, ...]  # (place, key), or () for the whole


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
            content = load_file(path) if _is_safetensors(file) else read_torch(file)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file") from None
    except ScriptError:
        raise ModelError(
            f"{path} is a program (TorchScript), which could run code; load it where you trust "
            f"it, and {STATE_DICT_ALONE}"
        ) from None
    except (Exception, SafetensorError) as error:  # damage shows in several ways
        if is_of_machine(error):
            raise fault(path, error) from None
        raise ModelError(
            f"{path} can't be read as a checkpoint: it is damaged, or holds more than tensors, "
            "which could run code. Of this project's model, `dvc repro -f train_attractiveness` "
            f"makes another; of your own, {STATE_DICT_ALONE}"
        ) from None
    if isinstance(content, Stranger):
        raise ModelError(
            f"{path} holds a whole object ({shown(content.kind)}), which could run code; load it "
            f"where you trust it, and {STATE_DICT_ALONE}"
        )
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__}, expected a dict of tensors")
    if long := [key for key in content if len(str(key)) > LONGEST_KEY]:
        raise ModelError(
            f"{path} has a name of {len(str(long[0])):,} letters; {LONGEST_KEY:,} are the most"
        )
    for place, tensor in _tensors(content):
        if tensor.is_meta:
            raise ModelError(
                f"{path}: {shown(name_of(place))} says that it has the shape "
                f"{list(tensor.shape)}, but the file does not hold that many numbers"
            )
    return content


def shown(name: str) -> str:
    """A name in a file, which may hold the escapes of a terminal, on one line."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)


def name_of(place: Place) -> str:
    """The keys that lead to a part of a file, joined for a message; long ones are shortened."""
    keys = []
    while place:
        place, key = place
        keys.append(shortened(str(key)))
    return ".".join(reversed(keys))


def shortened(name: str) -> str:
    """A name without its middle if it is long."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 :]}"


def is_safetensors(path: Path) -> bool:
    """Whether a file is in the format of safetensors, which keeps no order."""
    with open(path, "rb") as file:
        return _is_safetensors(file)


def _is_safetensors(file: BinaryIO) -> bool:
    """Whether a header of JSON follows its length; a pickle or zip would be a much longer one."""
    head = file.read(9)
    file.seek(0)
    return int.from_bytes(head[:8], "little") <= _LONGEST_HEADER and head[8:] == b"{"


def _tensors(content: Any) -> Iterator[tuple[Place, torch.Tensor]]:
    """Find the tensors in dicts and lists, with their places.

    Each part is visited once: 1.5 kB of lists that hold each other would have 1000**7 paths, and
    1 MB can refer to one tensor 500,000 times.
    """
    waiting, seen = deque[tuple[Place, Any, int]]([((), content, 0)]), {id(content)}
    while waiting:
        place, value, depth = waiting.popleft()
        if isinstance(value, torch.Tensor):
            yield place, value
        elif depth < DEEPEST:
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(part, torch.Tensor | dict | list | tuple) and id(part) not in seen:
                    seen.add(id(part))
                    waiting.append(((place, key), part, depth + 1))
