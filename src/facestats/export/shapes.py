"""Landmarks and embeddings of all faces in files of other programs."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from facestats.composites.templates import mesh_template, write_template
from facestats.core import tables
from facestats.core.files import replacing, write_csv
from facestats.core.landmarks import N_LANDMARKS
from facestats.core.layout import EMBEDDINGS, FACES_TABLE
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.machine.output import one_line


def write_landmarks(folder: Path, root: Path, side: int) -> int:
    """Write the landmarks of all faces as CSV, TPS and one `.tem` a face.

    Coordinates are pixels of the crop. In CSV and `.tem` they count from the upper left corner, in
    TPS from the lower left one, as tpsDig has it.

    Parameters
    ----------
    folder : Path
        Where they go.
    root : Path
        The project folder.
    side : int
        Of a crop, pixels.

    Returns
    -------
    int
        Number of faces with landmarks.
    """
    rows = tables.read(root / FACES_TABLE, FACES, ["image", "filename", "status", "landmarks"])
    rows = rows[(rows["status"] == "ok") & rows["landmarks"].notna()]
    points = np.empty((len(rows), N_LANDMARKS * 3), np.float64)
    for place, values in enumerate(rows["landmarks"]):
        points[place] = values
    points *= side
    names = [f"{axis}{number}" for number in range(N_LANDMARKS) for axis in "xyz"]
    wide = pd.DataFrame(np.round(points, 3), columns=names)
    for column in ("filename", "image"):
        wide.insert(0, column, rows[column].to_numpy())
    write_csv(folder / "landmarks.csv", wide)
    lines = []
    for image, name, shape in zip(
        rows["image"], rows["filename"], points.reshape(-1, N_LANDMARKS, 3), strict=True
    ):
        lines.append(f"LM={N_LANDMARKS}")
        lines += [f"{x:.3f} {side - y:.3f}" for x, y, _ in shape]
        lines += [f"IMAGE={one_line(name)}", f"ID={one_line(image)}"]
        target = folder / "tem" / PurePosixPath(name).with_suffix(".tem")
        write_template(target, mesh_template(shape / side, side, side))
    with replacing(folder / "landmarks.tps") as temporary:
        temporary.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return len(rows)


def write_embeddings(folder: Path, root: Path) -> int:
    """Write the embeddings as `embeddings.npy`, float32 (n, d), and whose they are.

    Returns their number.
    """
    table = EmbeddingTable(root / EMBEDDINGS)
    shape = (len(table), table.dimension)
    path = folder / "embeddings.npy"
    with replacing(path) as temporary, temporary.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for batch in table.batches():
            file.write(np.ascontiguousarray(batch, "<f4").tobytes())
    faces = tables.read(root / FACES_TABLE, FACES, ["image", "filename"])
    images = faces.dropna(subset="filename").set_index("filename")["image"]
    names = pd.DataFrame(
        {
            "row": np.arange(len(table)),
            "image": images.reindex(table.names).to_numpy(),
            "filename": table.names.to_numpy(),
        }
    )
    write_csv(folder / "embeddings_names.csv", names)
    return len(table)
