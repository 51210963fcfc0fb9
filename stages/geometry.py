"""Stage `geometry`: each face's measurements, and the score learned from its shape and pixels.

Reads   the face crops, models/landmarker/ (the irises), faces.parquet, labels.parquet,
        splits.parquet, attributes_clean.parquet, age_check.parquet (ratings of children are not
        used, and children get no score); params `geometry`
Writes  models/geometry_regressor.safetensors, geometry.parquet, attributes_with_meta.parquet
Alone   dvc repro -sf geometry
"""

from facestats.run.stage import run_stage, warn

from facestats.age.tables import AGE_CHECK
from facestats.attributes.tables import CLEAN
from facestats.core import tables
from facestats.core.stats.identity import training_rows
from facestats.core.tables.names import in_order
from facestats.core.tables.steps import Source, in_step
from facestats.geometry.columns import measure_table
from facestats.geometry.fitting import fit_geometry
from facestats.geometry.shapes import LandmarkTable
from facestats.geometry.tables import GEOMETRY, WITH_META
from facestats.labels.tables import LABELS, SPLITS

POSE = ["yaw", "pitch", "roll"]
PREDICTED = ["geometry_zscore", "geometric_raw", "geometric_out_of_fold"]


def main(
    params, crops, irises, faces, labels, splits, attributes, age_check, regressor, geometry, meta
):
    shapes = LandmarkTable(faces)
    names = shapes.rows.set_index("filename").index
    rows = training_rows(
        tables.read_for(names, labels, LABELS, ["person", "rating"]),
        tables.read_for(names, splits, SPLITS)["split"],
        shapes.rows,
        tables.read(age_check, AGE_CHECK),
    )
    rows["rating"] = rows["rating"].mask(rows["minor"])
    fitted = fit_geometry(params.geometry, shapes, crops, rows)
    warn(*fitted.warnings)
    fitted.model.save(regressor)
    why = {"why": fitted.model.why} if fitted.model.why else None
    scores = fitted.rows.drop(columns=POSE)
    measured = (
        scores.iloc[start : start + len(sizes)].reset_index(drop=True).join(sizes)
        for start, sizes in measure_table(shapes, crops, irises)
    )
    tables.write_blocks(measured, geometry, GEOMETRY, why, in_order(names))
    doubts = tables.doubts_metadata(tables.read_doubts(attributes))
    with tables.writing(meta, WITH_META, doubts) as writer:
        for read in in_step(
            clean=Source(attributes, CLEAN),
            pose=fitted.rows[["filename", *POSE]].sort_values("filename"),
            measured=Source(geometry, GEOMETRY),
        ):
            own = read["pose"].merge(read["measured"].drop(columns=PREDICTED), on="filename")
            writer.write(read["clean"].merge(own, on="filename", how="left"))
    return fitted.summary()


if __name__ == "__main__":
    run_stage(main)
