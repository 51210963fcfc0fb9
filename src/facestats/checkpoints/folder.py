"""A CLIP checkpoint on disk, in Hugging Face layout: finding its weights, and checking it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from facestats.checkpoints.settings import check_settings
from facestats.errors import ModelError
from facestats.machine.faults import fault, is_of_machine

if TYPE_CHECKING:
    import torch

CONFIG = "config.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
CONFIG_FILES = (CONFIG, "preprocessor_config.json", "processor_config.json", *TOKENIZER_FILES)
MOST_SHARDS = 1000
# Each kind of weights, the better first: one file, or an index and its shards.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
INDEX = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SHARDS = ("model-*.safetensors", "pytorch_model-*.bin")
LFS = b"version https://git-lfs.github.com/spec/"
HALVES = {"clip_vision_model": "the image tower alone", "clip_text_model": "the text tower alone"}
# How to recognize a repository in another layout: a name in it, and the end of the message.
LAYOUTS = (
    (r"(^|/)[^/]*\.incomplete$", "it is half a download: run the download again, to its end"),
    (
        r"(^|/)open_clip_[^/]*$",
        "it is in open_clip's layout: take a repository in transformers' layout, such as "
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K, "
        "or convert it with transformers (convert_clip_original_pytorch_to_hf.py)",
    ),
    (
        r"^adapter_(config|model)\.",
        "it is an adapter (PEFT), not a model: merge it into its base model, and save that with "
        "save_pretrained",
    ),
    (r"^model_index\.json$", "it is a pipeline that draws pictures (diffusers), not a CLIP"),
    (
        r"\.(pt|pth|ckpt)$",
        "it is a checkpoint of OpenAI's or another training program: take the same model in "
        "transformers' layout, such as "
        "openai/clip-vit-base-patch32, or convert it with transformers "
        "(convert_clip_original_pytorch_to_hf.py)",
    ),
    (
        r"(^|/)(tf_model\.h5|flax_model\.msgpack)$",
        "it has weights for TensorFlow or Flax alone: save it once with PyTorch weights "
        "(transformers 4, CLIPModel.from_pretrained(…, from_tf=True or "
        "from_flax=True).save_pretrained)",
    ),
    (
        r"\.(onnx|gguf|mlmodel|tflite)$",
        "it has weights for another program alone (ONNX, GGUF and the like): take the model that "
        "they were made from",
    ),
)


def check_config(folder: Path, variant: str) -> dict:
    """Read `config.json` of a CLIP model.

    Raises
    ------
    ModelError
        The file is missing, a pointer of git LFS, damaged, or of another kind of model.
    """
    path = folder / CONFIG
    if not path.is_file():
        names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
        raise ModelError(
            f"clip.variant {variant}: {folder} holds no {CONFIG}, so it is not in Hugging Face "
            f"layout: {foreign_layout(names)}"
        )
    config = read_json(path, variant)
    kind = config.get("model_type")
    if kind == "clip" and isinstance(config.get("vision_config", {}), dict):
        check_settings(config, path, variant)
        return config
    if kind == "clip":
        raise ModelError(
            f"clip.variant {variant}: {path} is damaged: vision_config is "
            f"{config['vision_config']!r}, expected the image tower's settings; get it again"
        )
    if kind is None and "architecture" in config:
        raise ModelError(
            f"clip.variant {variant} is a model of timm ({config['architecture']}); only what "
            "transformers' CLIPModel loads "
            "(model_type 'clip') can be used"
        )
    what = (
        f"{HALVES[kind]} ({kind!r})"
        if isinstance(kind, str) and kind in HALVES
        else f"a {kind!r} model"
        if kind
        else f"of no kind that its {CONFIG} names (model_type)"
    )
    raise ModelError(
        f"clip.variant {variant} is {what}; only what transformers' CLIPModel loads (model_type "
        "'clip') can be used, "
        "such as openai/clip-vit-base-patch32"
    )


def foreign_layout(names: Iterable[str]) -> str:
    """What files of a folder or repository seem to be, and the way out, as a sentence's end."""
    names = sorted(names)
    for pattern, meaning in LAYOUTS:
        if any(re.search(pattern, name) for name in names):
            return meaning
    below = [PurePosixPath(name).parent.as_posix() for name in names if name.endswith(f"/{CONFIG}")]
    if below:
        return (
            f"a {CONFIG} lies in {' and '.join(below[:3])}: download it, and set "
            "clip.variant to that folder"
        )
    return (
        f"it holds {', '.join(names[:5])}{' and more' if len(names) > 5 else ''}"
        if names
        else "it is empty"
    )


def find_weights(folder: Path, variant: str) -> list[Path]:
    """The file or files of a checkpoint's weights, preferably safetensors.

    Raises
    ------
    ModelError
        There are none, or a part is missing.
    """
    for single, index, pattern in zip(WEIGHTS, INDEX, SHARDS, strict=True):
        if (folder / single).is_file():
            return [folder / single]
        shards = sorted(path.name for path in folder.glob(pattern))
        if (folder / index).is_file():
            expected, source = _named_shards(folder / index, variant), f"{index} says"
        else:
            total = {number for name in shards for number in re.findall(r"-of-(\d+)", name)}
            if any(int(number) > MOST_SHARDS for number in total):
                raise ModelError(
                    f"clip.variant {variant}: {shards[0]} is said to be one of more than "
                    f"{MOST_SHARDS:,} files of weights; get it again"
                )
            expected, source = set(shards), "their names say"
            if len(total) == 1:
                numbers = range(1, int(total.pop()) + 1)
                expected = {re.sub(r"-\d+-of-", f"-{i:05}-of-", shards[0]) for i in numbers}
        missing = sorted(expected - set(shards))
        if missing and (shards or (folder / index).is_file()):
            raise ModelError(
                f"clip.variant {variant}: of its weights {', '.join(missing[:5])} "
                f"{'is' if len(missing) == 1 else 'are'} missing, as {source}: "
                f"half a download, or not all of it was copied; get it again"
            )
        if shards:
            return [folder / name for name in shards]
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    raise ModelError(
        f"clip.variant {variant}: no weights in {folder} (model.safetensors or "
        f"pytorch_model.bin): {foreign_layout(names)}"
    )


