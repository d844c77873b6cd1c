"""A move from its beginning to its end, or back."""

import pytest

from sharding.errors import BucketMoved, MoveRefused
from tests.sharding.moves import acts
from tests.sharding.moves.world import World

INSIDE, BESIDE, ELSEWHERE = 7, 3007, 9007
"""Customers: of the range that moves, of the same database, of another one."""
FIRST, LAST = 0, 99

TABLES = ("shop_customer", "shop_order", "shop_line", "shop_receipt")


def counts(world: World, alias: str, tables: tuple[str, ...] = TABLES) -> tuple[int, ...]:
    return world.rows(alias, "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in tables))[0]


def owned(world: World, alias: str, keyspace: str = "customer") -> dict[str, int]:
    return dict(
        world.rows(alias, "SELECT state, count(*) FROM sharding_bucket WHERE keyspace = %s GROUP BY 1", keyspace)
    )


def replication(world: World) -> list[tuple[str, str]]:
    """What is there of replication, in all databases."""
    found = []
    for alias in "abc":
        for statement in (
            "SELECT pubname FROM pg_publication",
            "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()",
            "SELECT subname FROM pg_subscription, pg_database d WHERE d.oid = subdbid AND datname = current_database()",
        ):
            found += [(alias, name) for (name,) in world.rows(alias, statement)]
    return found


@pytest.fixture
def filled(shop: World) -> World:
    shop.do(acts.fill, [INSIDE, INSIDE + 10_000, BESIDE, ELSEWHERE], 3)
    return shop


@pytest.mark.parametrize("target", ["b", "c"], ids=["another server", "the same server"])
def test_a_range_moves_with_its_rows_and_nothing_else_does(filled: World, target: str):
    before = (1, 3, 3, 3) if target == "b" else (0, 0, 0, 0)
    move = filled.do(acts.move, "customer", FIRST, LAST, "a", target)
    assert filled.do(acts.alias_of, "customer", INSIDE) == target
    assert filled.do(acts.alias_of, "customer", BESIDE) == "a"
    assert counts(filled, target) == tuple(n + m for n, m in zip(before, (2, 6, 6, 6), strict=True))
    assert counts(filled, "a") == (3, 9, 9, 9)  # the old copy, kept up to date
    assert counts(filled, "a", ("shop_store", "shop_stock")) == (3, 3)
    assert owned(filled, "a") == {"owned": 4900, "moved": 100}
    assert filled.do(acts.compare, move) == []
    assert len(filled.do(acts.orders_of, INSIDE)) == 3

    assert filled.do(acts.call, "cleanup", move, now=True) == "done"
    assert counts(filled, "a") == (1, 3, 3, 3)
    assert replication(filled) == []
    assert filled.do(acts.verify) == []
    assert (
        filled.rows(target, "SELECT * FROM sharding_marker") == filled.rows("a", "SELECT * FROM sharding_marker") == []
    )


def test_composite_keys_and_what_is_moved_twice_and_back(filled: World):
    for source, target in (("a", "b"), ("b", "c"), ("c", "a")):
        move = filled.do(acts.move, "store", FIRST, LAST, source, target)
        filled.do(acts.call, "cleanup", move, now=True)
        assert filled.do(acts.alias_of, "store", INSIDE) == target
        assert counts(filled, target, ("shop_store", "shop_stock"))[0] >= 2
    assert [counts(filled, alias, ("shop_store", "shop_stock")) for alias in "abc"] == [(3, 3), (1, 1), (0, 0)]
    assert owned(filled, "a", "store") == {"owned": 5000}
    assert owned(filled, "b", "store") == {"owned": 5000, "moved": 100}
    assert filled.do(acts.verify) == []


def test_a_move_undone_after_the_switch_keeps_what_was_written_meanwhile(filled: World):
    move = filled.do(acts.move, "customer", FIRST, LAST, "a", "b")
    written = filled.do(acts.write, INSIDE, orders=5)
    assert filled.rows("b", "SELECT count(*) FROM shop_order WHERE id = ANY(%s)", written) == [(5,)]
    assert filled.do(acts.call, "rollback", move) == "undone"
    assert filled.do(acts.alias_of, "customer", INSIDE) == "a"
    assert set(written) < set(filled.do(acts.orders_of, INSIDE))
    assert counts(filled, "a") == (3, 14, 9, 9)
    assert counts(filled, "b") == (1, 3, 3, 3)
    assert owned(filled, "a") == {"owned": 5000}
    assert replication(filled) == []
    assert filled.do(acts.verify) == []
    assert filled.do(acts.write, INSIDE)[0] > max(written)


def test_a_move_given_up_before_the_switch_leaves_nothing(filled: World):
    move = filled.do(acts.start, "customer", FIRST, LAST, "a", "b")
    assert filled.do(acts.killed, "run", move, "switch: adopted")
    assert owned(filled, "a") == {"owned": 4900, "moved": 100}
    assert filled.do(acts.call, "rollback", move) == "undone"
    assert owned(filled, "a") == {"owned": 5000}
    assert owned(filled, "b") == {"owned": 5000}
    assert (counts(filled, "a"), counts(filled, "b")) == ((3, 9, 9, 9), (1, 3, 3, 3))
    assert replication(filled) == []
    assert filled.do(acts.verify) == []
    filled.do(acts.write, INSIDE)


def test_the_old_copy_is_kept_for_its_time(filled: World):
    move = filled.do(acts.move, "customer", FIRST, LAST, "a", "b")
    with pytest.raises(MoveRefused, match="can be undone until"):
        filled.do(acts.call, "cleanup", move)
    assert counts(filled, "a") == (3, 9, 9, 9)
    filled.do(acts.call, "cleanup", move, now=True)
    with pytest.raises(MoveRefused, match="the old copy is gone; move the range back instead"):
        filled.do(acts.call, "rollback", move)
    assert filled.do(acts.alias_of, "customer", INSIDE) == "b"


def test_copies_that_differ_are_found_and_rows_that_stray_are_found(filled: World):
    move = filled.do(acts.move, "customer", FIRST, LAST, "a", "b")
    with filled.connect("a") as past_the_guard:
        past_the_guard.execute("SET session_replication_role = replica")
        past_the_guard.execute("UPDATE shop_order SET total = 99 WHERE customer_id = %s AND total = 1", [INSIDE])
        past_the_guard.execute("INSERT INTO shop_customer (id, name) VALUES (%s, 'stray')", [ELSEWHERE])
    assert filled.do(acts.compare, move) == [f"a: bucket {INSIDE} of customer differs from b's"]
    assert filled.do(acts.verify) == [f"a: shop_customer holds 1 rows of buckets it should not have: {ELSEWHERE} (b's)"]


def test_a_database_that_owns_what_the_map_does_not_give_it_is_found(filled: World):
    filled.run("c", "INSERT INTO sharding_bucket VALUES ('store', 5, 'owned', 1)")
    filled.run("b", "CREATE PUBLICATION sharding_deadbeef_out")
    assert filled.do(acts.verify) == [
        "b: publication sharding_deadbeef_out belongs to no move; drop it",
        "c: owns, against the map, 1 buckets of store, the first is 5",
    ]


def test_ids_go_on_above_those_of_the_old_home_whose_clock_is_ahead(filled: World):
    """The target's clock is an hour behind the source's: so is what its sequence would give."""
    hour = 3600 * 1000 << 8
    filled.run("a", "SELECT setval('sharding_id', last_value + %s) FROM sharding_id", hour)
    before = filled.do(acts.write, INSIDE, orders=3) + filled.do(acts.reserve, INSIDE, 3)
    move = filled.do(acts.move, "customer", FIRST, LAST, "a", "b")
    after = filled.do(acts.write, INSIDE, orders=3) + filled.do(acts.reserve, INSIDE, 3)
    assert before + after == sorted({*before, *after})
    with pytest.raises(BucketMoved):  # by a process with an old map; they might be drawn again at the new home
        filled.do(acts.reserve_at, "a", INSIDE)
    filled.do(acts.call, "rollback", move)
    assert filled.do(acts.write, INSIDE)[0] > after[-1]


def test_progress_says_what_a_move_waits_for(filled: World):
    move = filled.do(acts.start, "customer", FIRST, LAST, "a", "b")
    with filled.connect("a") as writer:
        writer.execute("BEGIN; UPDATE shop_customer SET name = 'slow' WHERE id = 7")
        going = filled.mover.submit(acts.call, "run", move)
        seen = filled.look(acts.status, move, until=lambda status: bool(status["waits_for"]))
        assert (seen["phase"], seen["step"]) == ("moving", "keep changes")
        assert "its transaction" in seen["waits_for"][0]
        assert seen["runner"].startswith(f"sharding move {move} (")
        writer.execute("COMMIT")
        assert going.result(60) == "kept"
    assert filled.rows("b", "SELECT name FROM shop_customer WHERE id = 7") == [("slow",)]
    seen = filled.do(acts.status, move)
    assert (seen["phase"], seen["runner"], seen["waits_for"]) == ("kept", None, [])
    assert seen["undone_until"] is not None
