"""``up`` and ``down`` as seen by the person who typed them; the work is the supervisor's."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local import console, ports, testservers, trees
from deploy.local import state as states
from deploy.local.installation import Installation
from deploy.local.layout import ROOT, Layout
from deploy.local.state import State

LONGEST_STEP_S = 600
"""Nothing may go without any progress for longer."""
DOCTOR_WAITS_S = 60
LONGEST_STOP_S = 60


class NotUp(RuntimeError):
    """Something did not start; the message says what and where to look."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, a closed terminal, or ``kill``."""


def up(installation: Installation, *, foreground: bool) -> int:
    layout = installation.layout
    layout.make()
    if running_state(layout):
        console.note("Already running.")
        say_addresses(installation)
        return _stay(layout) if foreground else 0
    _clear_leftovers(layout)
    for port, variable in _ports(installation):
        if found := ports.taken(port, variable):
            console.failed(str(found))
            return 1
    installation.remember_ports()
    began = time.monotonic()
    with _interruptible():
        try:
            _start_supervisor(installation)
            _follow(layout)
            _doctor(installation)
        except NotUp as failure:
            console.failed(str(failure))
            return _after_failure(layout)
        except Interrupted:
            console.note("Interrupted: stopping what was started.")
            down(layout)
            return 130
        say_addresses(installation)
        console.say(console.paint(f"Ready in {time.monotonic() - began:.1f} s. Stop with ./dev down.", console.DIM))
        return _stay(layout) if foreground else 0


def down(layout: Layout) -> int:
    """Stop the supervisor and, should it be dead, whatever it had started. Says what it did; 0 when nothing is left."""
    state = states.read(layout.state)
    had_anything = False
    if state and state.supervisor.is_alive():
        had_anything = True
        began = time.monotonic()
        trees.send(state.supervisor, signal.SIGTERM)
        while state.supervisor.is_alive() and time.monotonic() - began < LONGEST_STOP_S:
            current = states.read(layout.state) or state
            console.progress(f"stopping {', '.join(_names(current, states.STOPPING)[:4])}")
            time.sleep(0.05)
        state = states.read(layout.state) or state
        if state.supervisor.is_alive():
            trees.stop(state.supervisor, first=signal.SIGKILL)
    had_anything |= _clear_leftovers(layout)
    console.done("Everything is stopped." if had_anything else "Nothing was running.")
    return 0


def running_state(layout: Layout) -> State | None:
    """The state of a supervisor that is alive."""
    state = states.read(layout.state)
    return state if state and state.supervisor.is_alive() else None


def say_addresses(installation: Installation) -> None:
    moved = {
        str(server.directory.resolve().parent) for server in installation.postgres if server.directory.is_symlink()
    }
    for place in moved:
        console.note(f"PostgreSQL may not run as root and its account cannot enter this folder: its data is in {place}")
    base = installation.environ["PUBLIC_URL"]
    console.say()
    if installation.demo:
        for role, what in [
            ("customer", "orders groceries"),
            ("shopper", "picks and delivers"),
            ("store", "sees the store's orders"),
            ("admin", "runs it all"),
        ]:
            console.say(f"  {console.paint(f'{role:<9}', console.BOLD)} {base}/demo/?as={role:<9} {what}")
    else:
        console.say(f"  {base}/")
    if installation.sandbox_port:
        console.say(console.paint("  Payments go to a sandbox here; set STRIPE_SECRET_KEY for Stripe.", console.DIM))
    console.say()


def _ports(installation: Installation) -> list[tuple[int, str]]:
    wanted = [(installation.web_port, "PORT"), (installation.websocket_port, "WS_PORT")]
    return wanted + ([(installation.sandbox_port, "SANDBOX_PORT")] if installation.sandbox_port else [])


def _start_supervisor(installation: Installation) -> None:
    layout = installation.layout
    layout.state.unlink(missing_ok=True)
    log = layout.log / "supervisor.log"
    process = trees.spawn(
        [sys.executable, "-m", "deploy.local.supervisor"], cwd=ROOT, log=log, environ=installation.environ
    )
    while not running_state(layout):
        if not process.is_alive():
            raise NotUp(f"The supervisor ended at once; look at {log}")
        time.sleep(0.02)


