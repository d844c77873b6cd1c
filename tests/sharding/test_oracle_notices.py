"""The oracle notices mistakes in a router; otherwise its silence would say nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sharding.oracle import world
from tests.sharding.oracle.planted import MISTAKES, Mistake

pytestmark = pytest.mark.crosses_databases


@pytest.fixture(scope="module")
def databases(django_db_setup: None, django_db_blocker: Any) -> Iterator[world.World]:
    with django_db_blocker.unblock(), world.opened() as opened:
        yield opened


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.says)
def test_a_mistake_is_noticed(databases: world.World, mistake: Mistake) -> None:
    assert mistake.is_noticed(databases)
