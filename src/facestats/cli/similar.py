"""Find the faces of the pipeline that are most similar to a photo, or to one of them, or fit words.

Each line has the cosine similarity and the photo that the face came from, best
first, and the face's own name if it differs. Doubts about the photo go to stderr.
A filter has the conditions of composites, as the address of the app's faces has
them; doubtful pictures and copies are left out as there.

examples:
  python -m facestats similar photo.jpg -k 10
  python -m facestats similar photo.jpg --json     one JSON object: image, similar, warnings
  python -m facestats similar --words "a smiling woman"
  python -m facestats similar --face face_0001.jpg
  python -m facestats similar photo.jpg --filter "gender=female&age_range=20..30"

exit code: 0 shown, 2 wrong usage, or a photo, face or words that nothing can be
compared with
"""

from __future__ import annotations

import argparse
import sys

from facestats.machine.output import print_json, print_line
from facestats.serving.filters import names_that_match, parse_filter
from facestats.serving.loading import load

HELP = "find the faces that are most similar to a photo or a face, or fit words"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", nargs="?", help="image file")
    parser.add_argument("--words", metavar="TEXT", help="what to look for, in place of an image")
    parser.add_argument("--face", metavar="NAME", help="a face of the pipeline, or its photo")
    parser.add_argument(
        "--filter",
        metavar="CONDITIONS",
        help="search only among these faces: gender=female&attributes.glasses=with",
    )
    parser.add_argument("-k", type=int, default=10, help="how many (default: %(default)s)")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object for programs, with `warnings`"
    )
    parser.add_argument(
        "--root", help="project folder whose models are used (default: the nearest upwards)"
    )


def run(options: argparse.Namespace) -> int:
    asked = {"image": options.image, "words": options.words, "face": options.face}
    models, among = load(options.root), None
    if options.filter is not None:
        among = names_that_match(models, parse_filter(options.filter))
    faces = models.similar(k=options.k, among=among, **asked)
    doubts = faces.attrs["warnings"]
    if options.json:
        given = {name: value for name, value in asked.items() if value is not None}
        print_json({**given, "similar": faces.to_dict("records"), "warnings": doubts})
        return 0
    for doubt in doubts:
        print_line(f"warning: {doubt}", sys.stderr)
    for row in faces.itertuples():
        print_line(
            f"{row.similarity:.4f}  {row.image}"
            + (f"  {row.filename}" if row.filename != row.image else "")
        )
    return 0
