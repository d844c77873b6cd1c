import os

import pytest

from tests.sharding.oracle import world
from tests.sharding.oracle.sweep import sweep

pytestmark = pytest.mark.crosses_databases


def test_p(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), world.opened(with_copies=not os.environ.get("NOCOPIES")) as w:
        t = sweep(w, examples=int(os.environ.get("N", "6000")), first_seed=int(os.environ.get("S", "777000")))
        print(t.table())
        print(t.seconds)
        print("\n\n".join(x[:2500] for x in t.wrong))
