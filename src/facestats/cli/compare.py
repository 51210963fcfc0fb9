"""Compare runs by what they predict of faces that their models have not seen.

Runs are commits, branches, experiments, or `workspace`; all are compared with the
first. The stage `crossvalidate` has predicted every labelled face by models that
never saw its person: the differences are those over faces that both have with the
same label, and their intervals of 95 % count persons. That predictions are those of the
parameters beside them is checked of the workspace alone: a commit is taken at its word.

examples:
  python -m facestats compare                        the workspace with the last commit
  python -m facestats compare main wide --plot compare.pdf
  python -m facestats compare main grid-1 grid-2     which best.val_loss chooses, and its figure

exit code: 0 compared, whatever the difference, 2 wrong usage or runs that can't be
compared
"""

from __future__ import annotations

import argparse
from pathlib import Path

from facestats.cli.compare_runs import WORKSPACE, read_run
from facestats.errors import InputError
from facestats.machine.output import print_json, print_line

HELP = "compare runs on faces that their models have not seen"
FORMATS = (".png", ".svg", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help=f"commit, branch, experiment or `{WORKSPACE}` (default: HEAD {WORKSPACE})",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the differences (.png, .svg or .pdf)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="project folder (default: the working directory)"
    )


def run(options: argparse.Namespace) -> int:
    names = list(dict.fromkeys(options.runs)) or ["HEAD", WORKSPACE]
    if len(options.runs) == 1 and names != [WORKSPACE]:
        names.append(WORKSPACE)
    if len(names) < 2:
        raise InputError("give two different runs to compare, such as HEAD and workspace")
    if options.plot and options.plot.suffix.lower() not in FORMATS:
        raise InputError(f"{options.plot}: a plot is {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")

    from facestats.cli import compare_text
    from facestats.comparison.differences import compare

    first, *others = (read_run(options.root, name) for name in names)
    compared = [
        (other, compare(first.table, other.table, (first.name, other.name))) for other in others
    ]
    for other, comparison in compared:
        if not comparison.differences:
            notes = "; ".join(comparison.notes) or "neither has any"
            raise InputError(
                f"{first.name} and {other.name} have no cross-validated face in common: {notes}"
            )
    choice = compare_text.choose(first, others) if len(others) > 1 else None
    if options.plot:
        compare_text.draw(first, compared, options.plot)
    if options.json:
        print_json(compare_text.content(first, compared, choice), indent=2)
        return 0
    compare_text.print_all(first, compared)
    for line in choice["text"] if choice else ():
        print_line(line)
    if options.plot:
        print_line(f"drawn in {options.plot}")
    return 0
