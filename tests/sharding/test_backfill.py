"""Data in batches: each row once, whatever happens meanwhile, and none left behind."""

import signal
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

import sharding
from sharding import ShardingError, backfilling, directory, maps, topology
from sharding.backfilling import AlreadyRunning, NeverEnding, NotApplied, Options, Progress, State, batches
from sharding.backfilling.books import Book, Desk, Position
from sharding.migrating import Patience
from tests.sharding import dying, fillings
from tests.sharding.conftest import ONE, OTHER
from tests.sharding.releases import copies, execute, orders, rows

FIRST, *_, LAST = sharding.aliases("customer")
STORE, *_, LAST_STORE = sharding.aliases("store")
ORDERS = 45
"""On each shard: four full batches and a half."""


@pytest.fixture
def unlabelled(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Copies of the customers' databases, and the directory's, with orders without a label."""
    before = topology.current()
    with django_db_blocker.unblock():
        with copies("default", FIRST, LAST):
            for alias, customer in ((FIRST, ONE), (LAST, OTHER)):
                orders(alias, customer, range(1, ORDERS + 1))
            yield
        connections.close_all()
    topology.use(before)


def labels(alias: str) -> list[tuple[str, int]]:
    return rows(alias, "SELECT code, total FROM shop_order ORDER BY substr(code, 2)::int, id")


EXPECTED = [(f"L{n}", n + 1) for n in range(1, ORDERS + 1)]


def fill(
    name: str = "shop.labels", *aliases: str, report: Callable[[Progress], None] = lambda one: None, workers: int = 1
) -> tuple[dict[str, Progress], list[str]]:
    """Every database's progress, and the headlines."""
    progress = backfilling.places(backfilling.job(name), aliases)
    said: list[str] = []
    patience = Patience(lock_timeout_ms=50, first_pause_seconds=0.02)
    backfilling.run(name, progress, Options(workers=workers, patience=patience), report=report, begun=said.append)
    return progress, said


def position(alias: str, name: str = "shop.labels") -> Position | None:
    return Book(connections[alias], name).read()


def states(progress: dict[str, Progress]) -> dict[str, State]:
    return {alias: one.state for alias, one in progress.items()}


@pytest.mark.usefixtures("unlabelled")
@pytest.mark.parametrize("workers", [1, 2])
def test_each_row_of_each_database_is_changed_once(workers: int):
    batches: list[tuple[str, int]] = []
    progress, said = fill(workers=workers, report=lambda one: batches.append((one.alias, one.position.seen)))
    assert states(progress) == {FIRST: State.DONE, LAST: State.DONE}
    assert [labels(FIRST), labels(LAST)] == [EXPECTED, EXPECTED]
    assert [seen for alias, seen in batches if alias == LAST][:5] == [10, 20, 30, 40, 45]
    assert [(one.changed, one.position.lap) for one in progress.values()] == [(ORDERS, 1), (ORDERS, 1)]
    assert said == ["filling"]
    assert backfilling.wanted("shop.labels")[1] is not None

    progress, _ = fill()  # there is nothing left to do
    assert states(progress) == {FIRST: State.DONE, LAST: State.DONE}
    assert [one.changed for one in progress.values()] == [0, 0]
    assert labels(LAST) == EXPECTED


@pytest.fixture
def stock(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        with copies("default", STORE, LAST_STORE):
            for alias, store in ((STORE, ONE), (LAST_STORE, OTHER)):
                execute(alias, f"INSERT INTO shop_store (id, name) VALUES ({store}, 's')")  # noqa: S608
                execute(
                    alias,
                    "INSERT INTO shop_stock (store_id, product_id, on_hand) "  # noqa: S608
                    f"SELECT {store}, n, 0 FROM generate_series(1, 30) n",
                )
            yield
        connections.close_all()


@pytest.mark.usefixtures("stock")
def test_a_table_whose_key_has_several_columns():
    progress, _ = fill("shop.counts")
    assert states(progress) == {STORE: State.DONE, LAST_STORE: State.DONE}
    found = rows(LAST_STORE, "SELECT product_id, on_hand FROM shop_stock ORDER BY 1")
    assert found == [(n, n * 10) for n in range(1, 31)]


@pytest.mark.usefixtures("unlabelled")
def test_a_table_of_every_database():
    assert set(backfilling.places(backfilling.job("shop.memos"))) == set(sharding.all_aliases())
    execute(FIRST, "INSERT INTO shop_memo (text) VALUES ('new'), ('old')")
    progress, _ = fill("shop.memos", "default", FIRST)
    assert {alias: one.changed for alias, one in progress.items()} == {"default": 0, FIRST: 1}
    assert rows(FIRST, "SELECT text FROM shop_memo ORDER BY id") == [("read",), ("old",)]


# Killed.


def fill_last() -> None:
    fill("shop.labels", LAST)


@pytest.mark.slow
@pytest.mark.usefixtures("unlabelled")
def test_killed_at_any_moment_it_goes_on_and_does_no_row_twice(request: pytest.FixtureRequest):
    where: dict[str, Any] = {"modules": {}, "folder": "."}
    with copies(LAST):
        code, moments = dying.run(fill_last, **where, moment=None)
        assert code == 0
        assert labels(LAST) == EXPECTED
    tried = range(1, moments + 1) if request.config.getoption("--long") else range(9, moments + 1, moments // 4)
    reached = set()
    for moment in tried:
        with copies(LAST):
            code, _ = dying.run(fill_last, **where, moment=moment)
            assert code == -signal.SIGKILL
            found = position(LAST)
            reached.add(found.changed if found else 0)
            done = rows(LAST, "SELECT count(*) FROM shop_order WHERE code <> ''")
            assert done == [(found.changed if found else 0,)]  # the note and the rows are one transaction
            progress, _ = fill("shop.labels", LAST)
            assert progress[LAST].changed == ORDERS - (found.changed if found else 0)
            assert labels(LAST) == EXPECTED
    assert len(reached) >= 3


# Rows that appear behind.


@pytest.mark.usefixtures("unlabelled")
def test_rows_that_a_move_brings_behind_it_are_found():
    """An id far below where it is, as those of a bucket that arrives have."""

    def arrive(one: Progress) -> None:
        if one.alias == LAST and one.position.seen == 20 and one.position.lap == 1:
            orders(LAST, OTHER, [1000], id=(1 << 22) + (OTHER % sharding.BUCKETS << 8))

    progress, _ = fill(report=arrive)
    assert progress[LAST].position.lap == 2
    assert progress[LAST].changed == ORDERS + 1
    assert rows(LAST, "SELECT count(*) FROM shop_order WHERE code = ''") == [(0,)]
    assert labels(FIRST) == EXPECTED


@pytest.mark.usefixtures("unlabelled")
def test_rows_that_a_move_brings_to_a_database_that_is_done_are_found():
    def arrive(one: Progress) -> None:
        if one.alias == LAST and one.position.seen == 20 and one.position.lap == 1:
            orders(FIRST, ONE, [1000, 1001, 1002])  # one worker: the first database is through already

    progress, said = fill(report=arrive)
    assert said == ["filling", "round 2, as rows have appeared"]
    assert states(progress) == {FIRST: State.DONE, LAST: State.DONE}
    assert [one.changed for one in progress.values()] == [ORDERS + 3, ORDERS]
    assert rows(FIRST, "SELECT count(*) FROM shop_order WHERE code = ''") == [(0,)]


@pytest.mark.usefixtures("unlabelled")
def test_a_last_look_counts_only_if_nothing_moved_meanwhile(monkeypatch: pytest.MonkeyPatch):
    looks: list[str] = []
    look = batches.Filling.has_pending

    def has_pending(self: Any) -> bool:
        looks.append(self._alias)
        if len(looks) == 1:
            directory.change(lambda shard_map: shard_map, "something moved")
        return look(self)

    monkeypatch.setattr(batches.Filling, "has_pending", has_pending)
    _, said = fill()
    assert looks == [FIRST, LAST] * 2
    assert said == ["filling", "round 2, as rows have appeared"]


@pytest.mark.usefixtures("unlabelled")
def test_rows_that_are_elsewhere_by_now_are_left_alone():
    """What a move has taken away and not cleaned up yet: the database refuses to change it."""
    bucket = OTHER % sharding.BUCKETS
    keyspace = topology.keyspace("customer")
    moved = maps.with_copies(maps.assigned(keyspace, bucket, bucket, FIRST), ((bucket, bucket, LAST),))
    directory.change(
        lambda shard_map: topology.ShardMap(
            shard_map.epoch, {**shard_map.keyspaces, "customer": moved}, shard_map.primaries
        ),
        "a bucket moved",
    )
    execute(
        LAST,
        f"UPDATE sharding_bucket SET state = 'moved', moved_to = '{FIRST}' "  # noqa: S608
        f"WHERE keyspace = 'customer' AND bucket = {bucket}",
    )
    progress, _ = fill()
    assert states(progress) == {FIRST: State.DONE, LAST: State.DONE}
    assert [one.changed for one in progress.values()] == [ORDERS, 0]
    assert labels(FIRST) == EXPECTED
    assert rows(LAST, "SELECT count(*) FROM shop_order WHERE code = ''") == [(ORDERS,)]


@pytest.mark.usefixtures("unlabelled")
def test_a_bucket_that_moves_in_the_middle_is_left_where_it_is_then():
    """The database refuses the batch, and the new map says why."""
    bucket = OTHER % sharding.BUCKETS

    def move(one: Progress) -> None:
        if one.position.seen == 20 and not moved:
            with connections[LAST].cursor() as cursor:
                cursor.execute(
                    f"UPDATE sharding_bucket SET state = 'moved', moved_to = '{FIRST}' "  # noqa: S608
                    f"WHERE keyspace = 'customer' AND bucket = {bucket}"
                )
            keyspace = topology.keyspace("customer")
            assigned = maps.assigned(keyspace, bucket, bucket, FIRST)
            moved.append(maps.with_copies(assigned, ((bucket, bucket, LAST),)))

    moved: list[Any] = []
    refused: list[int] = []
    rest = batches.Filling._rest

    def learn(self: Any, seconds: float) -> None:
        refused.append(self._progress.position.seen)
        directory.change(
            lambda shard_map: topology.ShardMap(
                shard_map.epoch, {**shard_map.keyspaces, "customer": moved[0]}, shard_map.primaries
            ),
            "a bucket moved",
        )
        rest(self, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches.Filling, "_rest", learn)
        progress, _ = fill("shop.labels", LAST, report=move)
    assert refused == [20]
    assert progress[LAST].state is State.DONE
    assert progress[LAST].changed == 20


@pytest.mark.usefixtures("unlabelled")
def test_rows_that_never_stop_appearing_are_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batches, "LAPS", 3)
    numbers = iter(range(1, 1000))

    def arrive(one: Progress) -> None:
        if one.alias == LAST and one.position.seen == 10:
            number = next(numbers)
            orders(LAST, OTHER, [1000 + number], id=(number << 22) + (OTHER % sharding.BUCKETS << 8))

    progress, _ = fill(report=arrive)
    assert states(progress) == {FIRST: State.DONE, LAST: State.FAILED}
    assert isinstance(progress[LAST].error, NeverEnding)


# What is refused.


@pytest.mark.usefixtures("unlabelled")
def test_a_change_that_leaves_rows_pending_is_taken_back():
    progress, _ = fill("shop.forgetful", LAST)
    assert isinstance(progress[LAST].error, NotApplied)
    assert str(progress[LAST].error).startswith(f"{LAST}: 10 of 10 rows are still pending after shop.forgetful.apply()")
    assert rows(LAST, "SELECT sum(total) FROM shop_order") == [(sum(range(ORDERS + 1)),)]


@pytest.mark.usefixtures("unlabelled")
def test_a_job_without_a_change_and_an_unknown_one_are_refused():
    progress, _ = fill("shop.nothing", LAST)
    assert "has neither values nor apply()" in str(progress[LAST].error)
    with pytest.raises(ShardingError, match=r"no backfill is called 'shop\.no'; there are .*shop\.labels"):
        backfilling.job("shop.no")


@pytest.mark.usefixtures("unlabelled")
def test_one_process_at_a_time():
    with Desk("shop.labels"), pytest.raises(AlreadyRunning, match=r"shop\.labels is being filled by \S+:\d+ already"):
        fill()
    assert rows(LAST, "SELECT count(*) FROM shop_order WHERE code <> ''") == [(0,)]
    fill()


@pytest.mark.usefixtures("unlabelled")
def test_a_row_that_somebody_holds_is_waited_for_in_small_steps():
    parameters = connections[LAST].get_connection_params()
    held = psycopg.connect(**{name: parameters[name] for name in ("dbname", "user", "host")})
    held.execute("UPDATE shop_order SET store_id = 2 WHERE total = 15")

    def let_go(one: Progress) -> None:
        retries.append(one.retries)

    retries: list[int] = []
    job = fillings.Labels()
    progress = backfilling.places(job, [LAST])
    rest = batches.Filling._rest

    def rested(self: Any, seconds: float) -> None:
        rest(self, seconds)
        if self._progress.retries == 2:
            held.commit()
            held.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches.Filling, "_rest", rested)
        backfilling.run("shop.labels", progress, Options(patience=Patience(lock_timeout_ms=20)), report=let_go)
    assert progress[LAST].retries >= 2
    assert labels(LAST) == EXPECTED


# By hand.


def shard(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("shard", "backfill", *arguments, stdout=out)
    return out.getvalue().splitlines()


@pytest.mark.usefixtures("unlabelled")
def test_it_can_be_paused_resumed_cancelled_and_begun_anew():
    def pause(one: Progress) -> None:
        if one.alias == FIRST and one.position.seen == 20:
            assert shard("shop.labels", "--pause") == ["shop.labels is paused; --resume goes on"]
            stopped.wait(1)

    stopped = threading.Event()
    progress, _ = fill(report=pause)
    assert set(states(progress).values()) <= {State.STOPPED, State.WAITING}
    done = position(FIRST)
    assert done is not None
    assert 20 <= done.changed < ORDERS
    with pytest.raises(CommandError, match=r"shop\.labels was told to pause; give --resume or --restart"):
        shard("shop.labels")

    *_, last = shard("shop.labels", "--resume", "--workers", "1")
    assert last.startswith(f"done: {2 * ORDERS - done.changed} rows in 2 databases in ")
    assert [labels(FIRST), labels(LAST)] == [EXPECTED, EXPECTED]

    assert shard("shop.labels", "--cancel") == ["shop.labels is cancelled; what it changed stays"]
    assert (position(FIRST), position(LAST)) == (None, None)
    with pytest.raises(CommandError, match=r"was told to cancel"):
        shard("shop.labels")
    execute(LAST, "UPDATE shop_order SET code = '', total = 1000 WHERE total = 2")
    *_, last = shard("shop.labels", "--restart")
    assert last.startswith("done: 1 rows in 2 databases in ")


@pytest.mark.usefixtures("unlabelled")
def test_how_far_it_is_is_shown():
    headings, *found, wanted = shard("shop.labels", "--status")
    assert headings.split() == [
        "database",
        "keyspace",
        "state",
        "round",
        "looked",
        "at",
        "of",
        "about",
        "changed",
        "rate",
        "left",
    ]
    assert [line.split()[:3] for line in found] == [[FIRST, "customer", "waiting"], [LAST, "customer", "waiting"]]
    assert wanted == "wanted: run"
    execute(LAST, "ANALYZE shop_order")

    lines = shard("shop.labels", "--workers", "1")
    assert lines[0] == "filling:"
    assert lines[-1].startswith(f"done: {2 * ORDERS} rows in 2 databases in ")
    _, first, last, wanted = shard("shop.labels", "--status")
    assert first.split()[:4] == [FIRST, "customer", "done", "1"]
    assert last.split()[:7] == [LAST, "customer", "done", "1", str(ORDERS), str(ORDERS), str(ORDERS)]
    assert wanted.startswith("wanted: run; finished: ")
    assert any(line.split()[:2] == ["shop.labels", "shop.Order"] and "finished" in line for line in shard())
