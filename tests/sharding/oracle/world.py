"""Three shards and, beside them, one database with all of their rows."""

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

from django.db import connections, models, router, transaction
from psycopg import sql
from psycopg.pq import TransactionStatus

import sharding
from sharding import ids, keys, names, topology
from sharding.topology import Keyspace
from tests.sharding.oracle import plain
from tests.sharding.oracle.plain import m

SHARDS = ("oracle_0", "oracle_1", "oracle_2")
DATABASES = (*SHARDS, plain.ALIAS)
RANGES = (
    (0, 1999, "oracle_0"),
    (2000, 3999, "oracle_1"),
    (4000, 4999, "oracle_2"),
    (5000, 6999, "oracle_0"),
    (7000, 9999, "oracle_1"),
)
COPIES = ((0, 49, "oracle_2"), (3000, 3999, "oracle_0"), (4900, 4999, "oracle_1"))
"""Rows that lie about where the map does not say, as during a move and until its clean-up."""

CUSTOMERS = (3, 7, 1_007, 2_500, 3_100, 4_100, 4_999, 5_007, 7_777, 9_999, 10_007, 12_500, 19_999)
"""On all shards, some in one bucket with another."""

_FIRST_ID_MS = 1 << 34
_DRAW_FROM = 128
"""Of the 256 ids of a bucket and millisecond, the ones below are for the rows that are there from the start."""

_NEXT_ID = f"""
CREATE TABLE IF NOT EXISTS oracle_drawn (bucket bigint PRIMARY KEY, n bigint NOT NULL);
CREATE OR REPLACE FUNCTION {names.NEXT_ID}(bucket bigint) RETURNS bigint LANGUAGE sql AS $body$
  INSERT INTO oracle_drawn VALUES ($1, {_DRAW_FROM}) ON CONFLICT (bucket) DO UPDATE SET n = oracle_drawn.n + 1
  RETURNING (({_FIRST_ID_MS} + n / 256) << {ids.TIME_SHIFT}) | ($1 << {ids.BUCKET_SHIFT}) | n % 256
$body$;
"""  # noqa: S608
"""Ids by bucket and number of inserts instead of the clock, so that both sides draw the same; undone with the rest."""


class World:
    """The databases while they are there."""

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever is written inside is rolled back, everywhere."""
        with ExitStack() as stack:
            for alias in DATABASES:
                block = transaction.atomic(using=alias)
                block._from_testcase = True  # type: ignore[attr-defined]  # guards against mixing databases look away
                stack.enter_context(block)
            yield
            for alias in DATABASES:
                transaction.set_rollback(True, using=alias)

    def has_failed(self) -> bool:
        """Whether a database takes no more statements because one has failed."""
        opened: list[Any] = [connections[alias] for alias in DATABASES]
        return any(
            each.needs_rollback
            or (each.connection is not None and each.connection.info.transaction_status == TransactionStatus.INERROR)
            for each in opened
        )

    def difference(self) -> str | None:
        """The tables that do not hold the same rows on the shards and on the one database, in words."""
        shards = [_contents(alias) for alias in SHARDS]
        expected = _contents(plain.ALIAS)
        different = [
            f"{table}: {counted} rows instead of {rows}, or others"
            for table, (rows, digest) in expected.items()
            for counted, digests in [tuple(sum(part[table][n] for part in shards) for n in (0, 1))]
            if (counted, digests) != (rows, digest)
        ]
        return "; ".join(different) or None


def _contents(alias: str) -> dict[str, tuple[int, int]]:
    """Number and digest of each table's rows, without those of buckets that the database does not own."""
    keyspace = topology.keyspace("customer")
    owned = [(0, ids.BUCKETS - 1)] if alias == plain.ALIAS else keyspace.owned(alias)
    parts = []
    for model in plain.MODELS:
        table, key = model._meta.db_table, keys.layout(model).key.column
        is_owned = " OR ".join(f"{key} % {ids.BUCKETS} BETWEEN {first} AND {last}" for first, last in owned)
        parts.append(
            f"SELECT '{table}', count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) "  # noqa: S608
            f"FROM {table} t WHERE {is_owned}"
        )
    with connections[alias].cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts))
        return {table: (rows, int(digest)) for table, rows, digest in cursor.fetchall()}


@contextmanager
def opened(*, with_copies: bool = False) -> Iterator[World]:
    """Databases of its own, copied from the first of keyspace ``customer``, with rows; dropped afterwards.

    Meanwhile that keyspace is on them. ``with_copies`` leaves rows of foreign buckets on some.
    """
    template = sharding.aliases("customer")[0]
    before, routers = topology.current(), router.routers
    _create(template)
    try:
        copies = COPIES if with_copies else ()
        keyspace = Keyspace.of("customer", RANGES, (), copies)
        topology.use(replace(before, keyspaces={**before.keyspaces, "customer": keyspace}))
        router.routers = [plain.Router(), *routers]
        _fill(keyspace)
        yield World()
    finally:
        router.routers = routers
        topology.use(before)
        _drop(template)


