"""Find the faces of the pipeline that are most like a photo: cosine similarity, the
photo's path and, where it is another, the face's name, best first.

examples:
  python -m facestats similar photo.jpg -k 10
"""

from __future__ import annotations

import argparse

from facestats.serving import load

HELP = "find the faces that are most like a photo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="image file")
    parser.add_argument("-k", type=int, default=10, help="how many (default: %(default)s)")
    parser.add_argument("--root", help="project folder whose models are used (default: the nearest upwards)")


def run(options: argparse.Namespace) -> int:
    found = load(options.root).similar(options.image, options.k)
    for row in found.itertuples():
        print(f"{row.similarity:.4f}  {row.image}" + (f"  {row.filename}" if row.filename != row.image else ""))
    return 0
