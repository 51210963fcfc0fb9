"""Whether others than the user could write to a folder, or put another in its place.

Access lists (ACLs) are not looked at.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def find_exposed(folder: Path) -> Path | None:
    """Find the first part of a path where somebody else could write.

    The user, root and who owns `/` are trusted, as is a group that has the user's name. Below a
    folder that only the user may enter, nothing is looked at: what lies there may be open to all,
    or not be there yet.

    Parameters
    ----------
    folder : Path
        It need not exist; what is missing counts as open, for it gets the rights that its maker
        gives it.

    Returns
    -------
    Path or None
        None where nobody else could write, and on systems without such rights.
    """
    if not hasattr(os, "geteuid"):
        return None
    as_written, real = Path(os.path.abspath(folder)), Path(os.path.realpath(folder))
    exposed = _first_exposed_part(as_written)
    return exposed or (_first_exposed_part(real) if real != as_written else None)


def _first_exposed_part(path: Path) -> Path | None:
    trusted = {0, os.geteuid(), os.stat("/").st_uid}
    for part in (*reversed(path.parents), path):
        try:
            status = os.lstat(part)
        except OSError:
            return part
        if status.st_uid not in trusted:
            return part
        if not stat.S_ISDIR(status.st_mode):  # a link: its target is looked at, too
            continue
        if status.st_uid == os.geteuid() and not status.st_mode & 0o077:
            return None
        open_to = stat.S_IWOTH | (0 if _is_own_group(status.st_gid) else stat.S_IWGRP)
        sticky = status.st_mode & stat.S_ISVTX and part != path
        if status.st_mode & open_to and not sticky:
            return part
    return None


def _is_own_group(group: int) -> bool:
    """Whether a group is the user's alone, as most systems make one for each user."""
    import grp
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
        entry = grp.getgrgid(group)
    except KeyError:
        return False
    return entry.gr_name == name and not set(entry.gr_mem) - {name}
