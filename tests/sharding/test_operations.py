"""Operations that Django lacks: the result is Django's own, and an interrupted attempt is no obstacle."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connections

import sharding
from sharding.migrating import Progress, State
from tests.sharding.conftest import OTHER
from tests.sharding.releases import Release, columns, copies, execute, migrate, orders, recorded, release, rows
from tests.sharding.shop.models import Line

__all__ = ["release"]

*_, LAST = sharding.aliases("customer")
UNIQUE = 'AddUnique("order", models.UniqueConstraint(fields=["customer", "total"], name="one_total"))'
PARTLY = 'AddUnique("order", models.UniqueConstraint(fields=["customer"], condition=models.Q(total__gt=9), name="big"))'
FOREIGN_KEY = (
    'AddForeignKey("receipt", "customer_id", models.ForeignKey("shop.customer", CASCADE, db_column="customer_id", '
    'related_name="+"))'
)
NOT_NULL = 'SetNotNull("line", "price", models.DecimalField(max_digits=8, decimal_places=2))'


@pytest.fixture(autouse=True)
def a_copy(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        with copies(LAST):
            yield
        connections.close_all()


def migrated() -> Progress:
    (progress,) = migrate(LAST, canary=False).values()
    return progress


def constraint(name: str) -> tuple[Any, ...] | None:
    found = rows(
        LAST,
        "SELECT conname, contype, pg_get_constraintdef(oid), convalidated FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace",
    )
    return next((row[1:] for row in found if row[0] == name), None)


def index(name: str) -> tuple[Any, ...] | None:
    found = rows(
        LAST,
        "SELECT indexrelid::regclass::text, indisvalid, indisunique, pg_get_indexdef(indexrelid) FROM pg_index",
    )
    return next((row[1:] for row in found if row[0] == name), None)


def order(total: int) -> int:
    (id,) = orders(LAST, OTHER, [total])
    return id


def test_a_unique_constraint(release: Release):
    release.add(UNIQUE, atomic=False)
    order(1)
    assert migrated().state is State.DONE
    assert constraint("one_total") == ("u", "UNIQUE (customer_id, total)", True)
    with pytest.raises(IntegrityError, match="one_total"):
        order(1)


def test_one_with_a_condition_is_an_index(release: Release):
    release.add(PARTLY, atomic=False)
    assert migrated().state is State.DONE
    assert index("big") == (
        True,
        True,
        "CREATE UNIQUE INDEX big ON public.shop_order USING btree (customer_id) WHERE (total > 9)",
    )


def test_rows_that_are_not_unique_leave_nothing_behind(release: Release):
    release.add(UNIQUE, atomic=False)
    order(1)
    twin = order(1)
    progress = migrated()
    assert isinstance(progress.error, IntegrityError)
    assert "is duplicated" in str(progress.error)
    assert (constraint("one_total"), index("one_total"), recorded(LAST)) == (None, None, [])
    execute(LAST, f"DELETE FROM shop_order WHERE id = {twin}")  # noqa: S608
    assert migrated().state is State.DONE
    assert constraint("one_total") == ("u", "UNIQUE (customer_id, total)", True)


def test_an_attempt_that_was_cut_off_is_gone_on_with(release: Release):
    release.add(UNIQUE, PARTLY, atomic=False)
    execute(LAST, "CREATE UNIQUE INDEX one_total ON shop_order (customer_id, total)")  # ended after its client
    order(10)
    twin = order(11)
    with pytest.raises(IntegrityError):
        execute(LAST, "CREATE UNIQUE INDEX CONCURRENTLY big ON shop_order (customer_id) WHERE total > 9")
    assert index("big")[0] is False
    execute(LAST, f"DELETE FROM shop_order WHERE id = {twin}")  # noqa: S608
    assert migrated().state is State.DONE
    assert constraint("one_total") == ("u", "UNIQUE (customer_id, total)", True)
    assert index("big")[0] is True


def foreign_key_of_receipts() -> str:
    ((name,),) = rows(
        LAST, "SELECT conname FROM pg_constraint WHERE conname LIKE 'shop_receipt_customer_id%' AND contype = 'f'"
    )
    return str(name)


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_foreign_key(release: Release, cut_off: bool):
    release.add(FOREIGN_KEY, atomic=False)
    if cut_off:
        assert migrated().state is State.DONE
        execute(LAST, "DELETE FROM django_migrations WHERE name = 'release_1'")
        name = foreign_key_of_receipts()
        definition = constraint(name)
        execute(LAST, f"ALTER TABLE shop_receipt DROP CONSTRAINT {name}")
        execute(LAST, f"ALTER TABLE shop_receipt ADD CONSTRAINT {name} {definition[1]} NOT VALID")
        assert constraint(name)[2] is False
    assert migrated().state is State.DONE
    assert constraint(foreign_key_of_receipts()) == (
        "f",
        "FOREIGN KEY (customer_id) REFERENCES shop_customer(id) DEFERRABLE INITIALLY DEFERRED",
        True,
    )


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_column_that_must_be_filled(release: Release, cut_off: bool):
    release.add(NOT_NULL, atomic=False)
    if cut_off:
        Line.objects.using(LAST).create(customer_id=OTHER, order_id=order(1))
        progress = migrated()
        assert isinstance(progress.error, IntegrityError)
        assert "is violated by some row" in str(progress.error)
        execute(LAST, "UPDATE shop_line SET price = 1")
    assert migrated().state is State.DONE
    assert rows(
        LAST,
        "SELECT is_nullable FROM information_schema.columns WHERE table_name = 'shop_line' AND column_name = 'price'",
    ) == [("NO",)]
    assert rows(LAST, "SELECT conname FROM pg_constraint WHERE conname LIKE '%filled'") == []


def test_what_the_code_has_forgotten_is_dropped(release: Release):
    release.add(
        'SeparateDatabaseAndState(state_operations=[RemoveField("line", "price"), DeleteModel("Receipt")])',
        'DropColumn("line", "price")',
        'DropTable("shop_receipt", keyspace="customer")',
        'DropTable("shop_memo", keyspace="store")',
    )
    (progress,) = migrate(LAST, canary=False, unsafe="one release is enough here").values()
    assert progress.state is State.DONE
    assert "price" not in columns(LAST, "shop_line")
    assert columns(LAST, "shop_receipt") == set()
    assert columns(LAST, "shop_memo") == {"id", "text"}  # not of that keyspace


def test_a_column_that_the_code_knows_is_not_dropped(release: Release):
    release.add('DropColumn("line", "price")')
    (progress,) = migrate(LAST, canary=False, unsafe="to see it refused").values()
    assert "still has a field for price" in str(progress.error)
    assert "price" in columns(LAST, "shop_line")


@pytest.mark.parametrize("operation", [UNIQUE, FOREIGN_KEY, NOT_NULL])
def test_they_need_a_migration_that_is_no_transaction(release: Release, operation: str):
    release.add(operation)
    (progress,) = migrate(LAST, canary=False, unsafe="to see it refused").values()
    assert "set atomic = False" in str(progress.error)


def test_djangos_own_migrate_runs_them_too(release: Release):
    release.add(UNIQUE, FOREIGN_KEY, NOT_NULL, atomic=False)
    call_command("migrate", database=LAST, verbosity=0)
    assert constraint("one_total") == ("u", "UNIQUE (customer_id, total)", True)
    assert recorded(LAST) == ["release_1"]


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ('AddUnique("order", models.CheckConstraint(condition=models.Q(total=1), name="c"))', "for a UniqueConstraint"),
        ('AddForeignKey("order", "store_id", models.IntegerField())', "for a ForeignKey with db_constraint"),
        ('SetNotNull("line", "price", models.IntegerField(null=True))', "for a field without null=True"),
    ],
)
def test_they_refuse_what_they_are_not_for(release: Release, operation: str, message: str):
    release.add(operation)
    with pytest.raises(TypeError, match=message):
        migrated()
