"""Stage `labels`: all label files checked and joined, one row a face; odd raters and reliability.

Reads   faces.parquet, the label folder (`data.labels`: labels and ratings, as .csv or .xlsx,
        dataset.json), labels and ratings by hand (`data.manual_labels`, `data.manual_ratings`);
        params `labels`, `score.traits`
Writes  labels.parquet, rater_groups.parquet, metrics/labels.json, data/interim/traits/in_use.json
Alone   dvc repro -sf labels
"""

from facestats.run.stage import run_stage, warn

from pathlib import Path

from facestats.core import tables
from facestats.core.files import write_metrics
from facestats.core.stats.identity import IDENTITY, shared_faces
from facestats.faces.tables import FACES
from facestats.labels.joining import join_labels
from facestats.labels.rater_groups import add_groups, group_means
from facestats.labels.reliability import measure_agreement
from facestats.labels.tables import LABELS, RATER_GROUPS
from facestats.labels.traits import write_traits


def main(params, faces, labels, rater_groups, metrics, traits):
    photos = tables.read(faces, FACES, ["image", *IDENTITY])
    joined = join_labels(
        photos[["image", "filename"]],
        Path(params.data.labels),
        Path(params.data.manual_labels),
        params.labels.rating_scale,
        params.labels.drop_raters,
        params.labels.raters,
        params.labels.level,
        params.score.traits,
        Path(params.data.manual_ratings),
    )
    write_traits(traits, params.score.traits)
    warn(*joined.warnings)
    tables.write(joined.table, labels, LABELS, joined.metadata())
    judged = joined.judgements, joined.traits
    tables.write(group_means(*judged, joined.groups), rater_groups, RATER_GROUPS)
    person = shared_faces(photos.dropna(subset="filename"), joined.persons)
    agreement = add_groups(measure_agreement(*judged, person), *judged, joined.groups, person)
    write_metrics(metrics, joined.metrics(agreement))
    return joined.report()


if __name__ == "__main__":
    run_stage(main)
