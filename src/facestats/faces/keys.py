"""The key of a row of `faces.parquet`: a hash of what the row was computed from."""

from dataclasses import asdict
from pathlib import Path

from facestats.core.fingerprint import code_sha256, sha256_json, versions
from facestats.faces.crop import PreprocessConfig
from facestats.faces.models import model_hashes

# The files that compute a row's bits: no other change makes rows stale. tests/test_layout.py
# compares them with the imports.
ROW_CODE = (
    "core/landmarks.py",
    "faces/align.py",
    "faces/comparison.py",
    "faces/crop.py",
    "faces/dedup.py",
    "faces/detector.py",
    "faces/landmarks.py",
    "faces/looks.npz",
    "faces/looks.py",
    "faces/mesh_cells.py",
    "faces/photo.py",
    "faces/quality.py",
    "faces/runtime.py",
    "faces/search.py",
    "faces/warp.py",
    "photos/budget.py",
    "photos/containers.py",
    "photos/decode.py",
    "photos/limited.py",
    "photos/pixels.py",
    "photos/reading.py",
)
_LIBRARIES = (
    "pillow",
    "numpy",
    "ai-edge-litert",
    "opencv-python-headless",
    "pillow-heif",
    "simplejpeg",
)


def recipe_hash(config: PreprocessConfig, model_dir: str | Path) -> str:
    """sha256 (hex) over the parameters, the weights, the code and the versions of the libraries."""
    # The limits only decide whether there is a row.
    deciding = {
        name: value for name, value in asdict(config).items() if not name.startswith("max_")
    }
    return sha256_json(
        {
            "config": deciding,
            "models": model_hashes(model_dir),
            "code": code_sha256(ROW_CODE),
            "versions": versions(*_LIBRARIES),
        }
    )


def limited_recipe(recipe: str, config: PreprocessConfig) -> str:
    """The recipe of a photo that is beyond `max_pixels` by its header: a hash with that limit."""
    return sha256_json([recipe, {"max_pixels": config.max_pixels}])


def row_key(image_sha256: str, recipe: str) -> str:
    """sha256 (hex) over an image's bytes (their sha256) and a `recipe_hash` or `limited_recipe`."""
    return sha256_json([image_sha256, recipe])
