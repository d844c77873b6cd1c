"""What every shard's database has beside Django's tables: the id clock, its buckets, and objects for each table.

* ``sharding_guard_…``, before each row is written: fills the id, holds id and key fast (SQLSTATE 40SH2), refuses what
  belongs elsewhere (40SH1).
* ``sharding_truncate_…``: refuses TRUNCATE while rows are being moved (40SH3).
* ``sharding_home_…``, a CHECK: id, key and co-located references name one bucket.

The suffix is a hash of the definition, so that a changed definition is a new object and the old one goes.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CompositePrimaryKey, Field, Model

from sharding import keys, names, ownership
from sharding.ids import BUCKET_MASK, BUCKET_SHIFT, BUCKETS, EPOCH_MS, TIME_SHIFT, bucket_of_key

AHEAD = 1 << 16
"""How far the id clock is set ahead when it lags, in ids: 256 of them are a millisecond."""

# The sequence is the clock: its value is ``milliseconds << 8 | count``, so no two ids of a database are equal however
# many are drawn within a millisecond. When it lags behind the time of day, one session sets it ahead, under a lock
# that the rolled-back block gives back at once (setval itself is not undone).
_BASE = f"""
CREATE SEQUENCE IF NOT EXISTS {names.SEQUENCE};

CREATE OR REPLACE FUNCTION {names.NEXT_ID}(bucket bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
  due bigint;
  drawn bigint;
BEGIN
  LOOP
    due := (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - {EPOCH_MS}) << {BUCKET_SHIFT};
    drawn := nextval('{names.SEQUENCE}');
    IF drawn >= due THEN
      RETURN ((drawn >> {BUCKET_SHIFT}) << {TIME_SHIFT}) | (bucket << {BUCKET_SHIFT}) | (drawn & 255);
    END IF;
    BEGIN
      PERFORM pg_advisory_xact_lock({names.ADVISORY_CLASS}, {names.CLOCK_LOCK});
      PERFORM setval('{names.SEQUENCE}', due + {AHEAD}) FROM {names.SEQUENCE} WHERE last_value < due;
      RAISE EXCEPTION 'release' USING ERRCODE = '40SH0';
    EXCEPTION WHEN SQLSTATE '40SH0' THEN
      NULL;
    END;
  END LOOP;
END
$body$;

{ownership.CREATE}
"""


@dataclass(frozen=True, slots=True)
class TableObjects:
    """What one table needs, by name; the value makes it."""

    triggers: dict[str, tuple[str, ...]]
    checks: dict[str, tuple[str, str]]
    """How to add it for new rows, and how to have the old ones looked at."""


def after_migrate(using: str, **_: Any) -> None:
    """Receiver of ``post_migrate``."""
    install(connections[using])


def install(connection: BaseDatabaseWrapper) -> None:
    """Give every sharded table of this database its triggers and CHECK. Repeating it changes nothing.

    One table after the other, each in short transactions: nobody waits for more than one, or for a look at every row.
    """
    if connection.vendor != "postgresql":
        return
    tables = _sharded_tables(connection)
    if not tables:
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        _wait_for_others(cursor)
        _install_base(cursor)
        ownership.seed(connection)
    found = _installed(connection, list(tables))
    for table, wanted in tables.items():
        if found[table] != dict.fromkeys((*wanted.triggers, *wanted.checks), True):
            _install_table(connection, table, wanted)


def _install_table(connection: BaseDatabaseWrapper, table: str, wanted: TableObjects) -> None:
    quoted = connection.ops.quote_name(table)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        _wait_for_others(cursor)
        here = _installed(connection, [table])[table]
        for name, create in wanted.triggers.items():
            if name not in here:
                for statement in (f"DROP TRIGGER IF EXISTS {name} ON {quoted}", *create):  # there may be a disabled one
                    cursor.execute(statement)
        for name, (add, _) in wanted.checks.items():
            if name not in here:
                cursor.execute(add)
        for name in sorted(here.keys() - wanted.triggers.keys() - wanted.checks.keys()):
            if not name.startswith(names.HOME_CHECK):
                cursor.execute(f"DROP TRIGGER {name} ON {quoted}")
    with connection.cursor() as cursor:
        for name, (_, validate) in wanted.checks.items():
            if not here.get(name):
                cursor.execute(validate)
        for name in sorted(here.keys() - wanted.checks.keys()):
            if name.startswith(names.HOME_CHECK):
                cursor.execute(f"ALTER TABLE {quoted} DROP CONSTRAINT IF EXISTS {name}")


def _wait_for_others(cursor: Any) -> None:
    cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [names.ADVISORY_CLASS, names.INSTALL_LOCK])


def missing(connection: BaseDatabaseWrapper) -> list[tuple[str, str]]:
    """``(table, object)`` for each trigger or CHECK that a table of this database should have and has not."""
    tables = _sharded_tables(connection)
    found = _installed(connection, list(tables))
    return [
        (table, name)
        for table, wanted in tables.items()
        for name in (*wanted.triggers, *wanted.checks)
        if not found[table].get(name)
    ]


def sharded_models() -> list[type[Model]]:
    """Every model with a table of its own that declares a ``ShardKey`` naming one of its columns."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if keys.key_field(model) is not None and model._meta.managed and not model._meta.proxy
    ]


