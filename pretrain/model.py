"""The shape of `tiny`: a `CLIPModel`, where its attention starts, and a short image tower."""

from __future__ import annotations

import math

import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer


def build_model(shape: dict, tokenizer: CLIPTokenizer) -> CLIPModel:
    """A `CLIPModel` with new weights; `shape` is params `train.model`.

    Plain attention and GELU: their backward passes are the fastest in bfloat16 on a processor.
    """
    common = {"hidden_act": "gelu", "projection_dim": shape["projection"]}
    vision = {
        "image_size": shape["image"],
        "patch_size": shape["patch"],
        "hidden_size": shape["width"],
        "intermediate_size": 4 * shape["width"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
    }
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": tokenizer.model_max_length,
        "hidden_size": shape["text_width"],
        "intermediate_size": 4 * shape["text_width"],
        "num_hidden_layers": shape["text_layers"],
        "num_attention_heads": shape["text_heads"],
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.eos_token_id,
    }
    config = CLIPConfig(
        vision_config=vision | common,
        text_config=text | common,
        projection_dim=shape["projection"],
        attn_implementation="eager",
    )
    model = CLIPModel(config)
    _look_around(model.vision_model)
    return model


def _look_around(vision: torch.nn.Module) -> None:
    """Let each head of the last layer look at another region of the picture from the start.

    Untrained attention is even: the class token then sees the mean of all patches, and where
    something was is lost. With few steps to learn it from, where to look is better given: positions
    get orthogonal embeddings, and the keys of head k those of a Gaussian window around cell k of a
    grid.
    """
    position = vision.embeddings.position_embedding.weight
    tokens, width = position.shape
    attention = vision.encoder.layers[-1].self_attn
    heads, dimension = attention.num_heads, attention.head_dim
    side = math.isqrt(tokens - 1)
    columns = math.ceil(math.sqrt(heads))
    rows = math.ceil(heads / columns)
    y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    with torch.no_grad():
        basis, _ = torch.linalg.qr(torch.randn(width, width))
        position.copy_(basis[:tokens] * math.sqrt(width) / 2)
        for head in range(heads):
            row, column = divmod(head, columns)
            distance = (
                (y - (row + 0.5) * side / rows) ** 2 + (x - (column + 0.5) * side / columns) ** 2
            ).flatten()
            window = -distance / (2 * (side / columns / 2) ** 2)
            attention.k_proj.weight[head * dimension] = (
                (window - window.mean()) @ basis[1:tokens] / math.sqrt(width)
            )
            attention.q_proj.bias[head * dimension] = 2 * math.sqrt(dimension)


def embed_images(model: CLIPModel, pixels: torch.Tensor) -> torch.Tensor:
    """Image features (n, projection) of (n, 3, h, h), before they are made unit norm.

    Of the last layer, only the class token's state is used, so only that one is computed.
    """
    vision = model.vision_model
    states = vision.pre_layrnorm(vision.embeddings(pixels))
    *layers, last = vision.encoder.layers
    for layer in layers:
        states = layer(states, attention_mask=None)
    attention, normed = last.self_attn, last.layer_norm1(states)

    def heads(projected: torch.Tensor) -> torch.Tensor:
        return projected.unflatten(2, (attention.num_heads, attention.head_dim)).transpose(1, 2)

    query, key, value = (
        heads(attention.q_proj(normed[:, :1])),
        heads(attention.k_proj(normed)),
        heads(attention.v_proj(normed)),
    )
    shares = (query @ key.transpose(2, 3) * attention.scale).float().softmax(dim=-1).to(value.dtype)
    state = states[:, 0] + attention.out_proj((shares @ value).transpose(1, 2).flatten(1))
    state = state + last.mlp(last.layer_norm2(state))
    return model.visual_projection(vision.post_layernorm(state))


def embed_texts(model: CLIPModel, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
    """What `get_text_features` gives, before it is made unit norm: (n, projection)."""
    return model.text_projection(
        model.text_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output
    )
