"""What bounds the image tower: its floating-point operations, and the machine's speed at them."""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import CLIPVisionConfig

PRODUCTS = 20  # products a measurement, a core
SQUARE = {"cpu": 2048, "cuda": 8192, "mps": 4096}  # side of the large square product


def tower_flop(config: CLIPVisionConfig) -> float:
    """Floating-point operations of one image, for weights and for attention.

    A multiplication with its addition counts as 2.
    """
    patches = (config.image_size // config.patch_size) ** 2
    tokens, width, hidden = patches + 1, config.hidden_size, config.intermediate_size
    layer = tokens * (4 * width * width + 2 * width * hidden) + 2 * tokens * tokens * width
    return 2.0 * (
        patches * 3 * config.patch_size**2 * width
        + config.num_hidden_layers * layer
        + width * config.projection_dim
    )


def product_rate(
    config: CLIPVisionConfig, dtype: torch.dtype, device: torch.device, batch_size: int
) -> dict[str, float]:
    """FLOP a second of two kinds of product, on all cores or on the device.

    Returns
    -------
    dict with `tower`, the shapes of the tower's own linear layers with packed weights (on the
    processor; each core works on products of its own, as the encoder does it), and `square`, one
    large product of two square matrices by `torch.matmul`.
    """
    side = SQUARE[device.type]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    rates = {"square": 2.0 * side**3 / _seconds(lambda: a @ b, 3, device)}
    if device.type == "cpu" and platform.machine() in ("x86_64", "AMD64"):
        rates["tower"] = _tower_rate(config, dtype, batch_size)
    return rates


def _tower_rate(config: CLIPVisionConfig, dtype: torch.dtype, batch_size: int) -> float:
    rows = batch_size * ((config.image_size // config.patch_size) ** 2 + 1)
    width, hidden = config.hidden_size, config.intermediate_size
    shapes = [(width, 3 * width), (width, width), (width, hidden), (hidden, width)]
    layers = [
        (
            torch.randn(rows, k).to(dtype),
            torch.ops.mkldnn._reorder_linear_weight(torch.randn(n, k).to(dtype), rows),
            torch.zeros(n, dtype=dtype),
        )
        for k, n in shapes
    ]

    def work(_: int) -> None:
        with torch.inference_mode():
            for _ in range(PRODUCTS // len(layers)):
                for x, weight, bias in layers:
                    torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    cores = torch.get_num_threads()
    with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        seconds = _seconds(lambda: list(pool.map(work, range(cores))), 1, torch.device("cpu"))
    torch.set_num_threads(cores)
    return cores * (PRODUCTS // len(layers)) * sum(2.0 * rows * k * n for k, n in shapes) / seconds


def _seconds(call, times: int, device: torch.device) -> float:
    """Seconds a call, after one to warm up."""
    call()
    wait = (
        torch.cuda.synchronize
        if device.type == "cuda"
        else torch.mps.synchronize
        if device.type == "mps"
        else lambda: None
    )
    wait()
    started = time.perf_counter()
    for _ in range(times):
        call()
    wait()
    return (time.perf_counter() - started) / times


def machine_facts(device: torch.device) -> str:
    """Processor, cores, matrix instructions, memory, load and versions, as one line of text."""
    names = [
        line.partition(":")[2].strip()
        for line in _lines("/proc/cpuinfo")
        if line.startswith("model name")
    ]
    can = torch.cpu.get_capabilities()
    known = [
        name
        for name in ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
        if can.get(name)
    ]
    gpu = f"; {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ""
    load = (
        f"; load average at the start {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    )
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "transformers", "pillow", "numpy")
    )
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} used ({', '.join(known)}){gpu}{load}; "
        f"{platform.system()}, "
        f"Python {platform.python_version()}, {versions}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []
