"""Bring a CLIP variant into one folder, in Hugging Face layout, with safetensors weights.

This is the only place that may reach for a model hub; everything later reads the folder.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

from facestats.clip.transform import CLIP_TRANSFORM
from facestats.errors import ModelError
from facestats.files import write_bytes
from facestats.fingerprint import sha256_file

TINY = Path(__file__).parent / "tiny_model"  # trained in pretrain/, see its model card
WEIGHTS = "model.safetensors"
FACTS = "facestats.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt")
WAYS_OUT = (
    "There are three ways out: run it once where the hub can be reached, so that the model lies in the hub's own "
    "cache (HF_HOME); put the files into a local folder and set clip.variant to its path; or use "
    "clip.variant=tiny, which ships with this package."
)


def fetch_clip(variant: str, revision: str | None, out: Path) -> dict[str, str]:
    """Write the variant's files into the folder `out`.

    Parameters
    ----------
    variant : `tiny`, a Hugging Face id (`organisation/name`) or the path of a local folder.
    revision : branch, tag or commit of a Hugging Face id; for a local folder (or `tiny`) the sha256 of the
        weights or its beginning, checked; None: whatever is there.
    out : folder to make; holds `config.json`, `model.safetensors`, `preprocessor_config.json`, tokenizer files
        where the variant has them, and `facestats.json` (how it is called in tables).

    Returns
    -------
    dict with `variant` (`tiny`, the id, or `local`), `revision` and `sha256` of the weights.

    Raises
    ------
    ModelError
        Unreachable hub, missing folder or file, not a CLIP model, wrong revision.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "preprocessor_config.json", FACTS, WEIGHTS, *TOKENIZER_FILES):
        (out / name).unlink(missing_ok=True)  # of another variant, where this runs without DVC
    if variant == "tiny":
        name, resolved = "tiny", None
        _convert(TINY, out, variant)
    elif Path(variant).expanduser().is_dir():
        name, resolved = "local", None
        _convert(Path(variant).expanduser(), out, variant)
    elif _looks_like_a_path(variant):
        raise ModelError(f"clip.variant: there is no folder {variant} (paths are relative to {Path.cwd().name}/; "
                         "temporary and queued runs need an absolute path)")
    else:
        name = variant
        snapshot = _download(variant, revision)
        resolved = snapshot.name
        _convert(snapshot, out, variant)
    sha256 = sha256_file(out / WEIGHTS)
    if resolved is None and revision is not None and not sha256.startswith(revision):
        raise ModelError(f"clip.revision {revision} does not match the weights of {variant}: their sha256 is {sha256}")
    facts = {"variant": name, "revision": resolved or sha256, "sha256": sha256}
    _write_json(out / FACTS, facts)
    return facts


def _looks_like_a_path(variant: str) -> bool:
    return not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", variant) or variant.startswith((".", "/", "~"))


def _download(variant: str, revision: str | None) -> Path:
    """The snapshot of a Hugging Face repository, weights as safetensors where it has them."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    try:
        folder = Path(snapshot_download(variant, revision=revision,
                                        allow_patterns=["*.json", "*.txt", "*.safetensors"]))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(variant, revision=revision, allow_patterns=["pytorch_model*.bin"]))
    except Exception as error:  # the hub's client raises a dozen kinds: connection, rights, names, revisions
        at = f" at revision {revision}" if revision else ""
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"could not get clip.variant {variant}{at} from the model hub ({first_line}). {WAYS_OUT}") from None
    return folder


def _convert(source: Path, out: Path, variant: str) -> None:
    """Copy configuration and tokenizer, and the weights as one safetensors file."""
    config_file = source / "config.json"
    if not config_file.is_file():
        raise ModelError(f"clip.variant {variant}: {source} holds no config.json, so it is not in Hugging Face layout")
    config = _read_json(config_file)
    if config.get("model_type") != "clip":
        raise ModelError(f"clip.variant {variant} is a {config.get('model_type')!r} model; "
                         "only what transformers' CLIPModel loads (model_type 'clip') can be used")
    shutil.copyfile(config_file, out / "config.json")
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    _write_image_transform(source, out)
    _write_weights(source, out, variant)


def _write_weights(source: Path, out: Path, variant: str) -> None:
    if (source / WEIGHTS).is_file():
        shutil.copyfile(source / WEIGHTS, out / WEIGHTS)
        return
    shards = sorted(source.glob("model-*.safetensors")) or sorted(source.glob("pytorch_model*.bin"))
    if not shards:
        raise ModelError(f"clip.variant {variant}: no weights in {source} (model.safetensors or pytorch_model.bin)")
    import torch
    from safetensors.torch import load_file, save

    state: dict[str, torch.Tensor] = {}
    for shard in shards:
        try:
            part = load_file(shard) if shard.suffix == ".safetensors" else torch.load(
                shard, map_location="cpu", weights_only=True)
        except Exception as error:  # unpickling refuses in several ways
            raise ModelError(f"clip.variant {variant}: {shard.name} can't be read safely ({error})") from None
        if not isinstance(part, dict) or not all(isinstance(v, torch.Tensor) for v in part.values()):
            raise ModelError(f"clip.variant {variant}: {shard.name} is not a state dict, names of weights with their tensors")
        state.update(part)
    # Safetensors refuses tensors that share memory; position_ids are rebuilt by the model.
    state = {k: v.clone().contiguous() for k, v in state.items() if not k.endswith("position_ids")}
    with tempfile.TemporaryDirectory(dir=out) as folder:
        write_bytes(Path(folder) / WEIGHTS, save(state, metadata={"format": "pt"}))  # `save_file` hides a full disk's number
        (Path(folder) / WEIGHTS).replace(out / WEIGHTS)


def _write_image_transform(source: Path, out: Path) -> None:
    """`preprocessor_config.json`, from wherever the variant keeps it; CLIP's own transform where it has none."""
    transform = None
    if (source / "preprocessor_config.json").is_file():
        transform = _read_json(source / "preprocessor_config.json")
    elif (source / "processor_config.json").is_file():
        transform = _read_json(source / "processor_config.json").get("image_processor")
    if transform is None:
        side = _read_json(source / "config.json").get("vision_config", {}).get("image_size", 224)
        transform = CLIP_TRANSFORM | {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    _write_json(out / "preprocessor_config.json", transform)


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"clip.variant: {path} is not valid JSON ({error})") from None


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
