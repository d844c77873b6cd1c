import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from django.db import connections, transaction

import sharding
from apps.common import inbox, outbox
from apps.common.events import Event
from apps.common.models import OutboxMessage, QuarantinedMessage

LATER = datetime(2100, 1, 1, tzinfo=UTC)
DB = "customer_1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rang(Event):
    name: ClassVar[str] = "tests.rang"
    times: int


@pytest.fixture
def heard(monkeypatch):
    monkeypatch.setattr(outbox, "_handlers", {})
    seen = []
    outbox.on(Rang)(lambda event, message_id: seen.append(event.times))
    return seen


def ring(times, using=DB):
    with sharding.atomic(using):
        outbox.emit(Rang(times=times), using=using)


@pytest.mark.django_db(databases="__all__")
def test_events_reach_their_handlers_and_leave_the_outbox(heard):
    for times in (1, 2, 3):
        ring(times)
    assert outbox.relay(using=DB, now=LATER) == 3
    assert sorted(heard) == [1, 2, 3]
    assert not OutboxMessage.objects.using(DB).exists()


@pytest.mark.django_db(databases="__all__")
def test_every_database_has_an_outbox_of_its_own(heard):
    for times, alias in enumerate(sharding.all_aliases()):
        ring(times, using=alias)
    assert outbox.drain() == len(sharding.all_aliases())
    assert sorted(heard) == list(range(len(sharding.all_aliases())))


@pytest.mark.django_db(databases="__all__")
def test_a_failing_handler_delays_its_own_message_only(heard):
    @outbox.on(Rang)
    def fail_on_one(event, message_id):
        if event.times == 1:
            raise LookupError("not today")

    ring(1)
    ring(2)
    assert outbox.relay(using=DB, now=LATER) == 1
    waiting = OutboxMessage.objects.using(DB).get()
    assert (waiting.payload, waiting.attempts, waiting.due_at) == ({"times": 1}, 1, LATER + timedelta(seconds=2))


@pytest.mark.django_db(databases="__all__")
def test_the_handlers_behind_a_failing_one_are_told_all_the_same(monkeypatch):
    monkeypatch.setattr(outbox, "_handlers", {})
    told = []

    @outbox.on(Rang)
    def fail(event, message_id):
        raise LookupError("not today")

    @outbox.on(Rang)
    def hear(event, message_id):
        told.append(event.times)

    ring(1)
    assert outbox.relay(using=DB, now=LATER) == 0
    assert told == [1]
    assert OutboxMessage.objects.using(DB).get().attempts == 1


@pytest.mark.django_db(databases="__all__")
def test_what_always_fails_ends_in_quarantine(heard):
    @outbox.on(Rang)
    def fail(event, message_id):
        raise LookupError("never")

    ring(1)
    now = LATER
    for _ in range(outbox.MAX_ATTEMPTS + 3):
        outbox.relay(using=DB, now=now)
        now += timedelta(hours=1)
    assert not OutboxMessage.objects.using(DB).exists()
    held = QuarantinedMessage.objects.using(DB).get()
    assert (held.name, held.attempts, held.reason) == ("tests.rang", outbox.MAX_ATTEMPTS, "LookupError")
    assert heard == [1] * outbox.MAX_ATTEMPTS


@pytest.mark.django_db(databases="__all__")
def test_a_relay_that_died_delays_its_messages_by_a_lease(heard):
    ring(1)
    outbox._claim(using=DB, now=LATER, limit=10)  # and then the process is gone
    assert outbox.relay(using=DB, now=LATER) == 0
    assert outbox.relay(using=DB, now=LATER + outbox.LEASE) == 1
    assert heard == [1]


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_an_event_belongs_to_a_transaction():
    with pytest.raises(transaction.TransactionManagementError):
        outbox.emit(Rang(times=1), using=DB)
    assert not OutboxMessage.objects.using(DB).exists()


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_relays_side_by_side_lose_and_double_nothing(heard):
    for times in range(200):
        ring(times)
    start = threading.Barrier(4)

    def relay():
        start.wait()
        while outbox.relay(using=DB, now=LATER, limit=7):
            pass
        connections[DB].close()

    threads = [threading.Thread(target=relay) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == list(range(200))
    assert not OutboxMessage.objects.using(DB).exists()


@pytest.mark.django_db(databases="__all__")
def test_a_message_counts_once_for_each_consumer_and_database():
    message_id = "6f1d3a3c-0c8b-4a57-9f0e-2f6b7f3b3a01"
    with sharding.atomic(DB):
        assert inbox.first_time(message_id, consumer="a", using=DB)
        assert not inbox.first_time(message_id, consumer="a", using=DB)
        assert inbox.first_time(message_id, consumer="b", using=DB)


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_broker_that_is_away_costs_a_moment_and_no_event(settings, heard, caplog):
    settings.OUTBOX_NUDGE = True
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    outbox._broker.cache_clear()
    started = time.monotonic()
    ring(1)
    assert time.monotonic() - started < 2  # left to itself Celery takes six seconds
    outbox._broker.cache_clear()
    assert "outbox.nudge_lost customer_1" in caplog.text


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_of_many_commits_workers_are_told_once(settings, monkeypatch):
    settings.OUTBOX_NUDGE = True
    told = []
    monkeypatch.setattr(outbox, "_send", told.append)

    with outbox.nudges_together():
        for using in ("customer_1", "customer_0", "customer_1"):
            ring(1, using)
        assert told == []
    assert told == ["customer_0", "customer_1"]
    ring(1, "customer_1")
    assert told == ["customer_0", "customer_1", "customer_1"]
