"""Stage `split`: who trains, who stops the training, who is measured.

Reads   faces.parquet, labels.parquet; params `split`
Writes  data/processed/metadata/splits.parquet
Alone   dvc repro -sf split
"""

from facestats.run.stage import run_stage, warn

from pathlib import Path

from facestats.core import tables
from facestats.core.stats.identity import IDENTITY
from facestats.errors import number_of
from facestats.faces.tables import FACES
from facestats.labels.splits import EXCLUDED, split_faces
from facestats.labels.tables import LABELS, SPLITS


def main(params, faces: Path, labels: Path, splits: Path) -> str:
    accepted = tables.read(faces, FACES, IDENTITY).dropna(subset="filename")
    people = tables.read_all(labels, LABELS).set_index("filename")
    said = [
        name
        for name in people
        if not name.endswith("_source") and name not in ("image", "rating_n", "rating_sd")
    ]
    labelled, options = people[said].notna().any(axis=1), params.split
    table = split_faces(
        accepted, people["person"], labelled, options.val, options.test, options.seed
    )
    tables.write(table, splits, SPLITS)
    counts = " ".join(f"{name}={n}" for name, n in sorted(table["split"].value_counts().items()))
    excluded = table.loc[table["split"] == EXCLUDED, "filename"]
    if len(excluded):
        group = accepted.set_index("filename")["copy_group"]
        same = group.index[group == group[excluded.iloc[0]]]
        names = sorted(set(people["person"].reindex(same).dropna()))
        warn(
            f"{number_of(len(excluded), 'face')} ({labelled.reindex(excluded).sum()} labelled) "
            "left out of val and test: copies of one picture that the labels give to several "
            f"persons, such as {excluded.iloc[0]} ({', '.join(names)}); one person for all of them "
            "puts that right"
        )
    copies = accepted["copy_group"].duplicated(keep=False)
    units = accepted.loc[copies, "copy_group"].nunique()
    return counts + (
        f"\n  {copies.sum()} faces are copies of {number_of(units, 'picture')}; each picture stays "
        "in one split as a whole"
        if units
        else ""
    )


if __name__ == "__main__":
    run_stage(main)
