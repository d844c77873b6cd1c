"""Starts the table of ``processes`` in order, keeps it running, and leaves nothing behind.

``python -m deploy.local.supervisor`` runs in the background; whoever wants to know reads ``var/run/state.json``, and
whoever wants it to end sends SIGTERM. One supervisor per ``var/``: it holds a lock.
"""

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import processes, trees
from deploy.local import state as states
from deploy.local.installation import Installation
from deploy.local.layout import ROOT, Layout
from deploy.local.processes import Process, Step
from deploy.local.state import BROKEN, DONE, FAILED, RUNNING, STARTING, STOPPED, STOPPING, WAITING

TICK_S = 0.05
MOST_RESTARTS = 5
RESTART_WINDOW_S = 60
LONGEST_PAUSE_S = 8
PROBE_EVERY_S = 0.2
LOG_LIMIT_BYTES = 10 * 1024 * 1024
LOG_CHECK_EVERY_S = 10


@dataclass(slots=True)
class Watched:
    """One entry of the table, and what has become of it."""

    entry: Process | Step
    state: str = WAITING
    process: subprocess.Popen[bytes] | None = None
    identity: trees.Identity | None = None
    since: float = field(default_factory=time.time)
    started_at: float = 0
    seconds: float = 0
    restarts: int = 0
    message: str = ""
    ends: deque[float] = field(default_factory=deque)
    """When it ended by itself lately."""
    due: float = 0
    """Not before this it is started again, probed again, or killed, by state."""
    probe: Future[bool] | None = None
    """The question whether it is ready, while it is being asked."""

    def turn(self, state: str, message: str = "") -> None:
        self.state, self.message, self.since = state, message, time.time()


