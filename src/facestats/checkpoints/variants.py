"""Bring a CLIP variant into one folder, in Hugging Face layout, with safetensors weights.

Only this step may use a model hub; all later ones read the folder.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from facestats.checkpoints.folder import (
    CONFIG,
    TOKENIZER_FILES,
    WEIGHTS,
    check_config,
    check_files,
    find_weights,
    load_shard,
    read_json,
)
from facestats.checkpoints.hub import cached_snapshot, download, looks_like_an_id, nearest_variant
from facestats.checkpoints.transform import CLIP_TRANSFORM
from facestats.core.files import write_bytes
from facestats.core.fingerprint import sha256_file
from facestats.core.layout import TINY
from facestats.errors import ModelError, nearest_names

MODEL = WEIGHTS[0]
FACTS = "facestats.json"


def fetch_clip(variant: str, revision: str | None, out: Path) -> dict[str, str]:
    """Write the variant's files into the folder `out`.

    Parameters
    ----------
    variant : str
        `tiny`, a Hugging Face id (`organisation/name`) or the path of a local folder.
    revision : str or None
        Branch, tag or commit of a Hugging Face id; for a local folder (or `tiny`), the sha256 of
        the weights or its beginning, which is checked. None takes the newest, or any weights.
    out : Path
        Folder to make; holds `config.json`, `model.safetensors`, `preprocessor_config.json`,
        tokenizer files if the variant has them, and `facestats.json` (its name in tables).

    Returns
    -------
    dict[str, str]
        Dict with `variant` (`tiny`, the id, or `local`), `revision` and `sha256` of the weights.

    Raises
    ------
    ModelError
        Unreachable hub, missing folder or file, not a CLIP model, wrong revision.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, "preprocessor_config.json", FACTS, MODEL, *TOKENIZER_FILES):
        (out / name).unlink(missing_ok=True)  # of another variant, if this runs without DVC
    folder = local_folder(variant)
    if folder is not None:
        name, resolved = "tiny" if folder == TINY else "local", None
    else:
        folder = download(variant, revision)
        name, resolved = variant, folder.name
    _convert(folder, out, variant)
    sha256 = sha256_file(out / MODEL)
    if resolved is None and revision is not None and not sha256.startswith(revision):
        raise ModelError(
            f"clip.revision {revision} does not match the weights of {variant}: their sha256 is "
            f"{sha256}"
        )
    facts = {"variant": name, "revision": resolved or sha256, "sha256": sha256}
    _write_json(out / FACTS, facts)
    return facts


def local_folder(variant: str, root: Path = Path()) -> Path | None:
    """The folder that a variant names; None for a Hugging Face id.

    Parameters
    ----------
    root : Path, default Path()
        What relative paths are below.

    Raises
    ------
    ModelError
        There is no folder at the path.
    """
    if variant == "tiny":
        return TINY
    try:
        path = root / Path(variant).expanduser()
        if path.is_dir():
            return path
        if path.is_file():
            raise ModelError(
                f"clip.variant: {variant} is a file; expected a folder with {CONFIG} and {MODEL}, "
                "as save_pretrained writes it"
            )
    except (OSError, RuntimeError, ValueError) as error:
        # A name that is too long, ~ of an unknown user, a null byte.
        raise ModelError(f"clip.variant: {variant!r} names no folder ({error})") from None
    if looks_like_an_id(variant):
        return None
    near = nearest_variant(variant) or next(
        iter(nearest_names(path.name, _folders(path.parent))), None
    )
    raise ModelError(
        f"clip.variant: there is no folder {variant}{f' (did you mean {near}?)' if near else ''} "
        f"(paths are relative to {root.resolve().name}/; "
        "temporary and queued runs need an absolute path)"
    )


def check_variant(variant: str, revision: str | None = None, root: Path = Path()) -> str | None:
    """Why `fetch_clip` would fail, without asking a hub or reading weights; None if it may work.

    Parameters
    ----------
    root : Path, default Path()
        What relative paths are below.
    """
    try:
        folder = local_folder(variant, root)
        if folder is None:
            folder = cached_snapshot(variant, revision)
            if folder is None:
                near = nearest_variant(variant)
                if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
                    return (
                        f"clip.variant {variant} is not in the hub's own cache, and "
                        "HF_HUB_OFFLINE is set, so that the hub is not asked"
                    )
                return (
                    f"clip.variant {variant}: did you mean {near}?"
                    if near and near != variant
                    else None
                )
            check_config(folder, variant)  # its weights may still have to be downloaded
            return None
        check_config(folder, variant)
        check_files(folder, variant)
    except ModelError as error:
        return str(error)
    except OSError as error:
        return f"clip.variant {variant} can't be read ({error})"
    return None


def _folders(parent: Path) -> list[str]:
    try:
        return [path.name for path in parent.iterdir() if path.is_dir()]
    except OSError:
        return []


def _convert(source: Path, out: Path, variant: str) -> None:
    """Copy configuration and tokenizer, and the weights as one safetensors file."""
    check_config(source, variant)
    check_files(source, variant)
    for name in (CONFIG, *TOKENIZER_FILES):
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    _write_image_transform(source, out, variant)
    _write_weights(find_weights(source, variant), out, variant)


def _write_weights(parts: list[Path], out: Path, variant: str) -> None:
    if [part.name for part in parts] == [MODEL]:
        shutil.copyfile(parts[0], out / MODEL)
        return
    from safetensors.torch import save

    state = {name: tensor for part in parts for name, tensor in load_shard(part, variant).items()}
    # Safetensors refuses tensors that share memory; position_ids are rebuilt by the model.
    state = {k: v.clone().contiguous() for k, v in state.items() if not k.endswith("position_ids")}
    with tempfile.TemporaryDirectory(dir=out) as folder:
        # `save_file` hides the error number of a full disk.
        write_bytes(Path(folder) / MODEL, save(state, metadata={"format": "pt"}))
        (Path(folder) / MODEL).replace(out / MODEL)


def _write_image_transform(source: Path, out: Path, variant: str) -> None:
    """Write `preprocessor_config.json`: the variant's transform, or CLIP's own if it has none."""
    transform = None
    if (source / "preprocessor_config.json").is_file():
        transform = read_json(source / "preprocessor_config.json", variant)
    elif (source / "processor_config.json").is_file():
        transform = read_json(source / "processor_config.json", variant).get("image_processor")
    if transform is None:
        side = read_json(source / CONFIG, variant).get("vision_config", {}).get("image_size", 224)
        transform = CLIP_TRANSFORM | {
            "size": {"shortest_edge": side},
            "crop_size": {"height": side, "width": side},
        }
    _write_json(out / "preprocessor_config.json", transform)


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
