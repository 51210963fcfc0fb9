"""Stage `zeroshot`: probabilities of classes that are described in words, for every face.

Reads   embeddings_clip.parquet, models/clip/; params `zeroshot`
Writes  data/processed/metadata/zeroshot.parquet,
        models/zeroshot.npz (the classes as embeddings, for single photos)
Alone   dvc repro -sf zeroshot
"""

from facestats.run.stage import run_stage, warn

from facestats.core import tables
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.prompts.tables import ZEROSHOT
from facestats.prompts.zeroshot import embed_classes, probability_table, save_classifiers


def main(params, embeddings, clip, zeroshot, prompts):
    vectors = EmbeddingTable(embeddings)
    weights = vectors.metadata["weights_sha256"]
    classifiers = {}
    if params.zeroshot:
        # Imported here, since it takes seconds, which projects without prompts need not wait for.
        from facestats.prompts.text import TextEncoder

        classifiers = embed_classes(TextEncoder(clip, weights), params.zeroshot)
    for attribute, classifier in classifiers.items():
        for one, other in classifier.alike():
            warn(
                f"zeroshot.{attribute}: the text tower can't tell {one} and {other} apart; word "
                "them otherwise"
            )
    save_classifiers(prompts, classifiers, weights)
    tables.write(probability_table(vectors.names, vectors, classifiers), zeroshot, ZEROSHOT)
    classes = sum(len(classifier.classes) for classifier in classifiers.values())
    return f"faces={len(vectors)} attributes={len(classifiers)} classes={classes}"


if __name__ == "__main__":
    run_stage(main)
