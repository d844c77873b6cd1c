import os
import random
import time

import pytest

from tests.sharding.oracle import commands, judge, questions, world
from tests.sharding.oracle.grammar import Draw
from tests.sharding.oracle.judge import WRONG
from tests.sharding.oracle.planted import MISTAKES

pytestmark = pytest.mark.crosses_databases
N = int(os.environ.get("N", "3000"))
K = os.environ.get("K", "")


def test_all(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), world.opened() as databases:
        for mistake in MISTAKES:
            if K and K not in mistake.says:
                continue
            t = time.time()
            with mistake.planted():
                hits = []
                for seed in range(N):
                    draw = Draw(random.Random(seed))
                    program = (
                        commands.program(draw, mistake.shown_by)
                        if mistake.shown_by in commands.KINDS
                        else [questions.question(draw, mistake.shown_by)]
                    )
                    bad = [f for f in judge.judge(databases, program) if f.verdict == WRONG]
                    if bad:
                        hits.append(seed)
                        if K:
                            print([p.text for p in program], bad[0].says[:300])
                        if len(hits) == 3:
                            break
                print(f"{time.time() - t:6.2f}", hits, mistake.says)
