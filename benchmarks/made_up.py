"""Made-up inputs of any size for `benchmarks.growth`, in place of those of `embed` and people.

    python -m benchmarks.made_up project 10000 FOLDER
    python -m benchmarks.made_up members 2500 FOLDER
    python -m benchmarks.made_up placeholders NAME FOLDER

`project` writes labels, faces.parquet, embeddings and a CLIP variant; `members` the members' folder
of a composite, with drawn faces; `placeholders` one byte for each face that `select` will choose.

Embeddings have 512 dimensions and unit norm. Six latent numbers a face move them: two say gender
and ethnicity, one age, one the rating, two nothing; the rest is noise. So attributes and ratings
are learnable, and no two faces are alike. The same six numbers bend an even pattern of landmarks
inside the outline of a face.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from facestats.clip.tables import embeddings_schema
from facestats.composites.contours import FACE_OVAL
from facestats.core import tables
from facestats.core.files import write_json
from facestats.core.landmarks import LEFT, MIDLINE, MIRROR, N_LANDMARKS, RIGHT
from facestats.core.layout import CROPS, CROSSVALIDATED, EMBEDDINGS, LANDMARKER, METADATA
from facestats.core.tables.parquet import group_rows
from facestats.faces.models import MESH_FILE
from facestats.faces.tables import FACES
from facestats.groups.conditions import COLUMNS
from facestats.groups.filters import select_faces
from facestats.groups.tables import FINAL, MEMBER_LANDMARKS
from facestats.params.project import load_params

DIMENSION = 512
MOST_LABELLED = 100_000  # nobody labels a million faces
MOST_SHAPED = 1_000_000  # faces with landmarks of their own: 5.6 GB
FEWER_SHAPED = 100_000  # where there are more faces
REPEATED = 64
EMPTY = 0.2  # share of the labels' cells
BLOCK = 8192  # rows that are drawn at a time; a face is the same whatever the number of faces
LATENT, NOISE = 6, 1.0
CHIN = 152  # a landmark
ETHNICITIES = np.array(["a", "b", "c", "d"])
# Forehead to chin, the person's right.
OUTLINE = FACE_OVAL[np.flatnonzero(FACE_OVAL == CHIN)[0] + 1 :][::-1].tolist()
DRAWN = 20  # faces behind the members of a composite, each under many names


def make_project(n: int, folder: Path) -> None:
    """All that the stages after `embed` read, below `folder`."""
    facts = {
        "variant": "made up",
        "revision": "",
        "weights_sha256": _write_clip(folder),
        "precision": "float32",
        "dimension": str(DIMENSION),
    }
    landmarker = folder / LANDMARKER / MESH_FILE  # `geometry` asks for it, and does not read it
    landmarker.parent.mkdir(parents=True)
    landmarker.touch()
    write_json(folder / CROSSVALIDATED, {"rating": {}})  # `score` judges by the test faces
    latent = np.empty((n, LATENT))
    with tables.writing(folder / EMBEDDINGS, embeddings_schema(DIMENSION), facts) as writer:
        for start, (z, x) in zip(range(0, n, BLOCK), _blocks(n), strict=True):
            latent[start : start + len(z)] = z
            names = face_names(np.arange(start, start + len(z)))
            writer.write(pd.DataFrame({"filename": names, "key": "made up"}), {"embedding": x})
    _write_labels(latent, folder / "data/labels/labels.csv")
    _write_faces(latent, folder / METADATA / FACES.name)


def face_names(numbers: np.ndarray) -> np.ndarray:
    """Names in folders of 1,000, sorted as the numbers of the faces are."""
    rows = pd.Series(numbers).astype("str").str.zfill(7)
    return (rows.str[:4] + "/" + rows + ".jpg").to_numpy(dtype=object)


def _blocks(n: int):
    """Latent numbers (rows, 6) and embeddings (rows, 512) of `n` faces, block by block."""
    rng = np.random.default_rng(0)
    centre, directions = 3 * rng.normal(size=DIMENSION), rng.normal(size=(LATENT, DIMENSION))
    for start in range(0, n, BLOCK):
        rng = np.random.default_rng([1, start])
        z = rng.normal(size=(BLOCK, LATENT))[: n - start]
        x = centre + z @ directions + NOISE * rng.normal(size=(BLOCK, DIMENSION))[: n - start]
        yield z, (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def _write_labels(z: np.ndarray, path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = np.unique(np.linspace(0, len(z) - 1, min(len(z), MOST_LABELLED)).astype(int))
    doubt = rng.normal(0, 0.3, (len(rows), 4))
    path.parent.mkdir(parents=True)
    table = pd.DataFrame(
        {
            "gender": np.where(z[rows, 0] + doubt[:, 0] > 0, "female", "male"),
            "ethnicity": ETHNICITIES[np.digitize(z[rows, 1] + doubt[:, 1], [-0.7, 0, 0.7])],
            "age": np.clip(40 + 15 * (z[rows, 2] + doubt[:, 2]), 1, 99).round(1),
            "rating": np.clip(4 + 1.2 * (z[rows, 3] + doubt[:, 3]), 1, 7).round(2),
            "person": rows // 2,
        }
    )
    table = table.mask(rng.random(table.shape) < EMPTY)
    table.insert(0, "image", face_names(rows))
    table.to_csv(path, index=False)


def shapes(latent: np.ndarray) -> np.ndarray:
    """Landmarks float32 (n, 468 · 3), as shares of the crop's side, of latent numbers (n, 6)."""
    inside = np.setdiff1d(RIGHT, OUTLINE)
    shape = np.zeros((N_LANDMARKS, 2))  # from the middle of the face; its outline has radius 1
    shape[MIDLINE, 1] = np.linspace(-1, 1, len(MIDLINE))
    shape[[10, MIDLINE[0], 152, MIDLINE[-1]], 1] = shape[[MIDLINE[0], 10, MIDLINE[-1], 152], 1]
    angle = np.pi * np.arange(1, len(OUTLINE) + 1) / (len(OUTLINE) + 1)
    shape[OUTLINE] = -np.column_stack([np.sin(angle), np.cos(angle)])
    # Two irrational steps fill the half of a disc evenly (the R2 sequence).
    across, along = np.modf(
        np.arange(1, len(inside) + 1)[:, None] * [0.7548776662466927, 0.5698402909980532]
    )[0].T
    radius, angle = 0.92 * np.sqrt(across), np.pi * (0.05 + 0.9 * along)
    shape[inside] = -np.column_stack([radius * np.sin(angle), radius * np.cos(angle)])
    shape[LEFT] = shape[MIRROR[LEFT]] * (-1, 1)
    x, y = shape.T
    depth, still = -0.5 * np.maximum(1 - x**2 - y**2, 0), np.zeros_like(x)
    bends = 0.05 * np.array(
        [
            (x, still, still),
            (still, y, still),
            (still, y**2, still),
            (x * y, still, still),
            (x * y**2, still, still),
            (still, still, depth),
        ]
    )  # wider, longer, lower, …: none folds a face over
    noise = np.random.default_rng(3).normal(0, 0.003, (97, shape.size + len(shape)))
    bent = (
        np.array([x, y, depth]).T.ravel()
        + latent @ bends.transpose(0, 2, 1).reshape(LATENT, -1)
        + noise[np.arange(len(latent)) % 97]
    )
    return (
        bent * np.tile([0.3, 0.4, 0.35], len(shape)) + np.tile([0.5, 0.5, 0], len(shape))
    ).astype(np.float32)


