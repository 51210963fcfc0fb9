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
from facestats.geometry.columns import measure_table
from facestats.geometry.fitting import fit_geometry
from facestats.geometry.shapes import LandmarkTable
from facestats.geometry.tables import GEOMETRY, WITH_META
from facestats.labels.tables import LABELS, SPLITS

PREDICTED = ["geometry_zscore", "geometric_raw", "geometric_out_of_fold"]


def main(
    params, crops, irises, faces, labels, splits, attributes, age_check, regressor, geometry, meta
):
    shapes, clean = LandmarkTable(faces), tables.read_all(attributes, CLEAN)
    names = shapes.rows.set_index("filename").index
    rows = training_rows(
        tables.read_for(names, labels, LABELS, ["person", "rating"]),
        tables.read_for(names, splits, SPLITS)["split"],
        shapes.rows,
        tables.read(age_check, AGE_CHECK),
    )
    rows["rating"] = rows["rating"].mask(rows["minor"])
    sizes = measure_table(shapes, crops, irises)
    fitted = fit_geometry(params.geometry, shapes, crops, rows)
    warn(*fitted.warnings)
    fitted.model.save(regressor)
    measured = fitted.rows.join(sizes)
    joined = clean.merge(measured.drop(columns=PREDICTED), on="filename", how="left")
    tables.write(joined, meta, WITH_META, tables.doubts_metadata(tables.read_doubts(attributes)))
    why = {"why": fitted.model.why} if fitted.model.why else None
    tables.write(measured.drop(columns=["yaw", "pitch", "roll"]), geometry, GEOMETRY, why)
    return fitted.summary()


if __name__ == "__main__":
    run_stage(main)
