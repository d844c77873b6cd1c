"""The checks of ``manage.py doctor``: each looks at one thing and answers with one line.

A check returns what it found or raises ``Wrong`` with what to do. It does not wait longer than a few seconds for
anything, and it never changes anything.
"""

import shutil
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
from celery import Celery
from django.core.cache import cache
from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django_redis import get_redis_connection
from django_redis.exceptions import ConnectionInterrupted
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

import sharding
from apps.stores import selectors as stores
from celery_app.conf import QUEUES
from celery_app.tasks import HEARTBEAT_KEY

ANSWER_S = 2.0
LOOK_S = 10.0
"""How long one check may wait for databases: this process is patient otherwise."""
PING_S = 3.0
HEARTBEAT_STALE_S = 30
LEAST_DISK_BYTES = 500 * 1024 * 1024
MOST_CLOCK_DIFFERENCE_S = 1.0
DATABASE_ERRORS = (DatabaseError, psycopg.Error)
CACHE_ERRORS = (RedisError, ConnectionInterrupted, OSError)
BROKER_ERRORS = (KombuError, RedisError, OSError)


class Wrong(Exception):
    """Something needs attention: ``detail`` says what was found, ``advice`` what to do."""

    def __init__(self, detail: str, advice: str) -> None:
        super().__init__(detail)
        self.detail, self.advice = detail, advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    name: str
    ok: bool
    detail: str
    advice: str


Look = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    look: Look
    settles: bool = False
    """Whether a bad answer may turn good by itself within seconds of a start."""


def examine(check: Check) -> Finding:
    try:
        with sharding.deadline(LOOK_S):
            return Finding(name=check.name, ok=True, detail=check.look(), advice="")
    except Wrong as wrong:
        return Finding(name=check.name, ok=False, detail=wrong.detail, advice=wrong.advice)


def database_answers(alias: str) -> str:
    """Reachable and set up for online moves."""
    try:
        with sharding.deadline(ANSWER_S), connections[alias].cursor() as cursor:
            cursor.execute("SHOW wal_level")
            level = cursor.fetchone()[0]
    except DATABASE_ERRORS as error:
        raise Wrong(
            f"cannot be reached: {_first_line(error)}", "start it (./dev up) or correct DATABASE_URLS"
        ) from error
    if level != "logical":
        raise Wrong(f"wal_level is {level}", "set wal_level=logical on that server and restart it: moves need it")
    return "answers, wal_level=logical"


def database_is_migrated(alias: str) -> str:
    try:
        executor = MigrationExecutor(connections[alias])
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DATABASE_ERRORS as error:
        raise Wrong("unknown: it cannot be reached", "see the line above") from error
    if pending:
        first = pending[0][0]
        raise Wrong(f"{len(pending)} migrations pending, first {first}", "run ./dev manage shard migrate")
    return "all migrations applied"


def clocks_agree(aliases: Sequence[str]) -> str:
    """Between this machine and every server: expiries and ids are compared across them."""
    differences = {}
    for alias in aliases:
        try:
            with connections[alias].cursor() as cursor:
                before = time.time()
                cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
                differences[alias] = abs(cursor.fetchone()[0] - (before + time.time()) / 2)
        except DATABASE_ERRORS as error:
            raise Wrong(f"{alias} cannot be reached", "see its own line") from error
    worst = max(differences, key=lambda alias: differences[alias])
    if differences[worst] > MOST_CLOCK_DIFFERENCE_S:
        raise Wrong(f"{worst} is {differences[worst]:.1f} s away from this machine", "synchronise the clocks (NTP)")
    return f"at most {differences[worst] * 1000:.0f} ms apart"


def redis_answers() -> str:
    try:
        memory = get_redis_connection("default").info("memory")
    except CACHE_ERRORS as error:
        raise Wrong(f"cannot be reached: {_first_line(error)}", "start it (./dev up) or correct REDIS_URL") from error
    limit = int(memory["maxmemory"])
    if limit and int(memory["used_memory"]) > 0.9 * limit:
        raise Wrong(f"{memory['used_memory_human']} of {memory['maxmemory_human']} used", "give it more maxmemory")
    return f"answers, {memory['used_memory_human']} used"


