"""Stage `labels`: all label files checked and joined, one row a face; odd raters and reliability.

Reads   faces.parquet, the label folder (`data.labels`: labels and ratings, as .csv or .xlsx),
        the manual labels (`data.manual_labels`); params `labels`
Writes  data/processed/metadata/labels.parquet, metrics/labels.json
Alone   dvc repro -sf labels
"""

from facestats.run.stage import run_stage, warn

from pathlib import Path

from facestats.core import tables
from facestats.core.files import write_metrics
from facestats.core.stats.identity import IDENTITY, same_faces, several_faces
from facestats.faces.tables import FACES
from facestats.labels.joining import join_labels
from facestats.labels.reliability import measure_reliability
from facestats.labels.tables import LABELS


def main(params, faces: Path, labels: Path, metrics: Path) -> str:
    found = tables.read(faces, FACES, ["image", *IDENTITY])
    joined = join_labels(
        found[["image", "filename"]],
        Path(params.data.labels),
        Path(params.data.manual_labels),
        params.labels.rating_scale,
        params.labels.drop_raters,
    )
    for message in joined.warnings:
        warn(message)
    low, high = map(str, joined.scale or ("", ""))
    scale = {"rating_low": low, "rating_high": high} if joined.scale else {}
    tables.write(joined.table, labels, LABELS, scale)
    groups = same_faces(
        found.dropna(subset="filename"), joined.table.set_index("filename")["person"]
    )
    reliability = measure_reliability(joined.judgements, several_faces(groups))
    write_metrics(metrics, joined.summary | {"reliability": reliability})
    labelled = joined.summary["labelled"]
    left_out = "".join(
        f"\n  rater {name} is left out: {why}"
        for name, why in joined.summary["raters"]["dropped"].items()
    )
    notes = "".join(f"\n  {note}" for note in joined.notes)
    return (
        f"faces={len(joined.table)} "
        + " ".join(f"{name}={n}" for name, n in labelled.items())
        + notes
        + left_out
    )


if __name__ == "__main__":
    run_stage(main)
