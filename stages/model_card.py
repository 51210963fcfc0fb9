"""Stage `model_card`: what was trained, on whom, how well it does and for whom, in words.

Reads   metrics/ (age_check.json, attractiveness.json, attributes.json, fairness.json, labels.json, train_attractiveness/metrics.json),
        models/serving.json; the name of the built-in sample's folder; params `data.images`
Writes  docs/model_card.md
Alone   dvc repro -sf model_card
"""

from facestats.run.stage import run_stage

import os
from pathlib import Path

from facestats.core.files import read_json, write_text
from facestats.report.model_card import Run, model_card


def main(params, metrics: Path, manifest: Path, sample: Path, out: Path) -> str:
    images = Path(params.data.images)
    names = ("age_check", "attractiveness", "attributes", "fairness", "labels")
    run = Run(
        **{name: read_json(metrics / f"{name}.json") for name in names},
        training=read_json(metrics / "train_attractiveness/metrics.json"),
        serving=read_json(manifest),
        images=images.as_posix(),
        drawn=images.is_relative_to(sample),
    )
    card = model_card(
        run, Path(os.path.relpath(metrics / "plots/error_by_group.png", out.parent)).as_posix()
    )
    write_text(out, card)
    return f"words={len(card.split())}"


if __name__ == "__main__":
    run_stage(main)
