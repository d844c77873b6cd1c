"""What does moving buckets cost those who write meanwhile, how fast do rows go, and is anything lost?

Two durable servers with a shard each. Most moves are undone, so that each gives two switches. A writer's stall is how
long a write to the range took that was under way while the range changed hands, all retries included.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from bench import _customers, _shop
from bench.report import Figure, Report
from deploy.local import postgres
from deploy.local.layout import ROOT, Layout

LAST = 1665
PROCESSES = 3
ROWS = 200_000
NEAR, FAR = "customer_0", "customer_1"

FILL = (
    "INSERT INTO shop_customer SELECT b + 10000 * n, 'c' FROM generate_series(0, 1665) b, generate_series(1, 12) n",
    """
    INSERT INTO shop_order (id, customer_id, store_id, code, total, wishes)
    SELECT sharding_next_id(c.id % 10000), c.id, 1, '', 1, '[]' FROM shop_customer c, generate_series(1, 2)
    """,
    "INSERT INTO shop_receipt (order_id, customer_id, text) SELECT id, customer_id, 'thank you' FROM shop_order",
    """
    INSERT INTO shop_line (id, customer_id, order_id, product_id, quantity)
    SELECT sharding_next_id(o.customer_id %% 10000), o.customer_id, o.id, 1, 1
    FROM shop_order o, generate_series(1, 3)
    LIMIT %(rows)s - (SELECT count(*) FROM shop_customer) - 2 * (SELECT count(*) FROM shop_order)
    """,
    "ANALYZE",
)


def main(*, quick: bool) -> Report:
    with ExitStack() as stack:
        servers = [stack.enter_context(_server(f"move{n}")) for n in range(2)]
        urls = {"default": _url(servers[0], "directory"), NEAR: _url(servers[0], "near"), FAR: _url(servers[1], "far")}
        _shop.configure(urls, WATCH=True, LEASE_SECONDS=_customers.LEASE_SECONDS)
        _prepare(urls)
        figures = _fence(urls[FAR], rounds=6 if quick else 30)
        figures += _moves(urls, pairs=(3, 1) if quick else (12, 4))
        from sharding import leases

        leases.stop()
    return Report(bench="move", figures=tuple(figures))


@contextmanager
def _server(name: str) -> Iterator[postgres.Server]:
    """As it would run: what it has committed is on the disk."""
    found = postgres.start(Layout.read().var / "bench" / name, durable=True)
    try:
        yield found
    finally:
        found.stop()
        found.remove()


def _url(server: postgres.Server, name: str) -> str:
    postgres.ensure_database(server, name)
    return server.url(name)


def _prepare(urls: dict[str, str]) -> None:
    from sharding import migrating, topology

    for progress in migrating.migrate(migrating.groups()).values():
        if progress.error is not None:
            raise progress.error
    topology.reload()
    with psycopg.connect(urls[NEAR], autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in FILL:
            connection.execute(statement.encode(), {"rows": ROWS} if "%(" in statement else None)


# The moves.


class Clock:
    """When the mover passed which point."""

    def __init__(self) -> None:
        self.points: list[tuple[str, float]] = []

    def __call__(self, point: str) -> None:
        self.points.append((point, time.time()))

    def between(self, first: str, last: str) -> list[tuple[float, float]]:
        """The last try of each switch, for example."""
        found, began = [], 0.0
        for point, at in self.points:
            if point == first:
                began = at
            elif point == last:
                found.append((began, at))
        return found


def _moves(urls: dict[str, str], *, pairs: tuple[int, int]) -> list[Figure]:
    from sharding import moves
    from sharding.moves import work

    few, many = Clock(), Clock()
    copying = Clock()
    work.passed = copying
    rows = _rows(urls[NEAR])
    moves.cleanup(_move(LAST, NEAR, FAR), now=True)  # nobody writes: how fast do rows go?
    ((began, ended),) = copying.between("before subscribe", "after copy")
    assert _rows(urls[FAR]) == rows
    work.passed = lambda point: None
    with tempfile.TemporaryDirectory() as name, _ordering(urls, Path(name)) as found:
        moves.rollback(_move(63, FAR, NEAR))  # after it, every writer is connected to both
        for clock, last, times in ((few, 63, pairs[0]), (many, LAST, pairs[1])):
            work.passed = clock
            for _ in range(times):
                moves.rollback(_move(last, FAR, NEAR))
        work.passed = lambda point: None
        moves.cleanup(_move(LAST, FAR, NEAR), now=True)
    took = [one for customer in found for one in customer["took"]]
    figures = [Figure(name="rows copied", value=rows / (ended - began), unit="rows/s", at_least=100_000)]
    for clock, last, text, goal in ((few, 63, "64 buckets", 50), (many, LAST, "1,666 buckets", 100)):
        switches = clock.between("switch: locking", "switch: released")
        stalls = [
            seconds * 1000
            for begin, seconds, bucket in took
            if bucket <= last and any(begin < released and begin + seconds > locked for locked, released in switches)
        ]
        figures += [
            Figure(name=f"writers' stall, {text}, p99", value=_percentile(stalls, 0.99), unit="ms", at_most=goal),
            Figure(name=f"writers' stall, {text}, median", value=_percentile(stalls, 0.5), unit="ms"),
            Figure(name=f"writes stalled, {text}", value=len(stalls), unit=""),
            Figure(
                name=f"buckets closed, {text}, median",
                value=statistics.median(1000 * (b - a) for a, b in switches),
                unit="ms",
            ),
            Figure(name=f"switches, {text}", value=len(switches), unit=""),
        ]
    figures.append(
        Figure(name="a write otherwise, median", value=_percentile([1000 * s for _, s, _ in took], 0.5), unit="ms")
    )
    return [*figures, *_judged(urls, found)]


def _rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        tables = ("customer", "order", "receipt", "line")
        counts = ", ".join(f"(SELECT count(*) FROM shop_{table})" for table in tables)  # noqa: S608
        return sum(connection.execute(f"SELECT {counts}".encode()).fetchone() or ())


def _move(last: int, source: str, target: str) -> int:
    from sharding import moves

    entered = moves.start("customer", 0, last, source=source, target=target)
    moves.run(entered.pk)
    return int(entered.pk)


@contextmanager
def _ordering(urls: dict[str, str], folder: Path) -> Iterator[list[dict[str, Any]]]:
    """They order during the block; afterwards the list holds what each found."""
    environ = os.environ | {"BENCH_MOVE": json.dumps(urls)}
    command = [sys.executable, "-m", "bench._customers"]
    processes = [
        subprocess.Popen([*command, str(n), str(LAST), str(folder)], cwd=ROOT, env=environ) for n in range(PROCESSES)
    ]
    found: list[dict[str, Any]] = []
    try:
        until = time.monotonic() + 30
        while len(list(folder.glob("*.ready"))) < PROCESSES and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(1)
        yield found
        time.sleep(0.5)
    finally:
        (folder / "stop").touch()
        for process in processes:
            process.wait(timeout=60)
    for n in range(PROCESSES):
        found += json.loads((folder / f"{n}.json").read_text())


def _percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else float("inf")


def _judged(urls: dict[str, str], customers: list[dict[str, Any]]) -> list[Figure]:
    """Everything has come back to the near shard: the rows that must be there are, as they must be, and no others."""
    from sharding import moves

    with psycopg.connect(urls[NEAR]) as connection:
        rows = connection.execute("SELECT id, code, total FROM shop_order WHERE code <> ''").fetchall()
    there = {id: [code, total] for id, code, total in rows}
    told = {int(id): order for customer in customers for id, order in customer["orders"].items()}
    lost = sum(1 for id, order in told.items() if there.get(id) != order)
    doubled = len(rows) - len({code for _, code, _ in rows}) + len(there.keys() - told.keys())
    return [
        Figure(name="writes", value=sum(len(customer["took"]) for customer in customers), unit=""),
        Figure(name="lost", value=lost, unit="rows", at_most=0),
        Figure(name="doubled", value=doubled, unit="rows", at_most=0),
        Figure(name="misplaced", value=len(moves.verify()), unit="findings", at_most=0),
        Figure(name="refused or wrong", value=sum(len(c["wrong"]) for c in customers), unit="writes", at_most=0),
    ]


# The fence.


def _fence(url: str, *, rounds: int) -> list[Figure]:
    """Into two tables that are alike but for the trigger, in turns; the median of the turns' differences."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE plain_line (LIKE shop_line INCLUDING ALL)")
        # Neither table looks for the order it refers to, and neither waits for the disk.
        connection.execute("ALTER TABLE shop_line DISABLE TRIGGER ALL; ALTER TABLE shop_line ENABLE TRIGGER USER")
        connection.execute("SET synchronous_commit = off")
        one = _difference(connection, rounds, 400, _one_by_one)
        bulk = _difference(connection, rounds, 10_000, _at_once)
        connection.execute("DROP TABLE plain_line")
        connection.execute("TRUNCATE shop_line")
        connection.execute("ALTER TABLE shop_line ENABLE TRIGGER ALL")
    return [
        Figure(name="fence, a row at a time", value=one, unit="µs a row", at_most=30),
        Figure(name="fence, in bulk", value=bulk, unit="µs a row"),
    ]


