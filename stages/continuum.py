"""Stage `continuum@<name>`: pictures from one composite to another.

Reads   data/processed/composites/<from>/ and <to>/; params `continua.<name>`
Writes  data/processed/composites/<name>/ (continuum.jpg, continuum.json, frames/)
Alone   dvc repro -sf continuum@women_to_men
"""

from facestats.run.stage import StageItem, run_stage, start_clean, warn

from pathlib import Path

from PIL import Image

from facestats.composites.built import drawn_differently, read_composite, why_not
from facestats.core.files import write_image, write_json
from facestats.pairs.continuum import continuum, shares, strip


def main(params, name: StageItem, composites: Path) -> str:
    pair, out = name.of(params.continua), composites / name
    steps = pair.steps
    ends = read_composite(composites / pair.from_), read_composite(composites / pair.to)
    why = why_not(*ends)
    start_clean(out)
    if why:
        warn(f"continua.{name} is not built: {why}")
    else:
        if different := drawn_differently(*ends):
            warn(f"continua.{name}: {different}")
        frames = [Image.fromarray(picture) for picture in continuum(*ends, steps)]
        for i, frame in enumerate(frames):
            write_image(out / "frames" / f"{i:02}.jpg", frame)
        write_image(
            out / "continuum.jpg",
            strip(frames, [end.name for end in ends], [end.facts["n"] for end in ends]),
        )
    write_json(
        out / "continuum.json",
        {
            "name": name,
            "built": why is None,
            "why": why,
            "steps": steps,
            "shares": shares(steps),
            "from": ends[0].summary(),
            "to": ends[1].summary(),
        },
    )
    return f"{name}: " + (
        "not built" if why else f"{steps} pictures from {ends[0].name} to {ends[1].name}"
    )


if __name__ == "__main__":
    run_stage(main)
