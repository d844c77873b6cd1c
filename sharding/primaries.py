"""Which server is a database's primary, and who may say so.

A database with replicas has several servers: its own entry in ``DATABASES`` and those of its replicas. The map says
which of them is the primary now; the two then swap roles, so that the deposed one is a replica once it follows again.

Who goes by an old map would write to a deposed primary that has come back. The directory keeps its readers from it. A
process that the directory does not answer asks the other servers instead: while they follow, none has taken over, and
one that does not follow was promoted or deposed. PostgreSQL itself numbers that: each promotion begins a new timeline.
"""

from dataclasses import replace
from typing import Any

import psycopg
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from sharding import names, topology
from sharding.conf import options
from sharding.deadlines import deadline
from sharding.errors import BucketMoved, ShardUnavailable

ASKING_SECONDS = 0.5

FOLLOWS = 0
"""Instead of a timeline, of a server that follows another."""

# Whether the server follows or by which timeline it leads, and whether somebody is about to promote it.
_STANDING = f"""
SELECT
  CASE WHEN pg_is_in_recovery() THEN {FOLLOWS}
  ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer END,
  EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = {names.ADVISORY_CLASS}
    AND objid = {names.PROMOTION_LOCK} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  )
"""  # noqa: S608


def address_of(alias: str) -> str:
    """The entry of ``DATABASES`` under which the alias's server is found now, as far as this process knows."""
    shard_map = topology.known()
    if shard_map is None:
        if not servers(alias):
            return alias
        shard_map = topology.current()
    return shard_map.address_of(alias)


def servers(alias: str) -> tuple[str, ...]:
    """The database that ``alias`` belongs to and its replicas; nothing where it has none."""
    for primary, copies in options().replicas.items():
        if alias == primary or alias in copies:
            return (primary, *copies)
    return ()


def confirm(connection: BaseDatabaseWrapper) -> None:
    """Make sure that ``connection`` leads to the primary, without the directory. One query to each server.

    Raises ``BucketMoved`` when another server has taken over, which this process follows from here on, and
    ``ShardUnavailable`` while one is about to, or does not say.
    """
    alias = connection.alias
    copies = options().replicas.get(alias, ())
    if not copies:
        return
    timeline, _ = standing(connection.connection.cursor())
    if timeline == FOLLOWS:
        raise ShardUnavailable(alias, "its new primary is not ready yet; try again in a moment")
    for copy in copies:
        other, is_being_promoted = _asked(alias, copy)
        if is_being_promoted:
            raise ShardUnavailable(alias, f"the server of {copy} is about to take over; try again in a moment")
        if other == timeline:
            raise ShardUnavailable(
                alias, f"both its server and that of {copy} act as primary; nothing is sent to either"
            )
        if other > timeline:
            shard_map = topology.current()
            topology.use(replace(shard_map, primaries=shard_map.primaries_with(alias, shard_map.address_of(copy))))
            raise BucketMoved(alias, f"the server of {copy} has taken over; try again")


def standing(cursor: Any) -> tuple[int, bool]:
    """The timeline by which the server behind ``cursor`` leads, or ``FOLLOWS``, and whether it is being promoted."""
    cursor.execute(_STANDING)
    timeline, is_being_promoted = cursor.fetchone()
    return timeline, is_being_promoted


def _asked(alias: str, copy: str) -> tuple[int, bool]:
    connection = connections[copy]
    try:
        with deadline(ASKING_SECONDS):
            connection.ensure_connection()
            with connection.connection.cursor() as cursor:  # psycopg's own: nobody shall come between
                return standing(cursor)
    except (Error, psycopg.Error) as error:
        raise ShardUnavailable(
            alias, f"neither the directory nor {copy} says that it is still the primary, so nothing is sent to it"
        ) from error