def _create(template: str) -> None:
    like = connections[template]
    like.close()
    with like.creation._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        for alias in DATABASES:
            name = f"{like.settings_dict['NAME']}_{alias}_{os.getpid()}"
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            cursor.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                    sql.Identifier(name), sql.Identifier(like.settings_dict["NAME"])
                )
            )
            connections.databases[alias] = {**like.settings_dict, "NAME": name}


def _drop(template: str) -> None:
    for alias in DATABASES:
        connections[alias].close()
    with connections[template].creation._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        for alias in DATABASES:
            name = connections[alias].settings_dict["NAME"]
            cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            del connections[alias]
            del connections.databases[alias]


def _fill(keyspace: Keyspace) -> None:
    for alias in DATABASES:
        if alias == plain.ALIAS:
            owned, held = [(0, ids.BUCKETS - 1)], [(0, ids.BUCKETS - 1)]
        else:
            owned = list(keyspace.owned(alias))
            held = owned + [(first, last) for first, last, holder in keyspace.copies if holder == alias]
        with connections[alias].cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # copies get past the guard
            cursor.execute(f"TRUNCATE {', '.join(model._meta.db_table for model in plain.MODELS)}")
            for model in plain.MODELS:
                made = [row for bucket, row in ROWS if type(row).__name__ == model.__name__ and _is_in(bucket, held)]
                getattr(m, model.__name__).objects.using(alias).bulk_create(made)
            cursor.execute("SET session_replication_role = DEFAULT")
            cursor.execute(_NEXT_ID)
            cursor.execute(f"DELETE FROM {names.BUCKET_TABLE} WHERE keyspace = 'customer'")  # noqa: S608
            for first, last in owned:
                cursor.execute(
                    f"INSERT INTO {names.BUCKET_TABLE} (keyspace, bucket, state, epoch) "  # noqa: S608
                    "SELECT 'customer', b, 'owned', 0 FROM generate_series(%s::int, %s::int) b",
                    [first, last],
                )


def _is_in(bucket: int, ranges: Any) -> bool:
    return any(first <= bucket <= last for first, last in ranges)


def _rows() -> list[tuple[int, models.Model]]:
    """Every row with its bucket. Values repeat across customers, so that looking at the wrong ones shows."""
    chance = random.Random(7)  # noqa: S311
    rows: list[tuple[int, models.Model]] = []
    numbers = {bucket: count() for bucket in {customer % ids.BUCKETS for customer in CUSTOMERS}}
    for customer_id in CUSTOMERS:
        bucket = customer_id % ids.BUCKETS

        def new_id(bucket: int = bucket) -> int:
            return (_FIRST_ID_MS << ids.TIME_SHIFT) | (bucket << ids.BUCKET_SHIFT) | next(numbers[bucket])

        of_customer: list[models.Model] = [m.Customer(id=customer_id, name=f"n{customer_id % 3}")]
        tags = [
            m.Tag(id=new_id(), customer_id=customer_id, name=f"t{chance.randrange(3)}")
            for _ in range(chance.randrange(3))
        ]
        orders: list[Any] = []
        for n in range(chance.randrange(1, 5)):
            order = m.Order(
                id=new_id(),
                customer_id=customer_id,
                store_id=chance.randrange(3),
                code=f"c{n}" if n % 2 else "",
                total=chance.randrange(7),
                placed=date(2026, 1, chance.randrange(1, 5)) if chance.random() < 0.8 else None,
                wishes={"gift": chance.random() < 0.5, "n": chance.randrange(3)},
                replaces=chance.choice(orders) if orders and chance.random() < 0.5 else None,
            )
            orders.append(order)
            of_customer.append(order)
            of_customer += [
                m.Line(
                    id=new_id(),
                    customer_id=customer_id,
                    order=order,
                    product_id=chance.randrange(4),
                    quantity=chance.randrange(4),
                    price=None if chance.random() < 0.3 else chance.randrange(5),
                )
                for _ in range(chance.randrange(4))
            ]
            if chance.random() < 0.4:
                of_customer.append(m.Receipt(order=order, customer_id=customer_id, text=f"r{chance.randrange(2)}"))
            if chance.random() < 0.5:
                written = datetime(2026, 1, chance.randrange(1, 9), tzinfo=UTC)
                note = m.Note(id=new_id(), customer_id=customer_id, order=order, text=f"o{n % 2}", written=written)
                of_customer.append(note)
            of_customer += [
                m.Label(id=new_id(), customer_id=customer_id, tag=tag, order=order, weight=chance.randrange(3))
                for tag in tags
                if chance.random() < 0.5
            ]
        of_customer += tags
        of_customer += [
            m.Favourite(customer_id=customer_id, product_id=n, rank=chance.randrange(3))
            for n in range(chance.randrange(4))
        ]
        rows += [(bucket, row) for row in of_customer]
    return rows


ROWS = _rows()
KINDS = ("order", "line", "receipt", "note", "tag", "label")
IDS = {kind: tuple(row.pk for _, row in ROWS if type(row).__name__ == kind.capitalize()) for kind in KINDS}
"""What programs may name, by kind: the same in every run."""
OWNERS = {
    kind: tuple(row.customer_id for _, row in ROWS if type(row).__name__ == kind.capitalize())  # type: ignore[attr-defined]
    for kind in KINDS
}
"""The customers that those belong to."""
