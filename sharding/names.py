"""What the library's own database objects are called."""

from zlib import crc32

SEQUENCE = "sharding_id"
NEXT_ID = "sharding_next_id"
RESERVE_IDS = "sharding_reserve_ids"
BUCKET_TABLE = "sharding_bucket"
MARKER_TABLE = "sharding_marker"
GUARD_FUNCTION = "sharding_guard_"
GUARD_TRIGGER = "sharding_guard_"
TRUNCATE_FUNCTION = "sharding_refuse_truncate"
TRUNCATE_TRIGGER = "sharding_truncate_"
HOME_CHECK = "sharding_home_"

CHANNEL = "sharding_map"
"""NOTIFY says there that the directory has a new map; the payload is its epoch."""

ADVISORY_CLASS = 21_320
"""First number of the library's two-number advisory locks; the second is one of those below."""
CLOCK_LOCK = 0
INSTALL_LOCK = 1
PROMOTION_LOCK = 2
"""Held on a replica by whoever makes it the primary."""
MIGRATING_LOCK = 40
"""In the directory: held by the one process that migrates."""
MIGRATED_LOCK = 41
"""In each database: held by the one session that migrates it."""

MOVE_CLASS = 21_321
"""First number of the lock that the one who carries out a move holds on both databases; the second is the move's."""


def bucket_class(keyspace: str) -> int:
    """First number of the advisory locks of one keyspace; the second is the bucket.

    A writer holds its bucket's lock shared until its transaction ends, a move takes it alone.
    """
    return 1 << 24 | crc32(keyspace.encode()) & 0xFFFFFF
