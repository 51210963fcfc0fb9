"""The table of all that one can filter by, joined from those of the stages."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from facestats.core.doubts import named_doubts
from facestats.core.stats.identity import same_faces
from facestats.groups.tables import FINAL
from facestats.labels.tables import LABELS

OF_CLUSTERS = ["filename", "cluster", "pc1", "pc2"]


def join_final(tables: Mapping[str, pd.DataFrame], identities: pd.DataFrame) -> pd.DataFrame:
    """Join the tables of a project, one row a face.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        `attributes` (with pose and measurements), `clusters` (`OF_CLUSTERS`), `scores`, `traits`,
        `labels` and `flags`, with all their columns.
    identities : DataFrame
        Accepted faces with the columns `identity.IDENTITY`.

    Returns
    -------
    DataFrame
        As `groups.tables.FINAL`. Columns of labels that no attribute answers follow.
    """
    table, labels, traits = tables["attributes"], tables["labels"], tables["traits"]
    taken = {*LABELS.fields, *FINAL.fields, *table, *traits}
    further = [
        name
        for name in map(str, labels)
        if not name.endswith("_source") and not {name, f"{name}_final"} & taken
    ]
    groups = same_faces(identities, labels.set_index("filename")["person"])
    for other in (
        tables["clusters"],
        tables["scores"].drop(columns="image"),
        labels[["filename", "rating", "rating_n", *further]],
        traits,
        identities.drop(columns="sha256"),
    ):
        table = table.merge(other, on="filename", how="left", validate="one_to_one")
    table["person_group"] = table["filename"].map(pd.Series(pd.factorize(groups)[0], groups.index))
    table["doubts"] = table["filename"].map(named_doubts(tables["flags"]))
    return table
