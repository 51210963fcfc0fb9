"""What DVC says of a project: stale stages and experiments.

DVC takes seconds and holds its lock meanwhile, so it is asked in a process of its own, with a time
limit, only when somebody looks, and its answer is kept until a file that it depends on changes.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from facestats.core.files import read_bytes
from facestats.dvc_files.cache import require_sound_cache
from facestats.dvc_files.forms import ForeignError, load_yaml
from facestats.errors import FaceStatsError
from facestats.serving.manifest import identity

SECONDS = 120  # of one question
KEPT_SECONDS = 60  # code and data may have changed since
_WATCHED = ("dvc.lock", "dvc.yaml", "params.yaml", ".git/HEAD", ".git/refs/exps", ".git/logs/HEAD")
_CODE = ("src/", "stages/")
_FACTS = ("Created", "State")  # of an experiment, in DVC's table
_PASSED = ("Experiment", "rev", "typ", "parent", "Executor")
_FIRST_PARAM = "data.images"  # metrics stand before it
_FILES = ("data/", "models/", "metrics/", *_CODE)
_BUSY = "Unable to acquire lock"
MOST_ROWS, MOST_COLUMNS = 50, 20
_REFUSED = (ForeignError, OSError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class Answer:
    """What DVC has said.

    Attributes
    ----------
    state : str
        `asking`, `done` or `failed`.
    content : any
        For `done`.
    why : str
        For `failed`.
    """

    state: str
    content: Any = None
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"state": self.state, "content": self.content, "why": self.why}


@dataclass
class _Kept:
    answer: Answer = field(default_factory=lambda: Answer("asking"))
    stamp: Any = None
    time: float = 0.0
    thread: threading.Thread | None = None


class DvcSays:
    """Asks DVC in the background.

    Parameters
    ----------
    root : Path
        The project folder.
    """

    def __init__(self, root: Path):
        self.root = root
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {"stale": _Kept(), "experiments": _Kept()}
        self._one_at_a_time = threading.Lock()

    def stale(self) -> Answer:
        """Stages that `dvc repro` would run, each with its reasons."""
        return self._ask(
            "stale", ["status", "--json"], lambda text: read_status(text, _ran(self.root))
        )

    def experiments(self) -> Answer:
        """The table of `dvc exp show`: `head` and `rows`, with what differs alone."""
        return self._ask("experiments", ["exp", "show", "--csv"], read_experiments)

    def _ask(self, name: str, words: list[str], read: Callable[[str], Any]) -> Answer:
        if not (self.root / ".dvc").is_dir():
            return Answer("failed", why="the folder is no DVC project")
        with self._lock:
            kept = self._kept[name]
            if kept.thread is not None and kept.thread.is_alive():
                return Answer("asking")
            stamp = [identity(self.root / path) for path in _WATCHED]
            if kept.stamp == stamp and time.monotonic() - kept.time < KEPT_SECONDS:
                return kept.answer
            kept.thread = threading.Thread(
                target=self._work, args=(kept, words, read), name="dvc", daemon=True
            )
            kept.thread.start()
            return Answer("asking")

    def _work(self, kept: _Kept, words: list[str], read: Callable[[str], Any]) -> None:
        stamp = [identity(self.root / path) for path in _WATCHED]
        with self._one_at_a_time:  # each takes a processor
            try:
                _require_sound(self.root)
                answer = Answer("done", read(_run(self.root, words)))
            except _REFUSED as error:
                answer = Answer("failed", why=str(error) or type(error).__name__)
        with self._lock:
            kept.answer, kept.stamp, kept.time = answer, stamp, time.monotonic()


def _require_sound(root: Path) -> None:
    """Raise `ValueError` where DVC would follow what it has not written itself."""
    try:
        require_sound_cache(root)
    except FaceStatsError:  # whose message names paths of this machine
        raise ValueError(
            "it was not asked, for its cache or its files hold what DVC does not write; "
            "`python -m facestats doctor --cache` names what to mend"
        ) from None


def _run(root: Path, words: list[str]) -> str:
    """Output of a command of DVC.

    Raises
    ------
    ValueError
        It failed, or took too long; the text says why.
    """
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    with TemporaryFile() as out, TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", *words],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise ValueError(f"DVC gave no answer within {SECONDS} s") from None
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0)
        errors.seek(0)
        text, complaint = out.read().decode(), errors.read().decode("utf-8", "replace")
    if code:
        if _BUSY in complaint:
            raise ValueError("DVC is busy: a run is under way")
        last = [line for line in complaint.splitlines() if line.startswith("ERROR")]
        raise ValueError((last or ["DVC failed"])[0].removeprefix("ERROR: ").replace(f"{root}", ""))
    return text


def read_status(text: str, ran: Container[str]) -> list[dict[str, Any]]:
    """Stages and reasons of `dvc status --json`.

    Parameters
    ----------
    text : str
        What DVC printed.
    ran : container of str
        Stages of `dvc.lock`; the others have never run.
    """
    stages = {
        name.rpartition(":")[2]: entries for name, entries in json.loads(text or "{}").items()
    }
    return [
        # A .dvc file, of photos and labels, is no stage of dvc.lock.
        {
            "stage": stage,
            "reasons": reasons if stage in ran or stage.endswith(".dvc") else ["never run"],
        }
        for stage, entries in stages.items()
        if (reasons := _reasons(entries))
    ]


def _ran(root: Path) -> Container[str]:
    lock = root / "dvc.lock"
    return (load_yaml(read_bytes(lock)) or {})["stages"] if lock.is_file() else ()


def _reasons(entries: list[Any]) -> list[str]:
    reasons: list[str] = []
    for entry in entries:
        if not isinstance(entry, dict):
            reasons.append(str(entry))
            continue
        for changes in entry.values():
            for path, change in changes.items() if isinstance(changes, dict) else ():
                if path.startswith(_CODE):
                    reasons.append("changed code")
                else:
                    text = ", ".join(change) if isinstance(change, dict) else change
                    reasons.append(f"{path}: {text}")
    return [*dict.fromkeys(reasons)]


def read_experiments(text: str) -> dict[str, Any]:
    """The table of `dvc exp show --csv`: names, metrics, and parameters that are not all the same.

    Returns
    -------
    dict
        `head`, `rows` (texts) and `left_out`, the number of further rows and columns.
    """
    head, *body = [*csv.reader(io.StringIO(text))] or [[]]
    named = [head.index(name) for name in _FACTS if name in head]
    params = head.index(_FIRST_PARAM) if _FIRST_PARAM in head else len(head)
    shown = [at for at in named if any(row[at] for row in body)]
    shown += [at for at in range(params) if head[at] not in (*_FACTS, *_PASSED)]
    shown += [
        at
        for at in range(params, len(head))
        if not head[at].startswith(_FILES) and len({row[at] for row in body}) > 1
    ]
    rows = [
        [row[0] or row[1], *(_rounded(row[at]) for at in shown[:MOST_COLUMNS])]
        for row in body[:MOST_ROWS]
    ]
    left_out = max(0, len(body) - MOST_ROWS) + max(0, len(shown) - MOST_COLUMNS)
    return {
        "head": ["experiment", *(head[at] for at in shown[:MOST_COLUMNS])],
        "rows": rows,
        "left_out": left_out,
    }


def _rounded(text: str) -> str:
    try:
        return f"{float(text):.4g}" if "." in text else text
    except ValueError:
        return text
