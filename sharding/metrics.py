"""What a monitoring system sees of the databases, in Prometheus's terms. ``README.md`` lists the names.

Labels are aliases and a few words, never rows or statements. Measuring one statement costs half a microsecond, and one
and a half where processes share their figures: ``PROMETHEUS_MULTIPROC_DIR`` names a folder of all processes that one
scrape shall speak for.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _shared_folder() -> Path | None:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder) if folder else None


if folder := _shared_folder():
    folder.mkdir(parents=True, exist_ok=True)  # the client would end the process at its first measurement

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0)

Kind = Literal["deadline", "unreachable", "lost", "left_alone", "conflict", "constraint", "statement"]
"""No answer in time · no connection · a connection cut · not asked, by the breaker · lost a race · a constraint said no
· anything else the server said."""

_statements = Histogram(
    "sharding_statement_seconds", "What callers waited for each answer.", ["database"], buckets=SECONDS
)
_errors = Counter("sharding_errors", "Statements without a good end, by kind.", ["database", "kind"])
_breaker = Gauge(
    "sharding_breaker_open", "1 while the database is left alone.", ["database"], multiprocess_mode="livemax"
)
_epoch = Gauge("sharding_map_epoch", "The oldest map that a process goes by.", multiprocess_mode="livemin")
_confirmed = Gauge(
    "sharding_map_confirmed_timestamp_seconds", "When the directory last confirmed it.", multiprocess_mode="livemin"
)
_moves = Gauge("sharding_move_progress", "From 0 to 1.", ["move"], multiprocess_mode="livemostrecent")
_known_moves: set[str] = set()
_lag = Gauge(
    "sharding_replica_lag_seconds", "How far a replica is behind.", ["database"], multiprocess_mode="livemostrecent"
)


def statements(database: str) -> Callable[[float], None]:
    """To be called with the seconds that each of the database's answers took."""
    return _statements.labels(database).observe


def error(database: str, kind: Kind) -> None:
    _errors.labels(database, kind).inc()


def kind_of(sqlstate: str | None) -> Kind:
    """For what the server itself said."""
    if sqlstate and sqlstate.startswith("40"):
        return "conflict"
    return "constraint" if sqlstate and sqlstate.startswith("23") else "statement"


def breaker(database: str, *, is_open: bool) -> None:
    _breaker.labels(database).set(is_open)


def shard_map(*, epoch: int, confirmed_at: float) -> None:
    """``confirmed_at`` is Unix time; how old the lease is, is for the monitoring system to subtract."""
    _epoch.set(epoch)
    _confirmed.set(confirmed_at)


def moves(progress: Mapping[str, float]) -> None:
    """How far each move has come, from 0 to 1; what was said about others is taken back."""
    for name, done in progress.items():
        _moves.labels(name).set(done)
    if not _shared_folder():  # files of several processes only grow
        for name in _known_moves.difference(progress):
            _moves.remove(name)
        _known_moves.intersection_update(progress)
    _known_moves.update(progress)


def replica_lag(database: str, seconds: float) -> None:
    _lag.labels(database).set(seconds)


def rendered() -> bytes:
    """Everything measured, this library's and whatever else the process registered, as one page of text."""
    folder = _shared_folder()
    if folder is None:
        return generate_latest(REGISTRY)
    _forget_gauges_of_the_dead(folder)
    together = CollectorRegistry()
    multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)


def _forget_gauges_of_the_dead(folder: Path) -> None:
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not _is_alive(pid):
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but there
    return True
