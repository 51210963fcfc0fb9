"""Small CLIP checkpoints with random weights, and pictures to show them."""


import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPConfig, CLIPModel

VISION = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
          "image_size": 224, "patch_size": 32}
TEXT = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}


def picture(size, seed=0):
    """Colour blobs, edges and noise: something that a wrong filter or crop would show on."""
    width, height = size
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)).resize(size, Image.Resampling.NEAREST)
    noise = rng.integers(-60, 61, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(coarse).astype(int) + noise, 0, 255).astype(np.uint8))


def random_clip(folder, seed=1, projection=48, vision=None, **config):
    """A small CLIP with random weights, in the layout that transformers writes."""
    vision = VISION | {"projection_dim": projection} if vision is None else vision
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CLIPModel(CLIPConfig(text_config=TEXT | {"projection_dim": projection}, vision_config=vision,
                                     projection_dim=projection, **config))
        for name, weights in model.named_parameters():  # larger than CLIP's own initial ones, so that images differ
            if weights.ndim > 1 and "position" not in name:
                weights.data.mul_(4)
    model.save_pretrained(folder)
    return folder


def weights(folder):
    """Tensors of a checkpoint by name."""
    return load_file(folder / "model.safetensors")
