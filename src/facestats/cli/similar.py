"""Find the faces of the pipeline that are most similar to a photo.

Each line has the cosine similarity and the photo that the face came from, best
first, and the face's own name if it differs. Doubts about the photo go to stderr.

examples:
  python -m facestats similar photo.jpg -k 10
  python -m facestats similar photo.jpg --json     one JSON object: image, similar, warnings
"""

from __future__ import annotations

import argparse
import sys

from facestats.machine.output import print_json, print_line
from facestats.serving.loading import load

HELP = "find the faces that are most similar to a photo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="image file")
    parser.add_argument("-k", type=int, default=10, help="how many (default: %(default)s)")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object for programs, with `warnings`"
    )
    parser.add_argument(
        "--root", help="project folder whose models are used (default: the nearest upwards)"
    )


def run(options: argparse.Namespace) -> int:
    faces = load(options.root).similar(options.image, options.k)
    doubts = faces.attrs["warnings"]
    if options.json:
        print_json(
            {"image": options.image, "similar": faces.to_dict("records"), "warnings": doubts}
        )
        return 0
    for doubt in doubts:
        print_line(f"warning: {doubt}", sys.stderr)
    for row in faces.itertuples():
        print_line(
            f"{row.similarity:.4f}  {row.image}"
            + (f"  {row.filename}" if row.filename != row.image else "")
        )
    return 0
