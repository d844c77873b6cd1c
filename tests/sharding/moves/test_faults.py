"""What goes wrong while a move is under way."""

import time
from pathlib import Path

import psycopg
import pytest

from sharding.errors import MoveRefused, MoveStopped
from tests.sharding.moves import acts, checking
from tests.sharding.moves.test_moving import FIRST, INSIDE, LAST, counts, owned
from tests.sharding.moves.world import World


@pytest.fixture
def filled(shop: World) -> World:
    shop.do(acts.fill, [INSIDE], 2)
    return shop


@pytest.fixture
def move(filled: World) -> int:
    return filled.do(acts.start, "customer", FIRST, LAST, "a", "b")


def test_without_the_fence_the_checker_finds_what_is_lost(shop: World, tmp_path: Path):
    with checking.traffic(shop, tmp_path, writers=3) as verdict:
        for source, target in (("a", "b"), ("b", "c"), ("c", "b")):
            shop.do(acts.move_without_fence, "customer", 0, 4999, source, target)
            shop.do(acts.call, "cleanup", shop.do(acts.newest), now=True)
    assert verdict.lost, str(verdict)


class TestDirectoryAway:
    def take_away(self, world: World) -> tuple[str, ...]:
        name = psycopg.conninfo.conninfo_to_dict(world.urls["default"])["dbname"]
        return (
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )

    def bring_back(self, world: World) -> None:
        name = psycopg.conninfo.conninfo_to_dict(world.urls["default"])["dbname"]
        world.run("a", f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    def is_there(self, world: World) -> bool:
        try:
            world.connect("default").close()
        except psycopg.OperationalError:
            return False
        return True

    @pytest.mark.parametrize("point", ["after claim", "before switch", "switch: fenced", "after detach"])
    def test_the_move_waits_and_writers_do_not(self, filled: World, move: int, point: str):
        going = filled.mover.submit(
            acts.disturbed, "run", move, point, filled.urls["a"], *self.take_away(filled), patience=20
        )
        until = time.monotonic() + 20
        while self.is_there(filled):
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(0.3)
        home = "b" if point == "after detach" else "a"
        filled.run(
            home,
            "INSERT INTO shop_order (customer_id, store_id, code, total, wishes) VALUES (7, 1, 'meanwhile', 0, '[]')",
        )
        assert not going.done()
        self.bring_back(filled)
        assert going.result(60) == "kept"
        assert filled.rows("b", "SELECT count(*) FROM shop_order WHERE code = 'meanwhile'") == [(1,)]
        assert filled.do(acts.compare, move) == []

    def test_a_move_that_lost_its_patience_goes_on_later(self, filled: World, move: int):
        with pytest.raises(MoveStopped, match=r"the directory (is away|does not answer)"):
            filled.do(
                acts.disturbed, "run", move, "switch: fenced", filled.urls["a"], *self.take_away(filled), patience=0.3
            )
        self.bring_back(filled)
        filled.do(acts.forget)  # else its breaker would leave the directory alone for a while
        assert owned(filled, "a") == {"owned": 5000}
        assert filled.do(acts.call, "run", move) == "kept"

    @pytest.mark.parametrize("stored", [True, False])
    def test_a_lost_answer_to_commit_is_found_out(self, filled: World, move: int, stored: bool):
        assert filled.do(acts.run_in_doubt, move, stored=stored) == "kept"
        assert filled.do(acts.alias_of, "customer", INSIDE) == "b"
        assert filled.rows("default", "SELECT count(*) FROM sharding_mapversion") == [(3,)]
        assert filled.do(acts.verify) == []


@pytest.mark.changes_tables
class TestTablesChanged:
    @pytest.mark.parametrize(("alias", "sentence"), [("a", "only a has colour"), ("b", "only b has colour")])
    def test_a_column_of_one_side_stops_the_switch(self, filled: World, move: int, alias: str, sentence: str):
        change = "ALTER TABLE shop_order ADD COLUMN colour text"
        with pytest.raises(MoveRefused, match=sentence):
            filled.do(acts.disturbed, "run", move, "after copy", filled.urls[alias], change)
        assert owned(filled, "a") == {"owned": 5000}
        filled.run("b" if alias == "a" else "a", change)
        assert filled.do(acts.call, "run", move) == "kept"

    def test_changed_behind_our_back_in_the_last_moment_the_old_home_is_opened_again(self, filled: World, move: int):
        """The row cannot arrive, so writers wait for it no longer than they may."""
        with pytest.raises(MoveRefused, match="only a has colour"):
            filled.do(
                acts.disturbed,
                "run",
                move,
                "switch: locking",
                filled.urls["a"],
                "ALTER TABLE shop_order ADD COLUMN colour text",
                "INSERT INTO shop_order (customer_id, store_id, code, total, wishes, colour) "
                "VALUES (7, 1, 'red', 0, '[]', 'red')",
            )
        assert owned(filled, "a") == {"owned": 5000}
        filled.do(acts.call, "rollback", move)
        assert counts(filled, "b") == (0, 0, 0, 0)
        assert filled.rows("a", "SELECT colour FROM shop_order WHERE code = 'red'") == [("red",)]


class TestLocksHeld:
    def test_a_long_transaction_delays_the_switch_and_nobody_else(self, filled: World, move: int):
        assert filled.do(acts.killed, "run", move, "before switch")
        with filled.connect("a") as slow, filled.connect("a") as other:
            slow.execute("BEGIN; UPDATE shop_customer SET name = 'slow' WHERE id = 7")
            going = filled.mover.submit(acts.call, "run", move)
            status = filled.look(acts.status, move, until=lambda status: "not switched" in status["note"])
            assert status["step"] == "switch"
            assert "its transaction" in status["note"]
            slowest = 0.0
            for _ in range(30):
                began = time.monotonic()
                other.execute("UPDATE shop_order SET total = total + 1 WHERE customer_id = 7")
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.02)
            assert slowest < 1.0  # a try, not the transaction
            slow.execute("COMMIT")
            assert going.result(60) == "kept"
        assert filled.rows("b", "SELECT name FROM shop_customer") == [("slow",)]
        assert filled.rows("b", "SELECT min(total) FROM shop_order") == [(30,)]

    def test_a_prepared_transaction_is_named_and_its_rows_come_along(self, filled: World, move: int):
        prepare = "BEGIN; UPDATE shop_customer SET name = 'two phases' WHERE id = 7; PREPARE TRANSACTION 'later'"
        with pytest.raises(MoveStopped, match=r"writers of a did not finish .* held by a prepared transaction later"):
            filled.do(acts.disturbed, "run", move, "before switch", filled.urls["a"], prepare, patience=0.5)
        assert owned(filled, "a") == {"owned": 5000}
        filled.run("a", "UPDATE shop_order SET total = 0 WHERE customer_id = 7")
        going = filled.mover.submit(acts.call, "run", move)
        status = filled.look(acts.status, move, until=lambda status: "not switched" in status["note"])
        assert "held by a prepared transaction later" in status["note"]
        filled.run("a", "COMMIT PREPARED 'later'")
        assert going.result(60) == "kept"
        assert filled.rows("b", "SELECT name FROM shop_customer") == [("two phases",)]


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_older_than_the_switch_writes_nothing_at_the_old_home(filled: World, move: int, isolation: str):
    with filled.connect("a") as writer:
        writer.execute(f"BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM shop_order".encode())
        assert filled.do(acts.call, "run", move) == "kept"
        with pytest.raises(psycopg.OperationalError) as caught:
            writer.execute("UPDATE shop_order SET total = 99 WHERE customer_id = 7")
        assert caught.value.sqlstate == ("40SH1" if isolation == "READ COMMITTED" else "40001")
        writer.execute("ROLLBACK")
    assert filled.rows("a", "SELECT max(total) FROM shop_order") == filled.rows(
        "b", "SELECT max(total) FROM shop_order"
    )


