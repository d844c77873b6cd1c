import collections
import os
import random
import time

import pytest

from tests.sharding.oracle import judge, questions, world
from tests.sharding.oracle.grammar import Draw

try:
    from tests.sharding.oracle import commands
except ImportError:
    pass
pytestmark = [pytest.mark.crosses_databases]
N = int(os.environ.get("N", "300"))
S = int(os.environ.get("S", "0"))
errs = collections.Counter()
ex = {}


def test_w(django_db_setup, django_db_blocker):
    orig = judge._outcome

    def spy(code, names, step):
        r = orig(code, names, step)
        if isinstance(r, Exception):
            k = (
                step.kind if os.environ.get("BYKIND") else "",
                type(r).__name__,
                str(r)[: int(os.environ.get("W", "60"))],
                "one" if names is judge._on_one else "shards",
            )
            errs[k] += 1
            ex[k] = step.text
        return r

    judge._outcome = spy
    with django_db_blocker.unblock(), world.opened(with_copies=bool(os.environ.get("COPIES"))) as w:
        t = time.time()

        def programs():
            for seed in range(S, S + N):
                d = Draw(random.Random(seed))
                yield seed, ([questions.question(d)] if not os.environ.get("CMD") else commands.program(d))

        tally = judge.sweep(w, programs(), stop_at=int(os.environ.get("STOP", "3")))
        print(tally.table())
        print((time.time() - t) / tally.total() * 1000, "ms")
        print("\n\n".join(x[:3000] for x in tally.wrong))
        for k, n in errs.most_common(int(os.environ.get("TOP", "25"))):
            print(n, k, ex[k][:250] if os.environ.get("EX") else "")
