"""Stage `stimuli@<name>`: faces of the project, moved in shape, colour and texture.

Reads   attributes_final.parquet, faces.parquet, data/processed/preproc/ (with `originals` the
        photos instead), data/processed/composites/, models/; params `stimuli.<name>`
Writes  data/processed/stimuli/<name>/ (pictures, stimuli.csv, stimuli.json)
Alone   dvc repro -sf stimuli@feminised
"""

from facestats.run.stage import StageItem, run_stage, start_clean, warn

from facestats.core import tables
from facestats.core.files import write_json
from facestats.errors import alike, number_of
from facestats.faces.tables import FACES
from facestats.groups.tables import FINAL
from facestats.run.cache import cache_folder
from facestats.serving.loading import load
from facestats.serving.stimuli import Mover
from facestats.serving.stimulus_files import SHEET, chosen_faces, write_stimuli


def main(params, name: StageItem, attributes, faces, crops, stimuli):
    options, out = name.of(params.stimuli), stimuli / name
    chosen, warnings = chosen_faces(
        tables.read_all(attributes, FINAL), tables.read(faces, FACES, ["image", "sha256"]), options
    )
    warn(*(f"stimuli.{name}: {text}" for text in warnings))
    start_clean(out)
    mover = Mover(load(), options)
    most = params.preprocess.max_megabytes
    photos = chosen.photos(crops, params.data.images, out, most, cache_folder())
    rows = list(write_stimuli(mover, photos, out / SHEET))
    errors = [row["error"] for row in rows if row["error"]]
    warn(*(f"stimuli.{name}: {text} ({n} of {len(rows)} faces)" for text, n in alike(errors)))
    facts = {"name": name, "n": len(rows) - len(errors), "errors": len(errors)}
    write_json(out / "stimuli.json", facts | mover.parameters())
    return f"{name}: {number_of(facts['n'], 'picture')}, {number_of(len(errors), 'error')}"


if __name__ == "__main__":
    run_stage(main)
