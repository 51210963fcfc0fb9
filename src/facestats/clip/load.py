"""Load the CLIP model of a folder, with clear errors for damaged or mixed files."""

import json
from contextlib import suppress
from pathlib import Path

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import CLIPVisionModelWithProjection

from facestats.checkpoints.settings import NO_FILE, check_folder, check_transform, check_weights
from facestats.clip.encoder import ImageEncoder, vision_config
from facestats.errors import ModelError
from facestats.machine.faults import is_out_of_memory

ANOTHER_MODELS = (
    "config.json or preprocessor_config.json does not fit the weights; they must be of one model, "
    "as save_pretrained writes them: get clip.variant again"
)


def load_encoder(model_dir: Path, precision: str = "float32", batch_size: int = 32) -> ImageEncoder:
    """The image encoder in a folder.

    Parameters and errors are those of `ImageEncoder`. The checks are here because `ImageEncoder`
    computes rows: a change of its file would make all of them stale.

    Raises
    ------
    ModelError
        The folder does not hold a CLIP model, or its weights are damaged.
    """
    check_folder(model_dir)
    transform = model_dir / "preprocessor_config.json"
    with suppress(*NO_FILE, ValueError, RecursionError):  # which ImageEncoder names
        content = json.loads(transform.read_text(encoding="utf-8"))
        try:
            check_transform(content, transform)
        except ModelError as error:
            raise ModelError(f"{model_dir}: {ANOTHER_MODELS} ({error})") from None
    try:
        with suppress(OSError, ValueError, RuntimeError):  # which ImageEncoder names
            check_weights(model_dir, CLIPVisionModelWithProjection, vision_config(model_dir))
        return ImageEncoder(model_dir, precision, batch_size)
    except ModelError as error:
        if "ignore_mismatched_sizes" not in str(error):
            raise
        raise ModelError(f"{model_dir}: {ANOTHER_MODELS}") from None
    except (
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        ValueError,
        ArithmeticError,
        ImportError,
        StrictDataclassError,
    ) as error:
        # Impossible values in a config, in transformers' own words.
        if is_out_of_memory(error):
            raise
        raise ModelError(
            f"{model_dir}: {ANOTHER_MODELS} ({' '.join(str(error).split())})"
        ) from None
    except SafetensorError as error:
        raise ModelError(
            f"{model_dir / 'model.safetensors'} is damaged ({error}); `dvc repro -f fetch_clip` "
            "makes it anew"
        ) from None
