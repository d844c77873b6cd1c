"""Answer a repeated request as it was answered the first time.

The answer is kept beside the rows that the request changed, in the same transaction where one transaction decides the
request: so no change is without its answer, and a caller who lost it gets it by asking again. It moves with them too.
"""

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connections

import sharding
from apps.common import crypto, models
from apps.common.errors import IdempotencyConflict

KEPT_FOR: Final = timedelta(hours=24)
"""A key that is sent again later is a new one."""
BATCH: Final = 1_000
_TABLES: Final[dict[str, type[models.KeptAnswer]]] = {"store": models.StoreAnswer, "shopper": models.ShopperAnswer}

# By hand, as each request with a key asks: to have the ORM write it down costs as much again as the question.
_FIND = """
    SELECT fingerprint, status, content_type, body FROM {table}
    WHERE place = %s AND owner = %s AND key = %s AND created_at > %s
"""
_KEEP = """
    INSERT INTO {table} AS kept (place, owner, key, fingerprint, status, content_type, body, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (place, owner, key) DO UPDATE SET
        fingerprint = EXCLUDED.fingerprint, status = EXCLUDED.status, content_type = EXCLUDED.content_type,
        body = EXCLUDED.body, created_at = EXCLUDED.created_at
    WHERE kept.created_at <= %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request with a key. ``fingerprint`` tells its repetition from a key that is used for something else."""

    home: sharding.Home
    """Where the request is decided; the same key sent for something that is decided elsewhere is another key."""
    owner: int
    key: str
    fingerprint: str

    @property
    def place(self) -> int:
        return self.home.bucket or sharding.BUCKETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    content_type: str
    body: bytes


@sharding.repeatable
def kept(asked: Asked, *, now: datetime) -> Answer | None:
    """The first answer to the request, if there is one. 1 query.

    Raises ``IdempotencyConflict`` when the key was sent with another request.
    """
    with connections[asked.home.alias].cursor() as cursor:
        cursor.execute(_sql(_FIND, asked), [asked.place, asked.owner, asked.key, now - KEPT_FOR])
        row = cursor.fetchone()
    if row is None:
        return None
    fingerprint, status, content_type, body = row
    if fingerprint != asked.fingerprint:
        raise IdempotencyConflict("This idempotency key was used before for another request; send a new one with this.")
    return Answer(status=status, content_type=content_type, body=_opened(bytes(body)))


@sharding.repeatable
def keep(asked: Asked, answer: Answer, *, now: datetime) -> bool:
    """Note the first answer. False when there is one by now. 1 query.

    In the transaction that has changed what the answer is about, of two at the same time the second waits here until
    the first has committed or failed.
    """
    values: list[int | str | bytes | datetime] = [
        asked.place,
        asked.owner,
        asked.key,
        asked.fingerprint,
        answer.status,
        answer.content_type,
        _sealed(answer.body),
        now,
        now - KEPT_FOR,
    ]
    with connections[asked.home.alias].cursor() as cursor:
        cursor.execute(_sql(_KEEP, asked), values)
        return bool(cursor.rowcount)


def forget(*, keyspace: str, using: str, now: datetime) -> int:
    """Delete one shard's answers that are older than ``KEPT_FOR``; how many. 2 queries for each ``BATCH``."""
    rows = sharding.owned(_TABLES[keyspace].objects, using).filter(created_at__lte=now - KEPT_FOR)
    forgotten = 0
    while old := list(rows.values_list("pk", flat=True)[:BATCH]):
        forgotten += rows.filter(pk__in=old).delete()[0]
    return forgotten


def keyspaces() -> tuple[str, ...]:
    """Those in which answers are kept."""
    return tuple(_TABLES)


def _sql(template: str, asked: Asked) -> str:
    return template.format(table=_TABLES[asked.home.keyspace]._meta.db_table)


def _sealed(body: bytes) -> bytes:
    return crypto.encrypt_bytes(zlib.compress(body), purpose="kept-answers")


def _opened(body: bytes) -> bytes:
    return zlib.decompress(crypto.decrypt_bytes(body, purpose="kept-answers"))
