"""The supervisor with real processes: order, restarts, giving up, and an end that leaves nobody."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local import state as states
from deploy.local import supervisor as supervisors
from deploy.local import trees
from deploy.local.layout import Layout
from deploy.local.processes import Process, Stamp, Step
from deploy.local.supervisor import Supervisor

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
FAMILY = (sys.executable, "-c", "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)")
DEAF = (sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(60)")
DEAF_CHILD = (sys.executable, "-c", f"import subprocess; subprocess.Popen({list(DEAF)!r}).wait()")


def says(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"print({text!r})")


@contextmanager
def supervised(tmp_path: Path, *table: Process | Step) -> Iterator[Supervisor]:
    layout = Layout(tmp_path)
    layout.make()
    supervisor = Supervisor(table, layout, dict(os.environ))
    try:
        yield supervisor
    finally:
        supervisor.stop()
        supervisor.run()


def until(supervisor: Supervisor, condition: Callable[[], bool], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, states.read(supervisor.layout.state)
        supervisor.tick(time.monotonic())
        time.sleep(0.01)


def states_of(supervisor: Supervisor) -> dict[str, str]:
    return {name: child.state for name, child in supervisor.children.items()}


def test_each_starts_when_those_before_it_are_there(tmp_path: Path):
    order = tmp_path / "order"
    write = "import sys; open(sys.argv[1], 'a').write(sys.argv[2])"
    table = [
        Process(name="last", command=SLEEP, after=("second",)),
        Step(name="second", command=(sys.executable, "-c", write, str(order), "2"), after=("first", "server")),
        Step(name="first", command=(sys.executable, "-c", write, str(order), "1")),
        Process(name="server", command=SLEEP, is_ready=order.exists),
    ]
    with supervised(tmp_path, *table) as supervisor:
        until(supervisor, lambda: states_of(supervisor)["last"] == states.RUNNING)
        assert order.read_text() == "12"
        state = states.read(supervisor.layout.state)
        assert state.is_complete()
        assert {child.name: child.state for child in state.children} == {
            "last": "running",
            "second": "done",
            "first": "done",
            "server": "running",
        }


def test_a_failed_step_stops_what_comes_after_it(tmp_path: Path):
    bad = Step(name="bad", command=(sys.executable, "-c", "print('why'); raise SystemExit(3)"))
    with supervised(tmp_path, bad, Process(name="after", command=SLEEP, after=("bad",))) as supervisor:
        until(supervisor, lambda: states_of(supervisor)["bad"] == states.FAILED)
        supervisor.tick(time.monotonic())
        assert states_of(supervisor)["after"] == states.WAITING
        (failure,) = states.read(supervisor.layout.state).failures()
        assert failure.message == "ended with code 3; look at ./dev logs bad"
        assert "why" in (supervisor.layout.log / "bad.log").read_text()


def test_work_that_is_done_is_not_done_again(tmp_path: Path):
    step = Step(name="once", command=says("working"), stamp=Stamp(tmp_path / "stamp", "v1"))
    for _ in range(2):
        with supervised(tmp_path, step) as supervisor:
            until(supervisor, lambda: states_of(supervisor)["once"] == states.DONE)
    log = supervisor.layout.log / "once.log"
    assert log.read_text().splitlines()[1:] == ["working"]
    changed = Step(name="once", command=says("working"), stamp=Stamp(tmp_path / "stamp", "v2"))
    with supervised(tmp_path, changed) as supervisor:
        until(supervisor, lambda: states_of(supervisor)["once"] == states.DONE)
    assert log.read_text().count("\nworking") == 2


def test_who_dies_is_started_again(tmp_path: Path):
    with supervised(tmp_path, Process(name="worker", command=FAMILY)) as supervisor:
        worker = supervisor.children["worker"]
        until(supervisor, lambda: worker.identity is not None and len(trees.descendants(worker.identity)) == 1)
        first = worker.identity
        (child,) = trees.descendants(first)
        os.kill(first.pid, signal.SIGKILL)
        until(supervisor, lambda: worker.state == states.RUNNING and worker.identity not in (None, first))
        assert worker.restarts == 1
        assert not child.is_alive()


def test_who_keeps_dying_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisors, "LONGEST_PAUSE_S", 0.01)
    crash = Process(name="crash", command=(sys.executable, "-c", "raise SystemExit(7)"))
    with supervised(tmp_path, crash, Process(name="other", command=SLEEP)) as supervisor:
        until(supervisor, lambda: states_of(supervisor)["crash"] == states.FAILED)
        assert supervisor.children["crash"].restarts == 5
        assert supervisor.children["crash"].message == (
            "ended with code 7, 6 times in a minute; look at ./dev logs crash"
        )
        assert states_of(supervisor)["other"] == states.RUNNING


def test_the_end_leaves_nobody_not_even_the_deaf(tmp_path: Path):
    table = [
        Process(name="server", command=SLEEP),
        Process(name="family", command=FAMILY, after=("server",)),
        Process(name="deaf", command=DEAF_CHILD, after=("server",), grace_s=0.5),
    ]
    with supervised(tmp_path, *table) as supervisor:
        log = supervisor.layout.log / "deaf.log"
        until(supervisor, lambda: log.exists() and "\ndeaf" in log.read_text())
        until(supervisor, lambda: len(trees.tagged(supervisor.run_id)) == 5)
        everybody = trees.tagged(supervisor.run_id)
        began = time.monotonic()
    assert [one for one in everybody if one.is_alive()] == []
    assert time.monotonic() - began < 5
    assert set(states_of(supervisor).values()) == {states.STOPPED}


def test_servers_end_after_those_who_use_them(tmp_path: Path):
    order = tmp_path / "order"
    leave = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(0.2)\n"
        "    open(sys.argv[1], 'a').write(sys.argv[2])\n"
        "    sys.exit()\n"
        "signal.signal(15, end)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    table = [
        Process(name="s", command=(sys.executable, "-c", leave, str(order), "s")),
        Step(name="between", command=says("x"), after=("s",)),
        Process(name="w", command=(sys.executable, "-c", leave, str(order), "w"), after=("between",)),
    ]
    with supervised(tmp_path, *table) as supervisor:
        logs = [supervisor.layout.log / f"{name}.log" for name in "sw"]
        until(supervisor, lambda: all(log.exists() and "\nready" in log.read_text() for log in logs))
    assert order.read_text() == "ws"


def test_a_recycled_pid_is_nobody_we_know():
    itself = trees.Identity.of(os.getpid())
    stranger = trees.Identity(itself.pid, itself.started - 1)
    assert itself.is_alive()
    assert not stranger.is_alive()
    trees.stop(stranger, first=signal.SIGKILL, grace_s=0)  # and this process lives on


def test_a_log_is_capped_under_its_writer(tmp_path: Path):
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 101)
        supervisors.cap(log, limit=100)
        writer.write(b"next")
    assert log.read_bytes() == b"next"
    assert (tmp_path / "web.log.1").read_bytes() == b"x" * 101
    supervisors.cap(log, limit=100)
    assert log.read_bytes() == b"next"
