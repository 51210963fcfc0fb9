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
from facestats.core.tables.steps import Source
from facestats.geometry.columns import measure_table
from facestats.geometry.fitting import fit_geometry
from facestats.geometry.learning import read_rows
from facestats.geometry.shapes import LandmarkTable
from facestats.geometry.writing import write_measured


def main(
    params, crops, irises, faces, labels, splits, attributes, age_check, regressor, geometry, meta
):
    tables.check(attributes, CLEAN)  # before anything is written
    shapes = LandmarkTable(faces)
    ages = Source(age_check, AGE_CHECK)
    rows = read_rows(shapes.rows["filename"], labels, splits, faces, ages)
    fitted = fit_geometry(params.geometry, shapes, crops, rows)
    warn(*fitted.warnings)
    sizes = measure_table(shapes, crops, irises)
    write_measured(fitted, sizes, geometry, attributes, meta)
    fitted.model.save(regressor)
    return fitted.summary()


if __name__ == "__main__":
    run_stage(main)
