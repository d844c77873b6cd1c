"""Numbers that say where a row lives.

A key (a user's or a store's id, dense, given by the directory) names a bucket by its remainder. Every
other id carries the bucket: ``0 | 41 bits milliseconds since 2025-01-01 | 14 bits bucket | 8 bits sequence``.

Both functions answer for every integer. A number that no row can have gets a bucket too, because "not
found" is the right answer to it and any shard can give that answer.
"""

BUCKETS = 10_000
EPOCH_MS = 1_735_689_600_000
"""2025-01-01T00:00:00Z in milliseconds since 1970."""

BUCKET_SHIFT = 8
TIME_SHIFT = 22
BUCKET_MASK = (1 << (TIME_SHIFT - BUCKET_SHIFT)) - 1


def bucket_of_key(key: int) -> int:
    """The bucket of a shard key."""
    return key % BUCKETS


def bucket_of_id(id: int) -> int:
    """The bucket inside an id; at least ``BUCKETS`` for a number that was never given out."""
    return (id >> BUCKET_SHIFT) & BUCKET_MASK


def milliseconds_of_id(id: int) -> int:
    """When the id was made, in milliseconds since 1970; up to 256 ms ahead of the clock, more in a burst."""
    return (id >> TIME_SHIFT) + EPOCH_MS
