"""Stage `select@<name>`: who is in a composite.

Reads   attributes_final.parquet, faces.parquet, data/processed/preproc/; params `composites.<name>.filter`
Writes  data/interim/members/<name>/ (members.csv, selection.json, scores.json, faces/)
Alone   dvc repro -sf select@women
"""

from facestats.run.stage import StageItem, run_stage, warn

from pathlib import Path

from facestats.core import tables
from facestats.errors import InputError
from facestats.faces.tables import FACES
from facestats.groups.filters import COLUMNS, column_doubts, select_faces
from facestats.groups.means import mean_scores, said
from facestats.groups.members import write_members
from facestats.groups.tables import FINAL


def main(params, name: StageItem, attributes: Path, faces: Path, crops: Path, members: Path) -> str:
    wanted = name.of(params.composites).filter
    conditions = wanted.model_dump(include=set(COLUMNS))
    selection = select_faces(
        tables.read_all(attributes, FINAL),
        conditions,
        wanted.n,
        wanted.seed,
        wanted.min_results,
        wanted.relax,
        wanted.flags,
        wanted.copies,
    )
    doubts = column_doubts(selection.rows, conditions, tables.read_doubts(attributes))
    if not selection.enough:
        message = "; ".join([f"composites.{name} finds too few: {selection}", *doubts])
        if wanted.on_few == "error":
            raise InputError(f"{message}. Widen the filter, lower min_results, or set on_few: skip")
        warn(f"{message}; it is not built")
    elif selection.hints:
        warn(f"composites.{name}: {'; '.join(selection.hints)}")
    for step in selection.relaxed:
        warn(
            f"composites.{name}: {step['condition']} widened from {step['from']} to {step['to'] or 'any'}"
        )
    landmarks = tables.read(
        faces, FACES, ["filename", "landmarks", "yaw"], only=selection.rows["filename"]
    )
    write_members(
        selection,
        name,
        wanted.model_dump(exclude_none=True),
        landmarks,
        crops,
        members / name,
        doubts,
    )
    return f"{name}: {selection}; mean scores: {said(mean_scores(selection.rows))}"


if __name__ == "__main__":
    run_stage(main)
