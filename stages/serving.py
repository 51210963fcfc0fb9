"""Stage `serving`: what a photo needs, and which model files belong together; it runs last.

Reads   models/landmarker/, models/clip/, attractiveness_regressor.pt, blend.json, attributes.json,
        geometry_regressor.safetensors, models/attributes/, zeroshot.npz, embeddings_clip.parquet,
        faces.parquet, models/age_check.json, age_check.parquet; params `preprocess`, `data.images`
Writes  models/serving.json: the crop, the CLIP variant, whether a regressor was trained, and the
        sha256 of every file above
Alone   dvc repro -sf serving
"""

from facestats.run.stage import run_stage

from pathlib import Path

from facestats.attributes.model import model_path
from facestats.core import tables
from facestats.core.files import read_json
from facestats.scores.checkpoint import read_checkpoint
from facestats.serving.manifest import files_in, write_manifest


def main(
    params,
    landmarker: Path,
    clip: Path,
    regressor: Path,
    geometry: Path,
    blend: Path,
    attributes: Path,
    classifiers: Path,
    prompts: Path,
    embeddings: Path,
    faces: Path,
    age_model: Path,
    age_check: Path,
    manifest: Path,
) -> str:
    trained, metadata = read_checkpoint(regressor), tables.file_metadata(embeddings)
    facts = {
        "crop": params.preprocess.model_dump(),
        "images": params.data.images,
        "clip": {
            k: metadata[k]
            for k in ("variant", "revision", "weights_sha256", "precision", "dimension")
        },
        "trained": trained["trained"],
        "why": trained.get("why"),
    }
    parts = {
        "landmarker": files_in(landmarker),
        "clip": files_in(clip),
        "regressor": [regressor],
        "geometry": [geometry],
        "blend": [blend],
        "attributes": [attributes],
        "classifiers": [
            model_path(classifiers, target) for target in read_json(attributes)["targets"]
        ],
        "zeroshot": [prompts],
        "embeddings": [embeddings],
        "faces": [faces],
        "age_check": [age_model],
        "ages": [age_check],
    }
    write_manifest(manifest, facts, parts)
    return f"files={sum(map(len, parts.values()))}"


if __name__ == "__main__":
    run_stage(main)
