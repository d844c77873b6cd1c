"""Random programs on the shards and on one database that holds everything: the same, or a refusal, never wrong.

A failure prints a small program and the seed it came from. ``ORACLE_EXAMPLES`` makes the sweep longer or shorter.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sharding.oracle import world
from tests.sharding.oracle.planted import MISTAKES, Mistake
from tests.sharding.oracle.sweep import is_wrong, program, sweep

pytestmark = pytest.mark.crosses_databases

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "20000"))
PARTS = 4
"""Tests that the sweep is cut into, so that several processes can share it."""
FEWEST_ANSWERED = 0.55
"""Of all steps. A router that refuses everything is never wrong."""
MOST_PROGRAMS = 2_000
"""Within so many, a mistake has to be noticed."""


@pytest.fixture(scope="module")
def databases(django_db_setup: None, django_db_blocker: Any) -> Iterator[world.World]:
    with django_db_blocker.unblock(), world.opened() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_answers_are_those_of_one_database_or_refusals(databases: world.World, part: int) -> None:
    tally = sweep(databases, examples=EXAMPLES // PARTS, first_seed=part * 1_000_000)
    print(tally.table())
    assert not tally.wrong, "\n\n".join(tally.wrong)
    assert tally.total("equal") / tally.total() > FEWEST_ANSWERED


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.says)
def test_a_mistake_in_the_router_is_noticed(databases: world.World, mistake: Mistake) -> None:
    with mistake.planted():
        assert any(is_wrong(databases, program(seed, mistake.shown_by)) for seed in range(MOST_PROGRAMS))
