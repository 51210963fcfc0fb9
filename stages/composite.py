"""Stage `composite@<name>`: the average face of a group.

Reads   data/interim/members/<name>/ (members.csv, selection.json, faces/); params `composites.<name>.render`
Writes  data/processed/composites/<name>/ (composite.jpg, composite.json, members.jpg, shape.npy)
Alone   dvc repro -sf composite@women
"""

from facestats.run.stage import StageItem, run_stage, start_clean, warn

import io
from pathlib import Path

import numpy as np
from PIL import Image

from facestats.composites.averaging import average_faces
from facestats.composites.facts import composite_facts
from facestats.core.figures.sheets import MOST, contact_sheet, fitting_jpeg
from facestats.core.files import read_json, write_bytes, write_image, write_json
from facestats.errors import InputError, number_of
from facestats.groups.members import Members


def main(params, name: StageItem, members: Path, composites: Path) -> str:
    render = name.of(params.composites).render.model_dump()
    faces, selection, out = (
        members / name / "faces",
        members / name / "selection.json",
        composites / name,
    )
    chosen = Members(members / name / "members.csv", faces)
    average = average_faces(chosen, **render)
    start_clean(out)
    facts = composite_facts(average, render, read_json(selection), chosen.ratings)
    if facts["built"]:
        write_image(out / "composite.jpg", Image.fromarray(average.image))
        write_bytes(
            out / "members.jpg",
            fitting_jpeg(contact_sheet([faces / face for face in average.used])),
        )
        if average.shape is not None:
            buffer = io.BytesIO()
            np.save(buffer, average.shape)
            write_bytes(out / "shape.npy", buffer.getvalue())
    elif len(chosen):  # `select` has warned of too few
        if facts["filter"].get("on_few") == "error":
            raise InputError(
                f"composites.{name}: {facts['why']}. Widen the filter, lower min_results, or set on_few: skip"
            )
        warn(f"composites.{name} is not built: {facts['why']}")
    if facts["note"]:
        warn(f"composites.{name}: {facts['note']}")
    shown = min(facts["n"], MOST)
    write_json(
        out / "composite.json",
        {
            "name": name,
            **facts,
            "sheet": {"shown": shown, "not_shown": facts["n"] - shown},
            "scores_in": selection.with_name(
                "scores.json"
            ).as_posix(),  # they move with every training, which draws nothing again
        },
    )
    left_out = "".join(
        f", {len(names)} left out ({reason})" for reason, names in average.left_out.items()
    )
    sharper = (
        f", {average.sharpness['ratio']:.2f} times as sharp as the plain mean"
        if average.sharpness
        else ""
    )
    return f"{name}: " + (
        f"{number_of(facts['n'], 'face')}{left_out}{sharper}" if facts["built"] else "not built"
    )


if __name__ == "__main__":
    run_stage(main)
