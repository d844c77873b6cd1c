"""The table of processes, and the configuration files it names."""

import configparser
from pathlib import Path

import pytest

from celery_app import conf, schedule
from deploy.local import processes
from deploy.local.installation import Installation
from deploy.local.layout import ROOT
from deploy.local.processes import Process


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation.read({"INSTACART_VAR": str(tmp_path / "var")})


def names(installation: Installation) -> list[str]:
    return [entry.name for entry in processes.table(installation)]


def test_all_of_it_by_default(installation):
    found = names(installation)
    assert {"postgres-0", "postgres-1", "postgres-2", "redis", "payments-sandbox", "web", "simulation"} <= set(found)
    assert len(found) == len(set(found))


def test_nobody_plans_for_today_while_the_demos_past_is_lived(installation):
    after = {entry.name: entry.after for entry in processes.table(installation)}
    assert "demo" in after["beat"]
    assert "beat" not in after["demo"]


def test_configured_servers_are_not_started(tmp_path: Path):
    given = {
        "INSTACART_VAR": str(tmp_path),
        "DATABASE_URLS": "default=postgresql://db/x",
        "REDIS_URL": "redis://cache/0",
        "STRIPE_SECRET_KEY": "sk_test_1",
        "INSTACART_DEMO": "0",
    }
    found = [name for name in names(Installation.read(given)) if not name.startswith("worker-")]
    assert found == ["migrate", "collectstatic", "web", "websockets", "beat"]


def test_nobody_waits_for_somebody_who_is_not_there(installation):
    table = processes.table(installation)
    known = {entry.name for entry in table}
    assert {name for entry in table for name in entry.after} <= known


@pytest.mark.parametrize("cores", [1, 2, 4, 64])
def test_every_queue_has_exactly_one_worker(cores):
    worked = ",".join(processes._workers(cores).values()).split(",")
    assert sorted(worked) == sorted(conf.QUEUES)


def test_every_route_leads_to_a_queue():
    assert {route["queue"] for route in conf.ROUTES.values()} <= set(conf.QUEUES)


def test_every_scheduled_task_exists():
    from celery_app.app import app  # after Django's settings

    app.loader.import_default_modules()
    assert {entry["task"] for entry in schedule.entries().values()} <= set(app.tasks)


def test_uwsgi_listens_on_loopback_and_never_keeps_a_stuck_request():
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=None)
    parser.read(ROOT / "deploy" / "uwsgi.ini")
    uwsgi = dict(parser["uwsgi"])
    assert uwsgi["http"] == "127.0.0.1:$(PORT)"
    assert uwsgi["module"] == "instacart.wsgi:application"
    assert int(uwsgi["harakiri"]) == 20
    for switch in ["master", "lazy-apps", "die-on-term", "need-app", "vacuum", "thunder-lock", "no-orphans"]:
        assert uwsgi[switch] == "true"


def test_a_changed_migration_is_work_again(installation, monkeypatch, tmp_path: Path):
    def stamp() -> str:
        (step,) = [entry for entry in processes.table(installation) if entry.name == "migrate"]
        return step.stamp.value

    monkeypatch.setattr(processes, "ROOT", tmp_path)
    migration = tmp_path / "apps" / "carts" / "migrations" / "0001_initial.py"
    migration.parent.mkdir(parents=True)
    migration.write_text("1")
    before = stamp()
    assert stamp() == before
    migration.write_text("2")
    assert stamp() != before


def test_processes_on_ports_say_where_they_listen(installation):
    addresses = {entry.name: entry.address for entry in processes.table(installation) if isinstance(entry, Process)}
    assert addresses["web"] == "http://127.0.0.1:8000"
    assert addresses["websockets"] == "ws://127.0.0.1:8001"
    assert addresses["payments-sandbox"] == "http://127.0.0.1:8003"
