"""FaceStats: CLIP-first face analytics as a DVC pipeline.

What people import stands in `facestats.serving.api`; it is loaded when first used, so that a stage
that needs one module does not pay for all of them.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.2.0"
_API = (
    "calculate_attractiveness_score",
    "detect_landmarks",
    "filter_images",
    "find_similar",
    "get_clip_embedding",
    "infer_attributes",
    "load",
    "make_composite",
    "score_image",
)
__all__ = [*_API, "tables", "train_regressor"]


def __getattr__(name: str) -> Any:
    if name in _API:
        from facestats.serving import api

        return getattr(api, name)
    if name == "tables":
        from facestats.core import tables

        return tables
    if name == "train_regressor":
        from facestats.scores.training import train_regressor

        return train_regressor
    raise AttributeError(f"module 'facestats' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
