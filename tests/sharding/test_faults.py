"""One server is killed or frozen, and comes back, while callers keep asking; the callers of another notice nothing."""

import time
from contextlib import ExitStack

import pytest
from django.db import connections

import sharding
from deploy.local import faults, postgres
from sharding import breakers, fanout
from tests.sharding import servers
from tests.sharding.load import callers
from tests.sharding.servers import at_most, until

VICTIM, OTHER = "victim", "bystander"
DEADLINE = 0.5
BREAKER = 0.5
OPENS_WITHIN, CLOSES_WITHIN = 3 * DEADLINE, BREAKER + DEADLINE


@pytest.fixture(scope="module")
def pair():
    with servers.server(VICTIM) as victim, servers.server(OTHER) as other:
        yield victim, other


@pytest.fixture
def aliases(pair, django_db_blocker, settings):
    """Both servers under names, with short deadlines."""
    settings.SHARDING = {**settings.SHARDING, "DEADLINE_SECONDS": DEADLINE, "BREAKER_SECONDS": BREAKER}
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        for alias, server in zip((VICTIM, OTHER), pair, strict=True):
            stack.enter_context(servers.alias(alias, server.url("postgres")))
        stack.callback(faults.thaw, pair[0])
        yield


@pytest.fixture
def asked(aliases):
    """Callers of both servers, four each, at work."""
    with ExitStack() as stack:
        yield [stack.enter_context(callers(asking(alias), count=4, pause=0.01)) for alias in (VICTIM, OTHER)]


def asking(alias):
    def ask():
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()

    return ask


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_a_fault_is_over_for_its_callers_in_time_and_nobody_elses(pair, asked, fault):
    victim, _ = pair
    victims, others = asked
    time.sleep(0.5)
    assert victims.failures() == others.failures() == 0

    began = time.monotonic()
    faults.kill(victim) if fault == "killed" else faults.freeze(victim)
    until(lambda: breakers.state(VICTIM) != "closed", seconds=OPENS_WITHIN + 0.5)
    time.sleep(BREAKER * 3)
    postgres.start(victim.directory, durable=False) if fault == "killed" else faults.thaw(victim)
    came_back = time.monotonic()
    until(lambda: breakers.state(VICTIM) == "closed", seconds=CLOSES_WITHIN + 0.5)
    closed = time.monotonic()
    time.sleep(0.3)

    assert victims.slowest() < DEADLINE + 0.4
    answers = victims.between(closed + 0.1, time.monotonic())
    assert answers
    assert all(call.ok for call in answers)
    assert others.failures() == 0
    assert len(others.between(began, came_back)) > 50 * (came_back - began)  # of 400 a second, were the machine ours


def test_while_it_is_known_to_be_away_nobody_waits(pair, asked):
    victim, _ = pair
    victims, _ = asked
    with faults.frozen(victim):
        until(lambda: breakers.state(VICTIM) == "open")
        began = time.monotonic()
        time.sleep(BREAKER * 4)
        told = victims.between(began, time.monotonic())
    waited = [call for call in told if call.seconds > 0.1 and call.began > began]
    assert len(told) > 100
    assert 1 <= len(waited) <= 4  # one at a time went to look


def test_who_asks_all_at_once_leaves_it_alone_too(pair, aliases):
    question = dict.fromkeys((VICTIM, OTHER), fanout.Statement("SELECT 1"))
    assert fanout.ask(question, DEADLINE).failed == {}
    with faults.frozen(pair[0]):
        for _ in range(2):
            answers = fanout.ask(question, DEADLINE)
            assert answers.by_alias[OTHER].rows == [(1,)]
            assert [type(error) for error in answers.failed.values()] == [sharding.DeadlineExceeded]
        until(lambda: breakers.state(VICTIM) == "open")  # the second was still on its way in
        with at_most(0, tolerance=0.2):
            answers = fanout.ask(question, DEADLINE)
        assert answers.by_alias[OTHER].rows == [(1,)]
        assert [type(error) for error in answers.failed.values()] == [sharding.ShardUnavailable]
    until(lambda: fanout.ask(question, DEADLINE).failed == {})
    with sharding.deadline(0.2):
        slow = fanout.ask({OTHER: fanout.Statement("SELECT pg_sleep(5)")}, None)
    assert isinstance(slow.failed[OTHER], sharding.DeadlineExceeded)
    assert breakers.state(OTHER) == "closed"
