"""The doctor finds what is wrong, says what to do, and is quick about it."""

import dataclasses
import io
import json
import socket
import time
from pathlib import Path

import pytest
from celery import Celery
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

from celery_app import tasks
from instacart import doctor, settings


@pytest.fixture
def dead_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return closed.getsockname()[1]


@pytest.fixture
def missing_server(tmp_path: Path):
    """A database alias whose server is not there."""
    connections.databases["gone"] = connections.databases["default"] | {"HOST": str(tmp_path), "NAME": "gone"}
    yield "gone"
    del connections["gone"]
    del connections.databases["gone"]


@pytest.mark.django_db(databases="__all__")
def test_a_database_that_is_well():
    assert doctor.database_answers("store_1") == "answers, wal_level=logical"
    assert doctor.database_is_migrated("store_1") == "all migrations applied"


def test_a_database_that_is_gone(missing_server, django_db_blocker):
    with django_db_blocker.unblock():
        finding = doctor.examine(doctor.Check("database gone", lambda: doctor.database_answers(missing_server)))
        with pytest.raises(doctor.Wrong, match="cannot be reached"):
            doctor.database_is_migrated(missing_server)
        with pytest.raises(doctor.Wrong, match="gone cannot be reached"):
            doctor.clocks_agree([missing_server])
    assert finding.ok is False
    assert finding.detail.startswith("cannot be reached: ")
    assert "\n" not in finding.detail
    assert finding.advice == "start it (./dev up) or correct DATABASE_URLS"


@pytest.mark.django_db
def test_a_clock_that_is_wrong(monkeypatch):
    assert doctor.clocks_agree(["default"]).startswith("at most ")
    now = time.time
    monkeypatch.setattr(doctor.time, "time", lambda: now() + 90)
    with pytest.raises(doctor.Wrong, match=r"default is (89|90)\.\d s away"):
        doctor.clocks_agree(["default"])


@pytest.mark.django_db
def test_a_demo_that_is_not_loaded():
    with pytest.raises(doctor.Wrong, match="there is no zone with stores") as refusal:
        doctor.demo_is_loaded()
    assert refusal.value.advice == "run ./dev manage load_demo"


def test_redis_that_is_well_and_full():
    assert doctor.redis_answers().startswith("answers, ")


def test_redis_that_is_gone(tmp_path: Path):
    caches = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"unix://{tmp_path}/none.sock?db=0"}}
    with override_settings(CACHES=caches):
        with pytest.raises(doctor.Wrong, match="cannot be reached"):
            doctor.redis_answers()
        with pytest.raises(doctor.Wrong, match="Redis cannot be reached"):
            doctor.beat_is_alive(0)


def test_the_heartbeat():
    cache.delete(tasks.HEARTBEAT_KEY)
    with pytest.raises(doctor.Wrong, match="last heartbeat never"):
        doctor.beat_is_alive(time.time())
    tasks.heartbeat()
    assert doctor.beat_is_alive(time.time()) == "last heartbeat 0 s ago"
    with pytest.raises(doctor.Wrong, match="last heartbeat 40 s ago"):
        doctor.beat_is_alive(time.time() + 40)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (None, "nobody works on critical, dispatch, events, bulk"),
        ({"w@x": [{"name": "critical"}, {"name": "events"}]}, "nobody works on dispatch, bulk"),
    ],
)
def test_queues_nobody_works_on(answers, message, monkeypatch):
    monkeypatch.setattr(doctor, "PING_S", 0.1)
    with pytest.raises(doctor.Wrong, match=message):
        doctor.queues_are_worked(_app_whose_workers_answer(answers))


def test_queues_that_are_worked():
    answers = {"a@x": [{"name": "critical"}, {"name": "dispatch"}], "b@x": [{"name": "events"}, {"name": "bulk"}]}
    assert (
        doctor.queues_are_worked(_app_whose_workers_answer(answers)) == "2 workers on critical, dispatch, events, bulk"
    )


def _app_whose_workers_answer(answers) -> Celery:
    class Inspect:
        def __init__(self, timeout: float, connection: object) -> None:
            assert timeout <= 3

        def active_queues(self):
            return answers

    app = Celery("answers", broker="memory://", set_as_current=False)
    app.control.inspect = Inspect
    return app


def test_a_broker_that_is_gone(tmp_path: Path):
    app = Celery("gone", broker=f"redis+socket://{tmp_path}/none.sock", set_as_current=False)
    began = time.monotonic()
    with pytest.raises(doctor.Wrong, match="the broker cannot be reached"):
        doctor.queues_are_worked(app)
    assert time.monotonic() - began < doctor.PING_S + 2


def test_pages_and_websockets_that_do_not_answer(dead_port):
    with pytest.raises(doctor.Wrong, match="does not answer"):
        doctor.pages_are_served(f"http://127.0.0.1:{dead_port}/")
    with pytest.raises(doctor.Wrong, match="does not answer"):
        doctor.websockets_are_served(f"ws://127.0.0.1:{dead_port}")


def test_payments(dead_port):
    assert doctor.payments_are_configured(secret_key="sk_live_1", api_base=None) == "Stripe, live mode"
    assert doctor.payments_are_configured(secret_key="rk_test_1", api_base=None) == "Stripe, test mode"
    with pytest.raises(doctor.Wrong, match="not a Stripe key"):
        doctor.payments_are_configured(secret_key="pk_test_1", api_base=None)
    with pytest.raises(doctor.Wrong, match="sandbox does not answer"):
        doctor.payments_are_configured(secret_key="sk_test_1", api_base=f"http://127.0.0.1:{dead_port}")


def test_a_disk_without_room(tmp_path: Path, monkeypatch):
    assert doctor.disk_has_room(tmp_path).endswith("GB free")
    monkeypatch.setattr(doctor, "LEAST_DISK_BYTES", 10**18)
    with pytest.raises(doctor.Wrong, match=r"MB free for"):
        doctor.disk_has_room(tmp_path)


@pytest.mark.django_db(databases="__all__")
def test_the_command_fails_when_anything_does(dead_port, monkeypatch):
    there = dataclasses.replace(settings.env, public_url=f"http://127.0.0.1:{dead_port}", demo=False)
    monkeypatch.setattr(settings, "env", there)
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("doctor", "--json", stdout=out)
    answer = json.loads(out.getvalue())
    found = {check["name"]: check for check in answer["checks"]}
    assert answer["ok"] is False
    assert found["redis"]["ok"] is True
    assert found["pages"]["ok"] is False
    assert found["pages"]["advice"] == "look at ./dev logs web"
