"""The report's sections on clusters and on faces that somebody should look at."""

from __future__ import annotations

import pandas as pd

from facestats.core.tables import UNKNOWN
from facestats.errors import number_of
from facestats.report.album import Album
from facestats.report.blocks import Block, Gallery, Heading, Picture, Rows, Section, Text, first
from facestats.report.card_figures import as_plain, counted, number
from facestats.report.material import Material

CLUSTERS = 30  # shown; `clusters.k` may be any number
PROPOSED = 40  # shown; what `attributes.propose` is unless it is set
FLAGGED = 60
MOSTLY = 0.8  # share of the known faces of a cluster from which one class is worth a word
FINAL = "_final"


def clusters(material: Material, album: Album) -> Section:
    metrics = material.clusters
    blocks: list[Block] = [
        Text(
            f"Groups of alike faces, by k-means on the embeddings: {metrics['k']} clusters of {metrics['n']} faces. Alike is what the model finds alike, "
            "light and pose included; a cluster is no kind of people."
        ),
        album.plot(
            material.metrics / "plots/clusters.png",
            "Scatter plot of faces by the first two principal components of their embeddings, coloured by cluster",
        ),
    ]
    groups = material.final.groupby("cluster")
    shown, more = first(sorted(groups.groups), CLUSTERS)
    rows = [as_plain(_row(cluster, groups.get_group(cluster))) for cluster in shown]
    blocks.append(
        Rows(
            "Clusters",
            [
                "cluster",
                "faces",
                "mean score",
                "mean rating",
                f"at least {number(100 * MOSTLY, 0)} % of them",
            ],
            rows,
        )
    )
    if album.faces:
        for cluster in shown:
            if names := material.examples.get(cluster):
                blocks += [
                    Heading(
                        f"Cluster {cluster}: {number_of(len(groups.get_group(cluster)), 'face')}"
                    ),
                    Gallery([_face(name, material, album, captioned=False) for name in names]),
                ]
    if more:
        blocks.append(Text(f"And {more} more clusters; `attributes_final.parquet` has all."))
    agreement = [
        [as_plain(name), number(found["adjusted_mutual_information"], 2), str(found["n"])]
        for name, found in metrics["attributes"].items()
        if found["adjusted_mutual_information"] is not None
    ]
    if agreement:
        blocks.append(
            Rows(
                "How far clusters agree with attributes: adjusted mutual information, 1 the same, 0 chance",
                ["attribute", "agreement", "faces"],
                agreement,
            )
        )
    return Section("clusters", "Clusters", blocks)


def to_look_at(material: Material, album: Album) -> Section:
    """Faces worth labelling, and flagged ones, without a word about what a model makes of each."""
    blocks: list[Block] = [Heading("Worth labelling next")]
    shown, more = first(material.proposed, PROPOSED)
    if shown:
        blocks += [
            Text(
                "The faces whose labels would teach the models most, the best first: `python -m facestats labels template -o to_label.csv`."
            ),
            _faces(shown, material, album),
        ]
    else:
        blocks.append(
            Text("None is proposed: only faces without a label of gender, ethnicity or age are.")
        )
    if more:
        blocks.append(Text(f"And {more} more in `labels_template.csv`."))
    blocks.append(Heading("Flagged"))
    flags = material.flags.assign(reason=material.flags["reason"].str.replace("_", " "))
    reasons = flags.groupby("filename", sort=False)["reason"].agg(", ".join)
    if reasons.empty:
        return Section("look", "Faces to look at", [*blocks, Text("None is flagged.")])
    counts = flags["reason"].value_counts(sort=False)
    blocks.append(
        Text(
            f"{len(reasons)} faces, the most serious reason first: {counted({name: int(n) for name, n in counts.items()})}. `attributes_flags.parquet` has all, with the numbers."
        )
    )
    shown, more = first(list(reasons.items()), FLAGGED)
    blocks.append(_faces([name for name, _ in shown], material, album, dict(shown)))
    if more:
        blocks.append(Text(f"And {more} more."))
    return Section("look", "Faces to look at", blocks)


def _faces(
    names: list[str], material: Material, album: Album, why: dict[str, str] | None = None
) -> Block:
    """Thumbnails with names and reasons; without pictures, a table of these."""
    if album.faces:
        return Gallery([_face(name, material, album, (why or {}).get(name)) for name in names])
    return Rows(
        "Flagged faces" if why else "Faces worth labelling",
        ["rank", "face", *(["reason"] if why else [])],
        [
            [str(i), as_plain(name), *([why[name]] if why else [])]
            for i, name in enumerate(names, 1)
        ],
    )


def _face(
    name: str, material: Material, album: Album, why: str | None = None, captioned: bool = True
) -> Picture:
    caption = f"{as_plain(name)}: {why}" if why else as_plain(name)
    return album.thumbnail(material.crops / name, f"Face {name}", caption if captioned else "")


def _row(cluster: int, group: pd.DataFrame) -> list[str]:
    return [
        str(cluster),
        str(len(group)),
        *(_mean(group[column]) for column in ("attractiveness_score", "rating")),
        ", ".join(_mostly(group)),
    ]


def _mean(column: pd.Series) -> str:
    return number(column.mean(), 1) if column.notna().any() else "–"


def _mostly(group: pd.DataFrame) -> list[str]:
    """`glasses with (91 %)`, where nearly all that is known says so; rounded down, so that 100 % are all."""
    said = []
    for column in group.columns:
        if not column.endswith(FINAL) or pd.api.types.is_numeric_dtype(group[column]):
            continue
        known = group[column][group[column].notna() & (group[column] != UNKNOWN)]
        shares = known.value_counts(normalize=True)
        if len(shares) and shares.iloc[0] >= MOSTLY:
            said.append(
                f"{column.removesuffix(FINAL)} {shares.index[0]} ({int(100 * shares.iloc[0])} %)"
            )
    return said
