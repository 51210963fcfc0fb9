"""What a run can do without, but is better off with: the model hub, and a sound row store."""

from __future__ import annotations

import hashlib
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.segments import DamagedSegmentError, list_segments, read_any_segment
from facestats.rows.store import FILES, find_store
from facestats.rows.usage import recipes

HUB = "https://huggingface.co"
TIMEOUT = 3.0  # seconds
SHOWN = 5  # damaged files named one by one


def say_of_hub() -> str:
    """One line: whether a Hugging Face id can be fetched, as far as a first answer tells; never an error."""
    hub = os.environ.get("HF_ENDPOINT", HUB)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return f"model hub: {hub} is not asked (HF_HUB_OFFLINE)"
    said: list[str] = []
    # A thread, because no timeout bounds how long a name is looked up.
    asking = threading.Thread(target=lambda: said.append(_ask(hub)), daemon=True)
    asking.start()
    asking.join(TIMEOUT + 1)
    why = said[0] if said else f"no answer in {TIMEOUT:g} s"
    return f"model hub: {hub} answers" if not why else \
        f"model hub: {hub} can't be reached ({why}); `tiny` and local folders need none (clip.variant)"


def _ask(hub: str) -> str:
    """Why there is no answer; empty if there is one, whatever it says."""
    try:
        urllib.request.urlopen(urllib.request.Request(hub, method="HEAD"), timeout=TIMEOUT).close()
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return ""


def say_of_rows(root: Path) -> Iterator[str]:
    """Whether each file of the row store is what it was when it was written; every one is read."""
    store = find_store(find_dvc_cache(root))
    if store is None or not store.is_dir():
        yield "row store: none yet; the first run makes it"
        return
    rows, damaged = 0, []
    found = recipes(store)
    for recipe in found:
        for segment in list_segments(recipe):
            try:
                rows += read_any_segment(segment).num_rows
            except DamagedSegmentError as error:
                damaged.append(f"{segment} ({error})")
            except FileNotFoundError:  # merged by a run meanwhile
                continue
        damaged += [f"{path} (its bytes are not those that were written)" for path in sorted((recipe / FILES).glob("[0-9a-f]*"))
                    if not _is_sound(path)]
    yield f"row store: {store}, rows={rows} recipes={len(found)}, " + (f"{len(damaged)} damaged files" if damaged else "sound")
    for one in damaged[:SHOWN]:
        yield f"  damaged: {one}"
    if damaged:
        yield "  what they held is computed again when it is wanted; `python -m facestats rows prune` removes them, with all rows that are not in use"


def _is_sound(path: Path) -> bool:
    try:
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == path.name
    except FileNotFoundError:  # released by a run meanwhile
        return True
    except OSError:
        return False
