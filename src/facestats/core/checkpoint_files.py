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

from facestats.core.torch_files import ScriptError, Stranger, read_torch
from facestats.errors import ModelError
from facestats.machine.faults import fault, is_of_machine

DEEPEST = 10  # containers in containers that are named
STATE_DICT_ALONE = "save the state dict alone, torch.save(model.state_dict(), path)"


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
    for name, tensor in _tensors(content):
        if tensor.is_meta:
            raise ModelError(
                f"{path}: {shown(name)} says that it has the shape {list(tensor.shape)}, but the "
                "file does not hold that many numbers"
            )
    return content


def shown(name: str) -> str:
    """A name in a file, which may hold the escapes of a terminal, on one line."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)


def is_safetensors(path: Path) -> bool:
    """Whether a file is in the format of safetensors, which keeps no order."""
    with open(path, "rb") as file:
        return _is_safetensors(file)


def _is_safetensors(file: BinaryIO) -> bool:
    head = file.read(9)
    file.seek(0)
    return len(head) == 9 and head[8:] == b"{" and not head.startswith((b"PK", b"\x80"))


def _tensors(content: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Find the tensors in dicts and lists, with their names.

    Each container is visited once: 1.5 kB of lists that hold each other would have 1000**7 paths.
    """
    waiting, seen = deque([("", content, 0)]), set()
    while waiting:
        name, value, depth = waiting.popleft()
        if isinstance(value, torch.Tensor):
            yield name, value
        elif id(value) not in seen and depth < DEEPEST:
            seen.add(id(value))
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend(
                (f"{name}.{key}" if name else str(key), part, depth + 1)
                for key, part in parts
                if isinstance(part, torch.Tensor | dict | list | tuple)
            )
