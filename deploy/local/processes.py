"""What ``./dev up`` runs, in one table.

The supervisor starts each entry as soon as those that it names in ``after`` are there.
"""

import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import postgres, redis
from deploy.local.installation import Installation
from deploy.local.layout import ROOT
from deploy.local.probes import http_answers

PYTHON = sys.executable
PROGRAMS = Path(sys.executable).parent
MANAGE = (PYTHON, "manage.py")


@dataclass(frozen=True, slots=True)
class Stamp:
    """Says whether a step's work is done already: it is while ``path`` holds ``value``."""

    path: Path
    value: str

    def is_current(self) -> bool:
        return self.path.exists() and self.path.read_text() == self.value

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    stop_signal: int = signal.SIGTERM
    grace_s: float = 10
    """How long after ``stop_signal`` it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Entry):
    """Runs once and must succeed."""

    stamp: Stamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Process(Entry):
    """Runs until told to stop, and is started again when it ends by itself."""

    is_ready: Callable[[], bool] | None = None
    """Asked until it says yes; without it a process counts as ready once it runs."""
    address: str = ""
    environ: dict[str, str] = field(default_factory=dict)


def table(installation: Installation) -> tuple[Step | Process, ...]:
    servers = tuple(f"postgres-{n}" for n, _ in enumerate(installation.postgres))
    cache = ("redis",) if installation.redis else ()
    sandbox = ("payments-sandbox",) if installation.sandbox_port else ()
    databases = ("databases",) if servers else ()
    demo = ("demo",) if installation.demo else ()
    entries: list[Step | Process] = [
        *_postgres(installation),
        *_redis(installation),
        *_databases(installation, after=servers),
        Step(name="migrate", command=(*MANAGE, "shard", "migrate"), after=databases, stamp=_migrated(installation)),
        Step(name="collectstatic", command=(*MANAGE, "collectstatic", "--noinput"), stamp=_collected(installation)),
        *_sandbox(installation),
        *_demo(installation, after=("migrate", *cache, *sandbox)),
        Process(
            name="web",
            command=(str(PROGRAMS / "uwsgi"), "--ini", "deploy/uwsgi.ini"),
            after=("migrate", "collectstatic", *cache),
            is_ready=lambda: http_answers(installation.web_port),
            address=installation.environ["PUBLIC_URL"],
            environ={"VIRTUAL_ENV": sys.prefix},
        ),
        Process(
            name="websockets",
            command=(
                *(PYTHON, "-m", "uvicorn", "instacart.asgi:application", "--no-access-log"),
                *("--host", "127.0.0.1", "--port", str(installation.websocket_port)),
                *("--timeout-graceful-shutdown", "3"),
            ),
            after=("migrate", *cache),
            is_ready=lambda: http_answers(installation.websocket_port),
            address=installation.environ["WEBSOCKET_URL"],
        ),
        *(_worker(name, queues, after=("migrate", *cache)) for name, queues in _workers(os.cpu_count() or 1).items()),
        Process(
            name="beat",
            # At INFO it writes a line for every task it sends, every second.
            command=(
                *_celery("beat", "--loglevel", "WARNING"),
                *("--schedule", str(installation.layout.run / "beat"), "--pidfile="),
            ),
            # The demo's past is lived with the clock set back; a planner of today must not meddle in it.
            after=("migrate", *cache, *demo),
        ),
    ]
    if installation.demo:
        after = ("demo", "web", "websockets")
        entries.append(Process(name="simulation", command=(*MANAGE, "simulate", "--demo"), after=after))
    return tuple(entries)


def _postgres(installation: Installation) -> list[Process]:
    return [
        Process(
            name=f"postgres-{n}",
            command=(PYTHON, "-m", "deploy.local.postgres", str(server.directory)),
            is_ready=server.is_ready,
            stop_signal=postgres.STOP_SIGNAL,
            grace_s=20,
            address=str(server.sockets),
        )
        for n, server in enumerate(installation.postgres)
    ]


def _redis(installation: Installation) -> list[Process]:
    if not (server := installation.redis):
        return []
    command = (PYTHON, "-m", "deploy.local.redis", str(server.directory))
    return [
        Process(
            name="redis",
            command=command,
            is_ready=server.is_ready,
            stop_signal=redis.STOP_SIGNAL,
            address=str(server.socket),
        )
    ]


def _databases(installation: Installation, *, after: tuple[str, ...]) -> list[Step]:
    if not installation.postgres:
        return []
    stamp = Stamp(installation.layout.postgres / "databases", ",".join(installation.databases()))
    return [Step(name="databases", command=(PYTHON, "-m", "deploy.local.databases"), after=after, stamp=stamp)]


def _sandbox(installation: Installation) -> list[Process]:
    if not (port := installation.sandbox_port):
        return []
    database = installation.layout.var / "payments.sqlite"
    return [
        Process(
            name="payments-sandbox",
            command=(
                *(PYTHON, "-m", "deploy.payments_sandbox"),
                *("--port", str(port), "--database", str(database)),
                *("--webhook-url", f"{installation.environ['PUBLIC_URL']}/webhooks/stripe/"),
            ),
            is_ready=lambda: http_answers(port, "/_sandbox/health"),
            address=f"http://127.0.0.1:{port}",
        )
    ]


def _demo(installation: Installation, *, after: tuple[str, ...]) -> list[Step]:
    """The demo city. ``load_demo`` itself leaves a city alone that is there; our own databases we need not even ask."""
    if not installation.demo:
        return []
    stamp = Stamp(installation.layout.postgres / "demo", "loaded") if installation.postgres else None
    return [Step(name="demo", command=(*MANAGE, "load_demo"), after=after, stamp=stamp)]


def _celery(*arguments: str) -> tuple[str, ...]:
    return (PYTHON, "-m", "celery", "-A", "celery_app.app", *arguments)


def _worker(name: str, queues: str, *, after: tuple[str, ...]) -> Process:
    command = _celery("worker", "--queues", queues, "--hostname", f"{name}@%h", "--pool", "prefork", "-c", "2")
    command = (*command, "--loglevel", "INFO")
    return Process(name=name, command=(*command, "--without-mingle", "--without-gossip"), after=after, grace_s=15)


def _workers(cores: int) -> dict[str, str]:
    """Worker name -> its queues. What people wait for never stands behind what they don't."""
    if cores <= 2:
        return {"worker-critical": "critical,dispatch", "worker-events": "events,bulk"}
    return {f"worker-{queue}": queue for queue in ("critical", "dispatch", "events", "bulk")}


def _migrated(installation: Installation) -> Stamp | None:
    """Kept beside the data it speaks of, so that both vanish together; other people's databases are asked each time."""
    if not installation.postgres:
        return None
    sources = [*ROOT.glob("apps/*/migrations/*.py"), *ROOT.glob("sharding/**/*.py"), ROOT / "requirements.txt"]
    return Stamp(installation.layout.postgres / "migrated", _digest(sources, installation.environ["DATABASE_URLS"]))


def _collected(installation: Installation) -> Stamp:
    sources = [*ROOT.glob("apps/*/static/**/*"), ROOT / "requirements.txt", ROOT / "instacart" / "settings.py"]
    return Stamp(installation.layout.var / "static" / ".collected", _digest(sources, sys.prefix))


def _digest(paths: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256("\n".join(more).encode())
    for path in sorted(set(paths)):
        if path.is_file():
            digest.update(f"\n{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
