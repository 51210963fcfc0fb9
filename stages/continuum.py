"""Stage `continuum@<name>`: pictures from one composite to another.

Reads   data/processed/composites/<from>/ and <to>/; params `continua.<name>`
Writes  data/processed/composites/<name>/ (continuum.jpg, continuum.json, frames/)
Alone   dvc repro -sf continuum@women_to_men
"""

from facestats.run.stage import StageItem, run_stage, start_clean, warn

from facestats.pairs.built import drawn_differently, read_composite, why_not_comparable
from facestats.pairs.continuum import write_continuum


def main(params, name: StageItem, composites):
    pair, out = name.of(params.continua), composites / name
    ends = read_composite(composites / pair.from_), read_composite(composites / pair.to)
    why = why_not_comparable(*ends)
    start_clean(out)
    if why:
        warn(f"continua.{name} is not built: {why}")
    elif different := drawn_differently(*ends):
        warn(f"continua.{name}: {different}")
    write_continuum(out, name, ends, pair.steps, why)
    if why:
        return f"{name}: not built"
    return f"{name}: {pair.steps} pictures from {ends[0].name} to {ends[1].name}"


if __name__ == "__main__":
    run_stage(main)
