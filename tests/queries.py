"""Count queries over every database at once: a list must not grow them, on whichever shard they run."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from django.db import connections
from django.test.utils import CaptureQueriesContext

import sharding


@dataclass
class Counted:
    by_alias: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.by_alias.values())


@contextmanager
def counted() -> Iterator[Counted]:
    """``with counted() as queries: …``; then ``queries.total`` and ``queries.by_alias``."""
    found = Counted()
    with ExitStack() as stack:
        captured = {
            alias: stack.enter_context(CaptureQueriesContext(connections[alias])) for alias in sharding.all_aliases()
        }
        yield found
        found.by_alias.update({alias: len(queries) for alias, queries in captured.items() if len(queries)})
