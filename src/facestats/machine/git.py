"""Reading a git repository without running what its own configuration names.

A folder that somebody sent may hold a `.git/config` with commands: to fetch objects that are
missing, to watch files, to run at events. Reading needs none of them.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_NO_PROGRAMS = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
# A fetch would run `remote.<name>.uploadpack`; versions before 2.44 know only the second.
_NO_FETCH = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_OPTIONAL_LOCKS": "0"}


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
    subprocess.TimeoutExpired
        It took longer.
    """
    return subprocess.run(
        ["git", *_NO_PROGRAMS, "-C", str(root), *arguments],
        input=b"" if stdin is None else stdin,
        capture_output=True,
        timeout=timeout,
        env=os.environ | _NO_FETCH,
    )
