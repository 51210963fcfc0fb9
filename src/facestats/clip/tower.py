"""CLIP's image tower: transformers' own forward, or the same arithmetic on oneDNN.

The latter makes fewer passes over memory. The weights of each linear layer are packed once into
oneDNN's blocked layout; query, key and value are one product; bias, activation and residual are
added while a product's result is still in cache; and the patch convolution, whose stride is its
kernel, is a product too. On a Zen 5 core a product of packed bfloat16 weights reaches 400 GFLOP/s
against 330 of `torch.nn.functional.linear`, and a float32 one 155 against 60 of MKL
(`docs/methods/performance.md`).
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import CLIPVisionModelWithProjection

from facestats.machine.faults import is_out_of_memory

# transformers' name of an activation: oneDNN's, its algorithm, and k where act(x) is fused(k·x) /
# k. CLIP's quick_gelu, x·sigmoid(1.702x), is oneDNN's swish, x·sigmoid(x), of 1.702x: k goes into
# the weights around it.
ACTIVATIONS = {
    "quick_gelu": ("swish", "", 1.702),
    "gelu": ("gelu", "none", 1.0),
    "gelu_pytorch_tanh": ("gelu", "tanh", 1.0),
    "relu": ("relu", "", 1.0),
}

# How far an embedding may be from transformers' own in float32, as a share of its length. Measured:
# 1e-6 and 0.012 at most, with 2 to 24 layers, where two pictures differ by 0.16 at least.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05}
# Compared at each load: 0.02 s of a core with tiny, 0.5 s with ViT-B/32, 7 s with ViT-L/14.
PICTURES = 2
_BLOCKS = 8  # coloured squares along a side of such a picture


class StoppedError(Exception):
    """The forward pass was told to stop."""


def choose_tower(
    model: CLIPVisionModelWithProjection,
    dtype: torch.dtype,
    device: torch.device,
    batch_size: int,
    factor: torch.Tensor,
    offset: torch.Tensor,
) -> PackedTower | PlainTower:
    """The faster tower that computes what transformers' own forward does.

    A packed tower that does not is left with a `RuntimeWarning`, which says why.

    Parameters
    ----------
    model : CLIPVisionModelWithProjection
        In float32.
    dtype : torch.dtype
        What to compute in.
    device : torch.device
        Where.
    batch_size : int
        Images a call.
    factor, offset : torch.Tensor
        Of shape (3,): input = pixel · factor − offset, by channel.
    """
    try:
        packs = can_pack(model.config, dtype, device)
        packed = PackedTower(model, dtype, batch_size, factor, offset) if packs else None
        embeddings = packed(pixels := _pictures(packed.side)) if packed else None
    except (RuntimeError, AttributeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    else:
        if packed is None or embeddings is None:
            return PlainTower(model, dtype, device, factor, offset)
        expected = PlainTower(model, torch.float32, device, factor, offset)(pixels)
        difference = _difference(embeddings, expected)
        if difference <= TOLERANCE[dtype]:
            return packed
        why = f"its embeddings differ from those of transformers by {difference:.1%}"
    warnings.warn(
        f"the fast image tower does not work with torch {torch.__version__} on this processor "
        f"({why}); faces are embedded with transformers' own forward, which is slower",
        RuntimeWarning,
        stacklevel=2,
    )
    return PlainTower(model, dtype, device, factor, offset)


def _pictures(side: int) -> torch.Tensor:
    """Squares of random colours, which differ in what a tower sees: uint8 (n, side, side, 3)."""
    squares = np.random.default_rng(0).integers(
        0, 256, (PICTURES, _BLOCKS, _BLOCKS, 3), dtype=np.uint8
    )
    at = np.arange(side) * _BLOCKS // side
    return torch.from_numpy(squares[:, at][:, :, at])


def _difference(embeddings: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest distance of an embedding from the expected one, as a share of its length.

    Weights that make no finite embeddings say nothing of the tower: 0.
    """
    if not torch.isfinite(expected).all():
        return 0.0
    lengths = expected.norm(dim=1).clamp_min(1e-12)
    return float(((embeddings - expected).norm(dim=1) / lengths).nan_to_num(nan=torch.inf).max())


