"""The frame of every stage script: its command line, parameters, errors and warnings."""

from __future__ import annotations

import argparse
import atexit
import gc
import inspect
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import current_process
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from facestats.core.files import write_json
from facestats.errors import FaceStatsError, InputError, of_file
from facestats.machine.faults import way_out
from facestats.machine.lifetime import end_in_time, started_by_dvc
from facestats.machine.output import (
    end_quietly,
    hide_serial_mode,
    plain_warnings,
    print_line,
    print_unwritten,
    secure_output,
)
from facestats.params.project import load_params
from facestats.run.edits import STARTED, Inputs
from facestats.run.inputs import changed_inputs

Item = TypeVar("Item")
_NAMED = 3  # changed files in a message
_STARTS = 3  # how often a stage runs whose files change meanwhile
_FAULT = (
    "This is a fault of FaceStats; or, where a cache or its run cache is shared, an input is not "
    "what its stage writes: `dvc repro --force --no-run-cache` computes all outs here."
)
_warnings: list[str] = []  # of this stage, as they were printed

# A stage imports this module first, so that Ctrl-C during the other imports ends it silently, and
# the garbage collector does not run during them: it takes 0.3 to 0.5 of 3.1 s with torch and
# transformers. `run_stage` turns it on again. A worker process never gets there and keeps it on;
# while a worker imports the stage's script, `parent_process()` is still None.
if current_process().name == "MainProcess":
    gc.disable()
    end_quietly()
    hide_serial_mode()


class StageItem(str):
    """The key of `params.yaml` that a stage works on, such as a composite's name.

    DVC passes it in the environment variable DVC_STAGE (`select@women`), users in the option
    `--name`. It is not on the command line in dvc.yaml, where a shell would interpret it before the
    stage could refuse it.
    """

    def of(self, section: dict[str, Item]) -> Item:
        """The value of this key in a section.

        Raises
        ------
        InputError
            There is no such key.
        """
        if self not in section:
            raise InputError(
                f"params.yaml has no {str(self)!r} there; it has {', '.join(section) or 'none'}"
            )
        return section[self]


