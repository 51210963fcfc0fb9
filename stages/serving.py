"""Stage `serving`: what a photo needs, and which model files belong together; it runs last.

Reads   models/ (landmarker/, clip/, attributes/, attractiveness_regressor.pt, blend.json,
        attributes.json, geometry_regressor.safetensors, zeroshot.npz, age_check.json, traits/),
        embeddings_clip (table and matrix), faces, age_check (tables); params `preprocess`, `index`,
        `data.images`
Writes  models/serving.json: the crop, the CLIP variant, whether a regressor was trained, and the
        sha256 of every file above
Alone   dvc repro -sf serving
"""

from facestats.run.stage import run_stage

from facestats.attributes.model import model_path
from facestats.core.tables.parts import listed_files
from facestats.labels.traits import read_traits
from facestats.serving.checks import read_facts
from facestats.serving.manifest import check_kinds, files_in, model_facts, write_manifest


def main(params, models, embeddings, half, rest, faces, ages, manifest):
    attributes, regressor = models / "attributes.json", models / "attractiveness_regressor.pt"
    targets = read_facts(attributes, "targets")["targets"]
    parts = {
        "landmarker": files_in(models / "landmarker"),
        "clip": files_in(models / "clip"),
        "regressor": [regressor],
        "geometry": [models / "geometry_regressor.safetensors"],
        "blend": [models / "blend.json"],
        "attributes": [attributes],
        "classifiers": [model_path(models / "attributes", target) for target in targets],
        "zeroshot": [models / "zeroshot.npz"],
        "embeddings": [*listed_files(embeddings), half, rest],
        "faces": listed_files(faces),
        "age_check": [models / "age_check.json"],
        "ages": listed_files(ages),
        "traits": files_in(models / "traits") if read_traits(models / "traits")[1:] else [],
    }
    check_kinds(parts)
    chosen = {
        "crop": params.preprocess.cutting(),
        "images": params.data.images,
        "index": params.index.model_dump(),
    }
    write_manifest(manifest, chosen | model_facts(regressor, embeddings, half, rest), parts)
    return f"files={sum(map(len, parts.values()))}"


if __name__ == "__main__":
    run_stage(main)