def _write_faces(latent: np.ndarray, path: Path) -> None:
    """`faces.parquet`, written group by group, for the landmarks of a million faces are 5.6 GB.

    Of more faces, those after the first `FEWER_SHAPED` have the landmarks of `REPEATED` of them in
    turn, which take hardly any room once they are compressed.
    """
    rows, count = group_rows(pa.schema(FACES.columns)), len(latent)
    own = count if count <= MOST_SHAPED else FEWER_SHAPED
    repeated = shapes(latent[:REPEATED])
    with tables.writing(path, FACES) as writer:
        for start in range(0, count, rows):
            place = np.arange(start, min(start + rows, count))
            n, rng = len(place), np.random.default_rng([4, start])
            some = face_names(place)
            copies = rng.random(n) < 0.01
            before = face_names(np.maximum(place - 1, 0))
            number = {
                name: rng.normal(0, 10, n).astype(np.float32) for name in ("yaw", "pitch", "roll")
            }
            columns = {
                "image": some,
                "filename": some,
                "sha256": pd.Series(place).astype("str").str.zfill(64),
                "status": "ok",
                "reason": None,
                "width": 1024,
                "height": 1024,
                "face_count": 1,
                "confidence": 0.9,
                **number,
                "sharpness": rng.gamma(4, 50, n),
                "brightness": rng.beta(5, 5, n),
                "duplicate_of": None,
                "near_duplicate_of": np.where(copies & (place > 0), before, None),
                "copy_group": np.where(copies & (place > 0), before, some),
                "copy_rank": np.where(copies & (place > 0), 2, 1),
                "key": "made up",
            }
            vectors = {
                "box": np.zeros((n, 4), np.float32),
                "landmarks": np.concatenate(
                    [
                        shapes(latent[start : min(start + n, own)]),
                        repeated[place[place >= own] % REPEATED],
                    ]
                ),
            }
            others = [name for name in FACES.columns if name not in vectors]
            frame = pd.DataFrame(columns, index=range(n)).reindex(columns=others)
            writer.write(frame, vectors)


