"""Stage `model_card`: what was trained, on whom, how well it does and for whom, in words.

Reads   metrics/ (age_check.json, attractiveness.json, attributes.json, fairness.json, labels.json,
        run.json, train_attractiveness/metrics.json), models/serving.json; the name of the built-in
        sample's folder; params `data.images`
Writes  docs/model_card.md
Alone   dvc repro -sf model_card
"""

from facestats.run.stage import run_stage

from pathlib import Path

from facestats.core.files import write_text
from facestats.report.document import model_card
from facestats.report.material import read_run


def main(params, metrics, manifest, sample, out):
    run = read_run(metrics, manifest, Path(params.data.images), sample)
    card = model_card(run, out.parent)
    write_text(out, card)
    return f"words={len(card.split())}"


if __name__ == "__main__":
    run_stage(main)
