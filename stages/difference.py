"""Stage `difference@<name>`: where one composite differs from another.

Reads   data/processed/composites/<of>/ and <minus>/; params `differences.<name>`
Writes  data/processed/composites/<name>/ (difference.jpg, difference.json)
Alone   dvc repro -sf difference@women_minus_men
"""

from facestats.run.stage import StageItem, run_stage, start_clean, warn

from facestats.pairs.built import drawn_differently, read_composite, why_not_comparable
from facestats.pairs.difference import nowhere_in_picture
from facestats.pairs.figure import write_difference


def main(params, name: StageItem, composites):
    pair, out = name.of(params.differences), composites / name
    both = read_composite(composites / pair.of), read_composite(composites / pair.minus)
    why = why_not_comparable(*both) or nowhere_in_picture(*both)
    start_clean(out)
    if why:
        warn(f"differences.{name} is not built: {why}")
    elif different := drawn_differently(*both):
        warn(f"differences.{name}: {different}")
    numbers = write_difference(out, name, both, why)
    if why:
        return f"{name}: not built"
    return (
        f"{name}: mean delta E {numbers['colour']['mean']:.1f}, landmarks shifted by "
        f"{numbers['shape']['root_mean_square']:.1f} % of the distance between the eyes"
    )


if __name__ == "__main__":
    run_stage(main)
