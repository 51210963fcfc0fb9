"""The table of all that one can filter by, joined from those of the stages."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from facestats.core.doubts import named_doubts
from facestats.core.stats.identity import numbered_faces
from facestats.core.tables.names import look_up
from facestats.groups.tables import FINAL
from facestats.labels.tables import LABELS

OF_CLUSTERS = ["filename", "cluster", "pc1", "pc2"]


def join_final(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join the tables of a project, one row a face.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        `attributes` (with pose and measurements), `clusters` (`OF_CLUSTERS`), `scores`, `traits`
        and `labels` with all their columns, of all faces or of some; `of_pictures`, as
        `facts_of_pictures` gives them.

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
    for other in (
        tables["clusters"],
        tables["scores"].drop(columns="image"),
        labels[["filename", "rating", "rating_n", *further]],
        traits,
        tables["of_pictures"],
    ):
        table = table.merge(other, on="filename", how="left", validate="one_to_one")
    return table


def facts_of_pictures(
    identities: pd.DataFrame, persons: pd.Series, flags: pd.DataFrame
) -> pd.DataFrame:
    """Whose pictures they are, which are copies, and what is doubtful about them.

    Parameters
    ----------
    identities : DataFrame
        Accepted faces with the columns `identity.IDENTITY`.
    persons : Series of str
        Person by filename, null if unknown.
    flags : DataFrame
        `attributes_flags.parquet`.

    Returns
    -------
    DataFrame
        `filename`, in this order, `copy_group`, `copy_rank`, `person_group` and `doubts`.
    """
    numbers = numbered_faces(identities, persons)
    if not numbers["filename"].equals(identities["filename"].reset_index(drop=True)):
        identities = identities.sort_values("filename")
    facts = identities[["filename", "copy_group", "copy_rank"]].reset_index(drop=True)
    doubts = look_up(facts["filename"], named_doubts(flags))
    return facts.assign(person_group=numbers["person_group"], doubts=doubts)
