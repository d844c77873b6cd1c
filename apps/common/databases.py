"""One database after another, whatever one of them does."""

import logging
from collections.abc import Callable, Iterable

from django.db import OperationalError, connections

import sharding

logger = logging.getLogger(__name__)


def for_each(aliases: Iterable[str], work: Callable[[str], object]) -> None:
    """Call ``work`` with every alias. A database that is away is logged and left for the next run; the others go on."""
    for alias in aliases:
        try:
            work(alias)
        except sharding.ShardUnavailable as error:  # the backend has closed what had to be closed
            logger.warning("databases.away %s", error)
        except OperationalError:
            logger.exception("databases.failed %s", alias)
            connections[alias].close()
