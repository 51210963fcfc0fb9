"""The labels of FairFace, in the order of its models' outputs."""

from __future__ import annotations

import pandas as pd

from facestats.core.stats.groups import BUCKETS

# Kärkkäinen and Joo 2021, WACV; the order is that of predict.py in dchen236/FairFace.
LABELS = {
    "race7": (
        "White",
        "Black",
        "Latino_Hispanic",
        "East Asian",
        "Southeast Asian",
        "Indian",
        "Middle Eastern",
    ),
    "race4": ("White", "Black", "Asian", "Indian"),
    "gender": ("Male", "Female"),
    "age": BUCKETS,
}


def label_structure() -> pd.DataFrame:
    """List the labels as `attributes.tables.FAIRFACE` describes them."""
    return pd.DataFrame(
        [
            (attribute, index, label)
            for attribute, labels in LABELS.items()
            for index, label in enumerate(labels)
        ],
        columns=["attribute", "index", "label"],
    )
