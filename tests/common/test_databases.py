from django.db import OperationalError

from apps.common import databases


def test_a_database_that_is_away_does_not_keep_the_others_waiting(caplog):
    reached = []

    def work(alias):
        if alias == "customer_0":
            raise OperationalError("connection refused")
        reached.append(alias)

    databases.for_each(["default", "customer_0", "customer_1"], work)
    assert reached == ["default", "customer_1"]
    assert "databases.away customer_0" in caplog.text
