"""Invariant 11: what was promised to be told was sent once at least and twice at most.

Asked in SQL, past the apps' own code, once everything is quiet::

    assert invariants.violations(arrived=Counter(...)) == []

``arrived`` counts the letters in the mailbox by the notification they are of (``by_number``); without it the mailbox
is not looked into.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message

from django.db import connections

import sharding

_PROMISED = """
    SELECT customer_id, 'order_placed:' || id || ':' AS key FROM orders_order WHERE confirmed_at IS NOT NULL
    UNION ALL SELECT customer_id, 'order_delivered:' || id || ':' FROM orders_order WHERE delivered_at IS NOT NULL
    UNION ALL SELECT customer_id, 'order_canceled:' || id || ':' FROM orders_order WHERE status = 'canceled'
    UNION ALL SELECT customer_id, 'refund_made:' || order_id || ':' || number FROM orders_orderrefund
        WHERE status = 'paid'
    UNION ALL SELECT DISTINCT customer_id, 'payment_waiting:' || order_id || ':' FROM orders_orderevent
        WHERE to_status = 'payment_pending'
"""
_TOLD = "SELECT id, customer_id, key, kind, status, copies FROM notifications_notification ORDER BY id"


def by_number(letters: Iterable[Message]) -> Counter[int]:
    """The letters of a mailbox, counted by the notification they are of."""
    found = (re.search(r"<notification-(\d+)@", str(letter["Message-ID"])) for letter in letters)
    return Counter(int(match[1]) for match in found if match)


def violations(*, arrived: Mapping[int, int] | None = None) -> list[str]:
    return [fault for alias in sharding.aliases("customer") for fault in _of_shard(alias, arrived)]


def _of_shard(alias: str, arrived: Mapping[int, int] | None) -> Iterator[str]:
    with connections[alias].cursor() as cursor:
        cursor.execute(_PROMISED)
        promised = set(cursor.fetchall())
        cursor.execute(_TOLD)
        told = cursor.fetchall()
    known = {(customer_id, key) for _, customer_id, key, *_ in told}
    for customer_id, key in sorted(promised - known):
        yield f"11 customer {customer_id} was never to be told {key}"
    for number, _, key, _kind, status, copies in told:
        if status in ("queued", "sending"):
            yield f"11 {key} is still {status}"
        elif status == "failed":
            yield f"11 {key} failed, and nobody has looked"
        elif status == "sent" and not 1 <= copies <= 2:
            yield f"11 {key} was sent {copies} times by our books"
        if arrived is None:
            continue
        n = arrived.get(number, 0)
        if status == "sent" and not 1 <= n <= copies:
            yield f"11 {key} arrived {n} times, {copies} were noted"
        elif status == "skipped" and n:
            yield f"11 {key} arrived {n} times and was not to be sent"
