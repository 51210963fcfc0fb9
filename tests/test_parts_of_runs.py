"""A run whose tables are in parts gives what one with files gives, stage by stage."""

import warnings
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import facestats
from facestats.core import tables
from facestats.core.layout import EMBEDDINGS, FINAL_TABLE, METADATA
from facestats.core.tables import blocks, embeddings, parts
from facestats.core.tables.blocks import TableWriter
from facestats.core.tables.parts import sha256_table
from facestats.groups.tables import FINAL
from facestats.serving.composites_manifest import CompositesManifest
from facestats.serving.manifest import MixedPartsError
from stages import call_stages, stages_of

# Those that read or write tables of all faces, and train nothing.
STAGES = (
    "labels",
    "split",
    "zeroshot",
    "attributes",
    "age_check",
    "geometry",
    "score",
    "traits",
    "serving",
    "clusters",
    "finalize",
    "select@",
    "evaluate",
    "composites_manifest",
)


@pytest.fixture
def in_parts(project, monkeypatch):
    """The project, whose tables have become parts of 20 rows."""
    monkeypatch.setattr(parts, "PART_ROWS", 20)
    monkeypatch.setattr(blocks, "BLOCK", 7)
    monkeypatch.setattr(embeddings, "BATCH", 16)
    for path in _tables(project.folder):
        table = pq.read_table(path)
        with TableWriter(path) as writer:
            writer.write(table)
    assert (project.folder / EMBEDDINGS).is_dir()
    return project


def _tables(folder: Path) -> list[Path]:
    found = {folder / EMBEDDINGS, *(folder / METADATA).glob("*.parquet")}
    return sorted(path for path in found if path.name != "rater_groups.parquet")


@pytest.mark.thorough
def test_every_stage_gives_the_tables_that_it_gives_of_files(in_parts, built):
    names = [name for name in stages_of(in_parts) if name.startswith(STAGES)]
    assert {name.partition("@")[0] for name in names} == {one.strip("@") for one in STAGES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call_stages(in_parts, *names)
    for path in _tables(in_parts.folder):
        before = built.folder / path.relative_to(in_parts.folder)
        pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(before))
        if path.name != FINAL_TABLE.name:  # it has the hash of the flags, which are parts here
            assert tables.file_metadata(path) == tables.file_metadata(before)
    for folder in ("metrics", "models", "data/interim/members"):
        for path in sorted((built.folder / folder).rglob("*.json")):
            # hashes of tables; means of scores, whose last digits batches move
            if path.name not in ("serving.json", "run.json", "scores.json"):
                now = in_parts.folder / path.relative_to(built.folder)
                assert now.read_text() == path.read_text(), path
    _serves(in_parts)


def _serves(project) -> None:
    """The library finds the faces of a run in parts, and refuses a part of another run."""
    models = facestats.load(project.folder)
    manifest = CompositesManifest.read(models)
    manifest.check_final()
    final = project.folder / FINAL_TABLE
    table = tables.read_all(final, FINAL)
    assert models.parts.get("embeddings") is not None
    assert models.parts.get("faces").index.tolist() == table["filename"].tolist()
    before = sha256_table(final)
    tables.write(table.assign(cluster=0), final, FINAL)
    assert sha256_table(final) != before
    with pytest.raises(MixedPartsError, match=r"part-00000\.parquet is not the one"):
        manifest.check_final()
