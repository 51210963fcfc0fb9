"""All datasets that can be imported, by name."""

from __future__ import annotations

from facestats.importers import ages, cfd, ffhq, identities, own, rated, studies, us_adults
from facestats.importers.content import Dataset
from facestats.importers.omi import OMI

KNOWN: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        OMI,
        *ages.DATASETS,
        *rated.DATASETS,
        *us_adults.DATASETS,
        *cfd.DATASETS,
        *studies.DATASETS,
        *identities.DATASETS,
        *ffhq.DATASETS,
    )
}
DATASETS: dict[str, Dataset] = {
    **KNOWN,
    **{dataset.name: dataset for dataset in own.DATASETS},
}


def overview() -> str:
    """One line a dataset: its name, number of faces, labels and licence."""
    rows = [("name", "faces", "labels", "licence")]
    rows += [(d.name, d.faces, d.labels, d.licence) for d in DATASETS.values()]
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:3], wide, strict=True)]
        lines.append("  ".join([*cells, row[3]]))
    return "\n".join(lines)