def run_stage(main: Callable, guarded: bool = True) -> None:
    """Call `main(params, …)` with the command line's arguments and exit with its outcome.

    The signature of `main` is the command line. Every parameter after `params` is a required option
    such as `--embeddings`: a path, or of the type it is annotated with; a `StageItem` is the option
    `--name`. `params.yaml` is read from the working directory, where DVC runs a stage. The line
    that `main` returns is printed with the seconds it took. Its warnings become an out of the
    stage, in the folder `warnings` of `--interim`; with a `StageItem`, in a folder of that name
    there, and, if it is `guarded`, the name itself in the folder `keys` (dvc.yaml explains why). A
    stage that DVC started ends with DVC. If somebody changes a file meanwhile that it depends on,
    it starts again.

    Exit code 0: done; 1: a `FaceStatsError`, a file that can't be used, a full disk, an input that
    is not what the run wrote, or params that were changed meanwhile, printed as one message; 130:
    interrupted.
    """
    secure_output()
    plain_warnings()
    arguments = vars(make_parser(main).parse_args())
    interim = arguments.pop("interim")
    gc.freeze()  # modules stay to the end, so that no collection needs to look at them again
    gc.enable()
    end_in_time()
    started = time.perf_counter()
    script = sys.modules[main.__module__]
    try:
        inputs = Inputs(_stage_name()) if started_by_dvc() else None
        summary = main(load_params(), **arguments)
        if interim:
            items = [value for value in arguments.values() if isinstance(value, StageItem)]
            _write_by_name(interim, Path(script.__file__ or "").stem, items, guarded)
        if inputs:
            _check_unchanged(inputs, script)
    except Exception as error:
        message = _message(error) or _suspects(error, arguments, script)
        if message is None:
            error.add_note(_FAULT)
            raise
        sys.exit(f"error: {message}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        os._exit(130)  # computing threads and torch's teardown would take seconds
    seconds = time.perf_counter() - started
    print(f"{summary or 'done'} seconds={seconds:.1f}")
    _leave()


def _check_unchanged(inputs: Inputs, script: ModuleType) -> None:
    """Start again if a file has changed since the stage began: DVC takes it for what was used.

    Raises
    ------
    InputError
        Params have changed, or files once more.
    """
    if keys := inputs.edited_params():
        raise InputError(
            f"{', '.join(keys)} in params.yaml changed while the stage ran, which used the earlier "
            "value; run `dvc repro` again"
        )
    if paths := inputs.edited_files():
        named = _first_of(paths)
        starts = int(os.environ.get(STARTED, "1"))
        if starts == _STARTS:
            raise InputError(
                f"{named} changed each time the stage ran; run `dvc repro` again later"
            )
        print_line(f"{named} changed while the stage ran, which starts again")
        _end_threads()
        sys.stdout.flush()
        environment = {**os.environ, STARTED: str(starts + 1)}
        command = [sys.executable, script.__file__ or "", *sys.argv[1:]]
        os.execve(sys.executable, command, environment)


def _first_of(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(os.path.relpath(path) for path in paths[:_NAMED]) + more


def _message(error: Exception) -> str | None:
    """What to tell of an error that says itself what is wrong; None for others."""
    if isinstance(error, FaceStatsError):
        return str(error)
    if isinstance(error, OSError):
        return of_file(error)
    # The latter is torch's.
    return way_out(error) if isinstance(error, MemoryError | RuntimeError) else None


def _suspects(error: Exception, arguments: dict[str, Any], script: ModuleType) -> str | None:
    """Name the inputs that somebody has changed since the run; None where there are none."""
    paths = [value for value in arguments.values() if isinstance(value, Path)]
    with suppress(Exception):  # of a listing that somebody has made up
        changed = changed_inputs(paths, _stage_name() or Path(script.__file__ or "").stem)
        if changed:
            return (
                f"not what the run wrote: {_first_of(changed)}. The stage ends with "
                f"{type(error).__name__} ({error}); remove what was changed, and run `dvc repro`"
            )
    return None


def _stage_name() -> str:
    """The stage that DVC runs; from another folder, DVC says `../dvc.yaml:select@women`."""
    return os.environ.get("DVC_STAGE", "").rpartition(":")[2]


def make_parser(main: Callable) -> argparse.ArgumentParser:
    """Make the command line of a stage, see `run_stage`."""
    script = sys.modules[main.__module__]
    parser = argparse.ArgumentParser(
        description=script.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for parameter in list(inspect.signature(main, eval_str=True).parameters.values())[1:]:
        kind = Path if parameter.annotation is parameter.empty else parameter.annotation
        if kind is StageItem:
            item = os.environ.get("DVC_STAGE", "")
            item = item.rpartition("@")[2] if "@" in item else ""
            parser.add_argument(
                "--name", dest=parameter.name, type=kind, default=item or None, required=not item
            )
        else:
            parser.add_argument(f"--{parameter.name.replace('_', '-')}", type=kind, required=True)
    parser.add_argument(
        "--interim",
        type=Path,
        metavar="DIR",
        help="write the warnings below this folder, too, as DVC expects them",
    )
    return parser


def _write_by_name(interim: Path, script: str, items: list[StageItem], guarded: bool) -> None:
    """Write the small outs that any stage may have: its warnings, and the key that it works on."""
    stage = _stage_name().partition("@")[0] or script
    if not items:
        write_json(interim / "warnings" / f"{stage}.json", _warnings)
    for item in items:
        write_json(interim / "warnings" / item / f"{stage}.stage.json", _warnings)
        if guarded:
            write_json(interim / "keys" / item / f"{stage}.stage.json", item)


def _leave() -> None:
    """End this process without freeing each object: 1.3 s of processor time a stage with torch.

    With torch, transformers and scikit-learn loaded, it takes 0.1 s; Python's own exit takes 1.4 to
    1.5 s. Threads still end, and exit handlers run.
    """
    _end_threads()
    print_unwritten()  # no failure of the stage, whose outs are written
    sys.stderr.flush()
    os._exit(0)


def _end_threads() -> None:
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]  private
    atexit._run_exitfuncs()


def start_clean(out: Path) -> None:
    """Remove what a stage that outlived its DVC has left in a folder.

    DVC has removed the folder before the stage. In a run by hand it stays, with a warning.
    """
    if started_by_dvc():
        shutil.rmtree(out, ignore_errors=True)
    elif out.is_dir() and any(out.iterdir()):
        warn_once(
            f"{out} is not empty: files of an earlier run stay there, also those of photos that "
            "are gone; remove it first"
        )


def warn(*messages: str) -> None:
    """Warn about the outs: now, and in `facestats results` as long as these outs exist."""
    _warnings.extend(messages)
    for message in messages:
        warn_once(message)


def warn_once(message: str) -> None:
    """Warn about this run only; another run with the same outs may not have the problem."""
    print_line(f"warning: {message}", sys.stderr)
