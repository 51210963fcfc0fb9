"""FaceStats: CLIP-first face analytics as a DVC pipeline.

The public names are imported when first used, so that a stage that needs one module does not pay
for all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.2.0"
_MODULES = {
    "calculate_attractiveness_score": "facestats.serving.api",
    "detect_landmarks": "facestats.serving.api",
    "face_continuum": "facestats.serving.stimuli",
    "filter_images": "facestats.serving.composites",
    "find_similar": "facestats.serving.api",
    "get_clip_embedding": "facestats.serving.api",
    "infer_attributes": "facestats.serving.api",
    "load": "facestats.serving.loading",
    "make_composite": "facestats.serving.composites",
    "measure_image": "facestats.serving.api",
    "mesh_template": "facestats.composites.templates",
    "read_template": "facestats.composites.templates",
    "score_image": "facestats.serving.api",
    "score_images": "facestats.serving.batch",
    "tables": "facestats.core.tables",
    "train_regressor": "facestats.scores.training",
    "transform_face": "facestats.serving.stimuli",
    "write_template": "facestats.composites.templates",
}
__all__ = list(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'facestats' has no attribute {name!r}")
    module = import_module(_MODULES[name])
    return module if name == "tables" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
