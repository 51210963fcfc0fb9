"""Model files: arrays, and facts about them as JSON, in one safetensors file.

No code is ever run from them, and all of their content is checked. The header has one entry,
`facestats`: JSON with `kind`, `format` and `facts`. The same model is the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from facestats.core.files import write_bytes
from facestats.errors import MisfitError, ModelError

SUFFIX = ".safetensors"
OLD = (".joblib", ".pkl", ".pickle")  # models of earlier versions, or of other programs
MOST = 1 << 30  # bytes of a file; ours have at most 10 MB
MOST_HEADER = 1 << 18  # bytes; a name and a few numbers an array
_MOST_DIGITS = 20  # of a whole number in the header
_ENTRY = "facestats"
_TYPES = {"F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "I64": np.dtype("<i8")}


def write_model(
    path: str | Path,
    kind: str,
    version: int,
    fields: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Write a model file by temporary file and rename.

    Parameters
    ----------
    path : str or Path
        The file.
    kind : str
        What it is, such as `attribute classifier`; `read_model` accepts no other.
    version : int
        Of the format; `read_model` accepts no other.
    fields : mapping
        JSON content with finite numbers.
    arrays : mapping of str to ndarray
        Finite float64, float32 or int64 arrays.
    """
    header = json.dumps(
        {"kind": kind, "format": version, "facts": fields},
        ensure_ascii=False,
        allow_nan=False,
        sort_keys=True,
    )
    write_bytes(
        Path(path),
        save(
            {
                name: np.ascontiguousarray(arrays[name]).reshape(np.shape(arrays[name]))
                for name in sorted(arrays)
            },
            {_ENTRY: header},
        ),
    )


def read_model(
    path: str | Path, kind: str, version: int, way_out: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read the facts and arrays that `write_model` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    kind, version
        See `write_model`.
    way_out : str
        What makes the file anew, for messages.

    Raises
    ------
    ModelError
        The file is missing, damaged, too large, or something else; a pickle is never read.
    """
    path = Path(path)
    old = next(
        (path.with_suffix(suffix) for suffix in OLD if path.with_suffix(suffix).exists()), None
    )
    if path.suffix in OLD:
        raise ModelError(
            f"{path} is a pickle, which could run code when it is read, and is not loaded; models "
            f"are {SUFFIX} files now: {way_out}; `python -m facestats models convert` converts a "
            "classifier of your own"
        )
    if not path.exists():
        if old is not None:
            raise ModelError(
                f"{path}: no such model; {old.name} beside it is a pickle of an earlier version, "
                f"which could run code when it is read, and is not loaded: {way_out}"
            )
        raise ModelError(f"{path}: no such model; {way_out}")
    try:
        return _read(path, kind, version)
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise ModelError(f"{path} is not a {kind} of this project ({error}); {way_out}") from None


def _read(path: Path, kind: str, version: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not path.is_file():
        raise MisfitError("it is not a file")
    if path.stat().st_size > MOST:
        raise MisfitError(f"it has {path.stat().st_size} bytes, expected {MOST} at most")
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    if size > MOST_HEADER:
        raise MisfitError(f"its header has {size} bytes, expected {MOST_HEADER} at most")
    entries = deserialize(data)  # checks that the header describes the whole file, no byte twice
    header = json.loads(data[8 : 8 + size])
    content = json.loads(
        header["__metadata__"][_ENTRY],
        parse_constant=_no_constant,
        parse_float=_finite,
        parse_int=_integer,
    )
    if set(content) != {"kind", "format", "facts"} or not isinstance(content["facts"], dict):
        raise MisfitError("the header lacks kind, format and facts")
    if content["kind"] != kind:
        raise MisfitError(f"it is a {str(content['kind'])[:40]}")
    if content["format"] != version:
        raise MisfitError(f"format {str(content['format'])[:20]}, expected {version}")
    return content["facts"], {name: _array(name, facts) for name, facts in entries}


def _no_constant(name: str) -> float:
    raise MisfitError(f"{name} is not a number in JSON")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise MisfitError(f"{text[:20]} is too large a number")
    return number


def _integer(text: str) -> int:
    """A whole number of at most 20 digits: one of 400 would overflow in arithmetic."""
    if len(text) > _MOST_DIGITS:
        raise MisfitError(f"{text[:20]}… has {len(text)} digits")
    return int(text)


def _array(name: str, entry: Mapping[str, Any]) -> np.ndarray:
    if entry["dtype"] not in _TYPES:
        raise MisfitError(
            f"{name} has the type {entry['dtype']}, expected one of {', '.join(_TYPES)}"
        )
    array = np.frombuffer(bytearray(entry["data"]), _TYPES[entry["dtype"]]).reshape(entry["shape"])
    if not np.isfinite(array).all():
        raise MisfitError(f"{name} has numbers that are not finite")
    return array
