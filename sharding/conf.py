"""``settings.SHARDING``, typed and with its defaults. The only reader of that setting."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

Ranges = tuple[tuple[int, int, str], ...]
"""``(first bucket, last bucket, database alias)``, in order and without gaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a project can say about its shards. Every name is a key of ``settings.SHARDING`` in capitals."""

    keyspaces: Mapping[str, Ranges]
    """The map to begin with. Once the directory holds a map, that one counts."""
    spares: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By keyspace: databases that hold its tables and, to begin with, none of its rows."""
    replicas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By database: the aliases of its read-only copies."""
    retired: Mapping[str, str] = field(default_factory=dict)
    """By ``app_label.model``: the keyspace of a model that only old migrations know."""
    deadline_seconds: float = 2.0
    """How long a statement may take before its connection is closed. ``sharding.deadline`` changes it."""
    breaker_failures: int = 3
    """So many failures of a database in a row, none of them an answer, and it is not asked any more."""
    breaker_seconds: float = 2.0
    """How long a database that failed is left alone before one caller may try it again."""
    lease_seconds: float = 5.0
    """How long a process may go on with a map that nobody has confirmed; a move waits as long before it cleans up."""
    watch: bool = True
    """Whether a thread of each process follows the directory's map. Without, the configured map is all there is."""
    map_file: Path | None = None
    """Where a process keeps the last map it has seen, for a start while the directory is away."""
    servers: Mapping[str, str] = field(default_factory=dict)
    """By database: the libpq connection string under which moves and the other servers reach it, where DATABASES leads
    through PgBouncer or names what only this machine knows."""
    copied_seconds: float = 3600.0
    """How long a moved range is kept up to date at its old home, so that the move can be undone."""


_read: tuple[object, Options] | None = None


def options() -> Options:
    """The setting as it is now; raises ``TypeError`` for a key that is not one of ``Options``. Cheap to repeat."""
    global _read
    given: Mapping[str, Any] = getattr(settings, "SHARDING", {})
    if _read is None or _read[0] is not given:
        _read = (given, Options(**{name.lower(): value for name, value in given.items()}))
    return _read[1]
