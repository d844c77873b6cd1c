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


def forget() -> None:
    """The world that was: its databases are about to go."""
    from django.db import connections

    from sharding import breakers, leases, topology

    leases.stop()
    connections.close_all()
    topology._current = None
    for alias in connections:
        breakers.of(alias).succeeded()


def migrate() -> None:
    from sharding import migrating

    for progress in migrating.migrate(migrating.groups()).values():
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

    @contextmanager
    def unfenced(switch: Any, epoch: int) -> Any:
        yield switch.link.mark(), switch.old.value("SELECT last_value FROM sharding_id")

    with patch.object(Switch, "_locked", unlocked), patch.object(Switch, "_fenced", unfenced):
        move(keyspace, first, last, source, target)
    from django.db import connections

    with connections[source].cursor() as cursor:
        cursor.execute(
            "UPDATE sharding_bucket SET state = 'moved', moved_to = %s "
            "WHERE keyspace = %s AND bucket BETWEEN %s AND %s",
            [target, keyspace, first, last],
        )


def disturbed(name: str, move: int, point: str, url: str, *statements: str, **options: Any) -> str:
    """As ``call``, but when it passes ``point`` the first time, somebody does this to the database at ``url``."""
    import psycopg

    from sharding.moves import work

    done: list[str] = []

    def disturb(passed: str) -> None:
        if passed == point and not done:
            done.append(passed)
            with psycopg.connect(url, autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement.encode())

    before, work.passed = work.passed, disturb
    try:
        return call(name, move, **options)
    finally:
        work.passed = before
        assert done, f"{name} did not pass {point!r}"


def run_in_doubt(move: int, *, stored: bool) -> str:
    """The first time the map is changed by the switch, the answer to COMMIT is lost; the change itself may be too."""
    from unittest.mock import patch

    from sharding import directory
    from sharding.errors import ChangeInDoubt
    from sharding.moves import switching

    change, calls = directory.change, []

    def lose(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            if stored:
                change(*args, **kwargs)
            raise ChangeInDoubt("lost")
        return change(*args, **kwargs)

    with patch.object(switching.directory, "change", lose):
        return call("run", move)


def write(customer: int, *, orders: int = 1) -> list[int]:
    """New orders of a customer, by the map."""
    import sharding
    from tests.sharding.shop.models import Order

    home = sharding.home("customer", customer)
    return [
        int(sharding.run(home, lambda: Order.objects.create(customer_id=customer, store_id=1)).pk)
        for _ in range(orders)
    ]


def reserve(customer: int, n: int) -> list[int]:
    import sharding

    return sharding.reserve_ids(sharding.home("customer", customer), n)


def reserve_at(alias: str, customer: int) -> None:
    """As a process would that still goes by an old map."""
    from django.db import connections

    from sharding import names

    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT sharding_reserve_ids('customer', %s, %s, 1)", [names.bucket_class("customer"), customer % 10_000]
        )


def orders_of(customer: int) -> list[int]:
    """By the map."""
    from tests.sharding.shop.models import Order

    return sorted(Order.objects.filter(customer_id=customer).values_list("pk", flat=True))


def alias_of(keyspace: str, key: int) -> str:
    import sharding
    from sharding import directory, maps

    maps.learn(directory.read())
    return sharding.alias_for(keyspace, key)


def status(move: int) -> dict[str, Any]:
    from dataclasses import asdict

    from sharding import moves

    return next(asdict(one) for one in moves.status(also_finished=True) if one.id == move)


def clear_at_once(move: int) -> int:
    """Delete the old copy without taking the replication down first."""
    from sharding.moves import work
    from sharding.moves.clearing import clear

    with work.taken(move, patience=5, report=lambda text: None) as taken:
        return clear(taken, taken.source)


def refuse_migrating() -> None:
    from sharding import moves

    moves.refuse_migrating()


def newest() -> int:
    from sharding.models import Move

    return int(Move.objects.latest("pk").pk)


def look_after() -> None:
    from sharding import moves

    moves.look_after(patience=2.0)


def command(*arguments: str) -> str:
    """What ``manage.py shard …`` writes; with what it fails, after ``CommandError:``."""
    from io import StringIO

    from django.core.management import CommandError, call_command

    out = StringIO()
    try:
        call_command("shard", *arguments, stdout=out)
    except CommandError as error:
        out.write(f"CommandError: {error}\n")
    return out.getvalue()


def weigh(alias: str) -> tuple[dict[int, float], dict[int, float]]:
    """By bucket: rows, and rows made lately."""
    from sharding import topology
    from sharding.moves import planning, servers

    with servers.session(alias) as one:
        found = planning.weigh(one, topology.keyspace("customer"))
    return tuple({bucket: n for bucket, n in enumerate(part) if n} for part in (found.rows, found.recent))  # type: ignore[return-value]


if __name__ == "__main__":
    begin({})
    migrate()
