"""Random questions to three shards at once, against one database with all rows: equal or refused, never another answer.

``SCATTER_SEED`` repeats a run, ``SCATTER_QUESTIONS`` makes it longer, and so does ``--long``.
"""

import os
import random
from collections import Counter

import pytest

from tests.sharding.scatter.judging import judged

SEED = int(os.environ.get("SCATTER_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
QUESTIONS = int(os.environ.get("SCATTER_QUESTIONS", "700"))


@pytest.mark.slow
def test_an_answer_is_the_one_of_a_single_database_or_refused(world: None, request: pytest.FixtureRequest) -> None:
    questions = QUESTIONS * (20 if request.config.getoption("--long") else 1)
    equal: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for n in range(questions):
        kind, verdict = judged(f"{SEED}:{n}")
        assert not verdict.startswith("wrong"), f"SCATTER_SEED={SEED}, question {n}: {verdict}"
        asked[kind] += 1
        equal[kind] += verdict == "equal"
    refused = {kind: asked[kind] - equal[kind] for kind in asked}
    print(f"{questions} questions of seed {SEED}; refused: {refused}")
    assert all(equal[kind] >= 0.5 * asked[kind] for kind in asked if asked[kind] >= 20), refused