class Supervisor:
    def __init__(self, table: Sequence[Process | Step], layout: Layout, environ: dict[str, str]) -> None:
        self.run_id = secrets.token_hex(12)
        self.layout = layout
        self.environ = environ | {trees.RUN_VARIABLE: self.run_id, "PYTHONUNBUFFERED": "1"}
        self.children = {entry.name: Watched(entry) for entry in table}
        self.is_stopping = False
        self._written = ""
        self._probes = ThreadPoolExecutor(max_workers=8, thread_name_prefix="probe")
        self._logs_checked = 0.0
        itself = trees.Identity.of(os.getpid())
        if itself is None:
            raise RuntimeError("the kernel does not know this process")
        self.identity = itself

    def run(self) -> None:
        """Until told to stop *and* nothing of it is left."""
        while not (self.is_stopping and self._all_stopped()):
            self.tick(time.monotonic())
            time.sleep(TICK_S)
        trees.kill(trees.tagged(self.run_id))
        self._probes.shutdown(wait=False, cancel_futures=True)
        self._publish()

    def stop(self) -> None:
        self.is_stopping = True

    def tick(self, now: float) -> None:
        for child in self.children.values():
            if self.is_stopping:
                self._wind_down(child, now)
            else:
                self._advance(child, now)
        if now - self._logs_checked > LOG_CHECK_EVERY_S:
            self._logs_checked = now
            for child in self.children.values():
                cap(self._log(child))
        self._publish()

    # Up.

    def _advance(self, child: Watched, now: float) -> None:
        entry = child.entry
        if child.state == WAITING and self._may_start(child):
            if isinstance(entry, Step) and entry.stamp and entry.stamp.is_current():
                child.turn(DONE, "nothing to do")
            else:
                self._start(child, now)
        elif child.state == BROKEN and now >= child.due:
            self._start(child, now)
        elif child.process and (code := child.process.poll()) is not None:
            self._ended(child, code, now)
        elif child.state == STARTING and isinstance(entry, Process) and self._is_ready(child, entry, now):
            child.seconds = now - child.started_at
            child.turn(RUNNING)

    def _is_ready(self, child: Watched, entry: Process, now: float) -> bool:
        """Asks in a thread: one that is slow to answer must not hold up the others."""
        if entry.is_ready is None:
            return True
        if child.probe is None:
            if now >= child.due:
                child.probe = self._probes.submit(entry.is_ready)
            return False
        if not child.probe.done():
            return False
        answer, child.probe = child.probe.result(), None
        child.due = now + PROBE_EVERY_S
        return answer

    def _may_start(self, child: Watched) -> bool:
        return all(self.children[name].state in {RUNNING, DONE} for name in child.entry.after)

    def _start(self, child: Watched, now: float) -> None:
        more = child.entry.environ if isinstance(child.entry, Process) else {}
        with self._log(child).open("ab") as log:
            log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(child.entry.command)}\n".encode())
            log.flush()
            child.process = subprocess.Popen(
                child.entry.command,
                cwd=ROOT,
                env=self.environ | more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        child.identity = trees.Identity.of(child.process.pid)
        child.started_at, child.due, child.probe = now, 0, None
        child.turn(STARTING)

    def _ended(self, child: Watched, code: int, now: float) -> None:
        """It ended by itself: right for a step, wrong for anything else."""
        self._sweep(child)
        why = f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
        if isinstance(child.entry, Step):
            child.seconds = now - child.started_at
            if code == 0:
                if child.entry.stamp:
                    child.entry.stamp.write()
                child.turn(DONE)
            else:
                child.turn(FAILED, f"{why}; look at ./dev logs {child.entry.name}")
            return
        child.ends.append(now)
        while child.ends[0] < now - RESTART_WINDOW_S:
            child.ends.popleft()
        if len(child.ends) > MOST_RESTARTS:
            child.turn(FAILED, f"{why}, {len(child.ends)} times in a minute; look at ./dev logs {child.entry.name}")
            return
        child.restarts += 1
        child.due = now + min(0.25 * 2 ** len(child.ends), LONGEST_PAUSE_S)
        child.turn(BROKEN, why)

    def _sweep(self, child: Watched) -> None:
        """Whoever is left of the session of a child that died without its family."""
        if child.process:
            session = child.process.pid
            trees.kill([one for one in trees.tagged(self.run_id) if _session(one.pid) == session])
        child.process, child.identity = None, None

    # Down.

    def _wind_down(self, child: Watched, now: float) -> None:
        """Signal it once nobody who needs it is alive; kill it when its time is over."""
        if child.process is None:
            if child.state not in {FAILED, DONE, STOPPED}:
                child.turn(STOPPED)
        elif child.process.poll() is not None:
            self._sweep(child)
            child.turn(STOPPED)
        elif child.state != STOPPING:
            if not self._is_needed(child):
                child.process.send_signal(child.entry.stop_signal)
                child.due = now + child.entry.grace_s
                child.turn(STOPPING)
        elif now >= child.due and child.identity:
            trees.kill({child.identity} | trees.descendants(child.identity))

    def _is_needed(self, child: Watched) -> bool:
        name = child.entry.name
        return any(other.process and self._rests_on(other.entry.name, name) for other in self.children.values())

    def _rests_on(self, name: str, other: str) -> bool:
        """Directly or through steps between them."""
        after = self.children[name].entry.after
        return other in after or any(self._rests_on(between, other) for between in after)

    def _all_stopped(self) -> bool:
        return all(child.process is None for child in self.children.values())

    # For the others.

    def _publish(self) -> None:
        state = states.State(
            run=self.run_id,
            supervisor=self.identity,
            children=tuple(
                states.Child(
                    name=child.entry.name,
                    state=child.state,
                    identity=child.identity,
                    is_step=isinstance(child.entry, Step),
                    seconds=child.seconds,
                    since=child.since,
                    restarts=child.restarts,
                    address=child.entry.address if isinstance(child.entry, Process) else "",
                    message=child.message,
                )
                for child in self.children.values()
            ),
        )
        if (text := repr(state)) != self._written:
            states.write(self.layout.state, state)
            self._written = text

    def _log(self, child: Watched) -> Path:
        return self.layout.log / f"{child.entry.name}.log"


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def cap(log: Path, limit: int = LOG_LIMIT_BYTES) -> None:
    """Copy a log that grew over ``limit`` to ``NAME.log.1`` and empty it; its writer appends and notices nothing."""
    if log.exists() and log.stat().st_size > limit:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


def main() -> int:
    installation = Installation.read(os.environ)
    installation.layout.make()
    with (installation.layout.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another supervisor is at work in this folder", flush=True)
            return 1
        supervisor = Supervisor(processes.table(installation), installation.layout, installation.environ)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.stop())
        supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