def can_pack(config: Any, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether `PackedTower` computes this tower; transformers' own forward computes any."""
    if (
        device.type != "cpu"
        or platform.machine() not in ("x86_64", "AMD64")
        or not torch.backends.mkldnn.is_available()
    ):
        return False
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return (
        dtype in (torch.float32, torch.bfloat16)
        and config.hidden_act in ACTIVATIONS
        and config.num_channels == 3
        and config.image_size % config.patch_size == 0
    )


class PackedTower:
    """The image tower of a CLIP model with packed weights.

    Parameters
    ----------
    model : CLIPVisionModelWithProjection
        In float32, so that weights are rounded once.
    dtype : torch.dtype
        What to compute in; float32 or bfloat16.
    batch_size : int
        Images a call, which the packing is made for.
    factor, offset : torch.Tensor
        Input = pixel · factor − offset, three numbers each, one a channel.

    Raises
    ------
    StoppedError
        Of a call whose `stopped` said so; it is asked before each layer.
    """

    def __init__(
        self,
        model: CLIPVisionModelWithProjection,
        dtype: torch.dtype,
        batch_size: int,
        factor: torch.Tensor,
        offset: torch.Tensor,
    ):
        vision = model.vision_model
        config: Any = model.config  # whose sizes may be pairs; not where `can_pack` is true
        embeddings = vision.embeddings
        self.dtype, self.factor, self.offset = dtype, factor[:, None], offset[:, None]
        self.patch, self.heads, self.width = (
            config.patch_size,
            config.num_attention_heads,
            config.hidden_size,
        )
        self.side, self.eps = config.image_size, config.layer_norm_eps
        patches = (self.side // self.patch) ** 2
        rows = batch_size * (patches + 1)
        self.patch_embedding = _Linear(
            embeddings.patch_embedding.weight.flatten(1), None, dtype, batch_size * patches
        )
        position = embeddings.position_embedding.weight.detach().clone()
        position[0] += embeddings.class_embedding.detach()
        self.position = position.to(dtype)
        self.norm_before, self.norm_after = (
            self._norm(n) for n in (vision.pre_layrnorm, vision.post_layernorm)
        )
        self.layers = [
            self._layer(layer, ACTIVATIONS[config.hidden_act], rows)
            for layer in vision.encoder.layers
        ]
        self.projection = _Linear(model.visual_projection.weight, None, dtype, batch_size)

    def _norm(self, layer: torch.nn.LayerNorm) -> Callable[[torch.Tensor], torch.Tensor]:
        weight, bias = layer.weight.detach().to(self.dtype), layer.bias.detach().to(self.dtype)
        return lambda x: functional.layer_norm(x, (self.width,), weight, bias, self.eps)

    def _layer(self, layer, activation: tuple[str, str, float], rows: int) -> tuple:
        attention, mlp, (fused, algorithm, k) = layer.self_attn, layer.mlp, activation
        inputs = (attention.q_proj, attention.k_proj, attention.v_proj)
        return (
            self._norm(layer.layer_norm1),
            _Linear(
                torch.cat([i.weight for i in inputs]),
                torch.cat([i.bias for i in inputs]),
                self.dtype,
                rows,
            ),
            _Linear(attention.out_proj.weight, attention.out_proj.bias, self.dtype, rows),
            self._norm(layer.layer_norm2),
            _Linear(mlp.fc1.weight * k, mlp.fc1.bias * k, self.dtype, rows, fused, algorithm),
            _Linear(mlp.fc2.weight / k, mlp.fc2.bias, self.dtype, rows),
        )

    @torch.inference_mode()
    def __call__(
        self, pixels: torch.Tensor, stopped: Callable[[], bool] = lambda: False
    ) -> torch.Tensor:
        """Embeddings of uint8 pixels (n, side, side, 3): float32 (n, dimension), not unit norm."""
        n = len(pixels)
        x = torch.empty((n, len(self.position), self.width), dtype=self.dtype)
        x[:, 1:] = self.patch_embedding(self._patches(pixels)).view(n, -1, self.width)
        x[:, 0] = 0
        x = self.norm_before(x.add_(self.position)).view(-1, self.width)
        for norm1, query_key_value, out, norm2, up, down in self.layers:
            if stopped():
                raise StoppedError
            parts = query_key_value(norm1(x)).view(n, -1, 3, self.heads, self.width // self.heads)
            attended = functional.scaled_dot_product_attention(*parts.permute(2, 0, 3, 1, 4))
            x = out.add(attended.transpose(1, 2).reshape(-1, self.width), x)
            x = down.add(up(norm2(x)), x)
        return self.projection(self.norm_after(x.view(n, -1, self.width)[:, 0])).float()

    def _patches(self, pixels: torch.Tensor) -> torch.Tensor:
        """The patches of pictures, (n · patches, 3 · patch · patch).

        Moved while still bytes, a quarter of float32's traffic.
        """
        grid, patch = self.side // self.patch, self.patch
        cut = (
            pixels.view(-1, grid, patch, grid, patch, 3)
            .permute(0, 1, 3, 5, 2, 4)
            .reshape(-1, 3, patch * patch)
        )
        return cut.float().mul_(self.factor).sub_(self.offset).flatten(1).to(self.dtype)


class _Linear:
    """A linear layer with packed weights, and an activation fused into it."""

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        dtype: torch.dtype,
        rows: int,
        activation: str = "none",
        algorithm: str = "",
    ):
        self.weight = torch.ops.mkldnn._reorder_linear_weight(
            weight.detach().to(dtype).contiguous(), rows
        )
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.activation, self.algorithm = activation, algorithm

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, self.activation, [], self.algorithm
        )

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise.binary(x, residual, self.weight, self.bias, "add")


class PlainTower:
    """transformers' own forward of the image tower, on any device; called as `PackedTower` is."""

    def __init__(
        self,
        model: CLIPVisionModelWithProjection,
        dtype: torch.dtype,
        device: torch.device,
        factor: torch.Tensor,
        offset: torch.Tensor,
    ):
        self.dtype, self.device = dtype, device
        self.model = model.eval().to(device, dtype)  # pyright: ignore[reportArgumentType]
        self.factor, self.offset = (v.to(device)[:, None, None] for v in (factor, offset))

    @torch.inference_mode()
    def __call__(
        self, pixels: torch.Tensor, stopped: Callable[[], bool] = lambda: False
    ) -> torch.Tensor:
        """Embeddings of uint8 pixels (n, side, side, 3): float32 (n, dimension), not unit norm."""
        inputs = (
            pixels.to(self.device).permute(0, 3, 1, 2).float().mul_(self.factor).sub_(self.offset)
        )
        return self.model(pixel_values=inputs.to(self.dtype)).image_embeds.float()