def _write_clip(folder: Path) -> str:
    """Write a CLIP variant with random weights and 512 dimensions; return its hash."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    from facestats.checkpoints.variants import fetch_clip
    from facestats.core.layout import TINY

    tiny, source = TINY, folder / "clip_source"
    shutil.copytree(tiny, source)
    config = CLIPConfig.from_pretrained(tiny)
    config.projection_dim = config.text_config.projection_dim = (
        config.vision_config.projection_dim
    ) = DIMENSION
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(source)
    return fetch_clip(str(source), None, folder / "models/clip")["sha256"]


def make_members(n: int, folder: Path) -> None:
    """Write a composite's `members.csv`, `selection.json` and `faces/` as `select` does.

    The crops are drawn, 512 px, the landmarks random.
    """
    from facestats.sample import write_sample

    write_sample(folder / "drawn", n=DRAWN, size=512, seed=0, progress=False)
    drawn = sorted((folder / "drawn/images").glob("face_*.jpg"))[:DRAWN]
    names = face_names(np.arange(n))
    for i, name in enumerate(names):
        target = folder / "faces" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(drawn[i % len(drawn)])
    members = pd.DataFrame({"filename": names, "rating": 4.0, "person": range(n)})
    members.to_csv(folder / "members.csv", index=False)
    write_json(
        folder / "selection.json",
        {
            "filter": {},
            "built": True,
            "n": n,
            "found": n,
            "min_results": 1,
            "matched": {"all": n},
            "relaxed": [],
            "rating": {"value": 4.0, "low": 4.0, "high": 4.0, "n": n},
        },
    )
    moved = shapes(np.random.default_rng(0).normal(size=(n, LATENT)))
    tables.write(
        pd.DataFrame({"filename": names, "yaw": 0.0}),
        folder / "faces" / MEMBER_LANDMARKS.name,
        MEMBER_LANDMARKS,
        vectors={"landmarks": moved},
    )


def make_placeholders(name: str, folder: Path) -> None:
    """A file for each face that `select@<name>` will link; the stage reads none of them."""
    options = load_params(folder / "params.yaml").composites[name].filter
    table = tables.read_all(folder / METADATA / FINAL.name, FINAL)
    chosen = select_faces(
        table,
        options.model_dump(include=set(COLUMNS)),
        options.n,
        options.seed,
        options.min_results,
        options.relax,
    )
    for face in chosen.rows["filename"]:
        path = folder / CROPS / face
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0")
    print(json.dumps({"chosen": len(chosen.rows)}))


if __name__ == "__main__":
    what, argument, where = sys.argv[1:]
    if what == "placeholders":
        make_placeholders(argument, Path(where))
    else:
        {"project": make_project, "members": make_members}[what](int(argument), Path(where))
