"""Deletes the rows of a range at a database that does not own it."""

import time

from sharding import directory, names
from sharding.errors import MoveStopped
from sharding.moves.servers import Session
from sharding.moves.tables import Table
from sharding.moves.work import RANGE, Work

BATCH = 5_000
REST = 0.5
"""Rest after a batch, as a part of the time it took: the database serves others meanwhile."""


def clear(work: Work, session: Session) -> int:
    """Delete the range's rows there in batches; the number deleted.

    Raises ``MoveStopped``, with nothing deleted, if the database owns any of the range, or the map gives it any, or
    somebody still replicates from there: the deletions would go on to the rows that count.
    """
    _check(work, session)
    session.run("SET session_replication_role = replica")  # past the guard, and without looking for referring rows
    try:
        deleted = sum(_clear(work, session, table) for table in work.tables)
    finally:
        if not session.connection.closed:
            session.run("RESET session_replication_role")
    return deleted


def _check(work: Work, session: Session) -> None:
    keyspace, first, last = work.range
    if session.alias in directory.read().keyspaces[keyspace].alias_of[first : last + 1]:
        raise MoveStopped(f"the map gives {session.alias} buckets of {work.move}; its rows are not deleted")
    owned = session.value(
        f"SELECT count(*) FROM {names.BUCKET_TABLE} WHERE {RANGE} AND state = 'owned'",
        *work.range,
    )
    if owned:
        raise MoveStopped(f"{session.alias} owns {owned} buckets of {work.move}; its rows are not deleted")
    for link in (work.out, work.back):
        if link.publisher is session and (link.is_published or link.slot is not None or link.is_subscribed):
            raise MoveStopped(
                f"{link.subscriber.alias} still follows {session.alias} by {link.name}; take that down first"
            )


def _clear(work: Work, session: Session, table: Table) -> int:
    within = table.within(work.move.first, work.move.last)
    deleted = 0
    with session.connection.cursor("sharding_clear", withhold=True) as cursor:
        cursor.execute(f"SELECT ctid FROM {table.quoted} WHERE {within}".encode())
        while places := cursor.fetchmany(BATCH):
            began = time.monotonic()
            # The condition again: a row's place may have been given to another row meanwhile.
            deleted += session.run(
                f"DELETE FROM {table.quoted} WHERE ctid = ANY(%s::tid[]) AND {within}", [place for (place,) in places]
            )
            work.say(f"deleting the copy at {session.alias}: {table.name}, {deleted:,} rows")
            time.sleep((time.monotonic() - began) * REST)
    return deleted
