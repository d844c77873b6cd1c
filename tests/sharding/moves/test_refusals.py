"""Moves that would not be safe, and what must not have happened then."""

import re

import pytest

from sharding.errors import MoveRefused, MoveStopped
from tests.sharding.moves import acts
from tests.sharding.moves.test_moving import FIRST, INSIDE, LAST, counts, owned, replication
from tests.sharding.moves.world import World


@pytest.fixture
def filled(shop: World) -> World:
    shop.do(acts.fill, [INSIDE], 1)
    return shop


def refused(sentence: str) -> "pytest.RaisesExc[MoveRefused]":
    return pytest.raises(MoveRefused, match=re.escape(sentence))


def untouched(world: World) -> bool:
    return (
        owned(world, "a") == {"owned": 5000}
        and owned(world, "b") == {"owned": 5000}
        and replication(world) == []
        and counts(world, "b") == (0, 0, 0, 0)
        and not world.do(acts.holders)["customer copies"]
    )


def test_ranges_and_databases_that_do_not_fit(filled: World):
    for arguments, sentence in (
        (("customer", 0, 9, "a", "a"), "is at a already"),
        (("customer", 0, 9, "b", "c"), "the map gives it to a"),
        (("customer", 4990, 5009, "a", "c"), "the map gives it to a, b"),
        (("customer", 0, 10_000, "a", "b"), "is no range of buckets"),
        (("customer", 9, 0, "a", "b"), "is no range of buckets"),
        (("customer", 0, 9, "a", "default"), "default has no tables of customer"),
        (("parcels", 0, 9, "a", "b"), "no keyspace is called 'parcels'"),
    ):
        with refused(sentence):
            filled.do(acts.move, *arguments)
    assert untouched(filled)
    filled.do(acts.move, "customer", FIRST, LAST, "a", "b")  # none of them is in the way


def test_a_target_that_holds_rows_already(filled: World):
    with filled.connect("b") as past_the_guard:
        past_the_guard.execute("SET session_replication_role = replica")
        past_the_guard.execute("INSERT INTO shop_customer (id, name) VALUES (7, 'stray')")
    with refused("b holds rows of it in shop_customer"):
        filled.do(acts.move, "customer", FIRST, LAST, "a", "b")
    assert filled.rows("b", "SELECT name FROM shop_customer") == [("stray",)]
    assert replication(filled) == []


@pytest.mark.changes_tables
def test_tables_that_differ_or_have_no_primary_key(filled: World):
    filled.run("b", "ALTER TABLE shop_order ADD COLUMN colour text")
    filled.run("a", "ALTER TABLE shop_line DROP CONSTRAINT shop_line_pkey")
    filled.run("b", "DELETE FROM django_migrations WHERE app = 'shop' AND name LIKE '0001%'")
    with pytest.raises(MoveRefused) as caught:
        filled.do(acts.move, "customer", FIRST, LAST, "a", "b")
    assert "shop_order: only b has colour text" in str(caught.value)
    assert "shop_line of a has no primary key to replicate by" in str(caught.value)
    assert "only one of the two has migration shop.0001_initial" in str(caught.value)
    assert untouched(filled)


def test_a_prepared_transaction(filled: World):
    with filled.connect("a") as writer:
        writer.execute("BEGIN; UPDATE shop_customer SET name = 'two phases' WHERE id = 7; PREPARE TRANSACTION 'later'")
        with refused("a has prepared transactions (later)"):
            filled.do(acts.move, "customer", FIRST, LAST, "a", "b")
        assert untouched(filled)
        writer.execute("COMMIT PREPARED 'later'")


def test_two_movers_of_one_move_and_two_moves_of_one_bucket(filled: World):
    move = filled.do(acts.start, "customer", FIRST, LAST, "a", "b")
    with refused(f"move {move} of customer 0-99 from a to b is moving; finish it first"):
        filled.do(acts.move, "customer", LAST, LAST + 9, "a", "c")
    with filled.connect("b") as other:
        other.execute("SELECT pg_advisory_lock(21321, %s)", [move])
        with refused(f"move {move} is being carried out by somebody else"):
            filled.do(acts.call, "run", move)
        assert untouched(filled)
    assert filled.do(acts.call, "run", move) == "kept"


def test_who_lost_the_move_does_not_go_on(filled: World):
    """Frozen before the map is changed, while another runner finds the sessions gone and takes the move on."""
    move = filled.do(acts.start, "customer", FIRST, LAST, "a", "b")
    take_on = f"UPDATE sharding_move SET turn = turn + 1 WHERE id = {move}"
    with pytest.raises(MoveStopped, match=f"move {move} was taken on by somebody else"):
        filled.do(acts.disturbed, "run", move, "switch: adopted", filled.urls["default"], take_on)
    assert filled.do(acts.alias_of, "customer", INSIDE) == "a"
    assert filled.do(acts.call, "run", move) == "kept"
    assert filled.do(acts.verify) == []


def test_migrations_and_moves_keep_out_of_each_others_way(filled: World):
    with filled.connect("default") as migrator:
        migrator.execute("SELECT pg_advisory_lock(21320, 40)")
        with refused("being migrated"):
            filled.do(acts.move, "customer", FIRST, LAST, "a", "b")
        filled.do(acts.refuse_migrating)
    move = filled.do(acts.move, "customer", FIRST, LAST, "a", "b")
    with refused(f"move {move} of customer 0-99 from a to b is kept"):
        filled.do(acts.refuse_migrating)
    assert "4 databases in " in filled.do(acts.command, "migrate")  # there is nothing to migrate
    filled.do(acts.call, "cleanup", move, now=True)
    filled.do(acts.refuse_migrating)


def test_the_old_copy_is_not_deleted_while_the_new_home_follows_it(filled: World):
    move = filled.do(acts.start, "customer", FIRST, LAST, "a", "b")
    assert filled.do(acts.killed, "run", move, "switch: released")
    with pytest.raises(MoveStopped, match="b still follows a"):
        filled.do(acts.clear_at_once, move)
    assert counts(filled, "a") == counts(filled, "b") == (1, 1, 1, 1)


def test_the_home_is_never_deleted(filled: World):
    move = filled.do(acts.start, "customer", FIRST, LAST, "a", "b")
    with pytest.raises(MoveStopped, match="the map gives a buckets of"):
        filled.do(acts.clear_at_once, move)
    assert counts(filled, "a") == (1, 1, 1, 1)
