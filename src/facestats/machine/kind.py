"""The kind of this machine, as far as the last digits of what it computes depend on it."""

from __future__ import annotations

import platform

import numpy as np


def kind_of_machine(device: str = "cpu") -> str:
    """Where rows are computed: kind of device, and the processor's instruction set.

    Parameters
    ----------
    device : str, default "cpu"
        "cpu", or the name of another device that computes beside the processor.

    Returns
    -------
    str
        Such as `cpu x86_64 AVX2`; the instructions are the widest that NumPy knows and finds here.
    """
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    widest = [*simd.get("baseline", []), *simd.get("found", [])][-1:]
    return " ".join([device, platform.machine(), *widest])
