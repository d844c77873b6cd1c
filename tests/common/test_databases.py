from django.db import OperationalError

from apps.common import databases
from sharding import ShardUnavailable


def test_a_database_that_is_away_does_not_keep_the_others_waiting(caplog):
    reached = []

    def work(alias):
        if alias == "customer_0":
            raise OperationalError("connection refused")
        reached.append(alias)

    databases.for_each(["default", "customer_0", "customer_1"], work)
    assert reached == ["default", "customer_1"]
    assert "databases.failed customer_0" in caplog.text


def test_one_that_is_known_to_be_away_is_named_in_one_line(caplog):
    def work(alias):
        raise ShardUnavailable(alias, "no answer within 2.0 s")

    databases.for_each(["customer_1"], work)
    assert caplog.messages == ["databases.away customer_1: no answer within 2.0 s"]
    assert caplog.records[0].exc_info is None
