"""Sections on the faces themselves: by score, left out, by cluster, and those to look at."""

from __future__ import annotations

import pandas as pd

from facestats.core.files import read_json
from facestats.core.layout import REJECTED_INDEX
from facestats.core.stats.scale import DECILE
from facestats.core.stats.verdict import doubts_of_scores
from facestats.core.tables import is_known
from facestats.errors import number_of
from facestats.report.blocks import Block, Figure, Fold, Gallery, Section, Table, first, plot, table
from facestats.report.material import Material
from facestats.report.prose import prose
from facestats.report.section_models import age_notices
from facestats.report.text import as_plain, number, plural

BY_SCORE = 4  # faces of a decile
REASONS = 100  # rows of the table; reasons hold sizes of images, so there may be many
CLUSTERS = 30  # shown; `clusters.k` may be any number
PROPOSED = 40  # shown; what `attributes.propose` is unless it is set
FLAGGED = 60
MOSTLY = 0.8  # share of the known faces of a cluster from which one class is worth a word
FINAL = "_final"  # ends the columns of final values


def faces(material: Material) -> Section:
    """Faces of each decile of the holistic score."""
    final = material.final
    scored = final[final["attractiveness_score"].notna()]
    if "copy_rank" in scored:
        scored = scored[scored["copy_rank"] == 1]
    figures: Block | None = None
    if len(scored) and material.params.report.images:
        figures = Gallery([_scored(row, material) for row in _middle_of_deciles(scored)])
    elif len(scored):
        deciles = scored.groupby(DECILE)["attractiveness_score"]
        rows = [
            [f"{decile:g}", len(group), f"{group.min():.0f} to {group.max():.0f}"]
            for decile, group in deciles
        ]
        figures = table("Faces by decile of the holistic score", ["decile", "faces", "score"], rows)
    blocks = prose(
        "faces",
        figures=figures,
        verdicts=doubts_of_scores(material.run.attractiveness),
        copies="copy_rank" in final,
    )
    return Section("faces", "Faces by score", blocks)


def _middle_of_deciles(scored: pd.DataFrame) -> list:
    """The faces nearest to the middle of their decile, by score."""
    middle = scored.groupby(DECILE)["attractiveness_score"].transform("median")
    near = scored.assign(off=(scored["attractiveness_score"] - middle).abs().round(6))
    near = near.sort_values([DECILE, "off", "filename"])
    shown = near.groupby(DECILE).head(BY_SCORE)
    return list(shown.sort_values(["attractiveness_score", "filename"]).itertuples())


def _scored(row, material: Material) -> Figure:
    caption = f"{row.attractiveness_score:.0f}, decile {row.attractiveness:g}"
    return Figure(material.crops.source(row.filename), f"Face {row.filename}: {caption}", caption)


def photos(material: Material) -> Section:
    """Photos that give no face, and faces that get no score."""
    faces = material.faces
    out = faces[faces["status"] != "ok"]
    counts = (
        out["reason"]
        .value_counts()
        .rename_axis("reason")
        .reset_index(name="photos")
        .sort_values(["photos", "reason"], ascending=[False, True])
    )
    rows = [
        [as_plain(reason), str(n)] for reason, n in counts.head(REASONS).itertuples(index=False)
    ]
    caption = f"{len(out)} of {number_of(len(faces), 'file')} left out, and why"
    index = read_json(material.rejected / REJECTED_INDEX, list) if rows else []
    blocks = prose(
        "photos",
        several_and_copies=_several_and_copies(faces),
        ages=age_notices(material.run.age_check),
        table=table(caption, ["reason", "files"], rows) if rows else "",
        more_reasons=max(0, len(counts) - REASONS),
        photos=Gallery([_rejected(row, material) for row in index]) if index else "",
        more=max(0, len(out) - len(index)),
    )
    return Section("photos", "Who was left out", blocks)


def _several_and_copies(faces: pd.DataFrame) -> str:
    """How many photos show several faces or a picture that is there already; empty if none does."""
    several = int((faces["face_count"] > 1).sum())
    same = int(faces["duplicate_of"].notna().sum())
    near = int(faces["near_duplicate_of"].notna().sum())
    sentences = []
    if several:
        sentences.append(
            f"{number_of(several, 'photo')} {plural(several, 'shows', 'show')} several faces; the "
            "largest was used."
        )
    if same:
        sentences.append(
            f"{number_of(same, 'file')} {plural(same, 'is', 'are')} the same, byte for byte, as "
            "another one."
        )
    if near:
        sentences.append(
            f"{number_of(near, 'photo')} {plural(near, 'is a copy', 'are copies')} of another one: "
            "resized, edited, mirrored, or in another format. All copies of a picture are in one "
            "split, and a composite takes one of them."
        )
    return " ".join(sentences)


