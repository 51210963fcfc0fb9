"""Stage `select@<name>`: who is in a composite.

Reads   attributes_final.parquet, faces.parquet, data/processed/preproc/; params
        `composites.<name>.filter`
Writes  data/interim/members/<name>/ (members.csv, selection.json, scores.json, faces/)
Alone   dvc repro -sf select@women
"""

from facestats.run.stage import StageItem, run_stage, warn

from facestats.core import tables
from facestats.faces.tables import FACES
from facestats.groups.conditions import COLUMNS
from facestats.groups.filters import column_doubts, filter_table, warnings_of
from facestats.groups.members import mean_scores, scores_text, write_members


def main(params, name: StageItem, attributes, faces, crops, members):
    options = name.of(params.composites).filter
    selection = filter_table(attributes, options)
    conditions = options.model_dump(include=set(COLUMNS))
    doubts = column_doubts(selection.rows, conditions, tables.read_doubts(attributes))
    warn(*warnings_of(selection, f"composites.{name}", doubts, options.on_few))
    columns = ["filename", "landmarks", "yaw"] + (["sha256"] if options.originals else [])
    landmarks = tables.read(faces, FACES, columns, only=selection.rows["filename"])
    write_members(selection, name, options.used(), landmarks, crops, members / name, doubts)
    return f"{name}: {selection}; mean scores: {scores_text(mean_scores(selection.rows))}"


if __name__ == "__main__":
    run_stage(main, guarded=False)
