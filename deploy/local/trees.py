"""Processes remembered by pid *and* start time, and ended with everything they started.

A pid alone is not an identity: the kernel gives it to somebody else. Nothing here ever looks for
a process by its name.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

RUN_VARIABLE = "INSTACART_RUN"
"""Set to one random value in every process a supervisor starts: the last means of finding them."""


@dataclass(frozen=True, slots=True)
class Identity:
    pid: int
    started: float
    """Start time as the kernel counts it; comparable only with other values from ``of``."""

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The process that has ``pid`` now; None when there is none, or only its exit status is left."""
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                _reap(pid)
                return None
            return cls(pid, _started(process))
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            return None

    def is_alive(self) -> bool:
        return Identity.of(self.pid) == self


def spawn(command: Sequence[str], *, cwd: Path, log: Path, environ: Mapping[str, str] | None = None) -> Identity:
    """Start ``command`` in a session of its own, so that neither our end nor our Ctrl-C is its end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _spawned.add(process.pid)
    identity = Identity.of(process.pid) or Identity(process.pid, 0.0)
    process.returncode = 0  # from here on it is watched by its identity; Popen would warn that it still runs
    return identity


def _started(process: psutil.Process) -> float:
    """Clock ticks since boot where the kernel tells them: unlike a wall-clock time they survive a clock change."""
    stat = Path(f"/proc/{process.pid}/stat")
    if stat.exists():
        return float(stat.read_text().rpartition(")")[2].split()[19])
    return process.create_time()


def descendants(root: Identity) -> set[Identity]:
    try:
        children = psutil.Process(root.pid).children(recursive=True) if root.is_alive() else []
    except psutil.NoSuchProcess:
        return set()
    return {found for child in children if (found := Identity.of(child.pid))}


def tagged(run: str) -> set[Identity]:
    """Processes of ours that carry ``run`` in their environment, whoever their parent is by now."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(RUN_VARIABLE) == run:
                found.add(Identity.of(process.pid))
        except (psutil.Error, OSError):  # somebody else's, or gone meanwhile
            continue
    return {identity for identity in found if identity}


def send(identity: Identity, number: int) -> None:
    if identity.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(identity.pid, number)


def stop(root: Identity, *, first: int = signal.SIGTERM, grace_s: float = 10.0) -> None:
    """End ``root`` and all its descendants: ``first`` to the root alone, SIGKILL to whoever is left after ``grace_s``.

    Returns when none of them is alive any more.
    """
    family = {root} | descendants(root)
    send(root, first)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and any(one.is_alive() for one in family):
        family |= descendants(root)
        if not root.is_alive():  # orphans get the same signal once, then what is left of the time
            for one in family:
                send(one, signal.SIGTERM)
        time.sleep(0.02)
    kill(family)


def kill(identities: Iterable[Identity]) -> None:
    """SIGKILL, and wait until they are gone."""
    left = [identity for identity in identities if identity.is_alive()]
    for identity in left:
        send(identity, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(identity.is_alive() for identity in left):
        time.sleep(0.02)


_spawned: set[int] = set()


def _reap(pid: int) -> None:
    """Collect the exit status of what ``spawn`` started here: as a zombie it would still count as running to others."""
    if pid in _spawned:
        _spawned.discard(pid)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
