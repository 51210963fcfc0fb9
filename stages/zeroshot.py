"""Stage `zeroshot`: what the text side of CLIP says about every face, for any attribute that can be said in words.

Reads   embeddings_clip.parquet, models/clip/; params `zeroshot`
Writes  data/processed/metadata/zeroshot.parquet, models/zeroshot.npz (the classes as embeddings, for single photos)
Alone   python stages/zeroshot.py data/processed/embeddings/embeddings_clip.parquet models/clip \\
            data/processed/metadata/zeroshot.parquet models/zeroshot.npz
"""

from facestats.run.stage import run_stage, warn

from pathlib import Path

from facestats.core import tables
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.prompts.zeroshot import embed_classes, probability_table, save_classifiers


def main(params, embeddings: Path, model: Path, out: Path, classes: Path) -> str:
    vectors = EmbeddingTable(embeddings)
    weights = vectors.metadata["weights_sha256"]
    classifiers = {}
    if params.zeroshot:
        # here, for it takes seconds to import, which nobody without prompts should wait for
        from facestats.prompts.text import TextEncoder

        classifiers = embed_classes(TextEncoder(model, weights), params.zeroshot)
    for attribute, classifier in classifiers.items():
        for one, other in classifier.alike():
            warn(f"zeroshot.{attribute}: the text tower can't tell {one} and {other} apart; word them otherwise")
    save_classifiers(classes, classifiers, weights)
    tables.write(probability_table(vectors.names, vectors, classifiers), out, tables.ZEROSHOT)
    return f"faces={len(vectors)} attributes={len(classifiers)} classes={sum(len(c.classes) for c in classifiers.values())}"


if __name__ == "__main__":
    run_stage(main)
