"""Folders for Unix sockets: private to one account, and short enough for the kernel."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

LONGEST_PATH = 107
"""Bytes in ``sockaddr_un.sun_path`` without the closing zero."""


class UnsafeFolder(RuntimeError):
    """A folder with the name we want exists and belongs to somebody else."""


def folder(preferred: Path, name: str, owner: tuple[int, int] | None = None) -> Path:
    """``preferred``, or where the socket's path would be too long (or hard to quote), a short folder of mode 0700.

    ``name`` is the socket's file name. ``owner`` (uid, gid) is who will listen there; by default, us.
    """
    path = str(preferred / name)
    if len(os.fsencode(path)) <= LONGEST_PATH and re.fullmatch(r"[\w./+@-]+", path, re.ASCII):
        return preferred
    digest = hashlib.sha256(os.fsencode(preferred)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"instacart-{os.geteuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    uid, gid = owner or (os.geteuid(), os.getegid())
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {uid, os.geteuid()} or found.st_mode & 0o077:
        raise UnsafeFolder(f"{short} is not a private folder of ours; remove it or set TMPDIR to another place")
    if found.st_uid != uid:
        os.chown(short, uid, gid)
    return short
