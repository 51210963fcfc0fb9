"""Whether others than the user could write to a folder, or put another in its place.

Access lists (ACLs) are not looked at.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def find_exposed(folder: Path) -> Path | None:
    """The first part of a path where somebody else could write; None where nobody could.

    The user, root and who owns `/` are trusted, as is a group that has the user's name. Below a
    folder that only the user may enter, nothing is looked at: what lies there may be open to all,
    or not be there yet.

    Parameters
    ----------
    folder : Path
        It need not exist; what is missing counts as open, for it gets the rights that its maker
        gives it.
    """
    if not hasattr(os, "geteuid"):
        return None
    lexical, real = Path(os.path.abspath(folder)), Path(os.path.realpath(folder))
    exposed = _find_exposed(lexical)
    return exposed or (_find_exposed(real) if real != lexical else None)


def _find_exposed(path: Path) -> Path | None:
    trusted = {0, os.geteuid(), os.stat("/").st_uid}
    for part in (*reversed(path.parents), path):
        try:
            facts = os.lstat(part)
        except OSError:
            return part
        if facts.st_uid not in trusted:
            return part
        if not stat.S_ISDIR(facts.st_mode):  # a link: its target is looked at, too
            continue
        if facts.st_uid == os.geteuid() and not facts.st_mode & 0o077:
            return None
        open_to = stat.S_IWOTH | (0 if _is_own_group(facts.st_gid) else stat.S_IWGRP)
        sticky = facts.st_mode & stat.S_ISVTX and part != path
        if facts.st_mode & open_to and not sticky:
            return part
    return None


def _is_own_group(group: int) -> bool:
    """Whether a group is the user's alone, as most systems make one for each user."""
    import grp
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
        facts = grp.getgrgid(group)
    except KeyError:
        return False
    return facts.gr_name == name and not set(facts.gr_mem) - {name}