@pytest.mark.parametrize("point", ["after publish", "before switch"])
def test_truncate_is_refused_from_the_beginning_to_the_end(filled: World, move: int, point: str):
    assert filled.do(acts.killed, "run", move, point)
    for alias in "ab":
        with pytest.raises(psycopg.errors.DatabaseError, match="rows of this table are being moved"):
            filled.run(alias, "TRUNCATE shop_customer CASCADE")
    assert filled.do(acts.call, "run", move) == "kept"
    with pytest.raises(psycopg.errors.DatabaseError, match="rows of this table are being moved"):
        filled.run("b", "TRUNCATE shop_receipt")
    assert counts(filled, "b") == (1, 2, 2, 2)
    filled.do(acts.call, "cleanup", move, now=True)
    filled.run("b", "TRUNCATE shop_receipt")


def test_a_slot_that_was_lost_is_said_and_the_move_given_up(filled: World, move: int):
    assert filled.do(acts.killed, "run", move, "after copy")
    ((slot,),) = filled.rows("a", f"SELECT slot_name {OUT}")
    with filled.connect("a") as server:
        while server.execute(f"SELECT pg_terminate_backend(active_pid) {OUT}").fetchone():
            try:
                server.execute("SELECT pg_drop_replication_slot(%s)", [slot])
            except psycopg.errors.ObjectInUse:
                time.sleep(0.01)
    filled.run("a", "UPDATE shop_order SET total = 50 WHERE customer_id = 7")
    with pytest.raises(MoveStopped, match=f"slot {slot} of a is gone"):
        filled.do(acts.call, "run", move, patience=1)
    assert owned(filled, "a") == {"owned": 5000}
    assert filled.do(acts.call, "rollback", move) == "undone"
    assert filled.do(acts.verify) == []


OUT = r"FROM pg_replication_slots WHERE database = current_database() AND slot_name LIKE 'sharding\_%\_out'"
