"""Stage `traits`: the scores of all traits as one table, the models of the further ones.

Reads   data/interim/traits/, attractiveness_scores.parquet (of the main trait)
Writes  data/processed/metadata/trait_scores.parquet, models/traits/
Alone   dvc repro -sf traits
"""

from facestats.run.stage import run_stage

from facestats.core import tables
from facestats.traits.joining import copy_models, join_traits
from facestats.traits.tables import TRAIT_SCORES


def main(_params, traits, scores, table, models):
    main_doubt = tables.read_doubts(scores).get("attractiveness")
    blocks, doubts = join_traits(scores, traits, main_doubt)
    rows, columns = tables.write_blocks(blocks, table, TRAIT_SCORES, tables.doubts_metadata(doubts))
    copied = copy_models(traits, models)
    return f"rows={rows} columns={columns} files={copied}"


if __name__ == "__main__":
    run_stage(main)
