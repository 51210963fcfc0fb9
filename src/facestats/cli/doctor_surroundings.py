"""The set-up around the inputs: packages, models, the model hub and the row store."""

from __future__ import annotations

import json
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from facestats.checkpoints.hub import find_refusal, looks_like_an_id
from facestats.checkpoints.variants import FACTS, check_variant
from facestats.cli.doctor_inputs import Finding
from facestats.core.layout import CLIP, LANDMARKER
from facestats.machine.faults import is_passing
from facestats.params.project import Params
from facestats.rows.bucket import BucketError
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.files import FOLDER as FILES
from facestats.rows.files import is_sound
from facestats.rows.place import find_store, open_below
from facestats.rows.recipes import recipes
from facestats.rows.segments import MD5, DamagedSegmentError, list_segments, read_any_segment

HUB = "https://huggingface.co"
TIMEOUT = 3.0  # seconds
SHOWN = 5  # damaged files named one by one


def package_versions(root: Path) -> dict[str, dict[str, Any]]:
    """For each package of requirements.txt: `installed` (or None), `pinned`, whether it `fits`."""
    try:
        requirements = (root / "requirements.txt").read_text(encoding="utf-8")
    except OSError:
        return {}
    packages = {}
    for name, pinned in re.findall(r"^([\w.-]+)==(\S+)", requirements, flags=re.MULTILINE):
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = None
        packages[name] = {
            "installed": installed,
            "pinned": pinned,
            "fits": installed is not None and installed.split("+")[0] == pinned,
        }
    return packages


def examine_models(root: Path, params: Params) -> dict[str, Any]:
    """List the models that have been fetched, and the device they will run on."""
    from facestats.clip.encoder import choose_device, choose_precision
    from facestats.faces.models import NEEDED

    device = choose_device()
    return {
        "clip_variant": params.clip.variant,
        "clip_fetched": (root / CLIP / FACTS).is_file(),
        "landmarks_fetched": all((root / LANDMARKER / name).is_file() for name in NEEDED),
        "device": device.type,
        "precision": choose_precision(params.clip.precision, device),
    }


def check_clip(root: Path, params: Params, ask: bool) -> list[Finding]:
    """Check `clip.variant`; with `ask`, ask the model hub about a variant not fetched yet."""
    variant, revision = params.clip.variant, params.clip.revision
    why = check_variant(variant, revision, root)
    if (
        why is None
        and looks_like_an_id(variant)
        and variant != "tiny"
        and not (root / variant).is_dir()
        and not _is_fetched(root, variant)
    ):
        why = ask_hub(variant, revision) if ask else None
        if why is None and "/" in variant and (root / variant).parent.is_dir():
            why = (
                f"clip.variant: there is no folder {variant}, and no hub was asked whether it has "
                "such a model"
            )
    return [Finding("clip", why, variant)] if why else []


def _is_fetched(root: Path, variant: str) -> bool:
    try:
        return (
            json.loads((root / CLIP / FACTS).read_text(encoding="utf-8")).get("variant") == variant
        )
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def ask_hub(variant: str, revision: str | None) -> str | None:
    """Why the hub would refuse a model; None where it would not, or does not answer in time."""
    answers: list[str | None] = []
    # In a thread, because no timeout bounds the look-up of a host's name.
    asking = threading.Thread(
        target=lambda: answers.append(
            None if _is_offline() else find_refusal(variant, revision, TIMEOUT)
        ),
        daemon=True,
    )
    asking.start()
    asking.join(TIMEOUT + 1)
    return answers[0] if answers else None


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def describe_hub() -> str:
    """One line on whether the model hub answers; never an error."""
    hub = os.environ.get("HF_ENDPOINT", HUB)
    if _is_offline():
        return f"model hub: {hub} is not asked (HF_HUB_OFFLINE)"
    refusals: list[str] = []  # a thread, as in `ask_hub`
    asking = threading.Thread(target=lambda: refusals.append(_ask(hub)), daemon=True)
    asking.start()
    asking.join(TIMEOUT + 1)
    why = refusals[0] if refusals else f"no answer in {TIMEOUT:g} s"
    return (
        f"model hub: {hub} answers"
        if not why
        else f"model hub: {hub} can't be reached ({why}); `tiny` and local folders need none "
        "(clip.variant)"
    )


def _ask(hub: str) -> str:
    """Why there is no answer; empty if there is any."""
    try:
        urllib.request.urlopen(urllib.request.Request(hub, method="HEAD"), timeout=TIMEOUT).close()
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return ""


def describe_rows(root: Path) -> Iterator[str]:
    """Read the whole row store, and report files that are damaged."""
    store = find_store(find_dvc_cache(root))
    if store is None or not store.is_dir():
        yield "row store: none yet; the first run makes it"
        return
    rows, damaged, unread = 0, [], []
    try:
        stored = recipes(store)
    except BucketError as error:
        yield f"row store: {error}"
        return
    for recipe in stored:
        try:
            with open_below(store, recipe.parent.name, recipe.name) as folder:
                for name in list_segments(folder):
                    try:
                        rows += read_any_segment(folder, name).num_rows
                    except DamagedSegmentError as error:
                        damaged.append(f"{recipe / name} ({error})")
                    except FileNotFoundError:  # merged by a run meanwhile
                        continue
                with folder.below(FILES) as files:
                    damaged += [
                        f"{files.path / name} (its bytes are not those that were written)"
                        for name in files.names(MD5)
                        if not is_sound(files, name)
                    ]
        except FileNotFoundError:  # as above
            continue
        except OSError as error:
            where = f"{error.filename or recipe} ({error.strerror})"
            (unread if is_passing(error) else damaged).append(where)
    yield f"row store: {store}, rows={rows} recipes={len(stored)}, " + (
        f"{len(damaged)} damaged files" if damaged else "not all read" if unread else "sound"
    )
    for one in unread[:SHOWN]:
        yield f"  can't be read now, so nothing is known about it: {one}"
    for one in damaged[:SHOWN]:
        yield f"  damaged: {one}"
    if damaged:
        yield (
            "  what they held is computed again when it is wanted; `python -m facestats rows "
            "prune` removes them, with all rows that are not in use"
        )
