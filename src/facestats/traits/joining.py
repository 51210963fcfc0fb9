"""The scores of all traits as one table, and the models of the further ones as one folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from facestats.core import tables
from facestats.core.tables.steps import Source, in_step
from facestats.labels.traits import read_traits, write_traits
from facestats.scores.tables import SCORES
from facestats.traits.tables import MAIN, OF_ONE, ONE_TRAIT

MODEL_FILES = ("blend.json", "geometry.safetensors", "regressor.pt")
_MAIN = ""  # among the tables that are read in step: that of the main trait, whatever its name


def join_traits(
    scores: Path, folder: Path, main_doubt: str | None = None
) -> tuple[Iterator[pd.DataFrame], dict[str, str]]:
    """Join the scores of all traits, block by block.

    Parameters
    ----------
    scores : Path
        `attractiveness_scores.parquet`, of the main trait.
    folder : Path
        `in_use.json`, and a folder for each further trait.
    main_doubt : str, optional
        What is doubtful about the main holistic score.

    Returns
    -------
    blocks : iterator of DataFrame
        The rows in order, as `tables.TRAIT_SCORES`.
    doubts : dict of str to str
        What is doubtful about a holistic score, by the column of its deciles.
    """
    traits = read_traits(folder)
    main = traits[0] if traits else ""
    doubts = {f"{main}_decile": main_doubt} if main and main_doubt else {}
    sources = {_MAIN: Source(scores, SCORES, [*MAIN.values()] if main else [])}
    for trait in traits[1:]:
        path = folder / trait / ONE_TRAIT.name
        sources[trait] = Source(path, ONE_TRAIT, [*OF_ONE])
        doubts |= tables.read_doubts(path)
    return _joined(main, sources), doubts


def _joined(main: str, sources: Mapping[str, Source]) -> Iterator[pd.DataFrame]:
    for read in in_step(**sources):
        scores = read.pop(_MAIN).rename(columns={old: new for new, old in MAIN.items()})
        table = scores[["filename"]]
        for trait, own in {**({main: scores} if main else {}), **read}.items():
            own["decile"] = own["decile"].astype("float64")  # as pandas has numbers with nulls
            renamed = {name: f"{trait}_{name}" for name in MAIN}
            table = table.merge(own.rename(columns=renamed), on="filename", validate="one_to_one")
        yield table


def copy_models(folder: Path, out: Path) -> int:
    """Copy the models of the further traits, and `in_use.json`; returns the number of files."""
    traits = read_traits(folder)
    write_traits(out, traits)
    for trait in traits[1:]:
        (out / trait).mkdir(parents=True, exist_ok=True)
        for name in (*MODEL_FILES, "training.json"):
            shutil.copyfile(folder / trait / name, out / trait / name)
    return 1 + len(traits[1:]) * (len(MODEL_FILES) + 1)
