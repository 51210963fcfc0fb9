"""Commands around the pipeline, which `dvc repro` runs: check photos, labels and the
set-up, use the results, and manage labels, people and stored rows.

examples:
  python -m facestats doctor                  check photos, labels and the set-up
  python -m facestats results                 show where to look after a run
  python -m facestats compare                 what a change of parameters did
  python -m facestats score photo.jpg         predict the rating of a photo
  python -m facestats COMMAND --help          help on each, with examples
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import NoReturn

from facestats import __version__
from facestats.errors import FaceStatsError, of_file
from facestats.machine.faults import way_out
from facestats.machine.output import (
    end_quietly,
    hide_serial_mode,
    one_line,
    plain_warnings,
    print_unwritten,
    secure_output,
    with_words_escaped,
)

COMMANDS = (
    "score",
    "similar",
    "transform",
    "export",
    "app",
    "serve",
    "import",
    "labels",
    "models",
    "rows",
    "forget",
    "doctor",
    "results",
    "compare",
)


class _Help(argparse.RawDescriptionHelpFormatter):
    """With room for the longest command, whose indent argparse does not count."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        self._action_max_length = max(self._action_max_length, 4 + max(map(len, COMMANDS)))


class _Parser(argparse.ArgumentParser):
    """Whose errors show an argument's line ends and control characters escaped."""

    def error(self, message: str) -> NoReturn:
        super().error(one_line(message))


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands, each described by its module."""
    installed = Path(sys.argv[0]).stem == "facestats"
    parser = _Parser(
        prog="facestats" if installed else "python -m facestats",
        description=__doc__,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"facestats {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"facestats.cli.{name.replace('import', 'importing')}")
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code (2: wrong usage, or nothing could be done)."""
    try:
        os.getcwd()
    except FileNotFoundError:
        print("error: the working folder is gone; change to another one (`cd`)", file=sys.stderr)
        return 2
    options = make_parser().parse_args(arguments)
    try:
        return options.run(options)
    except FaceStatsError as error:
        message = str(error)
    except OSError as error:
        message = of_file(error)
        if message is None:
            raise
    except (MemoryError, RuntimeError) as error:
        message = way_out(error)
        if message is None:
            raise
    except KeyboardInterrupt:
        return 130
    words = sys.argv[1:] if arguments is None else arguments
    print(f"error: {with_words_escaped(message, words)}", file=sys.stderr)
    return 2


def command() -> int:
    """The program `facestats`: `main`, but with exit code 1 if some output could not be written."""
    # Threads of a product that wait leave the processors to others; read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    end_quietly()
    secure_output()
    plain_warnings()
    hide_serial_mode()
    code = main()
    return max(code, 1) if print_unwritten() else code


if __name__ == "__main__":
    sys.exit(command())