def _rejected(row: dict, material: Material) -> Figure:
    caption = as_plain(f"{row['image']}: {row['reason']}")
    if row["picture"] is None:
        return Figure(None, "can't be shown", caption)
    path = material.rejected / row["picture"]
    return Figure(path, f"Photo that was left out: {row['reason']}", caption)


def clusters(material: Material) -> Section:
    """Groups of similar faces."""
    metrics, groups = material.clusters, material.final.groupby("cluster")
    shown, more = first(sorted(groups.groups), CLUSTERS)
    rows = [as_plain(_cluster_row(cluster, groups.get_group(cluster))) for cluster in shown]
    head = ["cluster", "faces", "mean score", "mean rating"]
    head.append(f"at least {number(100 * MOSTLY, 0)} % of them")
    agreement = [
        [as_plain(name), number(result["adjusted_mutual_information"], 2), str(result["n"])]
        for name, result in metrics["attributes"].items()
        if result["adjusted_mutual_information"] is not None
    ]
    caption = (
        "How far clusters agree with attributes: adjusted mutual information, 1 the same, 0 chance"
    )
    measured = table(caption, ["attribute", "agreement", "faces"], agreement)
    examples = [
        (
            f"Cluster {cluster}: {number_of(len(groups.get_group(cluster)), 'face')}",
            Gallery([_face(name, material, captioned=False) for name in names]),
        )
        for cluster in shown
        if material.params.report.images and (names := material.examples.get(cluster))
    ]
    blocks = prose(
        "clusters",
        k=metrics["k"],
        n=metrics["n"],
        plot=plot(
            material.metrics / "plots/clusters.png",
            "Scatter plot of faces by the first two principal components of their embeddings, "
            "coloured by cluster",
        ),
        table=table("Clusters", head, rows),
        examples=examples,
        more=more,
        agreement=Fold("Clusters and attributes", [measured]) if agreement else "",
    )
    return Section("clusters", "Clusters", blocks)


def look(material: Material) -> Section:
    """Faces worth labelling, and flagged ones, without a word about what a model makes of each."""
    proposed, more_proposed = first(material.proposed, PROPOSED)
    flags = material.flags.assign(reason=material.flags["reason"].str.replace("_", " "))
    reasons = flags.groupby("filename", sort=False)["reason"].agg(", ".join)
    flagged, more_flagged = first(list(reasons.items()), FLAGGED)
    counts = flags["reason"].value_counts(sort=False)
    blocks = prose(
        "look",
        proposed=_faces(proposed, material) if proposed else None,
        more_proposed=more_proposed,
        flagged=_faces([name for name, _ in flagged], material, dict(flagged)) if flagged else None,
        n_flagged=len(reasons),
        reasons={name: int(n) for name, n in counts.items()},
        more_flagged=more_flagged,
    )
    return Section("look", "Faces to look at", blocks)


def _faces(
    names: list[str], material: Material, why: dict[str, str] | None = None
) -> Gallery | Table:
    """Thumbnails with names and reasons; without pictures, a table of these."""
    if material.params.report.images:
        return Gallery([_face(name, material, (why or {}).get(name)) for name in names])
    rows = [
        [i, as_plain(name), *([why[name]] if why else [])] for i, name in enumerate(names, start=1)
    ]
    caption = "Flagged faces" if why else "Faces worth labelling"
    return table(caption, ["rank", "face", *(["reason"] if why else [])], rows)


def _face(name: str, material: Material, why: str | None = None, captioned: bool = True) -> Figure:
    caption = f"{as_plain(name)}: {why}" if why else as_plain(name)
    return Figure(material.crops.source(name), f"Face {name}", caption if captioned else "")


def _cluster_row(cluster: int, group: pd.DataFrame) -> list[str]:
    return [
        str(cluster),
        str(len(group)),
        *(_mean(group[column]) for column in ("attractiveness_score", "rating")),
        ", ".join(_mostly(group)),
    ]


def _mean(column: pd.Series) -> str:
    return number(column.mean(), 1) if column.notna().any() else "–"


def _mostly(group: pd.DataFrame) -> list[str]:
    """`glasses with (91 %)`, where nearly all known faces are; rounded down: 100 % are all."""
    classes = []
    for column in group.columns:
        if not column.endswith(FINAL) or pd.api.types.is_numeric_dtype(group[column]):
            continue
        known = group[column][is_known(group[column])]
        shares = known.value_counts(normalize=True)
        if len(shares) and shares.iloc[0] >= MOSTLY:
            name = column.removesuffix(FINAL)
            classes.append(f"{name} {shares.index[0]} ({int(100 * shares.iloc[0])} %)")
    return classes
