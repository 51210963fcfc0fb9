"""`python -m facestats …`: score photos, find similar faces, import a dataset, label the faces that teach most, look after the row store, forget people, check the set-up."""

from __future__ import annotations

import argparse
import importlib
import sys

from facestats.errors import FaceStatsError

COMMANDS = ("score", "similar", "import", "labels", "rows", "forget", "doctor", "results")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code (2: wrong usage, or nothing could be done)."""
    parser = argparse.ArgumentParser(prog="python -m facestats", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"facestats.commands.{name.replace('import', 'importing')}")
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except FaceStatsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output, such as `head`, has gone
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
