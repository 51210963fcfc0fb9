"""What every stage script needs: paths from the command line, checked parameters, errors without traceback."""

from __future__ import annotations

import argparse
import errno
import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path

from facestats.errors import FaceStatsError
from facestats.params import load_params


def run_stage(main: Callable) -> None:
    """Call `main(params, …)` with the command line's arguments and exit with its outcome.

    The signature of `main` is the command line: every parameter after `params` is one positional argument,
    of the type it is annotated with (`Path` where nothing is said). `params.yaml` is read from the working
    directory, which is where DVC runs a stage.

    Exit code 0: done; 1: a `FaceStatsError` or a full disk, printed as one message; 130: interrupted.
    """
    script = sys.modules[main.__module__]
    parser = argparse.ArgumentParser(description=script.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for parameter in list(inspect.signature(main, eval_str=True).parameters.values())[1:]:
        kind = Path if parameter.annotation is parameter.empty else parameter.annotation
        parser.add_argument(parameter.name, type=kind)
    arguments = parser.parse_args()
    started = time.perf_counter()
    try:
        summary = main(load_params(), **vars(arguments))
    except FaceStatsError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit(f"error: the disk is full ({error.filename or 'no file named'}); free some space and run again")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    seconds = time.perf_counter() - started
    print(f"{Path(script.__file__).stem}: {summary or 'done'} seconds={seconds:.1f}")


def warn(message: str) -> None:
    """Print a warning that the user should read; it never stops a run."""
    print(f"warning: {message}", file=sys.stderr)
