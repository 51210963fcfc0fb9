"""Stage `composites_manifest`: which composites and differences belong to one run.

Reads   attributes_final.parquet, data/processed/composites/, models/serving.json
Writes  data/processed/composites.json: the sha256 of their files
Alone   dvc repro -sf composites_manifest
"""

from facestats.run.stage import run_stage

from facestats.core.manifests import write_composites_manifest


def main(params, serving, final, composites, manifest):
    folders = [path for path in composites.iterdir() if path.is_dir()]
    return f"files={write_composites_manifest(manifest, serving, final, folders)}"


if __name__ == "__main__":
    run_stage(main)
