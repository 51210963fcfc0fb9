"""Reading a git repository without its own configuration.

A folder that somebody sent may hold a `.git/config` with commands: to fetch objects that are
missing, to watch files, to check signatures, to run at events. So git is not shown that file: it
reads the repository's objects, refs, logs and index through a folder that holds nothing else.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facestats.errors import InputError

# To find out where the repository lies, git reads its configuration after all: without what it
# might run then.
_NO_PROGRAMS = (
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "diff.ignoreSubmodules=all"),  # which have configurations of their own
)
# A fetch would run `remote.<name>.uploadpack`; versions before 2.44 know only the second.
_NO_FETCH = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_OPTIONAL_LOCKS": "0"}
_OWN = ("index", "logs")  # of a work tree
_SHARED = ("objects", "refs", "packed-refs", "shallow", "reftable")  # of all its work trees
_FORMATS = ("objectformat", "refstorage")  # extensions that say how these are to be read


def read_git(
    root: Path, *arguments: str, stdin: bytes | None = None, timeout: float = 600
) -> subprocess.CompletedProcess[bytes]:
    """Run a git command that only reads.

    Parameters
    ----------
    root : Path
        A folder in the repository.
    *arguments : str
        The command and its arguments.
    stdin : bytes, optional
        What the command reads; by default nothing.
    timeout : float, default 600
        Seconds.

    Returns
    -------
    CompletedProcess
        With both outputs as bytes, whatever the exit code.

    Raises
    ------
    FileNotFoundError
        There is no git.
    InputError
        The path of the repository holds a line break.
    subprocess.TimeoutExpired
        It took longer.
    """
    places = ("--show-toplevel", "--absolute-git-dir", "--git-common-dir")
    known = _run(root, "rev-parse", "--path-format=absolute", *places, timeout=timeout)
    if known.returncode:  # no repository, or one without a work tree: git says so itself
        return known
    lines = known.stdout.splitlines()
    if len(lines) != len(places):
        raise InputError(f"{os.fspath(root)!r}: a path with a line break is too much for git")
    top, own, shared = (Path(os.fsdecode(line)) for line in lines)
    with _without_configuration(root, own, shared, timeout) as folder:
        chosen = ("--git-dir", folder, "--work-tree", str(top))
        return _run(root, *chosen, *arguments, stdin=stdin, timeout=timeout)


@contextmanager
def _without_configuration(root: Path, own: Path, shared: Path, timeout: float) -> Iterator[str]:
    """A folder that git takes for the repository's own: links to all but its configuration."""
    with tempfile.TemporaryDirectory(prefix="facestats-git-") as folder:
        clean = Path(folder)
        for place, names in ((own, _OWN), (shared, _SHARED)):
            for name in names:
                if (place / name).exists():
                    (clean / name).symlink_to(place / name)
        (clean / "HEAD").write_bytes((own / "HEAD").read_bytes())
        lines = ["[core]", "bare = false", "repositoryformatversion = 1", "[extensions]"]
        for name in _FORMATS:
            value = _run(root, "config", "--local", f"extensions.{name}", timeout=timeout).stdout
            if value.strip().isalnum():
                lines.append(f"{name} = {value.decode().strip()}")
        (clean / "config").write_text("\n".join(lines), encoding="utf-8")
        yield folder


def _run(
    root: Path, *arguments: str, stdin: bytes | None = None, timeout: float
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["git", *_NO_PROGRAMS, "-C", str(root), *arguments],
        input=b"" if stdin is None else stdin,
        capture_output=True,
        timeout=timeout,
        env=os.environ | _NO_FETCH,
    )
