"""Random programs on the shards and on one database that holds everything: the same, or a refusal, never wrong.

A failure prints a small program and the seed it came from. ``ORACLE_EXAMPLES`` makes the sweep longer or shorter.
"""

import os
from typing import Any

import pytest

from tests.sharding.oracle import world
from tests.sharding.oracle.sweep import sweep

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "20000"))
PARTS = 4
"""Tests that the sweep is cut into, so that several processes can share it."""
FEWEST_ANSWERED = 0.65
"""Of all steps. A router that refuses everything is never wrong."""


@pytest.mark.slow
@pytest.mark.crosses_databases
@pytest.mark.parametrize("part", range(PARTS))
def test_answers_are_those_of_one_database_or_refusals(
    django_db_setup: None, django_db_blocker: Any, part: int
) -> None:
    """Every other part with rows left where a move has taken them from."""
    with django_db_blocker.unblock(), world.opened(with_copies=part % 2 == 1) as opened:
        tally = sweep(opened, examples=EXAMPLES // PARTS, first_seed=part * 1_000_000)
    print(tally.table())
    assert not tally.wrong, "\n\n".join(tally.wrong)
    assert tally.total("equal") / tally.total() > FEWEST_ANSWERED
