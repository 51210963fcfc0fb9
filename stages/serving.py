"""Stage `serving`: what a photo needs, and which model files belong together; it runs last.

Reads   models/landmarker/, models/clip/, attractiveness_regressor.pt, blend.json, attributes.json,
        geometry_regressor.safetensors, models/attributes/, zeroshot.npz, embeddings_clip.parquet,
        faces.parquet, models/age_check.json, age_check.parquet; params `preprocess`, `data.images`
Writes  models/serving.json: the crop, the CLIP variant, whether a regressor was trained, and the
        sha256 of every file above
Alone   dvc repro -sf serving
"""

from facestats.run.stage import run_stage

from facestats.attributes.model import model_path
from facestats.serving.checks import read_facts
from facestats.serving.manifest import check_kinds, files_in, model_facts, write_manifest


def main(
    params,
    landmarker,
    clip,
    regressor,
    geometry,
    blend,
    attributes,
    classifiers,
    prompts,
    embeddings,
    faces,
    age_model,
    age_check,
    manifest,
):
    targets = read_facts(attributes, "targets")["targets"]
    parts = {
        "landmarker": files_in(landmarker),
        "clip": files_in(clip),
        "regressor": [regressor],
        "geometry": [geometry],
        "blend": [blend],
        "attributes": [attributes],
        "classifiers": [model_path(classifiers, target) for target in targets],
        "zeroshot": [prompts],
        "embeddings": [embeddings],
        "faces": [faces],
        "age_check": [age_model],
        "ages": [age_check],
    }
    check_kinds(parts)
    crop = {"crop": params.preprocess.model_dump(), "images": params.data.images}
    write_manifest(manifest, crop | model_facts(regressor, embeddings), parts)
    return f"files={sum(map(len, parts.values()))}"


if __name__ == "__main__":
    run_stage(main)
