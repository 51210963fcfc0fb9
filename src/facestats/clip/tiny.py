"""`tiny`: the embedded CLIP variant, a small `CLIPModel` built from a config and a fixed seed.

Its weights are random: a random projection of image patches, enough to run the whole pipeline with no model hub,
and no more than that. Its embeddings say little about photographs.
"""

from __future__ import annotations

from pathlib import Path

SEED = 0
IMAGE_SIZE = 64
PROJECTION = 256


def build_tiny(out: Path) -> None:
    """Write the variant `tiny` into the folder `out` in Hugging Face layout.

    The image tower takes 64×64 px in patches of 16 px; image and text meet in 256 dimensions.
    """
    import torch
    from transformers import CLIPConfig, CLIPModel
    from transformers.utils import logging

    logging.disable_progress_bar()

    vision = {"image_size": IMAGE_SIZE, "patch_size": 16, "hidden_size": 256, "intermediate_size": 1024,
              "num_hidden_layers": 2, "num_attention_heads": 4, "projection_dim": PROJECTION}
    text = {"vocab_size": 514, "max_position_embeddings": 77, "hidden_size": 128, "intermediate_size": 512,
            "num_hidden_layers": 2, "num_attention_heads": 4, "projection_dim": PROJECTION,
            "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=PROJECTION))
    model.save_pretrained(out)
