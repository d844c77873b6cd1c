"""Random programs on the shards and on one database that holds everything: the same, or a refusal, never wrong.

``ORACLE_EXAMPLES`` makes the sweep longer. What fails is printed as a small program with the seed it came from.
"""

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sharding.oracle import commands, judge, questions, world
from tests.sharding.oracle.grammar import Draw
from tests.sharding.oracle.judge import WRONG
from tests.sharding.oracle.planted import MISTAKES, Mistake

pytestmark = pytest.mark.crosses_databases

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "20000"))
PARTS = 4
"""Tests that the sweep is cut into, so that several processes can share it."""


@pytest.fixture(scope="module")
def databases(django_db_setup: None, django_db_blocker: Any) -> Iterator[world.World]:
    with django_db_blocker.unblock(), world.opened() as opened:
        yield opened


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.says)
def test_a_mistake_in_the_router_is_noticed(databases: world.World, mistake: Mistake) -> None:
    with mistake.planted():
        for seed in range(2000):
            draw = Draw(random.Random(seed))
            program = (
                commands.program(draw, mistake.shown_by)
                if mistake.shown_by in commands.KINDS
                else [questions.question(draw, mistake.shown_by)]
            )
            if any(finding.verdict == WRONG for finding in judge.judge(databases, program)):
                print(seed)
                return
    pytest.fail("2000 random programs gave no wrong answer")