def _named_shards(index: Path, variant: str) -> set[str]:
    """The files that an index of shards names, all beside it."""
    named = read_json(index, variant).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise ModelError(
            f"clip.variant {variant}: {index.name} is damaged: it has no weight_map, names of "
            "weights with their files; get it again"
        )
    for name in named.values():
        if not isinstance(name, str) or PurePosixPath(name).name != name or name in ("", ".."):
            raise ModelError(
                f"clip.variant {variant}: {index.name} names {name!r}, expected the name of a "
                "file beside it; get it again"
            )
    return set(named.values())


def check_files(folder: Path, variant: str) -> None:
    """Raise ModelError if a file to be read is a stand-in, empty or cut off; reads no weights."""
    for name in CONFIG_FILES:
        if os.path.lexists(folder / name):
            refuse_stand_in(folder / name, variant)
            if name.endswith(".json"):
                read_json(folder / name, variant)
    for path in find_weights(folder, variant):
        refuse_stand_in(path, variant)
        if path.suffix == ".safetensors":
            check_safetensors(path, variant)


def check_safetensors(path: Path, variant: str) -> None:
    """Raise ModelError for weights that are damaged or not a CLIPModel's; reads only the header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as weights:
            names = list(weights.keys())
    except SafetensorError as error:
        raise ModelError(
            f"clip.variant {variant}: {path.name} is damaged or half a download, "
            f"{path.stat().st_size:,} bytes ({error}); get it again"
        ) from None
    if path.name == WEIGHTS[0] and not any("vision_model." in name for name in names):
        raise ModelError(
            f"clip.variant {variant}: {path.name} names its weights otherwise than transformers' "
            "CLIPModel "
            f"({', '.join(sorted(names)[:3]) or 'it has none'}); clip.variant must be a whole "
            "CLIPModel in its layout"
        )


def refuse_stand_in(path: Path, variant: str) -> None:
    """Raise ModelError for a stand-in: a link out of the checkpoint, a pipe, git LFS's pointer.

    The files are copied into an out of DVC's, and shared. Through a link, that could be anybody's
    private file. In the hub's own cache, files of a snapshot are links into the same repository's
    folder.
    """
    folder = path.parent.resolve()
    inside = (
        folder.parents[1]
        if folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--")
        else folder
    )
    if not path.is_file():
        raise ModelError(
            f"clip.variant {variant}: {path.name} is no regular file (a folder, a pipe, a device "
            "or a link to nothing); get it again"
        )
    if variant != "tiny" and not path.resolve().is_relative_to(inside):
        # a package's own files may be links into an installer's cache
        raise ModelError(
            f"clip.variant {variant}: {path.name} is a link to {path.resolve()}, outside of "
            f"{inside}; only files that lie there are copied into "
            "models/clip, which is shared: put the file itself there"
        )
    with path.open("rb") as file:
        start = file.read(len(LFS))
    if start == LFS:
        raise ModelError(
            f"clip.variant {variant}: {path.name} is a pointer of git LFS, not the file itself: "
            f"`git lfs pull` in {path.parent} "
            "brings it, or download the repository with the hub's client (`hf download`)"
        )


def load_shard(path: Path, variant: str) -> dict[str, torch.Tensor]:
    """Read weights by name from one file, without running code of a pickle.

    Raises
    ------
    ModelError
        The file is damaged, holds more than tensors, or is not a state dict.
    """
    from safetensors.torch import load_file

    refuse_stand_in(path, variant)
    try:
        part = load_file(path) if path.suffix == ".safetensors" else _load_pickle(path)
    except Exception as error:  # damage shows in several ways
        if is_of_machine(error):
            raise fault(path, error) from None
        raise ModelError(
            f"clip.variant {variant}: {path.name} can't be read safely: of "
            f"{path.stat().st_size:,} bytes, it is half a download, "
            "damaged, or holds more than tensors, which could run code "
            f"({' '.join(str(error).split()) or type(error).__name__}); "
            "get it again, or a variant with safetensors"
        ) from None
    if not isinstance(part, dict) or not all(
        isinstance(k, str) and k.isprintable() and _is_plain(v) for k, v in part.items()
    ):
        raise ModelError(
            f"clip.variant {variant}: {path.name} is not a state dict, names of weights with "
            "their tensors"
        )
    return part


def _load_pickle(path: Path) -> object:
    from facestats.core.torch_files import DoctoredError, Stranger, read_torch

    with path.open("rb") as file:
        content = read_torch(file)
    for part in [content, *(content.values() if isinstance(content, dict) else ())]:
        if isinstance(part, Stranger) and not part.kind.startswith("torch._utils."):
            raise DoctoredError(f"it holds {ascii(part.kind)[1:-1][:80]}")
    return content


def _is_plain(value: object) -> bool:
    """Whether this is a tensor whose numbers are all in the file."""
    import torch

    return isinstance(value, torch.Tensor) and value.device.type == "cpu" and not value.is_complex()


def read_json(path: Path, variant: str) -> dict:
    """Read a JSON object; raises ModelError if the file holds something else."""
    refuse_stand_in(path, variant)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}, expected a {dict.__name__}")
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"clip.variant {variant}: {path} is not valid JSON ({error}); get it again"
        ) from None
    return content
