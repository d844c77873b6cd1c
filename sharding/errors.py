"""Why the library says no. Every message ends with what to write instead."""

from collections.abc import Mapping

from django.db import IntegrityError, OperationalError
from typing_extensions import override


class ShardingError(Exception):
    """Base of everything this library raises."""


class UnroutableQuery(ShardingError):
    """Nothing in the query, or on the row, names its shard."""


class CrossShardQuery(ShardingError):
    """The query would have to see, or to change, more than one shard at once."""


class CrossShardTransaction(ShardingError):
    """A second database was touched while a transaction was open on the first."""


class MisplacedRow(ShardingError, IntegrityError):
    """The database refused a row: its id, its key and its co-located references name different buckets,
    or an update would change the id or the key of a row that exists."""


class BucketMoved(ShardingError, OperationalError):
    """The bucket was moved to another shard than ``alias`` meanwhile; ``sharding.run`` tries again there.

    Of the statement nothing was done, and of its transaction nothing stays.
    """

    def __init__(self, alias: str, reason: str) -> None:
        super().__init__(f"{alias}: {reason}")
        self.alias, self.reason = alias, reason

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Exceptions travel between processes."""
        return type(self), (self.alias, self.reason)


class ShardUnavailable(ShardingError, OperationalError):
    """The database did not answer, or is left alone for a while because it did not answer others.

    What was sent to it may or may not have been done: repeat only what may be repeated.
    """

    def __init__(self, alias: str, reason: str) -> None:
        super().__init__(f"{alias}: {reason}")
        self.alias, self.reason = alias, reason

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Exceptions travel between processes."""
        return type(self), (self.alias, self.reason)


class DeadlineExceeded(ShardUnavailable):
    """The database did not answer in time; its connection is closed."""


class ShardsMissing(ShardUnavailable):
    """Some of the databases that a query had to ask did not answer; ``missing`` says why, by alias.

    Reads only, so it may be asked again. ``scatter(partial="return")`` returns what came instead.
    """

    def __init__(self, missing: Mapping[str, Exception]) -> None:
        self.missing = dict(missing)
        reasons = "; ".join(first_line(error) for error in list(self.missing.values())[:3])
        super().__init__(
            ", ".join(self.missing), f'no answer ({reasons}); ask again, or say .scatter(partial="return")'
        )

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.missing,)


class DirectoryUnavailable(ShardingError, OperationalError):
    """The directory cannot be asked or told. Routing goes on with the last map; the map cannot be changed."""


class MapConflict(ShardingError):
    """Somebody else changed the map at the same moment; nothing was stored."""


class ChangeInDoubt(DirectoryUnavailable):
    """The directory was lost during COMMIT: the change may or may not have been stored. Repeating it tells."""


class MoveRefused(ShardingError):
    """The move would not be safe, or somebody else is at it. Nothing was changed."""


class MoveStopped(ShardingError):
    """The move could not go on. It stays where it is: ``shard move --resume`` goes on, ``shard rollback`` gives up."""


BUCKET_MOVED = "40SH1"
IDENTITY_CHANGED = "40SH2"
CHECK_VIOLATION = "23514"
READ_ONLY = "25006"
SERIALIZATION_FAILURE = "40001"
DEADLOCK = "40P01"
QUERY_CANCELED = "57014"


def sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE that PostgreSQL gave, of Django's exception or psycopg's."""
    return getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)


def first_line(error: BaseException) -> str:
    """What libpq says about a connection names hosts and databases, never rows; for SQL errors that is not so."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
