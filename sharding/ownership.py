"""What each database itself says about its buckets: the last word on where a row may be written.

A table of the database's own, ``sharding_bucket``, made with its triggers and not by a migration, so that nothing which
empties the project's tables empties it. A bucket without a row there is not written there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.db.backends.base.base import BaseDatabaseWrapper

from sharding import names, topology
from sharding.ids import BUCKETS

State = Literal["owned", "importing", "moved"]
"""``owned``: written here. ``importing``: a move is copying it here. ``moved``: at ``moved_to`` now."""

CREATE = f"""
CREATE TABLE IF NOT EXISTS {names.BUCKET_TABLE} (
  keyspace text NOT NULL,
  bucket integer NOT NULL CHECK (bucket BETWEEN 0 AND {BUCKETS - 1}),
  state text NOT NULL CHECK (state IN ('owned', 'importing', 'moved')),
  epoch bigint NOT NULL,
  moved_to text CHECK ((state = 'moved') = (moved_to IS NOT NULL)),
  PRIMARY KEY (keyspace, bucket)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS {names.MARKER_TABLE} (
  move bigint NOT NULL,
  mark bigint NOT NULL,
  PRIMARY KEY (move, mark)
);

-- Ids ahead of their rows: only from the bucket's home, whose ids go on where those of the home before ended.
CREATE OR REPLACE FUNCTION {names.RESERVE_IDS}(keyspace text, class integer, bucket integer, n integer)
RETURNS SETOF bigint LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
  is_owned boolean;
  home text;
  since bigint;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(class, bucket);
  SELECT s.state = 'owned', s.moved_to, s.epoch INTO is_owned, home, since
    FROM {names.BUCKET_TABLE} s WHERE s.keyspace = $1 AND s.bucket = $3;
  IF is_owned IS NOT TRUE THEN
    RAISE EXCEPTION 'bucket % of % is not written here', bucket, keyspace
      USING ERRCODE = '40SH1', DETAIL = coalesce(home, ''), HINT = coalesce(since, 0)::text;
  END IF;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    PERFORM 1 FROM {names.BUCKET_TABLE} s WHERE s.keyspace = $1 AND s.bucket = $3 FOR SHARE;
  END IF;
  RETURN QUERY SELECT {names.NEXT_ID}(bucket) FROM generate_series(1, n);
END
$body$;

CREATE OR REPLACE FUNCTION {names.TRUNCATE_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  -- A move marks the database that rows are copied from too, where every bucket is still owned.
  IF EXISTS (SELECT FROM {names.BUCKET_TABLE} s WHERE s.keyspace = TG_ARGV[0] AND s.state <> 'owned')
    OR EXISTS (SELECT FROM {names.MARKER_TABLE})
  THEN
    RAISE EXCEPTION '%: rows of this table are being moved, or were; delete them by their key instead', TG_TABLE_NAME
      USING ERRCODE = '40SH3';
  END IF;
  RETURN NULL;
END
$body$;
"""  # noqa: S608  names of our own


@dataclass(frozen=True, slots=True)
class Part:
    """Buckets of one keyspace that are in one state on one database."""

    keyspace: str
    state: str
    moved_to: str | None
    buckets: tuple[tuple[int, int], ...]
    """First and last, in order."""


SUMMARY = (
    "SELECT keyspace, state, moved_to, range_agg(int4range(bucket, bucket + 1)) "  # noqa: S608
    f"FROM {names.BUCKET_TABLE} GROUP BY keyspace, state, moved_to ORDER BY 1, 2, 3"
)


def parts(cursor: Any) -> list[Part]:
    """What the database behind ``cursor`` says about all its buckets; one query."""
    cursor.execute(SUMMARY)
    return [
        Part(keyspace, state, moved_to, tuple((one.lower, one.upper - 1) for one in ranges))
        for keyspace, state, moved_to, ranges in cursor.fetchall()
    ]


def seed(connection: BaseDatabaseWrapper) -> None:
    """Let a new database own what the map gives it. A database that already knows its buckets is left alone."""
    shard_map = topology.current()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT keyspace FROM {names.BUCKET_TABLE}")  # noqa: S608
        known = {keyspace for (keyspace,) in cursor.fetchall()}
        for keyspace in shard_map.keyspaces.values():
            if keyspace.name in known:
                continue
            for first, last in keyspace.owned(connection.alias):
                cursor.execute(
                    f"INSERT INTO {names.BUCKET_TABLE} (keyspace, bucket, state, epoch) "  # noqa: S608
                    "SELECT %s, b, 'owned', %s FROM generate_series(%s::int, %s::int) b",
                    [keyspace.name, shard_map.epoch, first, last],
                )


def reset(connection: BaseDatabaseWrapper) -> None:
    """Forget what this database says, and let it own what the map gives it. For tests and copies of databases only."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {names.BUCKET_TABLE}")  # noqa: S608
    seed(connection)


def _all(ranges: tuple[tuple[int, int], ...]) -> list[int]:
    return [bucket for first, last in ranges for bucket in range(first, last + 1)]


def guard(keyspace: str, *, key: str, id: str | None, identity: list[str]) -> str:
    """The trigger function, with ``{name}`` for its name, of tables whose columns are called so (quoted).

    It fills an empty id, refuses a changed identity, and refuses what the database may not write. The lock comes before
    the state is read, and in a statement of its own: a state read together with the lock is the state before the wait.
    Outside of READ COMMITTED the state comes from the transaction's snapshot, and only ``FOR SHARE`` notices that the
    row has changed since.
    """
    changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in identity)
    fill = f"IF NEW.{id} IS NULL THEN NEW.{id} := {names.NEXT_ID}(b); END IF;" if id else "NULL;"
    state = f"FROM {names.BUCKET_TABLE} s WHERE s.keyspace = '{keyspace}' AND s.bucket = b"
    return f"""CREATE OR REPLACE FUNCTION {{name}}() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
  b integer;
  is_owned boolean;
BEGIN
  IF TG_OP = 'DELETE' THEN
    b := OLD.{key} % {BUCKETS};
  ELSE
    b := NEW.{key} % {BUCKETS};
    IF TG_OP = 'INSERT' THEN
      {fill}
    ELSIF {changed} THEN
      RAISE EXCEPTION '%: the id and the shard key of a row never change; make a new row instead', TG_TABLE_NAME
        USING ERRCODE = '40SH2';
    END IF;
  END IF;
  IF b >= 0 THEN  -- what has no key is refused by the table's own constraints
    IF pg_advisory_xact_lock_shared({names.bucket_class(keyspace)}, b) IS NULL THEN END IF;
    SELECT s.state = 'owned' INTO is_owned {state};
    IF is_owned IS NOT TRUE THEN
      RAISE EXCEPTION 'bucket % of {keyspace} is not written here', b USING ERRCODE = '40SH1',
        DETAIL = coalesce((SELECT s.moved_to {state}), ''), HINT = coalesce((SELECT s.epoch {state}), 0)::text;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
      PERFORM 1 {state} FOR SHARE;
    END IF;
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  RETURN NEW;
END
$body$"""


def unowned(parts: list[Part], keyspace: topology.Keyspace, alias: str) -> Mapping[int, str | None]:
    """Buckets that the map gives ``alias`` and the database itself does not own, each with where it says they are."""
    owned = set()
    moved: dict[int, str | None] = {}
    for part in parts:
        if part.keyspace != keyspace.name:
            continue
        buckets = _all(part.buckets)
        if part.state == "owned":
            owned.update(buckets)
        moved.update(dict.fromkeys(buckets, part.moved_to))
    return {bucket: moved.get(bucket) for bucket in _all(keyspace.owned(alias)) if bucket not in owned}