def objects_of(model: type[Model], connection: BaseDatabaseWrapper) -> TableObjects:
    """What the table of a sharded model needs."""
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    placed = keys.layout(model)
    key = quote(str(placed.key.column))
    identity = list(dict.fromkeys([*(quote(str(field.column)) for field in _pk_columns(model)), key]))

    id = quote(str(placed.pk.column)) if keys.carries_bucket(placed.pk) else None
    function, create_function = _named(
        names.GUARD_FUNCTION, ownership.guard(placed.keyspace, key=key, id=id, identity=identity)
    )
    guard, create_guard = _named(
        names.GUARD_TRIGGER,
        f"CREATE TRIGGER {{name}} BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION {function}()",
    )
    truncate, create_truncate = _named(
        names.TRUNCATE_TRIGGER,
        f"CREATE TRIGGER {{name}} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
        f"EXECUTE FUNCTION {names.TRUNCATE_FUNCTION}('{placed.keyspace}')",
    )
    triggers = {guard: (create_function, create_guard), truncate: (create_truncate,)}

    conditions = [f"{key} > 0"]
    for field in model._meta.concrete_fields:
        if field is placed.key or not field.column:
            continue
        bucket_of = keys.bucket_function(field)
        if bucket_of is not None:
            column = quote(field.column)
            bucket = f"{column} % {BUCKETS}" if bucket_of is bucket_of_key else _bucket_sql(column)
            conditions.append(f"{bucket} = {key} % {BUCKETS}")
    # NOT VALID first: the short lock does not wait for a look at every row.
    check, add_check = _named(
        names.HOME_CHECK, f"ALTER TABLE {table} ADD CONSTRAINT {{name}} CHECK ({' AND '.join(conditions)}) NOT VALID"
    )
    return TableObjects(triggers, {check: (add_check, f"ALTER TABLE {table} VALIDATE CONSTRAINT {check}")})


def _bucket_sql(column: str) -> str:
    return f"(({column} >> {BUCKET_SHIFT}) & {BUCKET_MASK})"


def _pk_columns(model: type[Model]) -> "list[Field[Any, Any]]":
    pk = model._meta.pk
    return [field for field in pk.fields if isinstance(field, Field)] if isinstance(pk, CompositePrimaryKey) else [pk]


def _named(prefix: str, template: str) -> tuple[str, str]:
    name = prefix + hashlib.sha256(template.encode()).hexdigest()[:10]
    return name, template.replace("{name}", name)


def _sharded_tables(connection: BaseDatabaseWrapper) -> dict[str, TableObjects]:
    models = [model for model in sharded_models() if router.allow_migrate_model(connection.alias, model)]
    if not models:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND relkind IN ('r', 'p') AND "
            "pg_table_is_visible(oid)",
            [[model._meta.db_table for model in models]],
        )
        existing = {name for (name,) in cursor.fetchall()}
    return {model._meta.db_table: objects_of(model, connection) for model in models if model._meta.db_table in existing}


def _installed(connection: BaseDatabaseWrapper, tables: list[str]) -> dict[str, dict[str, bool]]:
    """By table: its triggers and CHECKs, each with whether it holds for every row. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, o.name, o.holds FROM pg_class c JOIN ("
            "  SELECT tgrelid AS relid, tgname AS name, true AS holds FROM pg_trigger"
            "  WHERE NOT tgisinternal AND tgenabled <> 'D'"
            "  UNION ALL SELECT conrelid, conname, convalidated FROM pg_constraint WHERE contype = 'c'"
            ") o ON o.relid = c.oid "
            r"WHERE c.relname = ANY(%s) AND pg_table_is_visible(c.oid) AND o.name LIKE 'sharding\_%%'",
            [tables],
        )
        found: dict[str, dict[str, bool]] = {table: {} for table in tables}
        for table, name, holds in cursor.fetchall():
            found[table][name] = holds
        return found


def _install_base(cursor: Any) -> None:
    version = hashlib.sha256(_BASE.encode()).hexdigest()
    cursor.execute(
        "SELECT obj_description(p.oid, 'pg_proc') FROM pg_proc p WHERE p.oid = to_regproc(%s)",
        [names.TRUNCATE_FUNCTION],
    )
    row = cursor.fetchone()
    if row is None or row[0] != version:
        cursor.execute(_BASE)
        cursor.execute(f"COMMENT ON FUNCTION {names.TRUNCATE_FUNCTION}() IS '{version}'")
