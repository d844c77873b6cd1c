"""A migration that has to wait lets everybody else go first."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction

import sharding
from sharding.migrating import State
from sharding.migrating.patience import LocksNotGranted, unhurried
from tests.sharding.releases import Release, columns, copies, execute, migrate, recorded, release, rows

__all__ = ["release"]

*_, LAST = sharding.aliases("customer")
COLUMN = 'AddField("order", "gift_note", models.TextField(null=True))'


@pytest.fixture(autouse=True)
def unblocked(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield
        connections.close_all()


def session() -> "psycopg.Connection[Any]":
    """A connection that is nobody else's, to the last database of customers."""
    parameters = connections[LAST].get_connection_params()
    wanted = {name: parameters[name] for name in ("dbname", "user", "host", "port") if name in parameters}
    return psycopg.connect(**wanted)


@contextmanager
def report_on_orders() -> Iterator["psycopg.Connection[Any]"]:
    """Somebody reads the orders, all of them as of one moment, and goes on reading."""
    reader = session()
    reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        reader.execute("SELECT count(*) FROM shop_order")
        yield reader
    finally:
        reader.close()


class Writer(threading.Thread):
    """Writes an order, again and again, and notes how long each had to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._connection = session()
        self._connection.autocommit = True
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            self._connection.execute("UPDATE shop_order SET total = total + 1 WHERE id = -1")
            self.waits.append(time.monotonic() - began)
            time.sleep(0.002)
        self._connection.close()

    def __enter__(self) -> "Writer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join(timeout=30)


class Migration(threading.Thread):
    """Migrates the last database of customers."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.locked_out = threading.Semaphore(0)
        self.steps: list[str] = []
        self._options = options

    def run(self) -> None:
        try:
            (self.progress,) = migrate(LAST, report=self._note, canary=False, **self._options).values()
        finally:
            connections.close_all()

    def _note(self, progress: Any) -> None:
        self.steps.append(progress.step)
        if progress.state is State.LOCKED_OUT:
            self.locked_out.release()


def waiting_for_orders() -> int:
    """How many sessions wait for a lock that shuts out everybody."""
    found = rows(
        LAST,
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' "
        "AND relation = 'shop_order'::regclass",
    )
    return int(found[0][0])


def test_writers_go_on_while_a_column_waits_for_a_report(release: Release):
    release.add(COLUMN)
    with copies(LAST), Writer() as writer:
        migration = Migration(lock_timeout_ms=60)
        with report_on_orders():
            migration.start()
            written = []
            for _ in range(3):
                assert migration.locked_out.acquire(timeout=20)
                written.append(len(writer.waits))
            assert "gift_note" not in columns(LAST, "shop_order")
        migration.join(timeout=30)
        assert migration.progress.state is State.DONE
        assert "gift_note" in columns(LAST, "shop_order")
    assert written[0] < written[1] < written[2]  # each time it gave up, writers had come through
    assert migration.progress.retries >= 3
    assert any("oldest transaction: pid" in step for step in migration.steps)
    assert max(writer.waits) < 2  # and none of them waited for the report


def test_without_the_limit_they_would_all_stand_in_line(release: Release):
    """The same with a migration that waits: proves that the test above could fail."""
    release.add(COLUMN)
    with copies(LAST), Writer() as writer:
        migration = Migration(lock_timeout_ms=60_000)
        with report_on_orders():
            migration.start()
            deadline = time.monotonic() + 20
            while not waiting_for_orders():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(0.1)  # the write that was under way
            before = len(writer.waits)
            time.sleep(0.5)
            assert len(writer.waits) == before
        migration.join(timeout=30)
    assert migration.progress.state is State.DONE
    assert migration.progress.retries == 0


def test_a_lock_that_is_never_free_is_an_error_that_says_who_holds_it(release: Release):
    name = release.add(COLUMN)
    with copies(LAST), report_on_orders() as reader:
        time.sleep(0.2)
        (progress,) = migrate(LAST, canary=False, lock_timeout_ms=20, retries=2).values()
        assert progress.state is State.FAILED
        assert isinstance(progress.error, LocksNotGranted)
        assert str(progress.error).startswith("no lock after 3 tries: canceling statement due to lock timeout")
        assert progress.step.startswith(f"{name}, oldest transaction: pid {reader.info.backend_pid} (")
        assert progress.retries == 2
        assert "gift_note" not in columns(LAST, "shop_order")
        assert recorded(LAST) == []


def test_an_index_waits_for_old_readers_as_long_as_it_takes(release: Release):
    """CREATE INDEX CONCURRENTLY keeps nobody waiting, and giving it up would leave an invalid index."""
    release.add('AddIndexConcurrently("order", models.Index(fields=["total"], name="shop_by_total"))', atomic=False)
    with copies(LAST), Writer() as writer:
        migration = Migration(lock_timeout_ms=20)
        with report_on_orders():
            migration.start()
            deadline = time.monotonic() + 20
            while not rows(LAST, "SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            before = len(writer.waits)
            time.sleep(0.3)
            assert len(writer.waits) > before
        migration.join(timeout=30)
        assert migration.progress.state is State.DONE
        assert migration.progress.retries == 0
        assert rows(LAST, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'shop_by_total'::regclass") == [(True,)]


def test_what_a_transaction_has_taken_counts_against_what_it_may_wait():
    connection = connections[LAST]
    with unhurried(connection, 200):
        assert rows(LAST, "SHOW lock_timeout") == [("200ms",)]
        assert rows(LAST, "SHOW statement_timeout") == [("0",)]
        with transaction.atomic(using=LAST):
            assert rows(LAST, "SHOW lock_timeout") == [("200ms",)]
            execute(LAST, "SELECT pg_sleep(0.11)")
            (left,) = rows(LAST, "SHOW lock_timeout")
            assert 20 <= int(left[0].removesuffix("ms")) <= 90
            execute(LAST, "SELECT pg_sleep(0.2)")
            assert rows(LAST, "SHOW lock_timeout") == [("20ms",)]  # a tenth is always left
        with transaction.atomic(using=LAST):
            assert rows(LAST, "SHOW lock_timeout") == [("200ms",)]
        assert rows(LAST, "SHOW lock_timeout /* CONCURRENTLY */") == [("0",)]
        assert rows(LAST, "SHOW lock_timeout") == [("200ms",)]
