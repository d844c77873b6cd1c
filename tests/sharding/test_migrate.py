"""``manage.py shard``: the same result as Django's own migrate, on all databases, and nothing half done."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

import sharding
from sharding import ShardingError, migrating, routers, schema
from sharding.routers import ShardRouter
from tests.sharding.releases import empty_database, everything, execute, rows

FIRST, *_, LAST = sharding.aliases("customer")


@pytest.fixture(autouse=True)
def unblocked(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield
        connections.close_all()


def shard(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("shard", *arguments, stdout=out)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("alias", ["default", LAST, sharding.aliases("store")[0]])
def test_a_new_database_becomes_what_djangos_migrate_makes_of_it(alias):
    with empty_database(alias):
        call_command("migrate", database=alias, verbosity=0)
        expected = everything(alias)
    with empty_database(alias):
        *_, last = shard("migrate", "--database", alias)
        assert last.startswith("1 databases in ")
        assert everything(alias) == expected
        assert schema.missing(connections[alias]) == []


def test_several_new_databases_are_migrated_together():
    expected = everything(FIRST)
    with empty_database(FIRST), empty_database(LAST):
        lines = shard("migrate", "--workers", "2", "--database", FIRST, "--database", LAST)
        assert [everything(FIRST), everything(LAST)] == [expected, expected]
    count = len(expected[-1])
    assert lines[0] == "all:"
    assert lines[1].split() == ["database", "keyspace", "state", "applied", "retries", "seconds", "left", "step"]
    assert sorted(line.split()[:5] for line in lines[2:4]) == [
        [FIRST, "customer", "done", f"{count}/{count}", "0"],
        [LAST, "customer", "done", f"{count}/{count}", "0"],
    ]


def test_what_is_migrated_stays_as_it_is():
    before = everything(LAST)
    lines = shard("migrate")
    assert everything(LAST) == before
    assert lines[0] == "all:"
    found = {line.split()[0]: line.split()[2:4] for line in lines[2:-1]}
    assert found == {alias: ["done", "0/0"] for alias in sharding.all_aliases()}
    assert lines[-1].startswith(f"{len(sharding.all_aliases())} databases in ")


def test_a_failure_names_its_database_undoes_its_migration_and_can_be_continued():
    with empty_database(LAST):
        execute(LAST, "CREATE TABLE shop_line (surprise int)")
        with pytest.raises(CommandError, match=f"not migrated: {LAST}$"):
            shard("migrate", "--database", FIRST, "--database", LAST)
        recorded = {app for app, _ in everything(LAST)[-1]}
        assert "contenttypes" in recorded
        assert "shop" not in recorded
        assert rows(LAST, "SELECT to_regclass('shop_customer')") == [(None,)]

        execute(LAST, "DROP TABLE shop_line")
        shard("migrate", "--database", FIRST, "--database", LAST)
        assert everything(LAST) == everything(FIRST)


def test_an_unknown_database_is_refused():
    with pytest.raises(CommandError, match="no database is called customer_77; there are default, "):
        shard("migrate", "--database", "customer_77")


def test_status_says_what_answers_and_what_it_lacks():
    _, *found, last = shard("status")
    lines = {line.split()[0]: line for line in found}
    assert last.startswith("last migrated: run ")
    assert f": done, {datetime.now(UTC):%Y-%m-%d} " in last
    assert set(lines) == set(sharding.all_aliases())
    assert lines["default"].split()[1] == "global"
    assert lines[FIRST].split()[1] == "customer:"
    assert lines[FIRST].endswith(" 0")
    with empty_database(LAST):
        lacking = len(everything_recorded())
        assert shard("status")[sharding.all_aliases().index(LAST) + 1].endswith(f" {lacking}")


def everything_recorded() -> list[tuple[Any, ...]]:
    return rows(FIRST, "SELECT app, name FROM django_migrations")


def test_status_goes_on_when_a_server_does_not():
    settings_dict = connections[LAST].settings_dict
    host = settings_dict["HOST"]
    connections[LAST].close()
    settings_dict["HOST"] = "/nowhere"
    out = StringIO()
    try:
        with pytest.raises(CommandError, match=f"unreachable: {LAST}"):
            call_command("shard", "status", stdout=out)
    finally:
        settings_dict["HOST"] = host
    assert f"{LAST:<24}" in out.getvalue()
    assert len(out.getvalue().splitlines()) == len(sharding.all_aliases()) + 2


def test_databases_are_migrated_in_groups_each_once():
    assert migrating.groups()[0] == ("global", ("default",))
    assert [name for name, _ in migrating.groups()] == ["global", "customer", "store", "shopper"]
    assert migrating.groups([LAST]) == [("customer", (LAST,))]


STORE = sharding.aliases("store")[0]


@pytest.mark.parametrize(
    ("app", "model", "hints", "expected"),
    [
        ("shop", "order", {}, {FIRST, LAST}),
        ("shop", "Order", {}, {FIRST, LAST}),
        ("shop", "stock", {}, {STORE}),
        ("shop", "product", {}, {"default"}),
        ("shop", "memo", {}, {"default", FIRST, LAST, STORE}),
        ("auth", "user", {}, {"default"}),
        ("auth", "long_gone", {}, {"default"}),
        ("auth", None, {}, {"default"}),
        ("nowhere", "thing", {}, {"default"}),
        ("shop", None, {"keyspace": "customer"}, {FIRST, LAST}),
        ("shop", None, {"keyspace": "default"}, {"default"}),
        ("shop", None, {"keyspace": "*"}, {"default", FIRST, LAST, STORE}),
        ("shop", "order_before_it_was_renamed", {"keyspace": "customer"}, {FIRST, LAST}),
        ("shop", "retired", {}, {FIRST, LAST}),
    ],
)
def test_where_a_migration_step_runs(app, model, hints, expected):
    retired = {"KEYSPACES": {}, "RETIRED": {"shop.retired": "customer"}}
    routers._keyspace_of_table.cache_clear()
    with override_settings(SHARDING=retired):
        allowed = {a for a in ("default", FIRST, LAST, STORE) if ShardRouter().allow_migrate(a, app, model, **hints)}
    assert allowed == expected
    routers._keyspace_of_table.cache_clear()


def test_a_step_that_could_be_for_several_places_has_to_say_which():
    with pytest.raises(ShardingError, match=r'a RunPython or RunSQL of shop is for.*hints=\{"keyspace": "'):
        ShardRouter().allow_migrate(FIRST, "shop")
    with pytest.raises(ShardingError, match=r'shop\.gone is for.*settings\.SHARDING\["RETIRED"\]'):
        ShardRouter().allow_migrate(FIRST, "shop", "gone")
    assert ShardRouter().allow_migrate("unknown_alias", "shop", "order") is False
