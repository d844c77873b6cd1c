"""PostgreSQL refuses to run as root. As root we start it under an account that owns nothing else here.

The checkout may lie where that account cannot go (``/root``). Then its data and a copy of the
server's programs live under ``/var/lib``, and ``var/postgres/<n>`` is a link to there.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ACCOUNTS = ("postgres", "nobody")


class NoAccount(RuntimeError):
    """We are root and the machine has no account to give the server to."""


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int

    def can_use(self, *, folder: Path, program: Path) -> bool:
        """Whether it can enter ``folder`` and run ``program``; asked of the kernel, not guessed from mode bits."""
        script = 'cd "$1" && test -x "$2"'
        command = ["/bin/sh", "-c", script, "sh", str(folder), str(program)]
        drop = {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.run(command, cwd="/", stderr=subprocess.DEVNULL, check=False, **drop).returncode == 0  # type: ignore[call-overload,no-any-return]

    def become(self) -> None:
        """Give up root for good, in this process."""
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)


def account() -> Account | None:
    """Whom servers must run as; None when we are not root and can be ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise NoAccount(f"PostgreSQL does not run as root, and this machine has none of the accounts {', '.join(ACCOUNTS)}")


def refuge(directory: Path) -> Path:
    """Where ``directory`` lives when its account cannot reach it: one folder outside the checkout for each parent."""
    digest = hashlib.sha256(os.fsencode(directory.parent)).hexdigest()[:10]
    return Path("/var/lib") / f"instacart-{digest}"


def copy_of(packages: Path, names: Sequence[str], target: Path) -> Path:
    """``target`` with the folders ``names`` of ``packages`` in it, readable by all; copied when they have changed.

    Several, because a wheel's programs look for their libraries beside their own package. Safe to call from several
    processes at a time.
    """
    stamp = "\n".join(f"{name} {(packages / name).stat().st_mtime_ns}" for name in names)
    done = target.with_suffix(".complete")
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != stamp:
            shutil.rmtree(target, ignore_errors=True)
            for name in names:
                shutil.copytree(packages / name, target / name, symlinks=True)
            for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
                folder.chmod(0o755)
            done.write_text(stamp)
    return target