def _follow(layout: Layout) -> None:
    """Say what is there as it comes, until all of it is. Raises ``NotUp`` when something will not come."""
    said: set[str] = set()
    last_change = time.monotonic()
    while True:
        state = running_state(layout)
        if state is None:
            raise NotUp(f"The supervisor died; look at {layout.log / 'supervisor.log'}")
        for child in state.children:
            if child.name not in said and child.state in {states.RUNNING, states.DONE}:
                console.done(f"{child.name}{' (nothing to do)' if child.message else ''}", child.seconds)
                said.add(child.name)
                last_change = time.monotonic()
        if state.failures():
            raise NotUp("\n".join(_obituary(layout, child) for child in state.failures()))
        if state.is_complete():
            return
        if time.monotonic() - last_change > LONGEST_STEP_S:
            raise NotUp(f"No progress: {', '.join(_names(state, states.STARTING))}; look at ./dev logs NAME")
        console.progress(f"{', '.join(_names(state, states.STARTING, states.BROKEN)) or 'starting'} …")
        time.sleep(0.05)


def _doctor(installation: Installation) -> None:
    console.progress("doctor looks at everything …")
    began = time.monotonic()
    command = [sys.executable, "manage.py", "doctor", "--json", "--wait", str(DOCTOR_WAITS_S)]
    log = installation.layout.log / "doctor.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=installation.environ, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    try:
        output, _ = process.communicate(timeout=DOCTOR_WAITS_S + 60)
    except subprocess.TimeoutExpired as error:
        raise NotUp("The doctor did not come back; ./dev doctor says more") from error
    finally:
        process.kill()
        process.wait()
    if not output.strip():
        raise NotUp(f"The doctor could not work; look at {log}")
    checks = json.loads(output)["checks"]
    wrong = [check for check in checks if not check["ok"]]
    if wrong:
        lines = [f"{check['name']}: {check['detail']}. {check['advice']}" for check in wrong]
        raise NotUp("\n".join(["Everything was started, but the doctor is not content:", *lines]))
    console.done(f"doctor: {len(checks)} checks", time.monotonic() - began)


def _after_failure(layout: Layout) -> int:
    """While something still waits for what has failed, nothing works: stop. Else leave the others to be looked at."""
    state = running_state(layout)
    if state is None or _names(state, states.WAITING):
        down(layout)
    else:
        console.note("The rest is running: ./dev status shows it, ./dev down stops it.")
    return 1


def _obituary(layout: Layout, child: states.Child) -> str:
    log = layout.log / f"{child.name}.log"
    lines = log.read_text(errors="replace").rpartition("\n--- ")[2].splitlines() if log.exists() else []
    tail = lines[1:][-8:]  # of its last run, without the command
    return "\n".join([f"{child.name} {child.message}", *(f"    {line}" for line in tail)])


def _names(state: State, *wanted: str) -> list[str]:
    return [child.name for child in state.children if child.state in wanted]


def _stay(layout: Layout) -> int:
    """Until interrupted, or until somebody else stops the servers."""
    with _interruptible():
        try:
            while running_state(layout):
                time.sleep(0.3)
        except Interrupted:
            console.say()
            return down(layout)
    console.note("Stopped from elsewhere.")
    return 0


def _clear_leftovers(layout: Layout) -> bool:
    """End what a supervisor that died without notice has left, and the servers of the tests. True if there was any."""
    installation = Installation.read(os.environ | {"INSTACART_VAR": str(layout.var)})
    found = False
    if state := states.read(layout.state):
        left = [child.identity for child in state.children if child.identity and child.identity.is_alive()]
        for identity in reversed(left):  # servers stand at the top of the table, and end last
            trees.stop(identity, grace_s=5)
        strays = trees.tagged(state.run)
        trees.kill(strays)
        found = bool(left or strays)
    for server in installation.servers():
        if server.identity():
            found = True
            server.stop()
    if testservers.is_running():
        found = True
        testservers.stop()
    return found


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn these signals into ``Interrupted``, once: an impatient second Ctrl-C must not break off the tidying up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(number: int, frame: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def forget(installation: Installation) -> None:
    """Delete the data of servers that are stopped. Secrets stay: they belong to the installation, not to the data."""
    for server in installation.postgres:
        server.remove()
    shutil.rmtree(installation.layout.postgres, ignore_errors=True)
    if installation.redis:
        installation.redis.remove()
    for leftover in installation.layout.var.glob("payments.sqlite*"):
        leftover.unlink()
    shutil.rmtree(installation.layout.var / "media", ignore_errors=True)
