"""Checks of a CLIP checkpoint's settings: sizes, attention, the image transform."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from facestats.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

# The largest sizes in config.json, far above those of the largest CLIP.
MOST_SIZES = {
    "hidden_size": 65_536,
    "intermediate_size": 2**20,
    "num_hidden_layers": 500,
    "num_attention_heads": 1024,
    "projection_dim": 65_536,
    "image_size": 1024,
    "patch_size": 1024,
    "num_channels": 16,
    "num_labels": 100_000,
    "vocab_size": 2**22,
    "max_position_embeddings": 2**16,
}
# Attention that config.json may name. For any other name, transformers fetches a program from a hub
# and runs it if the package `kernels` is installed.
ATTENTION = (None, "eager", "sdpa")
ATTENTION_KEYS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
MOST_SIDE = 1024  # px that an image tower may see; the largest CLIP sees 378
# Numbers that a checkpoint may lack when a model is built: transformers would draw them at random,
# up to 5.5 GB in 50 s, and only then report which are missing.
MOST_MISSING = 2**24


def check_settings(config: dict, path: Path, variant: str) -> None:
    """Refuse sizes that no model has, and attention that is somebody's program.

    Parameters
    ----------
    config : dict
        Of `config.json`.
    path : Path
        Of the file, for messages.
    variant : str
        As params.yaml names the checkpoint, for messages.

    Raises
    ------
    ModelError
        Names the setting.
    """
    for place, part in (
        ("", config),
        ("vision_config.", config.get("vision_config")),
        ("text_config.", config.get("text_config")),
    ):
        if not isinstance(part, dict):
            continue
        for key, most in MOST_SIZES.items():
            value = part.get(key)
            # For other types, transformers says what it expects.
            if isinstance(value, int) and not 1 <= value <= most:
                raise ModelError(
                    f"clip.variant {variant}: {path} is damaged: {place}{key} is "
                    f"{_short(value)}, expected a whole number from 1 to {most}; get it again"
                )
        for key in ATTENTION_KEYS:
            value = part.get(key)
            if value not in ATTENTION:
                raise ModelError(
                    f"clip.variant {variant}: {path}: {place}{key} is {_short(value)!r}, "
                    "which may name a program to run; remove it"
                )


# On any other error of the system, the reader might succeed where the check did not.
NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


def check_folder(model_dir: Path) -> None:
    """`check_settings` of a folder that `fetch_clip` wrote; its reader reports damaged JSON."""
    path = model_dir / "config.json"
    with suppress(*NO_FILE, ValueError, RecursionError):
        config = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(config, dict):
            check_settings(config, path, str(model_dir))


def check_weights(
    model_dir: Path, model_class: type[PreTrainedModel], config: PreTrainedConfig
) -> None:
    """Refuse a checkpoint that lacks many of the weights that its settings require.

    Only the header of the weights is read, and the model is built without memory.

    Parameters
    ----------
    model_dir : Path
        Folder with `model.safetensors`.
    model_class : type
        The tower that is to be loaded.
    config : PreTrainedConfig
        Its settings.

    Raises
    ------
    ModelError
        Names some of the weights.
    """
    import torch
    from safetensors import safe_open

    with torch.device("meta"):
        expected = {
            name: tuple(weight.shape) for name, weight in model_class(config).state_dict().items()
        }
    with safe_open(model_dir / "model.safetensors", "pt") as weights:
        names = weights.keys()
        shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in names}
    missing = {
        name: math.prod(shape) for name, shape in expected.items() if shapes.get(name) != shape
    }
    if sum(missing.values()) > MOST_MISSING:
        largest = sorted(missing, key=lambda name: -missing[name])[:5]
        raise ModelError(
            f"{model_dir}: the weights lack {', '.join(largest)} of the shapes that config.json "
            "asks for; clip.variant must be a whole CLIPModel"
        )


def _short(value: object) -> str:
    return str(value)[:100]


def check_transform(content: object, path: Path) -> None:
    """Raise ModelError for an image transform that can't be applied to any image.

    Parameters
    ----------
    content : object
        Of `preprocessor_config.json`; a value that is null means CLIP's own.
    path : Path
        Of the file, for messages.
    """

    def number(value: object, least: float, most: float) -> bool:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and least <= value <= most
        )

    def size(value: object) -> bool:
        sides = list(value.values()) if isinstance(value, dict) else [value]
        return bool(sides) and all(
            side is None or (isinstance(side, int) and number(side, 1, MOST_SIDE)) for side in sides
        )

    def three(value: object, least: float) -> bool:
        return (
            isinstance(value, list)
            and len(value) == 3
            and all(number(part, least, 1e3) for part in value)
        )

    if not isinstance(content, dict):
        raise ModelError(
            f"{path} is a {type(content).__name__}, expected the settings of an image transform; "
            "get clip.variant again"
        )
    rules = {
        "size": (size, f"px from 1 to {MOST_SIDE}"),
        "crop_size": (size, f"px from 1 to {MOST_SIDE}"),
        "image_mean": (lambda value: three(value, -1e3), "three numbers"),
        "image_std": (lambda value: three(value, 1e-6), "three numbers above 0"),
        "rescale_factor": (lambda value: number(value, 1e-9, 1e9), "a number above 0"),
        "resample": (
            lambda value: isinstance(value, int) and number(value, 0, 5),
            "the number of one of Pillow's filters, 0 to 5",
        ),
    }
    for key, (fits, expected) in rules.items():
        value = content.get(key)
        if value is not None and not fits(value):
            raise ModelError(
                f"{path}: {key} is {str(value)[:100]}, expected {expected}; get clip.variant again"
            )
