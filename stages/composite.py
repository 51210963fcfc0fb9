"""Stage `composite@<name>`: the average face of a group.

Reads   data/interim/members/<name>/ (members.csv, faces/); params `composites.<name>.render`
Writes  data/processed/composites/<name>/ (composite.jpg, composite.json, members.jpg, shape.npy)
Alone   python stages/composite.py women data/interim/members/women/members.csv data/interim/members/women/faces \\
            data/processed/composites/women
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from facestats.composites.averaging import average_faces, contact_sheet
from facestats.composites.members import Members
from facestats.files import write_bytes, write_image, write_json
from facestats.stage import run_stage


def main(params, name: str, members: Path, faces: Path, out: Path) -> str:
    render = params.composites[name].render
    chosen = Members(members, faces)
    average = average_faces(chosen, render.align, render.space)
    built = average.image is not None
    if built:
        write_image(out / "composite.jpg", Image.fromarray(average.image))
        write_image(out / "members.jpg", contact_sheet([faces / n for n in average.used]))
        if average.shape is not None:
            buffer = io.BytesIO()
            np.save(buffer, average.shape)
            write_bytes(out / "shape.npy", buffer.getvalue())
    write_json(out / "composite.json", {
        "name": name, "built": built, "n": len(average.used) if built else 0,
        "why": None if built else _why(chosen, average),
        "render": render.model_dump(), "members": average.used, "left_out_without_landmarks": average.left_out,
    })
    return f"{name}: " + (f"{len(average.used)} faces" if built else "not built")


def _why(chosen, average) -> str:
    if not len(chosen):
        return "too few faces match the filter; selection.json in the members' folder says how many after each condition"
    return f"none of the {len(average.left_out)} members has landmarks, which align needs"


if __name__ == "__main__":
    run_stage(main)
