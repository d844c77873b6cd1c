"""Every statement on every connection passes here: refusals get their own exceptions, tests get a guard."""

import threading
from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import Error

from sharding import errors, leases, names, topology
from sharding.conf import options
from sharding.topology import ShardMap

Observer = Callable[[BaseDatabaseWrapper, str], None]
observers: list[Observer] = []
"""Called before each statement, on all threads; ``sharding.testing`` adds its guard here."""


class _Open(threading.local):
    """The outermost ``sharding.atomic`` of this thread: its database, and the map by which that was found."""

    alias: str | None = None
    by: ShardMap | None = None
    is_whole: bool = False
    """What is opened inside has no savepoint of its own."""


transaction = _Open()


def watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Install ``passing`` on a connection, once."""
    if connection.vendor == "postgresql" and passing not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, passing)


def passing(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    connection = context["connection"]
    for observe in observers:
        observe(connection, sql)
    if transaction.alias not in (None, connection.alias) and transaction.by is not topology.known():
        # Sent there, it would be a statement of its own, done whatever becomes of the transaction.
        raise errors.BucketMoved(
            connection.alias,
            f"the map changed while a transaction was open on {transaction.alias}, and leads to {connection.alias} "
            "now; begin again",
        )
    if not leases.is_fresh(connection.alias):
        leases.confirm(connection)
    try:
        return execute(sql, params, many, context)
    except Error as error:
        ours = translated(error, connection.alias)
        if ours is None:
            raise
        raise ours from error.__cause__


def translated(error: Error, alias: str) -> Error | None:
    """The library's own exception for what the database ``alias`` said by triggers and constraints of ours, or None."""
    state = errors.sqlstate(error)
    if state == errors.READ_ONLY and alias in options().replicas:
        return errors.BucketMoved(alias, "this server is not its primary, or not yet; try again")
    if state == errors.BUCKET_MOVED:
        return errors.BucketMoved(alias, errors.first_line(error))
    if state == errors.IDENTITY_CHANGED:
        return errors.MisplacedRow(*error.args)
    if state == errors.CHECK_VIOLATION:
        diagnosis = getattr(error.__cause__, "diag", None)
        if (getattr(diagnosis, "constraint_name", None) or "").startswith(names.HOME_CHECK):
            return errors.MisplacedRow(
                f"{diagnosis.table_name}: id, key and co-located references of this row name different buckets; "  # type: ignore[union-attr]
                "give it the key of the rows it belongs to"
            )
    return None
