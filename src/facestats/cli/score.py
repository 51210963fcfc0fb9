"""Score photos: one JSON object a line, with `image` and the keys of
`facestats.score_image`.

`score` is the holistic score, `geometric` that of the face's shape (with
geometry.appearance also its pixels), `combined` their mean by score.weights.
If one of the last two is missing it is null, and a warning says why. A score
predicts what the raters of the training data would say, not the worth of a
person. Faces that may be under score.min_age get no score: all scores are null,
and `withheld` says why. `age_checked` names what the age was checked by
(manual, label, copy, model); if nothing could, it is null, with a warning.

examples:
  python -m facestats score photo.jpg
  python -m facestats score photos/*.jpg > scores.jsonl

exit code: 0 all scored, 1 some not (their line has `error` or a `withheld` that
is not null), 2 wrong usage or no trained model
"""

from __future__ import annotations

import argparse

from facestats.errors import ImageError, InputError, WithheldError
from facestats.machine.output import print_json, unwritten
from facestats.serving.loading import load

HELP = "score photos, one JSON line each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image file")
    parser.add_argument(
        "--root", help="project folder whose models are used (default: the nearest upwards)"
    )


def run(options: argparse.Namespace) -> int:
    models = load(options.root)
    _ = models.regressor  # without a model: one error, rather than one for each photo
    failed = 0
    for image in options.images:
        try:
            score = models.score(image)
            result = score.to_dict()
            failed += score.withheld is not None
        except (ImageError, InputError, WithheldError) as error:
            result = {"error": str(error)}
            failed += 1
        print_json({"image": image, **result})
        if unwritten():  # the reader has gone
            break
    return 1 if failed else 0
