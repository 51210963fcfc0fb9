"""Stage `composite@<name>`: the average face of a group.

Reads   data/interim/members/<name>/ (members.csv, selection.json, faces/),
        models/landmarker/ (with outlines or originals), the members' photos (with originals);
        params `composites.<name>.render`
Writes  data/processed/composites/<name>/ (composite.jpg and, if asked for, .png,
        composite.json, composite.tem, members.jpg, shape.npy)
Alone   dvc repro -sf composite@women
"""

from facestats.run.stage import StageItem, run_stage, start_clean, warn

from facestats.composites.averaging import average_faces, averaging_options
from facestats.composites.folder import composite_facts, warnings_of, write_composite
from facestats.composites.members import Members
from facestats.composites.originals import Originals
from facestats.composites.outline import Segmenter
from facestats.core.files import read_json
from facestats.errors import number_of
from facestats.run.cache import cache_folder


def main(params, name: StageItem, members, landmarker, composites):
    folder, out = members / name, composites / name
    render, selection = name.of(params.composites).render, read_json(folder / "selection.json")
    chosen = Members(folder / "members.csv", folder / "faces")
    drawn, options = chosen, render.used()
    if selection["filter"].get("originals"):
        photos = params.data.images, landmarker, render.side, params.preprocess
        drawn = Originals(chosen, *photos, cache_folder())
        options["side"] = drawn.side
    segmenter = Segmenter(landmarker) if render.outlines else None
    average = average_faces(drawn, **averaging_options(render, selection), segmenter=segmenter)
    start_clean(out)
    composite = composite_facts(average, options, selection, chosen.ratings, chosen.persons)
    warn(*warnings_of(composite, f"composites.{name}", len(chosen)))
    write_composite(out, name, average, composite, chosen.faces, folder / "scores.json")
    if not composite["built"]:
        return f"{name}: not built"
    left_out = "".join(
        f", {len(names)} left out ({reason})" for reason, names in average.left_out.items()
    )
    ratio = average.sharpness["ratio"] if average.sharpness else None
    sharper = f", {ratio:.2f} times as sharp as the plain mean" if ratio is not None else ""
    return f"{name}: {number_of(composite['n'], 'face')}{left_out}{sharper}"


if __name__ == "__main__":
    run_stage(main)
