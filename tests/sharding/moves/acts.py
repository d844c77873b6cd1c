"""What the tests have done in a process of the moves' world. Imports nothing of Django before ``begin``."""

import os
from collections.abc import Mapping
from typing import Any


def begin(environ: Mapping[str, str]) -> None:
    """Set this process up, once."""
    os.environ.update(environ)
    import django

    django.setup()


def publish() -> int:
    """The configured map as the directory's first."""
    from sharding import directory, topology

    directory.publish()
    return topology.reload().epoch


def migrate() -> None:
    from sharding import migrating, topology

    for progress in migrating.migrate([[alias] for alias in topology.all_aliases()]).values():
        if progress.error is not None:
            raise progress.error


def fill(customers: list[int], orders: int) -> None:
    """Customers with so many orders, each with a line and a receipt; and stores of the same numbers with a stock."""
    import sharding
    from tests.sharding.shop.models import Customer, Line, Order, Receipt, Stock, Store

    for key in customers:
        with sharding.atomic(sharding.home("customer", key)):
            Customer.objects.create(id=key, name=f"customer {key}")
            for n in range(orders):
                order = Order.objects.create(customer_id=key, store_id=1, total=n)
                Line.objects.create(customer_id=key, order_id=order.pk, quantity=n)
                Receipt.objects.create(order_id=order.pk, customer_id=key, text=f"receipt {n}")
        with sharding.atomic(sharding.home("store", key)):
            Store.objects.create(id=key, name=f"store {key}")
            Stock.objects.create(store_id=key, product_id=1, on_hand=5)


def move(keyspace: str, first: int, last: int, source: str, target: str, **options: Any) -> int:
    """Start a move and run it."""
    from sharding import moves

    entered = moves.start(keyspace, first, last, source=source, target=target)
    moves.run(entered.pk, **options)
    return int(entered.pk)


def call(name: str, move: int, **options: Any) -> str:
    """``run``, ``rollback`` or ``cleanup`` of ``sharding.moves``; the phase it ended in."""
    from sharding import moves

    return str(getattr(moves, name)(move, **options).phase)


def fill_for_traffic() -> None:
    import sharding
    from tests.sharding.moves.traffic import COUNTERS_CODE, CUSTOMERS
    from tests.sharding.shop.models import Customer, Order, Stock, Store

    for key in CUSTOMERS:
        with sharding.atomic(sharding.home("customer", key)):
            Customer.objects.create(id=key, name="c")
            Order.objects.create(customer_id=key, code=COUNTERS_CODE, store_id=1)
        with sharding.atomic(sharding.home("store", key)):
            Store.objects.create(id=key, name="s")
            Stock.objects.create(store_id=key, product_id=1, on_hand=1_000_000)


def holders() -> dict[str, Any]:
    """Who has which bucket by the directory's map; and ``[bucket, alias]`` of copies."""
    from sharding import directory

    found: dict[str, Any] = {}
    for name, keyspace in directory.read().keyspaces.items():
        found[name] = keyspace.alias_of[:10_000]
        found[f"{name} copies"] = [
            [bucket, alias] for first, last, alias in keyspace.copies for bucket in range(first, last + 1)
        ]
    return found


def killed(name: str, move: int, point: str, **options: Any) -> bool:
    """``run``, ``rollback`` or ``cleanup``, killed when it passes ``point``; whether it came there."""
    import signal

    from django.db import connections

    from sharding import leases

    connections.close_all()
    leases.stop()
    child = os.fork()
    if child == 0:
        try:
            from sharding.moves import work

            work.passed = lambda passed: os.kill(os.getpid(), signal.SIGKILL) if passed == point else None
            call(name, move, **options)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def points(name: str, move: int, **options: Any) -> list[str]:
    """What it passes, undisturbed."""
    from sharding.moves import work

    found: list[str] = []
    before, work.passed = work.passed, found.append
    try:
        call(name, move, **options)
    finally:
        work.passed = before
    return found


def verify() -> list[str]:
    """Everything that is not as it should be."""
    from sharding import moves

    return [f"{finding.alias}: {finding.text}" for finding in moves.verify()]


def compare(move: int) -> list[str]:
    from sharding import moves

    return [f"{finding.alias}: {finding.text}" for finding in moves.compare(move)]


def start(keyspace: str, first: int, last: int, source: str, target: str) -> int:
    from sharding import moves

    return int(moves.start(keyspace, first, last, source=source, target=target).pk)


def move_without_fence(keyspace: str, first: int, last: int, source: str, target: str) -> None:
    """What a move would be if nobody stopped the writers: to show that the tests would notice."""
    from contextlib import contextmanager
    from unittest.mock import patch

    from sharding.moves.switching import Switch

    @contextmanager
    def unlocked(switch: Any, milliseconds: int) -> Any:
        yield

    with (
        patch.object(Switch, "_locked", unlocked),
        patch.object(Switch, "_fence", lambda switch, epoch: switch.link.mark()),
    ):
        move(keyspace, first, last, source, target)
    from django.db import connections

    with connections[source].cursor() as cursor:
        cursor.execute(
            "UPDATE sharding_bucket SET state = 'moved', moved_to = %s "
            "WHERE keyspace = %s AND bucket BETWEEN %s AND %s",
            [target, keyspace, first, last],
        )


if __name__ == "__main__":
    begin({})
    migrate()