def queues_are_worked(app: Celery) -> str:
    """Every queue has a worker that answers. Asks again for ``PING_S`` while an answer is missing."""
    answers: dict[str, list[dict[str, Any]]] = {}
    deadline = time.monotonic() + PING_S
    while missing := _unworked(answers):
        if time.monotonic() > deadline:
            raise Wrong(f"nobody works on {', '.join(missing)}", "look at ./dev status and ./dev logs worker-…")
        try:
            with app.connection_for_write(transport_options={"max_retries": 1}) as connection:
                inspect = app.control.inspect(timeout=PING_S / 6, connection=connection)
                answers |= inspect.active_queues() or {}
        except BROKER_ERRORS as error:
            raise Wrong("the broker cannot be reached", "see the line of Redis") from error
    return f"{len(answers)} workers on {', '.join(QUEUES)}"


def _unworked(answers: dict[str, list[dict[str, Any]]]) -> list[str]:
    worked = {queue["name"] for queues in answers.values() for queue in queues}
    return [queue for queue in QUEUES if queue not in worked]


def beat_is_alive(now: float) -> str:
    try:
        beaten = cache.get(HEARTBEAT_KEY)
    except CACHE_ERRORS as error:
        raise Wrong("unknown: Redis cannot be reached", "see the line of Redis") from error
    if beaten is None or now - beaten > HEARTBEAT_STALE_S:
        last = "never" if beaten is None else f"{now - beaten:.0f} s ago"
        raise Wrong(f"last heartbeat {last}", "look at ./dev logs beat and ./dev logs worker-events")
    return f"last heartbeat {max(0.0, now - beaten):.0f} s ago"


def pages_are_served(url: str) -> str:
    try:
        status = httpx.get(url, timeout=ANSWER_S * 2, follow_redirects=False).status_code
    except httpx.HTTPError as error:
        raise Wrong(f"{url} does not answer: {_first_line(error)}", "look at ./dev logs web") from error
    if status >= 500:
        raise Wrong(f"{url} answers {status}", "look at ./dev logs web")
    return f"{url} answers {status}"


def websockets_are_served(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=ANSWER_S).close()
    except OSError as error:
        raise Wrong(f"{url} does not answer: {_first_line(error)}", "look at ./dev logs websockets") from error
    return f"{url} answers"


def payments_are_configured(*, secret_key: str, api_base: str | None) -> str:
    if not secret_key.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")):
        raise Wrong("STRIPE_SECRET_KEY is not a Stripe key", "copy the secret key from Stripe's dashboard: sk_…")
    if api_base is None:
        return f"Stripe, {'live' if '_live_' in secret_key else 'test'} mode"
    try:
        answer = httpx.get(f"{api_base}/_sandbox/health", timeout=ANSWER_S)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise Wrong(
            f"the sandbox does not answer: {_first_line(error)}", "look at ./dev logs payments-sandbox"
        ) from error
    return f"sandbox at {api_base}"


def disk_has_room(folder: Path) -> str:
    free = shutil.disk_usage(folder).free
    if free < LEAST_DISK_BYTES:
        raise Wrong(f"{free / 2**20:.0f} MB free for {folder}", "make room: PostgreSQL stops when its disk is full")
    return f"{free / 2**30:.0f} GB free"


def demo_is_loaded() -> str:
    """Whether the demo city is there, known by its zone."""
    try:
        zones = stores.zones()
    except DATABASE_ERRORS as error:
        raise Wrong(f"unknown: {_first_line(error)}", "run ./dev manage shard migrate") from error
    if not zones:
        raise Wrong("there is no zone with stores", "run ./dev manage load_demo")
    return ", ".join(zone.name for zone in zones)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What there should be."""

    databases: tuple[str, ...]
    public_url: str
    websocket_url: str
    stripe_secret_key: str
    stripe_api_base: str | None
    var: Path
    demo: bool


def checks(described: Described, app: Celery) -> list[Check]:
    """All of them, in the order in which one explains the next."""
    found = []
    for alias in described.databases:
        found.append(Check(f"database {alias}", partial(database_answers, alias)))
        found.append(Check(f"migrations {alias}", partial(database_is_migrated, alias)))
    payments = partial(
        payments_are_configured, secret_key=described.stripe_secret_key, api_base=described.stripe_api_base
    )
    found += [
        Check("clocks", partial(clocks_agree, described.databases)),
        Check("redis", redis_answers),
        Check("workers", partial(queues_are_worked, app), settles=True),
        Check("beat", lambda: beat_is_alive(time.time()), settles=True),
        Check("pages", partial(pages_are_served, f"{described.public_url}/"), settles=True),
        Check("websockets", partial(websockets_are_served, described.websocket_url), settles=True),
        Check("payments", payments, settles=True),
        Check("disk", partial(disk_has_room, described.var)),
    ]
    if described.demo:
        found.append(Check("demo", demo_is_loaded))
    return found
