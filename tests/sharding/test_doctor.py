"""``shard doctor`` finds what was broken on purpose, names it, and finds nothing where nothing is."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

import sharding
from sharding import breakers, directory, doctor, maps, ownership, topology
from sharding.models import MapVersion
from tests.sharding.conftest import ONE, OTHER

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

HERE, THERE = sharding.alias_for("customer", ONE), sharding.alias_for("customer", OTHER)


@pytest.fixture(autouse=True)
def well_again() -> Iterator[None]:
    MapVersion.objects.all().delete()
    directory.publish()
    yield
    topology.reload()
    for alias in (HERE, THERE):
        ownership.reset(connections[alias])


def findings() -> list[tuple[str, str, str]]:
    out = StringIO()
    with suppress(CommandError):
        call_command("shard", "doctor", "--json", stdout=out)
    return [(one["alias"], one["severity"], one["what"]) for one in json.loads(out.getvalue())]


def execute(alias: str, statement: str, *values: object) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, values or None)


def test_what_is_well_is_said_in_one_line():
    out = StringIO()
    call_command("shard", "doctor", stdout=out)
    assert out.getvalue() == f"map 0 and {len(sharding.all_aliases())} databases are well\n"


def test_buckets_that_map_and_database_see_differently_are_found_on_both_sides():
    execute(HERE, "UPDATE sharding_bucket SET state = 'moved', moved_to = %s WHERE bucket IN (%s, 9)", THERE, ONE)
    execute(THERE, "INSERT INTO sharding_bucket VALUES ('customer', %s, 'owned', 1)", ONE)
    assert findings() == [
        (HERE, "error", f"the map gives it 2 buckets of customer that it does not own, such as {ONE}"),
        (THERE, "error", f"it owns 1 buckets of customer that the map gives to others, such as {ONE}"),
    ]
    with pytest.raises(CommandError, match=f"not well: {HERE}, {THERE}"):
        call_command("shard", "doctor", stdout=StringIO())


def test_rows_on_their_way_are_a_warning_and_no_failure():
    def announce(shard_map: topology.ShardMap) -> topology.ShardMap:
        changed = maps.with_copies(shard_map.keyspaces["customer"], ((3, 5, THERE),))
        return replace(shard_map, keyspaces={**shard_map.keyspaces, "customer": changed})

    directory.change(announce, "a move")
    assert findings() == [(THERE, "warning", "holds buckets 3 to 5 of customer, which it does not own")]
    call_command("shard", "doctor", stdout=StringIO())


def test_an_index_that_was_left_half_made_is_found():
    execute(HERE, "CREATE INDEX half ON shop_order (total)")
    execute(HERE, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half'::regclass")
    try:
        assert findings() == [(HERE, "warning", "index half is not valid")]
    finally:
        execute(HERE, "DROP INDEX half")


def test_a_table_without_its_guard_is_found():
    with connections[HERE].cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'sharding_guard_%' AND tgrelid = 'shop_order'::regclass"
        )
        (name,) = cursor.fetchone()
    execute(HERE, f"DROP TRIGGER {name} ON shop_order")
    try:
        assert findings() == [(HERE, "error", f"shop_order lacks {name}")]
    finally:
        sharding.schema.install(connections[HERE])


def test_ids_far_ahead_of_the_clock_are_found():
    sharding.reserve_ids(sharding.home("customer", ONE), 1)  # sets the id clock
    execute(HERE, "SELECT setval('sharding_id', last_value + %s) FROM sharding_id", 3_600_000 << 8)
    try:
        ((alias, severity, what),) = findings()
    finally:
        execute(HERE, "SELECT setval('sharding_id', last_value - %s) FROM sharding_id", 3_600_000 << 8)
    assert (alias, severity) == (HERE, "warning")
    assert what.startswith(("its ids are 3600 s", "its ids are 3599 s", "its ids are 3598 s"))


def test_a_database_that_is_away_is_one_finding_and_the_others_are_looked_at():
    place = connections[HERE].settings_dict
    name, place["NAME"] = place["NAME"], "nobody_made_this"
    connections[HERE].close()
    try:
        ((alias, severity, what),) = findings()
    finally:
        place["NAME"] = name
        connections[HERE].close()
        breakers.reset()
    assert (alias, severity) == (HERE, "error")
    assert what.startswith("does not answer: ")
    assert "nobody_made_this" in what


def test_a_directory_that_went_back_is_found():
    directory.change(lambda shard_map: shard_map, "a step")
    MapVersion.objects.filter(epoch=2).delete()
    assert doctor.examine_map()[0].what == "the directory has map 1, this process knows 2 already"
