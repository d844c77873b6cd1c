"""Tell the rest of the system what happened: recorded with the change, delivered after it.

``emit`` writes the event into the database of the change, inside the caller's transaction, so there
is never a change without its event or an event without its change. ``relay`` delivers at least once
and promises no order (two relays may overtake each other): handlers are idempotent.

A relay *leases* messages (it moves their due time into the future and counts the attempt, in one
statement over rows nobody else holds), commits, and only then calls the handlers: no transaction is
open while they work in other databases, and a relay that is killed delays its messages by a lease.
A message is never looked for by "ids above the last one seen": ids are handed out before commits.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import redis
from celery import current_app
from django.conf import settings
from django.db import connections, transaction
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

import sharding
from apps.common.events import Event
from apps.common.models import OutboxMessage, QuarantinedMessage

logger = logging.getLogger(__name__)

BATCH = 100
LEASE = timedelta(seconds=30)
MAX_ATTEMPTS = 12
MAX_DELAY = timedelta(minutes=10)
_BROKER_WAIT_S = 0.25
_END_OF_TIME = datetime(9000, 1, 1, tzinfo=UTC)

E = TypeVar("E", bound=Event)
Handler = Callable[[Any, str], None]
_waiting: ContextVar[set[str] | None] = ContextVar("outbox_waiting", default=None)
_handlers: dict[str, list[tuple[type[Event], Handler]]] = {}

_CLAIM = """
    UPDATE common_outboxmessage SET attempts = attempts + 1, due_at = %s
    WHERE id IN (
        SELECT id FROM common_outboxmessage WHERE due_at <= %s
        ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
    )
    RETURNING id, message_id, name, payload::text, attempts
"""


@dataclass(frozen=True, slots=True)
class _Message:
    id: int
    message_id: UUID
    name: str
    payload: dict[str, Any]
    attempts: int


def on(event: type[E]) -> Callable[[Callable[[E, str], None]], Callable[[E, str], None]]:
    """Subscribe a function of ``handlers.py`` to ``event``; it is called with the event and its message id."""

    def register(handler: Callable[[E, str], None]) -> Callable[[E, str], None]:
        _handlers.setdefault(event.name, []).append((event, handler))
        return handler

    return register


def emit(*events: Event, using: str) -> None:
    """Record ``events`` in database ``using``. 1 query.

    Raises ``TransactionManagementError`` if no transaction is open there.
    """
    if not transaction.get_connection(using).in_atomic_block:
        names = ", ".join(event.name for event in events)
        raise transaction.TransactionManagementError(f"{names} emitted outside a transaction")
    rows = [OutboxMessage(name=event.name, payload=asdict(event)) for event in events]
    OutboxMessage.objects.using(using).bulk_create(rows)
    if settings.OUTBOX_NUDGE:
        _nudge_after_commit(using)


def relay(*, using: str, now: datetime, limit: int = BATCH) -> int:
    """Deliver up to ``limit`` messages due at ``now`` in database ``using``; return how many were delivered.

    A message whose handler fails is put off (2, 4, 8 … seconds, ten minutes at most) and after
    ``MAX_ATTEMPTS`` tries moved to the quarantine.
    """
    return sum(_deliver(message, using=using, now=now) for message in _claim(using=using, now=now, limit=limit))


def drain(*, aliases: Sequence[str] | None = None, rounds: int = 50) -> int:
    """Relay every database until nothing is left to deliver, whenever it is due; return how many were delivered.

    For tests and for commands that must not end before their consequences. Messages that keep
    failing are left behind, as many rounds as there are.
    """
    delivered = 0
    for _ in range(rounds):
        step = sum(relay(using=alias, now=_END_OF_TIME) for alias in aliases or sharding.all_aliases())
        delivered += step
        if not step:
            break
    return delivered


def _claim(*, using: str, now: datetime, limit: int) -> list[_Message]:
    with connections[using].cursor() as cursor:
        cursor.execute(_CLAIM, [now + LEASE, now, limit])
        rows = cursor.fetchall()
    return [
        _Message(pk, message_id, name, json.loads(payload), attempts)
        for pk, message_id, name, payload, attempts in sorted(rows)
    ]


def _deliver(message: _Message, *, using: str, now: datetime) -> bool:
    """Tell every handler, also those behind one that fails; the message is tried again for all of them then."""
    failure = ""
    for event, handle in _handlers.get(message.name, []):
        try:
            handle(event(**message.payload), str(message.message_id))
        except Exception as error:
            logger.exception("outbox.delivery_failed %s %s", message.name, message.message_id)
            failure = type(error).__name__
    if failure:
        _put_off(message, using=using, now=now, reason=failure)
        return False
    OutboxMessage.objects.using(using).filter(pk=message.id).delete()
    return True


def _put_off(message: _Message, *, using: str, now: datetime, reason: str) -> None:
    mine = OutboxMessage.objects.using(using).filter(pk=message.id, attempts=message.attempts)
    if message.attempts < MAX_ATTEMPTS:
        mine.update(due_at=now + min(timedelta(seconds=2**message.attempts), MAX_DELAY))
        return
    with sharding.atomic(using):
        if mine.delete()[0]:
            QuarantinedMessage.objects.using(using).create(
                message_id=message.message_id,
                name=message.name,
                payload=message.payload,
                attempts=message.attempts,
                reason=reason,
            )


@contextmanager
def nudges_together() -> Iterator[None]:
    """Within the block workers are not told of what is committed; at its end once, for each database, of all of it."""
    waiting: set[str] = set()
    before = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(before)
        for using in sorted(waiting):
            _send(using)


def _nudge_after_commit(using: str) -> None:
    nudge = _nudge(using)
    if not any(registered[1] is nudge for registered in connections[using].run_on_commit):
        sharding.on_commit(using, nudge)


@cache
def _nudge(using: str) -> Callable[[], None]:
    """Ask a worker to relay ``using`` at once. A lost nudge costs a second: the relay also runs on a schedule."""

    def nudge() -> None:
        waiting = _waiting.get()
        if waiting is None:
            _send(using)
        else:
            waiting.add(using)

    return nudge


def _send(using: str) -> None:
    try:
        _broker().ping()  # Celery itself would look for a broker that is away for seconds
        current_app.send_task("common.relay", args=[using], queue="events", retry=False)
    except (OperationalError, redis.RedisError, OSError):
        logger.warning("outbox.nudge_lost %s", using)


@cache
def _broker() -> redis.Redis:
    wait = {"socket_timeout": _BROKER_WAIT_S, "socket_connect_timeout": _BROKER_WAIT_S}
    return redis.Redis.from_url(settings.REDIS_URL, retry=Retry(NoBackoff(), 0), **wait)
