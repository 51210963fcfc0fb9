"""Small CLIP checkpoints with random weights, and pictures to show them."""

import json

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPConfig, CLIPModel

VISION = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 224,
    "patch_size": 32,
}
TEXT = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
MERGES = ["p h", "ph o", "pho t", "phot o</w>", "o f</w>", "w o", "m a", "ma n</w>", "wo man</w>"]
BEGIN, END = "<|startoftext|>", "<|endoftext|>"


def picture(size, seed=0):
    """Colour blobs, edges and noise: something that a wrong filter or crop would show on."""
    width, height = size
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)).resize(
        size, Image.Resampling.NEAREST
    )
    noise = rng.integers(-60, 61, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(coarse).astype(int) + noise, 0, 255).astype(np.uint8))


def random_clip(folder, seed=1, projection=48, vision=None, text=TEXT, **config):
    """A small CLIP with random weights, in the layout that transformers writes."""
    vision = VISION | {"projection_dim": projection} if vision is None else vision
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CLIPModel(
            CLIPConfig(
                text_config=text | {"projection_dim": projection},
                vision_config=vision,
                projection_dim=projection,
                **config,
            )
        )
        for (
            name,
            weights,
        ) in model.named_parameters():  # larger than CLIP's own initial ones, so that images differ
            if weights.ndim > 1 and "position" not in name:
                weights.data.mul_(4)
    model.save_pretrained(folder)
    return folder


def vocabulary():
    """Tokens of a byte-pair tokenizer such as CLIP's: bytes, ends of words, merges, start, end."""
    letters = sorted(ByteLevel.alphabet())
    tokens = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *(m.replace(" ", "") for m in MERGES),
        BEGIN,
        END,
    ]
    return {token: i for i, token in enumerate(tokens)}


def write_tokenizer(folder, begin=None, end=None):
    """`vocab.json` and `merges.txt` of `vocabulary`.

    `begin` and `end` put its last two tokens elsewhere.
    """
    vocab = vocabulary()
    vocab |= {token: place for token, place in ((BEGIN, begin), (END, end)) if place is not None}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77})
    )


def random_clip_that_reads(folder, **options):
    """A small CLIP with random weights and a tokenizer."""
    known = vocabulary()
    random_clip(
        folder,
        text=TEXT
        | {"vocab_size": len(known), "bos_token_id": known[BEGIN], "eos_token_id": known[END]},
        **options,
    )
    write_tokenizer(folder)
    return folder


def weights(folder):
    """Tensors of a checkpoint by name."""
    return load_file(folder / "model.safetensors")
