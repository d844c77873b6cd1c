"""The database objects: installed once, complete, and missed when they are gone."""

import threading

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connections

import sharding
from sharding import checks, schema
from tests.sharding.conftest import ONE
from tests.sharding.shop.models import Customer, Favourite, Label, Line, Note, Order, Receipt, Tag

pytestmark = pytest.mark.django_db(databases="__all__")

ALIAS = sharding.alias_for("customer", ONE)
TABLES = (Customer, Favourite, Label, Line, Note, Order, Receipt, Tag)


def objects() -> list[tuple[str, str]]:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname, oid FROM pg_trigger WHERE tgname LIKE 'sharding%' "
            "UNION ALL SELECT conrelid::regclass::text, conname, oid FROM pg_constraint "
            "WHERE conname LIKE 'sharding%' ORDER BY 1, 2"
        )
        return cursor.fetchall()


def test_every_table_has_its_objects_in_every_database_that_holds_it():
    assert [schema.missing(connections[alias]) for alias in sharding.all_aliases()] == [
        [] for _ in sharding.all_aliases()
    ]
    mine = [(table, name.rpartition("_")[0]) for table, name, _ in objects() if table.startswith("shop_")]
    assert mine == [
        (table, name)
        for table in sorted(model._meta.db_table for model in TABLES)
        for name in ("sharding_guard", "sharding_home", "sharding_truncate")
    ]


def test_installing_again_makes_nothing_anew():
    before = objects()
    schema.install(connections[ALIAS])
    call_command("migrate", database=ALIAS, verbosity=0)
    assert objects() == before


def test_what_is_gone_or_outdated_is_found_and_mended():
    before = [(table, name) for table, name, _ in objects()]
    gone = next(name for table, name in before if table == "shop_order" and "guard" in name)
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {gone} ON shop_order")
        cursor.execute("ALTER TABLE shop_line ADD CONSTRAINT sharding_home_0123456789 CHECK (quantity > 0)")
    assert schema.missing(connections[ALIAS]) == [("shop_order", gone)]
    (error,) = checks.check_tables(None, databases=[ALIAS])
    assert error.id == "sharding.E111"
    assert f"{ALIAS}: table shop_order lacks {gone}" in error.msg
    schema.install(connections[ALIAS])
    assert [(table, name) for table, name, _ in objects()] == before
    assert checks.check_tables(None, databases=[ALIAS]) == []


def test_without_its_trigger_a_table_takes_no_row_at_all():
    """Rather no row than one with an id that leads nowhere."""
    Customer.objects.create(id=ONE, name="c")
    (name,) = [name for table, name, _ in objects() if table == "shop_order" and "guard" in name]
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(f"ALTER TABLE shop_order DISABLE TRIGGER {name}")
    with pytest.raises(IntegrityError, match="null value"), sharding.atomic(ALIAS):
        Order.objects.create(customer_id=ONE, store_id=1)
    assert schema.missing(connections[ALIAS]) == [("shop_order", name)]


def test_ids_never_repeat_when_the_clock_stands_or_lags():
    """The sequence is the clock: neither a burst within a millisecond nor a sequence set ahead makes two alike."""
    home = sharding.home("customer", ONE)
    with connections[ALIAS].cursor() as cursor:
        before = sharding.reserve_ids(home, 20_000)
        cursor.execute("SELECT setval('sharding_id', (SELECT last_value FROM sharding_id) + 500000)")
        after = sharding.reserve_ids(home, 20_000)
    assert len({*before, *after}) == 40_000
    assert max(before) < min(after)


def test_ids_never_repeat_when_sessions_race_to_set_the_clock():
    home = sharding.home("customer", ONE)
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT last_value FROM sharding_id")
        (before,) = cursor.fetchone()
        for _ in range(40):
            cursor.execute("SELECT setval('sharding_id', 1)")  # far behind: whoever comes first has to set it
            barrier = threading.Barrier(4)
            drawn: list[int] = []

            def draw(barrier=barrier, drawn=drawn) -> None:
                try:
                    connections[ALIAS].ensure_connection()
                    barrier.wait()
                    for n in (1, 1, 300, 1):
                        drawn.extend(sharding.reserve_ids(home, n))
                finally:
                    connections.close_all()

            threads = [threading.Thread(target=draw) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(drawn) == len(set(drawn)) == 4 * 303
        cursor.execute("SELECT setval('sharding_id', greatest(last_value, %s)) FROM sharding_id", [before])


def test_a_check_that_was_added_and_never_validated_is_validated():
    """An install that was cut off after the short lock."""
    (name,) = [name for table, name, _ in objects() if table == "shop_order" and name.startswith("sharding_home_")]
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [name])
        (definition,) = cursor.fetchone()
        cursor.execute(f"ALTER TABLE shop_order DROP CONSTRAINT {name}")
        cursor.execute(f"ALTER TABLE shop_order ADD CONSTRAINT {name} {definition} NOT VALID")
    assert schema.missing(connections[ALIAS]) == [("shop_order", name)]
    before = objects()
    schema.install(connections[ALIAS])
    assert schema.missing(connections[ALIAS]) == []
    assert objects() == before
