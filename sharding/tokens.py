"""What a reader has to be able to see: where a database's log stood after the reader's writes."""

from django.db import connections

from sharding import transactions
from sharding.errors import ShardingError
from sharding.transactions import Target


def written(target: Target) -> dict[str, str]:
    """``{alias: position}`` of the target's database now, for ``replica_reads``. Plain text: it fits into a session.

    Call it after the transaction: what commits later is not covered, so inside one it raises ``ShardingError``.
    1 query.
    """
    alias = transactions.alias_of(target)
    connection = connections[alias]
    if transactions.is_open(connection):
        raise ShardingError(f"written() inside a transaction on {alias} would not cover its commit; call it afterwards")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
        return {alias: cursor.fetchone()[0]}
