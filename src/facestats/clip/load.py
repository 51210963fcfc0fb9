"""The CLIP model of a folder, with an error that says so where its weights are damaged."""

from pathlib import Path

from safetensors import SafetensorError

from facestats.clip.encoder import ImageEncoder
from facestats.errors import ModelError


def load_encoder(model_dir: Path, precision: str = "float32", batch_size: int = 32) -> ImageEncoder:
    """The image encoder in a folder; parameters and errors are those of `ImageEncoder`, which computes rows and so stays as it is.

    Raises
    ------
    ModelError
        The folder does not hold a CLIP model, or its weights are damaged.
    """
    try:
        return ImageEncoder(model_dir, precision, batch_size)
    except SafetensorError as error:
        raise ModelError(f"{model_dir / 'model.safetensors'} is damaged ({error}); `dvc repro -f fetch_clip` makes it anew") from None
