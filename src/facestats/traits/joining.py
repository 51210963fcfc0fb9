"""The scores of all traits as one table, and the models of the further ones as one folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from facestats.core import tables
from facestats.labels.traits import read_traits, write_traits
from facestats.traits.tables import MAIN, ONE_TRAIT

MODEL_FILES = ("blend.json", "geometry.safetensors", "regressor.pt")


def join_traits(
    scores: pd.DataFrame, folder: Path, main_doubt: str | None = None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Join the scores of all traits.

    Parameters
    ----------
    scores : DataFrame
        `attractiveness_scores.parquet`, of the main trait.
    folder : Path
        `in_use.json`, and a folder for each further trait.
    main_doubt : str, optional
        What is doubtful about the main holistic score.

    Returns
    -------
    table : DataFrame
        As `tables.TRAIT_SCORES`.
    doubts : dict of str to str
        What is doubtful about a holistic score, by the column of its deciles.
    """
    table, doubts = scores[["filename"]], {}
    for place, trait in enumerate(read_traits(folder)):
        if place:
            path = folder / trait / ONE_TRAIT.name
            own = tables.read(path, ONE_TRAIT)
            doubts |= tables.read_doubts(path)
        else:
            own = scores.rename(columns={main: name for name, main in MAIN.items()})
            own = own[[*ONE_TRAIT.fields]].copy()
            doubts |= {f"{trait}_decile": main_doubt} if main_doubt else {}
        own["decile"] = own["decile"].astype("float64")  # as pandas has numbers with nulls
        renamed = {name: f"{trait}_{name}" for name in MAIN}
        table = table.merge(own.rename(columns=renamed), on="filename", validate="one_to_one")
    return table, doubts


def copy_models(folder: Path, out: Path) -> int:
    """Copy the models of the further traits, and `in_use.json`; returns the number of files."""
    traits = read_traits(folder)
    write_traits(out, traits)
    for trait in traits[1:]:
        (out / trait).mkdir(parents=True, exist_ok=True)
        for name in (*MODEL_FILES, "training.json"):
            shutil.copyfile(folder / trait / name, out / trait / name)
    return 1 + len(traits[1:]) * (len(MODEL_FILES) + 1)
