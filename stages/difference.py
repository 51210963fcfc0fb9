"""Stage `difference@<name>`: where one composite differs from another.

Reads   data/processed/composites/<of>/ and <minus>/; params `differences.<name>`
Writes  data/processed/composites/<name>/ (difference.jpg, difference.json)
Alone   dvc repro -sf difference@women_minus_men
"""

from facestats.run.stage import StageItem, run_stage, start_clean, warn

from pathlib import Path

from facestats.composites.built import drawn_differently, read_composite, why_not
from facestats.core.files import write_image, write_json
from facestats.pairs.difference import difference, measure, nowhere_in_picture
from facestats.pairs.figure import difference_figure

CHANCE = (
    "Two groups of finite size never look the same: a part of every difference is chance, and more of it the fewer faces "
    "there are. How large that part is, two averages can't tell."
)


def main(params, name: StageItem, composites: Path) -> str:
    pair, out = name.of(params.differences), composites / name
    both = read_composite(composites / pair.of), read_composite(composites / pair.minus)
    why = why_not(*both) or nowhere_in_picture(*both)
    start_clean(out)
    content = {
        "name": name,
        "built": why is None,
        "why": why,
        "of": both[0].summary(),
        "minus": both[1].summary(),
    }
    if why:
        warn(f"differences.{name} is not built: {why}")
    else:
        if different := drawn_differently(*both):
            warn(f"differences.{name}: {different}")
        shared = len({*both[0].facts["members"]} & {*both[1].facts["members"]})
        found = difference(*both)
        numbers = measure(found)
        write_image(
            out / "difference.jpg",
            difference_figure(found, [(end.name, end.facts["n"]) for end in both], shared),
            quality=90,
        )
        content |= {"faces_in_both": shared, "chance": CHANCE, **numbers}
    write_json(out / "difference.json", content)
    return f"{name}: " + (
        "not built"
        if why
        else f"mean delta E {numbers['colour']['mean']:.1f}, landmarks shifted by "
        f"{numbers['shape']['root_mean_square']:.1f} % of the distance between the eyes"
    )


if __name__ == "__main__":
    run_stage(main)