INSERT = "INSERT INTO {} (id, customer_id, order_id, product_id, quantity) "
_next_id = iter(range(1, 1 << 40))


def _difference(connection: "psycopg.Connection[Any]", rounds: int, rows: int, insert: Callable[..., float]) -> float:
    differences: list[float] = []
    for turn in range(rounds + 1):
        tables = ("shop_line", "plain_line") if turn % 2 else ("plain_line", "shop_line")
        took = {table: insert(connection, table, rows) for table in tables}
        if turn:  # the first one only prepares the statements
            differences.append((took["shop_line"] - took["plain_line"]) / rows * 1e6)
    return statistics.median(differences)


def _ids(rows: int) -> list[int]:
    return [next(_next_id) << 22 | 9007 << 8 for _ in range(rows)]


def _one_by_one(connection: Any, table: str, rows: int) -> float:
    statement = INSERT.format(table) + "VALUES (%(id)s, 9007, %(id)s, 1, 1)"
    ids = _ids(rows)
    began = time.perf_counter()
    for id in ids:
        connection.execute(statement, {"id": id}, prepare=True)
    return time.perf_counter() - began


def _at_once(connection: Any, table: str, rows: int) -> float:
    ids = _ids(rows)
    began = time.perf_counter()
    connection.execute(INSERT.format(table) + "SELECT id, 9007, id, 1, 1 FROM unnest(%s::bigint[]) id", [ids])  # noqa: S608
    return time.perf_counter() - began
