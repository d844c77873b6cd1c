"""What to move where."""

import json

import pytest

from sharding.moves.planning import MOST_BUCKETS, By, Plan, Weights, propose
from sharding.topology import Keyspace
from tests.sharding.moves import acts
from tests.sharding.moves.world import World


def weights(alias: str, rows: dict[int, float], recent: dict[int, float] | None = None, writes: float = 0) -> Weights:
    by_bucket, made = ([found.get(bucket, 0.0) for bucket in range(10_000)] for found in (rows, recent or {}))
    return Weights(alias, by_bucket, made, writes, bytes_per_row=100.0)


def proposed(plan: Plan) -> list[tuple[int, int, str, str, int]]:
    return [(move.first, move.last, move.source, move.target, move.rows) for move in plan.moves]


def planned(by: By = "rows", **of_alias: Weights) -> Plan:
    keyspace = Keyspace.of("customer", ((0, 4999, "a"), (5000, 9999, "b")), ("c",))
    return propose(keyspace, {alias: of_alias.get(alias, weights(alias, {})) for alias in "abc"}, by)


def test_what_is_even_is_left_alone():
    even = planned(a=weights("a", {1: 100}), b=weights("b", {9000: 104}), c=weights("c", {}))
    assert even.before == {"a": 100 / 204, "b": 104 / 204, "c": 0.0}
    assert proposed(even) == []  # a bucket is not split, and half of what is there would be too much
    assert proposed(planned()) == []


def test_a_spare_gets_its_part_from_the_ends_of_the_others_ranges():
    plan = planned(
        a=weights("a", dict.fromkeys(range(3000), 1.0)), b=weights("b", dict.fromkeys(range(5000, 8000), 1.0))
    )
    assert proposed(plan) == [
        (2500, 4999, "a", "c", 500),
        (7500, 9999, "b", "c", 500),
        (2000, 2499, "a", "c", 500),
        (7000, 7499, "b", "c", 500),
    ]
    assert plan.after == {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}
    for move in plan.moves:
        assert move.last - move.first < MOST_BUCKETS
        assert move.command == f"shard move customer {move.first}-{move.last} {move.source} {move.target}"
        assert move.bytes == move.rows * 100


def test_by_writes_what_is_written_lately_counts():
    rows = {1: 900.0, 4000: 100.0}
    plan = planned("writes", a=weights("a", rows, recent={1: 1.0, 4000: 1.0}, writes=1000.0))
    assert proposed(plan) == [(4000, 4999, "a", "b", 100)]  # a tenth of the rows, half of what is written
    assert plan.before == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert plan.after == {"a": 0.5, "b": 0.5, "c": 0.0}


def test_rows_are_counted_by_bucket_and_new_ones_known_by_their_ids(shop: World):
    shop.do(acts.fill, [7, 10_007, 100], 2)
    year = 365 * 24 * 3600 * 1000 << 22
    with shop.connect("a") as past_the_guard:
        past_the_guard.execute("SET session_replication_role = replica")
        past_the_guard.execute("UPDATE shop_line SET id = id - %s WHERE customer_id = 100", [year])
    rows, recent = shop.do(acts.weigh, "a")
    assert rows == {7: 14.0, 100: 7.0}
    assert recent == {7: 12.0, 100: 4.0}  # customers' ids carry no time, and two lines are old
    assert shop.do(acts.weigh, "b") == ({}, {})


def test_the_commands(shop: World):
    shop.do(acts.fill, [*range(1, 3000, 100)], 2)
    (plan,) = json.loads(shop.do(acts.command, "plan", "customer", "--json"))
    assert plan["before"] == {"a": 1.0, "b": 0.0, "c": 0.0}
    command = plan["commands"][0].split()
    assert command[:3] == ["shard", "move", "customer"]
    said = shop.do(acts.command, *command[1:])
    assert said.splitlines()[0].endswith(f" of customer {command[3]} from a to {command[5]}")
    assert said.splitlines()[-1].endswith(": kept")
    (status,) = json.loads(shop.do(acts.command, "moves", "--json"))
    assert (status["phase"], status["source"], status["runner"]) == ("kept", "a", None)
    number = str(status["id"])
    assert shop.do(acts.command, "verify") == "everything is where the map says\n"
    assert shop.do(acts.command, "verify", "--move", number) == "both copies are alike\n"
    assert "can be undone until" in shop.do(acts.command, "cleanup", number)
    assert shop.do(acts.command, "cleanup") == ""  # none is due
    assert shop.do(acts.command, "rollback", number).splitlines()[-1].endswith(": undone")
    assert shop.do(acts.command, "moves") == "no moves\n"
    assert "say what to move" in shop.do(acts.command, "move", "customer")
    assert "there is no move 999" in shop.do(acts.command, "rollback", "999")


def test_a_schedule_takes_up_what_nobody_is_at(shop: World):
    move = shop.do(acts.start, "customer", 0, 9, "a", "b")
    assert shop.do(acts.killed, "run", move, "switch: fenced")
    assert f"nobody is at it: shard move --resume {move}, or shard rollback {move}" in shop.do(acts.command, "moves")
    assert shop.do(acts.command, "move", "--resume").splitlines()[-1].endswith(": kept")
    assert shop.do(acts.command, "move", "--resume") == ""


@pytest.mark.changes_tables
def test_looked_after_a_move_comes_to_its_end_and_one_that_cannot_be_is_given_up(shop: World):
    older = "UPDATE sharding_move SET changed_at = changed_at - interval '1 minute'"
    stuck = shop.do(acts.start, "customer", 20, 29, "a", "c")
    shop.run("a", "ALTER TABLE shop_order ADD COLUMN odd int")  # and not at the target
    with_column = shop.do(acts.start, "customer", 0, 9, "a", "b")
    shop.do(acts.look_after)
    assert phases(shop) == {stuck: "moving", with_column: "moving"}  # somebody may just be at it
    shop.run("default", older)
    shop.run("b", "ALTER TABLE shop_order ADD COLUMN odd int")
    shop.do(acts.look_after)
    assert phases(shop) == {stuck: "undone", with_column: "kept"}
    shop.run("default", "UPDATE sharding_move SET switched_at = switched_at - interval '1 day'")
    shop.do(acts.look_after)
    assert phases(shop) == {stuck: "undone", with_column: "done"}


def phases(shop: World) -> dict[int, str]:
    return dict(shop.rows("default", "SELECT id, phase FROM sharding_move"))


def test_verify_fails_with_what_it_found(shop: World):
    shop.run("c", "INSERT INTO sharding_bucket VALUES ('store', 5, 'owned', 1)")
    assert shop.do(acts.command, "verify") == (
        "c: owns, against the map, 1 buckets of store, the first is 5\n"
        "CommandError: 1 things are not as they should be\n"
    )
