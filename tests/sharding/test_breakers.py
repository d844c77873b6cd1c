"""One database's breaker, by a clock that the test moves."""

import logging
import threading
import time

import pytest
from django.db import OperationalError

from sharding import breakers
from sharding.errors import DeadlineExceeded, ShardUnavailable
from tests.threads import at_once

ONE, OTHER = "breaker_one", "breaker_other"


@pytest.fixture
def clock(monkeypatch, settings):
    """A list whose only item is the time; breakers of the project's databases are as they were afterwards."""
    settings.SHARDING = {**settings.SHARDING, "DEADLINE_SECONDS": 2.0}
    now = [1000.0]
    monkeypatch.setattr(breakers, "clock", lambda: now[0])
    monkeypatch.setattr(breakers, "_breakers", {})
    return now


def fail(alias, times=1):
    for _ in range(times):
        breakers.failed(alias, OperationalError("connection refused\nmore"))


def test_three_failures_in_a_row_open_it_and_the_others_stay_as_they_are(clock):
    fail(ONE, 2)
    breakers.check(ONE)
    assert breakers.state(ONE) == "closed"
    fail(ONE)
    assert breakers.state(ONE) == "open"
    with pytest.raises(
        ShardUnavailable,
        match=r"^breaker_one: left alone .*did not answer \(connection refused\); try again in 2.0 s$",
    ) as refusal:
        breakers.check(ONE)
    assert refusal.value.alias == ONE
    assert isinstance(refusal.value, OperationalError)
    breakers.check(OTHER)
    assert breakers.state(OTHER) == "closed"


def test_an_answer_in_between_begins_the_count_anew(clock):
    fail(ONE, 2)
    breakers.succeeded(ONE)
    fail(ONE, 2)
    assert breakers.state(ONE) == "closed"
    breakers.check(ONE)


def test_a_deadline_that_passed_counts_twice(clock):
    breakers.failed(ONE, DeadlineExceeded(ONE, "no answer"))
    assert breakers.state(ONE) == "closed"
    breakers.failed(ONE, DeadlineExceeded(ONE, "no answer"))
    assert breakers.state(ONE) == "open"


def test_one_caller_tries_again_and_an_answer_lets_everybody_in(clock):
    fail(ONE, 3)
    clock[0] += 1.99
    with pytest.raises(ShardUnavailable):
        breakers.check(ONE)
    clock[0] += 0.01

    assert tried(8) == {"passed": 1, "refused": 7}
    assert breakers.state(ONE) == "half-open"
    breakers.succeeded(ONE)
    assert breakers.state(ONE) == "closed"
    assert tried(8) == {"passed": 8}


def test_who_tries_may_ask_more_than_once_until_it_knows(clock):
    fail(ONE, 3)
    clock[0] += 2
    breakers.check(ONE)
    breakers.check(ONE)
    fail(ONE)
    assert breakers.state(ONE) == "open"
    with pytest.raises(ShardUnavailable, match=r"try again in 2\.0 s"):
        breakers.check(ONE)


def test_failures_of_those_who_were_let_in_before_do_not_end_the_try(clock):
    fail(ONE, 3)
    clock[0] += 2
    breakers.check(ONE)
    latecomer = threading.Thread(target=fail, args=[ONE])
    latecomer.start()
    latecomer.join()
    assert breakers.state(ONE) == "half-open"
    breakers.check(ONE)


def test_who_tries_and_never_says_how_it_went_is_followed_by_another(clock):
    fail(ONE, 3)
    clock[0] += 2
    assert tried(1) == {"passed": 1}
    clock[0] += 1.9
    assert tried(4) == {"refused": 4}
    clock[0] += 0.2
    assert tried(4) == {"passed": 1, "refused": 3}


def test_each_change_is_logged_once(clock, caplog):
    caplog.set_level(logging.INFO, "sharding.breakers")
    fail(ONE, 5)
    clock[0] += 7
    breakers.check(ONE)
    fail(ONE)
    breakers.succeeded(ONE)
    breakers.succeeded(ONE)
    assert caplog.messages == [
        "breaker.opened breaker_one: connection refused",
        "breaker.closed breaker_one after 7.0 s",
    ]


def test_reset_closes_all(clock):
    fail(ONE, 3)
    fail(OTHER, 3)
    breakers.reset()
    breakers.check(ONE)
    breakers.check(OTHER)


def test_passing_a_closed_breaker_costs_less_than_a_microsecond(clock):
    breakers.of(ONE)

    def microseconds():
        began = time.perf_counter()
        for _ in range(10_000):
            breakers.check(ONE)
            breakers.succeeded(ONE)
        return (time.perf_counter() - began) * 100

    assert min(microseconds() for _ in range(20)) < 1


def tried(callers):
    def call():
        try:
            breakers.check(ONE)
        except ShardUnavailable:
            return "refused"
        return "passed"

    return dict(at_once([call] * callers))
