"""Migrations that exist for one test, and databases to try them on."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings
from psycopg import sql

from sharding import migrating
from sharding.migrating import Options, Patience, Progress
from sharding.migrating.ledger import POSITION_TABLE
from tests.sharding.shop import migrations as shop_migrations
from tests.sharding.shop.models import Customer, Order

NEWEST = max(module.name for module in iter_modules(shop_migrations.__path__))
"""The last migration that the shop has by itself."""

_FILE = """
from django.contrib.postgres.operations import *
from django.db import migrations, models
from django.db.migrations import *
from django.db.models import CASCADE
from django.db.models.functions import Now
from sharding.operations import *


def broken(apps, schema_editor):
    raise RuntimeError(f"broken on {{schema_editor.connection.alias}}")


class Migration(migrations.Migration):
    dependencies = [("shop", "{before}")]
    atomic = {atomic}
    operations = [
        {operations}
    ]
"""


@dataclass(frozen=True, slots=True)
class Release:
    """What the shop's next release brings; each part is one migration."""

    folder: Path
    package: str
    names: list[str] = field(default_factory=list)

    def add(self, *operations: str, atomic: bool = True) -> str:
        before = self.names[-1] if self.names else NEWEST
        name = f"release_{len(self.names) + 1}"
        text = _FILE.format(before=before, atomic=atomic, operations=",\n        ".join(operations))
        (self.folder / self.package / f"{name}.py").write_text(text)
        self.names.append(name)
        return f"shop.{name}"

    @property
    def modules(self) -> dict[str, str]:
        return {"shop": self.package}


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    """From here on the shop has more migrations: those that the test adds."""
    found = Release(tmp_path, f"release_{uuid.uuid4().hex}")
    (tmp_path / found.package).mkdir()
    (tmp_path / found.package / "__init__.py").write_text(f"__path__ += {list(shop_migrations.__path__)!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with override_settings(MIGRATION_MODULES=found.modules):
        yield found


@contextmanager
def copies(*aliases: str) -> Iterator[None]:
    """In the place of each database a copy of it, for all threads."""
    with ExitStack() as stack:
        for alias in aliases:
            stack.enter_context(_another(alias, sql.SQL("TEMPLATE {}").format(sql.Identifier(_name(alias)))))
        yield


@contextmanager
def empty_database(alias: str) -> Iterator[None]:
    """A new database in the place of ``alias``, for all threads."""
    with _another(alias, sql.SQL("")):
        yield


def _name(alias: str) -> str:
    return str(connections[alias].settings_dict["NAME"])


@contextmanager
def _another(alias: str, how: sql.Composable) -> Iterator[None]:
    settings_dict = connections[alias].settings_dict
    name = settings_dict["NAME"]
    scratch = sql.Identifier(f"{name}_scratch")
    connections[alias].close()
    with connections[alias].creation._nodb_cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(scratch))
        cursor.execute(sql.SQL("CREATE DATABASE {} {} STRATEGY file_copy").format(scratch, how))
    settings_dict["NAME"] = f"{name}_scratch"
    try:
        yield
    finally:
        connections[alias].close()
        settings_dict["NAME"] = name
        with connections[alias].creation._nodb_cursor() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(scratch))


def rows(alias: str, statement: str) -> list[tuple[Any, ...]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def execute(alias: str, statement: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)


def orders(alias: str, customer: int, totals: Iterable[int], *, id: int | None = None) -> list[int]:
    """Orders of one customer, who is made if need be, one for each total; their ids."""
    Customer.objects.using(alias).get_or_create(id=customer, defaults={"name": "c"})
    made = [Order(id=id, customer_id=customer, store_id=1, total=total) for total in totals]
    return [order.id for order in Order.objects.using(alias).bulk_create(made)]


def columns(alias: str, table: str) -> set[str]:
    found = rows(alias, "SELECT table_name, column_name FROM information_schema.columns")
    return {column for where, column in found if where == table}


def recorded(alias: str) -> list[str]:
    """The migrations of the release that the database has."""
    found = rows(alias, "SELECT name FROM django_migrations WHERE app = 'shop' ORDER BY id")
    return [name for (name,) in found if name.startswith("release_")]


def unfinished(alias: str) -> list[tuple[str, int]]:
    """Migrations that are not one transaction and not over, with the number of their steps that are."""
    return rows(alias, f"SELECT name, done FROM {POSITION_TABLE}")  # noqa: S608


def migrate(
    *aliases: str,
    report: Callable[[Progress], None] = lambda progress: None,
    lock_timeout_ms: int = 200,
    retries: int = 30,
    **options: Any,
) -> dict[str, Progress]:
    patience = Patience(lock_timeout_ms=lock_timeout_ms, retries=retries, first_pause_seconds=0.05)
    return migrating.migrate(migrating.groups(aliases), Options(patience=patience, **options), report=report)


CATALOG = (
    """SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity
       FROM information_schema.columns
       WHERE table_schema = 'public' AND table_name NOT LIKE 'sharding_migration_%' ORDER BY 1, 2""",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
       FROM pg_constraint
       WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'sharding_migration_%'
       ORDER BY 1, 2""",
    """SELECT i.tablename, i.indexname, i.indexdef, x.indisvalid
       FROM pg_indexes i JOIN pg_index x ON x.indexrelid = quote_ident(i.indexname)::regclass
       WHERE i.schemaname = 'public' AND i.tablename NOT LIKE 'sharding_migration_%' ORDER BY 1, 2""",
    "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
    "SELECT app, name FROM django_migrations ORDER BY 1, 2",
)


def everything(alias: str) -> list[list[tuple[Any, ...]]]:
    """All that a database has but rows, and the library's own book of migrations."""
    return [rows(alias, statement) for statement in CATALOG]
