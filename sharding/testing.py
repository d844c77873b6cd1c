"""What a project's tests need: databases in seconds, and a guard against mixing them.

In ``conftest.py``::

    @pytest.fixture(scope="session")
    def django_db_setup(django_test_environment, django_db_blocker, django_db_keepdb):
        with django_db_blocker.unblock(), sharding.testing.databases(keep=django_db_keepdb):
            yield

    @pytest.fixture(autouse=True)
    def one_database_at_a_time():
        with sharding.testing.forbid_cross_database_transactions():
            yield

Tests that commit (``transaction=True``) take a second each to empty every database; with ``empty`` a few milliseconds.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from sharding import migrating, ownership, statements, topology, transactions
from sharding.errors import CrossShardTransaction


@contextmanager
def databases(*, keep: bool = False) -> Iterator[None]:
    """Test databases for every alias of ``DATABASES``; dropped afterwards unless ``keep``.

    One database of each kind is migrated, all kinds together; the others are copies of it made by the server
    (``CREATE DATABASE … TEMPLATE``). Names are Django's own, so parallel test workers do not meet.
    """
    before = {alias: connections[alias].settings_dict["NAME"] for alias in topology.all_aliases()}
    names = {alias: _creation(alias)._get_test_db_name() for alias in before}
    for alias, name in names.items():
        connections[alias].close()
        _create(alias, name, keep=keep)
        _use(alias, name)
    try:
        _fill(keep=keep)
        yield
    finally:
        for alias, name in names.items():
            connections[alias].close()
            _use(alias, before[alias])
            if not keep:
                _run(alias, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _fill(*, keep: bool) -> None:
    kinds = _kinds()
    to_migrate = kinds if keep else [aliases[:1] for aliases in kinds]
    groups = [migrating.Group(aliases[0], tuple(aliases)) for aliases in to_migrate]
    for progress in migrating.migrate(groups).values():
        if progress.error is not None:
            raise progress.error
    if keep:
        return
    for model, *copies in kinds:
        connections[model].close()
        for alias in copies:
            _copy(model, alias)
            ownership.reset(connections[alias])


def _kinds() -> list[list[str]]:
    """Databases that hold the same tables on the same server, together."""
    kinds: dict[object, list[str]] = {}
    for alias in topology.all_aliases():
        holds = frozenset(k.name for k in topology.keyspaces().values() if alias in k.databases)
        server = [connections[alias].settings_dict[part] for part in ("HOST", "PORT")]
        kinds.setdefault((alias == DEFAULT_DB_ALIAS, holds, *server), []).append(alias)
    return list(kinds.values())


def _create(alias: str, name: str, *, keep: bool) -> None:
    if keep and _exists(alias, name):
        return
    _run(alias, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    _run(alias, sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(sql.Identifier(name)))


def _copy(model: str, alias: str) -> None:
    name, template = (connections[one].settings_dict["NAME"] for one in (alias, model))
    connections[alias].close()
    _run(alias, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    copying = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")  # the usual one writes it all to the log too
    _run(alias, copying.format(sql.Identifier(name), sql.Identifier(template)))


def _exists(alias: str, name: str) -> bool:
    with _creation(alias)._nodb_cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        return cursor.fetchone() is not None


def _run(alias: str, statement: sql.Composed) -> None:
    with _creation(alias)._nodb_cursor() as cursor:
        cursor.execute(statement)


def _creation(alias: str) -> Any:
    return connections[alias].creation


def _use(alias: str, name: str) -> None:
    settings.DATABASES[alias]["NAME"] = name
    connections[alias].settings_dict["NAME"] = name


KEPT_TABLES = frozenset({"django_migrations", "django_content_type", "auth_permission"})


def empty(alias: str) -> None:
    """Delete all rows of all models' tables in ``alias``, but for what Django itself writes after migrating.

    Django's ``flush`` makes a new file of every table and then writes those rows anew. Needs a superuser. 2 queries.
    """
    connection = connections[alias]
    tables = [sql.Identifier(name) for name in connection.introspection.django_table_names(only_existing=True)
              if name not in KEPT_TABLES]  # fmt: skip
    with connection.cursor() as cursor:
        looks = [sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(name.as_string(), name) for name in tables]
        cursor.execute(sql.SQL(" UNION ALL ").join(looks))
        filled = [sql.SQL(name) for (name,) in cursor.fetchall()]
        if filled:
            deletions = [sql.SQL("DELETE FROM {};").format(name) for name in filled]
            cursor.execute(
                sql.SQL("SET LOCAL session_replication_role = replica; {}").format(sql.SQL("").join(deletions))
            )


@contextmanager
def forbid_cross_database_transactions(*, allow: Collection[str] = ()) -> Iterator[None]:
    """Raise ``CrossShardTransaction`` at any statement sent to one database while a transaction is open on another.

    Sees ``sharding.atomic``, Django's own ``atomic`` and bare queries alike, in every thread, and raises once more at
    the end, for code that swallowed it. Transactions that were open before, and those of Django's ``TestCase``, do not
    count. Databases of ``allow`` may be asked at any time.
    """
    seen: list[str] = []
    before = {connection.alias: len(connection.atomic_blocks) for connection in connections.all(initialized_only=True)}
    connections_before = {id(connection) for connection in connections.all(initialized_only=True)}

    def observe(connection: BaseDatabaseWrapper, statement: str) -> None:
        if connection.alias in allow:
            return
        for other in connections.all(initialized_only=True):
            if other.alias == connection.alias:
                continue
            baseline = before[other.alias] if id(other) in connections_before else 0
            if transactions.is_open(other, baseline):
                text = f"{connection.alias} was asked while a transaction was open on {other.alias}: {statement[:200]}"
                seen.append(text)
                raise CrossShardTransaction(text)

    statements.observers.append(observe)
    try:
        yield
    finally:
        statements.observers.remove(observe)
    if seen:
        raise CrossShardTransaction(seen[0])
